//! `…/clients[/{id}]`: OIDC clients of organizations.

use axum::http::Method;
use serde_json::{Value, json};

use super::call::Call;
use super::client_secrets;
use crate::secureauth::response::{ApiError, ApiResponse, ApiResult};
use crate::secureauth::state::api::Api;
use crate::secureauth::state::objects::{Objects, check_if_match, new_id, seeded_client_key, str_field};
use crate::secureauth::state::records::{Json, Resource};
use signpost_core::Timestamp;

const MIN_SECRET_LENGTH: usize = 32;

/// A client for the OIDC endpoints.
pub(crate) struct OidcClient {
    pub id: String,
    pub secret: String,
    /// Former secrets that are still valid.
    pub rotated_secrets: Vec<String>,
    /// Compared exactly.
    pub redirect_uris: Vec<String>,
    /// Compared exactly.
    pub post_logout_redirect_uris: Vec<String>,
    /// None allows every method.
    pub auth_method: Option<String>,
}

/// An active client of an organization.
pub(crate) fn oidc_client(api: &Api, organization: &str, id: &str, now: Timestamp) -> Option<OidcClient> {
    let objects = api.objects();
    let fits = |client: &&Resource| {
        str_field(&client.value, "authorization_server_id") == Some(organization)
            && str_field(&client.value, "client_status") != Some("inactive")
    };
    let own = || objects.clients.get(&seeded_client_key(organization, id));
    let value = &objects.clients.get(id).filter(fits).or_else(|| own().filter(fits))?.value;
    let list = |name: &str| -> Vec<String> {
        let texts = value.get(name).and_then(Value::as_array);
        texts.into_iter().flatten().filter_map(|uri| uri.as_str().map(str::to_owned)).collect()
    };
    Some(OidcClient {
        id: id.to_owned(),
        secret: str_field(value, "client_secret")?.to_owned(),
        rotated_secrets: client_secrets::rotated(value, now),
        redirect_uris: list("redirect_uris"),
        post_logout_redirect_uris: list("post_logout_redirect_uris"),
        auth_method: str_field(value, "token_endpoint_auth_method").map(str::to_owned),
    })
}

/// `GET …/servers/{organization}/clients`
pub(crate) fn list(call: &Call<'_>, server: &str) -> ApiResult {
    call.require_method(&Method::GET)?;
    let limit = call.limit()?;
    let objects = call.objects();
    let after = call.query.get("after_client_id");
    let found: Vec<Value> = objects
        .clients
        .iter()
        .filter(|(_, client)| str_field(&client.value, "authorization_server_id") == Some(server))
        .filter(|(id, _)| after.is_none_or(|after| id.as_str() > after))
        .take(limit)
        .map(|(_, client)| {
            let mut value = client.value.clone();
            for secret in ["client_secret", "rotated_secrets", client_secrets::EXPIRIES] {
                value.remove(secret);
            }
            Value::Object(value)
        })
        .collect();
    ApiResponse::list(json!({ "clients": found }))
}

/// `POST …/clients`
pub(crate) fn collection(call: &Call<'_>) -> ApiResult {
    call.require_method(&Method::POST)?;
    let mut value = call.json()?;
    let random = call.random();
    let id = str_field(&value, "client_id").map_or_else(|| new_id(random).replace('-', ""), str::to_owned);
    let mut objects = call.objects();
    if objects.clients.contains_key(&id) {
        return Err(ApiError::conflict("a client with this id exists"));
    }
    complete(&mut value, call, &objects, &id, None)?;
    value.insert("client_id_issued_at".to_owned(), json!(call.standin.now().seconds()));
    value.insert("created_at".to_owned(), json!(call.now()));
    let version = objects.version();
    objects.clients.insert(id, Resource { value: value.clone(), version });
    ApiResponse::created(Value::Object(value), version)
}

/// `GET`, `PUT`, `DELETE …/clients/{id}`
pub(crate) fn item(call: &Call<'_>, id: &str) -> ApiResult {
    let mut objects = call.objects();
    let before = objects.clients.get(id).ok_or_else(|| ApiError::not_found("the client"))?;
    check_if_match(call.if_match, before.version)?;
    match *call.method {
        Method::GET => {}
        Method::PUT => {
            let mut value = call.json()?;
            // The workspace and the secret stay if the body omits them.
            for name in ["authorization_server_id", "client_id_issued_at", "created_at"] {
                if let Some(kept) = before.value.get(name) {
                    value.entry(name).or_insert(kept.clone());
                }
            }
            let secret = str_field(&before.value, "client_secret").map(str::to_owned);
            complete(&mut value, call, &objects, id, secret)?;
            let version = objects.version();
            objects.clients.insert(id.to_owned(), Resource { value, version });
        }
        Method::DELETE => {
            objects.clients.remove(id);
            return ApiResponse::no_content();
        }
        _ => return Err(ApiError::method_not_allowed()),
    }
    let client = objects.clients.get(id).ok_or_else(|| ApiError::not_found("the client"))?;
    ApiResponse::single(client_secrets::render(&client.value, call.standin.now()), client.version)
}

/// `GET /api/system/{tenant}/client/{id}`
pub(crate) fn system_item(call: &Call<'_>, id: &str) -> ApiResult {
    call.require_method(&Method::GET)?;
    call.require_scope(&["view_clients"])?;
    item(call, id)
}

/// `GET /api/system/{tenant}/clients/{organization}`
pub(crate) fn system_list(call: &Call<'_>, server: &str) -> ApiResult {
    call.require_scope(&["view_clients"])?;
    if !call.objects().organizations.contains_key(server) {
        return Err(ApiError::not_found("the workspace"));
    }
    list(call, server)
}

fn complete(
    value: &mut Json,
    call: &Call<'_>,
    objects: &Objects,
    id: &str,
    secret: Option<String>,
) -> Result<(), ApiError> {
    let server = str_field(value, "authorization_server_id");
    let server = server.ok_or_else(|| ApiError::validation_error("authorization_server_id is missing"))?;
    if !objects.organizations.contains_key(server) {
        return Err(ApiError::not_found("the workspace"));
    }
    for name in ["redirect_uris", "post_logout_redirect_uris"] {
        let is_address = |uri: &Value| uri.as_str().is_some_and(|uri| url::Url::parse(uri).is_ok());
        let fits = |list: &Value| list.as_array().is_some_and(|list| list.iter().all(is_address));
        if value.get(name).is_some_and(|list| !list.is_null() && !fits(list)) {
            return Err(ApiError::validation_error(format!("{name} is not a list of addresses")));
        }
    }
    let secret = match (str_field(value, "client_secret"), secret) {
        (Some(given), _) if given.len() < MIN_SECRET_LENGTH => {
            return Err(ApiError::validation_error("the client_secret has fewer than 32 characters"));
        }
        (Some(given), _) => given.to_owned(),
        (None, Some(before)) => before,
        (None, None) => call.random().token::<32>(),
    };
    value.insert("client_secret".to_owned(), json!(secret));
    value.insert("client_id".to_owned(), json!(id));
    value.insert("tenant_id".to_owned(), json!(call.tenant()));
    value.insert("updated_at".to_owned(), json!(call.now()));
    for (name, default) in [
        ("token_endpoint_auth_method", json!("client_secret_basic")),
        ("grant_types", json!(["authorization_code"])),
        ("response_types", json!(["code"])),
        ("client_type", json!("oauth2")),
        ("client_status", json!("active")),
        ("subject_type", json!("public")),
        ("redirect_uris", json!([])),
        ("post_logout_redirect_uris", json!([])),
    ] {
        value.entry(name).or_insert(default);
    }
    Ok(())
}
