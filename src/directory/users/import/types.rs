//! What goes into an import and comes out of it.

use super::format::Format;
use crate::audit::ActorContext;
use signpost_core::KeyRing;

/// Few enough that a waiting writer does not wait long.
pub(super) const ROWS_PER_BATCH: usize = 500;
/// If no other writer waits.
pub(super) const BATCHES_PER_TRANSACTION: usize = 16;
/// Rows that are sorted together.
pub(super) const SORT_WINDOW_ROWS: usize = 64_000;

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether these users have accounts in the legacy system.
    pub legacy_accounts: bool,
    /// Check the file without writing anything.
    pub dry_run: bool,
    /// Reject files with plaintext passwords instead of hashing them.
    pub refuse_plain_passwords: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct ImportContext<'a> {
    pub actor: &'a ActorContext,
    /// Seals password hashes.
    pub keys: &'a KeyRing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What was detected of the file.
    pub format: Format,
    /// Rows in the file.
    pub rows: u64,
    /// Further rows, of delimiters only.
    pub skipped_rows: u64,
    /// New users, and new memberships of users that another biller had.
    pub created: i64,
    pub updated: i64,
    /// Rows that an interrupted import of the same file had written.
    pub resumed_after: i64,
}

/// Bytes of the file while checking, rows while writing.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// `checking` or `writing`.
    pub phase: &'static str,
    pub done: u64,
    pub total: u64,
}

/// Called every few thousand rows.
pub type ProgressSink<'p> = &'p (dyn Fn(Progress) + Sync);
