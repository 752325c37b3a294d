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

/// Migrations whose schema programs of earlier migrations cannot use. They have no row in `schema_compatibility`; every other
/// migration must have one (see the end of `0001_initial.sql`).
#[cfg(test)]
const INCOMPATIBLE: [i64; 0] = [];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use sqlx::Row;
    use sqlx::sqlite::SqlitePoolOptions;

    use super::{INCOMPATIBLE, LATEST, migrator};

    /// The files in `migrations/`, by version.
    fn files() -> BTreeMap<i64, String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.map(|name| (name.split('_').next().unwrap().parse().unwrap(), name)).collect()
    }

    /// The rows of `schema_compatibility` after all migrations.
    async fn compatibility() -> BTreeMap<i64, i64> {
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        migrator().run(&pool).await.unwrap();
        let rows =
            sqlx::query("SELECT version, oldest_program FROM schema_compatibility").fetch_all(&pool).await.unwrap();
        rows.iter().map(|row| (row.get("version"), row.get("oldest_program"))).collect()
    }

    /// Migrations whose compatibility is undecided or contradictory.
    fn undecided(versions: &BTreeSet<i64>, rows: &BTreeMap<i64, i64>, incompatible: &[i64]) -> Vec<String> {
        let mut faults = Vec::new();
        // The oldest program that is possible: none before the last incompatible migration.
        let mut first_possible = 1;
        for version in versions {
            let is_incompatible = incompatible.contains(version);
            if is_incompatible {
                first_possible = *version;
            }
            match rows.get(version) {
                None if !is_incompatible => faults.push(format!("{version} has no row and is not in INCOMPATIBLE")),
                Some(_) if is_incompatible => faults.push(format!("{version} has a row and is in INCOMPATIBLE")),
                Some(oldest) if !(first_possible..=*version).contains(oldest) => {
                    faults.push(format!("{version} cannot be used by the program of {oldest}"));
                }
                _ => {}
            }
        }
        let unknown = rows.keys().chain(incompatible).filter(|version| !versions.contains(version));
        faults.extend(unknown.map(|version| format!("{version} is no migration")));
        faults
    }

    #[tokio::test]
    async fn every_migration_decides_which_programs_can_use_it() {
        let files = files();
        let compiled: Vec<(i64, String)> =
            migrator().iter().map(|migration| (migration.version, format!("{}.sql", migration.description))).collect();
        assert_eq!(compiled, files.clone().into_iter().collect::<Vec<_>>(), "the files and the migrator");
        assert_eq!(files.last_key_value().map(|(version, _)| *version), Some(LATEST));
        let versions = files.into_keys().collect();
        assert_eq!(undecided(&versions, &compatibility().await, &INCOMPATIBLE), [""; 0]);
    }

    #[test]
    fn forgotten_decisions_are_found() {
        let check = |rows: &[(i64, i64)], incompatible: &[i64]| {
            undecided(&BTreeSet::from([1, 2, 3]), &rows.iter().copied().collect(), incompatible).len()
        };
        assert_eq!(check(&[(1, 1), (2, 1), (3, 1)], &[]), 0);
        assert_eq!(check(&[(1, 1), (3, 2)], &[2]), 0);
        assert_eq!(check(&[(1, 1), (2, 1)], &[]), 1, "forgotten");
        assert_eq!(check(&[(1, 1), (2, 2), (3, 2)], &[2]), 1, "both");
        assert_eq!(check(&[(1, 1), (3, 1)], &[2]), 1, "older than an incompatible migration");
        assert_eq!(check(&[(1, 1), (2, 3), (3, 1)], &[]), 1, "newer than itself");
        assert_eq!(check(&[(1, 1), (2, 1), (3, 1), (4, 1)], &[5]), 2, "no migrations");
    }
}
