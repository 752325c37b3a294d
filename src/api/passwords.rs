//! `POST /api/v1/users/{id}/change-password` and `/reset-request`: forwarded to SecureAuth, which stores the passwords.

use std::sync::Arc;

use axum::extract::{FromRef, Path, State};
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::ApiKeyFor;
use super::json::JsonBody;
use super::problem::{not_found, problem};
use crate::access::{ApiKey, Scope, scope};
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::db::Db;
use crate::directory::{Biller, Directory};
use crate::provisioning::{Provisioning, ProvisioningError};
use crate::secureauth::management::CallError;
use crate::state::AppState;
use crate::web::{HttpError, paths};
use signpost_core::{Clock, Slug, UserId};

/// A change of a password. SecureAuth names the first two fields the same.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordChange {
    #[schema(value_type = String, format = Password)]
    old_password: SecretString,
    #[schema(value_type = String, format = Password)]
    new_password: SecretString,
    /// Required if the user belongs to several migrated billers.
    #[schema(value_type = Option<Slug>)]
    biller: Option<String>,
}

/// Options of a password reset.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordReset {
    /// The address that the mail goes to. Default: the user's mail address.
    email: Option<String>,
    /// Required if the user belongs to several migrated billers.
    #[schema(value_type = Option<Slug>)]
    biller: Option<String>,
}

/// Change a user's password
///
/// Signpost forwards the change to SecureAuth, which stores the password.
#[utoipa::path(
    post, path = paths::CHANGE_PASSWORD, operation_id = "changePassword", tag = "Passwords",
    params(("id" = UserId, Path)),
    request_body(content = PasswordChange, example = json!({ "old_password": "the old one", "new_password": "a new one" })),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 204, description = "The password is changed."),
        (status = 403, description = "`biller_not_in_scope`: the user also belongs to billers that the API key has no access to."),
        (status = 409, description = "`not_at_secureauth`: none of the user's billers is active at SecureAuth.\n\
            `biller_required`: several are; set `biller`.\n`not_provisioned`: the user has not reached SecureAuth yet."),
        (status = 422, description = "`wrong_password`: the old password is wrong.\n`rejected_by_secureauth`: SecureAuth rejected the request."),
        (status = 502, description = "`secureauth_unavailable`: SecureAuth did not respond. The request may or may not have taken effect."),
        (status = 503, description = "`secureauth_busy`: SecureAuth is throttling requests. Try again later."),
    ),
)]
pub(super) async fn change(
    key: ApiKeyFor<scope::IdentityWrite>,
    State(accounts): State<Accounts>,
    Path(user): Path<UserId>,
    JsonBody(request): JsonBody<PasswordChange>,
) -> Result<StatusCode, HttpError> {
    let biller = accounts.resolve_biller(&key, &user, request.biller.as_deref()).await?;
    accounts.record(key.actor_context(), &biller, (Action::PasswordChanged, &user)).await?;
    let passwords = (&request.old_password, &request.new_password);
    accounts.provisioning.change_password(&biller, &user, passwords).await.map_err(http_error)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Request a password reset
///
/// Signpost forwards the request to SecureAuth, which sends the user a mail. SecureAuth does not report whether it sent one.
#[utoipa::path(
    post, path = paths::RESET_REQUEST, operation_id = "requestPasswordReset", tag = "Passwords",
    params(("id" = UserId, Path)),
    request_body(content = Option<PasswordReset>, example = json!({ "biller": "maple-electric" })),
    security(("key" = [Scope::IdentityWrite.as_str()])),
    responses(
        (status = 204, description = "SecureAuth accepted the request."),
        (status = 403, description = "`biller_not_in_scope`: the user also belongs to billers that the API key has no access to."),
        (status = 409, description = "`not_at_secureauth`: none of the user's billers is active at SecureAuth.\n\
            `biller_required`: several are; set `biller`.\n`not_provisioned`: the user has not reached SecureAuth yet."),
        (status = 422, description = "`email_required`: the user has no mail address; set `email`.\n`rejected_by_secureauth`: SecureAuth rejected the request."),
        (status = 502, description = "`secureauth_unavailable`: SecureAuth did not respond. The request may or may not have taken effect."),
        (status = 503, description = "`secureauth_busy`: SecureAuth is throttling requests. Try again later."),
    ),
)]
pub(super) async fn request_reset(
    key: ApiKeyFor<scope::IdentityWrite>,
    State(accounts): State<Accounts>,
    Path(user): Path<UserId>,
    body: Option<JsonBody<PasswordReset>>,
) -> Result<StatusCode, HttpError> {
    let request = body.map(|JsonBody(request)| request).unwrap_or_default();
    let biller = accounts.resolve_biller(&key, &user, request.biller.as_deref()).await?;
    let address = match request.email {
        Some(address) => address,
        None => accounts.directory.email_of(&user).await?.unwrap_or_default(),
    };
    if address.is_empty() {
        let detail = "The user has no mail address. Set `email`.";
        return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "email_required", detail));
    }
    accounts.record(key.actor_context(), &biller, (Action::PasswordResetRequested, &user)).await?;
    accounts.provisioning.request_reset(&biller, &user, &address).await.map_err(http_error)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Users and their passwords at SecureAuth.
#[derive(Clone)]
pub(super) struct Accounts {
    directory: Directory,
    provisioning: Provisioning,
    db: Db,
    clock: Clock,
}

impl FromRef<AppState> for Accounts {
    fn from_ref(state: &AppState) -> Self {
        Self {
            directory: state.directory.clone(),
            provisioning: state.provisioning.clone(),
            db: state.db.clone(),
            clock: state.clock.clone(),
        }
    }
}

impl Accounts {
    /// Records the audit event before the call, because the call changes nothing in our database.
    async fn record(
        &self,
        actor: &ActorContext,
        biller: &Biller,
        (action, user): (Action, &UserId),
    ) -> Result<(), HttpError> {
        let event = AuditEvent::new(action).at(&biller.slug).about(user.as_str());
        Ok(actor.record_alone(&self.db, event).await?)
    }

    /// The active biller whose user pool has the user's password: the named one, or the only one. The key needs access to all billers
    /// of the user.
    async fn resolve_biller(&self, key: &ApiKey, user: &UserId, named: Option<&str>) -> Result<Arc<Biller>, HttpError> {
        let billers = self.directory.billers().await?;
        let ids = self.directory.billers_of(user).await?;
        let all: Vec<&Arc<Biller>> = ids.iter().filter_map(|id| billers.by_id(id)).collect();
        let in_scope = all.iter().filter(|biller| key.permits_biller(&biller.slug)).count();
        if in_scope == 0 {
            return Err(not_found());
        }
        if in_scope < all.len() {
            let detail = "The user also belongs to billers that the API key has no access to.";
            return Err(problem(StatusCode::FORBIDDEN, "biller_not_in_scope", detail));
        }
        let now = self.clock.now();
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
                let detail = "The user belongs to several active billers. Set `biller`.";
                Err(problem(StatusCode::CONFLICT, "biller_required", detail))
            }
        }
    }
}

/// Translates errors of SecureAuth. Its own texts might repeat what was sent.
fn http_error(error: ProvisioningError) -> HttpError {
    let (status, reason, detail) = match error {
        ProvisioningError::Directory(error) => return error.into(),
        ProvisioningError::Call(CallError::Rejected(rejection)) => match rejection.status {
            401 => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_password", "The old password is wrong."),
            404 => (StatusCode::CONFLICT, "not_provisioned", "The user has not reached SecureAuth yet."),
            _ => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "rejected_by_secureauth",
                "SecureAuth rejected the request. A new password has to meet its password policy.",
            ),
        },
        ProvisioningError::Call(CallError::Throttled) => {
            (StatusCode::SERVICE_UNAVAILABLE, "secureauth_busy", "SecureAuth is throttling requests. Try again later.")
        }
        ProvisioningError::Call(_) => (
            StatusCode::BAD_GATEWAY,
            "secureauth_unavailable",
            "SecureAuth did not respond. The request may or may not have taken effect.",
        ),
        _ => (StatusCode::CONFLICT, "not_at_secureauth", "Signpost does not manage the biller's users at SecureAuth."),
    };
    problem(status, reason, detail)
}
