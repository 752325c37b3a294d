//! `signpost sync|export|outbox`

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use indicatif::ProgressBar;

use super::CliResult;
use super::operator::{Concerned, Global};
use crate::access::Scope;
use crate::provisioning::Drift;
use signpost_core::Slug;

const MAX_LISTED: usize = 20;

#[derive(Debug, Args)]
pub(super) struct Sync {
    /// Slug of the biller
    slug: Slug,
    /// Show differences without repairing them
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// Slug of the biller
    slug: Slug,
    /// Output file [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn run(global: &Global, arguments: Sync) -> CliResult {
    let session = global.open(None, Concerned::One(&arguments.slug)).await?;
    let state = &session.state;
    let (provisioning, slug) = (&state.provisioning, &arguments.slug);
    let drift = provisioning.drift(slug).await?;
    print_drift(&drift);
    let count = drift.to_repair().count();
    if drift.is_empty() {
        outln!("no differences");
        return Ok(());
    }
    if arguments.dry_run {
        outln!("{count} user(s) differ; nothing was changed");
        return Ok(());
    }
    let bar = ProgressBar::new(u64::try_from(count).unwrap_or(u64::MAX));
    let failed = provisioning.repair(slug, &drift, &session.actor()?, || bar.inc(1)).await?;
    bar.finish_and_clear();
    outln!("{} user(s) repaired", count - failed.len());
    for (user, error) in failed.iter().take(MAX_LISTED) {
        outln!("  {user}: {error}");
    }
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("{} user(s) could not be repaired; run the command again", failed.len())
    }
}

fn print_drift(drift: &Drift) {
    outln!("{} users here, {} at SecureAuth", drift.directory_users, drift.pool_users);
    match drift.deactivated {
        Some(true) => outln!("the biller is suspended, but its organization is active at SecureAuth"),
        Some(false) => outln!("the biller is active, but its organization is deactivated at SecureAuth"),
        None => {}
    }
    print_group("missing at SecureAuth", &drift.missing, ToString::to_string);
    print_group("different", &drift.different, |(user, fields)| format!("{user}  {}", fields.join(", ")));
    print_group("at SecureAuth, but deleted here or no longer users of the biller", &drift.extra, ToString::to_string);
    print_group("at SecureAuth, but unknown here; not changed", &drift.unknown, |(id, name)| format!("{id}  {name}"));
}

fn print_group<T>(what: &str, users: &[T], text: impl Fn(&T) -> String) {
    if users.is_empty() {
        return;
    }
    outln!("{} {what}", users.len());
    for user in users.iter().take(MAX_LISTED) {
        outln!("  {}", text(user));
    }
    if users.len() > MAX_LISTED {
        outln!("  …");
    }
}

pub(super) async fn export(global: &Global, arguments: Export) -> CliResult {
    let session = global.open(None, Concerned::One(&arguments.slug)).await?;
    let state = &session.state;
    eprintln!(
        "SecureAuth's export is not meant for production with many users. Use it for tests; it is slow.\n\
         The file contains personal data and password hashes."
    );
    let actor = session.actor()?;
    let Some(path) = &arguments.output else {
        let users = state.provisioning.export(&arguments.slug, &actor, std::io::stdout()).await?;
        eprintln!("{users} users");
        return Ok(());
    };
    // Written atomically, and readable by its owner only.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unwritable = || format!("cannot write {}", path.display());
    let file = tempfile::NamedTempFile::new_in(folder).with_context(unwritable)?;
    let users = state.provisioning.export(&arguments.slug, &actor, file.reopen().with_context(unwritable)?).await?;
    file.as_file().sync_all().with_context(unwritable)?;
    file.persist(path).with_context(unwritable)?;
    eprintln!("{users} users written to {}", path.display());
    Ok(())
}

pub(super) async fn outbox(global: &Global) -> CliResult {
    let state = global.open(Some(Scope::AuditRead), Concerned::All).await?.state;
    let billers = state.directory.billers().await?;
    let pending = state.directory.backlog().await?;
    for (biller, pending) in &pending {
        let slug = billers.by_id(biller).map_or("", |biller| biller.slug.as_str());
        let failing = match pending.failing {
            0 => String::new(),
            failing => format!(", {failing} failing, for example: {}", pending.problem),
        };
        outln!("{slug}: {} pending since {}{failing}", pending.count, pending.oldest);
    }
    if pending.is_empty() {
        outln!("no pending changes");
    }
    Ok(())
}
