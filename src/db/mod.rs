//! SQLite or PostgreSQL behind one handle.
//!
//! Statements have `$1` parameters, which both databases accept; values are text and 64-bit integers only. A transaction
//! writes first: read-then-write loses updates on PostgreSQL and fails on SQLite (see ARCHITECTURE.md).

mod backup;
mod bulk_insert;
mod connection;
mod copy;
mod error;
mod file_identity;
mod group_commit;
mod handle;
mod migrations;
mod postgres;
mod query;
mod row;
mod sqlite;
mod statement;
mod status;
mod sweep;
mod write_health;
mod write_probe;
mod writer_queue;

pub use backup::{BackupError, Restored};
pub use bulk_insert::{BulkInsert, ROWS_PER_STATEMENT};
pub use copy::{CopiedTable, Copy, CopyError, CopyStep, Fingerprint};
pub use error::{DbError, is_logged, is_logged_text};
pub use handle::{ChangeCounter, Db, Schema, Tx};
pub use postgres::PostgresPool;
pub use row::{Row, Value};
pub use sqlite::SqliteFile;
pub use statement::Sql;
pub use status::PoolStatus;
pub use sweep::ROWS_PER_SWEEP_STATEMENT;
