//! Database failures: what failed works again as soon as the cause is gone.

use http::StatusCode;
use signpost::db::{Db, Sql};
use signpost::{sql, values};

use crate::harness::{PROPAGATION_TIMEOUT, World, each_database, wait_for};

const WRITE: Sql = sql!("UPDATE revision SET value = value + 1 WHERE name = 'billers'");
const FILL: Sql = sql!(
    "INSERT INTO consumed_token (kind, id, expires_at) VALUES ($1, $2, 9223372036854775807) ON CONFLICT DO NOTHING"
);

fn unchecked(text: &'static str) -> Sql {
    Sql::new_unchecked(text)
}

/// Limits the database file to its present size, as a full disk does, or lifts the limit.
async fn set_full(db: &Db, is_full: bool) {
    let pages = if is_full { "PRAGMA max_page_count = 1" } else { "PRAGMA max_page_count = 4294967294" };
    db.run(unchecked(pages), Vec::new()).await.unwrap();
}

/// Writes in transactions until the file cannot grow.
async fn fill(db: &Db) {
    for at in 0..10_000 {
        let filled = async {
            let mut tx = db.begin().await?;
            tx.run(FILL, values!["filler", format!("{at:0>900}")]).await?;
            tx.commit().await
        };
        if let Err(error) = filled.await {
            assert!(error.to_string().contains("full"), "{error}");
            return;
        }
    }
    panic!("the file did not fill up");
}

async fn write(db: &Db) -> Result<(), signpost::db::DbError> {
    let mut tx = db.begin().await?;
    tx.run(WRITE, Vec::new()).await?;
    tx.commit().await
}

#[tokio::test]
async fn sign_ins_resume_when_a_full_disk_has_space_again() {
    let world = World::start().await;
    let start = world.browser().get("/b/riverside-water").await;
    assert_eq!(start.status, StatusCode::SEE_OTHER);
    set_full(&world.state.db, true).await;
    fill(&world.state.db).await;
    set_full(&world.state.db, false).await;
    world.wait_for_writes().await;
    world.sign_in(&mut world.browser(), "riverside-water", "one-moved").await;
    world.state.decisions.flush().await;
    write(&world.state.db).await.unwrap();
}

#[tokio::test]
async fn legacy_handoffs_are_redeemed_while_the_disk_is_full() {
    let world = World::start().await;
    let login = world.browser().post("/login", &[("username", "one-legacy")]).await.location();
    let token = login.split_once("token=").unwrap().1.split('&').next().unwrap().to_owned();
    let key = crate::handoffs::create_key(&world).await;
    set_full(&world.state.db, true).await;
    fill(&world.state.db).await;
    let redeemed = crate::handoffs::redeem_with(&world, &key, &token).await;
    assert_eq!(redeemed.unwrap()["username"], "one-legacy");
    assert_eq!(crate::handoffs::redeem_with(&world, &key, &token).await, None, "single use");
}

#[tokio::test]
async fn closed_database_leaves_no_log() {
    let world = World::start().await;
    let db = &world.state.db;
    write(db).await.unwrap();
    // At once, so that each of them has a connection of its own.
    let read = || db.one(unchecked("SELECT count(*) AS rows FROM users"), Vec::new());
    futures_util::future::try_join_all((0..4).map(|_| read())).await.unwrap();
    let log = world.folder.path().join("test.db-wal");
    assert!(log.exists());
    world.state.decisions.flush().await;
    db.close().await;
    assert!(!log.exists(), "the last connection that is closed writes, and copies the log into the file");
}

#[tokio::test]
async fn failed_commit_leaves_a_usable_writer() {
    let world = World::start().await;
    let db = &world.state.db;
    let mut tx = db.begin().await.unwrap();
    tx.run(unchecked("PRAGMA defer_foreign_keys = ON"), Vec::new()).await.unwrap();
    let orphan = "INSERT INTO issuer_health (biller_id, state, failures, reason, changed_at, checked_at) \
                  VALUES ('none', 'up', 0, '', 0, 0)";
    tx.run(unchecked(orphan), Vec::new()).await.unwrap();
    assert!(tx.commit().await.is_err());
    write(db).await.unwrap();
}

#[tokio::test]
async fn writer_that_another_process_rolled_back_is_replaced() {
    let world = World::start().await;
    let db = &world.state.db;
    // SQLite ends a transaction by itself upon some errors.
    let mut tx = db.begin().await.unwrap();
    tx.run(WRITE, Vec::new()).await.unwrap();
    tx.run(unchecked("ROLLBACK"), Vec::new()).await.unwrap();
    assert!(tx.commit().await.is_err());
    let mut tx = db.begin().await.unwrap();
    tx.run(unchecked("ROLLBACK"), Vec::new()).await.unwrap();
    drop(tx);
    write(db).await.unwrap();
}

#[tokio::test]
async fn waiting_callers_of_a_dropped_transaction_go_on() {
    each_database(|world| async move {
        let db = &world.state.db;
        let before =
            db.one(sql!("SELECT value FROM revision WHERE name = 'billers'"), Vec::new()).await.unwrap().unwrap();
        for _ in 0..20 {
            let mut tx = db.begin().await.unwrap();
            tx.run(WRITE, Vec::new()).await.unwrap();
        }
        let after =
            db.one(sql!("SELECT value FROM revision WHERE name = 'billers'"), Vec::new()).await.unwrap().unwrap();
        assert_eq!(before.int("value").unwrap(), after.int("value").unwrap());
        write(db).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn store_that_fails_keeps_no_other_from_being_swept() {
    each_database(|world| async move {
        let db = &world.state.db;
        let expired =
            "INSERT INTO idempotency (api_key, name, request, created_at) VALUES ('key', 'name', 'request', 0)";
        db.run(unchecked(expired), Vec::new()).await.unwrap();
        // The first store that is swept cannot be read.
        db.run(unchecked("ALTER TABLE consumed_token RENAME TO away"), Vec::new()).await.unwrap();
        let error = signpost::app::sweep_once(&world.state).await.unwrap_err();
        assert!(error.to_string().contains("consumed_token"), "{error}");
        let left = db.all(unchecked("SELECT name FROM idempotency"), Vec::new()).await.unwrap();
        assert!(left.is_empty());
        db.run(unchecked("ALTER TABLE away RENAME TO consumed_token"), Vec::new()).await.unwrap();
        signpost::app::sweep_once(&world.state).await.unwrap();
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn postgresql_connections_are_replaced_after_errors() {
    let world = World::on_postgres("").await.unwrap();
    let db = &world.state.db;
    let mut tx = db.begin().await.unwrap();
    let killed = tx.all(unchecked("SELECT pg_terminate_backend(pg_backend_pid())"), Vec::new()).await;
    assert!(killed.is_err());
    drop(tx);
    write(db).await.unwrap();

    let mut tx = db.begin().await.unwrap();
    tx.run(unchecked("SET LOCAL statement_timeout = 1"), Vec::new()).await.unwrap();
    assert!(tx.all(unchecked("SELECT pg_sleep(1)::text AS value"), Vec::new()).await.is_err());
    assert!(tx.commit().await.is_ok(), "PostgreSQL answers a commit of a failed transaction with a rollback");
    write(db).await.unwrap();

    // A server that has become a standby: its sessions live on and refuse every write.
    db.all(unchecked("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"), Vec::new()).await.unwrap();
    let mut failures = 0;
    for _ in 0..8 {
        failures += usize::from(write(db).await.is_err());
    }
    assert!(failures <= 1, "{failures} writes failed on one connection");
}

#[tokio::test]
async fn database_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::start().await;
    let _tx = world.state.db.begin().await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("test.db") {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.file_name());
            seen += 1;
        }
    }
    assert!(seen >= 3, "the database, its log and its index");
}

#[tokio::test]
async fn newer_schema_is_named_and_may_be_compatible() {
    let world = World::start().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'newer', 1, x'00', 0)";
    world.state.db.run(unchecked(newer), Vec::new()).await.unwrap();
    for command in [&["kill-switch"][..], &["check"], &["migrate"], &["serve"], &["serve", "--no-migrate"]] {
        let (code, _, error) = world.command(command).await;
        assert_eq!(code, 1, "{command:?}");
        assert!(error.contains("belongs to a newer Signpost (schema 99; this program has schema 1)"), "{error}");
        assert!(!error.contains("signpost migrate"), "{error}");
    }
    let compatible = "INSERT INTO schema_compatibility (version, oldest_program) VALUES (99, 1)";
    world.state.db.run(unchecked(compatible), Vec::new()).await.unwrap();
    let (code, out, error) = world.command(&["kill-switch", "hold"]).await;
    assert_eq!((code, out.contains("all instances: hold")), (0, true), "{out}{error}");
    let (code, ..) = world.command(&["migrate"]).await;
    assert_eq!(code, 0);
    wait_for(PROPAGATION_TIMEOUT, "the kill switch of another process", || async {
        (world.browser().get("/b/riverside-water").await.status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
}

#[tokio::test]
async fn serve_without_migration_asks_for_it() {
    let world = World::start().await;
    world.state.db.run(unchecked("DELETE FROM _sqlx_migrations"), Vec::new()).await.unwrap();
    let (code, _, error) = world.command(&["serve", "--no-migrate"]).await;
    assert_eq!(code, 1);
    assert!(
        error.contains("the database has schema 0, and this Signpost needs schema 1: run `signpost migrate`"),
        "{error}"
    );
}
