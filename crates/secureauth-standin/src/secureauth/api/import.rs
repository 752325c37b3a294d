//! `…/configuration`: bulk import, by a dump or by a JSON Patch, and export.

use std::collections::HashMap;

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::import_entries::{Bundle, Bundles, bundle_by_user};
use super::import_mode::{self, Mode};
use super::{pools, user_json};
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

/// `PUT` and `PATCH` import, `GET` exports.
pub(crate) fn configuration(call: &Call<'_>) -> ApiResult {
    match *call.method {
        Method::PUT => {
            call.require_scope(&["manage_configuration"])?;
            let dump = serde_json::from_slice(call.body)
                .map_err(|error| ApiError::bad_request(format!("the body is not a TenantDump: {error}")))?;
            // The vendor's OpenAPI file has no mode here: existing values are overwritten. Its guides have one.
            import(call, dump, Mode::of(call)?.unwrap_or(Mode::Update))
        }
        Method::PATCH => {
            call.require_scope(&["manage_configuration"])?;
            let dump = serde_json::from_value(import_mode::additions(call.body)?)
                .map_err(|error| ApiError::validation_error(format!("the patch adds no valid entries: {error}")))?;
            import(call, dump, Mode::of(call)?.unwrap_or(Mode::Ignore))
        }
        Method::GET => {
            call.require_scope(&["read_configuration", "manage_configuration"])?;
            get(call)
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// Imports all or nothing, which the vendor leaves open.
fn import(call: &Call<'_>, dump: TenantDump, mode: Mode) -> ApiResult {
    if dump.users.len() > MAX_USERS_PER_REQUEST {
        return Err(ApiError::validation_error(format!("more than {MAX_USERS_PER_REQUEST} users in a request")));
    }
    let mut new_pools = Vec::new();
    for pool in dump.pools {
        let pool = pools::validate(call, pool)?;
        let id = str_field(&pool, "id").ok_or_else(|| ApiError::validation_error("a pool has no id"))?.to_owned();
        new_pools.push((id, pool));
    }
    let mut bundles = bundle_by_user(
        call.tenant(),
        dump.users,
        dump.user_identifiers,
        dump.user_verifiable_addresses,
        dump.user_credentials,
    )?;
    let mut objects = call.objects();
    import_mode::apply(mode, &objects, &mut new_pools, &mut bundles)?;
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
