//! `…/claims[/{id}]`: what an organization adds to ID tokens.

use axum::http::Method;
use serde_json::{Value, json};

use super::Api;
use super::answer::{Answer, Outcome, Problem};
use super::objects::{Json, Objects, Thing, matches, new_id, text};
use super::routes::Call;

impl Api {
    /// Claims that an organization adds to the ID token, out of the authentication context.
    ///
    /// `context` is flat; a path such as `user.id` is looked up whole, then by what follows its last dot.
    pub fn id_token_claims(&self, organization: &str, scope: &str, context: &Json) -> Json {
        let objects = self.objects();
        let asked = |name: &Value| name.as_str().is_some_and(|name| scope.split(' ').any(|one| one == name));
        let fits = |claim: &&Thing| {
            let scopes = claim.value.get("scopes").and_then(Value::as_array);
            text(&claim.value, "authorization_server_id") == Some(organization)
                && text(&claim.value, "type") == Some("id_token")
                && claim.value.get("opaque") != Some(&json!(true))
                && scopes.is_none_or(|scopes| scopes.is_empty() || scopes.iter().any(asked))
        };
        objects
            .claims
            .values()
            .filter(fits)
            .filter_map(|claim| {
                let path = text(&claim.value, "source_path").or_else(|| text(&claim.value, "mapping"))?;
                let last = path.rsplit('.').next().unwrap_or(path);
                let value = context.get(path).or_else(|| context.get(last))?;
                Some((text(&claim.value, "name")?.to_owned(), value.clone()))
            })
            .collect()
    }
}

/// `GET …/servers/{organization}/claims`
pub fn list(call: &Call<'_>, server: &str) -> Outcome {
    if *call.method != Method::GET {
        return Err(Problem::method());
    }
    let objects = call.standin.0.api.objects();
    let of_server =
        objects.claims.values().filter(|claim| text(&claim.value, "authorization_server_id") == Some(server));
    let found: Vec<Value> = of_server.map(|claim| Value::Object(claim.value.clone())).collect();
    Answer::list(json!({ "claims": found }))
}

/// `POST …/claims`
pub fn all(call: &Call<'_>) -> Outcome {
    if *call.method != Method::POST {
        return Err(Problem::method());
    }
    let mut value = call.json()?;
    let id = text(&value, "id").map_or_else(|| new_id(&call.standin.0.tools.random), str::to_owned);
    let mut objects = call.standin.0.api.objects();
    complete(&mut value, call, &objects, &id)?;
    if objects.claims.contains_key(&id) {
        return Err(Problem::conflict("a claim with this id exists"));
    }
    let same = |claim: &Thing| {
        ["authorization_server_id", "name", "type"].iter().all(|name| claim.value.get(*name) == value.get(*name))
    };
    if objects.claims.values().any(same) {
        return Err(Problem::conflict("a claim with this name and type exists"));
    }
    let version = objects.version();
    objects.claims.insert(id, Thing { value: value.clone(), version });
    Answer::created(Value::Object(value), version)
}

/// `PUT` and `DELETE …/claims/{id}`; single claims cannot be got.
pub fn one(call: &Call<'_>, id: &str) -> Outcome {
    let mut objects = call.standin.0.api.objects();
    matches(call.if_match, objects.claims.get(id).ok_or_else(|| Problem::unknown("the claim"))?.version)?;
    match *call.method {
        Method::PUT => {
            let mut value = call.json()?;
            complete(&mut value, call, &objects, id)?;
            let version = objects.version();
            objects.claims.insert(id.to_owned(), Thing { value: value.clone(), version });
            Answer::one(Value::Object(value), version)
        }
        Method::DELETE => {
            objects.claims.remove(id);
            Answer::nothing()
        }
        _ => Err(Problem::method()),
    }
}

fn complete(value: &mut Json, call: &Call<'_>, objects: &Objects, id: &str) -> Result<(), Problem> {
    for name in ["authorization_server_id", "name", "type"] {
        if text(value, name).is_none() {
            return Err(Problem::invalid(format!("{name} is missing")));
        }
    }
    if text(value, "source_path").or_else(|| text(value, "mapping")).is_none() {
        return Err(Problem::invalid("source_path is missing"));
    }
    if !matches!(text(value, "type"), Some("id_token" | "access_token" | "saml_assertion")) {
        return Err(Problem::invalid("type is not one of id_token, access_token, saml_assertion"));
    }
    if !text(value, "authorization_server_id").is_some_and(|server| objects.organizations.contains_key(server)) {
        return Err(Problem::unknown("the workspace"));
    }
    value.insert("id".to_owned(), json!(id));
    value.insert("tenant_id".to_owned(), json!(call.tenant()));
    Ok(())
}
