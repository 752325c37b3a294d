//! Claims: due rows of a table get a new owner.

use std::time::Duration;

use super::Lease;
use crate::db::{Db, DbError, Row, Sql};
use crate::values;
use signpost_core::{Clock, Random, Timestamp, ids};

/// How a table is claimed.
#[derive(Clone, Copy, Debug)]
pub struct Statements {
    /// Returns a row if any is due at `$1` and not leased. It runs before `claim`, so that an idle worker takes no write lock.
    pub has_due: Sql,
    /// Sets `fencing_token = $1` and `lease_until = $2` on rows that are due at `$3` and whose `lease_until < $3`, and returns
    /// them. Of two concurrent claims of a row, the second sees the first one's lease and skips the row.
    pub claim: Sql,
}

/// A table of durable work. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    db: Db,
    clock: Clock,
    random: Random,
    lease_time: Duration,
    statements: Statements,
}

impl Queue {
    pub fn new(db: Db, (clock, random): (Clock, Random), lease_time: Duration, statements: Statements) -> Self {
        Self { db, clock, random, lease_time, statements }
    }

    /// Claims due rows. Returns `None` when no row is due or another worker was faster.
    pub async fn claim(&self) -> Result<Option<(Lease, Vec<Row>)>, DbError> {
        let now = self.clock.now();
        if self.db.one(self.statements.has_due, values![now]).await?.is_none() {
            return Ok(None);
        }
        let until = now.plus(self.lease_time);
        let lease = Lease::new(ids::uuid_v7(now, &self.random), until);
        let mut tx = self.db.begin().await?;
        let rows = tx.all(self.statements.claim, values![lease.fencing_token(), until, now]).await?;
        tx.commit().await?;
        Ok((!rows.is_empty()).then_some((lease, rows)))
    }

    /// The end of a lease that is renewed now.
    pub fn lease_end(&self) -> Timestamp {
        self.clock.now().plus(self.lease_time)
    }

    pub fn lease_time(&self) -> Duration {
        self.lease_time
    }
}
