//! `…/organizations[/{id}]`: each is an issuer at once.

use axum::http::Method;
use serde_json::{Value, json};

use super::answer::{Answer, Outcome, Problem};
use super::objects::{Json, Objects, Thing, matches, new_id, text};
use super::routes::Call;
use super::tokens::Workspace;
use crate::secureauth::{Organization, SecureAuthStandIn};

/// An organization that is there from the start.
pub fn seed(objects: &mut Objects, organization: &Organization) {
    let value = as_object(json!({ "id": organization.id, "name": organization.name }));
    let version = objects.version();
    objects.organizations.insert(organization.id.clone(), Thing { value, version });
}

/// `GET` and `POST …/organizations`
pub fn all(call: &Call<'_>) -> Outcome {
    call.needs(&["manage_configuration"])?;
    match *call.method {
        Method::GET => list(call),
        Method::POST => create(call),
        _ => Err(Problem::method()),
    }
}

/// `GET`, `PUT`, `DELETE …/organizations/{id}`
pub fn one(call: &Call<'_>, id: &str) -> Outcome {
    call.needs(&["manage_configuration"])?;
    let mut objects = call.standin.0.api.objects();
    let version = objects.organizations.get(id).ok_or_else(|| Problem::unknown("the organization"))?.version;
    matches(call.if_match, version)?;
    match *call.method {
        Method::GET => {}
        // The whole object is replaced, which the vendor leaves open.
        Method::PUT => {
            let mut value = checked(call.json()?)?;
            value.insert("id".to_owned(), json!(id));
            value.remove("template_id");
            let version = objects.version();
            apply(call.standin, id, &value);
            objects.organizations.insert(id.to_owned(), Thing { value, version });
        }
        // Its clients, connections and claims go with it; pools and users stay. The vendor says nothing of it.
        Method::DELETE => {
            objects.organizations.remove(id);
            let stays = |_: &String, thing: &mut Thing| text(&thing.value, "authorization_server_id") != Some(id);
            objects.clients.retain(stays);
            objects.idps.retain(stays);
            objects.claims.retain(stays);
            call.standin.remove_issuer(id);
            return Answer::nothing();
        }
        _ => return Err(Problem::method()),
    }
    let thing = objects.organizations.get(id).ok_or_else(|| Problem::unknown("the organization"))?;
    Answer::one(shown(call.standin, id, &thing.value), thing.version)
}

fn list(call: &Call<'_>) -> Outcome {
    let limit = call.limit()?;
    let objects = call.standin.0.api.objects();
    let phrase = call.query.get("search_phrase").map(str::to_lowercase);
    let parent = call.query.get("parent_id").filter(|_| call.workspace == Workspace::Admin);
    let template = call.query.get("template").map(|text| text == "true");
    let fits = |(id, thing): &(&String, &Thing)| {
        let name = || text(&thing.value, "name").unwrap_or_default().to_lowercase();
        phrase.as_ref().is_none_or(|phrase| id.to_lowercase().contains(phrase) || name().contains(phrase))
            && parent.is_none_or(|parent| text(&thing.value, "parent_id") == Some(parent))
            && template.is_none_or(|template| (thing.value.get("template") == Some(&json!(true))) == template)
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
        .map(|(id, thing)| shown(call.standin, id, &thing.value))
        .collect();
    Answer::list(json!({ "organizations": found }))
}

fn create(call: &Call<'_>) -> Outcome {
    let mut value = checked(call.json()?)?;
    let id = text(&value, "id").map_or_else(|| new_id(&call.standin.0.tools.random), str::to_owned);
    // Path segments of their own, or of the API.
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !id.chars().all(fits) || ["system", "admin"].contains(&id.as_str()) {
        return Err(Problem::invalid("the id cannot be part of an address"));
    }
    let mut objects = call.standin.0.api.objects();
    if objects.organizations.contains_key(&id) {
        return Err(Problem::conflict("an organization with this id exists"));
    }
    value.insert("id".to_owned(), json!(id));
    value.remove("template_id");
    let version = objects.version();
    let name = text(&value, "name").unwrap_or(&id).to_owned();
    call.standin.add_issuer(&id, &name);
    apply(call.standin, &id, &value);
    let answer = shown(call.standin, &id, &value);
    objects.organizations.insert(id, Thing { value, version });
    Answer::created(answer, version)
}

/// What a caller may not say, or not so.
fn checked(mut value: Json) -> Result<Json, Problem> {
    if value.get("deactivated").is_some_and(|flag| !flag.is_boolean() && !flag.is_null()) {
        return Err(Problem::malformed("deactivated is true or false"));
    }
    for ours in ["issuer_url", "number_of_child_organizations", "deactivated_at"] {
        value.remove(ours);
    }
    Ok(value)
}

/// Lets the issuer know; whether it is deactivated is remembered there alone.
fn apply(standin: &SecureAuthStandIn, id: &str, value: &Json) {
    if let Some(issuer) = standin.organization(id) {
        issuer.set_deactivated(value.get("deactivated") == Some(&json!(true)));
        issuer.set_name(text(value, "name").unwrap_or(id));
    }
}

fn shown(standin: &SecureAuthStandIn, id: &str, value: &Json) -> Value {
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

/// An object literal as the object it is.
pub fn as_object(value: Value) -> Json {
    match value {
        Value::Object(object) => object,
        _ => Json::new(),
    }
}
