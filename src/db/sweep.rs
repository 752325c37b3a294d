//! Deletes many rows without keeping other writers waiting.

use super::error::DbError;
use super::handle::Db;
use super::row::Value;
use super::statement::Sql;

/// Rows that one statement of a sweep deletes. The statements repeat the number.
pub const ROWS_PER_SWEEP_STATEMENT: u64 = 100;

impl Db {
    /// Repeats a statement that deletes at most [`ROWS_PER_SWEEP_STATEMENT`] rows until there are no more of them. Each is
    /// committed by itself, and waiting writers go first. Returns how many rows were deleted.
    pub async fn sweep(&self, sql: Sql, values: Vec<Value>) -> Result<u64, DbError> {
        let mut swept = 0;
        loop {
            let rows = self.run(sql, values.clone()).await?;
            tracing::trace!(target: "signpost::sweeps", statement = sql.text(), rows);
            swept += rows;
            if rows < ROWS_PER_SWEEP_STATEMENT {
                return Ok(swept);
            }
            self.yield_to_waiters().await;
        }
    }
}
