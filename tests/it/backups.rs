//! `signpost backup`, `signpost restore` and `signpost health`.

use std::path::Path;

use http::StatusCode;
use signpost::app::{App, management_router};
use signpost::audit::Action;
use signpost::config::Config;
use signpost::db::Schema;
use signpost::sql;
use signpost_core::{Clock, Random};

use crate::harness::{World, slug};

async fn names_of(world: &World, file: &Path) -> Vec<String> {
    let url = format!("sqlite:{}", file.display());
    let db = signpost::db::Db::open(&url, 1, Schema::RequireCurrent).await.unwrap();
    let rows = db.all(sql!("SELECT username_key FROM membership WHERE username_key LIKE 'late%'"), Vec::new()).await;
    let names = rows.unwrap().iter().map(|row| row.text("username_key").unwrap()).collect();
    db.close().await;
    assert!(world.folder.path().exists());
    names
}

#[tokio::test]
async fn backup_is_taken_while_the_gateway_runs_and_restored_while_it_is_stopped() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::with_system_clock().await;
    let folder = world.folder.path().to_path_buf();
    let backup = folder.join("backup.db");
    let backup = backup.to_str().unwrap();
    let mut browser = world.browser();
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;

    let (code, output, error) = world.command(&["backup", backup]).await;
    assert_eq!(code, 0, "{error}");
    assert!(output.contains("bytes") && output.contains("secrets.keys"), "{output}");
    assert_eq!(std::fs::metadata(backup).unwrap().permissions().mode() & 0o777, 0o600);
    let (code, _, error) = world.command(&["backup", backup]).await;
    assert_eq!((code, error.contains("exists already")), (1, true), "{error}");

    world.import_users("riverside-water", &["latecomer"]).await;
    let (code, _, error) = world.command(&["restore", backup]).await;
    assert_eq!((code, error.contains("is in use, and nothing was changed")), (1, true), "{error}");
    assert_eq!(names_of(&world, &folder.join("test.db")).await, ["latecomer"]);

    world.state.decisions.flush().await;
    world.state.db.close().await;
    let (code, output, error) = world.command(&["restore", backup, "--yes"]).await;
    assert_eq!(code, 0, "{error}");
    assert!(output.contains("All 1 sessions"), "{output}");
    assert_eq!(names_of(&world, &folder.join("test.db")).await, [""; 0]);
    let kept = output.split("is kept: ").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(names_of(&world, Path::new(kept)).await, ["latecomer"], "the earlier database loses nothing");

    let config = Config::from_text(&world.settings, []).unwrap();
    let app = App::build(config, Schema::RequireCurrent, Clock::System, Random::system()).await.unwrap();
    let events = signpost::sql!("SELECT action FROM audit_event WHERE action = 'database.restored'");
    assert_eq!(app.state.db.all(events, Vec::new()).await.unwrap().len(), 1, "{:?}", Action::DatabaseRestored);
    let restored = World { router: signpost::app::router(app.state.clone()), state: app.state, ..world.clone() };
    let mut returning = restored.browser();
    returning.cookies = browser.cookies;
    let page = returning.get("/login").await;
    assert_eq!(page.status, StatusCode::OK, "the session that the backup holds has ended");
    restored.sign_in(&mut restored.browser(), "riverside-water", "one-moved").await;
    assert!(restored.state.directory.biller_by_slug(&slug("riverside-water")).await.unwrap().is_some());
}

#[tokio::test]
async fn damaged_backups_change_nothing() {
    let world = World::with_system_clock().await;
    let folder = world.folder.path().to_path_buf();
    let backup = folder.join("backup.db");
    world.command(&["backup", backup.to_str().unwrap()]).await;
    world.state.decisions.flush().await;
    world.state.db.close().await;
    let whole = std::fs::read(&backup).unwrap();
    let before = std::fs::read(folder.join("test.db")).unwrap();
    let mut overwritten = whole.clone();
    overwritten[8192..16384].fill(0xa5);
    let damaged =
        [("truncated", whole[..whole.len() / 2].to_vec()), ("overwritten", overwritten), ("text", b"hello".to_vec())];
    for (what, bytes) in damaged {
        let file = folder.join(what);
        std::fs::write(&file, bytes).unwrap();
        let (code, _, error) = world.command(&["restore", file.to_str().unwrap()]).await;
        assert_eq!((code, error.contains("is damaged, and nothing was changed")), (1, true), "{what}: {error}");
    }
    let other = folder.join("other.db");
    drop(sqlx::SqlitePool::connect(&format!("sqlite:{}?mode=rwc", other.display())).await.unwrap());
    let (code, _, error) = world.command(&["restore", other.to_str().unwrap()]).await;
    assert_eq!((code, error.contains("damaged")), (1, true), "an empty database: {error}");
    let missing = folder.join("missing.db");
    let (code, _, error) = world.command(&["restore", missing.to_str().unwrap()]).await;
    assert_eq!((code, error.contains("missing.db")), (1, true), "{error}");
    let itself = folder.join("test.db");
    let (code, _, error) = world.command(&["restore", itself.to_str().unwrap()]).await;
    assert_eq!((code, error.contains("is the database itself")), (1, true), "{error}");
    assert!(std::fs::read(folder.join("test.db")).unwrap() == before);
}

#[tokio::test]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn postgresql_is_backed_up_by_its_own_tools() {
    let world = World::on_postgres("").await.unwrap();
    let file = world.folder.path().join("backup.db");
    for command in ["backup", "restore"] {
        let (code, _, error) = world.command(&[command, file.to_str().unwrap()]).await;
        assert_eq!((code, error.contains("pg_dump")), (1, true), "{error}");
    }
}

#[tokio::test]
async fn health_asks_the_management_listener() {
    let world = World::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = world.settings_file();
    let health = |format: &'static str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_signpost"));
        command.arg("--config").arg(&settings).args(["health", "--format", format]);
        command.env("SIGNPOST__SERVER__MANAGEMENT_LISTEN", address.to_string());
        async move { tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap() }
    };
    let router = management_router(world.state.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let output = health("json").await;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success() && answer["status"] == "ready", "{answer}");
    let text = String::from_utf8_lossy(&health("text").await.stdout).into_owned();
    assert!(text.contains("status: ready\n"), "{text}");
    world.state.stopping.cancel();
    let output = health("text").await;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("not ready: HTTP/1.1 503"));
    serving.abort();
    assert!(serving.await.is_err());
    let output = health("text").await;
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains(&address.to_string()) && error.contains("server.management_listen"), "{error}");
}
