//! Whether a path still names the SQLite file that was opened.
//!
//! A file that is renamed or deleted stays open, and what is written to it is gone at the next start. A connection to a file
//! that took its place would read the log of the other one. So neither is used until the file is back.

use std::fs::metadata;
use std::io::Error;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Device and inode of the file, once it is open.
#[derive(Debug)]
pub(super) struct FileIdentity {
    path: PathBuf,
    opened: OnceLock<(u64, u64)>,
}

impl FileIdentity {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), opened: OnceLock::new() }
    }

    /// Records the file. Call it after the first connection: the first write can give a file of an overlay another inode.
    pub(super) fn record(&self) -> Result<(), sqlx::Error> {
        let found = self.find().map_err(sqlx::Error::Io)?;
        self.opened.get_or_init(|| found);
        Ok(())
    }

    /// One system call.
    pub(super) fn check(&self) -> Result<(), sqlx::Error> {
        let Some(opened) = self.opened.get() else { return Ok(()) };
        if self.find().is_ok_and(|found| found == *opened) {
            return Ok(());
        }
        let text = "the database file was replaced or deleted while Signpost runs: put it back, or restart Signpost";
        Err(sqlx::Error::Io(Error::other(text)))
    }

    fn find(&self) -> Result<(u64, u64), Error> {
        metadata(&self.path).map(|found| (found.dev(), found.ino()))
    }
}
