//! Sweeps delete old rows in slices, so that no writer waits for one long statement.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use signpost::app::sweep_once;
use signpost::db::{ROWS_PER_SWEEP_STATEMENT, Sql};

use crate::harness::each_database;
use crate::statements::statements;

/// More than two statements' worth.
const ROWS: u64 = 1200;

/// Tables that are swept, and how to fill them with old rows. `n` is the number of the row.
const OLD_ROWS: [(&str, &str); 9] = [
    (
        "session",
        "(id_hash, kind, owner, data, created_at, last_seen) SELECT 'c' || n, 'customer', 'o' || n, '{}', 1, 1",
    ),
    ("session", "(id_hash, kind, owner, data, created_at, last_seen) SELECT 's' || n, 'staff', 'o' || n, '{}', 1, 1"),
    (
        "biller_session",
        "(id, browser_session_id, biller_id, user_id, issuer, subject, auth_time, details, created_at) \
         SELECT 'b' || n, 'o' || n, (SELECT min(id) FROM biller), (SELECT min(id) FROM users), 'i', 's', 1, '{}', 1",
    ),
    ("consumed_token", "(kind, id, expires_at) SELECT 'handoff', 't' || n, 1"),
    ("known_network", "(id, last_day) SELECT 'n' || n, 1"),
    ("exhausted_limit", "(id, next_try_at, recorded_at) SELECT 'l' || n, 1, 1"),
    ("decision_log", "(code, at, kind, response, details) SELECT 'd' || n, 1, 'row 1', 'x', '{}'"),
    (
        "audit_event",
        "(id, at, actor_kind, actor_id, actor_name, principal, action, details) \
         SELECT 'a' || n, 1, 'system', '', 'Signpost', 'Signpost', 'simulation.run', '{}'",
    ),
    ("idempotency", "(api_key, name, request, created_at) SELECT 'k', 'i' || n, 'r', 1"),
];

/// The rows that each statement of a sweep deleted, by statement.
#[derive(Clone, Default)]
struct Slices(Arc<Mutex<BTreeMap<String, Vec<u64>>>>);

impl Write for Slices {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let line: Value = serde_json::from_slice(bytes).unwrap();
        let statement = line["fields"]["statement"].as_str().unwrap().to_owned();
        self.0.lock().unwrap().entry(statement).or_default().push(line["fields"]["rows"].as_u64().unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn old_rows_are_deleted_in_slices() {
    each_database(|world| async move {
        let run = async |text: String| {
            world.state.db.run(Sql::new_unchecked(Box::leak(text.into_boxed_str())), Vec::new()).await.unwrap();
        };
        for (table, rows) in OLD_ROWS {
            run(format!(
                "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {ROWS}) INSERT INTO {table} {rows} FROM r"
            ))
            .await;
        }
        let before = world.dump_tables().await;
        let slices = Slices::default();
        let writer = slices.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_env_filter(tracing_subscriber::EnvFilter::new("off,signpost::sweeps=trace"))
            .with_writer(move || writer.clone())
            .finish();
        // For this thread: the test's runtime has one only.
        let guard = tracing::subscriber::set_default(subscriber);
        sweep_once(&world.state).await.unwrap();
        drop(guard);

        let after = world.dump_tables().await;
        let slices = slices.0.lock().unwrap().clone();
        for (table, _) in OLD_ROWS {
            let inserted = ROWS * OLD_ROWS.iter().filter(|(other, _)| *other == table).count() as u64;
            let deleted = (before[table].len() - after[table].len()) as u64;
            assert_eq!(deleted, inserted, "{table}");
            let of_table = slices.iter().filter(|(text, _)| text.starts_with(&format!("DELETE FROM {table} ")));
            let rows: Vec<u64> = of_table.flat_map(|(_, rows)| rows.clone()).collect();
            assert_eq!(rows.iter().sum::<u64>(), inserted, "{table}: {rows:?}");
            assert!(rows.iter().all(|rows| *rows <= ROWS_PER_SWEEP_STATEMENT), "{table}: {rows:?}");
        }
    })
    .await;
}

/// A new sweep cannot delete without a limit.
#[test]
fn every_deletion_by_age_is_limited() {
    let limit = format!("LIMIT {ROWS_PER_SWEEP_STATEMENT}");
    let by_age: Vec<_> = statements()
        .into_iter()
        .filter(|(_, text)| text.starts_with("DELETE"))
        .filter(|(_, text)| ["at < $", "seen < $", "day < $"].iter().any(|age| text.contains(age)))
        .collect();
    assert!(by_age.len() >= 8, "{by_age:#?}");
    let unlimited: Vec<_> = by_age.iter().filter(|(_, text)| !text.contains(&limit)).collect();
    assert!(unlimited.is_empty(), "{unlimited:#?}");
}
