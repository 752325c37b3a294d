//! The binary as a process.

use std::process::{Command, Output};

use serde_json::Value;

fn signpost(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_signpost")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn simulate(arguments: &[&str]) -> Value {
    let mut all = vec!["simulate", "--demo", "--format", "json"];
    all.extend(arguments);
    let output = signpost(&all);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    let lines = text(&output.stdout);
    assert_eq!(lines.lines().count(), 1, "one object on one line");
    serde_json::from_str(&lines).unwrap()
}

#[test]
fn simulate_matches_the_demo_table() {
    for (arguments, decision, row, biller) in [
        (&["--username", "one-moved"][..], "bookmark_notice", 2, Some("riverside-water")),
        (&["--username", "one-legacy"], "legacy_login", 3, Some("oakdale-city")),
        (&["--username", "moved-and-legacy"], "legacy_login", 4, Some("oakdale-city")),
        (&["--username", "two-moved"], "recovery", 5, None),
        (&["--username", "two-legacy"], "legacy_login", 6, None),
        (&["--username", "issuer-down"], "outage_page", 8, Some("cedar-county")),
        (&["--username", "switched-off"], "legacy_login", 3, Some("summit-telecom")),
        (&["--username", "shared-name"], "recovery", 5, None),
        (&["--username", "nobody"], "legacy_login", 1, None),
        (&["--entry", "http://localhost:8080/b/riverside-water"], "secureauth_login", 7, Some("riverside-water")),
        (&["--entry", "http://oakdale-city.localhost:8080/"], "legacy_login", 7, Some("oakdale-city")),
        (&["--entry", "/customer/login.aspx?biller=riverside-water"], "bookmark_notice", 7, Some("riverside-water")),
        (&["--username", "issuer-down", "--issuer", "cedar-county=up"], "bookmark_notice", 2, Some("cedar-county")),
        (&["--username", "one-moved", "--issuer", "riverside-water=down"], "outage_page", 8, Some("riverside-water")),
        (&["--username", "two-moved", "--biller", "maple-electric=legacy"], "legacy_login", 4, Some("maple-electric")),
        (&["--username", "one-moved", "--directory", "down"], "legacy_login", 9, None),
        (&["--username", "one-moved", "--kill", "all-legacy"], "legacy_login", 0, None),
        (&["--username", "one-moved", "--kill", "hold"], "hold_page", 0, None),
        (&["--username", "one-moved", "--kill", "riverside-water=legacy"], "legacy_login", 0, Some("riverside-water")),
    ] {
        let verdict = simulate(arguments);
        assert_eq!(verdict["decision"], decision, "{arguments:?}");
        assert_eq!(verdict["row"], row, "{arguments:?}");
        assert_eq!(verdict["biller"].as_str(), biller, "{arguments:?}");
        let keys: Vec<&String> = verdict.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["biller", "decision", "row", "rule", "trace"]);
        for step in verdict["trace"].as_array().unwrap() {
            assert!(["hit", "miss", "not_evaluated"].contains(&step["outcome"].as_str().unwrap()));
            assert!(step["rule"].is_string() && step["because"].is_string());
        }
    }
    let remembered = simulate(&["--username", "two-moved", "--remembered", "maple-electric"]);
    let step =
        remembered["trace"].as_array().unwrap().iter().find(|step| step["rule"] == "remembered_billers").unwrap();
    assert_eq!(step["outcome"], "hit");
}

#[test]
fn invalid_simulations_explain_the_error() {
    for (arguments, message) in [
        (&["simulate", "--demo"][..], "--username is required"),
        (
            &["simulate", "--demo", "--username", "x", "--entry", "http://evil.example/"],
            "not an address that Signpost serves",
        ),
        (&["simulate", "--demo", "--username", "x", "--biller", "nobody=active"], "there is no biller nobody"),
        (
            &["simulate", "--demo", "--username", "x", "--biller", "oakdale-city=sleeping"],
            "expected legacy, enabling, active or suspended",
        ),
        (&["simulate", "--demo", "--username", "x", "--at", "tomorrow"], "expected a time"),
        (&["check", "--config", "/no/such/file.toml"], "cannot be read"),
        (&["decision", "nonsense", "--config", "/no/such/file.toml"], "not a reference code"),
    ] {
        let output = signpost(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(text(&output.stderr).contains(message), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_new_installation_is_set_up_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("signpost.toml"), format!(
        "[secrets]\nkeys = [\"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\"]\n[database]\nurl = \"sqlite:{}\"\n\
         [legacy]\nlogin_url = \"https://classic.example/login\"\n[portal]\nhandoff_url = \"https://portal.example/\"\n", path("s.db"))).unwrap();
    std::fs::write(path("billers.json"), r#"[{"slug":"oakdale-city","name":"Oakdale"}]"#).unwrap();
    std::fs::write(
        path("users.csv"),
        "username,email,first_name,last_name,status\nann,ann@mail.example,Ann,A,active\n",
    )
    .unwrap();
    std::fs::write(path("bad.csv"), "username,email\nann,nonsense\n").unwrap();
    let run = |arguments: &[&str]| {
        let mut all = arguments.to_vec();
        let config = path("signpost.toml");
        all.extend(["--config", &config]);
        let output = signpost(&all);
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let unmigrated = run(&["simulate", "--username", "ann"]);
    assert!(
        !unmigrated.0 && !std::path::Path::new(&path("s.db")).exists(),
        "a simulation creates no database: {}",
        unmigrated.2
    );
    assert!(run(&["migrate"]).1.contains("up to date"));
    assert!(run(&["import", "billers", &path("billers.json"), "--dry-run"]).1.contains("1 biller(s) would be created"));
    assert!(run(&["import", "billers", &path("billers.json")]).1.contains("1 biller(s) were created"));
    assert!(
        run(&["import", "users", &path("users.csv"), "--biller", "oakdale-city", "--dry-run"])
            .1
            .contains("1 row(s) checked")
    );
    assert!(run(&["import", "users", &path("users.csv"), "--biller", "oakdale-city"]).1.contains("1 user(s) created"));
    let bad = run(&["import", "users", &path("bad.csv"), "--biller", "oakdale-city"]);
    assert!(!bad.0 && bad.2.contains("line 2: email"), "{}", bad.2);
    assert!(run(&["simulate", "--username", "ANN"]).1.contains("the legacy login (Oakdale)"));
    let check = run(&["check"]);
    assert!(check.0 && check.1.contains("ok    database"), "{check:?}");
    let created = run(&["keys", "create", "--name", "legacy", "--scope", "handoff:redeem", "--audience", "legacy"]);
    let key = created.1.trim();
    assert!(created.0 && key.starts_with("sp_"), "{created:?}");
    let id = key.split('_').nth(1).unwrap();
    let listed = run(&["keys", "list"]).1;
    assert!(listed.contains(id) && listed.contains("[handoff:redeem]") && !listed.contains(key));
    assert!(run(&["keys", "revoke", id]).1.contains("revoked"));
    assert!(run(&["keys", "list"]).1.contains("revoked"));
}

#[test]
fn unknown_overrides_are_rejected_and_the_last_one_wins() {
    let rejected = signpost(&["simulate", "--demo", "--username", "one-moved", "--kill", "nope=legacy"]);
    assert!(!rejected.status.success());
    assert!(text(&rejected.stderr).contains("there is no biller nope"), "{}", text(&rejected.stderr));
    let both = ["--username", "one-moved", "--issuer", "riverside-water=down", "--issuer", "riverside-water=up"];
    assert_eq!(simulate(&both)["decision"], "bookmark_notice");
    assert_eq!(simulate(&["--entry", "riverside-water.localhost:8080"])["row"], 7, "a host alone");
}

#[test]
fn a_broken_pipe_exits_quietly() {
    let program = env!("CARGO_BIN_EXE_signpost");
    let command = format!("{program} simulate --demo --username one-moved | true; exit ${{PIPESTATUS[0]}}");
    let output = Command::new("bash").args(["-c", &command]).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn config_show_names_the_source_and_masks_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signpost.toml");
    let settings = "[server]\npublic_url = \"https://login.example.com\"\n[secrets]\nkeys = [\"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\"]\n\
        [legacy]\nlogin_url = \"https://classic.example.com/login\"\n[portal]\nhandoff_url = \"https://portal.example.com/handoff\"\n";
    std::fs::write(&file, settings).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_signpost"))
            .args(["config", "show", "--config", file.to_str().unwrap()])
            .args(arguments)
            .env(
                "SIGNPOST__DATABASE__URL",
                "postgres://gateway:s3cr3t@db.example.com/signpost?sslmode=require&sslpassword=s3cr3t",
            )
            .env("SIGNPOST__SESSIONS__IDLE_MINUTES", "20m")
            .env("SIGNPOST__SERVER__LISTEN", "unix:/run/signpost/http.sock")
            .env("SIGNPOST__SERVER__UNIX_SOCKET_MODE", "666")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let shown: Value = serde_json::from_str(&run(&["--format", "json"])).unwrap();
    let setting =
        |key: &str| shown["settings"].as_array().unwrap().iter().find(|one| one["key"] == key).unwrap().clone();
    assert_eq!(setting("server.drain_seconds")["source"], "default");
    assert_eq!(setting("server.public_url")["source"], "file");
    assert_eq!(setting("sessions.idle_minutes")["value"], 20);
    assert_eq!(setting("sessions.idle_minutes")["variable"], "SIGNPOST__SESSIONS__IDLE_MINUTES");
    assert_eq!(
        setting("database.url")["value"],
        "postgres://gateway:***@db.example.com/signpost?sslmode=require&sslpassword=***"
    );
    assert_eq!(setting("secrets.keys")["value"], serde_json::json!(["***"]));
    let changed = run(&["--changed"]);
    assert!(!changed.contains("s3cr3t") && !changed.contains("q83v"), "{changed}");
    assert!(changed.contains("[SIGNPOST__DATABASE__URL]") && !changed.contains("[default]"), "{changed}");
    assert_eq!(run(&["server.proxy_protocol"]), "server.proxy_protocol  false  [default]\n");
    let socket = "server.listen  \"unix:/run/signpost/http.sock\"  [SIGNPOST__SERVER__LISTEN]\n";
    assert_eq!(run(&["server.listen"]), socket);
    let mode = "server.unix_socket_mode  \"0666\"  [SIGNPOST__SERVER__UNIX_SOCKET_MODE]\n";
    assert_eq!(run(&["server.unix_socket_mode"]), mode);
}
