//! `{issuer}/oauth2/authorize`: the sign-in page and its form.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawForm, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::authorize_request::{error, redirect_to_client, validate_request};
use super::sign_in::complete_sign_in;
use super::{new_password, pages};
use crate::passwords;
use crate::secureauth::api::pool_users::find_pool_user;
use crate::secureauth::api::{AuditEvent, record_event};
use crate::secureauth::state::issuer::Issuer;
use crate::secureauth::state::standin::SecureAuthStandIn;
use crate::web::Fields;

/// The same text for an unknown username and a wrong password.
const INVALID_CREDENTIALS: &str = "The username or password is not right.";

/// `GET`: the sign-in page. It appears also for a user who is signed in already.
pub(crate) async fn sign_in_page(
    State(standin): State<SecureAuthStandIn>,
    Extension(issuer): Extension<Arc<Issuer>>,
    RawForm(query): RawForm,
) -> Response {
    let fields = Fields::parse(&query);
    match validate_request(&standin, &issuer, &fields) {
        Err(response) => *response,
        Ok(request) if request.prompt_none => redirect_to_client(
            &issuer,
            &request.redirect_uri,
            request.state.as_deref(),
            &error("login_required", "sign-in is needed"),
        ),
        Ok(request) => pages::sign_in(&issuer, &request, fields.get("login_hint").unwrap_or_default(), None),
    }
}

/// `POST`: the form of the sign-in page.
pub(crate) async fn submit(
    State(standin): State<SecureAuthStandIn>,
    Extension(issuer): Extension<Arc<Issuer>>,
    headers: HeaderMap,
    RawForm(form): RawForm,
) -> Response {
    let fields = Fields::parse(&form);
    let request = match validate_request(&standin, &issuer, &fields) {
        Ok(request) => request,
        Err(response) => return *response,
    };
    if fields.get("action") == Some("cancel") {
        let denied = error("access_denied", "the user cancelled");
        return redirect_to_client(&issuer, &request.redirect_uri, request.state.as_deref(), &denied);
    }
    if fields.get("action") == Some("set-password") {
        return new_password::submit(&standin, &issuer, &headers, request, &fields).await;
    }
    let typed = fields.get("username").unwrap_or_default().trim();
    let password = fields.get("password").unwrap_or_default();
    if issuer.users.contains_key(&typed.to_lowercase()) {
        // Users of the configuration share one password.
        let right = passwords::verify(standin.password_hash(), password).await;
        return match issuer.users.get(&typed.to_lowercase()) {
            Some(account) if right => complete_sign_in(&standin, &issuer, &headers, request, account),
            _ => pages::sign_in(&issuer, &request, typed, Some(INVALID_CREDENTIALS)),
        };
    }
    let found = find_pool_user(standin.api(), &issuer.id, typed, standin.now());
    // An unknown username takes as long as a known one.
    let hash = found.as_ref().and_then(|found| found.hash.clone());
    let right = passwords::verify(hash.as_ref().unwrap_or(standin.password_hash()), password).await;
    if let Some(found) = &found {
        let succeeded = right && found.hash.is_some() && !found.needs_new_password(right);
        let action = if succeeded { "succeeded" } else { "failed" };
        let (server, pool, user) = (issuer.id.as_str(), found.pool.as_str(), found.user.as_str());
        record_event(&standin, &AuditEvent { server, subject: "login", action, pool, user, correlation: None });
    }
    match found {
        Some(found) if found.needs_new_password(right) => {
            new_password::render(&standin, &issuer, &request, &found, None)
        }
        Some(found) if right && found.hash.is_some() => {
            complete_sign_in(&standin, &issuer, &headers, request, &found.account)
        }
        _ => pages::sign_in(&issuer, &request, typed, Some(INVALID_CREDENTIALS)),
    }
}
