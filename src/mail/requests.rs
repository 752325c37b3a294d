//! What handlers ask of the mail module.

use super::{Mail, QueuedTask, TaskBacklog};
use crate::access::Requester;
use crate::db::DbError;
use signpost_core::{Locale, Slug, UsernameInput};

impl Mail {
    /// Whether a mail server is configured.
    pub fn is_enabled(&self) -> bool {
        self.transport.is_some()
    }

    /// Whether the mail server responds. `None` if none is configured.
    pub async fn check_connection(&self) -> Option<bool> {
        match &self.transport {
            Some(transport) => Some(transport.check_connection().await),
            None => None,
        }
    }

    /// The queued tasks.
    pub async fn backlog(&self) -> Result<TaskBacklog, DbError> {
        self.queue.backlog().await
    }

    /// Requests sign-in links by mail address or username. This adds one row, whether or not the user exists.
    pub async fn enqueue_sign_in_links(
        &self,
        input: &UsernameInput,
        requester: Requester,
        locale: Locale,
    ) -> Result<(), DbError> {
        let task = QueuedTask::SignInLinks { input: input.raw().to_owned(), requester, locale };
        self.queue.enqueue(&task, self.clock.now()).await
    }

    /// Requests a password reset at one biller, or where the routing decision finds the user. This adds one row, whether or
    /// not the user exists.
    pub async fn enqueue_password_reset(
        &self,
        input: &UsernameInput,
        slug: Option<&Slug>,
        requester: Requester,
        locale: Locale,
    ) -> Result<(), DbError> {
        let task = QueuedTask::PasswordReset { input: input.raw().to_owned(), slug: slug.cloned(), requester, locale };
        self.queue.enqueue(&task, self.clock.now()).await
    }
}
