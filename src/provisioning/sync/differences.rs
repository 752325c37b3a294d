//! What differs between a user of the directory and the same user of a pool.

use serde_json::{Map, Value, json};

use super::users::DirectoryUser;
use crate::secureauth::management::PoolUser;

/// Names the parts in which a pool's user differs from the directory's.
pub(super) fn differences(desired: &DirectoryUser, actual: &PoolUser) -> Vec<&'static str> {
    let checks = [
        ("status", !has_same_status(desired, actual)),
        ("name", !name_patch(desired, actual).is_empty()),
        ("attributes", !attributes_patch(desired, actual).is_empty()),
        (
            "username",
            !identifiers_to_add(desired, actual).is_empty() || !identifiers_to_remove(desired, actual).is_empty(),
        ),
        ("address", !has_same_addresses(desired, actual)),
    ];
    checks.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

/// A `new` user has not followed the activation mail yet, which makes the user active.
pub(super) fn has_same_status(desired: &DirectoryUser, actual: &PoolUser) -> bool {
    actual.status == desired.pool_status() || (actual.status == "new" && desired.pool_status() == "active")
}

pub(in crate::provisioning) fn name_patch(desired: &DirectoryUser, actual: &PoolUser) -> Map<String, Value> {
    let fields = [("given_name", &desired.first_name), ("family_name", &desired.last_name)];
    let differs =
        |name: &str, value: &str| actual.payload.get(name).and_then(Value::as_str).unwrap_or_default() != value;
    fields
        .into_iter()
        .filter(|(name, value)| differs(name, value))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect()
}

/// Attributes of other systems stay.
pub(super) fn attributes_patch(desired: &DirectoryUser, actual: &PoolUser) -> Map<String, Value> {
    let ours = desired.attributes.as_object().into_iter().flatten();
    ours.filter(|(name, value)| actual.metadata.get(*name) != Some(value))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

pub(super) fn identifiers_to_add<'d>(desired: &'d DirectoryUser, actual: &PoolUser) -> Vec<(&'static str, &'d str)> {
    let has = |value: &str| actual.identifiers.iter().any(|entry| eq_ignore_case(&entry.value, value));
    desired.identifiers().into_iter().filter(|(_, value)| !has(value)).collect()
}

/// Identifiers of other kinds belong to other systems and stay.
pub(super) fn identifiers_to_remove<'a>(desired: &DirectoryUser, actual: &'a PoolUser) -> Vec<&'a str> {
    let ours = actual.identifiers.iter().filter(|entry| matches!(entry.kind.as_str(), "uid" | "email"));
    let is_desired = |value: &str| desired.identifiers().iter().any(|(_, ours)| eq_ignore_case(ours, value));
    ours.map(|entry| entry.value.as_str()).filter(|value| !is_desired(value)).collect()
}

fn has_same_addresses(desired: &DirectoryUser, actual: &PoolUser) -> bool {
    let is_verified =
        |email: &str| actual.addresses.iter().any(|one| one.verified && eq_ignore_case(&one.address, email));
    emails(desired).all(is_verified) && stale_addresses(desired, actual).is_empty()
}

/// Former mail addresses: a reset mail must not go there.
pub(super) fn stale_addresses<'a>(desired: &DirectoryUser, actual: &'a PoolUser) -> Vec<&'a str> {
    let mails = actual.addresses.iter().map(|entry| entry.address.as_str()).filter(|address| address.contains('@'));
    mails.filter(|address| !eq_ignore_case(address, &desired.email)).collect()
}

pub(super) fn eq_ignore_case(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

pub(super) fn emails(desired: &DirectoryUser) -> impl Iterator<Item = &str> {
    Some(desired.email.as_str()).filter(|email| !email.is_empty()).into_iter()
}
