//! `signpost import billers|users`

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::CliResult;
use super::operator::{Concerned, Global, Session};
use super::output::{Output, progress_bar};
use crate::access::Scope;
use crate::directory::{import_billers, import_users};
use signpost_core::Slug;
use signpost_core::decision::CiamState;

#[derive(Debug, Subcommand)]
pub(super) enum Arguments {
    /// Import billers from JSON or TOML; updates known slugs and creates new ones
    #[command(after_help = "Example: signpost import billers billers.toml --dry-run")]
    Billers {
        /// A .json or .toml file
        file: PathBuf,
        /// Check the file without importing it
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Import the users of a biller from a CSV or TSV file
    ///
    /// Delimiter (comma, semicolon, tab) and encoding (UTF-8, UTF-16, Windows-1252) are detected; --dry-run shows them.
    /// Columns: username (or identifiers.Uid) and email; optional: first_name (payload.first_name), last_name
    /// (payload.last_name), status, metadata.roles, and password_hash (PHC string or bcrypt) or credentials.password.
    #[command(after_help = "Example: signpost import users users.csv --biller riverside-water --dry-run")]
    Users(Users),
}

#[derive(Debug, Args)]
pub(super) struct Users {
    /// A CSV or TSV file with a header line
    file: PathBuf,
    /// Slug of the biller
    #[arg(long)]
    biller: String,
    /// Check the file without importing it
    #[arg(long)]
    dry_run: bool,
    /// Whether the users exist in the legacy system [default: true, unless the biller is active]
    #[arg(long)]
    legacy_accounts: Option<bool>,
    /// Plain-text passwords (credentials.password): hash them by Argon2id, or reject the file
    #[arg(long, value_enum, default_value = "hash")]
    plain_passwords: PlainPasswords,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PlainPasswords {
    Hash,
    Refuse,
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> CliResult {
    match arguments {
        Arguments::Billers { file, dry_run, output } => {
            let session = global.open(Some(Scope::BillersWrite), Concerned::All).await?;
            billers(&session, &file, dry_run, output).await
        }
        Arguments::Users(users) => {
            let slug = Slug::parse(&users.biller).with_context(|| format!("--biller {}", users.biller))?;
            let session = global.open(Some(Scope::IdentityWrite), Concerned::One(&slug)).await?;
            import(&session, &slug, users).await
        }
    }
}

pub(super) fn read_billers(file: &Path) -> Result<Vec<import_billers::BillerRow>, anyhow::Error> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let is_json = match file.extension().and_then(std::ffi::OsStr::to_str) {
        Some("json") => true,
        Some("toml") => false,
        _ => bail!("{}: expected a .json or .toml file", file.display()),
    };
    import_billers::parse(&text, is_json).context("nothing was written")
}

pub(super) fn import_context(session: &Session) -> Result<import_billers::ImportContext, anyhow::Error> {
    let state = &session.state;
    Ok(import_billers::ImportContext {
        keys: state.keys.clone(),
        actor: session.actor()?,
        addresses: state.config.oidc.address_policy(),
        own_hosts: crate::routing::own_hosts(&state.config),
    })
}

async fn billers(session: &Session, file: &Path, dry_run: bool, output: Output) -> CliResult {
    let (rows, context) = (read_billers(file)?, import_context(session)?);
    let done = session.state.directory.import_billers(rows, &context, dry_run).await.context("nothing was written")?;
    if !dry_run {
        session.state.directory.wait_for_other_processes().await;
    }
    let verb = if dry_run { "would be" } else { "were" };
    let report =
        json!({ "dry_run": dry_run, "created": done.created, "updated": done.updated, "pending": done.pending });
    output.print(&report, || {
        outln!("{} biller(s) {verb} created, {} updated", done.created, done.updated);
        if done.pending > 0 {
            let how = "see `signpost billers pending`; another person must approve them";
            outln!("{} change(s) of sign-in settings {verb} queued for approval: {how}", done.pending);
        }
    })
}

async fn import(session: &Session, slug: &Slug, users: Users) -> CliResult {
    let state = &session.state;
    let Some(biller) = state.directory.biller_by_slug(slug).await? else {
        bail!("there is no biller {slug}; import it first");
    };
    let legacy_accounts = users.legacy_accounts.unwrap_or(biller.state != CiamState::Active);
    let options = import_users::Options {
        legacy_accounts,
        dry_run: users.dry_run,
        refuse_plain_passwords: users.plain_passwords == PlainPasswords::Refuse,
    };
    let bar = progress_bar();
    let progress = |step: import_users::Progress| {
        bar.set_message(step.phase);
        bar.set_length(step.total);
        bar.set_position(step.done);
    };
    let context = import_users::ImportContext { actor: &session.actor()?, keys: &state.keys };
    let done = state.directory.import_users(&users.file, &biller, options, context, &progress).await;
    bar.finish_and_clear();
    let done = done?;
    let report = json!({
        "dry_run": users.dry_run,
        "read_as": done.format.to_string(),
        "rows": done.rows,
        "skipped_rows": done.skipped_rows,
        "created": done.created,
        "updated": done.updated,
        "resumed_after": done.resumed_after,
    });
    users.output.print(&report, || {
        outln!("read as {}", done.format);
        if done.skipped_rows > 0 {
            outln!("{} row(s) without any value skipped", done.skipped_rows);
        }
        if users.dry_run {
            outln!("{} row(s) checked, no errors; nothing was imported", done.rows);
            return;
        }
        outln!("{} row(s): {} user(s) created, {} updated", done.rows, done.created, done.updated);
        if done.resumed_after > 0 {
            outln!("continued after row {}, where an earlier run stopped", done.resumed_after);
        }
    })
}
