//! What staff do here, kept in the audit trail.

use super::Console;
use super::staff::Staff;
use crate::audit::{ActorContext, AuditEvent};
use crate::web::HttpError;

impl Console {
    /// The signed-in staff member as the actor of an audit event.
    pub(super) fn actor_context(&self, staff: &Staff) -> ActorContext {
        ActorContext::new(staff.actor(), &self.app.clock, &self.app.random)
    }

    /// Records a lookup before it runs.
    pub(super) async fn record(&self, staff: &Staff, event: AuditEvent, reason: Option<&str>) -> Result<(), HttpError> {
        let actor = self.actor_context(staff);
        let actor = match reason {
            Some(reason) => actor.because(reason),
            None => actor,
        };
        Ok(actor.record_alone(&self.app.db, event).await?)
    }
}
