//! What the mail module is built from.

use std::sync::Arc;
use std::time::Duration;

use super::queue::TaskQueue;
use super::transport::Transport;
use crate::access::RateLimits;
use crate::config::Config;
use crate::db::Db;
use crate::directory::Directory;
use crate::provisioning::Provisioning;
use crate::queue::RetryPolicy;
use crate::routing::Routing;
use crate::telemetry::Traces;
use signpost_core::{Clock, KeyRing, Random};

/// The task queue and its workers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mail {
    pub(super) queue: TaskQueue,
    pub(super) directory: Directory,
    pub(super) routing: Routing,
    pub(super) provisioning: Provisioning,
    pub(super) limits: Arc<RateLimits>,
    pub(super) clock: Clock,
    pub(super) transport: Option<Transport>,
    pub(super) retry_policy: RetryPolicy,
    pub(super) config: Arc<Config>,
    pub(super) traces: Traces,
}

#[derive(Clone, Debug)]
pub struct Deps {
    pub db: Db,
    /// Seals queued tasks.
    pub keys: KeyRing,
    pub random: Random,
    pub clock: Clock,
    pub directory: Directory,
    pub routing: Routing,
    pub provisioning: Provisioning,
    /// Limits mails to an address.
    pub limits: Arc<RateLimits>,
    pub config: Arc<Config>,
    pub traces: Traces,
}

impl Mail {
    /// # Errors
    /// A message that names the setting and its problem.
    pub fn new(deps: Deps) -> Result<Self, String> {
        let Deps { db, keys, random, clock, directory, routing, provisioning, limits, config, traces } = deps;
        let transport = Transport::new(&config.mail)?;
        let retry_policy = RetryPolicy {
            initial_delay: Duration::from_secs(30),
            max_delay: Duration::from_secs(30 * 60),
            give_up_after: Some(Duration::from_secs(config.mail.max_retry_hours * 3600)),
        };
        let queue = TaskQueue::new(db, keys, clock.clone(), random);
        Ok(Self { queue, directory, routing, provisioning, limits, clock, transport, retry_policy, config, traces })
    }
}
