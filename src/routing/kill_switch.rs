//! The source of the kill switch. A file on this machine comes first, since it works without the database. Then comes the
//! value in the database, which applies to every instance, then the configuration. Every request reads all three.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Routing;
use crate::directory::Billers;
use signpost_core::decision::KillSwitchState;

#[derive(Clone, Debug)]
pub struct KillSwitch {
    settings: KillSwitchState,
    file: Option<PathBuf>,
    last: Arc<Mutex<CachedFile>>,
}

#[derive(Debug, Default)]
struct CachedFile {
    text: Option<String>,
    /// An invalid text leaves the previous state in effect.
    state: Option<KillSwitchState>,
}

impl KillSwitch {
    pub fn new(routing: &Routing) -> Self {
        Self { settings: routing.kill_switch.clone(), file: routing.kill_switch_file.clone(), last: Arc::default() }
    }

    pub fn current(&self, billers: &Billers) -> KillSwitchState {
        self.read_file().or_else(|| billers.kill_switch().cloned()).unwrap_or_else(|| self.settings.clone())
    }

    /// The state that this machine's file sets. `None`: there is no file.
    pub(super) fn read_file(&self) -> Option<KillSwitchState> {
        let path = self.file.as_ref()?;
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "the kill switch file cannot be read; the last known state stays in effect");
                return self.last.lock().unwrap_or_else(PoisonError::into_inner).state.clone();
            }
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.text != text {
            last.state = match text.as_deref().map(str::parse::<KillSwitchState>) {
                None => None,
                Some(Ok(state)) => {
                    tracing::warn!(%state, "the kill switch file was changed");
                    Some(state)
                }
                Some(Err(problem)) => {
                    tracing::error!(file = %path.display(), problem, "the kill switch file is invalid; the previous state stays in effect");
                    last.state.take()
                }
            };
            last.text = text;
        }
        last.state.clone()
    }
}
