//! Moving a biller: forward, back, again after a kill, and two workers at once. On both databases.

use std::time::Duration;

use futures_util::StreamExt;
use http::{Request, StatusCode};
use secureauth_standin::{Fault, FaultRule, RetryAfter};
use serde_json::{Value, json};
use signpost::access::{NewApiKey, Scope};
use signpost::directory::PasswordCarryOver;
use signpost::provisioning::{EnablementOptions, Job, JobState};
use signpost_core::decision::CiamState;

use crate::harness::{PORTAL, World, each_database, slug};

const BILLER: &str = "pinehill-gas";

async fn users(world: &World, count: usize) {
    let hash = secureauth_standin::hash_password(crate::harness::PASSWORD, &world.state.random);
    let rows: String = (0..count).map(|n| format!("pine{n:04},pine{n}@mail.example,{hash}\n")).collect();
    world
        .import_csv(BILLER, &format!("username,email,password_hash\n{rows}").replace(&hash, &format!("\"{hash}\"")))
        .await
        .unwrap();
}

/// Works until the job has ended; time goes on meanwhile, so that leases end.
async fn finish(world: &World, job: &Job) -> Job {
    for _ in 0..60 {
        world.state.provisioning.run_next_job().await.unwrap();
        let job = world.state.provisioning.job(&job.id).await.unwrap().unwrap();
        if job.state.is_final() {
            return job;
        }
        world.advance(Duration::from_secs(3)).await;
    }
    panic!("the job does not end");
}

async fn state(world: &World) -> CiamState {
    world.state.directory.biller_by_slug(&slug(BILLER)).await.unwrap().unwrap().state
}

#[tokio::test]
async fn users_of_an_enabled_biller_sign_in_at_secureauth() {
    each_database(|world| async move {
        users(&world, 250).await;
        let job =
            world.state.provisioning.start(&slug(BILLER), EnablementOptions::default(), &world.actor()).await.unwrap();
        assert_eq!((job.state, state(&world).await), (JobState::Queued, CiamState::Enabling));
        let again =
            world.state.provisioning.start(&slug(BILLER), EnablementOptions::default(), &world.actor()).await.unwrap();
        assert_eq!(again.id, job.id, "a second toggle joins");
        let job = finish(&world, &job).await;
        assert_eq!(job.message, "Organization and users successfully created in SecureAuth.");
        assert_eq!((job.state, job.done, job.total), (JobState::Active, 251, 251));
        assert_eq!(state(&world).await, CiamState::Active);
        let mut browser = world.browser();
        assert!(world.sign_in(&mut browser, BILLER, "pine0007").await.starts_with(PORTAL));
        let passed = browser.get("/auth/verify?biller=pinehill-gas").await;
        assert_eq!(passed.header("x-signpost-user"), "pine0007");
        world.state.provisioning.suspend(&slug(BILLER), &world.actor()).await.unwrap();
        assert_eq!(state(&world).await, CiamState::Suspended);
        world.state.provisioning.resume(&slug(BILLER), &world.actor()).await.unwrap();
        assert!(world.sign_in(&mut world.browser(), BILLER, "pine0008").await.starts_with(PORTAL));
    })
    .await;
}

#[tokio::test]
async fn a_rejected_call_rolls_everything_back() {
    for path in ["/organizations", "/pools", "/idps/identity_pool", "/clients", "/claims", "/configuration"] {
        let world = World::start().await;
        users(&world, 150).await;
        let before = world.issuers.snapshot();
        let method = if path == "/configuration" { "PUT" } else { "POST" };
        world.issuers.faults().add(FaultRule::new(method, path, Fault::status(422)).times(100));
        let job =
            world.state.provisioning.start(&slug(BILLER), EnablementOptions::default(), &world.actor()).await.unwrap();
        let job = finish(&world, &job).await;
        assert_eq!(job.state, JobState::RolledBack, "{path}: {}", job.message);
        assert_eq!(job.message, "An error occurred during Organization or user creation. Please contact support.");
        assert_eq!((state(&world).await, world.issuers.snapshot()), (CiamState::Legacy, before), "{path}");
        world.issuers.faults().clear();
        let retried =
            world.state.provisioning.start(&slug(BILLER), EnablementOptions::default(), &world.actor()).await.unwrap();
        assert_eq!(finish(&world, &retried).await.state, JobState::Active, "{path}: it can be tried again");
    }
}

/// The calls of a job, and those of its way back.
const PROVISIONING_CALLS: [(&str, &str); 13] = [
    ("POST", "/oauth2/token"),
    ("GET", "/organizations/"),
    ("POST", "/organizations"),
    ("GET", "/pools/"),
    ("POST", "/pools"),
    ("GET", "/idps/identity_pool/"),
    ("POST", "/idps/identity_pool"),
    ("GET", "/clients/"),
    ("POST", "/clients"),
    ("GET", "/claims"),
    ("POST", "/claims"),
    ("PUT", "/configuration"),
    ("GET", "/users/"),
];
const ROLLBACK_CALLS: [(&str, &str); 5] = [
    ("DELETE", "/claims/"),
    ("DELETE", "/clients/"),
    ("DELETE", "/idps/"),
    ("DELETE", "/pools/"),
    ("DELETE", "/organizations/"),
];

/// Trouble that says nothing about whether it went well.
fn transient_faults() -> Vec<Fault> {
    vec![
        Fault::rate_limited(None),
        Fault::rate_limited(Some(RetryAfter::Seconds(1))),
        Fault::rate_limited(Some(RetryAfter::At(crate::harness::now()))),
        Fault::rate_limited(Some(RetryAfter::Text("soon".to_owned()))),
        Fault::status(500),
        Fault::status(503),
        Fault::Delay(Duration::from_millis(1500)),
        Fault::DelayAfter(Duration::from_millis(1500)),
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::Truncated,
        Fault::Garbage,
        Fault::token_rejected(),
    ]
}

/// A job, one of whose calls goes wrong, once or always; how it ended.
async fn run_with_fault(
    (method, path): (&'static str, &'static str),
    fault: Fault,
    (fails, times): (bool, usize),
) -> JobState {
    let what = format!("{method} {path} {fault:?}");
    let world = World::start().await;
    users(&world, 3).await;
    let before = world.issuers.snapshot();
    let faults = world.issuers.faults();
    if fails {
        faults.add(FaultRule::new("PUT", "/configuration", Fault::status(422)).times(1000));
    }
    let others = faults.fired();
    faults.add(FaultRule::new(method, path, fault).times(times));
    let job =
        world.state.provisioning.start(&slug(BILLER), EnablementOptions::default(), &world.actor()).await.unwrap();
    let job = finish(&world, &job).await;
    assert!(faults.fired() > others, "{what}: the call is made");
    let there = world.issuers.snapshot();
    match job.state {
        JobState::Active => {
            let pool = pool_of(&world, &job).await;
            assert_eq!(there["users"][&pool].as_array().unwrap().len(), 4, "{what}");
            assert_eq!(state(&world).await, CiamState::Active, "{what}");
        }
        JobState::RolledBack => assert_eq!((state(&world).await, there), (CiamState::Legacy, before), "{what}"),
        _ => {
            // What is left is named by its exact id, and nothing else is.
            let (now, then) = (there.to_string(), before.to_string());
            for step in world.state.provisioning.steps(&job).await.unwrap() {
                let is_left = now.contains(&format!("\"{}\"", step.object_id)) && !then.contains(&step.object_id);
                let is_named = job.message.split_whitespace().any(|word| word == step.object_id);
                assert_eq!(is_named, is_left, "{what}: {} {}", step.object_id, job.message);
            }
            assert_eq!(state(&world).await, CiamState::Legacy, "{what}");
        }
    }
    job.state
}

async fn pool_of(world: &World, job: &Job) -> String {
    let steps = world.state.provisioning.steps(job).await.unwrap();
    steps.into_iter().find(|step| step.kind == "pool").unwrap().object_id
}

/// Four at once: most of the time is spent in waiting. Answers how each ended.
async fn matrix(
    calls: &[(&'static str, &'static str)],
    faults: impl Fn() -> Vec<Fault>,
    (fails, times): (bool, usize),
) -> Vec<(String, JobState)> {
    let cases = calls.iter().flat_map(|call| faults().into_iter().map(move |fault| (*call, fault)));
    let run = |(call, fault): ((&'static str, &'static str), Fault)| async move {
        let what = format!("{} {} {fault:?}", call.0, call.1);
        (what, tokio::spawn(run_with_fault(call, fault, (fails, times))).await.unwrap())
    };
    futures_util::stream::iter(cases.collect::<Vec<_>>()).map(run).buffer_unordered(4).collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transient_faults_during_provisioning_are_retried() {
    for (what, ended) in matrix(&PROVISIONING_CALLS, transient_faults, (false, 1)).await {
        assert_eq!(ended, JobState::Active, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transient_faults_during_rollback_are_retried() {
    for (what, ended) in matrix(&ROLLBACK_CALLS, transient_faults, (true, 1)).await {
        assert_eq!(ended, JobState::RolledBack, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicts_tell_own_resources_from_foreign_ones() {
    // What was made by a call that says that it is there already is ours.
    let making: Vec<_> =
        PROVISIONING_CALLS.into_iter().filter(|(method, path)| *method == "POST" && !path.contains("token")).collect();
    for (what, ended) in matrix(&making, || vec![Fault::StatusAfter(409)], (false, 1)).await {
        assert_eq!(ended, JobState::Active, "{what}");
    }
    // A conflict with somebody else's, or with a change of somebody else's, ends with nothing left; an organization is looked
    // at again.
    let others: Vec<_> = making.into_iter().chain([("PUT", "/configuration")]).collect();
    for (what, ended) in matrix(&others, || vec![Fault::status(409), Fault::status(412)], (false, 1)).await {
        let expected = if what.starts_with("POST /organizations Status { status: 409") {
            JobState::Active
        } else {
            JobState::RolledBack
        };
        assert_eq!(ended, expected, "{what}");
    }
    // What cannot be taken away at first is tried again when the rest is gone.
    for (what, ended) in matrix(&ROLLBACK_CALLS, || vec![Fault::status(409), Fault::status(412)], (true, 1)).await {
        assert_eq!(ended, JobState::RolledBack, "{what}");
    }
    // What goes with its organization is gone, whatever was answered before; the rest is named.
    for (what, ended) in matrix(&ROLLBACK_CALLS, || vec![Fault::status(409)], (true, 1000)).await {
        let goes_along = ["/claims/", "/clients/", "/idps/"].iter().any(|path| what.contains(path));
        assert_eq!(ended, if goes_along { JobState::RolledBack } else { JobState::NeedsAttention }, "{what}");
    }
}

#[tokio::test]
async fn an_existing_organization_survives_rollback() {
    let world = World::start().await;
    world.import_billers("[[billers]]\nslug = \"maple-electric\"\nstate = \"legacy\"\n").await;
    let before = world.issuers.snapshot();
    world.issuers.faults().add(FaultRule::new("PUT", "/configuration", Fault::status(422)).times(100));
    let job = world
        .state
        .provisioning
        .start(&slug("maple-electric"), EnablementOptions::default(), &world.actor())
        .await
        .unwrap();
    assert_eq!(finish(&world, &job).await.state, JobState::RolledBack);
    assert_eq!(world.issuers.snapshot(), before);
    world.issuers.faults().clear();
    let job = world
        .state
        .provisioning
        .start(&slug("maple-electric"), EnablementOptions::default(), &world.actor())
        .await
        .unwrap();
    assert_eq!(finish(&world, &job).await.state, JobState::Active);
    let steps = world.state.provisioning.steps(&job).await.unwrap();
    let organization = steps.iter().find(|step| step.kind == "organization").unwrap();
    assert_eq!((organization.object_id.as_str(), organization.state.as_str()), ("maple-electric", "existing"));
}

#[tokio::test]
async fn a_cancelled_job_is_rolled_back() {
    let world = World::start().await;
    users(&world, 50).await;
    let before = world.issuers.snapshot();
    let job =
        world.state.provisioning.start(&slug(BILLER), EnablementOptions::default(), &world.actor()).await.unwrap();
    world.state.provisioning.cancel(&slug(BILLER), &world.actor()).await.unwrap();
    assert_eq!(finish(&world, &job).await.state, JobState::RolledBack);
    assert_eq!((state(&world).await, world.issuers.snapshot()), (CiamState::Legacy, before));
}

#[tokio::test]
async fn concurrent_workers_provision_once() {
    let world = World::start().await;
    users(&world, 300).await;
    let job =
        world.state.provisioning.start(&slug(BILLER), EnablementOptions::default(), &world.actor()).await.unwrap();
    let workers = (0..5).map(|_| {
        let provisioning = world.state.provisioning.clone();
        tokio::spawn(async move { provisioning.run_next_job().await.unwrap() })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    assert_eq!(finish(&world, &job).await.state, JobState::Active);
    let created =
        world.issuers.api_calls().iter().filter(|call| call.method == "POST" && call.path.ends_with("/pools")).count();
    assert_eq!(created, 1);
}

#[tokio::test]
async fn the_api_enables_and_suspends_a_biller() {
    let world = World::start().await;
    let scopes = vec![Scope::CiamWrite, Scope::BillersRead];
    let new = NewApiKey { name: "crm".into(), scopes, audience: None, billers: None, expires_at: None };
    let key = world.state.api_keys.create(&new, &world.actor()).await.unwrap();
    let put = async |slug: &str, body: Value| {
        let request = Request::put(format!("/api/v1/billers/{slug}/ciam"))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        let answer = world.browser().send_with(request, axum::body::Body::from(body.to_string())).await;
        (answer.status, serde_json::from_str::<Value>(&answer.body).unwrap())
    };
    let (status, job) = put(BILLER, json!({ "active": true, "mode": "mfa", "passwords": "reset_required" })).await;
    assert_eq!((status, job["state"].as_str()), (StatusCode::ACCEPTED, Some("queued")));
    let id = job["id"].as_str().unwrap().to_owned();
    let done = finish(&world, &world.state.provisioning.job(&id).await.unwrap().unwrap()).await;
    assert_eq!((done.state, done.passwords), (JobState::Active, PasswordCarryOver::ResetRequired));
    let request = Request::get(format!("/api/v1/jobs/{id}")).header("authorization", format!("Bearer {key}"));
    let read: Value = serde_json::from_str(&world.browser().send(request).await.body).unwrap();
    assert_eq!((read["state"].as_str(), read["biller"].as_str()), (Some("active"), Some(BILLER)));
    assert_eq!(put(BILLER, json!({ "active": true })).await.0, StatusCode::CONFLICT);
    assert_eq!(put(BILLER, json!({ "active": false })).await.0, StatusCode::OK);
    assert_eq!(state(&world).await, CiamState::Suspended);
    assert_eq!(put(BILLER, json!({ "active": true })).await.0, StatusCode::OK);
    assert_eq!(put("nobody-here", json!({ "active": true })).await.0, StatusCode::NOT_FOUND);
    assert_eq!(put(BILLER, json!({ "activ": true })).await.0, StatusCode::BAD_REQUEST);
}
