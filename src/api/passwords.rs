//! `POST /api/v1/users/{id}/change-password` and `/reset-request`: passed on to SecureAuth.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::require;
use super::json::read_json;
use super::problem::problem;
use crate::access::{ApiKey, Scope};
use crate::audit::{Action, AuditEvent};
use crate::directory::Biller;
use crate::provisioning::ProvisioningError;
use crate::secureauth::management::CallError;
use crate::state::AppState;
use crate::web::{HttpError, paths};
use signpost_core::{Slug, UserId};

/// A password to be changed. The first two fields are the vendor's.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordChange {
    #[schema(value_type = String, format = Password)]
    old_password: SecretString,
    #[schema(value_type = String, format = Password)]
    new_password: SecretString,
    /// For users of several moved billers.
    #[schema(value_type = Option<Slug>)]
    biller: Option<String>,
}

/// How a password is to be reset.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordReset {
    /// Where the mail goes; without it, to the user's mail address.
    email: Option<String>,
    /// For users of several moved billers.
    #[schema(value_type = Option<Slug>)]
    biller: Option<String>,
}

/// Change a user's password
///
/// Passed on to SecureAuth, where the password is.
#[utoipa::path(
    post, path = paths::CHANGE_PASSWORD, operation_id = "changePassword", tag = "Passwords",
    params(("id" = UserId, Path)),
    request_body(content = PasswordChange, example = json!({ "old_password": "the old one", "new_password": "a new one" })),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 204, description = "It was changed."),
        (status = 403, description = "`biller_not_in_scope`: the user belongs to billers that this key does not reach."),
        (status = 409, description = "`not_at_secureauth`: no biller of the user's is active at SecureAuth.\n\
            `biller_required`: several are; name one as `biller`.\n`not_provisioned`: the user has not arrived there yet."),
        (status = 422, description = "`wrong_password`: the old password is not right.\n`rejected_by_secureauth`: SecureAuth does not accept it."),
        (status = 502, description = "`secureauth_unavailable`: SecureAuth does not answer; whether it did what was asked is not known."),
        (status = 503, description = "`secureauth_busy`: SecureAuth asks to try again later."),
    ),
)]
pub(super) async fn change(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, HttpError> {
    let key = require(&state, &headers, Scope::IdentityWrite).await?;
    let request: PasswordChange = read_json(&headers, &body)?;
    let user = UserId::from(id);
    let biller = resolve_biller(&state, &key, &user, request.biller.as_deref()).await?;
    record(&state, &key, &biller, (Action::PasswordChanged, &user)).await?;
    let passwords = (&request.old_password, &request.new_password);
    state.provisioning.change_password(&biller, &user, passwords).await.map_err(http_error)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ask for a password reset
///
/// SecureAuth sends the user a mail, or does not: it does not say.
#[utoipa::path(
    post, path = paths::RESET_REQUEST, operation_id = "requestPasswordReset", tag = "Passwords",
    params(("id" = UserId, Path)),
    request_body(content = Option<PasswordReset>, example = json!({ "biller": "maple-electric" })),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 204, description = "It was asked for."),
        (status = 403, description = "`biller_not_in_scope`: the user belongs to billers that this key does not reach."),
        (status = 409, description = "`not_at_secureauth`: no biller of the user's is active at SecureAuth.\n\
            `biller_required`: several are; name one as `biller`.\n`not_provisioned`: the user has not arrived there yet."),
        (status = 422, description = "`email_required`: the user has no mail address; name one.\n`rejected_by_secureauth`: SecureAuth does not accept it."),
        (status = 502, description = "`secureauth_unavailable`: SecureAuth does not answer; whether it did what was asked is not known."),
        (status = 503, description = "`secureauth_busy`: SecureAuth asks to try again later."),
    ),
)]
pub(super) async fn request_reset(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, HttpError> {
    let key = require(&state, &headers, Scope::IdentityWrite).await?;
    let request: PasswordReset = if body.is_empty() { PasswordReset::default() } else { read_json(&headers, &body)? };
    let user = UserId::from(id);
    let biller = resolve_biller(&state, &key, &user, request.biller.as_deref()).await?;
    let address = match request.email {
        Some(address) => address,
        None => state.directory.email_of(&user).await?.unwrap_or_default(),
    };
    if address.is_empty() {
        let detail = "The user has no mail address: name one as `email`.";
        return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "email_required", detail));
    }
    record(&state, &key, &biller, (Action::PasswordResetRequested, &user)).await?;
    state.provisioning.request_reset(&biller, &user, &address).await.map_err(http_error)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is passed on changes nothing here, so it is written down before.
async fn record(
    state: &AppState,
    key: &ApiKey,
    biller: &Biller,
    (action, user): (Action, &UserId),
) -> Result<(), HttpError> {
    let event = AuditEvent::new(action).at(&biller.slug).about(user.as_str());
    Ok(state.actor_context(key.actor()).record_alone(&state.db, event).await?)
}

/// The active biller at which the user's password is: the one named, or the only one. A key that is limited to some billers
/// may change only users of whom all billers are its own.
async fn resolve_biller(
    state: &AppState,
    key: &ApiKey,
    user: &UserId,
    named: Option<&str>,
) -> Result<Arc<Biller>, HttpError> {
    let billers = state.directory.billers().await?;
    let ids = state.directory.billers_of(user).await?;
    let all: Vec<&Arc<Biller>> = ids.iter().filter_map(|id| billers.by_id(id)).collect();
    let in_scope = all.iter().filter(|biller| key.permits_biller(&biller.slug)).count();
    if in_scope == 0 {
        return Err(problem(StatusCode::NOT_FOUND, "not_found", "There is no such user."));
    }
    if in_scope < all.len() {
        let detail = "The user belongs to billers that this key does not reach.";
        return Err(problem(StatusCode::FORBIDDEN, "biller_not_in_scope", detail));
    }
    let now = state.clock.now();
    let is_candidate =
        |biller: &Arc<Biller>| biller.is_active(now) && named.is_none_or(|slug| biller.slug.as_str() == slug);
    let active: Vec<&Arc<Biller>> = all.into_iter().filter(|biller| is_candidate(biller)).collect();
    match active[..] {
        [only] => Ok(Arc::clone(only)),
        [] => {
            let detail = "The user belongs to no such biller that is active at SecureAuth.";
            Err(problem(StatusCode::CONFLICT, "not_at_secureauth", detail))
        }
        _ => {
            let detail = "The user belongs to several active billers: name one as `biller`.";
            Err(problem(StatusCode::CONFLICT, "biller_required", detail))
        }
    }
}

/// What SecureAuth says, in our words: its own might hold what was sent.
fn http_error(error: ProvisioningError) -> HttpError {
    let (status, reason, detail) = match error {
        ProvisioningError::Directory(error) => return error.into(),
        ProvisioningError::Call(CallError::Rejected(rejection)) => match rejection.status {
            401 => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_password", "The old password is not right."),
            404 => (StatusCode::CONFLICT, "not_provisioned", "The user has not arrived at SecureAuth yet."),
            _ => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "rejected_by_secureauth",
                "SecureAuth does not accept this: for a new password, see its rules.",
            ),
        },
        ProvisioningError::Call(CallError::Throttled) => {
            (StatusCode::SERVICE_UNAVAILABLE, "secureauth_busy", "SecureAuth asks to try again later.")
        }
        ProvisioningError::Call(_) => (
            StatusCode::BAD_GATEWAY,
            "secureauth_unavailable",
            "SecureAuth does not answer. Whether it did what was asked is not known.",
        ),
        _ => (StatusCode::CONFLICT, "not_at_secureauth", "The biller's users at SecureAuth are not kept by Signpost."),
    };
    problem(status, reason, detail)
}
