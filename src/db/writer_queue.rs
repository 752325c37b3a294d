//! Who writes much gives way. SQLite has one writer at a time and does not tell it that others wait: whoever waits shows it
//! by a shared lock on a file beside the database, and who holds the database long looks whether anybody does.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Whoever waits looks for the database each millisecond; this is enough for many of them.
const MAX_YIELD: Duration = Duration::from_millis(50);

/// The file that shows who waits.
#[derive(Clone, Debug)]
pub struct WriterQueue {
    path: PathBuf,
}

impl WriterQueue {
    pub(super) fn for_database(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-writers");
        Self { path: path.into() }
    }

    fn open(&self) -> Option<File> {
        File::options().create(true).append(true).open(&self.path).ok()
    }

    /// Shows until the file is dropped that somebody waits. Where it cannot be shown the wait is as long as it happens to be.
    pub(super) fn enqueue(&self) -> Option<File> {
        let file = self.open()?;
        file.try_lock_shared().ok()?;
        Some(file)
    }

    pub(super) fn has_waiting_writers(&self) -> bool {
        self.open().is_some_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Waits until nobody else does.
    pub(super) async fn yield_to_waiters(&self) {
        let deadline = Instant::now() + MAX_YIELD;
        while self.has_waiting_writers() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
