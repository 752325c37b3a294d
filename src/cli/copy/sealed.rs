//! Whether the keys of the settings open the secrets of a database.

use std::collections::{BTreeMap, HashMap};

use anyhow::bail;
use serde_json::Value;

use crate::db::Copy;
use signpost_core::{KeyRing, Purpose};

/// How many secrets open, and how many do not, by table.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    pub opened: u64,
    pub unopened: BTreeMap<&'static str, u64>,
}

impl Sealed {
    fn add(&mut self, table: &'static str, keys: &KeyRing, context: &str, token: &str) {
        if keys.open::<Value>(Purpose::Storage, context, token).is_ok() {
            self.opened += 1;
        } else {
            *self.unopened.entry(table).or_default() += 1;
        }
    }

    /// `secrets` are client secrets as billers and their pending changes have them.
    fn add_client_secrets(&mut self, table: &'static str, keys: &KeyRing, context: &str, secrets: &Value) {
        for secret in [&secrets["current"], &secrets["second"]] {
            if let Some(token) = secret.as_str() {
                self.add(table, keys, context, token);
            }
        }
    }

    /// Tries every secret that is more than a hint. Those of other keys than the ones in use cannot be read before or after the
    /// copy; only if none opens are the keys the wrong ones.
    pub(super) async fn check(copy: &mut Copy, keys: &KeyRing) -> Result<Self, anyhow::Error> {
        let mut sealed = Self::default();
        copy.for_each_row("biller", |row| {
            sealed.add_client_secrets(
                "biller",
                keys,
                &row.text("id")?,
                &row.json::<Value>("settings")?["client_secrets"],
            );
            Ok(())
        })
        .await?;
        copy.for_each_row("pending_change", |row| {
            let change: Value = row.json("change")?;
            sealed.add_client_secrets("pending_change", keys, &row.text("biller_id")?, &change["oidc"][1]);
            Ok(())
        })
        .await?;
        copy.for_each_row("user_password", |row| {
            sealed.add("user_password", keys, &row.text("user_id")?, &row.text("sealed")?);
            Ok(())
        })
        .await?;
        copy.for_each_row("queued_task", |row| {
            sealed.add("queued_task", keys, &row.text("id")?, &row.text("sealed")?);
            Ok(())
        })
        .await?;
        let mut billers = HashMap::new();
        copy.for_each_row("job", |row| {
            billers.insert(row.text("id")?, row.text("biller_id")?);
            Ok(())
        })
        .await?;
        copy.for_each_row("job_step", |row| {
            if let (Some(token), Some(biller)) = (row.opt_text("sealed")?, billers.get(&row.text("job_id")?)) {
                sealed.add("job_step", keys, biller, &token);
            }
            Ok(())
        })
        .await?;
        let unopened: u64 = sealed.unopened.values().sum();
        if sealed.opened == 0 && unopened > 0 {
            bail!(
                "secrets.keys opens none of the {unopened} secrets in {}, and nothing was changed: name the key files of the \
                 gateway that used it",
                copy.from()
            );
        }
        Ok(sealed)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// A table with a column of this name is new: then it belongs above.
    #[test]
    fn every_sealed_column_is_checked() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let files =
            std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
        let schema: String = files.collect();
        let mut tables: Vec<&str> = schema
            .split("CREATE TABLE ")
            .skip(1)
            .filter(|text| text.split("\n);").next().unwrap().lines().any(|line| line.trim().starts_with("sealed ")))
            .map(|text| text.split(' ').next().unwrap())
            .collect();
        tables.sort_unstable();
        assert_eq!(tables, ["job_step", "queued_task", "user_password"]);
    }
}
