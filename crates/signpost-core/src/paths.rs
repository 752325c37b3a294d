//! Every path of the gateway, and the functions that fill in their parameters. `routes` says what is served at each.

use percent_encoding::percent_decode;
use serde::{Deserialize, Serialize};

use crate::Slug;

pub const ROOT: &str = "/";
pub const LOGIN: &str = "/login";
/// A biller's own address: its vanity path.
pub const BILLER: &str = "/b/{slug}";
/// The OAuth redirect URI.
pub const CALLBACK: &str = "/callback/{slug}";
/// Sends a signed-in customer on to the biller's portal.
pub const GO: &str = "/go/{slug}";
pub const LOGOUT: &str = "/logout";
/// Where an identity provider returns the browser after sign-out.
pub const SIGNED_OUT: &str = "/signed-out";
/// Help for customers who cannot sign in.
pub const RECOVER: &str = "/recover";
pub const RESET: &str = "/reset";
/// Shows the outcome of a form at [`RESET`], so that reloading it submits nothing.
pub const RESET_SENT: &str = "/reset/sent";
/// Clears the billers that this device remembers.
pub const FORGET: &str = "/forget";
/// Shows an error page again in another language.
pub const ERROR: &str = "/error";
/// Requests sign-in links by mail.
pub const LINKS: &str = "/recover/links";
/// Shows the outcome of a form at [`LINKS`].
pub const LINKS_SENT: &str = "/recover/links/sent";
pub const BILLER_RESET: &str = "/b/{slug}/reset";
/// Where browsers and password managers look for the page to change a password (W3C, "A Well-Known URL for Changing Passwords").
pub const WELL_KNOWN_CHANGE_PASSWORD: &str = "/.well-known/change-password";
pub const HELP: &str = "/help";
/// A biller's stylesheet or logo.
pub const BRAND: &str = "/b/{slug}/brand/{file}";
pub const STATIC: &str = "/static/{file}";

/// RFC 9309.
pub const ROBOTS: &str = "/robots.txt";
pub const FAVICON: &str = "/favicon.ico";
/// The icon of home screens. iOS asks for both names.
pub const TOUCH_ICON: &str = "/apple-touch-icon.png";
pub const PRECOMPOSED_TOUCH_ICON: &str = "/apple-touch-icon-precomposed.png";
/// RFC 9116.
pub const SECURITY_TXT: &str = "/.well-known/security.txt";

/// Asked by reverse proxies: is this browser signed in?
pub const VERIFY: &str = "/auth/verify";
/// OpenID Connect Back-Channel Logout 1.0, section 2.5.
pub const BACKCHANNEL_LOGOUT: &str = "/backchannel-logout/{slug}";
/// The prefix of well-known URIs (RFC 8615).
pub const WELL_KNOWN: &str = "/.well-known/";
/// Our public signing keys (RFC 7517, section 5).
pub const JWKS: &str = "/.well-known/jwks.json";

/// Whether the process runs. At the management listener, like the next three.
pub const LIVEZ: &str = "/livez";
/// Whether the process can serve customers.
pub const READYZ: &str = "/readyz";
/// In the Prometheus text format.
pub const METRICS: &str = "/metrics";
/// Reads the settings again. For requests from the same machine.
pub const RELOAD: &str = "/reload";

/// What lies below belongs to the API, whether or not it exists.
pub const API: &str = "/api";
pub const API_DOCS: &str = "/api/docs";
pub const OPENAPI: &str = "/api/openapi.json";
pub const REDEEM: &str = "/api/v1/handoffs/redeem";
pub const SIMULATIONS: &str = "/api/v1/simulations";
pub const IMPACT: &str = "/api/v1/impact";
pub const DECISION: &str = "/api/v1/decisions/{code}";
pub const HEALTH: &str = "/api/v1/health";
pub const AUDIT: &str = "/api/v1/audit";
pub const KILL_SWITCH: &str = "/api/v1/kill-switch";
pub const BILLERS: &str = "/api/v1/billers";
pub const BILLER_BY_SLUG: &str = "/api/v1/billers/{slug}";
pub const READINESS: &str = "/api/v1/billers/{slug}/readiness";
pub const LOGIN_URL_EMAIL: &str = "/api/v1/billers/{slug}/login-url/email";
pub const CIAM: &str = "/api/v1/billers/{slug}/ciam";
pub const CHANGES: &str = "/api/v1/changes";
pub const CHANGE: &str = "/api/v1/changes/{id}";
pub const JOB: &str = "/api/v1/jobs/{id}";
pub const JOB_EVENTS: &str = "/api/v1/jobs/{id}/events";
pub const CHANGE_PASSWORD: &str = "/api/v1/users/{id}/change-password";
pub const RESET_REQUEST: &str = "/api/v1/users/{id}/reset-request";
pub const API_KEYS: &str = "/api/v1/keys";
pub const API_KEY: &str = "/api/v1/keys/{id}";

/// Where the identity management API is mounted.
pub const IDENTITY: &str = "/identity/v1";
/// The second mount of the same API, for scripts written for the API whose shape it has.
pub const POOLSIDE: &str = "/poolside/v1";

/// Paths of the identity management API, relative to [`IDENTITY`] and [`POOLSIDE`].
pub mod identity {
    pub const USERS: &str = "/users";
    pub const USER: &str = "/users/{id}";
    pub const USER_TEAMS: &str = "/users/{id}/teams";
    pub const TEAMS: &str = "/teams";
    pub const MEMBERS: &str = "/teams/{id}/members";
    pub const SET_MEMBERS: &str = "/teams/{id}/members/set";
    pub const ADD_MEMBERS: &str = "/teams/{id}/members/add";
    pub const REMOVE_MEMBERS: &str = "/teams/{id}/members/remove";
}

/// The address of a page on the listener that serves it: a path, perhaps with a query. Redirects and links that a request
/// names have this type, because browsers take `//name` and `/\name` for another host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct LocalAddress(String);

impl LocalAddress {
    pub fn parse(address: &str) -> Option<Self> {
        let path = address.split('?').next().unwrap_or_default();
        let is_printable = address.bytes().all(|b| b.is_ascii_graphic()) && !address.contains('#');
        (is_printable && is_local_path(path)).then(|| Self(address.to_owned()))
    }

    pub fn root() -> Self {
        Self(ROOT.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for LocalAddress {
    type Error = &'static str;

    fn try_from(address: String) -> Result<Self, Self::Error> {
        Self::parse(&address).ok_or("not a local address")
    }
}

impl std::fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a path begins with exactly one slash and has no backslash or control character, however often it is decoded.
/// Proxies decode paths once more on their way, so encoded slashes count as slashes.
pub fn is_local_path(path: &str) -> bool {
    let mut path = path.as_bytes().to_vec();
    loop {
        let starts_once = path.first() == Some(&b'/') && path.get(1) != Some(&b'/');
        if !starts_once || path.iter().any(|b| *b == b'\\' || b.is_ascii_control()) {
            return false;
        }
        let decoded: Vec<u8> = percent_decode(&path).collect();
        if decoded == path {
            return true;
        }
        path = decoded;
    }
}

/// Whether a path has the same file on every host that is served.
pub fn is_site_file(path: &str) -> bool {
    matches!(path, ROBOTS | FAVICON | TOUCH_ICON | PRECOMPOSED_TOUCH_ICON)
}

/// Whether load balancers and orchestrators probe this path, by the address of an instance instead of a host name.
pub fn is_health(path: &str) -> bool {
    path == HEALTH
}

const SLUG: &str = "{slug}";
const FILE: &str = "{file}";

fn of_biller(pattern: &str, slug: &Slug) -> String {
    pattern.replace(SLUG, slug.as_str())
}

pub fn biller(slug: &Slug) -> String {
    of_biller(BILLER, slug)
}

/// The biller whose vanity path this is; none for any other path, and for a segment that is not a slug.
pub fn parse_biller(path: &str) -> Option<Slug> {
    Slug::parse(path.strip_prefix(BILLER.trim_end_matches(SLUG))?).ok()
}

pub fn biller_reset(slug: &Slug) -> String {
    of_biller(BILLER_RESET, slug)
}

pub fn callback(slug: &Slug) -> String {
    of_biller(CALLBACK, slug)
}

pub fn go(slug: &Slug) -> String {
    of_biller(GO, slug)
}

pub fn backchannel_logout(slug: &Slug) -> String {
    of_biller(BACKCHANNEL_LOGOUT, slug)
}

/// A biller's stylesheet; `version` is a hash of its colours.
pub fn brand_colours(slug: &Slug, version: &str) -> String {
    of_biller(BRAND, slug).replace(FILE, &format!("colours.{version}.css"))
}

/// A biller's logo; `version` is a hash of the image.
pub fn brand_logo(slug: &Slug, version: &str) -> String {
    of_biller(BRAND, slug).replace(FILE, &format!("logo.{version}.png"))
}

pub fn static_file(name: &str) -> String {
    STATIC.replace(FILE, name)
}

/// A path or address with one more query parameter.
pub fn with_query(address: &str, name: &str, value: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let joint = match address.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{address}{joint}{name}={encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_filled_in() {
        let slug = Slug::parse("riverside-water").unwrap();
        assert_eq!(biller(&slug), "/b/riverside-water");
        assert_eq!(brand_logo(&slug, "abc"), "/b/riverside-water/brand/logo.abc.png");
        assert_eq!(static_file("logo.abc.svg"), "/static/logo.abc.svg");
        assert_eq!(parse_biller("/b/riverside-water"), Some(slug));
        for other in ["/b/", "/b/riverside-water/reset", "/b/Riverside", "/login", "/"] {
            assert_eq!(parse_biller(other), None, "{other}");
        }
    }

    #[test]
    fn local_addresses_stay_on_their_listener() {
        for own in
            ["/", "/simulate?q=a_b-c", "/billers/riverside-water", "/simulate?next=//evil.example", "/a//b", "/100%"]
        {
            assert_eq!(LocalAddress::parse(own).as_ref().map(LocalAddress::as_str), Some(own));
        }
        for foreign in [
            "",
            "//evil.example",
            "///evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/a\nb",
            "javascript:x",
            "/ b",
            "/%2fevil.example",
            "/%2Fevil.example",
            "/%5cevil.example",
            "/%5Cevil.example",
            "/%252fevil.example",
            "\\\\evil",
            "%2f/evil.example",
            "/a/%0d%0aLocation:x",
            "/a#b",
            "/é",
        ] {
            assert_eq!(LocalAddress::parse(foreign), None, "{foreign:?}");
        }
    }
}
