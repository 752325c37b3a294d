//! Transactions that wait for each other on SQLite share one commit.

use std::task::{Context, Waker};

use signpost::db::{Db, DbError, Sql, Tx};
use signpost::{sql, values};
use tokio::task::{JoinHandle, yield_now};

use crate::harness::World;

const ADD: Sql = sql!("INSERT INTO consumed_token (kind, id, expires_at) VALUES ('group', $1, 0)");
const ADDED: Sql = sql!("SELECT id FROM consumed_token WHERE kind = 'group' ORDER BY id");

/// What other connections see.
async fn committed(db: &Db) -> Vec<String> {
    db.all(ADDED, Vec::new()).await.unwrap().iter().map(|row| row.text("id").unwrap()).collect()
}

async fn begin(db: &Db, id: &str) -> Tx {
    let mut tx = db.begin_shared().await.unwrap();
    tx.run(ADD, values![id]).await.unwrap();
    tx
}

/// A transaction that waits for the open one. The test's runtime has one thread, so it has asked when this returns.
async fn begin_behind(db: &Db, id: &'static str) -> JoinHandle<Tx> {
    let db = db.clone();
    let waiting = tokio::spawn(async move { begin(&db, id).await });
    yield_now().await;
    assert!(!waiting.is_finished());
    waiting
}

/// The first transaction has left its commit to the group, and the second one is open.
async fn first_waits_for_second(db: &Db) -> (JoinHandle<Result<(), DbError>>, Tx) {
    let first = begin(db, "first").await;
    let second = begin_behind(db, "second").await;
    let first = tokio::spawn(first.commit());
    let second = second.await.unwrap();
    assert!(!first.is_finished());
    assert_eq!(committed(db).await, [""; 0], "nothing is on the disk before the shared commit");
    (first, second)
}

#[tokio::test]
async fn waiting_transactions_share_a_commit() {
    let world = World::start().await;
    let db = &world.state.db;
    let (first, second) = first_waits_for_second(db).await;
    second.commit().await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(committed(db).await, ["first", "second"]);
    begin(db, "third").await.commit().await.unwrap();
    assert_eq!(committed(db).await, ["first", "second", "third"]);
}

#[tokio::test]
async fn rolled_back_member_leaves_its_group() {
    let world = World::start().await;
    let db = &world.state.db;
    let (first, second) = first_waits_for_second(db).await;
    drop(second);
    first.await.unwrap().unwrap();
    assert_eq!(committed(db).await, ["first"]);
}

#[tokio::test]
async fn violated_constraint_fails_its_transaction_alone() {
    let world = World::start().await;
    let db = &world.state.db;
    let (first, mut second) = first_waits_for_second(db).await;
    let repeated = second.run(ADD, values!["first"]).await;
    assert!(matches!(repeated, Err(DbError::Conflict(_))), "{repeated:?}");
    drop(second);
    first.await.unwrap().unwrap();
    assert_eq!(committed(db).await, ["first"]);
}

#[tokio::test]
async fn other_transactions_begin_when_the_group_is_committed() {
    let world = World::start().await;
    let db = &world.state.db;
    let (first, second) = first_waits_for_second(db).await;
    let other = db.clone();
    let alone = tokio::spawn(async move { other.begin().await.unwrap() });
    yield_now().await;
    second.commit().await.unwrap();
    first.await.unwrap().unwrap();
    let mut alone = alone.await.unwrap();
    assert!(matches!(alone.run(ADD, values!["first"]).await, Err(DbError::Conflict(_))));
    drop(alone);
    assert_eq!(committed(db).await, ["first", "second"], "what made it roll back can be read");
    let alone = db.begin().await.unwrap();
    let waiting = begin_behind(db, "third").await;
    alone.commit().await.unwrap();
    waiting.await.unwrap().commit().await.unwrap();
    assert_eq!(committed(db).await, ["first", "second", "third"]);
}

#[tokio::test]
async fn failed_statement_returns_when_its_cause_is_committed() {
    let world = World::start().await;
    let db = &world.state.db;
    let first = begin(db, "first").await;
    let other = db.clone();
    let statement = tokio::spawn(async move {
        let done = other.run(ADD, values!["first"]).await;
        (done, committed(&other).await)
    });
    yield_now().await;
    first.commit().await.unwrap();
    let (done, seen) = statement.await.unwrap();
    assert!(matches!(done, Err(DbError::Conflict(_))), "{done:?}");
    assert_eq!(seen, ["first"]);
}

#[tokio::test]
async fn single_statements_join_the_group() {
    let world = World::start().await;
    let db = &world.state.db;
    let first = begin(db, "first").await;
    let other = db.clone();
    let statement = tokio::spawn(async move { other.run(ADD, values!["statement"]).await });
    yield_now().await;
    first.commit().await.unwrap();
    assert_eq!(statement.await.unwrap().unwrap(), 1);
    assert_eq!(committed(db).await, ["first", "statement"]);
}

#[tokio::test]
async fn lost_transaction_fails_every_member_of_its_group() {
    let world = World::start().await;
    let db = &world.state.db;
    let (first, mut second) = first_waits_for_second(db).await;
    // SQLite ends the whole transaction by itself upon some errors, such as a full disk.
    second.run(Sql::new_unchecked("ROLLBACK"), Vec::new()).await.unwrap();
    assert!(second.commit().await.is_err());
    let lost = first.await.unwrap();
    assert!(matches!(lost, Err(DbError::GroupFailed(_))), "{lost:?}");
    assert_eq!(committed(db).await, [""; 0]);
    begin(db, "after").await.commit().await.unwrap();
    assert_eq!(committed(db).await, ["after"]);
}

#[tokio::test]
async fn caller_that_goes_away_does_not_hold_up_its_group() {
    let world = World::start().await;
    let db = &world.state.db;
    let (first, second) = first_waits_for_second(db).await;
    first.abort();
    second.commit().await.unwrap();
    assert_eq!(committed(db).await, ["first", "second"], "the first had handed its commit to the group");
    let first = begin(db, "third").await;
    let waiting = begin_behind(db, "fourth").await;
    waiting.abort();
    first.commit().await.unwrap();
    assert_eq!(committed(db).await, ["first", "second", "third"]);
}

#[tokio::test]
async fn caller_that_goes_away_during_the_shared_commit_fails_no_member() {
    let world = World::start().await;
    let db = &world.state.db;
    let mut context = Context::from_waker(Waker::noop());
    let first = begin(db, "first").await;
    let mut other = Box::pin(db.set_bulk_mode(false));
    assert!(other.as_mut().poll(&mut context).is_pending(), "it waits for the connection");
    let mut first = Box::pin(first.commit());
    assert!(first.as_mut().poll(&mut context).is_pending(), "it waits for its group");
    // The other caller begins to commit the group.
    let _ = other.as_mut().poll(&mut context);
    drop(other);
    first.await.unwrap();
    assert_eq!(committed(db).await, ["first"]);
    begin(db, "second").await.commit().await.unwrap();
    assert_eq!(committed(db).await, ["first", "second"]);
}

#[tokio::test]
async fn lost_transaction_does_not_join_the_group_of_the_next_one() {
    let world = World::start().await;
    let db = &world.state.db;
    let mut first = begin(db, "first").await;
    let second = begin_behind(db, "second").await;
    first.run(Sql::new_unchecked("PRAGMA query_only = ON"), Vec::new()).await.unwrap();
    assert!(first.run(ADD, values!["refused"]).await.is_err());
    // The caller ignores the error. Its connection is closed already.
    let first = tokio::spawn(first.commit());
    second.await.unwrap().commit().await.unwrap();
    assert!(first.await.unwrap().is_err());
    assert_eq!(committed(db).await, ["second"]);
}

#[tokio::test]
async fn connection_that_is_left_in_a_transaction_is_replaced() {
    let world = World::start().await;
    let db = &world.state.db;
    db.run(Sql::new_unchecked("BEGIN"), Vec::new()).await.unwrap();
    assert!(db.begin().await.is_err(), "SQLite refuses to begin a transaction in a transaction");
    begin(db, "after").await.commit().await.unwrap();
    assert_eq!(committed(db).await, ["after"]);
}

#[tokio::test]
async fn many_writers_lose_nothing() {
    let world = World::start().await;
    let db = &world.state.db;
    let writers = (0..200).map(|at| {
        let db = db.clone();
        tokio::spawn(async move {
            let id = format!("{at:03}");
            if at % 7 == 0 {
                drop(begin(&db, &id).await);
                return None;
            }
            if at % 3 == 0 {
                db.run(ADD, values![id.clone()]).await.unwrap();
            } else {
                begin(&db, &id).await.commit().await.unwrap();
            }
            let seen = committed(&db).await;
            assert!(seen.contains(&id), "{id} was acknowledged before it was committed");
            Some(id)
        })
    });
    let mut acknowledged = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        acknowledged.extend(writer.await.unwrap());
    }
    assert_eq!(committed(db).await, acknowledged);
}
