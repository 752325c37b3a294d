//! What staff do here, kept where it can be looked up.

use super::Console;
use super::staff::Staff;

impl Console {
    /// Keeps that somebody looks something up, before it is done. Names in it are masked.
    pub(super) fn note(&self, staff: &Staff, action: &'static str, about: &str, reason: Option<&str>) {
        let (who, name) = (staff.person(), staff.name.as_str());
        tracing::info!(target: "signpost::audit", who, name, action, about, reason, "staff");
    }
}
