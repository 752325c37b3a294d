//! What pages are made with.

use std::sync::Arc;

use axum::extract::FromRef;

use crate::audit::DecisionLog;
use crate::config::Config;
use crate::state::AppState;
use signpost_core::{Clock, KeyRing, ReferenceCode};

/// The services that pages need. None of them reads the directory.
#[derive(Clone, Debug)]
pub(super) struct PageContext {
    pub config: Arc<Config>,
    pub keys: KeyRing,
    pub clock: Clock,
    pub decisions: DecisionLog,
    /// A mail server is configured.
    pub can_send_mail: bool,
}

impl FromRef<AppState> for PageContext {
    fn from_ref(state: &AppState) -> Self {
        Self {
            config: Arc::clone(&state.config),
            keys: state.keys.clone(),
            clock: state.clock.clone(),
            decisions: state.decisions.clone(),
            can_send_mail: state.mail.is_enabled(),
        }
    }
}

impl PageContext {
    /// A reference code for a page without a decision.
    pub(super) fn new_code(&self) -> ReferenceCode {
        self.decisions.page_code()
    }

    /// The return target, if the settings allow it.
    pub(super) fn resolve_return_to(&self, requested: Option<&str>) -> Option<String> {
        let resolved = self.config.return_to.resolve(requested?);
        if resolved.is_none() {
            tracing::info!("a return target is not among the settings' [return_to]; the portal's start page is used");
        }
        resolved
    }
}
