//! `…/users/{user}/addresses/{add, update or remove}`

use axum::http::Method;

use super::call::Call;
use super::identifiers::check_address;
use super::user_json::{from_json, with_user_ids};
use crate::secureauth::response::{ApiError, ApiResponse, ApiResult, to_json};
use crate::secureauth::state::objects::{check_if_match, new_id, str_field};
use crate::secureauth::state::records::{Address, Member};

/// Adds an address, unless it is another user's verified address.
pub(crate) fn add(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    let mut given = address(call)?;
    if given.status.is_empty() {
        "active".clone_into(&mut given.status);
    }
    check_address(&given)?;
    let mut objects = call.objects();
    check_if_match(call.if_match, objects.member(pool, user)?.version)?;
    let taken = |id: &String, other: &Member| {
        other.has_address(&given.address, true) || (id == user && other.has_address(&given.address, false))
    };
    if objects.pool(pool)?.users.iter().any(|(id, other)| taken(id, other)) {
        return Err(ApiError::conflict("the address belongs to a user already"));
    }
    let entry = Address {
        id: new_id(call.random()),
        address_lc: given.address.to_lowercase(),
        created_at: call.now(),
        updated_at: call.now(),
        ..given
    };
    let answer = with_user_ids(to_json(&entry), call.tenant(), pool, user);
    let version = objects.version();
    let member = objects.member_mut(pool, user)?;
    member.addresses.push(entry);
    member.version = version;
    ApiResponse::single(answer, version)
}

/// Changes the status of an address and whether it is verified.
pub(crate) fn update(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    let given = address(call)?;
    if !matches!(given.status.as_str(), "active" | "inactive") {
        return Err(ApiError::validation_error("status is not one of active, inactive"));
    }
    let mut objects = call.objects();
    let (version, lower) = (objects.version(), given.address.to_lowercase());
    let member = objects.member_mut(pool, user)?;
    check_if_match(call.if_match, member.version)?;
    let entry = member.addresses.iter_mut().find(|entry| entry.address_lc == lower);
    let entry = entry.ok_or_else(|| ApiError::not_found("the address"))?;
    (entry.status, entry.verified, entry.updated_at) = (given.status, given.verified, call.now());
    let answer = with_user_ids(to_json(entry), call.tenant(), pool, user);
    member.version = version;
    ApiResponse::single(answer, version)
}

pub(crate) fn remove(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    call.require_method(&Method::POST)?;
    let body = call.json()?;
    let lower = str_field(&body, "address").ok_or_else(|| ApiError::bad_request("address is missing"))?.to_lowercase();
    let mut objects = call.objects();
    let version = objects.version();
    let member = objects.member_mut(pool, user)?;
    check_if_match(call.if_match, member.version)?;
    if !member.addresses.iter().any(|entry| entry.address_lc == lower) {
        return Err(ApiError::not_found("the address"));
    }
    member.addresses.retain(|entry| entry.address_lc != lower);
    member.version = version;
    ApiResponse::no_content()
}

/// The body, which must have the fields that the vendor requires.
fn address(call: &Call<'_>) -> Result<Address, ApiError> {
    call.require_method(&Method::POST)?;
    let body = call.json()?;
    if str_field(&body, "address").is_none() || !body.contains_key("verified") {
        return Err(ApiError::bad_request("address or verified is missing"));
    }
    from_json(serde_json::Value::Object(body))
}
