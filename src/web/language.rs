//! The language of an answer: `?lang=` if it names one, else the cookie that remembers the last such choice, else what was
//! sealed into a link, else `Accept-Language`, else English. And how to have the same page in another one.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, header};

use super::cookies;
use super::fields::Fields;
use signpost_core::Locale;

/// The query parameter.
pub const PARAMETER: &str = "lang";
const COOKIE: &str = "__Host-l";
const COOKIE_MAX_AGE: Duration = Duration::from_secs(180 * 24 * 3600);

/// The language of a request.
#[derive(Clone, Debug)]
pub struct Language {
    /// It.
    pub locale: Locale,
    /// The person chose it, here or on an earlier page.
    is_explicit: bool,
    same_page: SamePage,
}

/// How the page that answers this request is asked for again.
#[derive(Clone, Debug)]
pub enum SamePage {
    /// By its address: the query without the language, encoded as it came.
    Query(String),
    /// By sending the same form again.
    Form {
        /// Where to.
        action: String,
        /// Its fields.
        fields: Vec<(String, String)>,
    },
    /// At another address, which shows the page again without doing anything.
    At(String),
}

impl Language {
    fn from_request(request: &Request) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let headers = request.headers();
        let chosen = from_query(request).or_else(|| from_cookie(headers));
        Self {
            locale: chosen.or_else(|| from_accept_language(headers)).unwrap_or_default(),
            is_explicit: chosen.is_some(),
            same_page: SamePage::Query(without_language(query)),
        }
    }

    /// This one, whatever a request says: for pages that nobody asked for.
    pub fn fixed(locale: Locale) -> Self {
        Self { locale, is_explicit: true, same_page: SamePage::Query(String::new()) }
    }

    /// With the language of a link that was made earlier, unless the person chose one.
    #[must_use]
    pub fn or(mut self, earlier: Option<Locale>) -> Self {
        if let Some(locale) = earlier.filter(|_| !self.is_explicit) {
            self.locale = locale;
        }
        self
    }

    /// For the answer to a form: in the form's own language, and nothing of what was sent may be lost.
    #[must_use]
    pub fn for_form(self, action: &str, fields: &Fields, names: &[&str]) -> Self {
        let sent = names.iter().filter_map(|name| Some(((*name).to_owned(), fields.get(name)?.to_owned()))).collect();
        let same_page = SamePage::Form { action: action.to_owned(), fields: sent };
        Self { same_page, ..self.or(fields.get(PARAMETER).and_then(Locale::from_tag)) }
    }

    /// For a page that another address shows as well.
    #[must_use]
    pub fn at(self, address: String) -> Self {
        Self { same_page: SamePage::At(address), ..self }
    }

    /// How the same page is asked for again.
    pub fn same_page(&self) -> &SamePage {
        &self.same_page
    }
}

/// Finds the language out; caches that heed such things learn what the answer depends on. Not for the answer to a form:
/// only Back asks for that one again, and would not get it any more once a cookie has changed (docs/adr/0005).
pub async fn detect(mut request: Request, next: Next) -> Response {
    let is_post = request.method() == Method::POST;
    let language = Language::from_request(&request);
    request.extensions_mut().insert(language);
    let mut response = next.run(request).await;
    let is_page =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    if !is_post && (is_page || response.status().is_redirection()) {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-language, cookie"));
    }
    response
}

/// Keeps a choice made by `?lang=` for this browser.
pub async fn remember(request: Request, next: Next) -> Response {
    let locale = from_query(&request);
    let mut response = next.run(request).await;
    cookies::add(response.headers_mut(), locale.map(|locale| cookies::set(COOKIE, locale.tag(), COOKIE_MAX_AGE)));
    response
}

fn from_query(request: &Request) -> Option<Locale> {
    let fields = Fields::parse(request.uri().query()?.as_bytes()).ok()?;
    fields.get(PARAMETER).and_then(Locale::from_tag)
}

fn from_cookie(headers: &HeaderMap) -> Option<Locale> {
    cookies::get(headers, COOKIE).and_then(|cookie| Locale::from_tag(cookie.value()))
}

fn from_accept_language(headers: &HeaderMap) -> Option<Locale> {
    let lines: Vec<&str> =
        headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|line| line.to_str().ok()).collect();
    Locale::from_accept_language(&lines.join(","))
}

fn without_language(query: &str) -> String {
    let is_language = |pair: &&str| pair.split('=').next() == Some(PARAMETER);
    query.split('&').filter(|pair| !pair.is_empty() && !is_language(pair)).collect::<Vec<_>>().join("&")
}
