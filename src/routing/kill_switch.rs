//! The kill switch: where its order comes from.
//!
//! A file on this machine counts first (it works with the database gone), then what was set for every instance, then the
//! settings. All of them are looked at on every request.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Routing;
use crate::directory::Billers;
use signpost_core::decision::KillSwitchState;

/// The orders there are.
#[derive(Clone, Debug)]
pub struct KillSwitch {
    settings: KillSwitchState,
    file: Option<PathBuf>,
    last: Arc<Mutex<CachedFile>>,
}

/// The file as it was when its text last changed.
#[derive(Debug, Default)]
struct CachedFile {
    text: Option<String>,
    /// What it orders; a text that cannot be understood leaves the order before it in force.
    state: Option<KillSwitchState>,
}

impl KillSwitch {
    /// By the settings.
    pub fn new(routing: &Routing) -> Self {
        Self { settings: routing.kill_switch.clone(), file: routing.kill_switch_file.clone(), last: Arc::default() }
    }

    /// The order in force.
    pub fn current(&self, billers: &Billers) -> KillSwitchState {
        self.read_file().or_else(|| billers.kill_switch().cloned()).unwrap_or_else(|| self.settings.clone())
    }

    /// What the file orders; none while there is no file.
    fn read_file(&self) -> Option<KillSwitchState> {
        let path = self.file.as_ref()?;
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "the kill switch's file cannot be read");
                return self.last.lock().unwrap_or_else(PoisonError::into_inner).state.clone();
            }
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.text != text {
            last.state = match text.as_deref().map(str::parse::<KillSwitchState>) {
                None => None,
                Some(Ok(state)) => {
                    tracing::warn!(%state, "the kill switch's file was changed");
                    Some(state)
                }
                Some(Err(problem)) => {
                    tracing::error!(file = %path.display(), problem, "the kill switch's file is not understood");
                    last.state.take()
                }
            };
            last.text = text;
        }
        last.state.clone()
    }
}
