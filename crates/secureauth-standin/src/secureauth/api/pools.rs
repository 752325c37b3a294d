//! `…/pools[/{id}]` and `…/workspace/{organization}/pools`.

use axum::http::Method;
use serde_json::{Value, json};

use super::answer::{Answer, Outcome, Problem};
use super::idps;
use super::objects::{Json, Pool, Thing, matches, new_id, text};
use super::routes::Call;

/// `GET` and `POST …/pools`
pub fn all(call: &Call<'_>) -> Outcome {
    match *call.method {
        Method::GET => list(call, None),
        Method::POST => create(call, None),
        _ => Err(Problem::method()),
    }
}

/// `GET`, and for administrators `POST`, `…/workspace/{organization}/pools`
pub fn of_organization(call: &Call<'_>, server: &str) -> Outcome {
    let known = call.standin.0.api.objects().organizations.contains_key(server);
    match *call.method {
        _ if !known => Err(Problem::unknown("the workspace")),
        Method::GET => list(call, Some(server)),
        Method::POST if call.workspace == super::tokens::Workspace::Admin => create(call, Some(server)),
        _ => Err(Problem::method()),
    }
}

/// `GET`, `PUT`, `DELETE …/workspace/{organization}/pools/{id}`
pub fn one_of_organization(call: &Call<'_>, server: &str, id: &str) -> Outcome {
    if text(&call.standin.0.api.objects().pool(id)?.thing.value, "workspace_id") != Some(server) {
        return Err(Problem::unknown("the pool"));
    }
    one(call, id)
}

/// `GET`, `PUT`, `DELETE …/pools/{id}`
pub fn one(call: &Call<'_>, id: &str) -> Outcome {
    let mut objects = call.standin.0.api.objects();
    matches(call.if_match, objects.pool(id)?.thing.version)?;
    match *call.method {
        Method::GET => {}
        Method::PUT => {
            let mut value = checked(call, call.json()?)?;
            value.insert("id".to_owned(), json!(id));
            let version = objects.version();
            objects.pool_mut(id)?.thing = Thing { value, version };
        }
        // The users go with their pool; connections go if asked, and lead nowhere otherwise.
        Method::DELETE => {
            objects.pools.remove(id);
            if call.query.get("with_idp") == Some("true") {
                objects.idps.retain(|_, idp| text(&idp.value, "identity_pool_id") != Some(id));
            }
            return Answer::nothing();
        }
        _ => return Err(Problem::method()),
    }
    let pool = objects.pool(id)?;
    Answer::one(shown(pool), pool.thing.version)
}

fn list(call: &Call<'_>, server: Option<&str>) -> Outcome {
    let limit = call.limit()?;
    let objects = call.standin.0.api.objects();
    let phrase = call.query.get("search_phrase").map(str::to_lowercase);
    let (after, before) = (call.query.get("after_pool_id"), call.query.get("before_pool_id"));
    let found: Vec<Value> = objects
        .pools
        .iter()
        .filter(|(id, _)| after.is_none_or(|after| id.as_str() > after))
        .filter(|(id, _)| before.is_none_or(|before| id.as_str() < before))
        .filter(|(_, pool)| server.is_none_or(|server| text(&pool.thing.value, "workspace_id") == Some(server)))
        .filter(|(id, pool)| {
            let name = || text(&pool.thing.value, "name").unwrap_or_default().to_lowercase();
            phrase.as_ref().is_none_or(|phrase| id.to_lowercase().contains(phrase) || name().contains(phrase))
        })
        .take(limit)
        .map(|(_, pool)| shown(pool))
        .collect();
    Answer::list(json!({ "pools": found }))
}

fn create(call: &Call<'_>, server: Option<&str>) -> Outcome {
    let mut value = checked(call, call.json()?)?;
    let random = &call.standin.0.tools.random;
    let id = text(&value, "id").map_or_else(|| new_id(random), str::to_owned);
    value.insert("id".to_owned(), json!(id));
    if let Some(server) = server {
        value.insert("workspace_id".to_owned(), json!(server));
    }
    let mut objects = call.standin.0.api.objects();
    if objects.pools.contains_key(&id) {
        return Err(Problem::conflict("a pool with this id exists"));
    }
    if let Some(workspace) = text(&value, "workspace_id")
        && !objects.organizations.contains_key(workspace)
    {
        return Err(Problem::invalid("the workspace of the pool does not exist"));
    }
    let version = objects.version();
    let name = text(&value, "name").unwrap_or_default().to_owned();
    let pool = Pool::new(Thing { value, version });
    let answer = shown(&pool);
    objects.pools.insert(id.clone(), pool);
    if let Some(server) = server.filter(|_| call.query.get("with_idp") == Some("true")) {
        idps::connect(&mut objects, call.tenant(), server, &id, &name, new_id(random));
    }
    Answer::created(answer, version)
}

/// A pool as a caller may give it.
pub fn checked(call: &Call<'_>, mut value: Json) -> Result<Json, Problem> {
    if text(&value, "name").is_none() {
        return Err(Problem::invalid("name is missing"));
    }
    if value.get("tenant_id").is_some_and(|tenant| tenant != call.tenant()) {
        return Err(Problem::invalid("tenant_id is of another tenant"));
    }
    value.insert("tenant_id".to_owned(), json!(call.tenant()));
    for ours in ["number_of_users", "number_of_standard_users", "number_of_jit_users"] {
        value.remove(ours);
    }
    value.entry("payload_schema_id").or_insert(json!("user_v0"));
    value.entry("metadata_schema_id").or_insert(json!("metadata_v0"));
    Ok(value)
}

fn shown(pool: &Pool) -> Value {
    let mut value = pool.thing.value.clone();
    value.insert("number_of_users".to_owned(), json!(pool.users.len()));
    value.insert("number_of_standard_users".to_owned(), json!(pool.users.len()));
    value.insert("number_of_jit_users".to_owned(), json!(0));
    Value::Object(value)
}
