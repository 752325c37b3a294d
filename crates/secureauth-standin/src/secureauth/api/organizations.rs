//! `…/organizations[/{id}]`. A new organization is an issuer at once.

use axum::http::Method;
use serde_json::{Value, json};

use super::call::Call;
use crate::secureauth::response::{ApiError, ApiResponse, ApiResult};
use crate::secureauth::state::api::Workspace;
use crate::secureauth::state::objects::{check_if_match, new_id, str_field};
use crate::secureauth::state::records::{Json, Resource};
use crate::secureauth::state::standin::SecureAuthStandIn;

/// `GET` and `POST …/organizations`
pub(crate) fn collection(call: &Call<'_>) -> ApiResult {
    call.require_scope(&["manage_configuration"])?;
    match *call.method {
        Method::GET => list(call),
        Method::POST => create(call),
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// `GET`, `PUT`, `DELETE …/organizations/{id}`
pub(crate) fn item(call: &Call<'_>, id: &str) -> ApiResult {
    call.require_scope(&["manage_configuration"])?;
    let mut objects = call.objects();
    let version = objects.organizations.get(id).ok_or_else(|| ApiError::not_found("the organization"))?.version;
    check_if_match(call.if_match, version)?;
    match *call.method {
        Method::GET => {}
        // Replaces the whole object, which the vendor leaves open.
        Method::PUT => {
            let mut value = validate(call.json()?)?;
            value.insert("id".to_owned(), json!(id));
            value.remove("template_id");
            let version = objects.version();
            apply(call.standin, id, &value);
            objects.organizations.insert(id.to_owned(), Resource { value, version });
        }
        // Also deletes its clients, connections and claims, but no pools and users. The vendor leaves this open.
        Method::DELETE => {
            objects.organizations.remove(id);
            let stays =
                |_: &String, resource: &mut Resource| str_field(&resource.value, "authorization_server_id") != Some(id);
            objects.clients.retain(stays);
            objects.idps.retain(stays);
            objects.claims.retain(stays);
            call.standin.remove_issuer(id);
            return ApiResponse::no_content();
        }
        _ => return Err(ApiError::method_not_allowed()),
    }
    let resource = objects.organizations.get(id).ok_or_else(|| ApiError::not_found("the organization"))?;
    ApiResponse::single(render(call.standin, id, &resource.value), resource.version)
}

fn list(call: &Call<'_>) -> ApiResult {
    let limit = call.limit()?;
    let objects = call.objects();
    let phrase = call.query.get("search_phrase").map(str::to_lowercase);
    let parent = call.query.get("parent_id").filter(|_| call.workspace == Workspace::Admin);
    let template = call.query.get("template").map(|text| text == "true");
    let fits = |(id, resource): &(&String, &Resource)| {
        let name = || str_field(&resource.value, "name").unwrap_or_default().to_lowercase();
        phrase.as_ref().is_none_or(|phrase| id.to_lowercase().contains(phrase) || name().contains(phrase))
            && parent.is_none_or(|parent| str_field(&resource.value, "parent_id") == Some(parent))
            && template.is_none_or(|template| (resource.value.get("template") == Some(&json!(true))) == template)
    };
    let after = call.query.get("after_organization_id");
    let before = call.query.get("before_organization_id");
    let found: Vec<Value> = objects
        .organizations
        .iter()
        .filter(|(id, _)| after.is_none_or(|after| id.as_str() > after))
        .filter(|(id, _)| before.is_none_or(|before| id.as_str() < before))
        .filter(fits)
        .take(limit)
        .map(|(id, resource)| render(call.standin, id, &resource.value))
        .collect();
    ApiResponse::list(json!({ "organizations": found }))
}

fn create(call: &Call<'_>) -> ApiResult {
    let mut value = validate(call.json()?)?;
    let id = str_field(&value, "id").map_or_else(|| new_id(call.random()), str::to_owned);
    // An id is a path segment, and must not clash with one of the API.
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !id.chars().all(fits) || ["system", "admin"].contains(&id.as_str()) {
        return Err(ApiError::validation_error("the id cannot be part of an address"));
    }
    let mut objects = call.objects();
    if objects.organizations.contains_key(&id) {
        return Err(ApiError::conflict("an organization with this id exists"));
    }
    value.insert("id".to_owned(), json!(id));
    value.remove("template_id");
    let version = objects.version();
    let name = str_field(&value, "name").unwrap_or(&id).to_owned();
    call.standin.add_issuer(&id, &name);
    apply(call.standin, &id, &value);
    let answer = render(call.standin, &id, &value);
    objects.organizations.insert(id, Resource { value, version });
    ApiResponse::created(answer, version)
}

fn validate(mut value: Json) -> Result<Json, ApiError> {
    if value.get("deactivated").is_some_and(|flag| !flag.is_boolean() && !flag.is_null()) {
        return Err(ApiError::bad_request("deactivated is true or false"));
    }
    for ours in ["issuer_url", "number_of_child_organizations", "deactivated_at"] {
        value.remove(ours);
    }
    Ok(value)
}

/// Updates the issuer, which alone stores whether it is deactivated.
fn apply(standin: &SecureAuthStandIn, id: &str, value: &Json) {
    if let Some(issuer) = standin.organization(id) {
        issuer.set_deactivated(value.get("deactivated") == Some(&json!(true)));
        issuer.set_name(str_field(value, "name").unwrap_or(id));
    }
}

fn render(standin: &SecureAuthStandIn, id: &str, value: &Json) -> Value {
    let mut value = value.clone();
    if let Some(issuer) = standin.organization(id) {
        value.insert("deactivated".to_owned(), json!(issuer.deactivated()));
        value.insert("issuer_url".to_owned(), json!(issuer.url));
    }
    for (name, default) in [("color", json!("#007FFF")), ("subject_format", json!("hash")), ("template", json!(false))]
    {
        value.entry(name).or_insert(default);
    }
    Value::Object(value)
}
