//! The traffic of whole runs with the stand-in, held against what the vendor documents: our requests and its answers. By our
//! own fixture always; by the vendor's OpenAPI files (Swagger 2) where they are at hand (see build.rs).

use secureauth_standin::{ApiCall, Fault, FaultRule};
use serde::Deserialize;
use signpost::directory::{UserStatus, UserUpdate};
use signpost::provisioning::EnablementOptions;
use signpost::secureauth::management::SecureAuthEventQuery;
use url::Url;

use crate::harness::{PASSWORD, World, slug};
use crate::outbox::{BILLER, deliver, migrate_biller, status, update_user, user};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation {
    method: String,
    path: String,
    success: u16,
    #[serde(default)]
    query: Vec<String>,
    #[cfg_attr(not(vendor_files), expect(dead_code, reason = "for the vendor's files"))]
    #[serde(default)]
    undocumented_query: Vec<String>,
    #[serde(default)]
    body: Vec<String>,
    #[serde(default)]
    response: Vec<String>,
    #[serde(default)]
    etag: bool,
}

fn operations() -> Vec<Operation> {
    #[derive(Deserialize)]
    struct File {
        operation: Vec<Operation>,
    }
    toml::from_str::<File>(include_str!("../contract/secureauth.toml")).unwrap().operation
}

/// How many segments are the same word; none: the path is another one.
fn matching_segments(template: &str, path: &str) -> Option<usize> {
    let (ours, theirs): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    let fits = ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| a.starts_with('{') || a == b);
    fits.then(|| ours.iter().zip(&theirs).filter(|(a, b)| a == b).count())
}

fn operation<'o>(operations: &'o [Operation], call: &ApiCall) -> Option<&'o Operation> {
    let same_method = operations.iter().filter(|operation| operation.method == call.method);
    let fitting =
        same_method.filter_map(|operation| Some((matching_segments(&operation.path, &call.path)?, operation)));
    fitting.max_by_key(|(matching_segments, _)| *matching_segments).map(|(_, operation)| operation)
}

fn query_names(call: &ApiCall) -> Vec<String> {
    form_urlencoded::parse(call.query.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

/// A biller is moved, and another one given up; users change, are compared, and get new passwords.
async fn traffic() -> Vec<ApiCall> {
    let world = World::start().await;
    world.issuers.record_bodies(true);
    let pool = migrate_biller(&world).await;
    let provisioning = &world.state.provisioning;
    let more = UserUpdate {
        username: Some("anna".into()),
        email: Some("anna@new.example".into()),
        first_name: Some("Anna".into()),
        ..UserUpdate::default()
    };
    update_user(&world, "ann", more).await;
    update_user(&world, "ben", status(UserStatus::Suspended)).await;
    update_user(&world, "cleo", status(UserStatus::Deleted)).await;
    world.import_csv(BILLER, "username,email\ndora,dora@mail.example\n").await.unwrap();
    deliver(&world).await;
    let management = crate::management::management(&world);
    let (ben, dora) = (user(&world, "ben").await, user(&world, "dora").await);
    management.user_by_identifier(&pool, "dora").await.unwrap().unwrap();
    management.add_address(&pool, dora.as_str(), "second@mail.example").await.unwrap();
    management.verify_address(&pool, dora.as_str(), "second@mail.example").await.unwrap();
    let drift = provisioning.drift(&slug(BILLER)).await.unwrap();
    assert_eq!(drift.different.len(), 1);
    provisioning.repair(&slug(BILLER), &drift, &world.actor(), || {}).await.unwrap();
    provisioning.export(&slug(BILLER), &world.actor(), std::io::sink()).await.unwrap();
    let biller = world.state.directory.biller_by_slug(&slug(BILLER)).await.unwrap().unwrap();
    let passwords = (&PASSWORD.into(), &"another one".into());
    provisioning.change_password(&biller, &ben, passwords).await.unwrap();
    provisioning.request_reset(&biller, &ben, "ben@mail.example").await.unwrap();
    let sign_in = Url::parse("https://pay.example/b/pinehill-gas").unwrap();
    let whom = (dora.as_str(), "dora@mail.example");
    management.send_activation(&pool, BILLER, whom, &sign_in).await.unwrap();
    let query = SecureAuthEventQuery { organization: "system", limit: 10, ..SecureAuthEventQuery::default() };
    assert!(!management.audit_events(&query).await.unwrap().is_empty());
    provisioning.suspend(&slug(BILLER), &world.actor()).await.unwrap();
    // Everything is taken away again.
    world.issuers.faults().add(FaultRule::new("PUT", "/configuration", Fault::ModeRefused).times(100));
    world.issuers.faults().add(FaultRule::new("PATCH", "/configuration", Fault::status(403)).after(2).times(100));
    let job = provisioning.start(&slug("oakdale-city"), EnablementOptions::default(), &world.actor()).await.unwrap();
    while !provisioning.job(&job.id).await.unwrap().unwrap().state.is_final() {
        provisioning.run_next_job().await.unwrap();
        world.advance(std::time::Duration::from_secs(3)).await;
    }
    world.issuers.api_calls()
}

#[tokio::test]
async fn traffic_matches_the_contract() {
    let operations = operations();
    let traffic = traffic().await;
    let mut violations = Vec::new();
    for call in &traffic {
        let at = format!("{} {}", call.method, call.path);
        let Some(operation) = operation(&operations, call) else {
            violations.push(format!("{at}: not in the contract"));
            continue;
        };
        let queries = query_names(call);
        violations
            .extend(queries.iter().filter(|name| !operation.query.contains(name)).map(|name| format!("{at}: ?{name}")));
        violations.extend(
            operation.body.iter().filter(|name| call.body[*name].is_null()).map(|name| format!("{at}: no {name}")),
        );
        let status = call.status.unwrap_or_default();
        if (200..300).contains(&status) {
            if status != operation.success {
                violations.push(format!("{at}: {status}"));
            }
            let absent = operation.response.iter().filter(|name| call.response[*name].is_null());
            violations.extend(absent.map(|name| format!("{at}: no {name} in the answer")));
            if operation.etag && !call.etag {
                violations.push(format!("{at}: no version in the answer"));
            }
        }
        let is_api = call.path.starts_with("/api/");
        if is_api && call.path != "/api/identity/demo/configuration" && call.correlation.is_none() {
            violations.push(format!("{at}: no correlation id"));
        }
        if call.idempotency_key.as_ref().is_some_and(|key| !(32..=255).contains(&key.len())) {
            violations.push(format!("{at}: an idempotency key of another length"));
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    let unused = operations.iter().filter(|one| {
        !traffic.iter().any(|call| operation(&operations, call).is_some_and(|found| std::ptr::eq(found, *one)))
    });
    let unused: Vec<String> = unused.map(|one| format!("{} {}", one.method, one.path)).collect();
    assert!(unused.is_empty(), "never asked for: {unused:?}");
}

#[cfg(vendor_files)]
#[path = "contract_vendor.rs"]
mod vendor;

/// Stands in the list of tests where the vendor's files are not at hand.
#[cfg(not(vendor_files))]
#[test]
#[ignore = "the vendor's OpenAPI files are not at hand: SIGNPOST_VENDOR_FILES=FOLDER, or ../shared/vendor/secureauth"]
fn traffic_matches_the_vendor_openapi_files() {
    panic!("built without the vendor's OpenAPI files");
}

/// A body without what is secret, for messages.
#[cfg(vendor_files)]
fn truncated(value: &serde_json::Value) -> String {
    value.to_string().chars().take(80).collect()
}
