//! Staff sign in at a provider of their own (OpenID Connect Core, section 3.1), through the same code as customers' sign-ins.
//!
//! The session's cookie is `SameSite=Strict`: a browser that comes back from the provider does not bring it, also not through
//! a redirect. So the callback answers a page that goes on by itself, which is a step of our own site.

use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::pages::{ContinuePage, ErrorPage, NoRolePage, SignedOutPage};
use super::staff::{Role, Staff};
use super::{Console, show};
use crate::secureauth::{self, ProviderError};
use crate::web::fields::Fields;
use crate::web::{Refusal, cookies, handoffs, paths};
use signpost_core::{Locale, Purpose, Timestamp};

/// Where signing in begins.
pub(super) const SIGN_IN: &str = "/sign-in";
/// Where the provider sends the browser back.
pub(super) const CALLBACK: &str = "/callback";
/// Signing out.
pub(super) const SIGN_OUT: &str = "/sign-out";

/// The cookie of a sign-in under way. `Lax`: it has to come along from the provider.
const COOKIE: &str = "__Host-staff-t";
const LIFE: Duration = Duration::from_secs(10 * 60);
/// No address of ours is longer, a sealed question included.
const MAX_NEXT: usize = 6 * 1024;
/// As long as names in the audit trail need to be.
const MAX_NAME: usize = 100;

/// A sign-in under way.
#[derive(Serialize, Deserialize)]
struct Attempt {
    id: String,
    nonce: String,
    verifier: String,
    at: Timestamp,
    next: String,
    needs_iss: bool,
}

/// The address that signs in and then goes on to `next`.
pub(super) fn address(next: &str) -> String {
    if next == "/" { SIGN_IN.to_owned() } else { paths::with_query(SIGN_IN, "next", next) }
}

/// `GET /`
pub(super) async fn first_page() -> Redirect {
    Redirect::to("/simulate")
}

/// `GET /sign-in`: to the staff's provider.
pub(super) async fn begin(
    State(console): State<Console>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if headers.get("sec-purpose").is_some_and(|purpose| purpose.as_bytes().starts_with(b"prefetch")) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let registration = console.registration().ok_or_else(|| unavailable("the client secret cannot be read"))?;
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let random = &console.app.random;
    let mut attempt = Attempt {
        id: random.token::<16>(),
        nonce: random.token::<24>(),
        verifier: random.token::<48>(),
        at: console.app.clock.now(),
        next: own_address(fields.get("next").unwrap_or("/")),
        needs_iss: false,
    };
    let secrets = secureauth::Attempt { nonce: &attempt.nonce, verifier: &attempt.verifier };
    let wanted = secureauth::Wanted { state: &attempt.id, login_hint: None, locale: Locale::English };
    let asked = console.app.providers.authorization_url(&registration, secrets, wanted).await;
    let (address, provider, _) = asked.map_err(|error| unavailable(error.reason()))?;
    attempt.needs_iss = provider.sends_iss();
    let mut response = Redirect::to(address.as_str()).into_response();
    let sealed = console.app.keys.seal(Purpose::Transaction, COOKIE, &attempt);
    cookies::add(response.headers_mut(), [cookies::set(COOKIE, sealed, LIFE)]);
    Ok(response)
}

/// `GET /callback`. As at customers' sign-ins: first what needs no call, then the attempt is used up, then the code is sent.
pub(super) async fn finish(
    State(console): State<Console>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let mut response = match enter(&console, &headers, query.as_deref().unwrap_or_default()).await? {
        Entered::As { cookie, to } => {
            let mut response = show::page(&console, None, StatusCode::OK, |chrome| ContinuePage { chrome, to })?;
            cookies::add(response.headers_mut(), [cookie]);
            response
        }
        Entered::NoRole(name) => {
            let roles = Role::ALL.map(Role::as_str);
            show::page(&console, None, StatusCode::FORBIDDEN, |chrome| NoRolePage { chrome, name, roles })?
        }
        Entered::Refused(reason) => {
            tracing::warn!(reason, "a sign-in of staff was refused");
            let detail = Some(format!("Reason: {reason}"));
            let (title, text) =
                ("You are not signed in", "The sign-in did not come to a good end. Open the console and try again.");
            show::page(&console, None, StatusCode::BAD_REQUEST, |chrome| ErrorPage { chrome, title, text, detail })?
        }
    };
    cookies::add(response.headers_mut(), [cookies::remove(COOKIE)]);
    Ok(response)
}

/// How a sign-in ended.
enum Entered {
    As { cookie: String, to: String },
    NoRole(String),
    Refused(&'static str),
}

async fn enter(console: &Console, headers: &HeaderMap, query: &str) -> Result<Entered, Refusal> {
    let state = &console.app;
    let Ok(fields) = Fields::parse(query.as_bytes()) else { return Ok(Entered::Refused("not_readable")) };
    let cookie = cookies::one(headers, COOKIE);
    let attempt =
        cookie.and_then(|cookie| state.keys.open::<Attempt>(Purpose::Transaction, COOKIE, cookie.value()).ok());
    let Some(attempt) = attempt.filter(|attempt| attempt.at.plus(LIFE) > state.clock.now()) else {
        return Ok(Entered::Refused("no_attempt"));
    };
    let Some(registration) = console.registration() else { return Err(unavailable("no_registration")) };
    let iss = fields.get("iss");
    let repeated = fields.any_twice(&["code", "state", "iss", "error"]);
    if repeated || fields.get("state") != Some(&attempt.id) {
        return Ok(Entered::Refused("bad_state"));
    }
    if iss.is_some_and(|iss| iss != registration.issuer) || (attempt.needs_iss && iss.is_none()) {
        return Ok(Entered::Refused("bad_iss"));
    }
    if fields.has("error") {
        return Ok(Entered::Refused("the provider refused"));
    }
    let Some(code) = fields.get("code") else { return Ok(Entered::Refused("no_code")) };
    if !handoffs::use_once(state, "staff attempt", &attempt.id).await? {
        return Ok(Entered::Refused("used_before"));
    }
    let secrets = secureauth::Attempt { nonce: &attempt.nonce, verifier: &attempt.verifier };
    let sign_in = match state.providers.redeem(&registration, secrets, code.to_owned()).await {
        Ok(sign_in) => sign_in,
        Err(ProviderError::Unavailable(reason)) => return Err(unavailable(reason)),
        Err(error) => return Ok(Entered::Refused(error.reason())),
    };
    let settings = console.settings();
    let named = sign_in.claim(&settings.name_claim).unwrap_or(&sign_in.subject);
    let name: String = named.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    let roles = Role::from_claim(&sign_in.texts(&settings.role_claim), &settings.roles);
    if roles.is_empty() {
        return Ok(Entered::NoRole(name));
    }
    let staff = Staff { subject: sign_in.subject, name, roles };
    tracing::info!(roles = staff.roles_in_words(), "staff signed in");
    Ok(Entered::As { cookie: console.begin_session(headers, &staff).await?, to: attempt.next })
}

/// `POST /sign-out`
pub(super) async fn sign_out(State(console): State<Console>, headers: HeaderMap) -> Result<Response, Refusal> {
    let removal = console.end_session(&headers).await?;
    let mut response = show::page(&console, None, StatusCode::OK, |chrome| SignedOutPage { chrome })?;
    cookies::add(response.headers_mut(), [removal]);
    Ok(response)
}

/// A path of ours, whatever was asked for.
fn own_address(next: &str) -> String {
    let plain = next.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'\\');
    let own = next.starts_with('/') && !next.starts_with("//");
    if plain && own && next.len() <= MAX_NEXT { next.to_owned() } else { "/".to_owned() }
}

fn unavailable(reason: &str) -> Refusal {
    tracing::error!(reason, "staff cannot sign in");
    let mut refusal = Refusal::from_status(StatusCode::SERVICE_UNAVAILABLE);
    refusal.detail = Some(format!("The provider where staff sign in cannot be used: {reason}."));
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_on_to_addresses_of_ours_only() {
        for own in ["/", "/simulate?q=a_b-c", "/billers/riverside-water"] {
            assert_eq!(own_address(own), own);
        }
        for foreign in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", "javascript:x", "/ b"]
        {
            assert_eq!(own_address(foreign), "/", "{foreign:?}");
        }
    }
}
