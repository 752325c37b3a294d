//! The envelope of a token that expires.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use signpost_core::{Clock, Random, Timestamp};

/// The content of a token, with an id and the time of issue. It is sealed under the purpose of its content.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Envelope<T> {
    pub id: String,
    pub at: Timestamp,
    #[serde(flatten)]
    pub content: T,
}

impl<T> Envelope<T> {
    pub fn new(clock: &Clock, random: &Random, content: T) -> Self {
        Self { id: random.token::<16>(), at: clock.now(), content }
    }

    /// The same envelope around other content.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Envelope<U> {
        Envelope { id: self.id, at: self.at, content: change(self.content) }
    }

    pub fn is_expired(&self, lifetime: Duration, now: Timestamp) -> bool {
        self.at.plus(lifetime) <= now
    }
}
