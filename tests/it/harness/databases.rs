//! SQLite and PostgreSQL as test databases.

use std::collections::BTreeMap;
use std::sync::Arc;

use signpost::db::{Db, Sql};
use signpost::sql;
use signpost_core::Random;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::World;

/// Runs a test on SQLite and, if `SIGNPOST_TEST_POSTGRES` names a server, on PostgreSQL.
pub(crate) async fn each_database<F, Fut>(test: F)
where
    F: Fn(World) -> Fut,
    Fut: Future<Output = ()>,
{
    let world = World::start().await;
    // The folder with the database must outlive whatever part of the world the test keeps.
    let folder = Arc::clone(&world.folder);
    test(world).await;
    drop(folder);
    if let Some(world) = World::on_postgres("").await {
        test(world).await;
    }
}

/// Creates an empty PostgreSQL database and returns its URL. None without a server.
pub(crate) async fn create_postgres_database() -> Option<String> {
    let server = postgres_server()?;
    let name = format!("signpost_test_{}", Random::system().token::<9>().to_lowercase().replace('-', "_"));
    let admin = sqlx::PgPool::connect(&server).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE \"{name}\""));
    sqlx::query(create).execute(&admin).await.unwrap();
    let mut url = url::Url::parse(&server).unwrap();
    url.set_path(&name);
    Some(url.into())
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set: tests on each database use SQLite only")]
fn tests_on_each_database_use_postgresql() {
    assert!(postgres_server().is_some());
}

#[expect(clippy::disallowed_methods, reason = "tests take their server from the environment")]
fn postgres_server() -> Option<String> {
    let server = std::env::var("SIGNPOST_TEST_POSTGRES").ok();
    assert!(server.is_some() || std::env::var("CI").is_err(), "CI must set SIGNPOST_TEST_POSTGRES");
    server
}

impl World {
    /// Another connection to the SQLite file.
    pub(crate) async fn sqlite_connection(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.folder.path().join("test.db"));
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// Every row of every table, as text.
    pub(crate) async fn dump_tables(&self) -> BTreeMap<String, Vec<String>> {
        let db = &self.state.db;
        let statement = |text: String| Sql::new_unchecked(Box::leak(text.into_boxed_str()));
        let texts = async |sql: Sql| -> Vec<String> {
            db.all(sql, Vec::new()).await.unwrap().iter().map(|row| row.text("value").unwrap()).collect()
        };
        let is_sqlite = matches!(db, Db::Sqlite { .. });
        let tables = if is_sqlite {
            texts(sql!("SELECT name AS value FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"))
                .await
        } else {
            texts(sql!("SELECT tablename::text AS value FROM pg_tables WHERE schemaname = 'public'")).await
        };
        let mut rows = BTreeMap::new();
        for table in tables {
            let all = if is_sqlite {
                let columns = texts(statement(format!("SELECT name AS value FROM pragma_table_info('{table}')"))).await;
                let quoted: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
                format!("SELECT {} AS value FROM {table} ORDER BY 1", quoted.join(" || ',' || "))
            } else {
                format!("SELECT t::text AS value FROM {table} t ORDER BY 1")
            };
            let all = texts(statement(all)).await;
            rows.insert(table, all);
        }
        rows
    }

    /// As long as this is held, the names of users cannot be read.
    pub(crate) async fn lock_users(&self) -> sqlx::Transaction<'static, sqlx::Postgres> {
        self.lock_table("users").await
    }

    /// As long as this is held, the table cannot be read. On PostgreSQL only: SQLite's readers wait for nobody.
    pub(crate) async fn lock_table(&self, table: &str) -> sqlx::Transaction<'static, sqlx::Postgres> {
        let signpost::db::Db::Postgres(postgres) = &self.state.db else { panic!("on PostgreSQL only") };
        let own = sqlx::PgPool::connect_with((*postgres.pool.connect_options()).clone()).await.unwrap();
        let mut held = own.begin().await.unwrap();
        let lock = sqlx::AssertSqlSafe(format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"));
        sqlx::query(lock).execute(&mut *held).await.unwrap();
        held
    }
}
