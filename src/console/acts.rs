//! What staff do here, kept in the audit trail.

use super::Console;
use super::staff::Staff;
use crate::audit::{Act, By};
use crate::web::Refusal;

impl Console {
    /// Somebody of the staff, as whoever writes an act needs it.
    pub(super) fn by(&self, staff: &Staff) -> By {
        By::new(staff.actor(), &self.app.clock, &self.app.random)
    }

    /// Keeps that somebody looks something up, before it is done.
    pub(super) async fn note(&self, staff: &Staff, act: Act, reason: Option<&str>) -> Result<(), Refusal> {
        let by = self.by(staff);
        let by = match reason {
            Some(reason) => by.because(reason),
            None => by,
        };
        Ok(by.note_alone(&self.app.db, act).await?)
    }
}
