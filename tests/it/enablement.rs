//! Moving a biller: forward, back, again after a kill, and two workers at once. On both databases.

use http::{Request, StatusCode};
use serde_json::{Value, json};
use signpost::access::{NewKey, Scope};
use signpost::decision::CiamState;
use signpost::directory::PasswordCarryOver;
use signpost::enablement::{Job, JobState, Order};
use signpost::standin::{Fault, Rule};

use crate::harness::{PORTAL, World, each_database, slug};

const BILLER: &str = "pinehill-gas";

async fn users(world: &World, count: usize) {
    let hash = signpost::standin::hash_password(crate::harness::PASSWORD, &world.state.random);
    let rows: String = (0..count).map(|n| format!("pine{n:04},pine{n}@mail.example,{hash}\n")).collect();
    world
        .import_csv(BILLER, &format!("username,email,password_hash\n{rows}").replace(&hash, &format!("\"{hash}\"")))
        .await
        .unwrap();
}

/// Works until the job has ended; time goes on meanwhile, so that leases end.
async fn finish(world: &World, job: &Job) -> Job {
    for _ in 0..60 {
        world.state.enablement.work().await.unwrap();
        let job = world.state.enablement.job(&job.id).await.unwrap().unwrap();
        if job.state.is_final() {
            return job;
        }
        world.advance(std::time::Duration::from_secs(3)).await;
    }
    panic!("the job does not end");
}

async fn state(world: &World) -> CiamState {
    world.state.directory.named(&slug(BILLER)).await.unwrap().unwrap().state
}

#[tokio::test]
async fn a_biller_is_moved_and_its_people_sign_in_there() {
    each_database(|world| async move {
        users(&world, 250).await;
        let job = world.state.enablement.start(&slug(BILLER), Order::default()).await.unwrap();
        assert_eq!((job.state, state(&world).await), (JobState::Queued, CiamState::Enabling));
        let again = world.state.enablement.start(&slug(BILLER), Order::default()).await.unwrap();
        assert_eq!(again.id, job.id, "a second toggle joins");
        let job = finish(&world, &job).await;
        assert_eq!(job.message, "Organization and users successfully created in SecureAuth.");
        assert_eq!((job.state, job.done, job.total), (JobState::Active, 251, 251));
        assert_eq!(state(&world).await, CiamState::Active);
        let mut browser = world.browser();
        assert!(world.sign_in(&mut browser, BILLER, "pine0007").await.starts_with(PORTAL));
        let passed = browser.get("/auth/verify?biller=pinehill-gas").await;
        assert_eq!(passed.header("x-signpost-user"), "pine0007");
        world.state.enablement.suspend(&slug(BILLER)).await.unwrap();
        assert_eq!(state(&world).await, CiamState::Suspended);
        world.state.enablement.resume(&slug(BILLER)).await.unwrap();
        assert!(world.sign_in(&mut world.browser(), BILLER, "pine0008").await.starts_with(PORTAL));
    })
    .await;
}

#[tokio::test]
async fn a_refusal_on_the_way_leaves_nothing_behind() {
    for path in ["/organizations", "/pools", "/idps/identity_pool", "/clients", "/claims", "/configuration"] {
        let world = World::start().await;
        users(&world, 150).await;
        let before = world.issuers.snapshot();
        let method = if path == "/configuration" { "PUT" } else { "POST" };
        world.issuers.faults().add(Rule::new(method, path, Fault::status(422)).times(100));
        let job = world.state.enablement.start(&slug(BILLER), Order::default()).await.unwrap();
        let job = finish(&world, &job).await;
        assert_eq!(job.state, JobState::RolledBack, "{path}: {}", job.message);
        assert_eq!(job.message, "An error occurred during Organization or user creation. Please contact support.");
        assert_eq!((state(&world).await, world.issuers.snapshot()), (CiamState::Legacy, before), "{path}");
        world.issuers.faults().clear();
        let retried = world.state.enablement.start(&slug(BILLER), Order::default()).await.unwrap();
        assert_eq!(finish(&world, &retried).await.state, JobState::Active, "{path}: it can be tried again");
    }
}

#[tokio::test]
async fn trouble_on_the_way_is_waited_out() {
    for fault in [
        Fault::status(500),
        Fault::status(503),
        Fault::too_many(None),
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::Truncated,
        Fault::Garbage,
    ] {
        for path in ["/organizations", "/pools", "/idps/identity_pool", "/clients", "/claims", "/configuration"] {
            let world = World::start().await;
            let method = if path == "/configuration" { "PUT" } else { "POST" };
            world.issuers.faults().add(Rule::new(method, path, fault.clone()).times(1));
            let job = world.state.enablement.start(&slug(BILLER), Order::default()).await.unwrap();
            let job = finish(&world, &job).await;
            assert_eq!(job.state, JobState::Active, "{path} {fault:?}: {}", job.message);
            assert_eq!(world.issuers.faults().fired(), 1, "{path} {fault:?}");
        }
    }
}

#[tokio::test]
async fn an_organization_that_was_there_stays_as_it_was() {
    let world = World::start().await;
    world.import_billers("[[billers]]\nslug = \"maple-electric\"\nstate = \"legacy\"\n").await;
    let before = world.issuers.snapshot();
    world.issuers.faults().add(Rule::new("PUT", "/configuration", Fault::status(422)).times(100));
    let job = world.state.enablement.start(&slug("maple-electric"), Order::default()).await.unwrap();
    assert_eq!(finish(&world, &job).await.state, JobState::RolledBack);
    assert_eq!(world.issuers.snapshot(), before);
    world.issuers.faults().clear();
    let job = world.state.enablement.start(&slug("maple-electric"), Order::default()).await.unwrap();
    assert_eq!(finish(&world, &job).await.state, JobState::Active);
    let steps = world.state.enablement.steps(&job).await.unwrap();
    let organization = steps.iter().find(|step| step.kind == "organization").unwrap();
    assert_eq!((organization.object_id.as_str(), organization.state.as_str()), ("maple-electric", "kept"));
}

#[tokio::test]
async fn a_job_turned_back_is_undone() {
    let world = World::start().await;
    users(&world, 50).await;
    let before = world.issuers.snapshot();
    let job = world.state.enablement.start(&slug(BILLER), Order::default()).await.unwrap();
    world.state.enablement.turn_back(&slug(BILLER)).await.unwrap();
    assert_eq!(finish(&world, &job).await.state, JobState::RolledBack);
    assert_eq!((state(&world).await, world.issuers.snapshot()), (CiamState::Legacy, before));
}

#[tokio::test]
async fn several_workers_leave_one_stream_of_calls() {
    let world = World::start().await;
    users(&world, 300).await;
    let job = world.state.enablement.start(&slug(BILLER), Order::default()).await.unwrap();
    let workers = (0..5).map(|_| {
        let enablement = world.state.enablement.clone();
        tokio::spawn(async move { enablement.work().await.unwrap() })
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
async fn machines_move_a_biller_by_the_api() {
    let world = World::start().await;
    let scopes = vec![Scope::CiamWrite, Scope::BillersRead];
    let new = NewKey { name: "crm".into(), scopes, audience: None, billers: None, expires_at: None };
    let key = world.state.api_keys.create(&new).await.unwrap();
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
    let done = finish(&world, &world.state.enablement.job(&id).await.unwrap().unwrap()).await;
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
