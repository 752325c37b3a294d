//! `…/clients[/{id}]`: who may ask an organization to sign people in.

use axum::http::Method;
use serde_json::{Value, json};

use super::Api;
use super::objects::{Json, Objects, Resource, check_if_match, new_id, str_field};
use super::organizations::as_object;
use super::response::{ApiError, ApiResponse, ApiResult};
use super::routes::Call;
use crate::secureauth::Organization;

/// The fewest characters a secret may have.
const MIN_SECRET_LENGTH: usize = 32;

/// A client as the OIDC side needs it.
pub(crate) struct OidcClient {
    /// Client id.
    pub id: String,
    /// Client secret.
    pub secret: String,
    /// Where codes may be sent: compared exactly.
    pub redirect_uris: Vec<String>,
    /// Where browsers may be sent after signing out: compared exactly.
    pub post_logout_redirect_uris: Vec<String>,
    /// How it authenticates; none: as it likes.
    pub auth_method: Option<String>,
}

impl Api {
    /// A client of an organization.
    pub(crate) fn oidc_client(&self, organization: &str, id: &str) -> Option<OidcClient> {
        let objects = self.objects();
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
            redirect_uris: list("redirect_uris"),
            post_logout_redirect_uris: list("post_logout_redirect_uris"),
            auth_method: str_field(value, "token_endpoint_auth_method").map(str::to_owned),
        })
    }
}

/// The client of an organization that is there from the start.
pub(super) fn seed(objects: &mut Objects, tenant: &str, organization: &Organization) {
    let id = &organization.client_id;
    let value = as_object(json!({
        "client_id": id,
        "client_secret": organization.client_secret,
        "tenant_id": tenant,
        "authorization_server_id": organization.id,
        "redirect_uris": organization.redirect_uris,
        "post_logout_redirect_uris": organization.post_logout_redirect_uris,
    }));
    let version = objects.version();
    let key = if objects.clients.contains_key(id) { seeded_client_key(&organization.id, id) } else { id.clone() };
    objects.clients.insert(key, Resource { value, version });
}

/// The constructor may give the same id to clients of several organizations; the API does not.
fn seeded_client_key(organization: &str, id: &str) -> String {
    format!("{organization}/{id}")
}

/// `GET …/servers/{organization}/clients`
pub(super) fn list(call: &Call<'_>, server: &str) -> ApiResult {
    if *call.method != Method::GET {
        return Err(ApiError::method_not_allowed());
    }
    let limit = call.limit()?;
    let objects = call.standin.0.api.objects();
    let after = call.query.get("after_client_id");
    let found: Vec<Value> = objects
        .clients
        .iter()
        .filter(|(_, client)| str_field(&client.value, "authorization_server_id") == Some(server))
        .filter(|(id, _)| after.is_none_or(|after| id.as_str() > after))
        .take(limit)
        .map(|(_, client)| {
            let mut value = client.value.clone();
            value.remove("client_secret");
            Value::Object(value)
        })
        .collect();
    ApiResponse::list(json!({ "clients": found }))
}

/// `POST …/clients`
pub(super) fn collection(call: &Call<'_>) -> ApiResult {
    if *call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let mut value = call.json()?;
    let random = &call.standin.0.deps.random;
    let id = str_field(&value, "client_id").map_or_else(|| new_id(random).replace('-', ""), str::to_owned);
    let mut objects = call.standin.0.api.objects();
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
pub(super) fn item(call: &Call<'_>, id: &str) -> ApiResult {
    let mut objects = call.standin.0.api.objects();
    let before = objects.clients.get(id).ok_or_else(|| ApiError::not_found("the client"))?;
    check_if_match(call.if_match, before.version)?;
    match *call.method {
        Method::GET => {}
        Method::PUT => {
            let mut value = call.json()?;
            // The workspace and the secret stay if nothing is said.
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
    ApiResponse::single(Value::Object(client.value.clone()), client.version)
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
        (None, None) => call.standin.0.deps.random.token::<32>(),
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
