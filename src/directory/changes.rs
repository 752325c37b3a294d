//! Changes by operators: one transaction each, seen by the next request on every instance.

use serde_json::{Map, Value as Json, json};

use super::{Biller, Directory, DirectoryError, store};
use crate::audit::{Act, Action, By};
use crate::db::Tx;
use crate::values;
use signpost_core::Slug;
use signpost_core::decision::Kill;

const SET_ORDER: &str = "INSERT INTO standing_order (name, value, set_at) VALUES ($1, $2, $3) \
     ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_at = excluded.set_at";

impl Directory {
    /// Changes a biller; answers whether there is one.
    ///
    /// # Errors
    /// The database failed; nothing was changed then.
    pub async fn change_biller(
        &self,
        slug: &Slug,
        (by, action): (&By, Action),
        change: impl FnOnce(&mut Biller),
    ) -> Result<bool, DirectoryError> {
        let mut tx = self.db.begin().await?;
        let is_there = self.change_biller_in(&mut tx, slug, (by, Act::of(action)), change).await?;
        tx.commit().await?;
        Ok(is_there)
    }

    /// The same within a transaction that changes something else as well. The act is completed by what has changed.
    ///
    /// # Errors
    /// The database failed.
    pub async fn change_biller_in(
        &self,
        tx: &mut Tx,
        slug: &Slug,
        (by, act): (&By, Act),
        change: impl FnOnce(&mut Biller),
    ) -> Result<bool, DirectoryError> {
        store::bump(tx).await?;
        let known = store::load_billers_in(tx).await?;
        let Some(found) = known.by_slug(slug) else { return Ok(false) };
        let mut biller = (**found).clone();
        change(&mut biller);
        store::drop_hosts(tx, &biller).await?;
        store::put_biller(tx, &biller, by.now()).await?;
        by.note(tx, act.at(slug).with("changes", changes(Some(found), &biller))).await?;
        Ok(true)
    }

    /// Sets the kill switch for every instance.
    ///
    /// # Errors
    /// The database failed; nothing was changed then.
    pub async fn set_kill_switch(&self, kill: &Kill, by: &By) -> Result<(), DirectoryError> {
        let mut tx = self.db.begin().await?;
        store::bump(&mut tx).await?;
        tx.run(SET_ORDER, values![store::KILL_SWITCH, kill.to_string(), by.now()]).await?;
        let act = Act::of(Action::KillSwitchSet).with("order", kill.to_string());
        let act = if let Kill::BillerLegacy(slug) = kill { act.at(slug) } else { act };
        by.note(&mut tx, act).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// What is different about a biller, before and after: plain values as they are, of everything else that it changed. Neither
/// secrets nor usernames.
pub(super) fn changes(before: Option<&Biller>, after: &Biller) -> Json {
    let (before, after) = (before.map(told).unwrap_or_default(), told(after));
    let mut changes = Map::new();
    for (name, value) in &after {
        let was = before.get(name).unwrap_or(&Json::Null);
        if was == value {
            continue;
        }
        let is_plain = |value: &Json| !value.is_array() && !value.is_object();
        let is_told = name == "hosts" || (is_plain(was) && is_plain(value));
        changes.insert(name.clone(), if is_told { json!([was, value]) } else { json!("changed") });
    }
    Json::Object(changes)
}

fn told(biller: &Biller) -> Map<String, Json> {
    let mut told = match json!(biller.settings) {
        Json::Object(settings) => settings,
        _ => Map::new(),
    };
    told.insert("name".to_owned(), json!(biller.name));
    told.insert("state".to_owned(), json!(biller.state));
    told.insert("active_from".to_owned(), json!(biller.active_from.map(|at| at.to_string())));
    told.insert("hosts".to_owned(), json!(biller.hosts));
    told
}
