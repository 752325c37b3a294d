//! `…/pools[/{id}]` and `…/workspace/{organization}/pools`.

use axum::http::Method;
use serde_json::{Value, json};

use super::call::Call;
use super::idps;
use crate::secureauth::response::{ApiError, ApiResponse, ApiResult};
use crate::secureauth::state::api::Workspace;
use crate::secureauth::state::objects::{Pool, check_if_match, new_id, str_field};
use crate::secureauth::state::records::{Json, Resource};

/// `GET` and `POST …/pools`
pub(crate) fn collection(call: &Call<'_>) -> ApiResult {
    match *call.method {
        Method::GET => list(call, None),
        Method::POST => create(call, None),
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// `GET`, and for administrators `POST`, `…/workspace/{organization}/pools`
pub(crate) fn organization_collection(call: &Call<'_>, server: &str) -> ApiResult {
    let known = call.objects().organizations.contains_key(server);
    match *call.method {
        _ if !known => Err(ApiError::not_found("the workspace")),
        Method::GET => list(call, Some(server)),
        Method::POST if call.workspace == Workspace::Admin => create(call, Some(server)),
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// `GET`, `PUT`, `DELETE …/workspace/{organization}/pools/{id}`
pub(crate) fn organization_item(call: &Call<'_>, server: &str, id: &str) -> ApiResult {
    if str_field(&call.objects().pool(id)?.resource.value, "workspace_id") != Some(server) {
        return Err(ApiError::not_found("the pool"));
    }
    item(call, id)
}

/// `GET`, `PUT`, `DELETE …/pools/{id}`
pub(crate) fn item(call: &Call<'_>, id: &str) -> ApiResult {
    let mut objects = call.objects();
    check_if_match(call.if_match, objects.pool(id)?.resource.version)?;
    match *call.method {
        Method::GET => {}
        Method::PUT => {
            let mut value = validate(call, call.json()?)?;
            value.insert("id".to_owned(), json!(id));
            let version = objects.version();
            objects.pool_mut(id)?.resource = Resource { value, version };
        }
        // The users go with their pool; connections go if asked, and lead nowhere otherwise.
        Method::DELETE => {
            objects.pools.remove(id);
            if call.query.get("with_idp") == Some("true") {
                objects.idps.retain(|_, idp| str_field(&idp.value, "identity_pool_id") != Some(id));
            }
            return ApiResponse::no_content();
        }
        _ => return Err(ApiError::method_not_allowed()),
    }
    let pool = objects.pool(id)?;
    ApiResponse::single(render(pool), pool.resource.version)
}

fn list(call: &Call<'_>, server: Option<&str>) -> ApiResult {
    let limit = call.limit()?;
    let objects = call.objects();
    let phrase = call.query.get("search_phrase").map(str::to_lowercase);
    let (after, before) = (call.query.get("after_pool_id"), call.query.get("before_pool_id"));
    let found: Vec<Value> = objects
        .pools
        .iter()
        .filter(|(id, _)| after.is_none_or(|after| id.as_str() > after))
        .filter(|(id, _)| before.is_none_or(|before| id.as_str() < before))
        .filter(|(_, pool)| server.is_none_or(|server| str_field(&pool.resource.value, "workspace_id") == Some(server)))
        .filter(|(id, pool)| {
            let name = || str_field(&pool.resource.value, "name").unwrap_or_default().to_lowercase();
            phrase.as_ref().is_none_or(|phrase| id.to_lowercase().contains(phrase) || name().contains(phrase))
        })
        .take(limit)
        .map(|(_, pool)| render(pool))
        .collect();
    ApiResponse::list(json!({ "pools": found }))
}

fn create(call: &Call<'_>, server: Option<&str>) -> ApiResult {
    let mut value = validate(call, call.json()?)?;
    let random = call.random();
    let id = str_field(&value, "id").map_or_else(|| new_id(random), str::to_owned);
    value.insert("id".to_owned(), json!(id));
    if let Some(server) = server {
        value.insert("workspace_id".to_owned(), json!(server));
    }
    let mut objects = call.objects();
    if objects.pools.contains_key(&id) {
        return Err(ApiError::conflict("a pool with this id exists"));
    }
    if let Some(workspace) = str_field(&value, "workspace_id")
        && !objects.organizations.contains_key(workspace)
    {
        return Err(ApiError::validation_error("the workspace of the pool does not exist"));
    }
    let version = objects.version();
    let name = str_field(&value, "name").unwrap_or_default().to_owned();
    let pool = Pool::new(Resource { value, version });
    let answer = render(&pool);
    objects.pools.insert(id.clone(), pool);
    if let Some(server) = server.filter(|_| call.query.get("with_idp") == Some("true")) {
        idps::connect(&mut objects, call.tenant(), server, &id, &name, new_id(random));
    }
    ApiResponse::created(answer, version)
}

/// A pool as a caller may give it.
pub(crate) fn validate(call: &Call<'_>, mut value: Json) -> Result<Json, ApiError> {
    if str_field(&value, "name").is_none() {
        return Err(ApiError::validation_error("name is missing"));
    }
    if value.get("tenant_id").is_some_and(|tenant| tenant != call.tenant()) {
        return Err(ApiError::validation_error("tenant_id is of another tenant"));
    }
    value.insert("tenant_id".to_owned(), json!(call.tenant()));
    for ours in ["number_of_users", "number_of_standard_users", "number_of_jit_users"] {
        value.remove(ours);
    }
    value.entry("payload_schema_id").or_insert(json!("user_v0"));
    value.entry("metadata_schema_id").or_insert(json!("metadata_v0"));
    Ok(value)
}

fn render(pool: &Pool) -> Value {
    let mut value = pool.resource.value.clone();
    value.insert("number_of_users".to_owned(), json!(pool.users.len()));
    value.insert("number_of_standard_users".to_owned(), json!(pool.users.len()));
    value.insert("number_of_jit_users".to_owned(), json!(0));
    Value::Object(value)
}
