//! The entries of an import: checked, and put together by user.

use std::collections::HashMap;

use super::{identifiers, users};
use crate::secureauth::response::ApiError;
use crate::secureauth::state::records::{Address, Credential, Identifier, User};

/// The part of a request that concerns one user.
#[derive(Default)]
pub(super) struct Bundle {
    pub user: Option<User>,
    pub identifiers: Vec<Identifier>,
    pub addresses: Vec<Address>,
    pub credentials: Vec<Credential>,
}

/// Bundles by pool and user.
pub(super) type Bundles = HashMap<(String, String), Bundle>;

/// Checks every entry and puts together what belongs to one user.
pub(super) fn bundle_by_user(
    tenant: &str,
    users: Vec<User>,
    identifiers: Vec<Identifier>,
    addresses: Vec<Address>,
    credentials: Vec<Credential>,
) -> Result<Bundles, ApiError> {
    let mut bundles = Bundles::new();
    let take = std::mem::take::<String>;
    for mut user in users {
        check_required("user", tenant, &[&user.id, &user.user_pool_id], &user.tenant_id)?;
        users::check_status(&user.status)?;
        user.tenant_id.clear();
        let key = (take(&mut user.user_pool_id), user.id.clone());
        if bundles.insert(key, Bundle { user: Some(user), ..Bundle::default() }).is_some() {
            return Err(ApiError::validation_error("a user is there twice"));
        }
    }
    for mut entry in identifiers {
        let moments = [&entry.created_at, &entry.updated_at];
        check_required("identifier", tenant, &[&entry.id, &entry.user_pool_id, &entry.user_id], &entry.tenant_id)?;
        check_required("identifier", tenant, &moments, &entry.tenant_id)?;
        identifiers::check_identifier(&entry.kind, &entry.identifier)?;
        if entry.identifier_lc != entry.identifier.to_lowercase() {
            return Err(ApiError::validation_error("identifier_lc is not the lower-case identifier"));
        }
        entry.tenant_id.clear();
        let key = (take(&mut entry.user_pool_id), take(&mut entry.user_id));
        bundles.entry(key).or_default().identifiers.push(entry);
    }
    for mut entry in addresses {
        let moments = [&entry.created_at, &entry.updated_at];
        check_required("address", tenant, &[&entry.id, &entry.user_pool_id, &entry.user_id], &entry.tenant_id)?;
        check_required("address", tenant, &moments, &entry.tenant_id)?;
        identifiers::check_address(&entry)?;
        if entry.address_lc != entry.address.to_lowercase() {
            return Err(ApiError::validation_error("address_lc is not the lower-case address"));
        }
        entry.tenant_id.clear();
        let key = (take(&mut entry.user_pool_id), take(&mut entry.user_id));
        bundles.entry(key).or_default().addresses.push(entry);
    }
    for mut entry in credentials {
        let moments = [&entry.created_at, &entry.updated_at];
        check_required("credential", tenant, &[&entry.id, &entry.user_pool_id, &entry.user_id], &entry.tenant_id)?;
        check_required("credential", tenant, &moments, &entry.tenant_id)?;
        check_credential(&entry)?;
        entry.tenant_id.clear();
        let key = (take(&mut entry.user_pool_id), take(&mut entry.user_id));
        bundles.entry(key).or_default().credentials.push(entry);
    }
    Ok(bundles)
}

fn check_required(what: &str, tenant: &str, fields: &[&String], tenant_id: &str) -> Result<(), ApiError> {
    if tenant_id != tenant {
        return Err(ApiError::validation_error(format!("tenant_id of a {what} is not this tenant")));
    }
    if fields.iter().any(|field| field.is_empty()) {
        return Err(ApiError::validation_error(format!("a required field of a {what} is missing")));
    }
    Ok(())
}

/// A password needs a hash with a method, unless it must be reset.
fn check_credential(credential: &Credential) -> Result<(), ApiError> {
    let state = credential.state.as_deref().unwrap_or("valid");
    if !matches!(state, "valid" | "must_be_reset" | "must_be_changed") {
        return Err(ApiError::validation_error("state is not one of valid, must_be_reset, must_be_changed"));
    }
    match credential.kind.as_str() {
        "password" if credential.payload.get("hashed_password").is_none() && state == "must_be_reset" => Ok(()),
        "password" => {
            let method = credential.payload["hashed_password"]["config"]["method"].as_str();
            let known = matches!(method, Some("bcrypt" | "pbkdf2" | "argon2" | "sha" | "md5"));
            if known && credential.hash().is_some() {
                Ok(())
            } else {
                Err(ApiError::validation_error(
                    "payload.hashed_password has no value, or no config with a known method",
                ))
            }
        }
        "totp" | "webauthn" => Ok(()),
        _ => Err(ApiError::validation_error("a credential has another type than there are")),
    }
}
