//! Refusals as pages: what happened, a way on, and a reference code.

use askama::Template;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::pages::{ErrorPage, Link};
use super::show;
use crate::audit::Entry;
use crate::kernel::Slug;
use crate::kernel::reference::Kind;
use crate::state::AppState;
use crate::web::{Refusal, paths};

/// Makes a page of every refusal and of every bare error status.
pub async fn render(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let is_head = request.method() == http::Method::HEAD;
    let mut response = next.run(request).await;
    let status = response.status();
    let refusal = response.extensions_mut().remove::<Refusal>();
    let is_page =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    if refusal.is_none() && (is_page || !(status.is_client_error() || status.is_server_error())) {
        return response;
    }
    let page = to_page(&state, &refusal.unwrap_or_else(|| Refusal::from_status(status)));
    keep_headers(page, &response, is_head)
}

/// HEAD where only GET has a meaning.
pub(super) async fn no_head() -> StatusCode {
    StatusCode::METHOD_NOT_ALLOWED
}

fn to_page(state: &AppState, refusal: &Refusal) -> Response {
    let code = if refusal.recorded {
        let details = json!({ "reason": refusal.reason, "status": refusal.status.as_u16(), "title": refusal.title });
        let entry =
            Entry { biller: refusal.biller.as_deref().map(str::to_owned), name: None, shown: "error page", details };
        state.decisions.record(Kind::Error, entry)
    } else {
        state.decisions.page_code()
    };
    let billers = state.directory.last_known_billers();
    let slug = refusal.biller.as_deref().and_then(|slug| Slug::parse(slug).ok());
    let biller = slug.and_then(|slug| billers.by_slug(&slug).cloned());
    let mut next: Vec<Link> =
        refusal.next.iter().map(|(label, url)| Link { label: label.clone(), url: url.clone() }).collect();
    if next.is_empty() {
        // In full: the page may stand on a host that is not ours to serve.
        let url = paths::absolute(&state.config, paths::LOGIN).to_string();
        next.push(Link { label: "Go to the sign-in page".to_owned(), url });
    }
    let page = ErrorPage {
        chrome: show::chrome(state, code.as_str(), biller.as_deref()),
        title: refusal.title.to_string(),
        text: refusal.text.clone(),
        next,
    };
    match page.render() {
        Ok(html) => (refusal.status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "the error page cannot be rendered");
            (refusal.status, format!("{}. Reference code: {code}", refusal.title)).into_response()
        }
    }
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
