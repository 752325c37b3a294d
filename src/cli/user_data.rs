//! `signpost users erase|export-data`

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use super::CliResult;
use super::operator::{Concerned, Global, Session};
use super::output::{Confirmation, Output};
use crate::access::Scope;
use crate::audit::{Action, AuditEvent};
use crate::personal_data::{self, PersonalData, Subject};
use crate::state::AppState;
use signpost_core::{UserId, Username};

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Who {
    /// Username
    username: Option<String>,
    /// Id of the user, if several users share the username, or the user has left all billers
    #[arg(long)]
    id: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Erase {
    #[command(flatten)]
    who: Who,
    /// Why, for the audit trail; such as a ticket, without the user's name
    #[arg(long, value_parser = reason)]
    reason: String,
    /// Only show what would be erased
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    output: Output,
}

/// What was erased, or would be.
#[derive(Serialize)]
struct Report {
    erased: bool,
    /// Rows by table.
    rows: BTreeMap<&'static str, usize>,
}

#[derive(Debug, Args)]
pub(super) struct ExportData {
    #[command(flatten)]
    who: Who,
    /// Write to a new file that only its owner can read, instead of the standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = (1..=500).contains(&text.len()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err("expected 1 to 500 printable characters, such as a ticket".to_owned()) }
}

pub(super) async fn erase(global: &Global, Erase { who, reason, dry_run, confirmation, output }: Erase) -> CliResult {
    let session = global.open(Some(Scope::IdentityWrite), Concerned::All).await?;
    let state = &session.state;
    let data = collect(state, &who).await?;
    if data.subject.is_named_in(&reason) {
        bail!(
            "--reason names the user, and the audit event of the erasure would keep the name; give a ticket, such as \
             --reason 'request 4711'"
        );
    }
    let rows: BTreeMap<_, _> = data.counts().into_iter().filter(|(_, count)| *count > 0).collect();
    let report = |erased| Report { erased, rows: rows.clone() };
    if data.is_empty() {
        return output.print(&report(false), || outln!("There is nothing to erase: no data about {who} is stored."));
    }
    if !output.is_json() {
        print_counts(&data, &who);
    }
    if dry_run {
        return output.print(&report(false), || outln!("Nothing was changed (--dry-run)."));
    }
    confirmation.require(&format!("Erasing {who} for good"))?;
    personal_data::erase(state, &data, &session.actor()?.because(reason)).await?;
    output.print(&report(true), || {
        outln!("The data is erased.");
        print_what_remains(&session, &data);
    })
}

pub(super) async fn export(global: &Global, ExportData { who, output }: ExportData) -> CliResult {
    let session = global.open(Some(Scope::IdentityRead), Concerned::All).await?;
    let state = &session.state;
    let data = collect(state, &who).await?;
    let is_known = !data.is_empty() || !data.events.is_empty() || !data.directory.changes.is_empty();
    if !is_known {
        bail!("no data about {who} is stored; without a username, search by --id");
    }
    let document = serde_json::to_string_pretty(&personal_data::to_json(state, &data).await?)?;
    let event = AuditEvent::new(Action::UserDataExported);
    let event = match &data.subject.user {
        Some(user) => event.about(user.as_str()),
        None => event,
    };
    // Recorded first: no export without its audit event.
    session.actor()?.record_alone(&state.db, event).await?;
    match output {
        Some(file) => {
            write_private(&file, &document)?;
            outln!("{}: {} bytes", file.display(), document.len() + 1);
        }
        None => outln!("{document}"),
    }
    Ok(())
}

async fn collect(state: &AppState, who: &Who) -> Result<PersonalData, anyhow::Error> {
    let subject = match (&who.username, &who.id) {
        (Some(name), _) => {
            let username = Username::parse(name).with_context(|| format!("the username {name:?} is invalid"))?;
            let mut subjects = Subject::by_username(state, &username).await?;
            if subjects.len() > 1 {
                bail!(
                    "{} users have the username {name}; name one by --id: {}",
                    subjects.len(),
                    ids(state, &subjects).await?
                );
            }
            subjects.pop()
        }
        (None, Some(id)) => Some(Subject::by_id(state, UserId::from(id.trim().to_owned())).await?),
        (None, None) => None,
    };
    let subject = subject.context("expected a username or --id ID")?;
    let mut found = personal_data::collect(state, vec![subject]).await?;
    found.pop().context("no data was collected")
}

/// The ids of users, with their billers.
async fn ids(state: &AppState, subjects: &[Subject]) -> Result<String, anyhow::Error> {
    let billers = state.directory.billers().await?;
    let one = |subject: &Subject| {
        let record = subject.record.as_ref()?;
        let slugs = record.billers.iter().filter_map(|(id, _)| billers.by_id(id));
        let slugs: Vec<&str> = slugs.map(|biller| biller.slug.as_str()).collect();
        Some(format!("{} ({})", record.id, slugs.join(", ")))
    };
    Ok(subjects.iter().filter_map(one).collect::<Vec<_>>().join(", "))
}

fn print_counts(data: &PersonalData, who: &Who) {
    outln!("Stored about {who}:");
    for (table, count) in data.counts().into_iter().filter(|(_, count)| *count > 0) {
        outln!("  {count:>6}  {}", described(table));
    }
}

/// What the rows of a table are, and what becomes of them.
fn described(table: &str) -> &str {
    match table {
        "users" => "users: the record; an empty row with the id remains",
        "membership" => "membership: deleted",
        "user_password" => "user_password: the sealed password hash, deleted",
        "subject_pin" => "subject_pin: subjects at issuers, deleted",
        "biller_session" => "biller_session: sign-ins at billers, deleted",
        "session" => "session: browser sessions, deleted",
        "decision_log" => "decision_log: records behind reference codes, deleted",
        "audit_event" => "audit_event: events that name the user, rewritten without the name",
        "queued_task" => "queued_task: mail and password resets that wait, deleted",
        "idempotency" => "idempotency: stored API responses, emptied",
        "biller" => "biller: allow lists of rollouts, without the username from now on",
        other => other,
    }
}

fn print_what_remains(session: &Session, data: &PersonalData) {
    if !data.directory.memberships.is_empty() {
        let is_configured = session.state.config.secureauth.base_url.is_some();
        outln!(
            "The deletion at SecureAuth is queued for billers that are not legacy (`signpost outbox`){}.",
            if is_configured { "" } else { ", and waits until [secureauth] is configured" }
        );
    }
    outln!("Backups, log files and user files still have the data: see docs/guides/personal-data.md.");
}

fn write_private(file: &Path, text: &str) -> CliResult {
    let cannot_write = || format!("cannot write {}; name a file that does not exist yet", file.display());
    let created = std::fs::File::options().write(true).create_new(true).mode(0o600).open(file);
    let mut created = created.with_context(cannot_write)?;
    created.write_all(text.as_bytes()).with_context(cannot_write)?;
    created.write_all(b"\n").with_context(cannot_write)?;
    created.sync_all().with_context(cannot_write)
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.username, &self.id) {
            (Some(name), _) => write!(f, "the username {name}"),
            (None, Some(id)) => write!(f, "the user {id}"),
            (None, None) => f.write_str("a user"),
        }
    }
}
