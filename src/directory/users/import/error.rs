//! Why an import fails.

use crate::db::DbError;
use crate::directory::DirectoryError;

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("the file cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// The file is no text that Signpost can read. The message says how to export one.
    #[error("nothing was written: {0}")]
    Format(String),
    /// The header does not name the columns.
    #[error("nothing was written: {0}")]
    Header(String),
    #[error("{rows} row(s) are invalid, nothing was written:\n{}{}", .messages.join("\n"), more(*.problems, .messages.len()))]
    Invalid {
        rows: usize,
        problems: usize,
        /// The first problems, each with its line.
        messages: Vec<String>,
    },
    #[error("another import of this file is running; this one stopped")]
    AlreadyRunning,
    #[error("the file changed during the import ({0}); some of its rows were written")]
    Changed(String),
    #[error("{0}; run the same import again to resume it")]
    Directory(#[from] DirectoryError),
}

fn more(problems: usize, messages: usize) -> String {
    if problems > messages { format!("\n… and {} more", problems - messages) } else { String::new() }
}

impl From<DbError> for ImportError {
    fn from(error: DbError) -> Self {
        Self::Directory(error.into())
    }
}
