//! Imports users of one biller from a file.
//!
//! The whole file is checked before anything is written. Each transaction advances the import's progress by compare-and-set, so an
//! interrupted import resumes where it stopped and two concurrent imports of one file cannot both write. A transaction ends early
//! if another process waits for the database.

mod check;
mod columns;
mod encoding;
mod error;
mod file;
mod format;
mod leading_zeros;
mod passwords;
mod row;
mod run;
mod types;
mod write;

pub use encoding::TextEncoding;
pub use error::ImportError;
pub use format::{Delimiter, Format, decode};
pub use row::is_mail_address;
pub use types::{ImportContext, Options, Progress, ProgressSink, Summary};
