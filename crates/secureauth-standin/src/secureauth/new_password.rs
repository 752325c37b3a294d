//! The page "You need to set a new password": an imitation of the vendor's reset, without the mail in between.

use axum::http::HeaderMap;
use axum::response::Response;

use super::api::{PoolUser, Ticket, set_password};
use super::authorize::{AuthorizeRequest, complete_sign_in};
use super::{Issuer, SecureAuthStandIn, pages};
use crate::web::Fields;

/// Shows the page; its form is good once.
pub(super) fn render(
    standin: &SecureAuthStandIn,
    issuer: &Issuer,
    request: &AuthorizeRequest,
    found: &PoolUser,
    problem: Option<&str>,
) -> Response {
    let ticket = Ticket { pool: found.pool.clone(), user: found.user.clone() };
    let ticket = standin.0.api.ticket(&standin.0.deps.random, ticket);
    pages::new_password(issuer, request, &ticket, problem)
}

/// The page's form: sets the password, and the sign-in goes on.
pub(super) async fn submit(
    standin: &SecureAuthStandIn,
    issuer: &Issuer,
    headers: &HeaderMap,
    request: AuthorizeRequest,
    fields: &Fields,
) -> Response {
    let api = &standin.0.api;
    let ticket = fields.get("ticket").and_then(|ticket| api.redeem(ticket));
    let found =
        ticket.and_then(|ticket| api.find_pool_user_by_id(&issuer.id, &ticket.pool, &ticket.user, standin.now()));
    let Some(found) = found else {
        return pages::sign_in(issuer, &request, "", Some("This page was used already. Sign in again."));
    };
    let password = fields.get("new_password").unwrap_or_default();
    if fields.get("new_password_again") != Some(password) {
        return render(standin, issuer, &request, &found, Some("The two passwords are not the same."));
    }
    if let Some(policy_error) = api.policy_error(&found.pool, password) {
        return render(standin, issuer, &request, &found, Some(&policy_error));
    }
    set_password(standin, &found.pool, &found.user, password).await;
    complete_sign_in(standin, issuer, headers, request, &found.account)
}
