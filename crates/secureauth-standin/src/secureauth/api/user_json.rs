//! Users of pools as JSON.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::secureauth::response::{ApiError, to_json};
use crate::secureauth::state::records::{Credential, Member};

/// A user with identifiers, addresses and credentials. Hashes are left out.
pub(crate) fn render(tenant: &str, pool: &str, member: &Member) -> Value {
    let id = &member.user.id;
    let of = |value: Value| with_user_ids(value, tenant, pool, id);
    let mut value = with_pool_ids(to_json(&member.user), tenant, pool);
    value["identifiers"] = member.identifiers.iter().map(|entry| of(to_json(entry))).collect();
    value["verifiable_addresses"] = member.addresses.iter().map(|entry| of(to_json(entry))).collect();
    let without_payload = |entry: &Credential| of(to_json(&Credential { payload: json!({}), ..entry.clone() }));
    value["credentials"] = member.credentials.iter().map(without_payload).collect();
    value
}

/// A user in the form of lists. One key has a space in its name.
pub(crate) fn render_list_entry(tenant: &str, pool: &str, member: &Member) -> Value {
    let mut value = with_pool_ids(to_json(&member.user), tenant, pool);
    let identifiers = || member.identifiers.iter();
    let verified = member.addresses.iter().filter(|entry| entry.verified);
    value["identifiers"] = identifiers().map(|entry| json!(entry.identifier)).collect();
    value["identifiers_with_details"] =
        identifiers().map(|entry| json!({ "type": entry.kind, "value": entry.identifier })).collect();
    value["addresses"] =
        member.addresses.iter().map(|entry| json!({ "address": entry.address, "verified": entry.verified })).collect();
    value["verified addresses"] = verified.map(|entry| json!(entry.address)).collect();
    value
}

pub(crate) fn with_user_ids(mut value: Value, tenant: &str, pool: &str, user: &str) -> Value {
    value["user_id"] = json!(user);
    with_pool_ids(value, tenant, pool)
}

pub(crate) fn with_pool_ids(mut value: Value, tenant: &str, pool: &str) -> Value {
    value["tenant_id"] = json!(tenant);
    value["user_pool_id"] = json!(pool);
    value
}

/// Applies a JSON Merge Patch (RFC 7396).
pub(crate) fn merge_patch(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    if let Value::Object(target) = target {
        for (name, value) in patch {
            if value.is_null() {
                target.remove(&name);
            } else {
                merge_patch(target.entry(name).or_insert(Value::Null), value);
            }
        }
    }
}

pub(crate) fn from_json<T: DeserializeOwned>(value: Value) -> Result<T, ApiError> {
    serde_json::from_value(value).map_err(|error| ApiError::bad_request(format!("a field has another type: {error}")))
}
