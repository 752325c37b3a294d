//! The schema's history: forward only, one idea a file, the same text for SQLite and PostgreSQL.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

macro_rules! migration {
    ($version:literal, $name:literal) => {
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
pub(super) const LATEST: i64 = 39;

pub(super) fn migrator() -> Migrator {
    Migrator::with_migrations(vec![
        migration!(1, "0001_billers"),
        migration!(2, "0002_users"),
        migration!(3, "0003_issuer_health"),
        migration!(4, "0004_sessions"),
        migration!(5, "0005_consumed_tokens"),
        migration!(6, "0006_decisions"),
        migration!(7, "0007_api_keys"),
        migration!(8, "0008_import_runs"),
        migration!(9, "0009_protocol"),
        migration!(10, "0010_operational_controls"),
        migration!(11, "0011_user_attributes"),
        migration!(12, "0012_jobs"),
        migration!(20, "0020_user_changes"),
        migration!(21, "0021_job_problem"),
        migration!(25, "0025_idempotency"),
        migration!(26, "0026_pending_changes"),
        migration!(27, "0027_identity"),
        migration!(30, "0030_queued_tasks"),
        migration!(31, "0031_issuer_probes"),
        migration!(32, "0032_audit_events"),
        migration!(33, "0033_daily_stats"),
        migration!(35, "0035_staff"),
        migration!(39, "0039_biller_logo"),
    ])
}
