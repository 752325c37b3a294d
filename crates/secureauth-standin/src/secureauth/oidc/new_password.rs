//! The page "You need to set a new password". It imitates the vendor's reset, without the mail.

use axum::http::HeaderMap;
use axum::response::Response;

use super::authorize_request::AuthorizeRequest;
use super::pages;
use super::sign_in::complete_sign_in;
use crate::secureauth::api::pool_users::{PoolUser, find_pool_user_by_id, policy_error, set_password};
use crate::secureauth::state::issuer::Issuer;
use crate::secureauth::state::mail::Ticket;
use crate::secureauth::state::standin::SecureAuthStandIn;
use crate::web::Fields;

/// The page. Its form can be sent once.
pub(crate) fn render(
    standin: &SecureAuthStandIn,
    issuer: &Issuer,
    request: &AuthorizeRequest,
    found: &PoolUser,
    problem: Option<&str>,
) -> Response {
    let ticket = Ticket { pool: found.pool.clone(), user: found.user.clone() };
    let ticket = standin.api().issue_ticket(standin.random(), ticket);
    pages::new_password(issuer, request, &ticket, problem)
}

/// The form of the page. It sets the password and completes the sign-in.
pub(crate) async fn submit(
    standin: &SecureAuthStandIn,
    issuer: &Issuer,
    headers: &HeaderMap,
    request: AuthorizeRequest,
    fields: &Fields,
) -> Response {
    let api = standin.api();
    let ticket = fields.get("ticket").and_then(|ticket| api.redeem_ticket(ticket));
    let found =
        ticket.and_then(|ticket| find_pool_user_by_id(api, &issuer.id, &ticket.pool, &ticket.user, standin.now()));
    let Some(found) = found else {
        return pages::sign_in(issuer, &request, "", Some("This page was used already. Sign in again."));
    };
    let password = fields.get("new_password").unwrap_or_default();
    if fields.get("new_password_again") != Some(password) {
        return render(standin, issuer, &request, &found, Some("The two passwords are not the same."));
    }
    if let Some(policy_error) = policy_error(api, &found.pool, password) {
        return render(standin, issuer, &request, &found, Some(&policy_error));
    }
    set_password(standin, &found.pool, &found.user, password).await;
    complete_sign_in(standin, issuer, headers, request, &found.account)
}
