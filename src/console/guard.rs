//! Access: pages require a signed-in staff member. The role is up to the handler; see `extract`.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};

use super::pages::{ContinuePage, SignInPage};
use super::{Console, respond, session, sign_in};
use crate::web::HttpError;
use signpost_core::paths::LocalAddress;

/// Lets the staff in; others get a page with the way to sign in.
pub(super) async fn require_session(
    State(console): State<Console>,
    mut request: Request,
    next: Next,
) -> Result<Response, HttpError> {
    let headers = request.headers();
    let Some(staff) = console.session(headers).await? else {
        let here = request.uri().path_and_query().and_then(|here| LocalAddress::parse(here.as_str()));
        let here = here.unwrap_or_else(LocalAddress::root);
        let is_page = request.method() == Method::GET;
        if is_page && is_cross_site(headers) && !session::has_cookie(headers) {
            // The cookie does not travel with another site's link. It does with the next step, which is our own.
            return respond::page(&console, None, StatusCode::OK, |chrome| ContinuePage { chrome, to: here });
        }
        let next = if is_page { here } else { LocalAddress::root() };
        let sign_in = sign_in::url_for(&next);
        let has_expired_session = session::has_cookie(headers);
        return respond::page(&console, None, StatusCode::UNAUTHORIZED, |chrome| SignInPage {
            chrome,
            sign_in,
            has_expired_session,
        });
    };
    request.extensions_mut().insert(staff.clone());
    let mut response = next.run(request).await;
    // For the page that may be made of a error.
    response.extensions_mut().insert(staff);
    Ok(response)
}

fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site")
}
