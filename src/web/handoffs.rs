//! Hand-offs: opaque, short-lived, single-use tokens by which another system learns who is coming and why.
//!
//! A sealed token needs no row until it is redeemed; the first redemption wins by one insert.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::paths;
use super::visits::{BillerSession, Visits};
use crate::access::{ApiKey, Audience};
use crate::db::{Db, DbError};
use crate::directory::DirectoryError;
use crate::state::AppState;
use crate::values;
use signpost_core::{Locale, Purpose, ReferenceCode, Slug, Timestamp, TypedName};

const USED: &str = "SELECT 1 FROM used_once WHERE kind = $1 AND id = $2";
const USE: &str = "INSERT INTO used_once (kind, id, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

/// Room for the longest username, return target and slug, so that every legacy token has one length.
const PADDED: usize = 1024;
const LEGACY_SECONDS: u64 = 120;
const PORTAL_SECONDS: u64 = 60;
/// What was used is remembered for longer than any token lives (the settings allow an hour).
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// What the person takes along to another system.
#[derive(Clone, Debug, Default)]
pub struct Luggage {
    /// The language the person reads.
    pub locale: Locale,
    /// The name typed.
    pub name: Option<TypedName>,
    /// The biller, if it may be told.
    pub biller: Option<Slug>,
    /// A path of the portal.
    pub return_to: Option<String>,
    /// The decision's reference code.
    pub code: String,
}

#[derive(Serialize, Deserialize)]
struct LegacyToken {
    id: String,
    at: Timestamp,
    #[serde(default)]
    locale: Locale,
    reset: bool,
    name: Option<String>,
    biller: Option<Slug>,
    return_to: Option<String>,
    code: String,
}

#[derive(Serialize, Deserialize)]
struct PortalToken {
    id: String,
    at: Timestamp,
    #[serde(default)]
    locale: Locale,
    session: String,
    slug: Slug,
    return_to: Option<String>,
    code: String,
    state: Option<String>,
}

/// Opens the recovery page, nothing else.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RecoverToken {
    /// The language of the page that it was made for.
    #[serde(default)]
    pub locale: Option<Locale>,
    /// The name typed.
    pub name: Option<String>,
    /// A path of the portal.
    pub return_to: Option<String>,
    /// The biller whose page it was made on.
    #[serde(default)]
    pub biller: Option<Slug>,
    /// The other system could not let the person in.
    #[serde(default)]
    pub failed: bool,
}

/// What redeeming a hand-off tells.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Redeemed {
    /// `legacy`, `legacy_reset` or `portal`.
    pub kind: &'static str,
    /// The username, as typed or (portal) as the directory has it.
    pub username: Option<String>,
    /// The biller, if known.
    pub biller: Option<Slug>,
    /// Language of the person.
    pub locale: Locale,
    /// A path of the portal.
    pub return_to: Option<String>,
    /// The decision's reference code.
    pub reference: String,
    /// Where to send a person who cannot sign in.
    pub recover_url: String,
    /// Who vouched for the person; portals only.
    #[serde(flatten)]
    #[schema(value_type = Identity)]
    pub identity: Option<Identity>,
}

/// Who vouched for the person: all of it, or (legacy) nothing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Identity {
    /// Subject at the issuer.
    #[schema(required = false)]
    pub sub: String,
    /// The issuer.
    #[schema(required = false)]
    pub iss: String,
    /// When the person authenticated, in seconds since the Unix epoch.
    #[schema(required = false)]
    pub auth_time: i64,
    /// How.
    #[schema(required = false)]
    pub amr: Vec<String>,
    /// What the portal passed when it started the visit; null for a visit that it did not start.
    #[schema(required = false)]
    pub state: Option<String>,
}

/// The address of the legacy login, with a hand-off.
pub fn legacy_login(state: &AppState, luggage: &Luggage) -> String {
    let legacy = &state.config.legacy;
    match (&legacy.login_url, &legacy.login_template) {
        (Some(url), _) => paths::with_query(url.as_str(), "token", &legacy_token(state, luggage, false)),
        (None, Some(template)) => from_template(template, luggage),
        (None, None) => paths::absolute(&state.config, paths::HELP).to_string(),
    }
}

/// The address of the legacy password reset, with a hand-off; the recovery page where there is none.
pub fn legacy_reset(state: &AppState, luggage: &Luggage) -> String {
    match &state.config.legacy.reset_url {
        Some(url) => paths::with_query(url.as_str(), "token", &legacy_token(state, luggage, true)),
        None => paths::RECOVER.to_owned(),
    }
}

/// The origin that `/login` may redirect its form to.
pub fn legacy_origin(state: &AppState) -> Option<String> {
    let legacy = &state.config.legacy;
    let template =
        legacy.login_template.as_deref().and_then(|text| url::Url::parse(&text.replace(['{', '}'], "")).ok());
    let url = legacy.login_url.clone().or(template)?;
    Some(url.origin().ascii_serialization())
}

/// The address of a biller's portal, with a hand-off for somebody signed in.
pub fn portal(
    state: &AppState,
    session: &BillerSession,
    slug: &Slug,
    own_portal: Option<&str>,
    luggage: &Luggage,
    portal_state: Option<String>,
) -> String {
    let token = PortalToken {
        id: state.random.token::<16>(),
        at: state.clock.now(),
        locale: luggage.locale,
        session: session.id.clone(),
        slug: slug.clone(),
        return_to: luggage.return_to.clone(),
        code: luggage.code.clone(),
        state: portal_state,
    };
    let sealed = state.keys.seal(Purpose::PortalHandoff, "", &token);
    let shared = state.config.portal.handoff_url.as_ref().map(url::Url::as_str);
    let address = own_portal.or(shared).unwrap_or(paths::HELP);
    paths::with_query(address, "token", &sealed)
}

/// The address of the recovery page for somebody whom another system could not let in.
pub fn recover_url(state: &AppState, token: &RecoverToken) -> String {
    let sealed = state.keys.seal(Purpose::Recover, "", token);
    paths::with_query(paths::absolute(&state.config, paths::RECOVER).as_str(), "t", &sealed)
}

/// Redeems a token for the holder of a key. Used, expired, foreign and unknown are all none.
///
/// # Errors
/// The database failed; the token can be tried again.
pub async fn redeem(state: &AppState, key: &ApiKey, token: &str) -> Result<Option<Redeemed>, DirectoryError> {
    if let Ok(legacy) = state.keys.open::<LegacyToken>(Purpose::LegacyHandoff, "", token) {
        return redeem_legacy(state, key, legacy).await;
    }
    match state.keys.open::<PortalToken>(Purpose::PortalHandoff, "", token) {
        Ok(portal) => redeem_portal(state, key, portal).await,
        Err(_) => Ok(None),
    }
}

async fn redeem_legacy(state: &AppState, key: &ApiKey, token: LegacyToken) -> Result<Option<Redeemed>, DirectoryError> {
    let life = Duration::from_secs(state.config.legacy.handoff_seconds.unwrap_or(LEGACY_SECONDS));
    let foreign = key.audience == Some(Audience::Portal)
        || key.billers.is_some() && !token.biller.as_ref().is_some_and(|biller| key.reaches(biller));
    if foreign || token.at.plus(life) <= state.clock.now() || !use_once(state, "handoff", &token.id).await? {
        return Ok(None);
    }
    Ok(Some(Redeemed {
        kind: if token.reset { "legacy_reset" } else { "legacy" },
        recover_url: recover_url(
            state,
            &RecoverToken {
                locale: Some(token.locale),
                name: token.name.clone(),
                return_to: token.return_to.clone(),
                failed: true,
                ..RecoverToken::default()
            },
        ),
        username: token.name,
        biller: token.biller,
        locale: token.locale,
        return_to: token.return_to,
        reference: token.code,
        identity: None,
    }))
}

async fn redeem_portal(state: &AppState, key: &ApiKey, token: PortalToken) -> Result<Option<Redeemed>, DirectoryError> {
    let life = Duration::from_secs(state.config.portal.handoff_seconds.unwrap_or(PORTAL_SECONDS));
    let foreign = key.audience == Some(Audience::Legacy) || !key.reaches(&token.slug);
    if foreign || token.at.plus(life) <= state.clock.now() {
        return Ok(None);
    }
    let Some(session) = Visits::of(state).live_by_id(&token.session).await? else { return Ok(None) };
    let biller = state.directory.named(&token.slug).await?;
    if !biller.is_some_and(|biller| state.routing.signs_in(&biller, state.clock.now())) {
        return Ok(None);
    }
    if !use_once(state, "handoff", &token.id).await? {
        return Ok(None);
    }
    let username = session.details.username;
    Ok(Some(Redeemed {
        kind: "portal",
        recover_url: recover_url(
            state,
            &RecoverToken {
                locale: Some(token.locale),
                name: Some(username.clone()),
                return_to: token.return_to.clone(),
                ..RecoverToken::default()
            },
        ),
        username: Some(username),
        biller: Some(token.slug),
        locale: token.locale,
        return_to: token.return_to,
        reference: token.code,
        identity: Some(Identity {
            sub: session.subject,
            iss: session.issuer,
            auth_time: session.auth_time.seconds(),
            amr: session.details.amr,
            state: token.state,
        }),
    }))
}

/// Marks something as used; answers whether this was the first time. Two at once: one of them.
///
/// # Errors
/// The database failed: then it must count as used.
pub async fn use_once(state: &AppState, kind: &'static str, id: &str) -> Result<bool, DbError> {
    mark(&state.db, kind, id, state.clock.now().plus(REMEMBERED)).await
}

/// Whether something was marked as used before.
///
/// # Errors
/// The database failed.
pub async fn was_used(state: &AppState, kind: &'static str, id: &str) -> Result<bool, DbError> {
    Ok(state.db.one(USED, values![kind, id]).await?.is_some())
}

async fn mark(db: &Db, kind: &str, id: &str, until: Timestamp) -> Result<bool, DbError> {
    Ok(db.run(USE, values![kind, id, until]).await? > 0)
}

fn legacy_token(state: &AppState, luggage: &Luggage, reset: bool) -> String {
    let token = LegacyToken {
        id: state.random.token::<16>(),
        at: state.clock.now(),
        locale: luggage.locale,
        reset,
        name: luggage.name.as_ref().map(|name| name.typed().to_owned()),
        biller: luggage.biller.clone(),
        return_to: luggage.return_to.clone(),
        code: luggage.code.clone(),
    };
    state.keys.seal_padded(Purpose::LegacyHandoff, "", &token, PADDED)
}

/// The biller is left out on purpose: it would tell a legacy username from an unknown one.
fn from_template(template: &str, luggage: &Luggage) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let filled = template
        .replace("{username}", &encode(luggage.name.as_ref().map_or("", TypedName::typed)))
        .replace("{locale}", luggage.locale.tag())
        .replace("{return_to}", &encode(luggage.return_to.as_deref().unwrap_or_default()));
    // Through the parser, so that whatever the template holds is fit for a header.
    url::Url::parse(&filled).map_or_else(|_| paths::HELP.to_owned(), String::from)
}

impl Luggage {
    /// For a decision.
    pub fn new(
        code: &ReferenceCode,
        locale: Locale,
        name: Option<TypedName>,
        biller: Option<Slug>,
        return_to: Option<String>,
    ) -> Self {
        Self { locale, name, biller, return_to, code: code.to_string() }
    }
}
