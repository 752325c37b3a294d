//! `signpost sync|export|outbox`

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::json;

use super::CliResult;
use super::operator::{Concerned, Global};
use super::output::{Confirmation, Output};
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
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Outbox {
    /// Only changes of this biller's users
    #[arg(long, value_name = "SLUG")]
    biller: Option<Slug>,
    #[command(flatten)]
    output: Output,
}

/// The pending changes of a biller's users.
#[derive(Serialize)]
struct PendingUserChanges {
    biller: String,
    pending: i64,
    oldest: String,
    failing: i64,
    problem: Option<String>,
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
    let (provisioning, slug, output) = (&state.provisioning, &arguments.slug, arguments.output);
    let drift = provisioning.drift(slug).await?;
    let count = drift.to_repair().count();
    if !output.is_json() {
        print_drift(&drift);
    }
    if drift.is_empty() || arguments.dry_run {
        return output.print(&report(&drift, 0, &[]), || match drift.is_empty() {
            true => outln!("no differences"),
            false => outln!("{count} user(s) differ; nothing was changed"),
        });
    }
    arguments.confirmation.offer(&format!("Overwrite {count} user(s) of {slug} at SecureAuth"))?;
    let bar = ProgressBar::new(u64::try_from(count).unwrap_or(u64::MAX));
    let failed = provisioning.repair(slug, &drift, &session.actor()?, || bar.inc(1)).await?;
    bar.finish_and_clear();
    let failed: Vec<(String, String)> =
        failed.iter().map(|(user, error)| (user.to_string(), error.to_string())).collect();
    output.print(&report(&drift, count - failed.len(), &failed), || {
        outln!("{} user(s) repaired", count - failed.len());
        for (user, error) in failed.iter().take(MAX_LISTED) {
            outln!("  {user}: {error}");
        }
    })?;
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("{} user(s) could not be repaired; run the command again", failed.len())
    }
}

fn report(drift: &Drift, repaired: usize, failed: &[(String, String)]) -> serde_json::Value {
    let different = drift.different.iter().map(|(user, fields)| json!({ "id": user, "fields": fields }));
    let unknown = drift.unknown.iter().map(|(id, name)| json!({ "id": id, "name": name }));
    let failed = failed.iter().map(|(user, error)| json!({ "id": user, "error": error }));
    json!({
        "directory_users": drift.directory_users,
        "pool_users": drift.pool_users,
        "deactivated": drift.deactivated,
        "missing": drift.missing,
        "different": different.collect::<Vec<_>>(),
        "extra": drift.extra,
        "unknown": unknown.collect::<Vec<_>>(),
        "repaired": repaired,
        "failed": failed.collect::<Vec<_>>(),
    })
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

pub(super) async fn outbox(global: &Global, arguments: Outbox) -> CliResult {
    let concerned = arguments.biller.as_ref().map_or(Concerned::All, Concerned::One);
    let state = global.open(Some(Scope::AuditRead), concerned).await?.state;
    let billers = state.directory.billers().await?;
    let slug = |id| billers.by_id(id).map_or("", |biller| biller.slug.as_str());
    let backlog = state.directory.backlog().await?;
    let is_wanted = |name: &str| arguments.biller.as_ref().is_none_or(|wanted| wanted.as_str() == name);
    let pending = backlog.iter().map(|(id, backlog)| PendingUserChanges {
        biller: slug(id).to_owned(),
        pending: backlog.count,
        oldest: backlog.oldest.to_string(),
        failing: backlog.failing,
        problem: (backlog.failing > 0).then(|| backlog.problem.clone()),
    });
    let pending: Vec<_> = pending.filter(|changes| is_wanted(&changes.biller)).collect();
    arguments.output.print(&json!({ "billers": pending }), || {
        for PendingUserChanges { biller, pending, oldest, failing, problem } in &pending {
            let failing = problem
                .as_ref()
                .map_or_else(String::new, |problem| format!(", {failing} failing, for example: {problem}"));
            outln!("{biller}: {pending} pending since {oldest}{failing}");
        }
        if pending.is_empty() {
            outln!("no pending changes");
        }
    })
}
