//! The language of a page, and how to get the same page in another language. `?lang=` comes first, then the cookie with the last
//! choice, the flow context of a link, and `Accept-Language`. The default is English.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, header};

use super::cookies;
use super::fields::Fields;
use signpost_core::Locale;

pub const PARAMETER: &str = "lang";
const COOKIE: &str = "__Host-l";
const COOKIE_MAX_AGE: Duration = Duration::from_secs(180 * 24 * 3600);

/// The language of a request.
#[derive(Clone, Debug)]
pub struct Language {
    pub locale: Locale,
    /// The customer chose it, on this or an earlier page.
    is_explicit: bool,
    same_page: SamePage,
}

/// How to request the same page again, in another language.
#[derive(Clone, Debug)]
pub enum SamePage {
    /// By its address. This is the query without the language, still encoded.
    Query(String),
    /// By sending the form again.
    Form { action: String, fields: Vec<(String, String)> },
    /// By another address, which shows the page again and has no effect.
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

    /// A fixed language, for previews.
    pub fn fixed(locale: Locale) -> Self {
        Self { locale, is_explicit: true, same_page: SamePage::Query(String::new()) }
    }

    /// The language of an earlier page, unless the customer has chosen one.
    #[must_use]
    pub fn or(mut self, earlier: Option<Locale>) -> Self {
        if let Some(locale) = earlier.filter(|_| !self.is_explicit) {
            self.locale = locale;
        }
        self
    }

    /// For the response to a form: the form's language. The language switch sends these fields again.
    #[must_use]
    pub fn for_form(self, action: &str, fields: &Fields, names: &[&str]) -> Self {
        let sent = names.iter().filter_map(|name| Some(((*name).to_owned(), fields.get(name)?.to_owned()))).collect();
        let same_page = SamePage::Form { action: action.to_owned(), fields: sent };
        Self { same_page, ..self.or(fields.get(PARAMETER).and_then(Locale::from_tag)) }
    }

    /// For a page that another address shows again.
    #[must_use]
    pub fn at(self, address: String) -> Self {
        Self { same_page: SamePage::At(address), ..self }
    }

    pub fn same_page(&self) -> &SamePage {
        &self.same_page
    }
}

/// Detects the language, and adds `Vary`. The response to a form has no `Vary`: only Back requests it again, and would miss it
/// once a cookie has changed (docs/adr/0005).
pub async fn detect(mut request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let is_post = request.method() == Method::POST;
    let language = Language::from_request(&request);
    request.extensions_mut().insert(language);
    let mut response = next(request).await;
    let is_page =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    if !is_post && (is_page || response.status().is_redirection()) {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-language, cookie"));
    }
    response
}

/// Remembers a choice by `?lang=` in a cookie.
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
