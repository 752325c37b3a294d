//! Checks of a user's password for an external system.

use axum::http::Method;
use serde_json::json;

use super::call::Call;
use super::pool_users::{PasswordState, PoolUser, pool_user};
use crate::passwords::verify;
use crate::secureauth::response::{ApiError, ApiResponse, ApiResult};
use crate::secureauth::state::objects::str_field;

/// `POST …/user/password/v2/verify`: 200 also for a wrong password. An unknown user has an empty id.
pub(crate) async fn v2(call: &Call<'_>, pool: &str) -> ApiResult {
    let (found, is_right) = check_password(call, pool).await?;
    let (id, state, result) = match &found {
        None => ("", "valid", "user_not_found"),
        Some(PoolUser { user, hash: None, .. }) => (user.as_str(), "valid", "no_password"),
        Some(PoolUser { user, password, .. }) => {
            let result = match (is_right, password) {
                (false, _) => "password_incorrect",
                (true, PasswordState::MustBeReset) => "password_expired",
                (true, _) => "password_correct",
            };
            (user.as_str(), state_name(password), result)
        }
    };
    ApiResponse::list(json!({ "id": id, "state": state, "result": result }))
}

/// `POST …/user/password/verify`, which is deprecated: 401 for every problem.
pub(crate) async fn v1(call: &Call<'_>, pool: &str) -> ApiResult {
    match check_password(call, pool).await? {
        (Some(found), true) => ApiResponse::list(json!({ "id": found.user, "state": state_name(&found.password) })),
        _ => Err(ApiError::unauthorized()),
    }
}

/// The user that the request names, and whether the password is theirs.
async fn check_password(call: &Call<'_>, pool: &str) -> Result<(Option<PoolUser>, bool), ApiError> {
    call.require_method(&Method::POST)?;
    let body = call.json()?;
    let password = str_field(&body, "password").ok_or_else(|| ApiError::bad_request("password is missing"))?;
    let found = {
        let objects = call.objects();
        let found = objects.pool(pool)?;
        let user = str_field(&body, "id").or_else(|| str_field(&body, "userID"));
        let member = match (user, str_field(&body, "identifier")) {
            (Some(user), None) => found.users.get(user),
            (None, Some(identifier)) => found.find_by_identifier(identifier),
            _ => return Err(ApiError::validation_error("either userID or identifier")),
        };
        member.and_then(|member| pool_user(pool, member, call.standin.now()))
    };
    let is_right = match found.as_ref().and_then(|found| found.hash.as_ref()) {
        Some(hash) => verify(hash, password).await,
        None => false,
    };
    Ok((found, is_right))
}

fn state_name(state: &PasswordState) -> &'static str {
    match state {
        PasswordState::MustBeReset => "must_be_reset",
        PasswordState::MustBeChanged => "must_be_changed",
        PasswordState::Valid | PasswordState::None => "valid",
    }
}
