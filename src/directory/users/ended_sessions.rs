//! Ends the sessions of users who may no longer sign in, in the transaction of the change.

use crate::db::{DbError, Sql, Tx};
use crate::{sql, values};
use signpost_core::Timestamp;

const END: Sql = sql!("UPDATE biller_session SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL");
const END_AT_BILLER: Sql =
    sql!("UPDATE biller_session SET ended_at = $3 WHERE user_id = $1 AND biller_id = $2 AND ended_at IS NULL");

/// Ends a user's sessions at every biller.
pub(super) async fn end(tx: &mut Tx, user: &str, now: Timestamp) -> Result<(), DbError> {
    tx.run(END, values![user, now]).await.map(drop)
}

/// Ends a user's sessions at one biller.
pub(super) async fn end_at_biller(tx: &mut Tx, user: &str, biller: &str, now: Timestamp) -> Result<(), DbError> {
    tx.run(END_AT_BILLER, values![user, biller, now]).await.map(drop)
}
