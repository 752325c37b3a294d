//! Work that is done after an answer, so that the answer's bytes and time tell nothing: sign-in links by mail, password
//! resets. A request costs one row, the same for everybody; a worker looks up later who it is and what there is to do.

mod address;
mod links;
mod login_address;
mod messages;
mod queue;
mod reset;
mod transport;
mod worker;

pub use login_address::LoginAddressError;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::access::RateLimits;
use crate::config::Config;
use crate::db::{Db, DbError};
use crate::directory::{Directory, UserContact};
use crate::provisioning::Provisioning;
use crate::routing::Routing;
use signpost_core::{Clock, KeyRing, Locale, Random, Slug, UsernameInput};

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum QueuedTask {
    /// Mail somebody their sign-in links.
    SignInLinks { input: String, locale: Locale },
    /// Find out where somebody's passwords live, and have them reset there.
    PasswordReset { input: String, slug: Option<Slug>, locale: Locale },
    /// Have SecureAuth send its reset mail.
    SecureauthReset(UserContact),
    /// Send a mail.
    Email(Email),
}

impl QueuedTask {
    fn kind(&self) -> &'static str {
        match self {
            Self::SignInLinks { .. } => "sign_in_links",
            Self::PasswordReset { .. } => "password_reset",
            Self::SecureauthReset(_) => "secureauth_reset",
            Self::Email(_) => "email",
        }
    }
}

/// A mail as it will be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Email {
    to: String,
    subject: String,
    text: String,
    html: String,
}

/// The queue and its workers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mail {
    queue: queue::Queue,
    directory: Directory,
    routing: Routing,
    provisioning: Provisioning,
    limits: Arc<RateLimits>,
    clock: Clock,
    transport: Option<transport::Transport>,
    give_up_after: Duration,
    config: Arc<Config>,
}

/// What the room is built from.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The database.
    pub db: Db,
    /// Seals what waits.
    pub keys: KeyRing,
    /// Makes ids.
    pub random: Random,
    /// Time.
    pub clock: Clock,
    /// Billers and users.
    pub directory: Directory,
    /// The decision.
    pub routing: Routing,
    /// Knows where billers were moved to.
    pub provisioning: Provisioning,
    /// Limits of mails to an address.
    pub limits: Arc<RateLimits>,
    /// Settings.
    pub config: Arc<Config>,
}

impl Mail {
    /// By the settings.
    ///
    /// # Errors
    /// A sentence that says what is wrong with them.
    pub fn new(deps: Deps) -> Result<Self, String> {
        let Deps { db, keys, random, clock, directory, routing, provisioning, limits, config } = deps;
        let transport = transport::Transport::new(&config.mail)?;
        let give_up_after = Duration::from_secs(config.mail.max_retry_hours * 3600);
        let queue = queue::Queue { db, keys, random };
        Ok(Self { queue, directory, routing, provisioning, limits, clock, transport, give_up_after, config })
    }

    /// Whether mails can be sent at all.
    pub fn is_enabled(&self) -> bool {
        self.transport.is_some()
    }

    /// Whether the mail server answers; none: there is none.
    pub async fn check_connection(&self) -> Option<bool> {
        match &self.transport {
            Some(transport) => Some(transport.check_connection().await),
            None => None,
        }
    }

    /// How much waits to be done, and how much of it was tried before.
    ///
    /// # Errors
    /// The database failed.
    pub async fn pending_counts(&self) -> Result<(i64, i64), DbError> {
        self.queue.pending_counts().await
    }

    /// Asks for somebody's sign-in links, by mail address or username. One row, whoever it is.
    ///
    /// # Errors
    /// The database failed.
    pub async fn enqueue_sign_in_links(&self, input: &UsernameInput, locale: Locale) -> Result<(), DbError> {
        let task = QueuedTask::SignInLinks { input: input.raw().to_owned(), locale };
        self.queue.enqueue(&task, self.clock.now()).await
    }

    /// Asks for a password reset: at one biller, or wherever the decision finds the person. One row, whoever it is.
    ///
    /// # Errors
    /// The database failed.
    pub async fn enqueue_password_reset(
        &self,
        input: &UsernameInput,
        slug: Option<&Slug>,
        locale: Locale,
    ) -> Result<(), DbError> {
        let task = QueuedTask::PasswordReset { input: input.raw().to_owned(), slug: slug.cloned(), locale };
        self.queue.enqueue(&task, self.clock.now()).await
    }
}
