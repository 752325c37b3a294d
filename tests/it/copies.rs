//! `signpost copy`: from SQLite to PostgreSQL, back, interrupted and refused.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use signpost::app::{App, router};
use signpost::config::Config;
use signpost::db::{Db, DbError, Schema, Sql};
use signpost::sql;
use signpost_core::Random;
use sqlx::{Connection, Executor};

use crate::handoffs::{create_key, redeem_with};
use crate::harness::{World, create_postgres_database, slug, wait_for};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Inside of a table, between two tables, before the first and after the last.
const KILLED_AT: [&str; 9] = [
    "database.claimed",
    "biller.copying",
    "biller.copied",
    "users.copying",
    "users.copied",
    "session.copying",
    "audit_event.copied",
    "users.checked",
    "database.checked",
];

type Rows = Vec<Vec<Option<String>>>;

fn sqlite_url(world: &World, name: &str) -> String {
    format!("sqlite:{}", world.folder.path().join(name).display())
}

/// Some rows in most tables, and texts and numbers of all kinds.
async fn fill(world: &World) {
    let hash = secureauth_standin::hash_password(crate::harness::PASSWORD, &world.state.random);
    let rows: String = (0..250).map(|n| format!("pine{n:04},pine{n}@mail.example,\"{hash}\"\n")).collect();
    world.import_csv("pinehill-gas", &format!("username,email,password_hash\n{rows}")).await.unwrap();
    world.sign_in(&mut world.browser(), "riverside-water", "one-moved").await;
    world.browser().post("/login", &[("username", "one-legacy")]).await;
    let db = &world.state.db;
    for (day, count) in [(1_i64, i64::MIN), (2, i64::MAX), (3, 0), (-4, -1)] {
        let row = signpost::values!["Zoë 'quoted' \"b\" \\ \u{1f511}\n\t\u{2028}", "", day, count];
        db.run(sql!("INSERT INTO daily_stats (biller, metric, day, count) VALUES ($1, $2, $3, $4)"), row)
            .await
            .unwrap();
    }
}

/// What a stopped gateway leaves behind.
async fn stop(world: &World) {
    world.state.decisions.flush().await;
    world.state.db.close().await;
}

/// Every row of every table as texts, without the event of the copy itself. Read without any code of the copy.
async fn content(url: &str) -> BTreeMap<String, Rows> {
    let db = Db::open(url, 2, Schema::RequireCurrent).await.unwrap();
    let statement = |text: String| Sql::new_unchecked(Box::leak(text.into_boxed_str()));
    let columns = match &db {
        Db::Sqlite(_) => {
            "SELECT m.name AS owner, c.name AS name FROM sqlite_master m, pragma_table_info(m.name) c \
             WHERE m.type = 'table' ORDER BY 1, 2"
        }
        Db::Postgres(_) => {
            "SELECT table_name::text AS owner, column_name::text AS name FROM information_schema.columns \
             WHERE table_schema = 'public' ORDER BY table_name COLLATE \"C\", column_name COLLATE \"C\""
        }
    };
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in db.all(Sql::new_unchecked(columns), Vec::new()).await.unwrap() {
        tables.entry(row.text("owner").unwrap()).or_default().push(row.text("name").unwrap());
    }
    tables.remove("_sqlx_migrations").unwrap();
    let mut content = BTreeMap::new();
    for (table, columns) in tables {
        let texts: Vec<String> = columns.iter().map(|name| format!("CAST(\"{name}\" AS TEXT) AS \"{name}\"")).collect();
        let all = db.all(statement(format!("SELECT {} FROM \"{table}\"", texts.join(", "))), Vec::new()).await.unwrap();
        let mut rows: Rows =
            all.iter().map(|row| columns.iter().map(|name| row.opt_text(name).unwrap()).collect()).collect();
        rows.retain(|row| !row.contains(&Some("database.copied".to_owned())));
        rows.sort();
        content.insert(table, rows);
    }
    db.close().await;
    content
}

async fn assert_equal(from: &str, to: &str) {
    let (source, copy) = (content(from).await, content(to).await);
    assert_eq!(source.keys().collect::<Vec<_>>(), copy.keys().collect::<Vec<_>>());
    for (table, rows) in &source {
        assert!(*rows == copy[table], "{table}: {rows:#?}\n{:#?}", copy[table]);
    }
    assert!(source.values().filter(|rows| !rows.is_empty()).count() > 12, "there is something to copy");
}

fn command(world: &World, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signpost"));
    command.arg("--config").arg(world.settings_file()).arg("copy").args(arguments).stdin(Stdio::null());
    command
}

async fn run(world: &World, arguments: &[&str]) -> Output {
    let mut command = command(world, arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Copies, and returns the report.
async fn copy(world: &World, from: &str, to: &str) -> Value {
    let output = run(world, &["--from", from, "--to", to, "--format", "json"]).await;
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"))
}

/// Fails to copy, and returns why.
async fn refused(world: &World, from: &str, to: &str) -> String {
    let output = run(world, &["--from", from, "--to", to]).await;
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]));
    String::from_utf8(output.stderr).unwrap()
}

/// The world after its gateway was started anew on another database.
async fn on_database(world: &World, url: &str) -> World {
    let settings = world.settings.replace(&database_of(world), url);
    let config = Config::from_text(&settings, []).unwrap();
    let app = App::build(config, Schema::RequireCurrent, world.clock.clone(), Random::system()).await.unwrap();
    World { router: router(app.state.clone()), state: app.state, settings, ..world.clone() }
}

fn database_of(world: &World) -> String {
    use secrecy::ExposeSecret;
    world.state.config.database.url.reveal().unwrap().expose_secret().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn customers_stay_signed_in_and_tokens_stay_consumed_on_postgresql_and_back() {
    let mut world = World::with_system_clock().await;
    fill(&world).await;
    let mut browser = world.browser();
    let token = |address: String| address.split("token=").nth(1).unwrap().to_owned();
    let redeemed = token(world.sign_in(&mut browser, "riverside-water", "one-moved").await);
    let key = create_key(&world).await;
    assert!(redeem_with(&world, &key, &redeemed).await.is_some());
    let open = token(browser.get("/go/riverside-water").await.location());

    let first = database_of(&world);
    let second = create_postgres_database().await.unwrap();
    let third = sqlite_url(&world, "third.db");
    let mut open = Some(open);
    for (from, to) in [(&first, &second), (&second, &third)] {
        stop(&world).await;
        let report = copy(&world, from, to).await;
        assert_equal(from, to).await;
        assert_eq!(report["continued"], false);
        assert!(report["secrets"]["opened"].as_u64().unwrap() > 250 && report["secrets"]["unopened"] == json!({}));
        assert!(!report.to_string().contains("postgres@"), "no credentials: {report}");
        world = on_database(&world, to).await;
        browser = {
            let mut next = world.browser();
            next.cookies = browser.cookies;
            next
        };
        let verified = browser.get("/auth/verify?biller=riverside-water").await;
        assert_eq!((verified.status, verified.header("x-signpost-user")), (StatusCode::OK, "one-moved"));
        assert_eq!(redeem_with(&world, &key, &redeemed).await, None, "a consumed token");
        if let Some(open) = open.take() {
            assert!(redeem_with(&world, &key, &open).await.is_some(), "a token that was issued before the copy");
        }
        world.sign_in(&mut world.browser(), "riverside-water", "one-moved").await;
        let events = sql!("SELECT details FROM audit_event WHERE action = 'database.copied' ORDER BY id DESC LIMIT 1");
        let event: Value = world.state.db.one(events, Vec::new()).await.unwrap().unwrap().json("details").unwrap();
        assert_eq!((&event["rows"], &event["from"]), (&report["rows"], &report["from"]));
    }
    let (name, mode) = (world.folder.path().join("third.db"), 0o600);
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(name).unwrap().permissions()) & 0o777, mode);
}

/// Kills a copy at each point, continues it each time, and changes the source in between.
async fn kill_and_continue(world: &World, from: &str, to: &str) {
    for point in KILLED_AT {
        let killed = run(world, &["--from", from, "--to", to, "--failpoint", point]).await;
        assert_eq!(killed.status.signal(), Some(9), "{point}: {}", String::from_utf8_lossy(&killed.stderr));
        match Db::open(to, 2, Schema::Migrate).await {
            Err(DbError::UnfinishedCopy { .. }) => {}
            opened => panic!("{point}: {opened:?}"),
        }
        if point == "audit_event.copied" {
            let gateway = on_database(world, from).await;
            gateway.import_users("riverside-water", &["latecomer"]).await;
            stop(&gateway).await;
        }
    }
    let other = sqlite_url(world, "other.db");
    Db::open(&other, 1, Schema::Migrate).await.unwrap().close().await;
    let error = refused(world, &other, to).await;
    assert!(error.contains("is an unfinished copy of") && error.contains("other.db"), "{error}");
    let report = copy(world, from, to).await;
    assert_eq!(report["continued"], true);
    assert_equal(from, to).await;
    let latecomer = content(to).await["membership"].iter().flatten().flatten().any(|value| value == "latecomer");
    assert!(latecomer, "what was written between two runs");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn killed_copies_to_postgresql_continue() {
    let world = World::with_system_clock().await;
    fill(&world).await;
    stop(&world).await;
    kill_and_continue(&world, &database_of(&world), &create_postgres_database().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn killed_copies_to_sqlite_continue() {
    let world = World::on_postgres("").await.unwrap();
    fill(&world).await;
    stop(&world).await;
    kill_and_continue(&world, &database_of(&world), &sqlite_url(&world, "copy.db")).await;
}

/// The copy waits for a lock on one of its tables.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn nothing_writes_to_the_source_and_a_second_run_takes_over() {
    for world in [World::with_system_clock().await, World::on_postgres("").await.unwrap()] {
        fill(&world).await;
        stop(&world).await;
        let (from, to) = (database_of(&world), create_postgres_database().await.unwrap());
        let started = run(&world, &["--from", &from, "--to", &to, "--failpoint", "database.claimed"]).await;
        assert_eq!(started.status.signal(), Some(9));
        let mut holder = sqlx::PgConnection::connect(&to).await.unwrap();
        holder.execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let spawn =
            || command(&world, &["--from", &from, "--to", &to]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let first = spawn().unwrap();
        let watcher = Arc::new(sqlx::PgPool::connect(&to).await.unwrap());
        let waits = || {
            let watcher = Arc::clone(&watcher);
            async move {
                let waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' \
                               AND application_name = 'signpost copy'";
                (!watcher.fetch_all(waiting).await.unwrap().is_empty()).then_some(())
            }
        };
        wait_for(TIMEOUT, "the copy that waits", waits).await;
        if from.starts_with("sqlite:") {
            let options = from.parse::<sqlx::sqlite::SqliteConnectOptions>().unwrap().busy_timeout(Duration::ZERO);
            let mut writer = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
            let error = writer.execute("DELETE FROM revision").await.unwrap_err().to_string();
            assert!(error.contains("database is locked"), "{error}");
            writer.close().await.unwrap();
        } else {
            let mut writer = sqlx::PgConnection::connect(&from).await.unwrap();
            let error = writer.execute("SET lock_timeout = '1ms'; DELETE FROM revision").await.unwrap_err().to_string();
            assert!(error.contains("lock timeout"), "{error}");
        }
        assert!(refused(&world, &from, &to).await.contains("is in use, and nothing was changed"));
        holder.execute("ROLLBACK").await.unwrap();
        let output = tokio::task::spawn_blocking(move || first.wait_with_output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_equal(&from, &to).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_between_sqlite_files_are_refused_where_data_could_be_lost() {
    let world = World::with_system_clock().await;
    fill(&world).await;
    let (from, to) = (database_of(&world), sqlite_url(&world, "copy.db"));
    assert!(refused(&world, &from, &to).await.contains("is in use, and nothing was changed: stop every Signpost"));
    stop(&world).await;
    let before = std::fs::read(world.folder.path().join("test.db")).unwrap();

    let again = sqlite_url(&world, "./test.db");
    assert!(refused(&world, &from, &again).await.contains("is the source and the target"));
    let missing = sqlite_url(&world, "missing.db");
    assert!(refused(&world, &missing, &to).await.contains("missing.db: the database file does not exist"));
    assert!(refused(&world, "mysql://db/signpost", &to).await.contains("mysql"));

    let keys = world
        .settings
        .replace("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    assert_ne!(keys, world.settings);
    let stranger = World { settings: keys, ..world.clone() };
    let error = refused(&stranger, &from, &to).await;
    assert!(error.contains("secrets.keys opens none of the") && error.contains("nothing was changed"), "{error}");
    assert!(!world.folder.path().join("copy.db").exists(), "nothing was changed");

    let foreign = sqlite_url(&world, "foreign.db");
    let mut other = sqlx::SqliteConnection::connect(&format!("{foreign}?mode=rwc")).await.unwrap();
    other.execute("CREATE TABLE recipes (name TEXT)").await.unwrap();
    other.close().await.unwrap();
    assert!(refused(&world, &from, &foreign).await.contains("has data (table recipes)"));
    assert!(refused(&world, &foreign, &to).await.contains("has no schema of Signpost"));

    let full = World::with_system_clock().await;
    stop(&full).await;
    let error = refused(&world, &from, &database_of(&full)).await;
    assert!(error.contains("has data (table biller), and nothing was changed"), "{error}");
    assert!(Db::open(&database_of(&full), 1, Schema::RequireCurrent).await.is_ok());

    let newer = sqlite_url(&world, "newer.db");
    Db::open(&newer, 1, Schema::Migrate).await.unwrap().close().await;
    let mut other = sqlx::SqliteConnection::connect(&newer).await.unwrap();
    other
        .execute("INSERT INTO _sqlx_migrations SELECT 77, description, installed_on, success, checksum, execution_time FROM _sqlx_migrations")
        .await
        .unwrap();
    other.close().await.unwrap();
    let error = refused(&world, &from, &newer).await;
    assert!(error.contains("test.db has schema 1") && error.contains("newer.db has 77"), "{error}");
    let error = refused(&world, &newer, &to).await;
    assert!(error.contains("newer.db has schema 77") && error.contains("this program has 1"), "{error}");
    assert!(std::fs::read(world.folder.path().join("test.db")).unwrap().len() == before.len());

    // Without `--from` it is the database of the settings.
    let output = run(&world, &["--to", &to]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("tables have equal counts and hashes") && text.contains("copy.db has the"), "{text}");
    assert_equal(&from, &to).await;
    let copied = on_database(&world, &to).await;
    assert!(copied.state.directory.biller_by_slug(&slug("riverside-water")).await.unwrap().is_some());
    assert!(refused(&world, &from, &to).await.contains("is in use"), "the target");
    stop(&copied).await;
    assert!(refused(&world, &from, &to).await.contains("has data"), "a copy that is complete");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn databases_on_postgresql_that_a_gateway_uses_are_refused() {
    let world = World::on_postgres("").await.unwrap();
    fill(&world).await;
    let from = database_of(&world);
    let to = create_postgres_database().await.unwrap();
    assert!(refused(&world, &from, &to).await.contains("is in use, and nothing was changed"), "the source");
    stop(&world).await;
    let target = Db::open(&to, 2, Schema::Migrate).await.unwrap();
    assert!(refused(&world, &from, &to).await.contains("is in use, and nothing was changed"), "the target");
    target.close().await;
    let report = copy(&world, &from, &to).await;
    assert_equal(&from, &to).await;
    assert_eq!(report["tables"].as_array().unwrap().len(), content(&to).await.len());
}
