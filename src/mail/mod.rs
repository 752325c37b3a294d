//! Work that is done after an answer, so that the answer's bytes and time tell nothing: sign-in links by mail, password
//! resets. A request costs one row, the same for everybody; a worker looks up later who it is and what there is to do.

mod address;
mod contact;
mod letters;
mod links;
mod queue;
mod reset;
mod transport;
mod work;

pub use contact::TellError;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::access::Limits;
use crate::config::Config;
use crate::db::{Db, DbError};
use crate::directory::{Account, Directory};
use crate::enablement::Enablement;
use crate::routing::Routing;
use signpost_core::{Clock, KeyRing, Locale, Random, Slug, TypedName};

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Errand {
    /// Mail somebody their sign-in links.
    Links { typed: String, locale: Locale },
    /// Find out where somebody's passwords live, and have them reset there.
    Reset { typed: String, slug: Option<Slug>, locale: Locale },
    /// Have SecureAuth send its reset mail.
    SecureauthReset(Account),
    /// Send a mail.
    Letter(Letter),
}

impl Errand {
    fn kind(&self) -> &'static str {
        match self {
            Self::Links { .. } => "links",
            Self::Reset { .. } => "reset",
            Self::SecureauthReset(_) => "secureauth_reset",
            Self::Letter(_) => "letter",
        }
    }
}

/// A mail as it will be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Letter {
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
    enablement: Enablement,
    limits: Arc<Limits>,
    clock: Clock,
    transport: Option<transport::Transport>,
    give_up_after: Duration,
    config: Arc<Config>,
}

/// What the room is built from.
#[derive(Clone, Debug)]
pub struct Parts {
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
    pub enablement: Enablement,
    /// Limits of mails to an address.
    pub limits: Arc<Limits>,
    /// Settings.
    pub config: Arc<Config>,
}

impl Mail {
    /// By the settings.
    ///
    /// # Errors
    /// A sentence that says what is wrong with them.
    pub fn new(parts: Parts) -> Result<Self, String> {
        let Parts { db, keys, random, clock, directory, routing, enablement, limits, config } = parts;
        let transport = transport::Transport::new(&config.mail)?;
        let give_up_after = Duration::from_secs(config.mail.give_up_hours * 3600);
        let queue = queue::Queue { db, keys, random };
        Ok(Self { queue, directory, routing, enablement, limits, clock, transport, give_up_after, config })
    }

    /// Whether mails can be sent at all.
    pub fn is_on(&self) -> bool {
        self.transport.is_some()
    }

    /// Whether the mail server answers; none: there is none.
    pub async fn test(&self) -> Option<bool> {
        match &self.transport {
            Some(transport) => Some(transport.test().await),
            None => None,
        }
    }

    /// How much waits to be done, and how much of it was tried before.
    ///
    /// # Errors
    /// The database failed.
    pub async fn waiting(&self) -> Result<(i64, i64), DbError> {
        self.queue.waiting().await
    }

    /// Asks for somebody's sign-in links, by mail address or username. One row, whoever it is.
    ///
    /// # Errors
    /// The database failed.
    pub async fn ask_for_links(&self, typed: &TypedName, locale: Locale) -> Result<(), DbError> {
        let errand = Errand::Links { typed: typed.typed().to_owned(), locale };
        self.queue.add(&errand, self.clock.now()).await
    }

    /// Asks for a password reset: at one biller, or wherever the decision finds the person. One row, whoever it is.
    ///
    /// # Errors
    /// The database failed.
    pub async fn ask_for_reset(&self, typed: &TypedName, slug: Option<&Slug>, locale: Locale) -> Result<(), DbError> {
        let errand = Errand::Reset { typed: typed.typed().to_owned(), slug: slug.cloned(), locale };
        self.queue.add(&errand, self.clock.now()).await
    }
}
