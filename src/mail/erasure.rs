//! Queued tasks of a person, for exports and erasures.

use super::queue::{self, WaitingTask};
use crate::db::{DbError, Tx};
use signpost_core::UserId;

impl super::Mail {
    /// Tasks that concern the user with this id, or one of these lower-case usernames and mail addresses.
    pub async fn tasks_of(&self, user: Option<&UserId>, names: &[String]) -> Result<Vec<WaitingTask>, DbError> {
        self.queue.concerning(|task| task.concerns(user, names)).await
    }

    /// Deletes tasks in the transaction of an erasure.
    pub async fn erase_tasks(tx: &mut Tx, tasks: &[WaitingTask]) -> Result<(), DbError> {
        for task in tasks {
            queue::remove(tx, &task.id).await?;
        }
        Ok(())
    }
}
