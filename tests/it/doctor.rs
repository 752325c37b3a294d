//! `signpost doctor`: every finding has its command, and the exit code tells whether a check failed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::World;

fn doctor_on(settings: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signpost"));
    command.arg("doctor").arg("--config").arg(settings).args(arguments).stdin(Stdio::null());
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// The findings under these overrides, and the exit code.
fn doctor(settings: &Path, environment: &[(&str, &str)]) -> (i32, Value) {
    let (code, out, why) = doctor_on(settings, environment, &["--format", "json"]);
    (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{why}")))
}

/// Asserts that one finding has this status, name, and parts of advice and command.
fn assert_finding(report: &Value, status: &str, name: &str, advice: &str, command: &str) {
    let found = report["checks"].as_array().unwrap().iter().find(|check| {
        let text = |key: &str| check[key].as_str().unwrap_or_default();
        text("status") == status
            && text("name") == name
            && text("advice").contains(advice)
            && text("command").contains(command)
    });
    assert!(found.is_some(), "no {status} of {name} with {advice:?} and {command:?}: {report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_installation_passes_except_for_the_issuer_that_is_down() {
    let world = World::with_system_clock().await;
    let settings = world.settings_file();
    let (code, report) = doctor(&settings, &[]);
    assert_eq!((code, &report["status"]), (1, &"fail".into()), "cedar-county");
    for (name, advice) in [
        ("settings", "is valid"),
        ("database", "schema up to date"),
        ("clock", ""),
        ("dns", "server.public_url: localhost resolves"),
        ("mail", "the server responds"),
        ("issuer", "customers can sign in"),
    ] {
        assert_finding(&report, "pass", name, advice, "");
    }
    assert_finding(&report, "fail", "issuer", "cannot be used", "signpost doctor --biller cedar-county");
    let failed = report["checks"].as_array().unwrap().iter().filter(|check| check["status"] == "fail");
    assert!(failed.clone().count() >= 1 && failed.clone().all(|check| check["biller"] == "cedar-county"), "{report:#}");
    let with_command = |check: &&Value| check["status"] != "pass" && check["command"].as_str().is_none();
    assert_eq!(report["checks"].as_array().unwrap().iter().find(with_command), None, "a command for each finding");
    let (_, text, why) = doctor_on(&settings, &[], &[]);
    assert!(
        text.contains("fail  cedar-county: issuer: ")
            && text.contains("\n      repair: signpost doctor --biller cedar-county"),
        "{text}"
    );
    assert!(why.contains("check(s) failed\n  cedar-county: issuer: "), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn the_clock_of_postgresql_is_compared() {
    let world = World::on_postgres("").await.unwrap();
    let (_, report) = doctor(&world.settings_file(), &[]);
    assert_finding(&report, "pass", "clock", "The database server has the same time.", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_finding_has_its_command() {
    let world = World::with_system_clock().await;
    let settings = world.settings_file();
    let kill_switch = world.folder.path().join("kill-switch");
    std::fs::write(&kill_switch, "nonsense").unwrap();
    let kill_switch = kill_switch.display().to_string();
    let edit = format!("$EDITOR {}", settings.display());
    let mapped = world.folder.path().join("mapped.toml");
    let mapping = "\n[[legacy_paths]]\npath = \"/gone.aspx\"\nbiller = \"nowhere\"\n";
    std::fs::write(&mapped, std::fs::read_to_string(&settings).unwrap() + mapping).unwrap();

    for (settings, variable, value, finding) in [
        (
            &mapped,
            "SIGNPOST__LOG__FILTER",
            "info",
            ("fail", "legacy_paths", "no biller nowhere", "signpost import billers FILE"),
        ),
        (
            &settings,
            "SIGNPOST__ROUTING__KILL_SWITCH",
            "nowhere=legacy",
            ("fail", "routing.kill_switch", "no biller nowhere", &edit),
        ),
        (
            &settings,
            "SIGNPOST__ROUTING__KILL_SWITCH_FILE",
            &kill_switch,
            ("fail", "routing.kill_switch_file", "expected off", "signpost kill-switch remove --file"),
        ),
        (&settings, "SIGNPOST__MAIL__PORT", "1", ("fail", "mail", "does not respond", "signpost config show mail")),
        (
            &settings,
            "SIGNPOST__LEGACY__RESET_URL",
            "https://reset.invalid/",
            ("warning", "dns", "legacy.reset_url: reset.invalid does not resolve", &edit),
        ),
        (
            &settings,
            "SIGNPOST__PORTAL__HANDOFF_URL",
            "https://127.0.0.1:1/",
            (
                "fail",
                "tls",
                "portal.handoff_url: 127.0.0.1 cannot be reached over TLS",
                "openssl s_client -connect 127.0.0.1:1",
            ),
        ),
        (
            &settings,
            "SIGNPOST__SERVER__PUBLIC_URL",
            "http://elsewhere.localhost:9",
            (
                "fail",
                "redirect_uri",
                "The issuer rejects http://elsewhere.localhost:9/callback/",
                "signpost doctor --biller ",
            ),
        ),
        (&settings, "SIGNPOST__LOG__FILTER", "info", ("warning", "settings", "allow_loopback_issuers", &edit)),
    ] {
        let (code, report) = doctor(settings, &[(variable, value)]);
        let (status, name, advice, command) = finding;
        assert_finding(&report, status, name, advice, command);
        assert_eq!(code, 1);
    }
}

#[test]
fn a_broken_installation_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (settings, key) = (path("signpost.toml"), path("signpost.key"));
    let text = format!(
        "[database]\nurl = \"sqlite:{}\"\n[secrets]\nkeys = [{{ file = {key:?} }}]\n[legacy]\nlogin_url = \"https://classic.invalid/login\"\n\
         [portal]\nhandoff_url = \"https://portal.invalid/\"\n",
        path("s.db").display()
    );
    let (code, report) = doctor(&settings, &[]);
    assert_eq!(code, 3);
    assert_finding(&report, "fail", "settings", "cannot be read", "$EDITOR ");
    std::fs::write(&settings, text).unwrap();
    let (code, report) = doctor(&settings, &[("SIGNPOST__SERVER__LISTN", "x")]);
    assert_eq!(code, 3);
    assert_finding(&report, "fail", "settings", "did you mean listen?", "$EDITOR ");
    let create = format!("signpost secrets create {}", key.display());
    assert_finding(&report, "fail", "settings", "cannot be read", &create);
    let signpost = |arguments: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_signpost")).args(arguments).arg("--config").arg(&settings).output();
        assert!(run.unwrap().status.success(), "{arguments:?}");
    };
    signpost(&["secrets", "create", key.to_str().unwrap()]);
    let (code, report) = doctor(&settings, &[]);
    assert_eq!(code, 1);
    assert_finding(&report, "fail", "database", "does not exist", "signpost migrate");
    assert_finding(&report, "warning", "settings", "legacy.reset_url is missing", "$EDITOR ");
    assert_finding(&report, "pass", "permissions", "no access", "");
    signpost(&["migrate"]);
    let (code, report) = doctor(&settings, &[]);
    assert_eq!((code, &report["status"]), (0, &"warning".into()), "{report:#}");
    for file in ["signpost.key", "s.db"] {
        std::fs::set_permissions(path(file), std::fs::Permissions::from_mode(0o644)).unwrap();
        let (_, report) = doctor(&settings, &[]);
        let command = format!("chmod 600 {}", path(file).display());
        assert_finding(&report, "warning", "permissions", "has mode 0644", &command);
    }
    let mut serve = Command::new(env!("CARGO_BIN_EXE_signpost"));
    serve.arg("serve").arg("--config").arg(&settings);
    // It warns before it fails to listen on an address of documentation (RFC 5737).
    let output = serve.env("SIGNPOST__SERVER__LISTEN", "192.0.2.1:1").output().unwrap();
    let log = [output.stdout, output.stderr].concat();
    let log = String::from_utf8_lossy(&log);
    for file in ["signpost.key", "s.db"] {
        assert!(log.lines().any(|line| line.contains("others can read this file") && line.contains(file)), "{log}");
    }
    // A process that ends early leaves SQLite's log behind, with the permissions that the database had.
    for file in ["s.db", "s.db-wal", "s.db-shm"] {
        let done = std::fs::set_permissions(path(file), std::fs::Permissions::from_mode(0o600));
        assert!(done.is_ok() || file != "s.db", "{done:?}");
    }
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_finding(&doctor(&settings, &[]).1, "pass", "permissions", "no access", "");
    let away = [("SIGNPOST__DATABASE__URL", "postgres://gateway:s3cr3t@127.0.0.1:1/signpost")];
    let (code, report) = doctor(&settings, &away);
    assert_eq!(code, 1);
    assert_finding(&report, "fail", "database", "cannot be used", "signpost config show database");
    assert!(!report.to_string().contains("s3cr3t"), "{report}");
}
