//! Prepares every statement of the program on both databases: a misspelled table or column fails here.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

use super::query::completed;
use super::{Db, STATEMENTS, Schema, Sql};

/// The statement as `all_in` or `bulk_insert` completes it.
fn complete(text: &'static str, postgres: bool) -> String {
    let Some((head, tail)) = text.split_once("{rows}") else { return completed(Sql::from_macro(text), postgres) };
    let columns = head.split(['(', ')']).nth(1).unwrap_or_default().split(',').count();
    let parameters: Vec<String> = (1..=columns).map(|at| format!("${at}")).collect();
    format!("{head}({}){tail}", parameters.join(", "))
}

async fn prepare_all(db: &Db) {
    assert!(STATEMENTS.len() > 100, "only {} statements are registered", STATEMENTS.len());
    let mut failures = Vec::new();
    for statement in STATEMENTS {
        let prepared = match db {
            Db::Sqlite { read, .. } => {
                let sql = AssertSqlSafe(complete(statement.text, false)).into_sql_str();
                read.acquire().await.unwrap().prepare(sql).await.map(drop)
            }
            Db::Postgres(pool) => {
                let sql = AssertSqlSafe(complete(statement.text, true)).into_sql_str();
                pool.acquire().await.unwrap().prepare(sql).await.map(drop)
            }
        };
        if let Err(error) = prepared {
            failures.push(format!("{}:{}: {error}", statement.file, statement.line));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn every_statement_can_be_prepared_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    prepare_all(&Db::open(&url, 1, Schema::Migrate).await.unwrap()).await;
}

#[tokio::test]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
#[expect(clippy::disallowed_methods, reason = "tests take their server from the environment")]
async fn every_statement_can_be_prepared_on_postgresql() {
    let server = std::env::var("SIGNPOST_TEST_POSTGRES").unwrap();
    let name =
        format!("signpost_test_{}", signpost_core::Random::system().token::<9>().to_lowercase().replace('-', "_"));
    let admin = sqlx::PgPool::connect(&server).await.unwrap();
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE \"{name}\"")).into_sql_str()).await.unwrap();
    let mut url = url::Url::parse(&server).unwrap();
    url.set_path(&name);
    prepare_all(&Db::open(url.as_str(), 2, Schema::Migrate).await.unwrap()).await;
}
