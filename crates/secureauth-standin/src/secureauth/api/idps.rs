//! `…/servers/{organization}/idps/identity_pool[/{id}]`: which pools may sign in at an organization.

use axum::http::Method;
use serde_json::{Value, json};

use super::call::Call;
use crate::secureauth::response::{ApiError, ApiResponse, ApiResult};
use crate::secureauth::state::objects::{Objects, check_if_match, new_id, str_field, to_object};
use crate::secureauth::state::records::{Json, Resource};

/// Connects a pool, as `with_idp` does.
pub(crate) fn connect(objects: &mut Objects, tenant: &str, server: &str, pool: &str, name: &str, id: String) {
    let mut value = to_object(json!({ "identity_pool_id": pool, "name": name }));
    complete(&mut value, tenant, server, &id);
    let version = objects.version();
    objects.idps.insert(id, Resource { value, version });
}

/// `GET …/idps`
pub(crate) fn list(call: &Call<'_>, server: &str) -> ApiResult {
    call.require_method(&Method::GET)?;
    let objects = call.objects();
    let of_server =
        objects.idps.values().filter(|idp| str_field(&idp.value, "authorization_server_id") == Some(server));
    let found: Vec<Value> = of_server.map(|idp| Value::Object(idp.value.clone())).collect();
    ApiResponse::list(json!({ "idps": found }))
}

/// `POST …/idps/identity_pool`
pub(crate) fn collection(call: &Call<'_>, server: &str) -> ApiResult {
    call.require_method(&Method::POST)?;
    let mut value = call.json()?;
    let mut objects = call.objects();
    check(&objects, server, &value)?;
    let id = str_field(&value, "id").map_or_else(|| new_id(call.random()), str::to_owned);
    if objects.idps.contains_key(&id) {
        return Err(ApiError::conflict("a connection with this id exists"));
    }
    complete(&mut value, call.tenant(), server, &id);
    let version = objects.version();
    objects.idps.insert(id, Resource { value: value.clone(), version });
    ApiResponse::created(Value::Object(value), version)
}

/// `GET`, `PUT`, `DELETE …/idps/identity_pool/{id}`; `DELETE …/idps/{id}` is the documented one.
pub(crate) fn item(call: &Call<'_>, server: &str, id: &str) -> ApiResult {
    let mut objects = call.objects();
    let found = objects.idps.get(id).filter(|idp| str_field(&idp.value, "authorization_server_id") == Some(server));
    check_if_match(call.if_match, found.ok_or_else(|| ApiError::not_found("the connection"))?.version)?;
    match *call.method {
        Method::GET => {}
        Method::PUT => {
            let mut value = call.json()?;
            check(&objects, server, &value)?;
            complete(&mut value, call.tenant(), server, id);
            let version = objects.version();
            objects.idps.insert(id.to_owned(), Resource { value, version });
        }
        Method::DELETE => {
            objects.idps.remove(id);
            return ApiResponse::no_content();
        }
        _ => return Err(ApiError::method_not_allowed()),
    }
    let idp = objects.idps.get(id).ok_or_else(|| ApiError::not_found("the connection"))?;
    ApiResponse::single(Value::Object(idp.value.clone()), idp.version)
}

fn check(objects: &Objects, server: &str, value: &Json) -> Result<(), ApiError> {
    if !objects.organizations.contains_key(server) {
        return Err(ApiError::not_found("the workspace"));
    }
    let pool = str_field(value, "identity_pool_id")
        .ok_or_else(|| ApiError::validation_error("identity_pool_id is missing"))?;
    if objects.pools.contains_key(pool) { Ok(()) } else { Err(ApiError::validation_error("the pool does not exist")) }
}

fn complete(value: &mut Json, tenant: &str, server: &str, id: &str) {
    for (name, field) in [
        ("id", id),
        ("tenant_id", tenant),
        ("authorization_server_id", server),
        ("workspace_id", server),
        ("method", "identity_pool"),
    ] {
        value.insert(name.to_owned(), json!(field));
    }
    value.entry("disabled").or_insert(json!(false));
    value.entry("hidden").or_insert(json!(false));
}
