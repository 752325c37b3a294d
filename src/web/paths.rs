//! Every path in one place, and the addresses made from them. Scheme and host come from the settings, never from a
//! request.

use url::Url;

use crate::config::Config;
use signpost_core::Slug;

pub use signpost_core::paths::{HELP, RECOVER, with_query};

/// The first page.
pub const ROOT: &str = "/";
/// The look-up.
pub const LOGIN: &str = "/login";
/// A biller's own address.
pub const BILLER: &str = "/b/{slug}";
/// Where the identity provider sends the browser back.
pub const CALLBACK: &str = "/callback/{slug}";
/// On to the portal of a biller one is signed in at.
pub const GO: &str = "/go/{slug}";
/// Signing out.
pub const LOGOUT: &str = "/logout";
/// After signing out.
pub const SIGNED_OUT: &str = "/signed-out";
/// Forgotten password.
pub const RESET: &str = "/reset";
/// What [`RESET`] answers, again.
pub const RESET_SENT: &str = "/reset/sent";
/// What this device keeps is forgotten.
pub const FORGET: &str = "/forget";
/// An error page again, in another language.
pub const ERROR: &str = "/error";
/// Sign-in links by mail.
pub const LINKS: &str = "/recover/links";
/// What [`LINKS`] answers, again.
pub const LINKS_SENT: &str = "/recover/links/sent";
/// Forgotten password at a biller.
pub const BILLER_RESET: &str = "/b/{slug}/reset";
/// Where browsers and password managers look for [`RESET`], on every host.
pub const WELL_KNOWN_CHANGE_PASSWORD: &str = "/.well-known/change-password";
/// What the API can be asked for, as a page.
pub const API_DOCS: &str = "/api/docs";
/// The same for programs (OpenAPI 3.1).
pub const OPENAPI: &str = "/api/openapi.json";
/// Redeeming hand-offs.
pub const REDEEM: &str = "/api/v1/handoffs/redeem";
/// Where somebody would be taken, and why.
pub const SIMULATIONS: &str = "/api/v1/simulations";
/// What a change would do to everybody.
pub const IMPACT: &str = "/api/v1/impact";
/// The decision behind a reference code.
pub const DECISION: &str = "/api/v1/decisions/{code}";
/// How billers, jobs and queues do.
pub const HEALTH: &str = "/api/v1/health";
/// The audit trail.
pub const AUDIT: &str = "/api/v1/audit";
/// The kill switch.
pub const KILL_SWITCH: &str = "/api/v1/kill-switch";
/// Billers.
pub const BILLERS: &str = "/api/v1/billers";
/// Changes of billers that wait for a second person.
pub const CHANGES: &str = "/api/v1/changes";
/// One of them.
pub const CHANGE: &str = "/api/v1/changes/{id}";
/// One biller.
pub const BILLER_BY_SLUG: &str = "/api/v1/billers/{slug}";
/// Whether a biller is ready.
pub const READINESS: &str = "/api/v1/billers/{slug}/readiness";
/// Its contact is mailed where its people sign in.
pub const LOGIN_URL_EMAIL: &str = "/api/v1/billers/{slug}/login-url/email";
/// Moving a biller.
pub const CIAM: &str = "/api/v1/billers/{slug}/ciam";
/// A job that moves a biller.
pub const JOB: &str = "/api/v1/jobs/{id}";
/// What happens to it.
pub const JOB_EVENTS: &str = "/api/v1/jobs/{id}/events";
/// A user's password is changed at SecureAuth.
pub const CHANGE_PASSWORD: &str = "/api/v1/users/{id}/change-password";
/// A user gets a mail from SecureAuth to set a new password.
pub const RESET_REQUEST: &str = "/api/v1/users/{id}/reset-request";
/// The identity management API.
pub const IDENTITY: &str = "/identity/v1";
/// The same, where scripts for the API of that shape expect it.
pub const POOLSIDE: &str = "/poolside/v1";
/// An issuer tells that somebody signed out there.
pub const BACKCHANNEL_LOGOUT: &str = "/backchannel-logout/{slug}";
/// A reverse proxy asks who it is.
pub const VERIFY: &str = "/auth/verify";
/// API keys.
pub const API_KEYS: &str = "/api/v1/keys";
/// One of them.
pub const API_KEY: &str = "/api/v1/keys/{id}";
/// Our public signing keys.
pub const JWKS: &str = "/.well-known/jwks.json";
/// A biller's colours, and its logo.
pub const BRAND: &str = "/b/{slug}/brand/{file}";
/// Static files.
pub const STATIC: &str = "/static/{file}";

/// `/b/{slug}`
pub fn biller(slug: &Slug) -> String {
    format!("/b/{slug}")
}

/// `/b/{slug}/reset`
pub fn biller_reset(slug: &Slug) -> String {
    format!("/b/{slug}/reset")
}

/// A biller's stylesheet; `version` names its present colours.
pub fn brand_colours(slug: &Slug, version: &str) -> String {
    format!("/b/{slug}/brand/colours.{version}.css")
}

/// A biller's logo; `version` names the present one.
pub fn brand_logo(slug: &Slug, version: &str) -> String {
    format!("/b/{slug}/brand/logo.{version}.png")
}

/// `/go/{slug}`
pub fn go(slug: &Slug) -> String {
    format!("/go/{slug}")
}

/// The full address of a path.
///
/// # Panics
/// Never: the paths are our own.
pub fn absolute(config: &Config, path: &str) -> Url {
    config.server.public_url.join(path).unwrap_or_else(|_| config.server.public_url.clone())
}

/// `/callback/{slug}` in full: the redirect URI registered at the biller's issuer.
pub fn redirect_uri(config: &Config, slug: &Slug) -> Url {
    absolute(config, &format!("/callback/{slug}"))
}

/// An address with the query of another, as it came.
pub fn with_raw_query(address: String, query: Option<&str>) -> String {
    match query {
        // A redirect takes nothing else; addresses of ours hold nothing else.
        Some(query) if !query.is_empty() && query.bytes().all(|b| b.is_ascii_graphic()) => format!("{address}?{query}"),
        _ => address,
    }
}
