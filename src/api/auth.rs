//! Who calls: the API key in `Authorization: Bearer`, and nowhere else.

use http::{HeaderMap, StatusCode, header};

use super::problem::problem;
use crate::access::{ApiKey, KeyError, Scope};
use crate::state::AppState;
use crate::web::HttpError;

/// The key that the request carries, if it allows `scope`.
pub(super) async fn require(state: &AppState, headers: &HeaderMap, scope: Scope) -> Result<ApiKey, HttpError> {
    let missing =
        || problem(StatusCode::UNAUTHORIZED, "api_key_missing", "An API key is needed: Authorization: Bearer …");
    let invalid = || problem(StatusCode::UNAUTHORIZED, "api_key_invalid", "The API key is not valid.");
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let line = lines.next().ok_or_else(missing)?.to_str().map_err(|_| invalid())?;
    let (scheme, key) = line.split_once(' ').ok_or_else(invalid)?;
    if lines.next().is_some() || !scheme.eq_ignore_ascii_case("bearer") {
        return Err(invalid());
    }
    let key = state.api_keys.authenticate(key.trim()).await.map_err(|error| match error {
        KeyError::Invalid => invalid(),
        KeyError::Db(error) => error.into(),
    })?;
    if !key.allows(scope) {
        let detail = format!("The API key does not have the scope {}.", scope.as_str());
        return Err(problem(StatusCode::FORBIDDEN, "insufficient_scope", &detail));
    }
    Ok(key)
}
