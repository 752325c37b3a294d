//! `…/clients[/{id}]`: who may ask an organization to sign people in.

use axum::http::Method;
use serde_json::{Value, json};

use super::Api;
use super::answer::{Answer, Outcome, Problem};
use super::objects::{Json, Objects, Thing, matches, new_id, text};
use super::organizations::as_object;
use super::routes::Call;
use crate::secureauth::Organization;

/// The fewest characters a secret may have.
const SECRET_MIN: usize = 32;

/// A client as the OIDC side needs it.
pub struct OidcClient {
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
    pub fn oidc_client(&self, organization: &str, id: &str) -> Option<OidcClient> {
        let objects = self.objects();
        let fits = |client: &&Thing| {
            text(&client.value, "authorization_server_id") == Some(organization)
                && text(&client.value, "client_status") != Some("inactive")
        };
        let own = || objects.clients.get(&seeded_twice(organization, id));
        let value = &objects.clients.get(id).filter(fits).or_else(|| own().filter(fits))?.value;
        let list = |name: &str| -> Vec<String> {
            let texts = value.get(name).and_then(Value::as_array);
            texts.into_iter().flatten().filter_map(|uri| uri.as_str().map(str::to_owned)).collect()
        };
        Some(OidcClient {
            id: id.to_owned(),
            secret: text(value, "client_secret")?.to_owned(),
            redirect_uris: list("redirect_uris"),
            post_logout_redirect_uris: list("post_logout_redirect_uris"),
            auth_method: text(value, "token_endpoint_auth_method").map(str::to_owned),
        })
    }
}

/// The client of an organization that is there from the start.
pub fn seed(objects: &mut Objects, tenant: &str, organization: &Organization) {
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
    let key = if objects.clients.contains_key(id) { seeded_twice(&organization.id, id) } else { id.clone() };
    objects.clients.insert(key, Thing { value, version });
}

/// The constructor may give the same id to clients of several organizations; the API does not.
fn seeded_twice(organization: &str, id: &str) -> String {
    format!("{organization}/{id}")
}

/// `GET …/servers/{organization}/clients`
pub fn list(call: &Call<'_>, server: &str) -> Outcome {
    if *call.method != Method::GET {
        return Err(Problem::method());
    }
    let limit = call.limit()?;
    let objects = call.standin.0.api.objects();
    let after = call.query.get("after_client_id");
    let found: Vec<Value> = objects
        .clients
        .iter()
        .filter(|(_, client)| text(&client.value, "authorization_server_id") == Some(server))
        .filter(|(id, _)| after.is_none_or(|after| id.as_str() > after))
        .take(limit)
        .map(|(_, client)| {
            let mut value = client.value.clone();
            value.remove("client_secret");
            Value::Object(value)
        })
        .collect();
    Answer::list(json!({ "clients": found }))
}

/// `POST …/clients`
pub fn all(call: &Call<'_>) -> Outcome {
    if *call.method != Method::POST {
        return Err(Problem::method());
    }
    let mut value = call.json()?;
    let random = &call.standin.0.tools.random;
    let id = text(&value, "client_id").map_or_else(|| new_id(random).replace('-', ""), str::to_owned);
    let mut objects = call.standin.0.api.objects();
    if objects.clients.contains_key(&id) {
        return Err(Problem::conflict("a client with this id exists"));
    }
    complete(&mut value, call, &objects, &id, None)?;
    value.insert("client_id_issued_at".to_owned(), json!(call.standin.now().seconds()));
    value.insert("created_at".to_owned(), json!(call.now()));
    let version = objects.version();
    objects.clients.insert(id, Thing { value: value.clone(), version });
    Answer::created(Value::Object(value), version)
}

/// `GET`, `PUT`, `DELETE …/clients/{id}`
pub fn one(call: &Call<'_>, id: &str) -> Outcome {
    let mut objects = call.standin.0.api.objects();
    let before = objects.clients.get(id).ok_or_else(|| Problem::unknown("the client"))?;
    matches(call.if_match, before.version)?;
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
            let secret = text(&before.value, "client_secret").map(str::to_owned);
            complete(&mut value, call, &objects, id, secret)?;
            let version = objects.version();
            objects.clients.insert(id.to_owned(), Thing { value, version });
        }
        Method::DELETE => {
            objects.clients.remove(id);
            return Answer::nothing();
        }
        _ => return Err(Problem::method()),
    }
    let client = objects.clients.get(id).ok_or_else(|| Problem::unknown("the client"))?;
    Answer::one(Value::Object(client.value.clone()), client.version)
}

fn complete(
    value: &mut Json,
    call: &Call<'_>,
    objects: &Objects,
    id: &str,
    secret: Option<String>,
) -> Result<(), Problem> {
    let server = text(value, "authorization_server_id");
    let server = server.ok_or_else(|| Problem::invalid("authorization_server_id is missing"))?;
    if !objects.organizations.contains_key(server) {
        return Err(Problem::unknown("the workspace"));
    }
    for name in ["redirect_uris", "post_logout_redirect_uris"] {
        let is_address = |uri: &Value| uri.as_str().is_some_and(|uri| url::Url::parse(uri).is_ok());
        let fits = |list: &Value| list.as_array().is_some_and(|list| list.iter().all(is_address));
        if value.get(name).is_some_and(|list| !list.is_null() && !fits(list)) {
            return Err(Problem::invalid(format!("{name} is not a list of addresses")));
        }
    }
    let secret = match (text(value, "client_secret"), secret) {
        (Some(given), _) if given.len() < SECRET_MIN => {
            return Err(Problem::invalid("the client_secret has fewer than 32 characters"));
        }
        (Some(given), _) => given.to_owned(),
        (None, Some(before)) => before,
        (None, None) => call.standin.0.tools.random.token::<32>(),
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
