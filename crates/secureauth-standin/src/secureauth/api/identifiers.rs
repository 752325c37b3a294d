//! `…/users/{user}/identifiers/{add or remove}`, and the forms of identifiers and addresses.

use axum::http::Method;
use serde_json::Value;

use super::call::Call;
use super::user_json::{from_json, with_user_ids};
use crate::secureauth::response::{ApiError, ApiResponse, ApiResult, to_json};
use crate::secureauth::state::objects::{check_if_match, new_id, str_field};
use crate::secureauth::state::records::{Address, Identifier};

/// `POST …/users/{user}/identifiers/add`
pub(crate) fn add(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    call.require_method(&Method::POST)?;
    let given: Identifier = from_json(Value::Object(call.json()?))?;
    check_identifier(&given.kind, &given.identifier)?;
    let mut objects = call.objects();
    check_if_match(call.if_match, objects.member(pool, user)?.version)?;
    let version = objects.version();
    let pool_found = objects.pool_mut(pool)?;
    let lower = given.identifier.to_lowercase();
    if pool_found.identifiers.contains_key(&lower) {
        return Err(ApiError::conflict("the identifier belongs to a user already"));
    }
    let entry = Identifier {
        id: new_id(call.random()),
        identifier_lc: lower.clone(),
        identifier: given.identifier,
        kind: given.kind,
        metadata: given.metadata,
        created_at: call.now(),
        updated_at: call.now(),
        ..Identifier::default()
    };
    let answer = with_user_ids(to_json(&entry), call.tenant(), pool, user);
    pool_found.identifiers.insert(lower, user.to_owned());
    let member = objects.member_mut(pool, user)?;
    member.identifiers.push(entry);
    member.version = version;
    ApiResponse::single(answer, version)
}

/// `POST …/users/{user}/identifiers/remove`
pub(crate) fn remove(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    call.require_method(&Method::POST)?;
    let body = call.json()?;
    let lower =
        str_field(&body, "identifier").ok_or_else(|| ApiError::bad_request("identifier is missing"))?.to_lowercase();
    let mut objects = call.objects();
    let version = objects.version();
    let member = objects.member_mut(pool, user)?;
    check_if_match(call.if_match, member.version)?;
    if !member.identifiers.iter().any(|entry| entry.identifier_lc == lower) {
        return Err(ApiError::not_found("the identifier"));
    }
    member.identifiers.retain(|entry| entry.identifier_lc != lower);
    member.version = version;
    objects.pool_mut(pool)?.identifiers.remove(&lower);
    ApiResponse::no_content()
}

/// Checks that an identifier has the form of its type.
pub(crate) fn check_identifier(kind: &str, identifier: &str) -> Result<(), ApiError> {
    let fits = match kind {
        "email" => identifier.contains('@') && !identifier.contains(' '),
        "mobile" => {
            let digits = identifier.strip_prefix('+').unwrap_or_default();
            (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
        }
        "uid" | "external" | "federated" => !identifier.is_empty() && identifier.bytes().all(|b| b.is_ascii_graphic()),
        _ => false,
    };
    if fits { Ok(()) } else { Err(ApiError::validation_error("an identifier does not fit its type")) }
}

/// Checks that an address has the form of its type.
pub(crate) fn check_address(address: &Address) -> Result<(), ApiError> {
    let status_fits = matches!(address.status.as_str(), "active" | "inactive");
    match address.kind.as_str() {
        "email" | "mobile" if status_fits => check_identifier(&address.kind, &address.address),
        _ => Err(ApiError::validation_error("an address has another type or status than there are")),
    }
}
