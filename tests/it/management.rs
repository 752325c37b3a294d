//! The client of SecureAuth's management API: addresses, tokens, patience, versions, and the calls on users.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use secureauth_standin::world::{TENANT, service_secret};
use secureauth_standin::{Fault, FaultRule, MailKind, RetryAfter};
use serde_json::{Value, json};
use signpost::config::{ImportPath, PathMode};
use signpost::secureauth::Http;
use signpost::secureauth::management::{
    CallError, ExportError, ImportCall, Management, ManagementConfig, NewPool, PasswordPolicy, PoolSettings,
    SecureAuthEventQuery, ServiceClient,
};
use signpost::telemetry::Metrics;
use signpost::telemetry::metrics::PoolWaits;
use signpost_core::{Clock, Random};
use tokio::net::TcpListener;
use url::Url;

use crate::harness::{PASSWORD, World, now};

fn management_config(base: &str, paths: PathMode) -> ManagementConfig {
    let client = |id: &str| ServiceClient { client_id: id.to_owned(), client_secret: service_secret(id).into() };
    ManagementConfig {
        base_url: Url::parse(base).unwrap(),
        admin_base_url: None,
        tenant: TENANT.to_owned(),
        path_mode: paths,
        import_path: ImportPath::Tenant,
        system: client("signpost-system"),
        admin: client("signpost-admin"),
        timeout: Duration::from_secs(30),
    }
}

pub(crate) fn management(world: &World) -> Management {
    let http = Http::new(Duration::from_secs(5), &signpost::config::AddressPolicy::loopback(true)).unwrap();
    let config = management_config(&world.issuer_base, PathMode::Default);
    let clocks = (world.clock.clone(), world.state.random.clone());
    Management::new(http, config, clocks, world.state.metrics.clone())
}

/// A pool of an organization, with one user.
async fn pool_with_ann(world: &World) -> Management {
    let management = management(world);
    management.create_organization("acme", "Acme", "a test").await.unwrap();
    management.create_pool(&pool("acme-pool", "Acme")).await.unwrap();
    management.create_connection("acme", "acme-idp", "acme-pool").await.unwrap();
    let ann = json!({
        "id": "ann", "status": "active", "payload": { "given_name": "Ann" }, "metadata": { "other": "stays" },
        "identifiers": [{ "type": "uid", "identifier": "ann" }],
        "verifiable_addresses": [
            { "type": "email", "address": "ann@mail.example", "status": "active", "verified": false },
        ],
        "credentials": [{ "type": "password", "password": "first secret" }],
    });
    management.create_user("acme-pool", &ann).await.unwrap();
    management
}

fn calls(world: &World, method: &str, part: &str) -> usize {
    world.issuers.api_calls().iter().filter(|call| call.method == method && call.path.contains(part)).count()
}

/// A pool of the organization `acme`.
fn pool<'a>(id: &'a str, name: &'a str) -> NewPool<'a> {
    let settings = PoolSettings { name, mechanisms: Some((&["password"], &[])), policy: PasswordPolicy::default() };
    NewPool { id, organization: "acme", settings }
}

#[tokio::test]
async fn urls_follow_the_path_mode() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let recorder = {
        let seen = Arc::clone(&seen);
        Router::new().fallback(async move |request: Request| {
            let path = request.uri().path().to_owned();
            let answer = if path.ends_with("/token") {
                json!({ "access_token": "token", "expires_in": 3600 })
            } else {
                json!({ "id": "acme", "claims": [] })
            };
            seen.lock().unwrap().push(path);
            axum::Json(answer).into_response()
        })
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/x", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, recorder).await });
    let http = Http::new(Duration::from_secs(5), &signpost::config::AddressPolicy::loopback(true)).unwrap();
    for (paths, import, expected) in [
        (
            PathMode::Default,
            ImportPath::Tenant,
            [
                "/x/demo/system/oauth2/token",
                "/x/api/system/demo/organizations/acme",
                "/x/demo/admin/oauth2/token",
                "/x/api/admin/demo/servers/acme/claims",
                "/x/api/identity/demo/configuration",
            ],
        ),
        (
            PathMode::Tenant,
            ImportPath::Tenant,
            [
                "/x/system/oauth2/token",
                "/x/api/system/organizations/acme",
                "/x/admin/oauth2/token",
                "/x/api/admin/servers/acme/claims",
                "/x/api/identity/configuration",
            ],
        ),
        (
            PathMode::Server,
            ImportPath::System,
            [
                "/x/oauth2/token",
                "/x/api/system/organizations/acme",
                "/x/admin-host/oauth2/token",
                "/x/admin-host/api/admin/servers/acme/claims",
                "/x/api/identity/system/demo/configuration",
            ],
        ),
    ] {
        let mut config = ManagementConfig { import_path: import, ..management_config(&base, paths) };
        config.admin_base_url = (paths == PathMode::Server).then(|| Url::parse(&format!("{base}/admin-host")).unwrap());
        let metrics = Arc::new(Metrics::new(&PoolWaits::default()));
        let management = Management::new(http.clone(), config, (Clock::manual(now()), Random::system()), metrics);
        seen.lock().unwrap().clear();
        management.organization("acme").await.unwrap();
        management.has_claim("acme", "none").await.unwrap();
        management.import_users(ImportCall::Put, &signpost::secureauth::management::Dump::default()).await.unwrap();
        assert_eq!(*seen.lock().unwrap(), expected);
    }
}

#[tokio::test]
async fn a_rejected_token_is_renewed_once() {
    let world = World::start().await;
    let management = management(&world);
    let faults = world.issuers.faults();
    management.organization("acme").await.unwrap();
    faults.expire_tokens();
    assert!(management.organization("acme").await.unwrap().is_none(), "renewed and repeated");
    assert_eq!(calls(&world, "POST", "/system/oauth2/token"), 2);
    faults.add(FaultRule::new("GET", "/organizations/", Fault::token_rejected()).times(10));
    let refused = management.organization("acme").await.unwrap_err();
    assert!(matches!(refused, CallError::TokenRejected(_)), "{refused:?}");
    assert_eq!(calls(&world, "GET", "/organizations/"), 1 + 2 + 2, "each repeated once");
    faults.clear();
    // One renewal, also when many find out at once.
    faults.expire_tokens();
    let before = calls(&world, "POST", "/system/oauth2/token");
    let all = (0..20).map(|_| {
        let management = management.clone();
        tokio::spawn(async move { management.organization("acme").await.unwrap() })
    });
    for one in all.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    assert_eq!(calls(&world, "POST", "/system/oauth2/token"), before + 1);
    // A client that is not taken.
    faults.expire_tokens();
    faults.add(FaultRule::new("POST", "/oauth2/token", Fault::status(401)).times(10));
    assert!(matches!(management.organization("acme").await.unwrap_err(), CallError::TokenRejected(_)));
}

#[tokio::test]
async fn retry_after_is_respected() {
    let world = World::start().await;
    let faults = world.issuers.faults();
    let in_an_hour = RetryAfter::At(now().plus(Duration::from_secs(3600)));
    for asked in [RetryAfter::Seconds(86_400), in_an_hour] {
        let management = management(&world);
        management.organization("acme").await.unwrap();
        let before = world.issuers.api_calls().len();
        faults.add(FaultRule::new("GET", "/organizations/", Fault::rate_limited(Some(asked))));
        for _ in 0..5 {
            assert_eq!(management.organization("acme").await.unwrap_err(), CallError::Throttled);
            assert_eq!(management.interactive().organization("acme").await.unwrap_err(), CallError::Throttled);
        }
        assert_eq!(world.issuers.api_calls().len(), before + 1, "not asked again");
    }
    let past = RetryAfter::At(now().minus(Duration::from_secs(3600)));
    for asked in [None, Some(RetryAfter::Seconds(0)), Some(past), Some(RetryAfter::Text("soon".to_owned()))] {
        let management = management(&world);
        faults.add(FaultRule::new("GET", "/organizations/", Fault::rate_limited(asked)).times(2));
        assert!(management.organization("acme").await.unwrap().is_none(), "tried again after a while");
    }
    let management = management(&world);
    faults.add(FaultRule::new("GET", "/organizations/", Fault::status(503)).times(2));
    let calls_before = calls(&world, "GET", "/organizations/");
    let unknown = management.interactive().organization("acme").await.unwrap_err();
    assert_eq!(unknown, CallError::OutcomeUnknown("server_error"));
    assert_eq!(calls(&world, "GET", "/organizations/"), calls_before + 2);
    let correlations: Vec<_> =
        world.issuers.api_calls().iter().rev().take(2).map(|call| call.correlation.clone()).collect();
    assert!(correlations[0].is_some() && correlations[0] == correlations[1], "one for all tries: {correlations:?}");
}

#[tokio::test]
async fn stale_updates_are_retried() {
    let world = World::start().await;
    let management = pool_with_ann(&world).await;
    let faults = world.issuers.faults();
    faults.add(FaultRule::new("PUT", "/organizations/acme", Fault::status(412)).times(2));
    management.set_organization_deactivated("acme", true).await.unwrap();
    assert!(management.organization("acme").await.unwrap().unwrap().deactivated);
    assert_eq!(calls(&world, "PUT", "/organizations/acme"), 3);
    faults.add(FaultRule::new("PUT", "/organizations/acme", Fault::status(412)).times(9));
    assert!(management.set_organization_deactivated("acme", false).await.unwrap_err().is(412));

    let old = management.user("acme-pool", "ann").await.unwrap().unwrap();
    let patched =
        management.patch_user("acme-pool", &old, &json!({ "payload": { "family_name": "Example" } })).await.unwrap();
    assert_eq!(Value::Object(patched.payload.clone()), json!({ "given_name": "Ann", "family_name": "Example" }));
    assert_eq!(patched.metadata["other"], "stays");
    assert!(management.set_status("acme-pool", &old, "inactive").await.unwrap_err().is(412), "an old version");
    let inactive = management.set_status("acme-pool", &patched, "inactive").await.unwrap();
    assert_eq!((inactive.status.as_str(), inactive.payload), ("inactive", patched.payload), "only the status");
}

#[tokio::test]
async fn users_are_found_listed_updated_and_deleted() {
    let world = World::start().await;
    let management = pool_with_ann(&world).await;
    let pool = "acme-pool";
    assert!(management.user_by_identifier(pool, "an").await.unwrap().is_none(), "exactly");
    assert_eq!(management.user_by_identifier(pool, "ANN").await.unwrap().unwrap().id, "ann");
    management.add_identifier(pool, "ann", ("email", "ann@new.example")).await.unwrap();
    management.add_address(pool, "ann", "ann@new.example").await.unwrap();
    management.verify_address(pool, "ann", "ann@mail.example").await.unwrap();
    assert!(management.add_identifier(pool, "ann", ("uid", "ann")).await.unwrap_err().is(409));
    let ann = management.user(pool, "ann").await.unwrap().unwrap();
    let identifiers: Vec<&str> = ann.identifiers.iter().map(|entry| entry.value.as_str()).collect();
    assert_eq!(identifiers, ["ann", "ann@new.example"]);
    assert!(ann.addresses.iter().all(|address| address.verified) && ann.addresses.len() == 2);
    for _ in 0..2 {
        management.remove_identifier(pool, "ann", "ann@new.example").await.unwrap();
        management.remove_address(pool, "ann", "ann@new.example").await.unwrap();
    }
    for number in 0..230 {
        let user = json!({ "id": format!("user-{number:03}"), "status": "active", "identifiers": [] });
        management.create_user(pool, &user).await.unwrap();
    }
    let mut listed: Vec<String> = Vec::new();
    loop {
        let page = management.users(pool, listed.last().map(String::as_str)).await.unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|user| user.id));
    }
    assert_eq!(json!(listed), world.issuers.snapshot()["users"][pool]);
    assert_eq!(listed.len(), 231);
    for _ in 0..2 {
        management.delete_user(pool, "ann").await.unwrap();
    }
    assert!(management.user(pool, "ann").await.unwrap().is_none());
    let again = json!({ "id": "ann", "status": "new", "identifiers": [] });
    management.create_user(pool, &again).await.unwrap();
    assert_eq!(management.user(pool, "ann").await.unwrap().unwrap().status, "new", "made again within the minute");
}

#[tokio::test]
async fn idempotency_keys_are_never_derived_from_passwords() {
    let world = World::start().await;
    world.issuers.record_bodies(true);
    let management = pool_with_ann(&world).await;
    let pool = "acme-pool";
    let (first, second) = ("first secret".into(), "second secret".into());
    let wrong = management.change_password(pool, "ann", (&second, &first)).await.unwrap_err();
    assert!(wrong.is(401), "it is the person who is refused: {wrong:?}");
    management.change_password(pool, "ann", (&first, &second)).await.unwrap();
    management.request_reset(pool, "acme", ("ann", "nobody@mail.example")).await.unwrap();
    assert!(world.issuers.mails().is_empty());
    management.request_reset(pool, "acme", ("ann", "ann@mail.example")).await.unwrap();
    let mail = world.issuers.mails().pop().unwrap();
    assert_eq!((mail.kind, mail.organization.as_deref()), (MailKind::Reset, Some("acme")));
    management.change_password(pool, "ann", (&second, &first)).await.unwrap();

    let sign_in = Url::parse("https://pay.example/b/acme").unwrap();
    management.send_activation(pool, "acme", ("ann", "ann@mail.example"), &sign_in).await.unwrap();
    assert_eq!(world.issuers.mails().len(), 1, "she is active");
    management.create_user(pool, &json!({
        "id": "ben", "status": "new", "identifiers": [],
        "verifiable_addresses": [{ "type": "email", "address": "ben@mail.example", "status": "active", "verified": false }],
    })).await.unwrap();
    management.send_activation(pool, "acme", ("ben", "ben@mail.example"), &sign_in).await.unwrap();
    let mail = world.issuers.mails().pop().unwrap();
    assert_eq!((mail.kind, mail.to.as_str()), (MailKind::Activation, "ben@mail.example"));

    for call in world.issuers.api_calls() {
        let body = call.body.to_string();
        let made = signpost_core::text::sha256(format!("{} {body}", call.path).as_bytes());
        if body.contains(" secret") {
            assert_ne!(call.idempotency_key, Some(made), "{}", call.path);
            assert!(call.idempotency_key.is_none_or(|key| key.len() >= 32));
        }
    }
}

#[tokio::test]
async fn audit_events_are_filtered_and_limited() {
    let world = World::start().await;
    let management = pool_with_ann(&world).await;
    let events = async |user: Option<&str>, limit: usize| {
        let query = SecureAuthEventQuery { organization: "system", pool: None, user, limit };
        management.audit_events(&query).await.unwrap()
    };
    let ann = management.user("acme-pool", "ann").await.unwrap().unwrap();
    management.set_status("acme-pool", &ann, "inactive").await.unwrap();
    let newest = events(None, 1).await;
    assert_eq!((newest.len(), newest[0].action.as_str()), (1, "updated"));
    assert_eq!(newest[0].metadata["affected_user_id"], "ann");
    let all = events(None, 100).await;
    let actions: Vec<&str> = all.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions[..2], ["updated", "created"], "newest first");
    assert!(events(Some("nobody"), 100).await.is_empty());
}

#[tokio::test]
async fn an_export_contains_one_pool_only() {
    let world = World::start().await;
    let management = pool_with_ann(&world).await;
    management.create_pool(&pool("other-pool", "Other")).await.unwrap();
    let other = json!({ "id": "zoe", "status": "active", "identifiers": [{ "type": "uid", "identifier": "zoe" }] });
    management.create_user("other-pool", &other).await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    world.issuers.faults().expire_tokens();
    let users = management.export_pool("acme-pool", file.reopen().unwrap()).await.unwrap();
    let text = std::fs::read_to_string(file.path()).unwrap();
    let dump: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((users, dump["users"].as_array().unwrap().len()), (1, 1));
    assert_eq!(
        (&dump["pools"][0]["id"], &dump["user_identifiers"][0]["identifier"]),
        (&json!("acme-pool"), &json!("ann"))
    );
    assert!(dump["user_credentials"][0]["payload"]["hashed_password"].is_object());
    assert!(!text.contains("zoe") && !text.contains(PASSWORD));
    world.issuers.faults().add(FaultRule::new("GET", "/configuration", Fault::Truncated));
    let broken = management.export_pool("acme-pool", std::io::sink()).await.unwrap_err();
    assert!(matches!(broken, ExportError::Call(CallError::OutcomeUnknown(_))), "{broken:?}");
}
