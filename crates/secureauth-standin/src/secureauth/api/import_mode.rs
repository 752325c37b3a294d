//! What an import does with records that exist already, and its form as a JSON Patch (RFC 6902).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::import_entries::Bundles;
use crate::secureauth::response::ApiError;
use crate::secureauth::state::objects::Objects;
use crate::secureauth::state::records::Json;

/// `mode` of the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Existing records are overwritten.
    Update,
    /// Existing records stay as they are, without an error.
    Ignore,
    /// An existing record fails the import.
    Fail,
}

impl Mode {
    pub(super) fn of(call: &Call<'_>) -> Result<Option<Self>, ApiError> {
        match call.query.get("mode") {
            None => Ok(None),
            Some("update") => Ok(Some(Self::Update)),
            Some("ignore") => Ok(Some(Self::Ignore)),
            Some("fail") => Ok(Some(Self::Fail)),
            Some(_) => Err(ApiError::bad_request("mode is not one of ignore, fail, update")),
        }
    }
}

/// Removes from an import what the mode leaves alone.
pub(super) fn apply(
    mode: Mode,
    objects: &Objects,
    new_pools: &mut Vec<(String, Json)>,
    bundles: &mut Bundles,
) -> Result<(), ApiError> {
    let has_pool = |id: &str| objects.pools.contains_key(id);
    let has_user = |pool: &str, user: &str| objects.member(pool, user).is_ok();
    match mode {
        Mode::Update => {}
        Mode::Fail => {
            let is_taken = new_pools.iter().any(|(id, _)| has_pool(id))
                || bundles.iter().any(|((pool, user), bundle)| bundle.user.is_some() && has_user(pool, user));
            if is_taken {
                return Err(ApiError::conflict("a record of the import exists already"));
            }
        }
        Mode::Ignore => {
            new_pools.retain(|(id, _)| !has_pool(id));
            for ((pool, user), bundle) in bundles.iter_mut() {
                let Ok(member) = objects.member(pool, user) else { continue };
                bundle.user = None;
                bundle.identifiers.retain(|new| member.identifiers.iter().all(|old| old.id != new.id));
                bundle.addresses.retain(|new| member.addresses.iter().all(|old| old.id != new.id));
                bundle.credentials.retain(|new| member.credentials.iter().all(|old| old.id != new.id));
            }
        }
    }
    Ok(())
}

/// The entries that a patch adds, in the form of a dump. Only `add` to the end of a list is supported, which is our choice.
pub(super) fn additions(patch: &[u8]) -> Result<Value, ApiError> {
    #[derive(Deserialize)]
    struct Operation {
        op: String,
        path: String,
        #[serde(default)]
        value: Value,
    }
    const LISTS: [&str; 5] = ["pools", "users", "user_identifiers", "user_verifiable_addresses", "user_credentials"];
    let operations: Vec<Operation> = serde_json::from_slice(patch)
        .map_err(|error| ApiError::bad_request(format!("the body is not a JSON Patch: {error}")))?;
    let mut dump: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for Operation { op, path, value } in operations {
        let list = path.strip_prefix('/').and_then(|rest| rest.strip_suffix("/-"));
        match LISTS.into_iter().find(|known| Some(*known) == list) {
            Some(list) if op == "add" => dump.entry(list).or_default().push(value),
            _ => return Err(ApiError::validation_error(format!("the operation {op} at {path} is not supported"))),
        }
    }
    Ok(json!(dump))
}
