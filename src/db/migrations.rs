//! The schema, as forward-only migrations. SQLite and PostgreSQL run the same text.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

macro_rules! migration {
    ($version:expr, $name:literal) => {
        Migration::new(
            $version,
            $name.into(),
            MigrationType::Simple,
            include_str!(concat!("../../migrations/", $name, ".sql")).into_sql_str(),
            false,
        )
    };
}

/// The newest version.
pub(super) const LATEST: i64 = 1;

pub(super) fn migrator() -> Migrator {
    Migrator::with_migrations(vec![migration!(LATEST, "0001_initial")])
}
