//! Stand-in of the legacy portal: the shared old sign-in page and its password reset.
//!
//! A hand-off token is good once, a page is reloaded often: what a token told is kept for the browser that brought it.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawForm, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;

use super::Tools;
use super::handoff::{Gateway, HandOff, Redeemed};
use super::html::{LEGACY, STYLE_PATH, credentials, escape, hidden, notice, page, stylesheet, username_field};
use super::mailbox::Mailbox;
use super::store::Store;
use super::web::{Fields, cookie, see_other, with_cookie};
use super::{mail_pages, passwords};
use signpost_core::text::sha256;

/// Names the browser, so that its visits are found again.
const VISIT_COOKIE: &str = "legacy_visit";
const WRONG: &str = "The username or password is not right. Try again, or reset your password.";

/// What the legacy portal is built from.
#[derive(Clone)]
pub struct LegacyPortal {
    /// Base address of the gateway, such as `http://localhost:8080`.
    pub gateway: String,
    /// Key with the scope `handoff:redeem`.
    pub api_key: String,
    /// Of the one password that everybody has, as a PHC string.
    pub password_hash: String,
    /// Who has an account; compared without regard to case.
    pub usernames: Vec<String>,
    /// The mails to show at `/mail`.
    pub mailbox: Mailbox,
}

struct Legacy {
    gateway: Gateway,
    password_hash: Arc<str>,
    usernames: HashSet<String>,
    /// By browser and token.
    visits: Store<Visit>,
    tools: Tools,
}

/// What a hand-off told.
#[derive(Clone)]
struct Visit {
    handoff: HandOff,
    /// Hash of the token: names the visit in the form.
    key: String,
}

/// How somebody came to a page.
enum Arrival {
    /// By the address alone.
    Plain,
    /// With a hand-off.
    Visit(Box<Visit>),
    /// With a token that did not help; the sentence says why.
    Failed(&'static str),
}

/// Builds the stand-in.
pub fn legacy_app(portal: LegacyPortal, tools: Tools) -> Router {
    let legacy = Legacy {
        gateway: Gateway::new(&portal.gateway, portal.api_key),
        password_hash: portal.password_hash.into(),
        usernames: portal.usernames.iter().map(|name| name.to_lowercase()).collect(),
        visits: Store::default(),
        tools,
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
    let browser = legacy.browser(&headers);
    let response = match legacy.arrive(&browser, query, "legacy").await {
        Arrival::Plain => legacy.sign_in_form(None, "", None),
        Arrival::Failed(reason) => legacy.sign_in_form(None, "", Some(reason)),
        Arrival::Visit(visit) => {
            legacy.sign_in_form(Some(&visit), visit.handoff.username.as_deref().unwrap_or_default(), None)
        }
    };
    with_cookie(response, VISIT_COOKIE, &browser, "/")
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
    let visit = cookie(&headers, VISIT_COOKIE)
        .zip(fields.get("visit"))
        .and_then(|(browser, key)| legacy.visits.get(&visit_id(&browser, key)));
    legacy.sign_in_form(visit.as_ref(), typed, Some(WRONG))
}

/// `GET /reset?token=…`
async fn reset_page(State(legacy): State<Arc<Legacy>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let browser = legacy.browser(&headers);
    let (username, problem) = match legacy.arrive(&browser, query, "legacy_reset").await {
        Arrival::Plain => (String::new(), None),
        Arrival::Failed(reason) => (String::new(), Some(reason)),
        Arrival::Visit(visit) => (visit.handoff.username.unwrap_or_default(), None),
    };
    let body = format!(
        "{}<form method=\"post\" action=\"/reset\">\n{}<button>Send me a reset mail</button>\n</form>\n",
        problem.map(notice).unwrap_or_default(),
        username_field(&username)
    );
    with_cookie(page(&LEGACY, StatusCode::OK, "Reset your legacy password", &body), VISIT_COOKIE, &browser, "/")
}

/// `POST /reset`: the same for everybody, and no mail leaves a stand-in.
async fn reset(State(legacy): State<Arc<Legacy>>) -> Response {
    let body = format!(
        "<p role=\"status\">If that account exists, we have sent a mail.</p>\n<p><a href=\"{}\">Back to sign-in</a></p>\n",
        escape(&legacy.gateway.url("/login"))
    );
    page(&LEGACY, StatusCode::OK, "Check your mail", &body)
}

impl Legacy {
    /// The browser's id from its cookie, or a new one.
    fn browser(&self, headers: &HeaderMap) -> String {
        cookie(headers, VISIT_COOKIE)
            .filter(|id| id.len() == 43 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'))
            .unwrap_or_else(|| self.tools.random.token::<32>())
    }

    /// Redeems the token in the query, unless this browser's redeeming of it is remembered.
    async fn arrive(&self, browser: &str, query: Option<String>, kind: &str) -> Arrival {
        let fields = Fields::parse(query.unwrap_or_default().as_bytes());
        let Some(token) = fields.get("token") else {
            return Arrival::Plain;
        };
        let key = sha256(token.as_bytes());
        let id = visit_id(browser, &key);
        if let Some(visit) = self.visits.get(&id).filter(|visit| visit.handoff.kind == kind) {
            return Arrival::Visit(Box::new(visit));
        }
        match self.gateway.redeem(&self.tools.http, token, kind).await {
            Redeemed::Yes(handoff) => {
                let visit = Visit { handoff: *handoff, key };
                self.visits.insert(id, visit.clone());
                Arrival::Visit(Box::new(visit))
            }
            Redeemed::Gone => {
                Arrival::Failed("This link was used before or is too old. You can sign in below all the same.")
            }
            Redeemed::Unreachable => {
                Arrival::Failed("We could not look up where you came from. You can sign in below all the same.")
            }
        }
    }

    /// The sign-in form; after a failure the way out comes first.
    fn sign_in_form(&self, visit: Option<&Visit>, username: &str, problem: Option<&str>) -> Response {
        let handoff = visit.map(|visit| &visit.handoff);
        let recover = handoff.and_then(|h| h.recover_url.clone()).unwrap_or_else(|| self.gateway.url("/recover"));
        let wrong = problem == Some(WRONG);
        let reference = handoff.and_then(|h| h.reference.as_deref()).map(|code| {
            format!("<p class=\"small\">Reference code: <span id=\"reference\">{}</span></p>\n", escape(code))
        });
        let body = format!(
            "{problem}{biller}{prominent}<form method=\"post\" action=\"/login\">\n{carried}{fields}<button>Sign in</button>\n</form>\n\
             {plain}<p><a href=\"{reset}\">Reset your password</a></p>\n{reference}",
            problem = problem.map(notice).unwrap_or_default(),
            biller = handoff
                .and_then(|h| h.biller.as_deref())
                .map(|slug| format!("<p class=\"small\">Biller: <span id=\"biller\">{}</span></p>\n", escape(slug)))
                .unwrap_or_default(),
            prominent = if wrong { way_out(&recover, " class=\"big\"") } else { String::new() },
            carried = visit.map(|visit| hidden(&[("visit", &visit.key)])).unwrap_or_default(),
            fields = credentials(username),
            plain = if wrong { String::new() } else { way_out(&recover, "") },
            reset = escape(&self.gateway.url("/reset")),
            reference = reference.unwrap_or_default(),
        );
        page(&LEGACY, StatusCode::OK, "Sign in", &body)
    }
}

fn way_out(recover_url: &str, class: &str) -> String {
    format!("<p><a{class} href=\"{}\">I still can't sign in</a></p>\n", escape(recover_url))
}

fn visit_id(browser: &str, key: &str) -> String {
    format!("{browser}.{key}")
}
