//! `…/pools/{pool}/users[/{user}]` and identifiers of users.

use std::ops::Bound;

use axum::http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::objects::{Address, Credential, Identifier, Json, Member, User, check_if_match, new_id, str_field};
use super::passwords;
use super::response::{ApiError, ApiResponse, ApiResult, to_json};
use super::routes::Call;

/// What `PUT` and `PATCH` may change.
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
pub(super) async fn collection(call: &Call<'_>, pool: &str) -> ApiResult {
    match *call.method {
        Method::GET => list(call, pool),
        Method::POST => create(call, pool).await,
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// `POST …/users/by_key`, by an identifier or a verified address.
pub(super) fn by_key(call: &Call<'_>, pool: &str) -> ApiResult {
    if *call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let body = call.json()?;
    let objects = call.standin.0.api.objects();
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
pub(super) fn item(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    let mut objects = call.standin.0.api.objects();
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

/// RFC 7396.
fn merge_patch(target: &mut Value, patch: Value) {
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

fn list(call: &Call<'_>, pool: &str) -> ApiResult {
    let limit = call.limit()?;
    let query = match call.query.get("query").map(serde_json::from_str::<Json>) {
        None => Json::new(),
        Some(query) => query.map_err(|_| ApiError::bad_request("query is not JSON"))?,
    };
    let lag = call.standin.0.api.faults.list_lag();
    let latest = call.standin.now().minus(lag);
    let objects = call.standin.0.api.objects();
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

/// Whether a user fits `query`: a key that begins or ends an identifier or a verified address, and fields.
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
    let (now, random) = (call.now(), &call.standin.0.deps.random);
    let stamped = |id: &str| if id.is_empty() { new_id(random) } else { id.to_owned() };
    let mut credentials = Vec::new();
    for one in given {
        let password = str_field(&one, "password").filter(|_| str_field(&one, "type") == Some("password"));
        let password = password.ok_or_else(|| ApiError::validation_error("the stand-in takes only passwords"))?;
        passwords::check_policy(&call.standin.0.api.objects().pool(pool)?.resource.value, password)?;
        let flag = |name: &str| one.get(name) == Some(&json!(true));
        let state = match (flag("must_be_reset"), flag("must_be_changed")) {
            (true, _) => "must_be_reset",
            (false, true) => "must_be_changed",
            (false, false) => "valid",
        };
        let hash = passwords::hash_password_async(call.standin, password).await;
        credentials.push(Credential {
            id: new_id(random),
            state: Some(state.to_owned()),
            ..password_credential(&hash, &now)
        });
    }
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
    let mut objects = call.standin.0.api.objects();
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

/// `POST …/users/{user}/identifiers/add`
pub(super) fn add_identifier(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    if *call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let given: Identifier = from_json(Value::Object(call.json()?))?;
    check_identifier(&given.kind, &given.identifier)?;
    let mut objects = call.standin.0.api.objects();
    check_if_match(call.if_match, objects.member(pool, user)?.version)?;
    let version = objects.version();
    let pool_found = objects.pool_mut(pool)?;
    let lower = given.identifier.to_lowercase();
    if pool_found.identifiers.contains_key(&lower) {
        return Err(ApiError::conflict("the identifier belongs to a user already"));
    }
    let entry = Identifier {
        id: new_id(&call.standin.0.deps.random),
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
pub(super) fn remove_identifier(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    if *call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let body = call.json()?;
    let lower =
        str_field(&body, "identifier").ok_or_else(|| ApiError::bad_request("identifier is missing"))?.to_lowercase();
    let mut objects = call.standin.0.api.objects();
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

/// A password as a credential.
pub(super) fn password_credential(hash: &str, now: &str) -> Credential {
    Credential {
        kind: "password".to_owned(),
        payload: super::objects::password_payload(hash),
        state: Some("valid".to_owned()),
        created_at: now.to_owned(),
        updated_at: now.to_owned(),
        ..Credential::default()
    }
}

/// One of the four.
pub(super) fn check_status(status: &str) -> Result<(), ApiError> {
    match status {
        "new" | "active" | "inactive" | "deleted" => Ok(()),
        _ => Err(ApiError::validation_error("status is not one of new, active, inactive, deleted")),
    }
}

/// Whether an identifier has the form of its type.
pub(super) fn check_identifier(kind: &str, identifier: &str) -> Result<(), ApiError> {
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

/// Whether an address has the form of its type.
pub(super) fn check_address(address: &Address) -> Result<(), ApiError> {
    let status_fits = matches!(address.status.as_str(), "active" | "inactive");
    match address.kind.as_str() {
        "email" | "mobile" if status_fits => check_identifier(&address.kind, &address.address),
        _ => Err(ApiError::validation_error("an address has another type or status than there are")),
    }
}

/// A user with all that belongs to it; of passwords only that they are there.
pub(super) fn render(tenant: &str, pool: &str, member: &Member) -> Value {
    let id = &member.user.id;
    let of = |value: Value| with_user_ids(value, tenant, pool, id);
    let mut value = with_pool_ids(to_json(&member.user), tenant, pool);
    value["identifiers"] = member.identifiers.iter().map(|entry| of(to_json(entry))).collect();
    value["verifiable_addresses"] = member.addresses.iter().map(|entry| of(to_json(entry))).collect();
    let without_payload = |entry: &Credential| of(to_json(&Credential { payload: json!({}), ..entry.clone() }));
    value["credentials"] = member.credentials.iter().map(without_payload).collect();
    value
}

/// A user as lists have it; one key has a space in its name.
fn render_list_entry(tenant: &str, pool: &str, member: &Member) -> Value {
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

/// With the ids that are not kept in each.
pub(super) fn with_user_ids(mut value: Value, tenant: &str, pool: &str, user: &str) -> Value {
    value["user_id"] = json!(user);
    with_pool_ids(value, tenant, pool)
}

/// With the ids that are not kept in each.
pub(super) fn with_pool_ids(mut value: Value, tenant: &str, pool: &str) -> Value {
    value["tenant_id"] = json!(tenant);
    value["user_pool_id"] = json!(pool);
    value
}

fn take_array<T: DeserializeOwned>(body: &mut Json, name: &str) -> Result<Vec<T>, ApiError> {
    match body.remove(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => from_json(value),
    }
}

/// A value of the vendor's form.
pub(super) fn from_json<T: DeserializeOwned>(value: Value) -> Result<T, ApiError> {
    serde_json::from_value(value).map_err(|error| ApiError::bad_request(format!("a field has another type: {error}")))
}
