//! Database failures: what failed works again as soon as the cause is gone.

use http::StatusCode;
use signpost::db::{Db, Sql};
use signpost::{sql, values};

use crate::harness::{World, each_database};

const WRITE: Sql = sql!("UPDATE revision SET value = value + 1 WHERE name = 'billers'");
const FILL: Sql = sql!(
    "INSERT INTO consumed_token (kind, id, expires_at) VALUES ($1, $2, 9223372036854775807) ON CONFLICT DO NOTHING"
);

fn unchecked(text: &'static str) -> Sql {
    Sql::new_unchecked(text)
}

/// Limits the database file to its present size, as a full disk does, or lifts the limit.
async fn set_full(db: &Db, is_full: bool) {
    let Db::Sqlite { write, .. } = db else { panic!("on SQLite only") };
    let pages = if is_full { "PRAGMA max_page_count = 1" } else { "PRAGMA max_page_count = 4294967294" };
    sqlx::query(pages).execute(write).await.unwrap();
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
    world.sign_in(&mut world.browser(), "riverside-water", "one-moved").await;
    world.state.decisions.flush().await;
    write(&world.state.db).await.unwrap();
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
