//! What every operation of the API has in common, for each that the description has: keys, billers out of reach, bodies that
//! cannot be meant, repeated requests.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use signpost::access::{NewApiKey, Scope};
use signpost::db::Sql;
use signpost::provisioning::{EnablementOptions, JobState};
use signpost::sql;
use signpost_core::reference::CodeKind;

use crate::harness::{TestResponse, World, slug};
use crate::openapi::{Operation, name_of, operations, resolve};

const NOBODY: &str = "01a00000-0000-7000-8000-000000000000";
/// Moved by a job, so that there is one.
const OWN: &str = "pinehill-gas";
const FOREIGN: &str = "lakeside-power";

/// A key, and the requests that it makes.
struct Client<'w> {
    world: &'w World,
    key: String,
}

impl<'w> Client<'w> {
    async fn new(world: &'w World, scopes: &[Scope], billers: Option<&[&str]>) -> Self {
        let billers = billers.map(|billers| billers.iter().map(|one| slug(one)).collect());
        let new = NewApiKey { name: "k".into(), scopes: scopes.to_vec(), audience: None, billers, expires_at: None };
        Self { world, key: world.state.api_keys.create(&new, &world.actor()).await.unwrap() }
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> TestResponse {
        self.send_text(method, path, body.map(Value::to_string), &[]).await
    }

    async fn send_text(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> TestResponse {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("authorization", format!("Bearer {}", self.key));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.world.browser().send_with(request, body.map_or_else(Body::empty, Body::from)).await
    }
}

fn read(answer: &TestResponse) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_default()
}

fn reason(answer: &TestResponse) -> String {
    let kind = read(answer)["type"].as_str().unwrap_or_default().to_owned();
    assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.body);
    kind.trim_start_matches("urn:signpost:problem:").to_owned()
}

/// What there is of one biller: by schema, or by what stands at a place in a path.
type Ids = BTreeMap<&'static str, String>;

async fn user_of(all: &Client<'_>, team: &str, name: &str) -> String {
    let new = json!({ "email": format!("{name}@mail.example"), "teams": [{ "id": team }] });
    let made = all.send("POST", "/identity/v1/users", Some(&new)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    read(&made)["id"].as_str().unwrap().to_owned()
}

/// One of each thing at a biller, made anew where an operation may use it up.
async fn ids(all: &Client<'_>, biller: &'static str, round: usize) -> Ids {
    let world = all.world;
    let team = world.state.directory.biller_by_slug(&slug(biller)).await.unwrap().unwrap().id.to_string();
    let job =
        match world.state.provisioning.latest_job(&signpost_core::BillerId::from_stored(team.clone())).await.unwrap() {
            Some(job) => job,
            None => {
                let job = world
                    .state
                    .provisioning
                    .start(&slug(biller), EnablementOptions::default(), &world.actor())
                    .await
                    .unwrap();
                world.state.provisioning.run_next_job().await.unwrap();
                assert_eq!(world.state.provisioning.job(&job.id).await.unwrap().unwrap().state, JobState::Active);
                job
            }
        };
    // The hosts of a biller that was moved.
    let hosts = json!({ "hosts": [format!("pay{round}.{biller}.example")] });
    let asked = all.send("PATCH", &format!("/api/v1/billers/{biller}"), Some(&hosts)).await;
    let waiting = read(&asked)["pending_changes"].as_array().and_then(|all| all.last().cloned()).unwrap_or_default();
    let change = waiting["id"].as_str().unwrap_or_else(|| panic!("{}", asked.body)).to_owned();
    let user = user_of(all, &team, &format!("{biller}-{round}")).await;
    let entry =
        signpost::audit::LogEntry { biller: Some(biller.to_owned()), response: "error page", ..Default::default() };
    let code = world.state.decisions.record(CodeKind::Error, entry).to_string();
    let billers = Some(vec![slug(biller)]);
    let new = NewApiKey { name: "k".into(), scopes: vec![Scope::Simulate], audience: None, billers, expires_at: None };
    let key = world.state.api_keys.create(&new, &world.actor()).await.unwrap();
    [
        ("Slug", biller.to_owned()),
        ("BillerId", team),
        ("UserId", user),
        ("/jobs/", job.id),
        ("/changes/", change),
        ("/decisions/", code),
        ("/keys/", key[3..15].to_owned()),
    ]
    .into()
}

fn unknown() -> Ids {
    let nobody = || NOBODY.to_owned();
    let slug = "nowhere-water".to_owned();
    [
        ("Slug", slug),
        ("BillerId", nobody()),
        ("UserId", nobody()),
        ("/jobs/", nobody()),
        ("/changes/", nobody()),
        ("/decisions/", "0000-0000-0000-0000".to_owned()),
        ("/keys/", "000000000000".to_owned()),
    ]
    .into()
}

/// A place in a request where the id of something stands.
#[derive(Clone, Debug, PartialEq)]
enum IdLocation {
    Path(String),
    Query(String),
    /// Names and numbers on the way into the body.
    Body(Vec<String>),
}

/// Every such place, with what stands there.
fn id_locations(operation: &Operation) -> Vec<(IdLocation, &'static str)> {
    let kinds = ["Slug", "BillerId", "UserId"];
    let known = |schema: &Value| {
        let schema = schema["oneOf"]
            .as_array()
            .and_then(|kinds| kinds.iter().find(|kind| kind["type"] != "null"))
            .unwrap_or(schema);
        kinds.into_iter().find(|kind| name_of(schema) == Some(kind))
    };
    let mut found = Vec::new();
    for parameter in &operation.parameters {
        let name = parameter["name"].as_str().unwrap().to_owned();
        match (parameter["in"].as_str().unwrap(), known(&parameter["schema"])) {
            ("path", Some(kind)) => found.push((IdLocation::Path(name), kind)),
            ("path", None) => {
                let kind = ["/jobs/", "/changes/", "/decisions/", "/keys/"]
                    .into_iter()
                    .find(|kind| operation.path.contains(kind));
                let sort =
                    format!("{} {}: what is {name}? Tell `ids` and `unknown` of it", operation.method, operation.path);
                found.push((IdLocation::Path(name), kind.unwrap_or_else(|| panic!("{sort}"))));
            }
            ("query", Some(kind)) => found.push((IdLocation::Query(name), kind)),
            _ => {}
        }
    }
    fn walk(
        schema: &Value,
        way: &[String],
        known: &dyn Fn(&Value) -> Option<&'static str>,
        found: &mut Vec<(IdLocation, &'static str)>,
    ) {
        if let Some(kind) = known(schema) {
            found.push((IdLocation::Body(way.to_vec()), kind));
            return;
        }
        let schema = resolve(schema);
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            walk(field, &[way, std::slice::from_ref(name)].concat(), known, found);
        }
        if !schema["items"].is_null() {
            walk(&schema["items"], &[way, &["0".to_owned()]].concat(), known, found);
        }
    }
    if let Some(schema) = &operation.schema {
        walk(schema, &[], &known, &mut found);
    }
    found
}

/// The request with the example's body, `usual` in every path, and `other` at one place.
fn request(operation: &Operation, usual: &Ids, other: Option<(&IdLocation, &str)>) -> (String, Option<Value>) {
    let mut path = operation.path.clone();
    for (place, kind) in id_locations(operation) {
        if let IdLocation::Path(name) = &place {
            let value = other.filter(|(at, _)| **at == place).map_or(usual[kind].as_str(), |(_, value)| value);
            path = path.replace(&format!("{{{name}}}"), value);
        }
    }
    let mut body = operation.schema.is_some().then(|| operation.example.clone());
    // The example's ids are nobody's.
    if let Some(user) = body.as_mut().and_then(|body| body.pointer_mut("/user_ids/0")) {
        *user = usual["UserId"].clone().into();
    }
    match other {
        Some((IdLocation::Query(name), value)) => path = format!("{path}?{name}={value}"),
        Some((IdLocation::Body(way), value)) => put(body.as_mut().unwrap(), way, value),
        _ => {}
    }
    let needed = operation.parameters.iter().filter(|one| one["in"] == "query" && one["required"] == true);
    for parameter in needed {
        let mark = if path.contains('?') { '&' } else { '?' };
        path = format!("{path}{mark}{}=x", parameter["name"].as_str().unwrap());
    }
    (path, body)
}

fn put(body: &mut Value, way: &[String], value: &str) {
    let Some((first, rest)) = way.split_first() else {
        *body = value.into();
        return;
    };
    if first == "0" {
        if body.as_array().is_none_or(Vec::is_empty) {
            *body = json!([null]);
        }
        put(&mut body[0], rest, value);
    } else {
        if !body.is_object() {
            *body = json!({});
        }
        put(&mut body[first.as_str()], rest, value);
    }
}

/// An answer without what differs each time.
fn stable_parts(answer: &TestResponse) -> (StatusCode, HeaderMap, Value) {
    let (mut headers, mut body) = (answer.headers.clone(), read(answer));
    headers.remove("x-request-id");
    headers.remove("date");
    headers.remove("content-length");
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
    }
    (answer.status, headers, body)
}

/// A key for everything, and one that does not reach the biller `FOREIGN`.
async fn keys_and_foreign_biller(world: &World) -> (Client<'_>, Client<'_>) {
    let all = Client::new(world, Scope::ALL, None).await;
    let limited = Client::new(world, Scope::ALL, Some(&[OWN])).await;
    let new = json!({ "slug": FOREIGN, "name": "Lakeside Power" });
    assert_eq!(all.send("POST", "/api/v1/billers", Some(&new)).await.status, StatusCode::CREATED);
    (all, limited)
}

#[tokio::test]
async fn out_of_scope_resources_look_absent() {
    let world = World::start().await;
    let (all, limited) = keys_and_foreign_biller(&world).await;
    let (foreign, unknown) = (ids(&all, FOREIGN, 0).await, unknown());
    let mut compared = 0;
    for (round, operation) in operations().iter().enumerate() {
        let own = ids(&all, OWN, round).await;
        for (place, kind) in id_locations(operation) {
            let what = format!("{} {} at {place:?}", operation.method, operation.path);
            let mut answers = Vec::new();
            for id in [&foreign[kind], &unknown[kind]] {
                let (path, body) = request(operation, &own, Some((&place, id)));
                let mut answer = limited.send(&operation.method, &path, body.as_ref()).await;
                answer.body = answer.body.replace(id.as_str(), "ID");
                answers.push(answer);
            }
            let expected = match place {
                IdLocation::Path(_) | IdLocation::Query(_) => answers[0].status == StatusCode::NOT_FOUND,
                IdLocation::Body(_) => answers[0].status.is_client_error(),
            };
            assert!(expected, "{what}: {} {}", answers[0].status, answers[0].body);
            assert_eq!(stable_parts(&answers[0]), stable_parts(&answers[1]), "{what}");
            compared += 1;
            // The same with what is its own is another matter: the place is looked at.
            if let IdLocation::Path(_) | IdLocation::Query(_) = place {
                let (path, body) = request(operation, &own, Some((&place, &own[kind])));
                let answer = limited.send(&operation.method, &path, body.as_ref()).await;
                assert_ne!(answer.status, StatusCode::NOT_FOUND, "{what}: {}", answer.body);
            }
        }
    }
    assert!(compared > 30, "{compared} places");
    let order = |slug: &str| json!({ "kill_switch": format!("{slug}=legacy") });
    let mut answers = Vec::new();
    for biller in [FOREIGN, "nowhere-water"] {
        answers.push(stable_parts(&limited.send("PUT", "/api/v1/kill-switch", Some(&order(biller))).await));
    }
    assert!(answers[0].0.is_client_error());
    assert_eq!(answers[0], answers[1]);
}

/// The statements that a request runs, in their order, as the trace events of this thread tell.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<String>>>);

impl Write for Statements {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let line: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let statement = line["fields"]["statement"].as_str().unwrap_or_default();
        // Time alone decides whether the snapshot of the billers is checked.
        if statement != "SELECT value FROM revision WHERE name = 'billers'" {
            self.0.lock().unwrap().push(statement.to_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The time of an answer does not tell whether an id exists: both run the same statements.
#[tokio::test]
async fn foreign_and_unknown_ids_run_the_same_statements() {
    let world = World::start().await;
    let (all, limited) = keys_and_foreign_biller(&world).await;
    let (foreign, unknown) = (ids(&all, FOREIGN, 0).await, unknown());
    let statements = Statements::default();
    let writer = statements.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_env_filter(tracing_subscriber::EnvFilter::new("off,signpost::statements=trace"))
        .with_writer(move || writer.clone())
        .finish();
    // For this thread: the test's runtime has one only.
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut compared = 0;
    for (round, operation) in operations().iter().enumerate() {
        let own = ids(&all, OWN, round).await;
        for (place, kind) in id_locations(operation) {
            let mut run = Vec::new();
            // The first request warms what is cached.
            for id in [&unknown[kind], &foreign[kind], &unknown[kind]] {
                let (path, body) = request(operation, &own, Some((&place, id)));
                statements.0.lock().unwrap().clear();
                let answer = limited.send(&operation.method, &path, body.as_ref()).await;
                assert!(answer.status.is_client_error(), "{} {path}: {}", operation.method, answer.status);
                run.push(statements.0.lock().unwrap().clone());
            }
            assert_eq!(run[1], run[2], "{} {} at {place:?}", operation.method, operation.path);
            compared += usize::from(!run[1].is_empty());
        }
    }
    assert!(compared > 20, "{compared} places with statements");
}

#[tokio::test]
async fn invalid_keys_are_rejected_everywhere() {
    let world = World::start().await;
    let good = Client::new(&world, Scope::ALL, None).await.key;
    let mut keys = vec![
        ("cut off", good[..good.len() - 1].to_owned()),
        ("wrong checksum", format!("{}{}", &good[..good.len() - 1], if good.ends_with('0') { '1' } else { '0' })),
        ("longer", format!("{good}0")),
        ("empty", String::new()),
    ];
    let new =
        NewApiKey { name: "k".into(), scopes: Scope::ALL.to_vec(), audience: None, billers: None, expires_at: None };
    let revoked = world.state.api_keys.create(&new, &world.actor()).await.unwrap();
    assert!(world.state.api_keys.revoke(&revoked[3..15], &world.actor()).await.unwrap());
    keys.push(("revoked", revoked));
    let soon = Some(world.clock.now().plus(Duration::from_secs(60)));
    let expired = NewApiKey { expires_at: soon, ..new.clone() };
    keys.push(("expired", world.state.api_keys.create(&expired, &world.actor()).await.unwrap()));
    world.advance(Duration::from_secs(60)).await;
    for operation in operations() {
        let (path, body) = request(&operation, &unknown(), None);
        let what = format!("{} {path}", operation.method);
        let send = async |lines: &[String], query: &str| {
            let query = if path.contains('?') { query.replacen('?', "&", 1) } else { query.to_owned() };
            let mut request = Request::builder().method(operation.method.as_str()).uri(format!("{path}{query}"));
            request = request.header("content-type", "application/json");
            for line in lines {
                request = request.header("authorization", line);
            }
            let body = body.as_ref().map_or_else(Body::empty, |body| Body::from(body.to_string()));
            world.browser().send_with(request, body).await
        };
        let refused = |answer: &TestResponse, expected: &str, what: &str| {
            assert_eq!((answer.status, reason(answer).as_str()), (StatusCode::UNAUTHORIZED, expected), "{what}");
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{what}");
        };
        refused(&send(&[], "").await, "api_key_missing", &what);
        for parameter in ["access_token", "api_key", "key"] {
            let query = format!("?{parameter}={good}");
            refused(&send(&[], &query).await, "api_key_missing", &format!("{what}: {parameter}"));
        }
        for (name, key) in &keys {
            refused(&send(&[format!("Bearer {key}")], "").await, "api_key_invalid", &format!("{what}: {name}"));
        }
        for lines in [vec![format!("Basic {good}")], vec![good.clone()], vec![format!("Bearer {good}"); 2]] {
            refused(&send(&lines, "").await, "api_key_invalid", &what);
        }
        let scope = Scope::parse(&operation.scope).unwrap();
        let others: Vec<Scope> = Scope::ALL.iter().copied().filter(|other| *other != scope).collect();
        let wrong = Client::new(&world, &others, None).await.send(&operation.method, &path, body.as_ref()).await;
        assert_eq!((wrong.status, reason(&wrong).as_str()), (StatusCode::FORBIDDEN, "insufficient_scope"), "{what}");
        let right = Client::new(&world, &[scope], None).await.send(&operation.method, &path, body.as_ref()).await;
        let passed = right.status.is_success()
            || (right.status != StatusCode::UNAUTHORIZED && reason(&right) != "insufficient_scope");
        assert!(passed, "{what}: {} {}", right.status, right.body);
    }
}

/// All that the database holds, but keys and what is written about decisions.
async fn dump(world: &World) -> Vec<String> {
    let tables = sql!(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('decision_log', 'api_key') ORDER BY name"
    );
    let mut all = Vec::new();
    for table in world.state.db.all(tables, vec![]).await.unwrap() {
        let table = table.text("name").unwrap();
        let statement = format!("SELECT group_concat(name, '|') AS columns FROM pragma_table_info('{table}')");
        let columns = world.state.db.one(leak(statement), vec![]).await.unwrap().unwrap().text("columns").unwrap();
        let columns = columns.split('|');
        let row = columns.map(|name| format!("quote(\"{name}\")")).collect::<Vec<_>>().join(" || ',' || ");
        for row in
            world.state.db.all(leak(format!("SELECT {row} AS row FROM \"{table}\" ORDER BY 1")), vec![]).await.unwrap()
        {
            let row = row.text("row").unwrap();
            // Keys of the test's own.
            if !row.contains("'key.created'") {
                all.push(format!("{table}: {row}"));
            }
        }
    }
    assert!(all.len() > 30, "the rows were found");
    all
}

fn leak(statement: String) -> Sql {
    Sql::new_unchecked(Box::leak(statement.into_boxed_str()))
}

/// The example's body, spoilt in every way.
fn invalid_bodies(operation: &Operation) -> Vec<String> {
    let example = operation.example.as_object().unwrap();
    let whole = operation.example.to_string();
    let mut bodies = vec![
        String::new(),
        "[]".to_owned(),
        "\"x\"".to_owned(),
        "NaN".to_owned(),
        format!("{whole}{whole}"),
        format!("\u{feff}{whole}"),
        whole[..whole.len() - 1].to_owned(),
        format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("{{\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)),
    ];
    for field in ["tenant_id", "role", "status", "is_admin", "__proto__", "id"] {
        let mut more = example.clone();
        more.insert(field.to_owned(), "x".into());
        bodies.push(Value::Object(more).to_string());
    }
    for (name, value) in example {
        bodies.push(whole.replacen('{', &format!("{{{}:{value},", json!(name)), 1));
    }
    let schema = resolve(operation.schema.as_ref().unwrap());
    for (name, field) in schema["properties"].as_object().unwrap() {
        let allowed = |kind: &str| match field["oneOf"].as_array() {
            Some(kinds) => kinds.iter().map(resolve).any(|one| one["type"].to_string().contains(kind)),
            None => resolve(field)["type"].to_string().contains(kind),
        };
        let spoil = |text: &str| {
            let mut more = example.clone();
            more.remove(name);
            let more = Value::Object(more).to_string();
            let joint = if more == "{}" { "" } else { "," };
            more.replacen('{', &format!("{{{}:{text}{joint}", json!(name)), 1)
        };
        let kinds = [
            ("boolean", "true"),
            ("string", "\"x\""),
            ("integer", "5"),
            ("array", "[]"),
            ("object", "{}"),
            ("null", "null"),
        ];
        bodies.extend(kinds.iter().filter(|(kind, _)| !allowed(kind)).map(|(_, text)| spoil(text)));
        bodies.extend(["1e400", "-1e400", "NaN", "Infinity"].map(spoil));
    }
    bodies
}

#[tokio::test]
async fn invalid_bodies_are_rejected_and_nothing_is_written() {
    let world = World::start().await;
    let all = Client::new(&world, Scope::ALL, None).await;
    let own = ids(&all, OWN, 0).await;
    let before = dump(&world).await;
    let mut sent = 0;
    for operation in operations().iter().filter(|operation| operation.schema.is_some()) {
        let (path, _) = request(operation, &own, None);
        for body in invalid_bodies(operation) {
            // Of its own for each, as questions are counted by key.
            let all = Client::new(&world, Scope::ALL, None).await;
            // A body that may be left out.
            if body.is_empty() && operation.id == "requestPasswordReset" {
                continue;
            }
            let shown: String = body.chars().take(120).collect();
            let what = format!("{} {path}: {shown}", operation.method);
            let answer = all.send_text(&operation.method, &path, Some(body), &[]).await;
            let is_refused = [StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY].contains(&answer.status);
            assert!(is_refused, "{what}: {} {}", answer.status, answer.body);
            let reason = reason(&answer);
            assert!(["malformed_request", "validation_failed"].contains(&reason.as_str()), "{what}: {}", answer.body);
            sent += 1;
        }
        let example = operation.example.to_string();
        let long = format!("{}{example}", " ".repeat(9 << 20));
        let answer = all.send_text(&operation.method, &path, Some(long), &[]).await;
        assert_eq!(
            (answer.status, reason(&answer).as_str()),
            (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            "{path}"
        );
        let request =
            Request::builder().method(operation.method.as_str()).uri(&path).header("content-type", "text/plain");
        let request = request.header("authorization", format!("Bearer {}", all.key));
        let answer = world.browser().send_with(request, example.into()).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path}");
    }
    assert!(sent > 500, "{sent} bodies");
    let after = dump(&world).await;
    let written: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
    assert!(written.is_empty() && after.len() == before.len(), "something was written: {written:#?}");
}

#[tokio::test]
async fn invalid_pagination_is_rejected() {
    let world = World::start().await;
    let all = Client::new(&world, Scope::ALL, None).await;
    let other = Client::new(&world, Scope::ALL, None).await;
    let own = ids(&all, OWN, 0).await;
    let team = &own["BillerId"];
    for number in 0..3 {
        user_of(&all, team, &format!("more{number}")).await;
    }
    let lists: Vec<_> = operations().into_iter().filter(|operation| operation.takes("page_size")).collect();
    assert!(lists.len() >= 8, "at both mounts");
    let token_of = async |path: &str| {
        let page = read(&all.send("GET", &format!("{path}?page_size=1"), None).await);
        let next = page["links"]["next"].as_str().unwrap_or_default().to_owned();
        next.split("start_token=").nth(1).map(str::to_owned)
    };
    let elsewhere = token_of("/identity/v1/users").await.unwrap();
    for operation in lists {
        let (path, _) = request(&operation, &own, None);
        let mut queries: Vec<String> = [
            "page_size=-1",
            "page_size=0",
            "page_size=1000000000",
            "page_size=1;drop",
            "page=0",
            "page=-1",
            "sort=id%3BDROP%20TABLE%20users",
            "order=x",
        ]
        .map(str::to_owned)
        .to_vec();
        if !path.ends_with("/users") {
            queries.push(format!("start_token={elsewhere}"));
        }
        if let Some(token) = token_of(&path).await {
            let middle = token.len() / 2;
            let letter = if token.as_bytes()[middle] == b'A' { "B" } else { "A" };
            queries.push(format!("start_token={}{letter}{}", &token[..middle], &token[middle + 1..]));
            queries.push(format!("start_token={}", &token[..token.len() - 1]));
            queries.push(format!("page=1&start_token={token}"));
            let stolen = other.send("GET", &format!("{path}?page_size=1&start_token={token}"), None).await;
            assert_eq!(stolen.status, StatusCode::BAD_REQUEST, "{path}: another key's");
        }
        for query in queries {
            let answer = all.send("GET", &format!("{path}?{query}"), None).await;
            let found = (answer.status, reason(&answer));
            assert_eq!(found, (StatusCode::BAD_REQUEST, "invalid_parameter".to_owned()), "{path}?{query}");
        }
    }
}

#[tokio::test]
async fn reused_idempotency_key_is_rejected() {
    let world = World::start().await;
    let all = Client::new(&world, Scope::ALL, None).await;
    let operations: Vec<_> = operations().into_iter().filter(|operation| operation.takes("Idempotency-Key")).collect();
    assert!(operations.len() >= 9, "at both mounts");
    for (round, operation) in operations.iter().enumerate() {
        let own = ids(&all, OWN, round).await;
        let (path, body) = request(operation, &own, None);
        let mut body = body.unwrap();
        for name in ["email", "slug"] {
            if let Some(Value::String(text)) = body.get_mut(name) {
                *text = text.replacen('a', &format!("a{round}"), 1);
            }
        }
        let mut other = body.clone();
        for value in other.as_object_mut().unwrap().values_mut() {
            match value {
                Value::String(text) => text.insert(0, 'x'),
                Value::Array(list) => list.clear(),
                _ => {}
            }
        }
        let key = format!("round-{round}");
        let send = async |body: &Value| {
            all.send_text(&operation.method, &path, Some(body.to_string()), &[("idempotency-key", &key)]).await
        };
        let what = format!("{} {path}", operation.method);
        let first = send(&body).await;
        assert!(first.status.is_success(), "{what}: {}", first.body);
        let before = dump(&world).await;
        let refused = send(&other).await;
        let found = (refused.status, reason(&refused));
        assert_eq!(found, (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused".to_owned()), "{what}");
        let again = send(&body).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{what}");
        assert_eq!(again.header("location"), first.header("location"), "{what}");
        assert_eq!(dump(&world).await, before, "{what}: the first result is unchanged");
        let long = "x".repeat(256);
        for bad in ["a b", "a,b", "", long.as_str()] {
            let headers = [("idempotency-key", bad)];
            let answer = all.send_text(&operation.method, &path, Some(body.to_string()), &headers).await;
            let found = (answer.status, reason(&answer));
            assert_eq!(found, (StatusCode::BAD_REQUEST, "invalid_idempotency_key".to_owned()), "{what}: {bad}");
        }
    }
}
