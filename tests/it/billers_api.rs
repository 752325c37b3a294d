//! Billers as machines make, read and change them.

use http::{Request, StatusCode};
use serde_json::{Value, json};
use signpost::access::{NewApiKey, Scope};
use signpost::sql;
use signpost_core::Slug;

use crate::harness::{Browser, TestResponse, World, each_database, slug};

/// A machine with a key of its own.
pub(crate) struct ApiClient {
    browser: Browser,
    key: String,
}

impl ApiClient {
    pub(crate) async fn new(world: &World, scopes: &[Scope], billers: Option<&[&str]>) -> Self {
        let billers = billers.map(|billers| billers.iter().map(|one| slug(one)).collect::<Vec<Slug>>());
        let new = NewApiKey { name: "crm".into(), scopes: scopes.to_vec(), audience: None, billers, expires_at: None };
        Self::of(world, &world.state.api_keys.create(&new, &world.actor()).await.unwrap())
    }

    /// With a key that is for a person, and older than what follows.
    pub(crate) async fn for_person(world: &World, person: &str, scopes: &[Scope]) -> Self {
        let new =
            NewApiKey { name: "own".into(), scopes: scopes.to_vec(), audience: None, billers: None, expires_at: None };
        let key = world.state.api_keys.create_for(person, &new, &world.actor()).await.unwrap();
        world.clock.advance(std::time::Duration::from_millis(1));
        Self::of(world, &key)
    }

    /// With a key at hand.
    pub(crate) fn of(world: &World, key: &str) -> Self {
        Self { browser: world.browser(), key: key.to_owned() }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        let request = Request::get(path).header("authorization", format!("Bearer {}", self.key));
        read(&self.browser.clone().send(request).await)
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        read(&self.send_with(method, path, body, None).await)
    }

    pub(crate) async fn send_with(&self, method: &str, path: &str, body: &Value, once: Option<&str>) -> TestResponse {
        self.send_text(method, path, body.to_string(), once).await
    }

    pub(crate) async fn send_text(&self, method: &str, path: &str, body: String, once: Option<&str>) -> TestResponse {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json");
        if let Some(once) = once {
            request = request.header("idempotency-key", once);
        }
        self.browser.clone().send_with(request, axum::body::Body::from(body)).await
    }
}

fn read(answer: &TestResponse) -> (StatusCode, Value) {
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

const BILLERS: &str = "/api/v1/billers";
const BOTH: [Scope; 2] = [Scope::BillersRead, Scope::BillersWrite];

#[tokio::test]
async fn biller_is_created_read_and_updated() {
    each_database(|world| async move {
        let crm = ApiClient::new(&world, &BOTH, None).await;
        let new = json!({
            "slug": "lakeside-power", "name": "Lakeside Power", "hosts": ["pay.lakeside.example"],
            "support": { "phone": "+1 555 010 0199" }, "outage_policy": "legacy",
        });
        let made = crm.send_with("POST", BILLERS, &new, None).await;
        assert_eq!((made.status, made.header("location")), (StatusCode::CREATED, "/api/v1/billers/lakeside-power"));
        let made: Value = serde_json::from_str(&made.body).unwrap();
        let ciam = json!({
            "active": false, "status": "legacy", "mode": null, "activated_at": null,
            "login_url": "http://pay.lakeside.example",
        });
        assert_eq!((&made["ciam"], &made["job"]), (&ciam, &Value::Null));
        assert_eq!(crm.send("POST", BILLERS, &new).await.0, StatusCode::CONFLICT);
        let place = "/api/v1/billers/lakeside-power";
        let (status, changed) = crm.send("PATCH", place, &json!({ "name": "Lakeside", "hosts": [] })).await;
        assert_eq!(
            (status, &changed["name"], &changed["outage_policy"]),
            (StatusCode::OK, &json!("Lakeside"), &json!("legacy"))
        );
        assert_eq!(changed["ciam"]["login_url"], "http://localhost:8080/b/lakeside-power");
        assert_eq!(changed["pending_changes"], json!([]), "nobody signs in there yet");
        assert_eq!(crm.get(place).await.1["name"], "Lakeside");
        let (_, all) = crm.get(BILLERS).await;
        assert_eq!(all["billers"].as_array().unwrap().len(), 8);
        let moved = all["billers"].as_array().unwrap().iter().find(|b| b["slug"] == "riverside-water").unwrap();
        assert_eq!(moved["oidc"]["client_id"], "signpost-riverside-water");
        assert!(!all.to_string().contains("client_secret\":"), "no secret, sealed or not: {all}");
    })
    .await;
}

#[tokio::test]
async fn invalid_fields_are_reported_and_nothing_is_written() {
    let world = World::start().await;
    let crm = ApiClient::new(&world, &BOTH, None).await;
    let pointers = |answer: &Value| -> Vec<String> {
        let errors = answer["errors"].as_array().unwrap_or_else(|| panic!("no errors: {answer}"));
        let mut pointers: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect();
        pointers.sort();
        pointers
    };
    let oidc = json!({ "issuer": "ftp://x", "client_id": "", "client_secret": { "file": "/etc/passwd" } });
    for (body, expected) in [
        (json!({ "slug": "new-one", "name": 5, "hosts": "x", "private": true }), vec!["#/hosts", "#/name"]),
        (json!({ "slug": "new-one", "name": "New", "hosts": ["a.example", ["b.example"]] }), vec!["#/hosts/1"]),
        (json!({ "slug": "new-one", "name": "New", "colour": "red" }), vec!["#/colour"]),
        (json!({ "name": "New" }), vec!["#/slug"]),
        (json!({ "slug": "New One", "name": "New" }), vec!["#/slug"]),
        (json!({ "slug": "new-one", "name": "New", "support": null }), vec!["#/support"]),
        (
            json!({ "slug": "new-one", "name": "", "portal_url": "x", "hosts": ["a b"] }),
            vec!["#/hosts", "#/name", "#/portal_url"],
        ),
        (json!({ "slug": "new-one", "name": "New", "hosts": ["pay.riverside.example"] }), vec!["#/hosts"]),
        (json!({ "slug": "new-one", "name": "New", "oidc": oidc }), vec!["#/oidc/client_secret"]),
        (json!({ "slug": "new-one", "name": "New", "ciam": "yes" }), vec!["#/ciam"]),
        (json!({ "slug": "new-one", "name": "New", "ciam": { "mode": "none" } }), vec!["#/ciam"]),
        (json!({ "slug": "new-one", "name": "New", "ciam": true, "state": "suspended" }), vec!["#/ciam"]),
    ] {
        let (status, answer) = crm.send("POST", BILLERS, &body).await;
        assert_eq!(
            (status, pointers(&answer)),
            (StatusCode::UNPROCESSABLE_ENTITY, expected.iter().map(|s| (*s).to_owned()).collect()),
            "{body} {answer}"
        );
    }
    for body in [json!({ "state": "active" }), json!({ "slug": "another" }), json!({ "hosts": ["localhost:8080"] })] {
        let (status, answer) = crm.send("PATCH", "/api/v1/billers/oakdale-city", &body).await;
        assert_eq!((status, pointers(&answer).len()), (StatusCode::UNPROCESSABLE_ENTITY, 1), "{answer}");
    }
    assert_eq!(crm.send("POST", BILLERS, &json!([])).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(crm.get("/api/v1/billers/new-one").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn idempotency_key_makes_creation_idempotent() {
    each_database(|world| async move {
        let crm = ApiClient::new(&world, &BOTH, None).await;
        let new = json!({ "slug": "lakeside-power", "name": "Lakeside Power", "ciam": { "mode": "mfa" } });
        let key = Some("\"8e03978e-40d5-43e8-bc93-6894a57f9324\"");
        let all = futures_util::future::join_all((0..4).map(|_| crm.send_with("POST", BILLERS, &new, key))).await;
        for answer in &all {
            assert_eq!((answer.status, &answer.body), (StatusCode::CREATED, &all[0].body));
        }
        assert_eq!(world.state.provisioning.jobs().await.unwrap().len(), 1);
        let other = json!({ "slug": "another-one", "name": "Another" });
        let reused = crm.send_with("POST", BILLERS, &other, key).await;
        assert_eq!(reused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", reused.body);
        assert!(reused.body.contains("idempotency_key_reused"));
        let foreign = ApiClient::new(&world, &BOTH, None).await.send_with("POST", BILLERS, &other, key).await;
        assert_eq!(foreign.status, StatusCode::CREATED, "another client's keys are its own: {}", foreign.body);
        assert_eq!(crm.send_with("POST", BILLERS, &other, Some("a b")).await.status, StatusCode::BAD_REQUEST);
        // What was refused has not used its key up.
        let key = Some("second");
        let bad = json!({ "slug": "third-one", "name": "" });
        assert_eq!(crm.send_with("POST", BILLERS, &bad, key).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        let good = json!({ "slug": "third-one", "name": "Third" });
        assert_eq!(crm.send_with("POST", BILLERS, &good, key).await.status, StatusCode::CREATED);
    })
    .await;
}

#[tokio::test]
async fn idempotency_key_is_sent_once() {
    let world = World::start().await;
    let mut crm = ApiClient::new(&world, &BOTH, None).await;
    let new = json!({ "slug": "lakeside-power", "name": "Lakeside Power" });
    let request = Request::post(BILLERS)
        .header("authorization", format!("Bearer {}", crm.key))
        .header("content-type", "application/json")
        .header("idempotency-key", "one")
        .header("idempotency-key", "two");
    let refused = crm.browser.send_with(request, axum::body::Body::from(new.to_string())).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.body);
    assert!(refused.body.contains("invalid_idempotency_key"), "{}", refused.body);
    assert_eq!(crm.get("/api/v1/billers/lakeside-power").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn retry_completes_an_interrupted_request() {
    each_database(|world| async move {
        let crm = ApiClient::new(&world, &BOTH, None).await;
        let new = json!({ "slug": "lakeside-power", "name": "Lakeside Power", "ciam": true });
        let first = crm.send_with("POST", BILLERS, &new, Some("one")).await;
        // As if the process had died after it wrote the job, and before it wrote the answer.
        let forget = sql!("UPDATE idempotency SET status = NULL, body = NULL WHERE name = $1");
        world.state.db.run(forget, vec!["one".into()]).await.unwrap();
        let second = crm.send_with("POST", BILLERS, &new, Some("one")).await;
        assert_eq!((first.status, first.body), (second.status, second.body));
        assert_eq!(world.state.provisioning.jobs().await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn new_biller_is_found_by_the_other_instances_at_once() {
    each_database(|world| async move {
        let crm = ApiClient::new(&world, &BOTH, None).await;
        let (other, browser) = world.another_instance().await;
        other.state.directory.billers().await.unwrap();
        let new = json!({ "slug": "lakeside-power", "name": "Lakeside Power", "ciam": true });
        let first = crm.send_with("POST", BILLERS, &new, Some("one")).await;
        // As if the process had died after it wrote the job, and before it wrote the answer.
        let forget = sql!("UPDATE idempotency SET status = NULL, body = NULL WHERE name = $1");
        world.state.db.run(forget, vec!["one".into()]).await.unwrap();
        let elsewhere = ApiClient { browser, key: crm.key };
        let second = elsewhere.send_with("POST", BILLERS, &new, Some("one")).await;
        assert_eq!((first.status, first.body), (second.status, second.body));
    })
    .await;
}

#[tokio::test]
async fn restricted_key_sees_its_billers_only() {
    let world = World::start().await;
    let one = ApiClient::new(&world, &BOTH, Some(&["oakdale-city"])).await;
    let (_, all) = one.get(BILLERS).await;
    let slugs: Vec<_> = all["billers"].as_array().unwrap().iter().map(|biller| biller["slug"].clone()).collect();
    assert_eq!(slugs, ["oakdale-city"]);
    assert_eq!(one.get("/api/v1/billers/oakdale-city").await.0, StatusCode::OK);
    assert_eq!(one.get("/api/v1/billers/pinehill-gas").await.0, StatusCode::NOT_FOUND);
    let name = json!({ "name": "X" });
    assert_eq!(one.send("PATCH", "/api/v1/billers/pinehill-gas", &name).await.0, StatusCode::NOT_FOUND);
    let new = json!({ "slug": "new-one", "name": "New" });
    assert_eq!(one.send("POST", BILLERS, &new).await.0, StatusCode::FORBIDDEN);
    let reader = ApiClient::new(&world, &[Scope::BillersRead], None).await;
    assert_eq!(reader.send("POST", BILLERS, &new).await.0, StatusCode::FORBIDDEN);
    let writer = ApiClient::new(&world, &[Scope::BillersWrite], None).await;
    assert_eq!(writer.get(BILLERS).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn sign_in_change_needs_approval() {
    each_database(|world| async move {
        let place = "/api/v1/billers/riverside-water";
        let asker = ApiClient::new(&world, &BOTH, None).await;
        let other = ApiClient::for_person(&world, "ann", &BOTH).await;
        let before = asker.get(place).await.1;
        let oidc = json!({ "issuer": "https://evil.example", "client_id": "x", "client_secret": "y" });
        let change = json!({ "name": "Riverside", "hosts": ["pay.evil.example"], "oidc": oidc });
        let (status, changed) = asker.send("PATCH", place, &change).await;
        assert_eq!((status, &changed["name"]), (StatusCode::OK, &json!("Riverside")), "the rest is made at once");
        assert_eq!((&changed["oidc"], &changed["ciam"]), (&before["oidc"], &before["ciam"]));
        let id = changed["pending_changes"][0]["id"].as_str().unwrap().to_owned();
        let summary = changed["pending_changes"][0]["summary"].as_str().unwrap();
        assert!(summary.contains("https://evil.example") && summary.contains("[pay.evil.example]"), "{summary}");

        let decide = format!("/api/v1/changes/{id}");
        let confirm = json!({ "approve": true });
        assert_eq!(asker.send("POST", &decide, &confirm).await.0, StatusCode::FORBIDDEN);
        let foreign = ApiClient::new(&world, &BOTH, Some(&["clinic"])).await;
        assert_eq!(foreign.get("/api/v1/changes").await.1, json!({ "changes": [] }));
        assert_eq!(foreign.send("POST", &decide, &confirm).await.0, StatusCode::NOT_FOUND);
        assert_eq!(asker.get(place).await.1["oidc"], before["oidc"], "nothing has happened yet");
        assert_eq!(other.send("POST", &decide, &confirm).await.0, StatusCode::NO_CONTENT);
        let after = asker.get(place).await.1;
        assert_eq!(after["oidc"]["issuer"], "https://evil.example");
        assert_eq!(after["ciam"]["login_url"], "http://pay.evil.example");
        assert_eq!(other.send("POST", &decide, &confirm).await.0, StatusCode::NOT_FOUND, "it counts once");

        // Back again: who asked takes it back.
        let (_, again) = asker.send("PATCH", place, &json!({ "hosts": [] })).await;
        let decide = format!("/api/v1/changes/{}", again["pending_changes"][0]["id"].as_str().unwrap());
        let decline = json!({ "approve": false });
        assert_eq!(asker.send("POST", &decide, &decline).await.0, StatusCode::NO_CONTENT);
        assert_eq!(asker.get("/api/v1/changes").await.1, json!({ "changes": [] }));
        assert_eq!(asker.get(place).await.1["hosts"], json!(["pay.evil.example"]));
    })
    .await;
}

#[tokio::test]
async fn whom_a_sign_in_stands_for_changes_with_approval_only() {
    each_database(|world| async move {
        let place = "/api/v1/billers/riverside-water";
        let asker = ApiClient::new(&world, &BOTH, None).await;
        let before = asker.get(place).await.1;
        for (name, value) in [("bind_claim", "nickname"), ("bind_to", "user_id")] {
            let mut change = before["oidc"].clone();
            change[name] = json!(value);
            let (status, changed) = asker.send("PATCH", place, &json!({ "oidc": change })).await;
            assert_eq!((status, &changed["oidc"]), (StatusCode::OK, &before["oidc"]), "{change}: {changed}");
        }
        let pending = asker.get("/api/v1/changes").await.1;
        let summaries: Vec<&str> =
            pending["changes"].as_array().unwrap().iter().map(|change| change["summary"].as_str().unwrap()).collect();
        assert!(summaries.iter().any(|summary| summary.contains("→ nickname (username)")), "{summaries:?}");
        assert!(summaries.iter().any(|summary| summary.contains("(user id)")), "{summaries:?}");
        let hosts = before["hosts"].as_array().unwrap().clone();
        let more: Vec<_> = hosts.iter().cloned().chain([json!("pay.evil.example")]).collect();
        let (_, changed) = asker.send("PATCH", place, &json!({ "hosts": more })).await;
        assert_eq!(changed["hosts"], before["hosts"], "a host behind the first one too");
    })
    .await;
}

#[tokio::test]
async fn addresses_and_contacts_lead_where_they_say() {
    let world = World::start().await;
    let crm = ApiClient::new(&world, &BOTH, None).await;
    let place = "/api/v1/billers/oakdale-city";
    for (change, pointer) in [
        (json!({ "hosts": ["localhost:8080"] }), "#/hosts"),
        (json!({ "hosts": ["10.0.0.1"] }), "#/hosts"),
        (json!({ "hosts": ["a_b.example"] }), "#/hosts"),
        (json!({ "hosts": ["user@pay.example"] }), "#/hosts"),
        (json!({ "portal_url": "javascript:alert(1)" }), "#/portal_url"),
        (json!({ "portal_url": "https://u:p@portal.example/" }), "#/portal_url"),
        (json!({ "portal_url": "https://portal.example/#x" }), "#/portal_url"),
        (json!({ "portal_url": "https://169.254.169.254/latest" }), "#/portal_url"),
        (json!({ "support": { "email": "a@b.example?subject=x" } }), "#/support/email"),
        (json!({ "support": { "email": "javascript:alert(1)" } }), "#/support/email"),
        (json!({ "support": { "email": "a@b.example\r\nBcc: c@d.example" } }), "#/support/email"),
        (json!({ "support": { "phone": "javascript:alert(123)" } }), "#/support/phone"),
        (json!({ "support": { "hours": "9\u{202e}5" } }), "#/support/hours"),
        (json!({ "name": "River\u{202e}side" }), "#/name"),
        (json!({ "contact_email": "a@b.example,c@d.example" }), "#/contact_email"),
        (json!({ "oidc": { "issuer": "https://10.0.0.1/", "client_id": "x", "client_secret": "y" } }), "#/oidc/issuer"),
        (
            json!({ "oidc": { "issuer": "https://a.example/?x=1", "client_id": "x", "client_secret": "y" } }),
            "#/oidc/issuer",
        ),
    ] {
        let (status, refused) = crm.send("PATCH", place, &change).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{change}: {refused}");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{change}: {refused}");
    }
    let hosts = json!({ "hosts": ["Pay.Oakdale.example.:443"] });
    assert_eq!(crm.send("PATCH", place, &hosts).await.1["hosts"], json!(["pay.oakdale.example"]));
}
