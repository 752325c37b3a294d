//! Lets a bulk import give way to other writers.
//!
//! SQLite has one writer at a time and does not tell it that others wait. A waiting writer holds a shared lock on a file
//! beside the database; a process that holds the write lock for long checks whether one does.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Waiting writers retry every millisecond: this lets dozens of them through.
const MAX_YIELD: Duration = Duration::from_millis(50);

#[derive(Clone, Debug)]
pub(super) struct WriterQueue {
    path: PathBuf,
}

impl WriterQueue {
    pub(super) fn for_database(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-writers");
        Self { path: path.into() }
    }

    fn open(&self) -> Option<File> {
        File::options().create(true).append(true).mode(0o600).open(&self.path).ok()
    }

    /// Joins the queue until the returned file is dropped. Returns `None` if the file cannot be locked; the caller then waits
    /// without being noticed.
    pub(super) fn enqueue(&self) -> Option<File> {
        let file = self.open()?;
        file.try_lock_shared().ok()?;
        Some(file)
    }

    pub(super) fn has_waiting_writers(&self) -> bool {
        self.open().is_some_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Waits until the queue is empty, at most [`MAX_YIELD`].
    pub(super) async fn yield_to_waiters(&self) {
        let deadline = Instant::now() + MAX_YIELD;
        while self.has_waiting_writers() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
