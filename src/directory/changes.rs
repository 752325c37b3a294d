//! Changes by operators: one transaction each, seen by the next request on every instance.

use super::{Biller, Directory, DirectoryError, store};
use crate::db::Tx;
use crate::decision::Kill;
use crate::kernel::{Clock, Slug, Timestamp};
use crate::values;

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
        clock: &Clock,
        change: impl FnOnce(&mut Biller),
    ) -> Result<bool, DirectoryError> {
        let mut tx = self.db.begin().await?;
        let is_there = self.change_biller_in(&mut tx, slug, clock.now(), change).await?;
        tx.commit().await?;
        Ok(is_there)
    }

    /// The same within a transaction that changes something else as well.
    ///
    /// # Errors
    /// The database failed.
    pub async fn change_biller_in(
        &self,
        tx: &mut Tx,
        slug: &Slug,
        now: Timestamp,
        change: impl FnOnce(&mut Biller),
    ) -> Result<bool, DirectoryError> {
        store::bump(tx).await?;
        let known = store::load_billers_in(tx).await?;
        let Some(found) = known.by_slug(slug) else { return Ok(false) };
        let mut biller = (**found).clone();
        change(&mut biller);
        store::drop_hosts(tx, &biller).await?;
        store::put_biller(tx, &biller, now).await?;
        Ok(true)
    }

    /// Sets the kill switch for every instance.
    ///
    /// # Errors
    /// The database failed; nothing was changed then.
    pub async fn set_kill_switch(&self, kill: &Kill, clock: &Clock) -> Result<(), DirectoryError> {
        let mut tx = self.db.begin().await?;
        store::bump(&mut tx).await?;
        tx.run(SET_ORDER, values![store::KILL_SWITCH, kill.to_string(), clock.now()]).await?;
        tx.commit().await?;
        Ok(())
    }
}
