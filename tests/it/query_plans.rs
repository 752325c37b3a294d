//! No statement reads a whole table that grows: each one has an index that serves it, on both databases.
//!
//! The tables are filled, then every `sql!` of the sources is explained. SQLite has no statistics, as in production; PostgreSQL
//! explains generic plans with sequential scans, hash joins and merge joins switched off: what still reads a whole table has no index to use.

use std::collections::BTreeSet;

use serde_json::Value;
use signpost::db::Db;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};

use crate::harness::World;
use crate::statements::{complete, statements};

/// Rows in each table that grows.
const ROWS: u32 = 20_000;
/// Billers among which the rows are distributed.
const BILLERS: u32 = 50;

/// Tables whose size follows the number of billers, keys or operators' actions: thousands of rows at most.
const SMALL_TABLES: [&str; 13] = [
    "_sqlx_migrations",
    "api_key",
    "biller",
    "biller_host",
    "biller_logo",
    "import_run",
    "iss_pin",
    "issuer_health",
    "job",
    "job_step",
    "operational_control",
    "pending_change",
    "revision",
];

/// Statements of a file that may read a whole table.
struct Exception {
    /// Below `src/`.
    file: &'static str,
    table: &'static str,
    reason: &'static str,
}

const fn exception(file: &'static str, table: &'static str, reason: &'static str) -> Exception {
    Exception { file, table, reason }
}

const EXCEPTIONS: [Exception; 6] = [
    exception("mail/queue.rs", "queued_task", "health counts the tasks that wait; done tasks are deleted"),
    exception("sessions/store.rs", "session", "a restore ends all sessions"),
    exception("sessions/billers.rs", "biller_session", "a restore ends all sessions"),
    exception("directory/outbox.rs", "user_change", "counts the changes that wait; sent changes are deleted"),
    exception("directory/users/integrity.rs", "membership", "`signpost check` compares the whole directory"),
    exception("directory/users/listing.rs", "users", "counts all users, when a client of the API asks for the total"),
];

/// Exceptions that PostgreSQL needs and SQLite does not.
const POSTGRES_EXCEPTIONS: [Exception; 1] =
    [exception("directory/users/listing.rs", "membership", "counts the users of several billers, when a client asks")];

/// Columns with few values: who reads all rows with one of them reads most of the table.
const UNSELECTIVE_COLUMNS: [&str; 2] = ["kind", "status"];

/// A read of a whole table.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Scan {
    file: String,
    table: String,
    statement: String,
    step: String,
}

/// The tables of a statement by the names that it gives them.
fn tables_of<'a>(statement: &'a str, tables: &BTreeSet<String>) -> Vec<(&'a str, &'a str)> {
    let words: Vec<&str> = statement.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let mut names = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if tables.contains(*word) {
            names.push((*word, *word));
            let next = words.get(at + 1).copied().filter(|next| *next != "AS").or_else(|| words.get(at + 2).copied());
            names.extend(next.filter(|alias| !alias.is_empty()).map(|alias| (alias, *word)));
        }
    }
    names
}

/// The n-th row's value of a column. Distinct, except for billers and the few rows that stay NULL.
fn value(column: &str, nullable: bool, text: bool) -> String {
    let number = if column == "biller_id" || column == "biller" { format!("(n % {BILLERS})") } else { "n".to_owned() };
    let value = if text { format!("('id' || {number})") } else { number };
    // A few rows are open, unfinished or deleted.
    if nullable { format!("CASE WHEN n < {BILLERS} THEN NULL ELSE {value} END") } else { value }
}

/// Fills a table from `rows`, a source with a column `n`.
fn fill(table: &str, columns: &[(String, bool, bool)], rows: &str) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, ..)| name.as_str()).collect();
    let values: Vec<String> = columns.iter().map(|(name, nullable, text)| value(name, *nullable, *text)).collect();
    format!("DELETE FROM {table}; INSERT INTO {table} ({}) SELECT {} FROM {rows};", names.join(", "), values.join(", "))
}

fn grows(table: &str) -> bool {
    !SMALL_TABLES.contains(&table) && table != "schema_compatibility"
}

async fn fill_sqlite(connection: &mut SqliteConnection) -> BTreeSet<String> {
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut *connection).await.unwrap();
    connection.execute("PRAGMA foreign_keys = OFF").await.unwrap();
    for table in tables.iter().filter(|table| grows(table)) {
        let columns = sqlx::query(
            "SELECT name, \"notnull\" = 0 AND pk = 0 AS nullable, type = 'TEXT' AS text FROM pragma_table_info($1)",
        );
        let columns = columns.bind(table).fetch_all(&mut *connection).await.unwrap();
        let columns: Vec<_> = columns.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        let numbers = format!(
            "WITH RECURSIVE r (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < {ROWS}) SELECT n FROM r"
        );
        connection.execute(AssertSqlSafe(fill(table, &columns, &format!("({numbers})")))).await.unwrap();
    }
    tables.into_iter().collect()
}

async fn fill_postgres(connection: &mut PgConnection) -> BTreeSet<String> {
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut *connection).await.unwrap();
    connection.execute("SET session_replication_role = replica").await.unwrap();
    for table in tables.iter().filter(|table| grows(table)) {
        let columns = sqlx::query(
            "SELECT column_name::text, is_nullable = 'YES', data_type = 'text' FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = $1",
        );
        let columns = columns.bind(table).fetch_all(&mut *connection).await.unwrap();
        let columns: Vec<_> = columns.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        let numbers = format!("generate_series(0, {ROWS}) AS r (n)");
        connection.execute(AssertSqlSafe(fill(table, &columns, &numbers))).await.unwrap();
    }
    connection.execute("ANALYZE").await.unwrap();
    tables.into_iter().collect()
}

fn is_unselective(column: &str) -> bool {
    UNSELECTIVE_COLUMNS.contains(&column)
}

/// The scans in the plan of a statement: whole tables and indexes, and ranges that are read again for each row of another.
async fn sqlite_scans(
    connection: &mut SqliteConnection,
    statement: &str,
    names: &[(&str, &str)],
) -> Vec<(String, String)> {
    let statement = complete(statement, "(SELECT value FROM json_each($2))");
    let steps =
        sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"))).fetch_all(connection).await.unwrap();
    let steps: Vec<(i64, i64, String)> = steps.iter().map(|row| (row.get(0), row.get(1), row.get(3))).collect();
    let mut scans = Vec::new();
    for (at, (_, parent, step)) in steps.iter().enumerate() {
        let mut words = step.split_whitespace();
        let (kind, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let correlated = steps.iter().any(|(id, _, step)| id == parent && step.starts_with("CORRELATED"));
        let inner = steps[..at].iter().any(|(_, before, step)| before == parent && step.starts_with("S"));
        let terms: Vec<&str> = step
            .rsplit_once('(')
            .map(|(_, condition)| condition.trim_end_matches(')').split(" AND ").collect())
            .unwrap_or_default();
        let is_selective = terms.iter().any(|term| {
            term.split_once("=?").is_some_and(|(column, _)| !column.ends_with(['<', '>']) && !is_unselective(column))
        });
        let has_range = terms.iter().any(|term| term.contains(['<', '>']));
        if kind == "SCAN" || (kind == "SEARCH" && !is_selective && (!has_range || correlated || inner)) {
            let tables = names.iter().filter(|(alias, _)| *alias == name).map(|(_, table)| *table);
            scans.extend(tables.collect::<BTreeSet<_>>().into_iter().map(|table| (table.to_owned(), step.clone())));
        }
    }
    scans
}

async fn postgres_scans(connection: &mut PgConnection, statement: &str) -> Vec<(String, String)> {
    let statement = complete(statement, "(SELECT value FROM json_array_elements_text($2::json))");
    let numbers = statement.split('$').skip(1);
    let numbers = numbers.filter_map(|text| text.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok());
    let arguments = vec!["NULL"; numbers.max().unwrap_or(0)].join(", ");
    let arguments = if arguments.is_empty() { arguments } else { format!("({arguments})") };
    connection.execute(AssertSqlSafe(format!("PREPARE explained AS {statement}"))).await.unwrap();
    let explain = AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) EXECUTE explained{arguments}"));
    let row = sqlx::raw_sql(explain).fetch_one(&mut *connection).await.unwrap();
    connection.execute("DEALLOCATE explained").await.unwrap();
    let plan: Value = serde_json::from_str(row.try_get_raw(0).unwrap().as_str().unwrap()).unwrap();
    let mut scans = Vec::new();
    collect_scans(&plan[0]["Plan"], &mut scans);
    scans
}

fn collect_scans(node: &Value, scans: &mut Vec<(String, String)>) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    if kind == "Seq Scan" || (matches!(kind, "Index Scan" | "Index Only Scan") && node["Index Cond"].is_null()) {
        scans.push((node["Relation Name"].as_str().unwrap_or_default().to_owned(), kind.to_owned()));
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        collect_scans(child, scans);
    }
}

/// Scans of tables that grow and have no exception.
fn unexpected(scans: Vec<Scan>, more: &[Exception]) -> Vec<Scan> {
    let listed = |scan: &Scan| {
        EXCEPTIONS
            .iter()
            .chain(more)
            .any(|exception| scan.file.ends_with(exception.file) && scan.table == exception.table)
    };
    scans.into_iter().filter(|scan| grows(&scan.table) && !listed(scan)).collect()
}

#[tokio::test]
async fn no_statement_scans_a_growing_table_on_sqlite() {
    let world = World::start().await;
    let mut connection = world.sqlite_connection().await;
    let tables = fill_sqlite(&mut connection).await;
    let mut scans = Vec::new();
    for (file, statement) in statements() {
        for (table, step) in sqlite_scans(&mut connection, &statement, &tables_of(&statement, &tables)).await {
            scans.push(Scan { file: file.clone(), table, statement: statement.clone(), step });
        }
    }
    for exception in EXCEPTIONS {
        let used = scans.iter().any(|scan| scan.file.ends_with(exception.file) && scan.table == exception.table);
        assert!(
            used,
            "{} does not scan {}: remove its exception ({})",
            exception.file, exception.table, exception.reason
        );
    }
    let scans = unexpected(scans, &[]);
    assert!(scans.is_empty(), "statements without an index: {scans:#?}");
}

#[tokio::test]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn no_statement_scans_a_growing_table_on_postgresql() {
    let world = World::on_postgres("").await.unwrap();
    let Db::Postgres(postgres) = &world.state.db else { unreachable!() };
    let mut connection = postgres.pool.acquire().await.unwrap().detach();
    fill_postgres(&mut connection).await;
    for setting in [
        "plan_cache_mode = force_generic_plan",
        "enable_seqscan = off",
        "enable_hashjoin = off",
        "enable_mergejoin = off",
    ] {
        connection.execute(AssertSqlSafe(format!("SET {setting}"))).await.unwrap();
    }
    let mut scans = Vec::new();
    for (file, statement) in statements() {
        for (table, step) in postgres_scans(&mut connection, &statement).await {
            scans.push(Scan { file: file.clone(), table, statement: statement.clone(), step });
        }
    }
    connection.close().await.unwrap();
    let scans = unexpected(scans, &POSTGRES_EXCEPTIONS);
    assert!(scans.is_empty(), "statements without an index: {scans:#?}");
}
