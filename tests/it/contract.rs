//! The traffic of whole runs with the stand-in, held against what the vendor documents: our requests and its answers. By our
//! own fixture always; by the vendor's OpenAPI files (Swagger 2) where they are at hand (see build.rs).

use secureauth_standin::{ApiCall, Fault, Rule};
use serde::Deserialize;
use signpost::directory::{UserChange, UserStatus};
use signpost::enablement::Order;
use signpost::secureauth::management::{AuditQuery, PasswordState};
use url::Url;

use crate::harness::{PASSWORD, World, slug};
use crate::outbox::{BILLER, change, deliver, moved, status, user};

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
    answer: Vec<String>,
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
fn likeness(template: &str, path: &str) -> Option<usize> {
    let (ours, theirs): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    let fits = ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| a.starts_with('{') || a == b);
    fits.then(|| ours.iter().zip(&theirs).filter(|(a, b)| a == b).count())
}

fn operation<'o>(operations: &'o [Operation], call: &ApiCall) -> Option<&'o Operation> {
    let same_method = operations.iter().filter(|operation| operation.method == call.method);
    let fitting = same_method.filter_map(|operation| Some((likeness(&operation.path, &call.path)?, operation)));
    fitting.max_by_key(|(likeness, _)| *likeness).map(|(_, operation)| operation)
}

fn query_names(call: &ApiCall) -> Vec<String> {
    form_urlencoded::parse(call.query.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

/// A biller is moved, and another one given up; users change, are compared, and get new passwords.
async fn traffic() -> Vec<ApiCall> {
    let world = World::start().await;
    world.issuers.record_bodies(true);
    let pool = moved(&world).await;
    let enablement = &world.state.enablement;
    let more = UserChange {
        username: Some("anna".into()),
        email: Some("anna@new.example".into()),
        first_name: Some("Anna".into()),
        ..UserChange::default()
    };
    change(&world, "ann", more).await;
    change(&world, "ben", status(UserStatus::Suspended)).await;
    change(&world, "cleo", status(UserStatus::Deleted)).await;
    world.import_csv(BILLER, "username,email\ndora,dora@mail.example\n").await.unwrap();
    deliver(&world).await;
    let management = crate::management::management(&world);
    let (ben, dora) = (user(&world, "ben").await, user(&world, "dora").await);
    management.user_by_identifier(&pool, "dora").await.unwrap().unwrap();
    management.add_address(&pool, dora.as_str(), "second@mail.example").await.unwrap();
    management.verify_address(&pool, dora.as_str(), "second@mail.example").await.unwrap();
    let drift = enablement.drift(&slug(BILLER)).await.unwrap();
    assert_eq!(drift.different.len(), 1);
    enablement.mend(&slug(BILLER), &drift, &world.by(), || {}).await.unwrap();
    enablement.export(&slug(BILLER), &world.by(), std::io::sink()).await.unwrap();
    let biller = world.state.directory.named(&slug(BILLER)).await.unwrap().unwrap();
    let passwords = (&PASSWORD.into(), &"another one".into());
    enablement.change_password(&biller, &ben, passwords).await.unwrap();
    enablement.request_reset(&biller, &ben, "ben@mail.example").await.unwrap();
    let code = world.issuers.mails().pop().unwrap().code.into();
    management.complete_reset(&pool, ben.as_str(), (&code, &"a third one".into())).await.unwrap();
    management.set_password_state(&pool, ben.as_str(), PasswordState::MustBeChanged).await.unwrap();
    let sign_in = Url::parse("https://pay.example/b/pinehill-gas").unwrap();
    let whom = (dora.as_str(), "dora@mail.example");
    management.send_activation(&pool, BILLER, whom, &sign_in).await.unwrap();
    let query = AuditQuery { organization: "system", subjects: &["user"], limit: 10, ..AuditQuery::default() };
    assert!(!management.audit_events(&query).await.unwrap().is_empty());
    enablement.suspend(&slug(BILLER), &world.by()).await.unwrap();
    // Everything is taken away again.
    world.issuers.faults().add(Rule::new("PUT", "/configuration", Fault::status(422)).times(100));
    let job = enablement.start(&slug("oakdale-city"), Order::default(), &world.by()).await.unwrap();
    while !enablement.job(&job.id).await.unwrap().unwrap().state.is_final() {
        enablement.work().await.unwrap();
        world.advance(std::time::Duration::from_secs(3)).await;
    }
    world.issuers.api_calls()
}

#[tokio::test]
async fn requests_and_answers_are_those_of_the_contract() {
    let operations = operations();
    let traffic = traffic().await;
    let mut wrong = Vec::new();
    for call in &traffic {
        let at = format!("{} {}", call.method, call.path);
        let Some(operation) = operation(&operations, call) else {
            wrong.push(format!("{at}: not in the contract"));
            continue;
        };
        let queries = query_names(call);
        wrong
            .extend(queries.iter().filter(|name| !operation.query.contains(name)).map(|name| format!("{at}: ?{name}")));
        wrong.extend(
            operation.body.iter().filter(|name| call.body[*name].is_null()).map(|name| format!("{at}: no {name}")),
        );
        let status = call.status.unwrap_or_default();
        if (200..300).contains(&status) {
            if status != operation.success {
                wrong.push(format!("{at}: {status}"));
            }
            let absent = operation.answer.iter().filter(|name| call.answer[*name].is_null());
            wrong.extend(absent.map(|name| format!("{at}: no {name} in the answer")));
            if operation.etag && !call.etag {
                wrong.push(format!("{at}: no version in the answer"));
            }
        }
        let is_api = call.path.starts_with("/api/");
        if is_api && call.path != "/api/identity/test/configuration" && call.correlation.is_none() {
            wrong.push(format!("{at}: no correlation id"));
        }
        if call.idempotency_key.as_ref().is_some_and(|key| !(32..=255).contains(&key.len())) {
            wrong.push(format!("{at}: an idempotency key of another length"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
fn requests_and_answers_are_those_of_the_vendors_files() {
    panic!("built without the vendor's OpenAPI files");
}

/// A body without what is secret, for messages.
#[cfg(vendor_files)]
fn shown(value: &serde_json::Value) -> String {
    value.to_string().chars().take(80).collect()
}
