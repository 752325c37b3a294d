//! `signpost secrets`: the key ring file.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;

use super::CliResult;
use super::operator::{Concerned, Global};
use crate::audit::{Action, AuditEvent};
use crate::config::Secret;
use signpost_core::{Clock, Random};

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Arguments {
    /// Seal and sign with a new key, or with the prepared one; the other keys still open what they sealed
    ///
    /// Running instances follow within a second.
    Rotate,
    /// Add a key for the next `rotate`, and publish its public half
    ///
    /// Use it for several instances with copies of the file, and for providers that cache our public keys.
    Prepare,
}

const PREPARED: &str = "prepared";

pub(super) async fn run(global: &Global, arguments: Arguments) -> CliResult {
    let file = ring_file(&global.config)?;
    let session = global.open_for_key(None, Concerned::All).await?;
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let is_key = |line: &String| !line.split('#').next().unwrap_or_default().trim().is_empty();
    let first = lines.iter().position(is_key).unwrap_or(0);
    let prepared = lines.iter().position(|line| line.split_once('#').is_some_and(|(_, note)| note.contains(PREPARED)));
    let now = Clock::System.now();
    let fresh = STANDARD.encode(Random::system().bytes::<32>());
    match (arguments, prepared) {
        (Arguments::Prepare, Some(_)) => bail!("a key is prepared already; activate it with `signpost secrets rotate`"),
        (Arguments::Prepare, None) => lines.insert(first + 1, format!("{fresh}  # {PREPARED} {now}")),
        (Arguments::Rotate, Some(at)) => {
            let key = lines.remove(at).split('#').next().unwrap_or_default().trim().to_owned();
            lines.insert(first, format!("{key}  # in use since {now}"));
        }
        (Arguments::Rotate, None) => lines.insert(first, format!("{fresh}  # in use since {now}")),
    }
    super::replace_file(&file, &format!("{}\n", lines.join("\n")))?;
    let how = match arguments {
        Arguments::Prepare => "prepare",
        Arguments::Rotate => "rotate",
    };
    global.record_if_possible(session, AuditEvent::new(Action::SecretsRotated).with("step", how)).await;
    let keys = lines.iter().filter(|line| is_key(line)).count();
    outln!("{}: {keys} keys; running instances follow within a second", file.display());
    Ok(())
}

/// The key file, if the settings name exactly one.
fn ring_file(config: &Path) -> Result<PathBuf, anyhow::Error> {
    let settings = super::load(config)?;
    match &settings.secrets.keys[..] {
        [Secret::File { file }] => Ok(PathBuf::from(file)),
        _ => bail!("secrets.keys is not a single file; add the new key before the others by hand"),
    }
}
