//! How commands print, and how they ask before acts with a wide effect.

use std::fmt;
use std::io::{IsTerminal, Write};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
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
    pub(super) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// With the earlier spelling `--json`.
    pub(super) fn or_json(self, json: bool) -> Self {
        if json { Self { format: Format::Json } } else { self }
    }

    /// Prints a value as one line of JSON, or as text.
    pub(super) fn print(self, value: &impl Serialize, print_text: impl FnOnce()) -> CliResult {
        match self.format {
            Format::Json => outln!("{}", serde_json::to_string(value)?),
            Format::Text => print_text(),
        }
        Ok(())
    }
}

/// Progress on standard error, if that is a terminal. The message names the phase.
pub(super) fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg:>8} {wide_bar} {percent:>3} %  {elapsed}, {eta} to go") {
        bar.set_style(style);
    }
    bar
}

/// The option of commands that ask.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Confirmation {
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
}

/// Nothing was changed, because the answer was no or there was none.
#[derive(Debug)]
pub(super) struct NotConfirmed(String);

impl fmt::Display for NotConfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotConfirmed {}

impl Confirmation {
    /// Before an act that cannot be undone. Without a terminal it needs `--yes`.
    pub(super) fn require(self, act: &str) -> Result<(), NotConfirmed> {
        if self.yes || ask(act)? {
            return Ok(());
        }
        Err(NotConfirmed(format!("{act} needs a confirmation: add --yes. Nothing was changed.")))
    }

    /// Before an act that another command undoes. Scripts need no `--yes`: in an emergency it must not fail.
    pub(super) fn offer(self, act: &str) -> Result<(), NotConfirmed> {
        if !self.yes {
            ask(act)?;
        }
        Ok(())
    }
}

/// Asks at a terminal; `false` without one.
fn ask(act: &str) -> Result<bool, NotConfirmed> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Ok(false);
    }
    let _ = write!(std::io::stderr(), "{act}? [y/N] ");
    let mut answer = String::new();
    let is_yes = input.read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes");
    if is_yes { Ok(true) } else { Err(NotConfirmed("Nothing was changed.".to_owned())) }
}
