//! Error pages: what happened, how to continue, and a reference code.

use askama::Template;
use axum::Extension;
use axum::extract::{FromRef, Request, State};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::page_context::PageContext;
use super::pages::{ErrorPage, Link};
use super::{addresses, show};
use crate::audit::{LogEntry, Metric};
use crate::directory::Directory;
use crate::handoffs::FlowContext;
use crate::i18n::Translator;
use crate::state::AppState;
use crate::web::extract::Query;
use crate::web::language::Language;
use crate::web::{HttpError, paths};
use signpost_core::reference::CodeKind;
use signpost_core::{KeyRing, Locale, Purpose, Slug, routes};

/// The part of an error page that depends on what happened. The flow names the biller and the reference code.
#[derive(Serialize, Deserialize)]
struct ErrorDetails {
    message: String,
    /// Message key of the label, and address.
    links: Vec<(String, String)>,
    #[serde(flatten)]
    flow: FlowContext,
}

/// Makes a page of every error and of every bare error status.
pub async fn render(state: &AppState, request: Request, next: Next) -> Response {
    let is_head = request.method() == http::Method::HEAD;
    // Such a request does something, or works once: the language switch must not send it again.
    let is_callback = is_callback(request.uri().path());
    let is_one_time = !request.method().is_safe() || is_callback;
    let language = request.extensions().get::<Language>().cloned();
    let mut response = next.run(request).await;
    let status = response.status();
    let error = response.extensions_mut().remove::<HttpError>();
    let is_page =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    if error.is_none() && (is_page || !(status.is_client_error() || status.is_server_error())) {
        return response;
    }
    let Some(language) = language else { return response };
    let error = error.unwrap_or_else(|| HttpError::from_status(status));
    let language = language.or(error.locale);
    let is_sign_in = is_callback && error.status != StatusCode::METHOD_NOT_ALLOWED;
    if is_sign_in || (error.is_recorded && error.biller.is_some()) {
        count_refusal(state, &error);
    }
    let pages = PageContext::from_ref(state);
    let details = describe(&pages, &language, &error);
    let language = if is_one_time || error.is_one_time { language.at(error_url(&pages, &details)) } else { language };
    let page = page(&pages, &state.directory, &language, details);
    keep_headers((error.status, page).into_response(), &response, error.retry_after(), is_head)
}

/// Counts a sign-in that ends on an error page. A callback can name any biller.
fn count_refusal(state: &AppState, error: &HttpError) {
    let billers = state.directory.last_known_billers();
    let slug = error.biller.as_deref().and_then(|slug| Slug::parse(slug).ok());
    let biller = slug.and_then(|slug| billers.by_slug(&slug).cloned());
    state.metrics.record_sign_in_refused(biller.as_ref().map_or("", |biller| biller.slug.as_str()), error.reason);
}

fn is_callback(path: &str) -> bool {
    routes::find(path).is_some_and(|route| route.path == paths::CALLBACK)
}

/// `GET /error`: an error page again, in another language. It keeps its reference code.
pub(super) async fn show(
    State(pages): State<PageContext>,
    State(directory): State<Directory>,
    Extension(language): Extension<Language>,
    Query(fields): Query,
) -> Result<Response, HttpError> {
    let token = fields.get("t").unwrap_or_default();
    let details = pages.keys.open(Purpose::ErrorPage, "", token);
    let details = details.map_err(|_| HttpError::from_status(StatusCode::NOT_FOUND))?;
    Ok(page(&pages, &directory, &language, details))
}

/// The error of an address that names no biller.
pub(super) fn unknown_biller(keys: &KeyRing, flow: &FlowContext) -> HttpError {
    HttpError::new(StatusCode::NOT_FOUND, "unknown_biller", "error-unknown-biller")
        .with_link("action-find-biller", addresses::page(keys, paths::RECOVER, flow))
        .with_link("action-sign-in-page", addresses::page(keys, paths::LOGIN, flow))
}

/// The response to HEAD where a GET has an effect.
pub(super) async fn method_not_allowed() -> StatusCode {
    StatusCode::METHOD_NOT_ALLOWED
}

fn error_url(pages: &PageContext, details: &ErrorDetails) -> String {
    // An absolute address, because the request may have come to a host that we do not serve.
    let address = paths::absolute(&pages.config, paths::ERROR);
    paths::with_query(address.as_str(), "t", &pages.keys.seal(Purpose::ErrorPage, "", details))
}

fn describe(pages: &PageContext, language: &Language, error: &HttpError) -> ErrorDetails {
    let code = if error.is_recorded {
        let details = json!({
            "reason": error.reason,
            "status": error.status.as_u16(),
            "title": title(Translator::new(Locale::English), error.message, error.biller.as_deref()),
            "locale": language.locale,
        });
        let biller = error.biller.as_deref().map(str::to_owned);
        let entry = LogEntry {
            biller,
            name: None,
            response: "error page",
            metric: Some(Metric::SignInFailed),
            details: details.to_string(),
        };
        pages.decisions.record(CodeKind::Error, entry)
    } else {
        pages.decisions.page_code()
    };
    let mut links: Vec<(String, String)> =
        error.links.iter().map(|(label, url)| ((*label).to_owned(), url.clone())).collect();
    if links.is_empty() {
        links.push(("action-sign-in-page".to_owned(), paths::absolute(&pages.config, paths::LOGIN).to_string()));
    }
    let flow = FlowContext {
        biller: error.biller.as_deref().and_then(|slug| Slug::parse(slug).ok()),
        reference: code.to_string(),
        ..FlowContext::default()
    };
    ErrorDetails { message: error.message.to_owned(), links, flow }
}

fn page(pages: &PageContext, directory: &Directory, language: &Language, details: ErrorDetails) -> Response {
    let billers = directory.last_known_billers();
    let slug = details.flow.biller.as_ref();
    let biller = slug.and_then(|slug| billers.by_slug(slug).cloned());
    let chrome = show::chrome(pages, language, &details.flow, biller.as_deref());
    let i18n = chrome.i18n;
    let name = biller.as_ref().map(|biller| biller.name.as_str()).or(slug.map(Slug::as_str));
    let title = title(i18n, &details.message, name);
    let page = ErrorPage {
        chrome,
        text: i18n.t_text(&details.message),
        links: details.links.into_iter().map(|(label, url)| Link { label: i18n.t(&label), url }).collect(),
        title,
    };
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "the error page cannot be rendered");
            format!("{}. {} {}", page.title, i18n.t("reference"), page.chrome.reference).into_response()
        }
    }
}

/// Some headings name the biller.
fn title(i18n: Translator, message: &str, biller: Option<&str>) -> String {
    i18n.t_with(message, "biller", biller.unwrap_or_default())
}

/// Keeps the cookies and `Allow` of the first response, and adds `Retry-After`.
fn keep_headers(mut page: Response, first: &Response, retry_after: Option<HeaderValue>, is_head: bool) -> Response {
    for name in [header::SET_COOKIE, header::ALLOW] {
        for value in first.headers().get_all(&name) {
            page.headers_mut().append(&name, value.clone());
        }
    }
    if let Some(retry_after) = retry_after {
        page.headers_mut().insert(header::RETRY_AFTER, retry_after);
    }
    if is_head {
        *page.body_mut() = axum::body::Body::empty();
    }
    page
}
