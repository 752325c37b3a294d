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
    /// What a file that cannot be understood stands for.
    invalid_file: KillSwitchState,
    /// What was logged last.
    last: Arc<Mutex<Option<FileReading>>>,
}

type FileReading = Result<KillSwitchState, String>;

impl KillSwitch {
    pub fn new(routing: &Routing) -> Self {
        Self {
            settings: routing.kill_switch.clone(),
            file: routing.kill_switch_file.clone(),
            invalid_file: routing.invalid_kill_switch_file.clone(),
            last: Arc::default(),
        }
    }

    /// Takes the place of another one under other settings. What was logged about the same file is not logged again.
    pub(super) fn continuing(self, previous: &Self) -> Self {
        if self.file == previous.file { Self { last: Arc::clone(&previous.last), ..self } } else { self }
    }

    pub fn current(&self, billers: &Billers) -> KillSwitchState {
        self.in_file().or_else(|| billers.kill_switch().cloned()).unwrap_or_else(|| self.settings.clone())
    }

    /// The state that this machine's file sets. `None`: there is no file.
    pub(super) fn in_file(&self) -> Option<KillSwitchState> {
        self.read_file().map(|read| read.unwrap_or_else(|_| self.invalid_file.clone()))
    }

    /// Why this machine's file cannot be understood, and what is in effect instead.
    pub fn file_problem(&self) -> Option<String> {
        self.read_file()?.err()
    }

    /// `None`: there is no file.
    fn read_file(&self) -> Option<FileReading> {
        let path = self.file.as_ref()?;
        let read = match std::fs::read(path) {
            Ok(bytes) => Some(parse(&bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => Some(Err(error.to_string())),
        };
        let read = read.map(|read| {
            read.map_err(|reason| {
                let (path, effective) = (path.display(), &self.invalid_file);
                format!(
                    "{path}: {reason}; {effective} is in effect (routing.invalid_kill_switch_file). \
                     Correct the file, or delete it with `signpost kill-switch remove --file`"
                )
            })
        });
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != read {
            match &read {
                None => tracing::warn!(file = %path.display(), "the kill switch file was deleted"),
                Some(Ok(state)) => tracing::warn!(%state, "the kill switch file was changed"),
                Some(Err(problem)) => tracing::error!(problem, "the kill switch file cannot be understood"),
            }
            last.clone_from(&read);
        }
        read
    }
}

/// Reads the file's text, which editors may begin with a byte order mark.
fn parse(bytes: &[u8]) -> Result<KillSwitchState, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
    text.trim_start_matches('\u{feff}').parse()
}
