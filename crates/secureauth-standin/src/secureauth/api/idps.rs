//! `…/servers/{organization}/idps/identity_pool[/{id}]`: which pools may sign in at an organization.

use axum::http::Method;
use serde_json::{Value, json};

use super::answer::{Answer, Outcome, Problem};
use super::objects::{Json, Objects, Thing, matches, new_id, text};
use super::organizations::as_object;
use super::routes::Call;

/// Connects a pool, as `with_idp` does.
pub fn connect(objects: &mut Objects, tenant: &str, server: &str, pool: &str, name: &str, id: String) {
    let mut value = as_object(json!({ "identity_pool_id": pool, "name": name }));
    complete(&mut value, tenant, server, &id);
    let version = objects.version();
    objects.idps.insert(id, Thing { value, version });
}

/// `GET …/idps`
pub fn list(call: &Call<'_>, server: &str) -> Outcome {
    if *call.method != Method::GET {
        return Err(Problem::method());
    }
    let objects = call.standin.0.api.objects();
    let of_server = objects.idps.values().filter(|idp| text(&idp.value, "authorization_server_id") == Some(server));
    let found: Vec<Value> = of_server.map(|idp| Value::Object(idp.value.clone())).collect();
    Answer::list(json!({ "idps": found }))
}

/// `POST …/idps/identity_pool`
pub fn all(call: &Call<'_>, server: &str) -> Outcome {
    if *call.method != Method::POST {
        return Err(Problem::method());
    }
    let mut value = call.json()?;
    let mut objects = call.standin.0.api.objects();
    check(&objects, server, &value)?;
    let id = text(&value, "id").map_or_else(|| new_id(&call.standin.0.tools.random), str::to_owned);
    if objects.idps.contains_key(&id) {
        return Err(Problem::conflict("a connection with this id exists"));
    }
    complete(&mut value, call.tenant(), server, &id);
    let version = objects.version();
    objects.idps.insert(id, Thing { value: value.clone(), version });
    Answer::created(Value::Object(value), version)
}

/// `GET`, `PUT`, `DELETE …/idps/identity_pool/{id}`; `DELETE …/idps/{id}` is the documented one.
pub fn one(call: &Call<'_>, server: &str, id: &str) -> Outcome {
    let mut objects = call.standin.0.api.objects();
    let found = objects.idps.get(id).filter(|idp| text(&idp.value, "authorization_server_id") == Some(server));
    matches(call.if_match, found.ok_or_else(|| Problem::unknown("the connection"))?.version)?;
    match *call.method {
        Method::GET => {}
        Method::PUT => {
            let mut value = call.json()?;
            check(&objects, server, &value)?;
            complete(&mut value, call.tenant(), server, id);
            let version = objects.version();
            objects.idps.insert(id.to_owned(), Thing { value, version });
        }
        Method::DELETE => {
            objects.idps.remove(id);
            return Answer::nothing();
        }
        _ => return Err(Problem::method()),
    }
    let idp = objects.idps.get(id).ok_or_else(|| Problem::unknown("the connection"))?;
    Answer::one(Value::Object(idp.value.clone()), idp.version)
}

fn check(objects: &Objects, server: &str, value: &Json) -> Result<(), Problem> {
    if !objects.organizations.contains_key(server) {
        return Err(Problem::unknown("the workspace"));
    }
    let pool = text(value, "identity_pool_id").ok_or_else(|| Problem::invalid("identity_pool_id is missing"))?;
    if objects.pools.contains_key(pool) { Ok(()) } else { Err(Problem::invalid("the pool does not exist")) }
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
