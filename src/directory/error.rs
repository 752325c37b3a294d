//! Why the directory could not answer.

use crate::db::DbError;

#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error(transparent)]
    Db(#[from] DbError),
    /// A row holds what this version cannot read.
    #[error("a stored record cannot be read: {0}")]
    Corrupt(String),
}

pub(super) fn corrupt(what: &str) -> DirectoryError {
    DirectoryError::Corrupt(what.to_owned())
}
