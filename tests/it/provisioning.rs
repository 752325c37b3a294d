//! Moving a biller: forward, back, again after a kill, and two workers at once. On both databases.

use std::time::Duration;

use futures_util::StreamExt;
use http::{Request, StatusCode};
use secureauth_standin::{Fault, FaultRule, RetryAfter};
use serde_json::{Value, json};
use signpost::access::{NewApiKey, Scope};
use signpost::directory::PasswordCarryOver;
use signpost::provisioning::{EnablementOptions, Job, JobState};
use signpost::sql;
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
        let method = if path == "/configuration" { "*" } else { "POST" };
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

/// What is wrong with SecureAuth during a whole job.
#[derive(Clone, Copy, PartialEq)]
enum Standing {
    Nothing,
    /// No import passes, and users have password hashes, so the job fails.
    JobFails,
    /// Users are imported by `PATCH`.
    PutRefused,
    /// Users are created one by one.
    ImportsRefused,
}

impl Standing {
    fn rules(self) -> Vec<FaultRule> {
        let rule = |method, fault| FaultRule::new(method, "/configuration", fault).times(1000);
        match self {
            Self::Nothing => vec![],
            Self::JobFails => vec![rule("*", Fault::status(422))],
            Self::PutRefused => vec![rule("PUT", Fault::ModeRefused)],
            Self::ImportsRefused => vec![rule("*", Fault::ModeRefused)],
        }
    }
}

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
    (standing, times): (Standing, usize),
) -> JobState {
    let what = format!("{method} {path} {fault:?}");
    let world = World::start().await;
    users(&world, 3).await;
    let before = world.issuers.snapshot();
    let faults = world.issuers.faults();
    standing.rules().into_iter().for_each(|rule| faults.add(rule));
    faults.add(FaultRule::new(method, path, fault).times(times));
    let mut options = EnablementOptions::default();
    if standing == Standing::ImportsRefused {
        options.passwords = PasswordCarryOver::ResetRequired;
    }
    let job = world.state.provisioning.start(&slug(BILLER), options, &world.actor()).await.unwrap();
    let job = finish(&world, &job).await;
    let is_made = |call: &secureauth_standin::ApiCall| call.method == method && call.path.contains(path);
    assert!(world.issuers.api_calls().iter().any(is_made), "{what}: the call is made");
    assert!(faults.fired() > 0, "{what}");
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
    (standing, times): (Standing, usize),
) -> Vec<(String, JobState)> {
    let cases = calls.iter().flat_map(|call| faults().into_iter().map(move |fault| (*call, fault)));
    let run = |(call, fault): ((&'static str, &'static str), Fault)| async move {
        let what = format!("{} {} {fault:?}", call.0, call.1);
        (what, tokio::spawn(run_with_fault(call, fault, (standing, times))).await.unwrap())
    };
    futures_util::stream::iter(cases.collect::<Vec<_>>()).map(run).buffer_unordered(4).collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transient_faults_during_provisioning_are_retried() {
    for (what, ended) in matrix(&PROVISIONING_CALLS, transient_faults, (Standing::Nothing, 1)).await {
        assert_eq!(ended, JobState::Active, "{what}");
    }
    let fallbacks =
        [(("PATCH", "/configuration"), Standing::PutRefused), (("POST", "/users"), Standing::ImportsRefused)];
    for (call, standing) in fallbacks {
        for (what, ended) in matrix(&[call], transient_faults, (standing, 1)).await {
            assert_eq!(ended, JobState::Active, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transient_faults_during_rollback_are_retried() {
    for (what, ended) in matrix(&ROLLBACK_CALLS, transient_faults, (Standing::JobFails, 1)).await {
        assert_eq!(ended, JobState::RolledBack, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicts_tell_own_resources_from_foreign_ones() {
    // What was made by a call that says that it is there already is ours.
    let making: Vec<_> =
        PROVISIONING_CALLS.into_iter().filter(|(method, path)| *method == "POST" && !path.contains("token")).collect();
    for (what, ended) in matrix(&making, || vec![Fault::StatusAfter(409)], (Standing::Nothing, 1)).await {
        assert_eq!(ended, JobState::Active, "{what}");
    }
    // A conflict with somebody else's, or with a change of somebody else's, ends with nothing left; an organization is looked
    // at again.
    let others: Vec<_> = making.into_iter().chain([("PUT", "/configuration")]).collect();
    for (what, ended) in matrix(&others, || vec![Fault::status(409), Fault::status(412)], (Standing::Nothing, 1)).await
    {
        let expected = if what.starts_with("POST /organizations Status { status: 409") {
            JobState::Active
        } else {
            JobState::RolledBack
        };
        assert_eq!(ended, expected, "{what}");
    }
    // What cannot be taken away at first is tried again when the rest is gone.
    for (what, ended) in
        matrix(&ROLLBACK_CALLS, || vec![Fault::status(409), Fault::status(412)], (Standing::JobFails, 1)).await
    {
        assert_eq!(ended, JobState::RolledBack, "{what}");
    }
    // What goes with its organization is gone, whatever was answered before; the rest is named.
    for (what, ended) in matrix(&ROLLBACK_CALLS, || vec![Fault::status(409)], (Standing::JobFails, 1000)).await {
        let goes_along = ["/claims/", "/clients/", "/idps/"].iter().any(|path| what.contains(path));
        assert_eq!(ended, if goes_along { JobState::RolledBack } else { JobState::NeedsAttention }, "{what}");
    }
}

#[tokio::test]
async fn an_existing_organization_survives_rollback() {
    let world = World::start().await;
    world.import_billers("[[billers]]\nslug = \"maple-electric\"\nstate = \"legacy\"\n").await;
    let before = world.issuers.snapshot();
    world.issuers.faults().add(FaultRule::new("PUT", "/configuration", Fault::status(403)).times(100));
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

/// Moves the biller with 3 users of its own. Answers the job and how many calls of each import there were.
async fn enable(world: &World, passwords: PasswordCarryOver) -> (Job, String, [usize; 2]) {
    let options = EnablementOptions { passwords, ..EnablementOptions::default() };
    let job = world.state.provisioning.start(&slug(BILLER), options, &world.actor()).await.unwrap();
    let job = finish(world, &job).await;
    let steps = world.state.provisioning.steps(&job).await.unwrap();
    let method = steps.into_iter().find(|step| step.kind == "import").map(|step| step.object_id).unwrap_or_default();
    (job, method, imports(world))
}

fn imports(world: &World) -> [usize; 2] {
    let count = |method| {
        let calls = world.issuers.api_calls().into_iter();
        calls.filter(|call| call.method == method && call.path.ends_with("/configuration")).count()
    };
    ["PUT", "PATCH"].map(count)
}

#[tokio::test]
async fn users_are_imported_by_patch_when_put_ignores_or_refuses_the_mode() {
    let refused = [400, 404, 405, 422].map(Fault::status);
    for fault in [Fault::ModeIgnored, Fault::ModeRefused].into_iter().chain(refused) {
        let what = format!("{fault:?}");
        let is_ignored = matches!(fault, Fault::ModeIgnored);
        let world = World::start().await;
        users(&world, 120).await;
        world.issuers.faults().add(FaultRule::new("PUT", "/configuration", fault).times(1000));
        let (job, method, imports) = enable(&world, PasswordCarryOver::Imported).await;
        assert_eq!((job.state, method.as_str()), (JobState::Active, "PATCH /configuration"), "{what}");
        // Two calls of the probe, two batches, and the changes since the job began: the same users.
        assert_eq!(imports, [if is_ignored { 2 } else { 1 }, 2 + 2 + 2], "{what}");
        assert!(world.sign_in(&mut world.browser(), BILLER, "pine0000").await.starts_with(PORTAL), "{what}");
        let drift = world.state.provisioning.drift(&slug(BILLER)).await.unwrap();
        assert!(drift.is_empty() && drift.unknown.is_empty(), "{what}: {drift:?}");
        // A user who comes later goes the same way.
        let hash = secureauth_standin::hash_password(crate::harness::PASSWORD, &world.state.random);
        let csv = format!("username,email,password_hash\nlater,later@mail.example,\"{hash}\"\n");
        world.import_csv(BILLER, &csv).await.unwrap();
        while world.state.provisioning.deliver().await.unwrap() > 0 {}
        assert_eq!(self::imports(&world), [imports[0], imports[1] + 1], "{what}");
        assert!(world.sign_in(&mut world.browser(), BILLER, "later").await.starts_with(PORTAL), "{what}");
    }
}

#[tokio::test]
async fn users_are_created_one_by_one_when_no_import_works() {
    for fault in [Fault::ModeIgnored, Fault::ModeRefused] {
        let what = format!("{fault:?}");
        let world = World::start().await;
        users(&world, 120).await;
        world.issuers.faults().add(FaultRule::new("*", "/configuration", fault).times(1000));
        let (job, method, imports) = enable(&world, PasswordCarryOver::ResetRequired).await;
        assert_eq!((job.state, method.as_str()), (JobState::Active, "single user calls"), "{what}");
        assert!(imports.iter().all(|count| *count <= 2), "{what}: {imports:?}");
        let drift = world.state.provisioning.drift(&slug(BILLER)).await.unwrap();
        assert_eq!((drift.is_empty(), drift.pool_users), (true, 121), "{what}: {drift:?}");
    }
}

#[tokio::test]
async fn a_hash_that_no_import_takes_rolls_the_job_back() {
    let world = World::start().await;
    users(&world, 3).await;
    let before = world.issuers.snapshot();
    world.issuers.faults().add(FaultRule::new("PUT", "/configuration", Fault::ModeIgnored).times(1000));
    world.issuers.faults().add(FaultRule::new("PATCH", "/configuration", Fault::ModeRefused).times(1000));
    let (job, method, _) = enable(&world, PasswordCarryOver::Imported).await;
    assert_eq!((job.state, method.as_str()), (JobState::RolledBack, ""));
    for part in
        ["PUT /configuration: mode=update was ignored", "PATCH /configuration: 400", "--passwords reset-required"]
    {
        assert!(job.problem.contains(part), "{part}: {}", job.problem);
    }
    assert_eq!(world.issuers.snapshot(), before);
}

#[tokio::test]
async fn users_are_not_created_without_a_hash_that_cannot_be_opened() {
    let world = World::start().await;
    users(&world, 3).await;
    let before = world.issuers.snapshot();
    // As after the removal of the key that sealed it.
    let sealed = sql!("UPDATE user_password SET sealed = 'x' WHERE user_id = (SELECT max(user_id) FROM user_password)");
    world.state.db.run(sealed, vec![]).await.unwrap();
    let (job, _, _) = enable(&world, PasswordCarryOver::Imported).await;
    assert_eq!(job.state, JobState::RolledBack);
    assert!(job.problem.contains("no key of the key ring opens the password hash of the user"), "{}", job.problem);
    assert_eq!(world.issuers.snapshot(), before);
    let (job, _, _) = enable(&world, PasswordCarryOver::ResetRequired).await;
    assert_eq!(job.state, JobState::Active, "without hashes it does not matter: {}", job.problem);
}

#[tokio::test]
async fn other_instances_work_for_a_biller_that_is_new_to_them() {
    each_database(|world| async move {
        users(&world, 2).await;
        let (other, _) = world.another_instance().await;
        other.state.directory.billers().await.unwrap();
        world.import_billers("[[billers]]\nslug = \"brand-new\"\nname = \"Brand New\"\n").await;
        let options = EnablementOptions::default();
        let job = world.state.provisioning.start(&slug("brand-new"), options, &world.actor()).await.unwrap();
        let stale = other.state.directory.last_known_billers();
        assert!(stale.by_slug(&slug("brand-new")).is_none(), "the other instance does not know the biller");
        while other.state.provisioning.run_next_job().await.unwrap() {}
        let job = world.state.provisioning.job(&job.id).await.unwrap().unwrap();
        assert_eq!((job.state, job.problem.as_str()), (JobState::Active, ""), "{}", job.message);
    })
    .await;
}

#[tokio::test]
async fn a_deactivation_that_secureauth_ignores_is_an_error() {
    let world = World::start().await;
    users(&world, 3).await;
    enable(&world, PasswordCarryOver::Imported).await;
    let faults = world.issuers.faults();
    faults.add(FaultRule::new("PUT", "/organizations/", Fault::FieldIgnored("deactivated")).times(1000));
    let refused = world.state.provisioning.suspend(&slug(BILLER), &world.actor()).await.unwrap_err().to_string();
    assert!(refused.contains("deactivated = true") && refused.contains("still false"), "{refused}");
    assert_eq!(state(&world).await, CiamState::Suspended, "Signpost sends nobody there all the same");
    let drift = world.state.provisioning.drift(&slug(BILLER)).await.unwrap();
    assert_eq!(drift.deactivated, Some(true));
    let biller = world.state.directory.biller_by_slug(&slug(BILLER)).await.unwrap().unwrap();
    let differing = world.state.provisioning.remote_settings(&biller).await.unwrap();
    let differing: Vec<_> = differing.iter().filter(|setting| !setting.is_in_sync()).collect();
    assert_eq!((differing.len(), differing[0].name.as_str()), (1, "Organization deactivated"));
    faults.clear();
    world.state.provisioning.repair(&slug(BILLER), &drift, &world.actor(), || {}).await.unwrap();
    assert!(world.state.provisioning.drift(&slug(BILLER)).await.unwrap().is_empty());
}
