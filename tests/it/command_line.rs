//! Every command: help with an example, `--format json` that is JSON, exit codes, and questions before acts with a wide effect.

use std::process::{Command, Output, Stdio};

use secureauth_standin::{Fault, FaultRule};
use serde_json::{Value, json};
use signpost::access::Scope;

use crate::billers_api::ApiClient;
use crate::harness::World;

/// Commands that print no result: logs, a script, files, or the vendor's JSON.
const WITHOUT_RESULT: [&str; 6] = ["serve", "generate", "completions", "man", "export", "users export-data"];

fn signpost(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_signpost")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn help(path: &[String]) -> String {
    let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    String::from_utf8(signpost(&arguments).stdout).unwrap()
}

/// The commands that do something, as the help lists them.
fn commands(path: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let text = help(path);
    let listed = text.split("\nCommands:\n").nth(1).map(|rest| rest.split("\n\n").next().unwrap());
    let names =
        listed.into_iter().flat_map(str::lines).filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> =
        names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    for name in &names {
        let mut path = path.to_vec();
        path.push((*name).to_owned());
        commands(&path, found);
    }
    if names.is_empty() || path == ["jobs"] {
        found.push((path.to_vec(), text));
    }
}

fn all_commands() -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    commands(&[], &mut found);
    assert!(found.len() > 45, "{} commands", found.len());
    found
}

#[test]
fn every_command_has_an_example_and_a_json_format() {
    for (path, help) in all_commands() {
        let name = path.join(" ");
        assert!(
            help.contains(&format!("signpost {name}")) && help.contains("Example"),
            "{name} has no example:\n{help}"
        );
        let has_format = help.contains("--format <FORMAT>");
        assert_eq!(has_format, !WITHOUT_RESULT.contains(&name.as_str()), "{name}:\n{help}");
    }
}

/// One run of a command, and a field of its answer.
type Run<'r> = (&'r [&'r str], &'r str);

fn json_of(world: &World, arguments: &[&str]) -> (Vec<String>, Value) {
    let settings = world.settings_file().display().to_string();
    let output = signpost(&[&["--config", &settings], arguments, &["--format", "json"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let value = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{arguments:?}: {why}: {text:?}\n{error}"));
    let words = arguments.iter().take_while(|word| !word.starts_with('-'));
    (words.map(|word| (*word).to_owned()).collect(), value)
}

fn check(world: &World, runs: &[Run<'_>], seen: &mut Vec<Vec<String>>) {
    for (arguments, pointer) in runs {
        let (words, value) = json_of(world, arguments);
        assert!(value.pointer(pointer).is_some(), "{arguments:?} has no {pointer}: {value}");
        seen.push(words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_json_answer_parses_and_has_the_names_of_the_api() {
    let world = World::with_system_clock().await;
    let mut seen = Vec::new();
    let path = |name: &str| world.folder.path().join(name).display().to_string();
    std::fs::write(path("billers.json"), r#"[{"slug":"new-town","name":"New Town"}]"#).unwrap();
    std::fs::write(path("users.csv"), "username,email\nann,ann@mail.example\n").unwrap();
    let (ring, copy, billers, users) = (path("ring.key"), path("copy.db"), path("billers.json"), path("users.csv"));
    let code = world.browser().post("/login", &[("username", "one-moved")]).await.reference();
    world.state.decisions.flush().await;
    check(
        &world,
        &[
            (&["migrate"], "/schema_version"),
            (&["doctor"], "/checks/0/advice"),
            (&["doctor", "--biller", "riverside-water"], "/checks/0/status"),
            (&["import", "billers", &billers], "/created"),
            (&["import", "users", &users, "--biller", "new-town"], "/created"),
            (&["backup", &copy], "/bytes"),
            (&["config", "show"], "/settings/0/source"),
            (&["secrets", "create", &ring], "/keys"),
            (&["billers", "list", "--state", "active"], "/billers/0/ciam/login_url"),
            (&["billers", "show", "riverside-water"], "/pending_user_changes"),
            (&["billers", "pending"], "/changes"),
            (&["users", "list", "--biller", "new-town"], "/users/0/teams/teams/0/id"),
            (&["users", "show", "ann"], "/pending"),
            (&["users", "suspend", "ann"], "/status"),
            (&["users", "reactivate", "ann"], "/status"),
            (&["users", "erase", "one-legacy", "--reason", "request 4711", "--yes"], "/rows/users"),
            (&["keys", "create", "--name", "crm", "--scope", "billers:read"], "/key"),
            (&["keys", "list", "--valid"], "/keys/0/scopes"),
            (&["simulate", "--username", "one-moved"], "/row"),
            (&["impact", "enable", "pinehill-gas"], "/changed"),
            (&["impact", "suspend", "riverside-water"], "/changed"),
            (&["impact", "rollout", "riverside-water=10"], "/changed"),
            (&["impact", "billers", &billers], "/changed"),
            (&["kill-switch"], "/effective"),
            (&["kill-switch", "off"], "/kill_switch"),
            (&["pause", "oakdale-city"], "/paused"),
            (&["unpause", "oakdale-city"], "/paused"),
            (&["maintenance", "riverside-water"], "/maintenance"),
            (&["rollout", "riverside-water", "--percent", "50"], "/rollout/percent"),
            (&["end-sessions", "riverside-water"], "/ended"),
            (&["enable", "pinehill-gas", "--watch"], "/reference"),
            (&["jobs"], "/jobs/0/steps/0/object_id"),
            (&["jobs", "list", "--state", "active"], "/jobs/0/reference"),
            (&["billers", "settings", "pinehill-gas"], "/settings/0/in_sync"),
            (&["sync", "pinehill-gas", "--dry-run"], "/pool_users"),
            (&["suspend", "pinehill-gas"], "/ciam/status"),
            (&["impact", "resume", "pinehill-gas"], "/changed"),
            (&["resume", "pinehill-gas"], "/ciam/status"),
            (&["outbox"], "/billers"),
            (&["audit", "--limit", "3"], "/events/0/actor/name"),
        ],
        &mut seen,
    );
    assert_eq!(json_of(&world, &["users", "show", "ann"]).1["status"], "active");
    assert_eq!(json_of(&world, &["outbox", "--biller", "new-town"]).1, json!({ "billers": [] }));
    let keys = json_of(&world, &["keys", "list"]).1;
    let key = keys["keys"][0]["id"].as_str().unwrap().to_owned();
    let jobs = json_of(&world, &["jobs", "--biller", "pinehill-gas"]).1;
    let job = jobs["jobs"][0]["id"].as_str().unwrap().to_owned();
    let crm = ApiClient::for_person(&world, "crm", &[Scope::BillersWrite]).await;
    let mut changes = Vec::new();
    for portal in ["https://portal.example/1", "https://portal.example/2"] {
        crm.send("PATCH", "/api/v1/billers/maple-electric", &json!({ "portal_url": portal })).await;
        let pending = json_of(&world, &["billers", "pending", "--biller", "maple-electric"]).1;
        changes.push(pending["changes"][0]["id"].as_str().unwrap().to_owned());
        let act = ["reject", "approve"][changes.len() - 1];
        check(&world, &[(&["billers", act, &changes[changes.len() - 1]], "/result")], &mut seen);
    }
    check(
        &world,
        &[
            (&["keys", "revoke", &key], "/revoked_at"),
            (&["jobs", "show", &job], "/steps"),
            (&["decision", &code], "/details/verdict/row"),
        ],
        &mut seen,
    );

    // A running gateway (`backups`), a stopped one (`copies`), a failed job and a key file: below. The demo: tests/browser.
    let elsewhere = [
        "demo",
        "reload",
        "health",
        "restore",
        "copy",
        "jobs retry",
        "jobs cancel",
        "billers send-login-url",
        "secrets rotate",
        "secrets prepare",
    ];
    for (path, _) in all_commands() {
        let name = path.join(" ");
        let is_seen = seen.iter().any(|words| words.len() >= path.len() && words[..path.len()] == path[..]);
        let is_exempt = WITHOUT_RESULT.contains(&name.as_str()) || elsewhere.contains(&name.as_str());
        assert!(is_seen != is_exempt, "{name}: its JSON must be checked once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_that_cannot_be_undone_need_a_confirmation() {
    let world = World::with_system_clock().await;
    world.sign_in(&mut world.browser(), "riverside-water", "one-moved").await;
    let end = ["end-sessions", "riverside-water"];
    let (code, out, why) = world.command(&end).await;
    assert_eq!((code, out.as_str()), (4, ""), "{why}");
    assert!(why.contains("Ending all 1 session(s) of riverside-water needs a confirmation: add --yes"), "{why}");
    assert_eq!(json_of(&world, &["end-sessions", "riverside-water", "--yes"]).1, json!({ "ended": 1 }));
    assert_eq!(world.command(&end).await.0, 0, "nothing is open, so nothing is asked");

    let copy = world.folder.path().join("copy.db").display().to_string();
    assert_eq!(world.command(&["backup", &copy]).await.0, 0);
    world.state.decisions.flush().await;
    world.state.db.close().await;
    let (code, _, why) = world.command(&["restore", &copy]).await;
    assert!(code == 4 && why.contains("Nothing was changed"), "{why}");
    assert_eq!(json_of(&world, &["restore", &copy, "--yes"]).1["sessions_ended"], 1, "of the browser");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_jobs_are_retried_and_cancelled() {
    let world = World::start().await;
    world.issuers.faults().add(FaultRule::new("POST", "/clients", Fault::status(422)).times(100));
    let (code, ..) = world.command(&["enable", "pinehill-gas", "--mode", "mfa", "--watch"]).await;
    assert_eq!(code, 1);
    let failed = json_of(&world, &["jobs", "--state", "rolled_back"]).1;
    let id = failed["jobs"][0]["id"].as_str().unwrap();
    let (code, _, why) = world.command(&["jobs", "cancel", id]).await;
    assert!(code == 1 && why.contains("the job has ended: it is rolled_back"), "{why}");
    let again = json_of(&world, &["jobs", "retry", id]).1;
    assert_eq!((&again["biller"], &again["state"]), (&json!("pinehill-gas"), &json!("queued")));
    let id = again["id"].as_str().unwrap();
    assert_eq!(json_of(&world, &["jobs", "show", id]).1["mode"], "mfa", "as the failed job");
    let (code, _, why) = world.command(&["jobs", "retry", id]).await;
    assert!(code == 1 && why.contains("signpost jobs cancel"), "{why}");
    assert_eq!(json_of(&world, &["jobs", "cancel", id]).1["id"], again["id"]);
    let (code, _, why) = world.command(&["jobs", "show", "nonsense"]).await;
    assert!(code == 1 && why.contains("there is no job nonsense"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_found_by_name_and_suspended() {
    let world = World::with_system_clock().await;
    let shown = json_of(&world, &["users", "show", "ONE-MOVED"]).1;
    let id = shown["id"].as_str().unwrap();
    assert_eq!(json_of(&world, &["users", "show", id]).1, shown);
    let mut browser = world.browser();
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    assert!(world.command(&["users", "suspend", "one-moved"]).await.1.contains("  suspended  riverside-water"));
    let suspended = json_of(&world, &["users", "list", "--status", "suspended"]).1;
    assert_eq!((suspended["users"].as_array().unwrap().len(), &suspended["users"][0]["id"]), (1, &shown["id"]));
    assert_eq!(world.command(&["end-sessions", "riverside-water"]).await.1, "0 session(s) ended\n");
    assert_eq!(world.command(&["users", "reactivate", "one-moved"]).await.0, 0);
    let page = json_of(&world, &["users", "list", "--limit", "2"]).1;
    let last = page["users"][1]["id"].as_str().unwrap();
    let next = json_of(&world, &["users", "list", "--limit", "1", "--after", last]).1;
    assert!(next["users"][0]["id"].as_str().unwrap() > last);
    let crm = ApiClient::new(&world, &[Scope::IdentityWrite], None).await;
    let billers = json_of(&world, &["billers", "list"]).1;
    for (at, biller) in billers["billers"].as_array().unwrap().iter().take(2).enumerate() {
        let twin =
            json!({ "email": format!("twin{at}@mail.example"), "username": "twin", "teams": [{ "id": biller["id"] }] });
        assert_eq!(crm.send("POST", "/identity/v1/users", &twin).await.0, 201);
    }
    for (arguments, says) in [
        (&["users", "reactivate", "one-moved"][..], "one-moved is not suspended: the user is active"),
        (&["users", "show", "no-one"], "there is no user no-one"),
        (&["users", "show", "twin"], "2 users have the username twin; name one by its id"),
        (&["users", "list", "--biller", "nowhere"], "there is no biller nowhere"),
    ] {
        let (code, out, why) = world.command(arguments).await;
        assert!((code, out.as_str()) == (1, "") && why.contains(says), "{arguments:?}: {code} {out}{why}");
    }
    let create = ["keys", "create", "--name", "narrow", "--scope", "identity:write", "--biller", "oakdale-city"];
    let key = world.folder.path().join("narrow").display().to_string();
    std::fs::write(&key, world.command(&create).await.1).unwrap();
    let (code, _, why) = world.command(&["users", "suspend", "one-moved", "--as", &key]).await;
    assert!(code == 1 && why.contains("there is no user one-moved"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_usage_settings_and_failures_apart() {
    let world = World::with_system_clock().await;
    for (arguments, code, says) in [
        (&["billers", "show", "nowhere"][..], 1, "`signpost billers list` lists billers"),
        (&["bilers"], 2, "'billers'"),
        (&["billers", "list", "--stat", "active"], 2, "'--state'"),
        (&["jobs", "--state", "done"], 2, "expected one of queued, running"),
        (&["billers", "list", "--config", "/no/such/file.toml"], 3, "cannot be read"),
    ] {
        let (exit, out, why) = world.command(arguments).await;
        assert_eq!((exit, out.as_str()), (code, ""), "{arguments:?}: {why}");
        assert!(why.contains(says), "{arguments:?}: {why}");
    }
}

#[test]
fn key_files_are_created_for_their_owner_and_not_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signpost.key").display().to_string();
    assert!(signpost(&["secrets", "create", &file]).status.success());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let key = std::fs::read_to_string(&file).unwrap();
    let again = signpost(&["secrets", "create", &file]);
    assert!(again.status.code() == Some(1) && String::from_utf8_lossy(&again.stderr).contains("replaces no file"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), key);
    let settings = folder.path().join("signpost.toml").display().to_string();
    let text = format!(
        "[database]\nurl = \"sqlite:{0}/s.db\"\n[secrets]\nkeys = [{{ file = {file:?} }}]\n\
         [legacy]\nlogin_url = \"https://classic.example/login\"\n[portal]\nhandoff_url = \"https://portal.example/\"\n",
        folder.path().display()
    );
    std::fs::write(&settings, text).unwrap();
    for (step, keys) in [("prepare", 2), ("rotate", 2), ("rotate", 3)] {
        let output = signpost(&["secrets", step, "--format", "json", "--config", &settings]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["keys"], keys, "{step}");
    }
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}
