//! Nobody gets in who is not signed in, and nobody further than their role goes.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};

use super::pages::{ContinuePage, SignInPage};
use super::staff::Staff;
use super::{Console, session, show, sign_in};
use crate::web::Refusal;

/// Lets the staff in; others get a page with the way to sign in.
pub(super) async fn signed_in(
    State(console): State<Console>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let headers = request.headers();
    let Some(staff) = console.session(headers).await? else {
        let here = request.uri().path_and_query().map_or("/", |here| here.as_str()).to_owned();
        let is_page = request.method() == Method::GET;
        if is_page && is_from_elsewhere(headers) && !session::has_cookie(headers) {
            // The cookie does not travel with another site's link. It does with the next step, which is our own.
            return show::page(&console, None, StatusCode::OK, |chrome| ContinuePage { chrome, to: here });
        }
        let next = if is_page { here } else { "/".to_owned() };
        let sign_in = sign_in::address(&next);
        let was_here = session::has_cookie(headers);
        return show::page(&console, None, StatusCode::UNAUTHORIZED, |chrome| SignInPage { chrome, sign_in, was_here });
    };
    request.extensions_mut().insert(staff.clone());
    let mut response = next.run(request).await;
    // For the page that may be made of a refusal.
    response.extensions_mut().insert(staff);
    Ok(response)
}

/// Pages that change something.
pub(super) async fn operators(staff: Staff, request: Request, next: Next) -> Response {
    if staff.operates() { next.run(request).await } else { not_for_this_role() }
}

/// Pages about what staff and users did.
pub(super) async fn overseers(staff: Staff, request: Request, next: Next) -> Response {
    if staff.oversees() { next.run(request).await } else { not_for_this_role() }
}

fn not_for_this_role() -> Response {
    Refusal { reason: "role", ..Refusal::from_status(StatusCode::FORBIDDEN) }.into_response()
}

fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site")
}
