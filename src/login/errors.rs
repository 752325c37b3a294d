//! Refusals as pages: what happened, a way on, and a reference code.

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, Request, State};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::pages::{ErrorPage, Link};
use super::show;
use crate::audit::{LogEntry, Metric};
use crate::i18n::Translator;
use crate::state::AppState;
use crate::web::fields::Fields;
use crate::web::language::Language;
use crate::web::{HttpError, paths};
use signpost_core::reference::CodeKind;
use signpost_core::{Locale, Purpose, Slug, routes};

/// An error page, as far as it depends on what happened.
#[derive(Serialize, Deserialize)]
struct LocalizedError {
    message: String,
    biller: Option<String>,
    links: Vec<(String, String)>,
    code: String,
}

/// Makes a page of every error and of every bare error status.
pub async fn render(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let is_head = request.method() == http::Method::HEAD;
    // To ask again would do it again, or would not: a sign-in works once.
    let is_one_time = !request.method().is_safe() || is_callback(request.uri().path());
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
    let details = describe(&state, &language, &error);
    let language = if is_one_time || error.is_one_time { language.at(error_url(&state, &details)) } else { language };
    keep_headers((error.status, page(&state, &language, details)).into_response(), &response, is_head)
}

fn is_callback(path: &str) -> bool {
    routes::find(path).is_some_and(|route| route.path == paths::CALLBACK)
}

/// `GET /error`: an error page again, in another language. Nothing is done, and its code stays.
pub(super) async fn show(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, HttpError> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let details =
        fields.get("t").and_then(|sealed| state.keys.open::<LocalizedError>(Purpose::ErrorPage, "", sealed).ok());
    let details = details.ok_or_else(|| HttpError::from_status(StatusCode::NOT_FOUND))?;
    Ok(page(&state, &language, details))
}

/// HEAD where only GET has a meaning.
pub(super) async fn method_not_allowed() -> StatusCode {
    StatusCode::METHOD_NOT_ALLOWED
}

fn error_url(state: &AppState, details: &LocalizedError) -> String {
    // In full: the page may stand on a host that is not ours to serve.
    let address = paths::absolute(&state.config, paths::ERROR);
    paths::with_query(address.as_str(), "t", &state.keys.seal(Purpose::ErrorPage, "", details))
}

fn describe(state: &AppState, language: &Language, error: &HttpError) -> LocalizedError {
    let code = if error.is_recorded {
        let details = json!({
            "reason": error.reason,
            "status": error.status.as_u16(),
            "title": title(Translator::new(Locale::English), error.message, error.biller.as_deref()),
            "locale": language.locale,
        });
        let biller = error.biller.as_deref().map(str::to_owned);
        let entry =
            LogEntry { biller, name: None, response: "error page", metric: Some(Metric::SignInFailed), details };
        state.decisions.record(CodeKind::Error, entry)
    } else {
        state.decisions.page_code()
    };
    let mut links: Vec<(String, String)> =
        error.links.iter().map(|(label, url)| ((*label).to_owned(), url.clone())).collect();
    if links.is_empty() {
        links.push(("action-sign-in-page".to_owned(), paths::absolute(&state.config, paths::LOGIN).to_string()));
    }
    LocalizedError {
        message: error.message.to_owned(),
        biller: error.biller.as_deref().map(str::to_owned),
        links,
        code: code.to_string(),
    }
}

fn page(state: &AppState, language: &Language, details: LocalizedError) -> Response {
    let billers = state.directory.last_known_billers();
    let slug = details.biller.as_deref().and_then(|slug| Slug::parse(slug).ok());
    let biller = slug.and_then(|slug| billers.by_slug(&slug).cloned());
    let chrome = show::chrome(state, language, &details.code, biller.as_deref());
    let i18n = chrome.i18n;
    let name = biller.as_ref().map(|biller| biller.name.as_str()).or(details.biller.as_deref());
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
            format!("{}. {} {}", page.title, i18n.t("reference"), details.code).into_response()
        }
    }
}

/// Some headings name the biller.
fn title(i18n: Translator, message: &str, biller: Option<&str>) -> String {
    i18n.t_with(message, "biller", biller.unwrap_or_default())
}

/// Cookies and `Allow` of the first answer stay; a limit says when to come again.
fn keep_headers(mut page: Response, first: &Response, is_head: bool) -> Response {
    for name in [header::SET_COOKIE, header::ALLOW] {
        for value in first.headers().get_all(&name) {
            page.headers_mut().append(&name, value.clone());
        }
    }
    if matches!(page.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    }
    if is_head {
        *page.body_mut() = axum::body::Body::empty();
    }
    page
}
