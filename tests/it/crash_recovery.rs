//! Workers that are killed or stopped during an enablement job: another worker finishes the job.
//!
//! The stand-in outlives the workers, so that each test can compare its objects with the ledger. A task watches the routing,
//! which must change once.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use secureauth_standin::{Fault, FaultRule};
use serde_json::{Value, json};
use signpost::provisioning::{EnablementOptions, Job, JobState};
use signpost_core::decision::CiamState;

use crate::harness::{World, slug, wait_for};

const BILLER: &str = "pinehill-gas";
/// More users than one checkpoint covers.
const USERS: usize = 900;
const JOB_TIMEOUT: Duration = Duration::from_secs(60);

/// Failpoints of provisioning, in order.
const PROVISIONING_FAILPOINTS: [&str; 28] = [
    "organization.checked",
    "organization.intended",
    "organization.created",
    "organization.confirmed",
    "pool.intended",
    "pool.created",
    "pool.confirmed",
    "connection.intended",
    "connection.created",
    "connection.confirmed",
    "client.intended",
    "client.created",
    "client.confirmed",
    "claim.intended",
    "claim.created",
    "claim.confirmed",
    "probe.marked",
    "probe.sent",
    "probe.compared",
    "probe.recorded",
    "users.sent",
    "users.checkpointed",
    "changes.sent",
    "users.verified",
    "activation.ready",
    "activation.written",
    "activation.done",
    "none",
];

/// Failpoints of the rollback, in order.
const ROLLBACK_FAILPOINTS: [&str; 19] = [
    "rollback.decided",
    "rollback.started",
    "claim.deleting",
    "claim.deleted",
    "claim.recorded",
    "client.deleting",
    "client.deleted",
    "client.recorded",
    "connection.deleting",
    "connection.deleted",
    "connection.recorded",
    "pool.deleting",
    "pool.deleted",
    "pool.recorded",
    "organization.deleting",
    "organization.deleted",
    "organization.recorded",
    "rollback.written",
    "rollback.done",
];

struct CrashScenario {
    world: World,
    before: Value,
    job: Job,
    seen: tokio::task::JoinHandle<Vec<CiamState>>,
    is_over: Arc<AtomicBool>,
}

impl CrashScenario {
    /// A job without a worker, and a task that watches the routing.
    async fn start(fails: bool) -> Self {
        let world = World::with_system_clock().await;
        let hash = secureauth_standin::hash_password(crate::harness::PASSWORD, &world.state.random);
        let rows: String = (0..USERS).map(|n| format!("pine{n:04},pine{n}@mail.example,\"{hash}\"\n")).collect();
        world.import_csv(BILLER, &format!("username,email,password_hash\n{rows}")).await.unwrap();
        let before = world.issuers.snapshot();
        if fails {
            world
                .issuers
                .faults()
                .add(FaultRule::new("PUT", "/configuration", Fault::status(422)).after(3).times(1000));
        }
        let job =
            world.state.provisioning.start(&slug(BILLER), EnablementOptions::default(), &world.actor()).await.unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = tokio::spawn(watch(world.state.db.clone(), Arc::clone(&is_over)));
        Self { world, before, job, seen, is_over }
    }

    /// A worker process that kills itself at a failpoint.
    fn spawn_worker(&self, failpoint: &str) -> Child {
        Command::new(env!("CARGO_BIN_EXE_signpost"))
            .args(["enable", BILLER, "--watch", "--config"])
            .arg(self.world.settings_file())
            .args(["--failpoint", failpoint])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    async fn job(&self) -> Job {
        self.world.state.provisioning.job(&self.job.id).await.unwrap().unwrap()
    }

    async fn wait_until_final(&self) -> Job {
        wait_for(JOB_TIMEOUT, "the end of the job", || async {
            let job = self.job().await;
            job.state.is_final().then_some(job)
        })
        .await
    }

    /// The stand-in has the resources of the ledger, every user exists once, older objects are unchanged, and the routing
    /// changed once or never.
    async fn assert_consistent(self, point: &str) -> JobState {
        let job = self.job().await;
        self.is_over.store(true, Ordering::Relaxed);
        let seen = self.seen.await.unwrap();
        let there = self.world.issuers.snapshot();
        if job.state == JobState::RolledBack {
            assert_eq!(there, self.before, "{point}: resources are left");
            assert_eq!(seen, [CiamState::Enabling, CiamState::Legacy], "{point}");
            return job.state;
        }
        assert_eq!((job.state, &*job.problem), (JobState::Active, ""), "{point}: {}", job.message);
        assert_eq!(seen, [CiamState::Enabling, CiamState::Active], "{point}");
        let steps = self.world.state.provisioning.steps(&job).await.unwrap();
        for (kind, name) in [
            ("organization", "organizations"),
            ("pool", "pools"),
            ("connection", "idps"),
            ("client", "clients"),
            ("claim", "claims"),
        ] {
            let new = |snapshot: &Value| snapshot[name].as_array().unwrap().clone();
            let before = new(&self.before);
            let made: Vec<Value> = new(&there).into_iter().filter(|id| !before.contains(id)).collect();
            let ledger: Vec<Value> = steps
                .iter()
                .filter(|step| step.kind == kind && step.state.as_str() == "confirmed")
                .map(|step| json!(step.object_id))
                .collect();
            assert_eq!(made, ledger, "{point}: {name}");
        }
        let pool = &steps.iter().find(|step| step.kind == "pool").unwrap().object_id;
        let members = there["users"][pool].as_array().unwrap();
        assert_eq!((members.len(), job.done), (USERS + 1, i64::try_from(USERS + 1).unwrap()), "{point}");
        assert_eq!(there["user_credentials"].as_array().unwrap().len(), USERS, "{point}: no duplicate users");
        job.state
    }
}

/// The states of the biller as the database has them, without repetitions.
async fn watch(db: signpost::db::Db, is_over: Arc<AtomicBool>) -> Vec<CiamState> {
    let mut seen = Vec::new();
    loop {
        let last = is_over.load(Ordering::Relaxed);
        // A new directory has no snapshot.
        let directory = signpost::directory::Directory::new(db.clone());
        let state = directory.biller_by_slug(&slug(BILLER)).await.unwrap().unwrap().state;
        if seen.last() != Some(&state) {
            seen.push(state);
        }
        if last {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn exit_status(mut child: Child) -> ExitStatus {
    tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap()
}

/// Kills a worker at a failpoint and lets the next one finish the job.
async fn kill_at_failpoint(point: &'static str, fails: bool) {
    use std::os::unix::process::ExitStatusExt;
    let scenario = CrashScenario::start(fails).await;
    let status = exit_status(scenario.spawn_worker(point)).await;
    if point != "none" {
        assert_eq!(status.signal(), Some(9), "{point}: killed at the failpoint");
        if !scenario.job().await.state.is_final() {
            let next = scenario.spawn_worker("none");
            scenario.wait_until_final().await;
            exit_status(next).await;
        }
    }
    let expected = if fails { JobState::RolledBack } else { JobState::Active };
    assert_eq!(scenario.assert_consistent(point).await, expected, "{point}");
}

/// Runs several at once: they mostly wait for leases to expire.
async fn kill_at_each(points: impl IntoIterator<Item = &'static str>, fails: bool) {
    let mut killed = futures_util::stream::iter(points)
        .map(|point| tokio::spawn(kill_at_failpoint(point, fails)))
        .buffer_unordered(4);
    while let Some(done) = killed.next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn provisioning_resumes_after_a_kill_at_every_failpoint() {
    kill_at_each(PROVISIONING_FAILPOINTS, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rollback_resumes_after_a_kill_at_every_failpoint() {
    kill_at_each(ROLLBACK_FAILPOINTS, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_method_of_the_import_is_found_once() {
    for (fault, expected) in [(Fault::ModeIgnored, 2), (Fault::ModeRefused, 1)] {
        let what = format!("{fault:?}");
        let scenario = CrashScenario::start(false).await;
        scenario.world.issuers.faults().add(FaultRule::new("PUT", "/configuration", fault).times(1000));
        exit_status(scenario.spawn_worker("probe.recorded")).await;
        let next = scenario.spawn_worker("none");
        scenario.wait_until_final().await;
        exit_status(next).await;
        let calls = scenario.world.issuers.api_calls();
        let puts = calls.iter().filter(|call| call.method == "PUT" && call.path.ends_with("/configuration"));
        assert_eq!(puts.count(), expected, "{what}: the next worker knows the method");
        assert_eq!(scenario.assert_consistent(&what).await, JobState::Active);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rollback_of_an_import_by_patch_resumes_after_a_kill() {
    let scenario = CrashScenario::start(false).await;
    let faults = scenario.world.issuers.faults();
    faults.add(FaultRule::new("PUT", "/configuration", Fault::ModeIgnored).times(1000));
    faults.add(FaultRule::new("PATCH", "/configuration", Fault::status(422)).after(4).times(1000));
    exit_status(scenario.spawn_worker("pool.deleted")).await;
    let next = scenario.spawn_worker("none");
    scenario.wait_until_final().await;
    exit_status(next).await;
    assert_eq!(scenario.assert_consistent("pool.deleted").await, JobState::RolledBack);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_suspended_past_its_lease_has_no_effect() {
    for path in ["/organizations", "/pools", "/clients", "/configuration"] {
        let scenario = CrashScenario::start(false).await;
        let faults = scenario.world.issuers.faults();
        let method = if path == "/configuration" { "PUT" } else { "POST" };
        faults.add(FaultRule::new(method, path, Fault::Delay(Duration::from_millis(500))).times(1));
        let first = scenario.spawn_worker("none");
        wait_for(JOB_TIMEOUT, "the fault", || async { (faults.fired() > 0).then_some(()) }).await;
        let pid = Pid::from_child(&first);
        kill_process(pid, Signal::STOP).unwrap();
        let second = scenario.spawn_worker("none");
        scenario.wait_until_final().await;
        exit_status(second).await;
        let (there, calls) = (scenario.world.issuers.snapshot(), scenario.world.issuers.api_calls().len());
        kill_process(pid, Signal::CONT).unwrap();
        assert!(exit_status(first).await.success(), "it finds the job done");
        assert_eq!(scenario.world.issuers.snapshot(), there, "{path}");
        assert_eq!(scenario.world.issuers.api_calls().len(), calls, "{path}: it makes no more calls");
        scenario.assert_consistent(path).await;
    }
}

/// Kills workers at random moments. `SIGNPOST_KILLS` sets the number, `SIGNPOST_SEED` the moments.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: scripts/prove runs it"]
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a long run with settings and a report of its own")]
async fn jobs_survive_kills_at_random_moments() {
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (target, seed) = (number("SIGNPOST_KILLS", 200), number("SIGNPOST_SEED", 1));
    // A linear congruential generator (Knuth): repeatable by its seed.
    let mut random = seed;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let (mut kills, mut jobs, mut active, mut rolled_back) = (0, 0, 0, 0);
    while kills < target {
        let fails = next(2) == 0;
        let scenario = CrashScenario::start(fails).await;
        scenario.world.issuers.faults().set_latency(Duration::from_millis(next(40)));
        while !scenario.job().await.state.is_final() {
            let mut child = scenario.spawn_worker("none");
            tokio::time::sleep(Duration::from_millis(100 + next(900))).await;
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                kills += 1;
            }
            exit_status(child).await;
            // Half of the workers start after the lease has expired, the others while it is held.
            if next(2) == 0 {
                tokio::time::sleep(Duration::from_millis(2100)).await;
            }
        }
        jobs += 1;
        match scenario.assert_consistent(&format!("seed {seed}, job {jobs}")).await {
            JobState::Active => active += 1,
            _ => rolled_back += 1,
        }
    }
    println!("kills {kills}, seed {seed}: {jobs} jobs, {active} ended active, {rolled_back} rolled back");
}
