//! `signpost secrets`: the key ring file.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use serde_json::json;

use super::CliResult;
use super::operator::{Concerned, Global};
use super::output::Output;
use crate::audit::{Action, AuditEvent};
use crate::config::Secret;
use signpost_core::{Clock, Random};

#[derive(Debug, Subcommand)]
pub(super) enum Arguments {
    /// Create a key file with one new key, readable by its owner only
    #[command(after_help = "Example: signpost secrets create signpost.key")]
    Create {
        /// The new file
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Seal and sign with a new key, or with the prepared one; the other keys still open what they sealed
    ///
    /// Running instances follow within a second.
    #[command(after_help = "Example: signpost secrets rotate")]
    Rotate {
        #[command(flatten)]
        output: Output,
    },
    /// Add a key for the next `rotate`, and publish its public half
    ///
    /// Use it for several instances with copies of the file, and for providers that cache our public keys.
    #[command(after_help = "Example: signpost secrets prepare")]
    Prepare {
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Prepare,
    Rotate,
}

const PREPARED: &str = "prepared";

pub(super) async fn run(global: &Global, arguments: Arguments) -> CliResult {
    match arguments {
        Arguments::Create { file, output } => create(&file, output),
        Arguments::Rotate { output } => change(global, Step::Rotate, output).await,
        Arguments::Prepare { output } => change(global, Step::Prepare, output).await,
    }
}

fn create(path: &Path, output: Output) -> CliResult {
    let cannot_create = || format!("cannot create {}; this command replaces no file", path.display());
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(cannot_create)?;
    writeln!(file, "{}", new_key()).and_then(|()| file.sync_all()).with_context(cannot_create)?;
    output.print(&json!({ "file": path, "keys": 1 }), || outln!("{}: 1 key", path.display()))
}

fn new_key() -> String {
    STANDARD.encode(Random::system().bytes::<32>())
}

async fn change(global: &Global, step: Step, output: Output) -> CliResult {
    let file = ring_file(&global.config)?;
    let session = global.open_for_key(None, Concerned::All).await?;
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let is_key = |line: &String| !line.split('#').next().unwrap_or_default().trim().is_empty();
    let first = lines.iter().position(is_key).unwrap_or(0);
    let prepared = lines.iter().position(|line| line.split_once('#').is_some_and(|(_, note)| note.contains(PREPARED)));
    let now = Clock::System.now();
    let fresh = new_key();
    match (step, prepared) {
        (Step::Prepare, Some(_)) => bail!("a key is prepared already; activate it with `signpost secrets rotate`"),
        (Step::Prepare, None) => lines.insert(first + 1, format!("{fresh}  # {PREPARED} {now}")),
        (Step::Rotate, Some(at)) => {
            let key = lines.remove(at).split('#').next().unwrap_or_default().trim().to_owned();
            lines.insert(first, format!("{key}  # in use since {now}"));
        }
        (Step::Rotate, None) => lines.insert(first, format!("{fresh}  # in use since {now}")),
    }
    super::replace_file(&file, &format!("{}\n", lines.join("\n")))?;
    let how = match step {
        Step::Prepare => "prepare",
        Step::Rotate => "rotate",
    };
    global.record_if_possible(session, AuditEvent::new(Action::SecretsRotated).with("step", how)).await;
    let keys = lines.iter().filter(|line| is_key(line)).count();
    output.print(&json!({ "file": file, "keys": keys }), || {
        outln!("{}: {keys} keys; running instances follow within a second", file.display());
    })
}

/// The key file, if the settings name exactly one.
fn ring_file(config: &Path) -> Result<PathBuf, anyhow::Error> {
    let settings = super::load(config)?;
    match &settings.secrets.keys[..] {
        [Secret::File { file }] => Ok(PathBuf::from(file)),
        _ => bail!("secrets.keys is not a single file; add the new key before the others by hand"),
    }
}
