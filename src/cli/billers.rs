//! `signpost billers list|show|pending|approve|reject|send-login-url|settings`

use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::CliResult;
use super::operator::{Concerned, Global, Session};
use super::output::Output;
use crate::access::Scope;
use crate::api::responses::{BillerDetails, BillerList, BillerResponse, PendingChangeList, PendingChangeResponse};
use crate::directory::{ApprovalOutcome, Biller, Billers, PendingChange};
use crate::provisioning::RemoteSetting;
use crate::state::AppState;
use signpost_core::decision::CiamState;
use signpost_core::{Locale, Slug};

#[derive(Debug, Subcommand)]
pub(super) enum Arguments {
    /// List billers
    #[command(after_help = "Example: signpost billers list --state active")]
    List {
        /// Only billers in this state: `legacy`, `enabling`, `active` or `suspended`
        #[arg(long, value_parser = ciam_state)]
        state: Option<CiamState>,
        #[command(flatten)]
        output: Output,
    },
    /// Show a biller with its settings
    #[command(after_help = "Example: signpost billers show riverside-water --format json")]
    Show(OneBiller),
    /// List pending approvals
    #[command(after_help = "Example: signpost billers pending --biller riverside-water")]
    Pending {
        /// Only changes of this biller
        #[arg(long, value_name = "SLUG")]
        biller: Option<Slug>,
        #[command(flatten)]
        output: Output,
    },
    /// Approve a change that another person requested
    #[command(after_help = "Example: signpost billers approve 0191d2f2-7c4e-7d6c-8b3a-3f0e5a7f9d10")]
    Approve(OneChange),
    /// Mail a biller's contact the login address of the biller
    #[command(after_help = "Example: signpost billers send-login-url riverside-water --locale es")]
    SendLoginUrl {
        /// Slug of the biller
        slug: Slug,
        /// Language of the mail: en or es
        #[arg(long, default_value = "en", value_parser = language)]
        locale: Locale,
        #[command(flatten)]
        output: Output,
    },
    /// Compare a biller's settings with SecureAuth
    #[command(after_help = "Example: signpost billers settings riverside-water --sync")]
    Settings {
        /// Slug of the biller
        slug: Slug,
        /// Apply our settings at SecureAuth
        #[arg(long)]
        sync: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Reject a change, or withdraw your own
    #[command(after_help = "Example: signpost billers reject 0191d2f2-7c4e-7d6c-8b3a-3f0e5a7f9d10")]
    Reject(OneChange),
}

/// The arguments of commands that concern one biller.
#[derive(Debug, Args)]
pub(super) struct OneBiller {
    /// Slug of the biller
    pub(super) slug: Slug,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct OneChange {
    /// Id of the change
    id: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct SettingComparison<'s> {
    name: &'s str,
    expected: Option<&'s str>,
    actual: &'s str,
    in_sync: bool,
}

impl<'s> SettingComparison<'s> {
    fn new(setting: &'s RemoteSetting) -> Self {
        let in_sync = setting.is_in_sync();
        Self { name: &setting.name, expected: setting.expected.as_deref(), actual: &setting.actual, in_sync }
    }
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> CliResult {
    match arguments {
        Arguments::List { state, output } => list(global, state, output).await,
        Arguments::Show(OneBiller { slug, output }) => show(global, &slug, output).await,
        Arguments::Pending { biller, output } => pending(global, biller.as_ref(), output).await,
        Arguments::Approve(OneChange { id, output }) => decide(global, &id, true, output).await,
        Arguments::Reject(OneChange { id, output }) => decide(global, &id, false, output).await,
        Arguments::SendLoginUrl { slug, locale, output } => {
            let session = global.open(Some(Scope::BillersWrite), Concerned::One(&slug)).await?;
            let biller = known(&session.state, &slug).await?;
            let to = session.state.mail.send_login_address(&biller, locale, &session.actor()?).await?;
            output.print(&json!({ "sent_to": to }), || outln!("queued: `signpost serve` sends it to {to}"))
        }
        Arguments::Settings { slug, sync, output } => settings(global, &slug, sync, output).await,
    }
}

async fn list(global: &Global, state: Option<CiamState>, output: Output) -> CliResult {
    let session = global.open(Some(Scope::BillersRead), Concerned::AsPermitted).await?;
    let billers = session.state.directory.billers().await?;
    let is_listed =
        |biller: &&Arc<Biller>| session.permits_biller(&biller.slug) && state.is_none_or(|state| biller.state == state);
    let listed: Vec<&Arc<Biller>> = billers.iter().filter(is_listed).collect();
    let (config, now) = (&session.state.config, session.state.clock.now());
    let list = BillerList { billers: listed.iter().map(|biller| BillerResponse::new(config, now, biller)).collect() };
    output.print(&list, || {
        for biller in &listed {
            outln!("{}", line(biller));
        }
    })
}

fn line(biller: &Biller) -> String {
    let paused = if biller.settings.paused { "  paused" } else { "" };
    let down = if biller.health.is_down { "  issuer down" } else { "" };
    format!("{:<24}  {:<9}  {}{paused}{down}", biller.slug.as_str(), biller.state.as_str(), biller.name)
}

async fn show(global: &Global, slug: &Slug, output: Output) -> CliResult {
    let session = global.open(Some(Scope::BillersRead), Concerned::One(slug)).await?;
    let biller = known(&session.state, slug).await?;
    let details = BillerDetails {
        biller: response(&session.state, &biller),
        pending_user_changes: session.state.directory.backlog_of(&biller.id).await?,
        pending_changes: None,
    };
    let text = serde_json::to_value(&details)?;
    output.print(&details, || {
        outln!("{}", line(&biller));
        for (key, value) in text.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            outln!("  {key}: {value}");
        }
    })
}

async fn pending(global: &Global, biller: Option<&Slug>, output: Output) -> CliResult {
    let concerned = biller.map_or(Concerned::AsPermitted, Concerned::One);
    let session = global.open(Some(Scope::BillersRead), concerned).await?;
    let billers = session.state.directory.billers().await?;
    let slug_of = |change: &PendingChange| billers.by_id(&change.biller_id).map(|biller| &biller.slug);
    let mut changes = pending_changes(&session, &billers).await?;
    changes.retain(|change| biller.is_none_or(|slug| slug_of(change) == Some(slug)));
    if changes.is_empty() && !output.is_json() {
        eprintln!("no pending approvals");
    }
    let list = changes.iter().filter_map(|change| Some(PendingChangeResponse::new(change, slug_of(change)?))).collect();
    output.print(&PendingChangeList { changes: list }, || {
        for change in &changes {
            let biller = slug_of(change).map_or("", Slug::as_str);
            let PendingChange { id, summary, requested_by, principal, requested_at, .. } = change;
            outln!("{id}  {biller}  {summary}  requested by {requested_by} for {principal} at {requested_at}");
        }
    })
}

async fn settings(global: &Global, slug: &Slug, sync: bool, output: Output) -> CliResult {
    let session = global.open(None, Concerned::One(slug)).await?;
    let state = &session.state;
    if sync {
        state.provisioning.sync_settings(slug, &session.actor()?).await?;
    }
    let kept = state.provisioning.remote_settings(&*known(state, slug).await?).await?;
    let comparisons: Vec<_> = kept.iter().map(SettingComparison::new).collect();
    output.print(&json!({ "settings": comparisons }), || {
        for setting in &comparisons {
            let mark = if setting.in_sync { "same " } else { "DRIFT" };
            let ours = setting.expected.unwrap_or("not set");
            outln!("{mark}  {}: Signpost {ours}, SecureAuth {}", setting.name, setting.actual);
        }
    })?;
    if kept.iter().any(|setting| !setting.is_in_sync()) {
        bail!("settings differ at SecureAuth; apply ours with `signpost billers settings {slug} --sync`");
    }
    Ok(())
}

async fn decide(global: &Global, id: &str, approve: bool, output: Output) -> CliResult {
    let session = global.open(Some(Scope::BillersWrite), Concerned::AsPermitted).await?;
    let state = &session.state;
    let billers = state.directory.billers().await?;
    if !pending_changes(&session, &billers).await?.iter().any(|change| change.id == id) {
        bail!("no pending change has the id {id}; list them with `signpost billers pending`");
    }
    match state.directory.decide_change(id, approve, &session.actor()?).await? {
        ApprovalOutcome::Done => {
            state.directory.wait_for_other_processes().await;
            let done = if approve { "approved" } else { "rejected" };
            output.print(&json!({ "id": id, "result": done }), || outln!("{done}"))
        }
        ApprovalOutcome::NotFound => bail!("the change {id} was decided in the meantime"),
        ApprovalOutcome::Refused(refusal) => bail!("you cannot approve the change: {refusal}"),
        ApprovalOutcome::HostTaken => bail!("one of its hosts now belongs to another biller; nothing was changed"),
    }
}

pub(super) async fn known(state: &AppState, slug: &Slug) -> Result<Arc<Biller>, anyhow::Error> {
    let unknown = || format!("there is no biller {slug}; `signpost billers list` lists billers");
    state.directory.biller_by_slug(slug).await?.with_context(unknown)
}

pub(super) fn response(state: &AppState, biller: &Biller) -> BillerResponse {
    BillerResponse::new(&state.config, state.clock.now(), biller)
}

/// The pending changes of billers that the operator may see.
async fn pending_changes(session: &Session, billers: &Billers) -> Result<Vec<PendingChange>, anyhow::Error> {
    let mut changes = session.state.directory.pending_changes().await?;
    if let Some(key) = session.key() {
        changes
            .retain(|change| billers.by_id(&change.biller_id).is_some_and(|biller| key.permits_biller(&biller.slug)));
    }
    Ok(changes)
}

fn language(text: &str) -> Result<Locale, String> {
    Locale::from_tag(text).ok_or_else(|| "expected en or es".to_owned())
}

fn ciam_state(text: &str) -> Result<CiamState, String> {
    let states = [CiamState::Legacy, CiamState::Enabling, CiamState::Active, CiamState::Suspended];
    let state = states.into_iter().find(|state| state.as_str() == text);
    state.ok_or_else(|| "expected legacy, enabling, active or suspended".to_owned())
}
