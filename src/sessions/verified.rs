//! Sessions that this instance verified moments ago. They bridge an outage of the database that is shorter than
//! `sessions.verify_grace_seconds`: a reverse proxy must not send signed-in users away because we could not look them up.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use signpost_core::text::sha256;
use signpost_core::{Slug, Timestamp};

/// More sessions than this are not remembered.
const MAX_SESSIONS: usize = 50_000;

/// The user of a session that was verified.
#[derive(Clone, Debug)]
pub struct VerifiedUser {
    pub username: String,
    pub subject: String,
    pub auth_time: Timestamp,
}

/// By the hash of the session id, and biller.
#[derive(Debug, Default)]
pub struct VerifiedSessions(Mutex<HashMap<(String, Slug), (VerifiedUser, Timestamp)>>);

impl VerifiedSessions {
    pub fn remember(&self, session: &str, biller: &Slug, user: VerifiedUser, (now, grace): (Timestamp, Duration)) {
        let mut entries = self.lock();
        if grace > Duration::ZERO && entries.len() < MAX_SESSIONS {
            entries.insert((sha256(session.as_bytes()), biller.clone()), (user, now));
        }
    }

    /// Forgets the sessions that were verified longer than `grace` ago.
    pub fn purge(&self, (now, grace): (Timestamp, Duration)) {
        let mut entries = self.lock();
        entries.retain(|_, (_, at)| at.plus(grace) > now);
        // A map does not shrink by itself after a busy hour.
        let kept = entries.len();
        entries.shrink_to(2 * kept);
    }

    /// The user, if the session was verified less than `grace` ago.
    pub fn find(&self, session: &str, biller: &Slug, (now, grace): (Timestamp, Duration)) -> Option<VerifiedUser> {
        let (user, at) = self.lock().get(&(sha256(session.as_bytes()), biller.clone()))?.clone();
        (at.plus(grace) > now).then_some(user)
    }

    /// Forgets a session that is not valid any more.
    pub fn forget(&self, session: &str, biller: &Slug) {
        self.lock().remove(&(sha256(session.as_bytes()), biller.clone()));
    }

    /// Forgets all sessions, because some of them have ended.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, Slug), (VerifiedUser, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
