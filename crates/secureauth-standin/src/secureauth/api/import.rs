//! `…/configuration`: bulk import and export.

use std::collections::HashMap;

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::{identifiers, pools, user_json, users};
use crate::secureauth::response::{ApiError, ApiResponse, ApiResult, to_json};
use crate::secureauth::state::objects::{Objects, Pool, str_field};
use crate::secureauth::state::records::{Address, Credential, Identifier, Json, Member, Resource, User};

/// Larger requests get 422, which is our choice.
const MAX_USERS_PER_REQUEST: usize = 100;

/// The vendor's `TenantDump`. Schemas, groups and codes are ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TenantDump {
    pools: Vec<Json>,
    users: Vec<User>,
    user_identifiers: Vec<Identifier>,
    user_verifiable_addresses: Vec<Address>,
    user_credentials: Vec<Credential>,
}

/// The part of a request that concerns one user.
#[derive(Default)]
struct Bundle {
    user: Option<User>,
    identifiers: Vec<Identifier>,
    addresses: Vec<Address>,
    credentials: Vec<Credential>,
}

/// Bundles by pool and user.
type Bundles = HashMap<(String, String), Bundle>;

/// `PUT` imports, `GET` exports.
pub(crate) fn configuration(call: &Call<'_>) -> ApiResult {
    match *call.method {
        Method::PUT => {
            call.require_scope(&["manage_configuration"])?;
            put(call)
        }
        Method::GET => {
            call.require_scope(&["read_configuration", "manage_configuration"])?;
            get(call)
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// Imports all or nothing, which the vendor leaves open.
fn put(call: &Call<'_>) -> ApiResult {
    let dump: TenantDump = serde_json::from_slice(call.body)
        .map_err(|error| ApiError::bad_request(format!("the body is not a TenantDump: {error}")))?;
    if dump.users.len() > MAX_USERS_PER_REQUEST {
        return Err(ApiError::validation_error(format!("more than {MAX_USERS_PER_REQUEST} users in a request")));
    }
    let mut new_pools = Vec::new();
    for pool in dump.pools {
        let pool = pools::validate(call, pool)?;
        let id = str_field(&pool, "id").ok_or_else(|| ApiError::validation_error("a pool has no id"))?.to_owned();
        new_pools.push((id, pool));
    }
    let bundles = bundle_by_user(
        call.tenant(),
        dump.users,
        dump.user_identifiers,
        dump.user_verifiable_addresses,
        dump.user_credentials,
    )?;
    let mut objects = call.objects();
    check_owners(&objects, &new_pools, &bundles)?;
    for (id, value) in new_pools {
        let version = objects.version();
        let resource = Resource { value, version };
        match objects.pools.get_mut(&id) {
            Some(pool) => pool.resource = resource,
            None => {
                objects.pools.insert(id, Pool::new(resource));
            }
        }
    }
    // Frees all identifiers first, so that two users can swap theirs.
    for ((pool, user), bundle) in &bundles {
        if bundle.user.is_some() {
            objects.pool_mut(pool)?.release_identifiers(user);
        }
    }
    for ((pool, user), bundle) in bundles {
        apply(call, &mut objects, &pool, &user, bundle)?;
    }
    ApiResponse::no_content()
}

/// A user replaces the stored one with all its parts. Parts without their user are added, or replaced by id.
fn apply(call: &Call<'_>, objects: &mut Objects, pool: &str, user: &str, bundle: Bundle) -> Result<(), ApiError> {
    let version = objects.version();
    let pool = objects.pool_mut(pool)?;
    let before = pool.users.remove(user);
    let since = before.as_ref().map_or_else(|| call.standin.now(), |member| member.since);
    let member = match (bundle.user, before) {
        (Some(mut new), before) => {
            let now = call.now();
            if new.created_at.is_empty() {
                new.created_at = before.map_or_else(|| now.clone(), |member| member.user.created_at);
            }
            for moment in [&mut new.updated_at, &mut new.status_updated_at] {
                if moment.is_empty() {
                    moment.clone_from(&now);
                }
            }
            let Bundle { identifiers, addresses, credentials, .. } = bundle;
            Member { user: new, identifiers, addresses, credentials, version, since }
        }
        (None, Some(mut member)) => {
            for entry in bundle.identifiers {
                if let Some(old) = member.identifiers.iter().position(|old| old.id == entry.id) {
                    pool.identifiers.remove(&member.identifiers.swap_remove(old).identifier_lc);
                }
                member.identifiers.push(entry);
            }
            for entry in bundle.addresses {
                member.addresses.retain(|old| old.id != entry.id);
                member.addresses.push(entry);
            }
            for entry in bundle.credentials {
                member.credentials.retain(|old| old.id != entry.id && old.kind != entry.kind);
                member.credentials.push(entry);
            }
            member.version = version;
            member
        }
        (None, None) => return Err(ApiError::validation_error("something belongs to a user who does not exist")),
    };
    pool.insert(member);
    Ok(())
}

/// Checks that every part has a user and that no identifier belongs to another user.
fn check_owners(objects: &Objects, new_pools: &[(String, Json)], bundles: &Bundles) -> Result<(), ApiError> {
    let mut claimed: HashMap<(&str, &str), &str> = HashMap::new();
    for ((pool_id, user), bundle) in bundles {
        let pool = objects.pools.get(pool_id);
        if pool.is_none() && !new_pools.iter().any(|(id, _)| id == pool_id) {
            return Err(ApiError::validation_error("the pool of a user does not exist"));
        }
        if bundle.user.is_none() && !pool.is_some_and(|pool| pool.users.contains_key(user)) {
            return Err(ApiError::validation_error("something belongs to a user who does not exist"));
        }
        for entry in &bundle.identifiers {
            let lower = entry.identifier_lc.as_str();
            if claimed.insert((pool_id, lower), user).is_some_and(|other| other != user) {
                return Err(ApiError::conflict("an identifier belongs to two users of the request"));
            }
            let Some(owner) = pool.and_then(|pool| pool.identifiers.get(lower)).filter(|owner| *owner != user) else {
                continue;
            };
            // Its owner may come in the same request, with others.
            let given_up = bundles.get(&(pool_id.clone(), owner.clone())).is_some_and(|other| other.user.is_some());
            if !given_up {
                return Err(ApiError::conflict("an identifier belongs to another user of the pool"));
            }
        }
    }
    Ok(())
}

/// Checks every entry and puts together what belongs to one user.
fn bundle_by_user(
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

/// All pools and users, including hashes.
fn get(call: &Call<'_>) -> ApiResult {
    let objects = call.objects();
    let tenant = call.tenant();
    let mut dump: HashMap<&str, Vec<Value>> = HashMap::new();
    let names = ["pools", "users", "user_identifiers", "user_verifiable_addresses", "user_credentials"];
    for name in names {
        dump.insert(name, Vec::new());
    }
    let mut add = |name: &'static str, value: Value| dump.entry(name).or_default().push(value);
    for (pool_id, pool) in &objects.pools {
        add("pools", Value::Object(pool.resource.value.clone()));
        for (user, member) in &pool.users {
            let of = |value: Value| user_json::with_user_ids(value, tenant, pool_id, user);
            add("users", user_json::with_pool_ids(to_json(&member.user), tenant, pool_id));
            member.identifiers.iter().for_each(|entry| add("user_identifiers", of(to_json(entry))));
            member.addresses.iter().for_each(|entry| add("user_verifiable_addresses", of(to_json(entry))));
            member.credentials.iter().for_each(|entry| add("user_credentials", of(to_json(entry))));
        }
    }
    ApiResponse::list(json!(dump))
}
