//! How commands print.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::CliResult;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// The option of every command that prints.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Output {
    /// Readable text, or JSON with the field names of the API
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

impl Output {
    /// Prints a value as one line of JSON, or as text.
    pub(super) fn print(self, value: &impl Serialize, print_text: impl FnOnce()) -> CliResult {
        match self.format {
            Format::Json => outln!("{}", serde_json::to_string(value)?),
            Format::Text => print_text(),
        }
        Ok(())
    }
}
