//! `…/pools/{pool}/users[/{user}]`

use std::ops::Bound;

use axum::http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::call::Call;
use super::identifiers::{check_address, check_identifier};
use super::passwords;
use super::user_json::{from_json, merge_patch, render, render_list_entry};
use crate::secureauth::response::{ApiError, ApiResponse, ApiResult, to_json};
use crate::secureauth::state::objects::{check_if_match, new_id, str_field};
use crate::secureauth::state::records::{Address, Credential, Identifier, Json, Member, User};

/// The fields that `PUT` and `PATCH` may change.
const MUTABLE_FIELDS: [&str; 8] = [
    "status",
    "payload",
    "payload_schema_id",
    "metadata",
    "metadata_schema_id",
    "business_metadata",
    "business_metadata_schema_id",
    "preferences",
];

/// `GET` and `POST …/users`
pub(crate) async fn collection(call: &Call<'_>, pool: &str) -> ApiResult {
    match *call.method {
        Method::GET => list(call, pool),
        Method::POST => create(call, pool).await,
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// `POST …/users/by_key`, by an identifier or a verified address.
pub(crate) fn by_key(call: &Call<'_>, pool: &str) -> ApiResult {
    call.require_method(&Method::POST)?;
    let body = call.json()?;
    let objects = call.objects();
    let pool_found = objects.pool(pool)?;
    let member = match (str_field(&body, "identifier"), str_field(&body, "address")) {
        (Some(identifier), None) => pool_found.find_by_identifier(identifier),
        (None, Some(address)) => pool_found.users.values().find(|member| member.has_address(address, true)),
        _ => return Err(ApiError::bad_request("identifier or address, one of them")),
    };
    let member = member.ok_or_else(|| ApiError::not_found("the user"))?;
    ApiResponse::single(render(call.tenant(), pool, member), member.version)
}

/// `GET`, `PUT`, `PATCH`, `DELETE …/users/{user}`
pub(crate) fn item(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    let mut objects = call.objects();
    check_if_match(call.if_match, objects.member(pool, user)?.version)?;
    match *call.method {
        Method::GET => {}
        Method::PUT | Method::PATCH => {
            let body = call.json()?;
            let merge = *call.method == Method::PATCH;
            if merge && call.query.get("rfc_version").is_some_and(|version| version != "7396") {
                return Err(ApiError::validation_error("the stand-in patches by RFC 7396 only"));
            }
            let version = objects.version();
            let member = objects.member_mut(pool, user)?;
            member.user = apply_changes(&member.user, body, merge, call.now())?;
            member.version = version;
        }
        Method::DELETE => {
            let pool = objects.pool_mut(pool)?;
            pool.release_identifiers(user);
            pool.users.remove(user);
            return ApiResponse::no_content();
        }
        _ => return Err(ApiError::method_not_allowed()),
    }
    let member = objects.member(pool, user)?;
    ApiResponse::single(render(call.tenant(), pool, member), member.version)
}

fn apply_changes(user: &User, body: Json, merge: bool, now: String) -> Result<User, ApiError> {
    let Value::Object(mut value) = to_json(user) else {
        return Err(ApiError::bad_request("the user cannot be changed"));
    };
    for (name, new) in body.into_iter().filter(|(name, _)| MUTABLE_FIELDS.contains(&name.as_str())) {
        if merge {
            merge_patch(value.entry(name).or_insert(Value::Null), new);
        } else {
            value.insert(name, new);
        }
    }
    value.retain(|_, field| !field.is_null());
    let mut changed: User = from_json(Value::Object(value))?;
    check_status(&changed.status)?;
    if changed.status != user.status {
        changed.status_updated_at.clone_from(&now);
    }
    changed.updated_at = now;
    Ok(changed)
}

fn list(call: &Call<'_>, pool: &str) -> ApiResult {
    let limit = call.limit()?;
    let query = match call.query.get("query").map(serde_json::from_str::<Json>) {
        None => Json::new(),
        Some(query) => query.map_err(|_| ApiError::bad_request("query is not JSON"))?,
    };
    let lag = call.standin.api().faults.list_lag();
    let latest = call.standin.now().minus(lag);
    let objects = call.objects();
    let pool_found = objects.pool(pool)?;
    let after = call.query.get("after_user_id").map_or(Bound::Unbounded, Bound::Excluded);
    let before = call.query.get("before_user_id");
    let found: Vec<Value> = pool_found
        .users
        .range::<str, _>((after, Bound::Unbounded))
        .map(|(_, member)| member)
        .filter(|member| before.is_none_or(|before| member.user.id.as_str() < before))
        .filter(|member| lag.is_zero() || member.since <= latest)
        .filter(|member| matches_query(member, &query))
        .take(limit)
        .map(|member| render_list_entry(call.tenant(), pool, member))
        .collect();
    ApiResponse::list(json!({ "users": found }))
}

/// `query` holds fields, and a key: the beginning or end of an identifier or a verified address.
fn matches_query(member: &Member, query: &Json) -> bool {
    let key_fits = |key: &str| {
        let key = key.to_lowercase();
        let near = |text: &str| text.starts_with(&key) || text.ends_with(&key);
        member.user.id == key
            || member.identifiers.iter().any(|entry| near(&entry.identifier_lc))
            || member.addresses.iter().any(|entry| entry.verified && near(&entry.address_lc))
    };
    let field_fits = |fields: &Json, name: &str| {
        let wanted = query.get(name).and_then(Value::as_object);
        wanted.is_none_or(|wanted| {
            wanted.iter().all(|(name, value)| match fields.get(name) {
                Some(Value::Array(all)) => all.contains(value) || fields.get(name) == Some(value),
                found => found == Some(value),
            })
        })
    };
    str_field(query, "user_key").is_none_or(key_fits)
        && field_fits(&member.user.payload, "payload")
        && field_fits(&member.user.metadata, "metadata")
}

/// Hashes the passwords of a new user. Other credentials are refused.
async fn new_credentials(call: &Call<'_>, pool: &str, given: Vec<Json>) -> Result<Vec<Credential>, ApiError> {
    let mut credentials = Vec::new();
    for one in given {
        let password = str_field(&one, "password").filter(|_| str_field(&one, "type") == Some("password"));
        let password = password.ok_or_else(|| ApiError::validation_error("the stand-in takes only passwords"))?;
        passwords::check_policy(&call.objects().pool(pool)?.resource.value, password)?;
        let flag = |name: &str| one.get(name) == Some(&json!(true));
        let state = match (flag("must_be_reset"), flag("must_be_changed")) {
            (true, _) => "must_be_reset",
            (false, true) => "must_be_changed",
            (false, false) => "valid",
        };
        let hash = passwords::hash_password_async(call.standin, password).await;
        credentials.push(Credential {
            id: new_id(call.random()),
            state: Some(state.to_owned()),
            ..Credential::password(&hash, &call.now())
        });
    }
    Ok(credentials)
}

async fn create(call: &Call<'_>, pool: &str) -> ApiResult {
    let mut body = call.json()?;
    let identifiers: Vec<Identifier> = take_array(&mut body, "identifiers")?;
    let addresses: Vec<Address> = take_array(&mut body, "verifiable_addresses")?;
    let given: Vec<Json> = take_array(&mut body, "credentials")?;
    let mut user: User = from_json(Value::Object(body))?;
    check_status(&user.status)?;
    for entry in &identifiers {
        check_identifier(&entry.kind, &entry.identifier)?;
    }
    for entry in &addresses {
        check_address(entry)?;
    }
    let (now, random) = (call.now(), call.random());
    let stamped = |id: &str| if id.is_empty() { new_id(random) } else { id.to_owned() };
    let credentials = new_credentials(call, pool, given).await?;
    user.id = stamped(&user.id);
    (user.tenant_id, user.user_pool_id) = (String::new(), String::new());
    (user.created_at, user.updated_at, user.status_updated_at) = (now.clone(), now.clone(), now.clone());
    let stamp_identifier = |entry: Identifier| Identifier {
        id: stamped(&entry.id),
        identifier_lc: entry.identifier.to_lowercase(),
        created_at: now.clone(),
        updated_at: now.clone(),
        ..entry
    };
    let stamp_address = |entry: Address| Address {
        id: stamped(&entry.id),
        address_lc: entry.address.to_lowercase(),
        created_at: now.clone(),
        updated_at: now.clone(),
        ..entry
    };
    let mut objects = call.objects();
    let version = objects.version();
    let pool_found = objects.pool_mut(pool)?;
    if pool_found.users.contains_key(&user.id) {
        return Err(ApiError::conflict("a user with this id exists"));
    }
    let member = Member {
        user,
        identifiers: identifiers.into_iter().map(stamp_identifier).collect(),
        addresses: addresses.into_iter().map(stamp_address).collect(),
        credentials,
        version,
        since: call.standin.now(),
    };
    if member.identifiers.iter().any(|entry| pool_found.identifiers.contains_key(&entry.identifier_lc)) {
        return Err(ApiError::conflict("an identifier belongs to another user"));
    }
    let answer = render(call.tenant(), pool, &member);
    pool_found.insert(member);
    ApiResponse::created(answer, version)
}

pub(crate) fn check_status(status: &str) -> Result<(), ApiError> {
    match status {
        "new" | "active" | "inactive" | "deleted" => Ok(()),
        _ => Err(ApiError::validation_error("status is not one of new, active, inactive, deleted")),
    }
}

fn take_array<T: DeserializeOwned>(body: &mut Json, name: &str) -> Result<Vec<T>, ApiError> {
    match body.remove(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => from_json(value),
    }
}
