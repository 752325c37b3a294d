//! Stand-in of the legacy portal: the shared old sign-in page and its password reset.
//!
//! A handoff token is single-use, but users reload pages: the stand-in stores the payload for the browser that redeemed it.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawForm, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;

use super::Deps;
use super::handoff::{Gateway, HandoffPayload, Redemption};
use super::html::{
    LEGACY, STYLE_PATH, credential_fields, escape, hidden_fields, notice, page, stylesheet, username_field,
};
use super::mailbox::Mailbox;
use super::store::Store;
use super::web::{Fields, cookie, see_other, with_cookie};
use super::{mail_pages, passwords};
use signpost_core::text::sha256;

/// Identifies the browser, to find its handoffs.
const BROWSER_COOKIE: &str = "legacy_browser";
const INVALID_CREDENTIALS: &str = "The username or password is not right. Try again, or reset your password.";

#[derive(Clone)]
pub struct LegacyPortal {
    /// Base address of the gateway, such as `http://localhost:8080`.
    pub gateway: String,
    /// Key with the scope `handoff:redeem`.
    pub api_key: String,
    /// PHC string of the password that all users share.
    pub password_hash: String,
    /// Matched without regard to case.
    pub usernames: Vec<String>,
    /// Mails to show at `/mail`.
    pub mailbox: Mailbox,
}

struct Legacy {
    gateway: Gateway,
    password_hash: Arc<str>,
    usernames: HashSet<String>,
    /// By browser and token.
    handoffs: Store<StoredHandoff>,
    deps: Deps,
}

#[derive(Clone)]
struct StoredHandoff {
    handoff: HandoffPayload,
    /// Hash of the token: identifies the handoff in forms.
    key: String,
}

enum HandoffStatus {
    /// The request has no token.
    Absent,
    Present(Box<StoredHandoff>),
    /// The redemption failed; the text says why.
    Failed(&'static str),
}

pub fn legacy_app(portal: LegacyPortal, deps: Deps) -> Router {
    let legacy = Legacy {
        gateway: Gateway::new(&portal.gateway, portal.api_key),
        password_hash: portal.password_hash.into(),
        usernames: portal.usernames.iter().map(|name| name.to_lowercase()).collect(),
        handoffs: Store::default(),
        deps,
    };
    Router::new()
        .route("/", get(home))
        .route("/login", get(login_page).post(login))
        .route("/reset", get(reset_page).post(reset))
        .route(STYLE_PATH, get(async || stylesheet(&LEGACY)))
        .with_state(Arc::new(legacy))
        .merge(mail_pages::routes(portal.mailbox))
}

async fn home(State(legacy): State<Arc<Legacy>>) -> Response {
    see_other(&legacy.gateway.url("/login"))
}

/// `GET /login?token=…`
async fn login_page(State(legacy): State<Arc<Legacy>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let browser = legacy.browser_id(&headers);
    let response = match legacy.resolve_handoff(&browser, query, "legacy").await {
        HandoffStatus::Absent => legacy.sign_in_form(None, "", None),
        HandoffStatus::Failed(reason) => legacy.sign_in_form(None, "", Some(reason)),
        HandoffStatus::Present(stored) => {
            legacy.sign_in_form(Some(&stored), stored.handoff.username.as_deref().unwrap_or_default(), None)
        }
    };
    with_cookie(response, BROWSER_COOKIE, &browser, "/")
}

/// `POST /login`
async fn login(State(legacy): State<Arc<Legacy>>, headers: HeaderMap, RawForm(form): RawForm) -> Response {
    let fields = Fields::parse(&form);
    let typed = fields.get("username").unwrap_or_default().trim();
    let password_right = passwords::verify(&legacy.password_hash, fields.get("password").unwrap_or_default()).await;
    if password_right && legacy.usernames.contains(&typed.to_lowercase()) {
        let name = escape(typed);
        let body = format!(
            "<p>Welcome, <strong id=\"username\">{name}</strong>. This is the legacy bill-payment site.</p>\n\
             <p><a href=\"/\">Sign out</a></p>\n"
        );
        return page(&LEGACY, StatusCode::OK, "Signed in (legacy)", &body);
    }
    let stored = cookie(&headers, BROWSER_COOKIE)
        .zip(fields.get("handoff"))
        .and_then(|(browser, key)| legacy.handoffs.get(&handoff_key(&browser, key)));
    legacy.sign_in_form(stored.as_ref(), typed, Some(INVALID_CREDENTIALS))
}

/// `GET /reset?token=…`
async fn reset_page(State(legacy): State<Arc<Legacy>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let browser = legacy.browser_id(&headers);
    let (username, problem) = match legacy.resolve_handoff(&browser, query, "legacy_reset").await {
        HandoffStatus::Absent => (String::new(), None),
        HandoffStatus::Failed(reason) => (String::new(), Some(reason)),
        HandoffStatus::Present(stored) => (stored.handoff.username.unwrap_or_default(), None),
    };
    let body = format!(
        "{}<form method=\"post\" action=\"/reset\">\n{}<button>Send me a reset mail</button>\n</form>\n",
        problem.map(notice).unwrap_or_default(),
        username_field(&username)
    );
    with_cookie(page(&LEGACY, StatusCode::OK, "Reset your legacy password", &body), BROWSER_COOKIE, &browser, "/")
}

/// `POST /reset`: the same response for every username. The stand-in sends no mail.
async fn reset(State(legacy): State<Arc<Legacy>>) -> Response {
    let body = format!(
        "<p role=\"status\">If that account exists, we have sent a mail.</p>\n<p><a href=\"{}\">Back to sign-in</a></p>\n",
        escape(&legacy.gateway.url("/login"))
    );
    page(&LEGACY, StatusCode::OK, "Check your mail", &body)
}

impl Legacy {
    /// The browser's id from its cookie, or a new one.
    fn browser_id(&self, headers: &HeaderMap) -> String {
        cookie(headers, BROWSER_COOKIE)
            .filter(|id| id.len() == 43 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'))
            .unwrap_or_else(|| self.deps.random.token::<32>())
    }

    /// Redeems the token in the query, unless this browser has redeemed it already.
    async fn resolve_handoff(&self, browser: &str, query: Option<String>, kind: &str) -> HandoffStatus {
        let fields = Fields::parse(query.unwrap_or_default().as_bytes());
        let Some(token) = fields.get("token") else {
            return HandoffStatus::Absent;
        };
        let key = sha256(token.as_bytes());
        let id = handoff_key(browser, &key);
        if let Some(stored) = self.handoffs.get(&id).filter(|stored| stored.handoff.kind == kind) {
            return HandoffStatus::Present(Box::new(stored));
        }
        match self.gateway.redeem(&self.deps.http, token, kind).await {
            Redemption::Payload(handoff) => {
                let stored = StoredHandoff { handoff: *handoff, key };
                self.handoffs.insert(id, stored.clone());
                HandoffStatus::Present(Box::new(stored))
            }
            Redemption::Invalid => {
                HandoffStatus::Failed("This link was used before or is too old. You can sign in below all the same.")
            }
            Redemption::Unreachable => {
                HandoffStatus::Failed("We could not look up where you came from. You can sign in below all the same.")
            }
        }
    }

    /// The sign-in form. After a failure the recovery link comes first.
    fn sign_in_form(&self, stored: Option<&StoredHandoff>, username: &str, problem: Option<&str>) -> Response {
        let handoff = stored.map(|stored| &stored.handoff);
        let recover = handoff.and_then(|h| h.recover_url.clone()).unwrap_or_else(|| self.gateway.url("/recover"));
        let wrong = problem == Some(INVALID_CREDENTIALS);
        let reference = handoff.and_then(|h| h.reference.as_deref()).map(|code| {
            format!("<p class=\"small\">Reference code: <span id=\"reference\">{}</span></p>\n", escape(code))
        });
        let body = format!(
            "{problem}{biller}{prominent}<form method=\"post\" action=\"/login\">\n{handoff_field}{fields}<button>Sign in</button>\n</form>\n\
             {plain}<p><a href=\"{reset}\">Reset your password</a></p>\n{reference}",
            problem = problem.map(notice).unwrap_or_default(),
            biller = handoff
                .and_then(|h| h.biller.as_deref())
                .map(|slug| format!("<p class=\"small\">Biller: <span id=\"biller\">{}</span></p>\n", escape(slug)))
                .unwrap_or_default(),
            prominent = if wrong { recovery_link(&recover, " class=\"big\"") } else { String::new() },
            handoff_field = stored.map(|stored| hidden_fields(&[("handoff", &stored.key)])).unwrap_or_default(),
            fields = credential_fields(username),
            plain = if wrong { String::new() } else { recovery_link(&recover, "") },
            reset = escape(&self.gateway.url("/reset")),
            reference = reference.unwrap_or_default(),
        );
        page(&LEGACY, StatusCode::OK, "Sign in", &body)
    }
}

fn recovery_link(recover_url: &str, class: &str) -> String {
    format!("<p><a{class} href=\"{}\">I still can't sign in</a></p>\n", escape(recover_url))
}

fn handoff_key(browser: &str, key: &str) -> String {
    format!("{browser}.{key}")
}
