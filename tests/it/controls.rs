//! Orders of operators: kill switch, hold, rollout, keys. Given by file, API and command line, followed by the next request.

use std::path::Path;
use std::process::{Command, Output};

use axum::extract::FromRef;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use signpost::access::{NewApiKey, Scope};
use signpost::app::management_router;
use signpost::state::HealthReporter;
use signpost_core::Slug;
use signpost_core::decision::KillSwitchState;

use crate::harness::{Browser, World, each_database, slug};

async fn submit_username(browser: &mut Browser, name: &str) -> (u16, String) {
    let answer = browser.post("/login", &[("username", name)]).await;
    (answer.status.as_u16(), answer.title().to_owned())
}

#[tokio::test]
async fn kill_switch_takes_effect_with_the_next_request() {
    each_database(|world| async move {
        let directory = &world.state.directory;
        let mut browser = world.browser();
        assert_eq!(submit_username(&mut browser, "one-moved").await.0, 200);
        directory.set_kill_switch(&KillSwitchState::AllLegacy, &world.actor()).await.unwrap();
        assert_eq!(submit_username(&mut browser, "one-moved").await.0, 303);
        directory
            .set_kill_switch(&KillSwitchState::BillerLegacy(slug("maple-electric")), &world.actor())
            .await
            .unwrap();
        assert_eq!(submit_username(&mut browser, "one-moved").await.0, 200);
        assert_eq!(submit_username(&mut browser, "Maple.User").await.0, 303);
        directory.set_kill_switch(&KillSwitchState::Off, &world.actor()).await.unwrap();
        assert_eq!(submit_username(&mut browser, "Maple.User").await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn kill_switch_file_overrides_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kill");
    let world =
        World::with_settings(&format!("[routing]\nkill_switch_file = {:?}\ndirectory_down = \"legacy\"\n", file)).await;
    let mut browser = world.browser();
    assert_eq!(submit_username(&mut browser, "one-moved").await.0, 200);
    std::fs::write(&file, "all-legacy\n").unwrap();
    assert_eq!(submit_username(&mut browser, "one-moved").await.0, 303);
    std::fs::write(&file, "al-legcy\n").unwrap();
    assert_eq!(submit_username(&mut browser, "one-moved").await.1, "Signing in is paused", "a slip is no permission");
    assert!(world.state.routing.kill_switch.file_problem().unwrap().contains("expected off, all-legacy"));
    std::fs::write(&file, b"\xff\xfeo\0f\0f\0").unwrap();
    assert_eq!(submit_username(&mut browser, "one-moved").await.1, "Signing in is paused");
    assert!(world.state.routing.kill_switch.file_problem().unwrap().contains("not UTF-8"));
    let health = |scope: Option<Vec<Slug>>| {
        let state = world.state.clone();
        async move { HealthReporter::from_ref(&state).report(scope.as_deref()).await.unwrap().kill_switch_file_problem }
    };
    let problem = health(None).await.unwrap();
    assert!(problem.contains("not UTF-8") && problem.contains("hold is in effect"), "{problem}");
    let ready = Browser::new(management_router(world.state.clone())).get("/readyz").await;
    assert!(ready.body.contains("kill_switch_file_error") && ready.body.contains("not UTF-8"), "{}", ready.body);
    assert_eq!(health(Some(Vec::new())).await, None, "a limited key sees its billers only");
    std::fs::write(&file, "\u{feff}all-legacy\r\n").unwrap();
    assert_eq!(submit_username(&mut browser, "one-moved").await.0, 303, "as Windows editors write it");
    assert_eq!(world.state.routing.kill_switch.file_problem(), None);
    assert_eq!(health(None).await, None);
    std::fs::write(&file, "off\n").unwrap();
    world.state.directory.set_kill_switch(&KillSwitchState::Hold, &world.actor()).await.unwrap();
    assert_eq!(submit_username(&mut browser, "one-moved").await.0, 200, "the file counts first");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(submit_username(&mut browser, "one-moved").await.1, "Signing in is paused");
    world.state.db.close().await;
    assert_eq!(submit_username(&mut browser, "one-moved").await.1, "Signing in is paused", "the last known order");
    std::fs::write(&file, "all-legacy\n").unwrap();
    assert_eq!(submit_username(&mut browser, "one-moved").await.0, 303);
    std::fs::write(&file, "hold\n").unwrap();
    assert_eq!(submit_username(&mut browser, "one-moved").await.1, "Signing in is paused");
}

#[tokio::test]
async fn api_sets_the_kill_switch_with_permission() {
    let world = World::start().await;
    let key = async |scopes: &[Scope], billers: Option<&str>| {
        let billers = billers.map(|name| vec![slug(name)]);
        let new = NewApiKey { name: "k".into(), scopes: scopes.to_vec(), audience: None, billers, expires_at: None };
        world.state.api_keys.create(&new, &world.actor()).await.unwrap()
    };
    let (all, reader, narrow) = (
        key(&[Scope::BillersRead, Scope::BillersWrite], None).await,
        key(&[Scope::BillersRead], None).await,
        key(&[Scope::BillersWrite], Some("maple-electric")).await,
    );
    let put = async |key: &str, order: &str| {
        let request = Request::put("/api/v1/kill-switch")
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        let body = axum::body::Body::from(json!({ "kill_switch": order }).to_string());
        let answer = world.browser().send_with(request, body).await;
        (answer.status.as_u16(), serde_json::from_str::<Value>(&answer.body).unwrap())
    };
    assert_eq!(
        put(&all, "all-legacy").await,
        (200, json!({ "kill_switch": "all-legacy", "effective": "all-legacy", "file_problem": null }))
    );
    let mut browser = world.browser();
    assert_eq!(submit_username(&mut browser, "one-moved").await.0, 303);
    let request = Request::get("/api/v1/kill-switch").header("authorization", format!("Bearer {reader}"));
    let read = world.browser().send(request).await;
    assert_eq!((read.status, read.body.contains("all-legacy")), (StatusCode::OK, true));
    for (key, order, status) in [
        (&reader, "off", 403),
        (&narrow, "off", 403),
        (&narrow, "riverside-water=legacy", 422),
        (&all, "nobody-here=legacy", 422),
        (&all, "sideways", 422),
    ] {
        assert_eq!(put(key, order).await.0, status, "{order}");
    }
    assert_eq!(put(&narrow, "maple-electric=legacy").await.0, 200);
    assert_eq!(put(&all, "off").await.0, 200);
    assert_eq!(submit_username(&mut browser, "one-moved").await.0, 200);
}

struct Installation {
    folder: tempfile::TempDir,
}

impl Installation {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
        std::fs::write(folder.path().join("signpost.key"), format!("{key}\n")).unwrap();
        let settings = format!(
            "[server]\npublic_url = \"http://localhost:8080\"\n[database]\nurl = \"sqlite:{0}/s.db\"\n[secrets]\nkeys = [{{ file = \"{0}/signpost.key\" }}]\n\
             [legacy]\nlogin_url = \"https://classic.example/login\"\n[portal]\nhandoff_url = \"https://portal.example/\"\n\
             [routing]\nkill_switch_file = \"{0}/kill\"\n[oidc]\nallow_loopback_issuers = true\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("signpost.toml"), settings).unwrap();
        let billers = "[[billers]]\nslug = \"river\"\nname = \"River\"\nstate = \"active\"\n[billers.oidc]\nissuer = \"http://127.0.0.1:1\"\nclient_id = \"c\"\nclient_secret = \"s\"\n";
        std::fs::write(folder.path().join("billers.toml"), billers).unwrap();
        std::fs::write(folder.path().join("users.csv"), "username,email\nann,ann@mail.example\nbob,\n").unwrap();
        let installation = Self { folder };
        installation.run_ok(&["migrate"]);
        installation.run_ok(&["import", "billers", &installation.path("billers.toml")]);
        installation.run_ok(&[
            "import",
            "users",
            &installation.path("users.csv"),
            "--biller",
            "river",
            "--legacy-accounts",
            "true",
        ]);
        installation
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let config = self.path("signpost.toml");
        Command::new(env!("CARGO_BIN_EXE_signpost")).args(arguments).args(["--config", &config]).output().unwrap()
    }

    fn run_ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Row and rules that hit, for a username at the shared address.
    fn simulate(&self, name: &str) -> (i64, Vec<String>) {
        let text = self.run_ok(&["simulate", "--username", name, "--format", "json"]);
        let verdict: Value = serde_json::from_str(&text).unwrap();
        let hits = verdict["trace"].as_array().unwrap().iter().filter(|step| step["outcome"] == "hit");
        (verdict["row"].as_i64().unwrap(), hits.map(|step| step["rule"].as_str().unwrap().to_owned()).collect())
    }
}

#[test]
fn cli_controls_appear_in_the_next_decision_trace() {
    let here = Installation::new();
    assert_eq!(here.simulate("ann").0, 2);
    assert!(here.run_ok(&["kill-switch", "all-legacy"]).contains("effective on this machine: all-legacy"));
    assert_eq!(here.simulate("ann"), (0, vec!["kill_switch".to_owned()]));
    assert!(here.run_ok(&["kill-switch", "off", "--file"]).contains("kill-switch remove --file"));
    assert!(here.run_ok(&["kill-switch"]).contains("effective on this machine: off"));
    here.run_ok(&["kill-switch", "remove", "--file"]);
    assert!(here.run_ok(&["kill-switch"]).contains("effective on this machine: all-legacy"));
    let unchecked = here.run(&["kill-switch", "hold", "--file", "--as", "/no/such/key"]);
    assert!(!unchecked.status.success() && !Path::new(&here.path("kill")).exists(), "the key is checked first");
    here.run_ok(&["kill-switch", "hold", "--file"]);
    assert!(here.run_ok(&["kill-switch"]).contains("all instances: all-legacy\neffective on this machine: hold"));
    std::fs::remove_file(here.path("kill")).unwrap();
    here.run_ok(&["kill-switch", "off"]);
    here.run_ok(&["pause", "river"]);
    assert_eq!(here.simulate("ann"), (0, vec!["biller_hold".to_owned()]));
    here.run_ok(&["unpause", "river"]);
    assert_eq!(here.simulate("ann").0, 2);
    here.run_ok(&["rollout", "river", "--allow", "ANN"]);
    assert_eq!((here.simulate("ann").0, here.simulate("bob").0), (2, 3));
    assert!(here.simulate("bob").1.contains(&"rollout".to_owned()));
    here.run_ok(&["rollout", "river", "--percent", "100"]);
    assert_eq!(here.simulate("bob").0, 2);
    assert!(
        here.run_ok(&["rollout", "river", "--all-users", "--from", "2100-01-01T00:00:00Z"])
            .contains("for all users, from 2100")
    );
    assert_eq!(here.simulate("ann").0, 3);
    here.run_ok(&["rollout", "river", "--from", "now"]);
    assert_eq!(here.simulate("ann").0, 2);
    let announce =
        ["maintenance", "river", "--from", "2020-01-01T00:00:00+02:00", "--until", "2100-01-01T00:00:00+02:00"];
    assert_eq!(here.run_ok(&announce), "river: maintenance from 2019-12-31T22:00:00Z until 2099-12-31T22:00:00Z\n");
    let (row, hits) = here.simulate("ann");
    assert_eq!((row, hits.last().map(String::as_str)), (8, Some("planned_maintenance")));
    assert_eq!(here.run_ok(&["maintenance", "river", "--cancel"]), "river: no maintenance window\n");
    assert_eq!(here.simulate("ann").0, 2);
    for wrong in [
        &["pause", "nobody-here"][..],
        &["maintenance", "nobody-here"],
        &["maintenance", "river", "--from", "2100-01-01T00:00:00Z"],
        &["maintenance", "river", "--from", "2100-01-02T00:00:00Z", "--until", "2100-01-01T00:00:00Z"],
        &["maintenance", "river", "--from", "2020-01-02T00:00:00Z", "--until", "2020-01-03T00:00:00Z"],
        &["maintenance", "river", "--from", "tomorrow", "--until", "later"],
        &["kill-switch", "nobody-here=legacy"],
        &["kill-switch", "sideways"],
        &["rollout", "river", "--percent", "101"],
        &["rollout", "river", "--allow", "a\u{7}"],
        &["end-sessions", "river", "--username", "nobody"],
    ] {
        assert!(!here.run(wrong).status.success(), "{wrong:?}");
    }
    assert_eq!(here.run_ok(&["end-sessions", "river"]), "0 session(s) ended\n");
}

#[test]
fn key_ring_rotation_updates_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let here = Installation::new();
    let file = here.path("signpost.key");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let keys = || -> Vec<String> {
        let text = std::fs::read_to_string(Path::new(&file)).unwrap();
        text.lines().map(|line| line.split('#').next().unwrap().trim().to_owned()).collect()
    };
    let first = keys();
    here.run_ok(&["secrets", "rotate"]);
    let second = keys();
    assert_eq!((second.len(), &second[1]), (2, &first[0]));
    here.run_ok(&["secrets", "prepare"]);
    let third = keys();
    assert_eq!((third.len(), &third[0], &third[2]), (3, &second[0], &first[0]));
    assert!(!here.run(&["secrets", "prepare"]).status.success(), "one at a time");
    here.run_ok(&["secrets", "rotate"]);
    assert_eq!(keys(), [third[1].clone(), third[0].clone(), third[2].clone()]);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    here.run_ok(&["kill-switch"]);
}
