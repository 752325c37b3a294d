//! What is known of a sign-in under way, in two parts: a long-lived one that only says where to (it may be any age), and a
//! short-lived one that makes it safe (a cookie of this browser).

use std::time::Duration;

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::state::AppState;
use crate::web::handoffs::RecoverToken;
use crate::web::{cookies, paths};
use signpost_core::{Locale, Purpose, Slug, Timestamp, TypedName};

/// How long somebody may take at the identity provider.
pub(super) const LIFE: Duration = Duration::from_secs(10 * 60);
/// At most so many attempts at once in one browser; the oldest goes.
const MAX_ATTEMPTS: usize = 5;
const PREFIX: &str = "__Host-t-";

/// The long-lived part. As a hint it stands in `/b/{slug}?h=`, within a sign-in it is the OAuth `state`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Journey {
    /// The language of the page it began on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// The name typed, so that nobody types it twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A path of the portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    /// What the portal passed when it started the visit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal_state: Option<String>,
    /// The decision's reference code.
    #[serde(default)]
    pub code: String,
    /// The attempt it belongs to, once there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub attempt: String,
    /// How often it was begun again by itself.
    #[serde(default)]
    pub restarts: u8,
    /// This device is to remember the biller.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remember: bool,
}

impl Journey {
    /// The name typed, as it was parsed before it was sealed.
    pub fn name(&self) -> Option<TypedName> {
        self.name.as_deref().and_then(|name| TypedName::parse(name).ok())
    }

    /// What of it goes along to pages where the biller is asked for.
    pub fn carried(&self) -> RecoverToken {
        let (name, return_to) = (self.name.clone(), self.return_to.clone());
        RecoverToken { locale: self.locale, name, return_to, ..RecoverToken::default() }
    }

    /// The address that begins this journey anew, for somebody who clicks on it.
    pub fn link(&self, state: &AppState, slug: &Slug) -> String {
        self.address(state, &paths::biller(slug), slug, 0)
    }

    /// The same for a redirect that we make by ourselves: it is counted, so that it cannot go on for ever.
    pub fn restart(&self, state: &AppState, slug: &Slug) -> String {
        self.address(state, &paths::biller(slug), slug, self.restarts.saturating_add(1))
    }

    /// The address that goes on to the portal of a biller one is signed in at.
    pub fn go(&self, state: &AppState, slug: &Slug) -> String {
        self.address(state, &paths::go(slug), slug, 0)
    }

    fn address(&self, state: &AppState, path: &str, slug: &Slug, restarts: u8) -> String {
        let hint = Self { attempt: String::new(), restarts, ..self.clone() };
        paths::with_query(path, "h", &state.keys.seal(Purpose::Hint, slug.as_str(), &hint))
    }

    /// Opens what [`Journey::link`] and the others sealed.
    pub fn open(state: &AppState, slug: &Slug, hint: &str) -> Option<Self> {
        state.keys.open(Purpose::Hint, slug.as_str(), hint).ok()
    }
}

/// A journey on its way through the identity provider: what the OAuth `state` seals.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Travelling {
    /// The biller whose issuer was asked.
    pub slug: Slug,
    /// The journey.
    pub journey: Journey,
}

/// The short-lived part: a cookie of this browser for each attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// Id of the attempt.
    pub id: String,
    /// The biller.
    pub slug: Slug,
    /// The issuer the browser was sent to.
    pub issuer: String,
    /// The answer must carry `iss` (RFC 9207).
    pub needs_iss: bool,
    /// Ties the ID token to this attempt.
    pub nonce: String,
    /// PKCE.
    pub verifier: String,
    /// When it began.
    pub at: Timestamp,
}

impl Attempt {
    /// A new attempt with secrets of its own.
    pub fn new(state: &AppState, slug: &Slug, issuer: &str) -> Self {
        Self {
            id: state.random.token::<16>(),
            slug: slug.clone(),
            issuer: issuer.to_owned(),
            needs_iss: false,
            nonce: state.random.token::<24>(),
            verifier: state.random.token::<48>(),
            at: state.clock.now(),
        }
    }

    /// `Set-Cookie` lines: this attempt, and the oldest ones out.
    pub fn cookies(&self, state: &AppState, headers: &HeaderMap) -> Vec<String> {
        let name = cookie_name(&self.id);
        let value = state.keys.seal(Purpose::Transaction, &name, self);
        let mut lines = vec![cookies::set(name, value, LIFE)];
        let mut others: Vec<(Timestamp, String)> = cookies::all(headers)
            .filter(|cookie| cookie.name().starts_with(PREFIX))
            .map(|cookie| {
                let read = state.keys.open::<Self>(Purpose::Transaction, cookie.name(), cookie.value());
                (read.map_or(Timestamp::from_millis(0), |attempt| attempt.at), cookie.name().to_owned())
            })
            .collect();
        others.sort();
        let too_many = (others.len() + 1).saturating_sub(MAX_ATTEMPTS);
        lines.extend(others.into_iter().take(too_many).map(|(_, name)| cookies::remove(name)));
        lines
    }

    /// The attempt with this id, from the cookie of this browser. A cookie that is changed, moved or there twice is none.
    pub fn find(state: &AppState, headers: &HeaderMap, id: &str) -> Option<Self> {
        let name = cookie_name(id);
        let cookie = cookies::one(headers, &name)?;
        state.keys.open::<Self>(Purpose::Transaction, &name, cookie.value()).ok().filter(|attempt| attempt.id == id)
    }

    /// The `Set-Cookie` line that ends it.
    pub fn removal(id: &str) -> String {
        cookies::remove(cookie_name(id))
    }

    /// Whether it is too old.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.at.plus(LIFE) <= now
    }
}

fn cookie_name(id: &str) -> String {
    // Ids are base64url, which may stand in a cookie's name; `get` because an id from outside may be anything.
    format!("{PREFIX}{}", id.get(..8).unwrap_or("none"))
}
