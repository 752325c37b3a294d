//! `…/claims[/{id}]`: claims that an organization adds to ID tokens.

use axum::http::Method;
use serde_json::{Value, json};

use super::call::Call;
use crate::secureauth::response::{ApiError, ApiResponse, ApiResult};
use crate::secureauth::state::api::Api;
use crate::secureauth::state::objects::{Objects, check_if_match, new_id, str_field};
use crate::secureauth::state::records::{Json, Resource};

/// The claims that an organization adds to the ID token from the authentication context.
///
/// `context` is flat. A path such as `user.id` is looked up whole, then by the part after its last dot.
pub(crate) fn configured_claims(api: &Api, organization: &str, scope: &str, context: &Json) -> Json {
    let objects = api.objects();
    let asked = |name: &Value| name.as_str().is_some_and(|name| scope.split(' ').any(|one| one == name));
    let fits = |claim: &&Resource| {
        let scopes = claim.value.get("scopes").and_then(Value::as_array);
        str_field(&claim.value, "authorization_server_id") == Some(organization)
            && str_field(&claim.value, "type") == Some("id_token")
            && claim.value.get("opaque") != Some(&json!(true))
            && scopes.is_none_or(|scopes| scopes.is_empty() || scopes.iter().any(asked))
    };
    objects
        .claims
        .values()
        .filter(fits)
        .filter_map(|claim| {
            let path = str_field(&claim.value, "source_path").or_else(|| str_field(&claim.value, "mapping"))?;
            let last = path.rsplit('.').next().unwrap_or(path);
            let value = context.get(path).or_else(|| context.get(last))?;
            Some((str_field(&claim.value, "name")?.to_owned(), value.clone()))
        })
        .collect()
}

/// `GET …/servers/{organization}/claims`
pub(crate) fn list(call: &Call<'_>, server: &str) -> ApiResult {
    call.require_method(&Method::GET)?;
    let objects = call.objects();
    let of_server =
        objects.claims.values().filter(|claim| str_field(&claim.value, "authorization_server_id") == Some(server));
    let found: Vec<Value> = of_server.map(|claim| Value::Object(claim.value.clone())).collect();
    ApiResponse::list(json!({ "claims": found }))
}

/// `POST …/claims`
pub(crate) fn collection(call: &Call<'_>) -> ApiResult {
    call.require_method(&Method::POST)?;
    let mut value = call.json()?;
    let id = str_field(&value, "id").map_or_else(|| new_id(call.random()), str::to_owned);
    let mut objects = call.objects();
    complete(&mut value, call, &objects, &id)?;
    if objects.claims.contains_key(&id) {
        return Err(ApiError::conflict("a claim with this id exists"));
    }
    let same = |claim: &Resource| {
        ["authorization_server_id", "name", "type"].iter().all(|name| claim.value.get(*name) == value.get(*name))
    };
    if objects.claims.values().any(same) {
        return Err(ApiError::conflict("a claim with this name and type exists"));
    }
    let version = objects.version();
    objects.claims.insert(id, Resource { value: value.clone(), version });
    ApiResponse::created(Value::Object(value), version)
}

/// `PUT` and `DELETE …/claims/{id}`; single claims cannot be got.
pub(crate) fn item(call: &Call<'_>, id: &str) -> ApiResult {
    let mut objects = call.objects();
    check_if_match(call.if_match, objects.claims.get(id).ok_or_else(|| ApiError::not_found("the claim"))?.version)?;
    match *call.method {
        Method::PUT => {
            let mut value = call.json()?;
            complete(&mut value, call, &objects, id)?;
            let version = objects.version();
            objects.claims.insert(id.to_owned(), Resource { value: value.clone(), version });
            ApiResponse::single(Value::Object(value), version)
        }
        Method::DELETE => {
            objects.claims.remove(id);
            ApiResponse::no_content()
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

fn complete(value: &mut Json, call: &Call<'_>, objects: &Objects, id: &str) -> Result<(), ApiError> {
    for name in ["authorization_server_id", "name", "type"] {
        if str_field(value, name).is_none() {
            return Err(ApiError::validation_error(format!("{name} is missing")));
        }
    }
    if str_field(value, "source_path").or_else(|| str_field(value, "mapping")).is_none() {
        return Err(ApiError::validation_error("source_path is missing"));
    }
    if !matches!(str_field(value, "type"), Some("id_token" | "access_token" | "saml_assertion")) {
        return Err(ApiError::validation_error("type is not one of id_token, access_token, saml_assertion"));
    }
    if !str_field(value, "authorization_server_id").is_some_and(|server| objects.organizations.contains_key(server)) {
        return Err(ApiError::not_found("the workspace"));
    }
    value.insert("id".to_owned(), json!(id));
    value.insert("tenant_id".to_owned(), json!(call.tenant()));
    Ok(())
}
