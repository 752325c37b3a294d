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
use crate::audit::{Entry, Score};
use crate::state::AppState;
use crate::web::fields::Fields;
use crate::web::language::Language;
use crate::web::{Refusal, paths};
use crate::words::Words;
use signpost_core::reference::Kind;
use signpost_core::{Locale, Purpose, Slug};

/// An error page, as far as it depends on what happened.
#[derive(Serialize, Deserialize)]
struct Told {
    message: String,
    biller: Option<String>,
    next: Vec<(String, String)>,
    code: String,
}

/// Makes a page of every refusal and of every bare error status.
pub async fn render(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let is_head = request.method() == http::Method::HEAD;
    // To ask again would do it again, or would not: a sign-in works once.
    let is_once = !request.method().is_safe() || request.uri().path().starts_with("/callback/");
    let language = request.extensions().get::<Language>().cloned();
    let mut response = next.run(request).await;
    let status = response.status();
    let refusal = response.extensions_mut().remove::<Refusal>();
    let is_page =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    if refusal.is_none() && (is_page || !(status.is_client_error() || status.is_server_error())) {
        return response;
    }
    let Some(language) = language else { return response };
    let refusal = refusal.unwrap_or_else(|| Refusal::from_status(status));
    let language = language.or(refusal.locale);
    let told = tell(&state, &language, &refusal);
    let language = if is_once || refusal.once { language.at(address(&state, &told)) } else { language };
    keep_headers((refusal.status, page(&state, &language, told)).into_response(), &response, is_head)
}

/// `GET /trouble`: an error page again, in another language. Nothing is done, and its code stays.
pub(super) async fn again(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let told = fields.get("t").and_then(|sealed| state.keys.open::<Told>(Purpose::Page, "", sealed).ok());
    let told = told.ok_or_else(|| Refusal::from_status(StatusCode::NOT_FOUND))?;
    Ok(page(&state, &language, told))
}

/// HEAD where only GET has a meaning.
pub(super) async fn no_head() -> StatusCode {
    StatusCode::METHOD_NOT_ALLOWED
}

fn address(state: &AppState, told: &Told) -> String {
    // In full: the page may stand on a host that is not ours to serve.
    let address = paths::absolute(&state.config, paths::TROUBLE);
    paths::with_query(address.as_str(), "t", &state.keys.seal(Purpose::Page, "", told))
}

fn tell(state: &AppState, language: &Language, refusal: &Refusal) -> Told {
    let code = if refusal.recorded {
        let details = json!({
            "reason": refusal.reason,
            "status": refusal.status.as_u16(),
            "title": title(Words::of(Locale::English), refusal.message, refusal.biller.as_deref()),
            "locale": language.locale,
        });
        let biller = refusal.biller.as_deref().map(str::to_owned);
        let entry = Entry { biller, name: None, shown: "error page", score: Some(Score::Failed), details };
        state.decisions.record(Kind::Error, entry)
    } else {
        state.decisions.page_code()
    };
    let mut next: Vec<(String, String)> =
        refusal.next.iter().map(|(label, url)| ((*label).to_owned(), url.clone())).collect();
    if next.is_empty() {
        next.push(("go-sign-in-page".to_owned(), paths::absolute(&state.config, paths::LOGIN).to_string()));
    }
    Told {
        message: refusal.message.to_owned(),
        biller: refusal.biller.as_deref().map(str::to_owned),
        next,
        code: code.to_string(),
    }
}

fn page(state: &AppState, language: &Language, told: Told) -> Response {
    let billers = state.directory.last_known_billers();
    let slug = told.biller.as_deref().and_then(|slug| Slug::parse(slug).ok());
    let biller = slug.and_then(|slug| billers.by_slug(&slug).cloned());
    let chrome = show::chrome(state, language, &told.code, biller.as_deref());
    let words = chrome.words;
    let name = biller.as_ref().map(|biller| biller.name.as_str()).or(told.biller.as_deref());
    let title = title(words, &told.message, name);
    let page = ErrorPage {
        chrome,
        text: words.text(&told.message),
        next: told.next.into_iter().map(|(label, url)| Link { label: words.say(&label), url }).collect(),
        title,
    };
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "the error page cannot be rendered");
            format!("{}. {} {}", page.title, words.say("reference"), told.code).into_response()
        }
    }
}

/// Some headings name the biller.
fn title(words: Words, message: &str, biller: Option<&str>) -> String {
    words.tell(message, "biller", biller.unwrap_or_default())
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
