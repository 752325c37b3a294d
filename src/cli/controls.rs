//! `signpost kill-switch|pause|unpause|rollout|end-sessions`. When a command ends, every instance follows its change.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use super::CliResult;
use super::billers::{self, OneBiller, known};
use super::operator::{Concerned, Global, Session};
use super::output::{Confirmation, Output};
use crate::access::Scope;
use crate::api::responses;
use crate::audit::{Action, AuditEvent};
use crate::directory::Biller;
use crate::sessions::SessionFilter;
use signpost_core::decision::KillSwitchState;
use signpost_core::{Rollout, Slug, Timestamp, Username};

#[derive(Debug, Args)]
pub(super) struct KillSwitch {
    /// `off`, `all-legacy`, `hold` or `SLUG=legacy`; with `--file` also `remove`, which deletes the file; shows the kill switch if
    /// omitted
    setting: Option<Setting>,
    /// Set it in this machine's file (routing.kill_switch_file), which works without the database
    #[arg(long, requires = "setting")]
    file: bool,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Pause {
    #[command(flatten)]
    biller: OneBiller,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Clone, Debug)]
enum Setting {
    Set(KillSwitchState),
    /// The file no longer overrides the setting of all instances, as `off` does.
    RemoveFile,
}

impl std::str::FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "remove" { Ok(Self::RemoveFile) } else { text.parse().map(Self::Set) }
    }
}

#[derive(Debug, Args)]
pub(super) struct RolloutArguments {
    /// Slug of the biller
    slug: Slug,
    /// Activation date: `now`, or a time such as 2026-12-01T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = from)]
    from: Option<From>,
    /// Percentage of usernames to route to SecureAuth; a username stays in or out
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=100))]
    percent: Option<u8>,
    /// Add a username to the allow list, which replaces the previous list; repeatable
    #[arg(long, value_name = "USERNAME")]
    allow: Vec<String>,
    /// Read the allow list from a file with one username per line
    #[arg(long, value_name = "FILE")]
    allow_file: Option<PathBuf>,
    /// Route all users to SecureAuth: remove allow list and percentage
    #[arg(long, conflicts_with_all = ["percent", "allow", "allow_file"])]
    all_users: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug)]
enum From {
    Now,
    At(Timestamp),
}

#[derive(Debug, Args)]
pub(super) struct EndSessions {
    /// Slug of the biller
    slug: Slug,
    /// Only the sessions of this user
    #[arg(long, conflicts_with = "sid")]
    username: Option<String>,
    /// Only the sessions of this session at the issuer (`sid`)
    #[arg(long)]
    sid: Option<String>,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    output: Output,
}

fn from(text: &str) -> Result<From, String> {
    match text {
        "now" => Ok(From::Now),
        text => Timestamp::parse(text).map(From::At).ok_or_else(|| {
            "expected now, a time such as 2026-12-01T06:00:00Z, or a date such as 2026-12-01 (UTC)".to_owned()
        }),
    }
}

pub(super) async fn kill_switch(global: &Global, arguments: KillSwitch) -> CliResult {
    let scope = if arguments.setting.is_some() { Scope::BillersWrite } else { Scope::BillersRead };
    let concerned = match &arguments.setting {
        Some(Setting::Set(KillSwitchState::BillerLegacy(slug))) => Concerned::One(slug),
        Some(_) => Concerned::All,
        None => Concerned::AsPermitted,
    };
    if let (Some(setting), true) = (&arguments.setting, arguments.file) {
        let session = global.open_for_key(Some(scope), concerned).await?;
        ask_for_all_customers(setting, arguments.confirmation)?;
        return set_file(global, session, setting, arguments.output).await;
    }
    let session = global.open(Some(scope), concerned).await?;
    let state = &session.state;
    match &arguments.setting {
        Some(Setting::RemoveFile) => bail!("remove deletes this machine's file: add --file"),
        Some(Setting::Set(setting)) => {
            if let KillSwitchState::BillerLegacy(slug) = setting {
                known(state, slug).await?;
            }
            ask_for_all_customers(&Setting::Set(setting.clone()), arguments.confirmation)?;
            state.directory.set_kill_switch(setting, &session.actor()?).await?;
            state.directory.wait_for_other_processes().await;
        }
        None => {}
    }
    let shown = responses::KillSwitch::read(&state.directory, &state.routing).await?;
    arguments.output.print(&shown, || {
        outln!("all instances: {}", shown.kill_switch.as_deref().unwrap_or("never set"));
        outln!("effective on this machine: {}", shown.effective);
    })?;
    match shown.file_problem {
        Some(problem) => bail!("the kill switch file cannot be understood: {problem}"),
        None => Ok(()),
    }
}

fn ask_for_all_customers(setting: &Setting, confirmation: Confirmation) -> CliResult {
    let act = match setting {
        Setting::Set(KillSwitchState::AllLegacy) => "Send the customers of all billers to the legacy login",
        Setting::Set(KillSwitchState::Hold) => "Show the maintenance page to the customers of all billers",
        _ => return Ok(()),
    };
    Ok(confirmation.offer(act)?)
}

async fn set_file(global: &Global, session: Option<Session>, setting: &Setting, output: Output) -> CliResult {
    let settings = super::load(&global.config)?;
    let Some(file) = settings.routing.kill_switch_file else { bail!("routing.kill_switch_file is not set") };
    let shown = file.display().to_string();
    let (value, done) = match setting {
        Setting::Set(setting) => {
            super::replace_file(&file, &format!("{setting}\n"))?;
            let hint = match setting {
                KillSwitchState::Off => {
                    "\nThe file overrides the setting of all instances until `signpost kill-switch remove --file` deletes it."
                }
                _ => "",
            };
            (setting.to_string(), format!("{setting}{hint}"))
        }
        Setting::RemoveFile => {
            let done = match std::fs::remove_file(&file) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => "there is no such file",
                Err(error) => return Err(error).with_context(|| format!("cannot delete {shown}")),
                Ok(()) => "deleted; the setting of all instances is in effect",
            };
            ("removed".to_owned(), done.to_owned())
        }
    };
    output.print(&json!({ "file": shown, "value": value }), || outln!("{shown}: {done}"))?;
    let event = AuditEvent::new(Action::KillSwitchSet).with("value", value);
    global.record_if_possible(session, event.with("file", shown)).await;
    Ok(())
}

pub(super) async fn pause(global: &Global, Pause { biller, confirmation }: Pause) -> CliResult {
    let OneBiller { slug, output } = biller;
    let session = open_to_change(global, &slug).await?;
    let users = session.state.directory.count_members(&known(&session.state, &slug).await?.id).await?;
    confirmation.offer(&format!("Show the maintenance page to the {users} users of {slug}"))?;
    change_biller(&session, &slug, Action::BillerPaused, |biller| biller.settings.paused = true).await?;
    print_biller(&session, &slug, output, "paused: its users see the maintenance page").await
}

pub(super) async fn unpause(global: &Global, OneBiller { slug, output }: OneBiller) -> CliResult {
    let session = open_to_change(global, &slug).await?;
    change_biller(&session, &slug, Action::BillerUnpaused, |biller| biller.settings.paused = false).await?;
    print_biller(&session, &slug, output, "no longer paused").await
}

/// Prints a biller after a change: as text in one sentence.
pub(super) async fn print_biller(session: &Session, slug: &Slug, output: Output, is: &str) -> CliResult {
    let biller = known(&session.state, slug).await?;
    output.print(&billers::response(&session.state, &biller), || outln!("{slug} is {is}"))
}

pub(super) async fn rollout(global: &Global, arguments: RolloutArguments) -> CliResult {
    let mut allow = arguments.allow;
    if let Some(file) = &arguments.allow_file {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        allow.extend(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
    }
    let has_list = !allow.is_empty() || arguments.allow_file.is_some();
    let typed = Rollout { allow: has_list.then_some(allow), percent: arguments.percent }.normalized()?;
    let session = open_to_change(global, &arguments.slug).await?;
    let now = session.state.clock.now();
    change_biller(&session, &arguments.slug, Action::RolloutUpdated, |biller| {
        match arguments.from {
            Some(From::Now) => biller.active_from = Some(now),
            Some(From::At(at)) => biller.active_from = Some(at),
            None => {}
        }
        let rollout = &mut biller.settings.rollout;
        if arguments.all_users {
            *rollout = Rollout::default();
        }
        rollout.percent = typed.percent.or(rollout.percent);
        rollout.allow = typed.allow.or(rollout.allow.take());
    })
    .await?;
    let biller = known(&session.state, &arguments.slug).await?;
    let from = biller.active_from.map_or_else(String::new, |at| format!(", from {at} on"));
    let is = format!("{} for {}{from}", biller.state.as_str(), biller.settings.rollout);
    print_biller(&session, &biller.slug, arguments.output, &is).await
}

pub(super) async fn end_sessions(global: &Global, arguments: EndSessions) -> CliResult {
    let session = global.open(None, Concerned::One(&arguments.slug)).await?;
    let state = &session.state;
    let biller = known(state, &arguments.slug).await?;
    let (sessions, actor) = (&state.biller_sessions, session.actor()?);
    let target = (&biller.id, &biller.slug);
    let ended = match (&arguments.username, &arguments.sid) {
        (Some(name), _) => {
            let username = Username::parse(name).with_context(|| format!("{name:?}"))?;
            let user = state.directory.user_by_username(&biller.id, &username).await?;
            let Some(user) = user else { bail!("{} has no user {name}", biller.slug) };
            sessions.end_audited(target, SessionFilter::User(&user.id), &actor).await?
        }
        (None, Some(sid)) => {
            let Some(oidc) = &biller.settings.oidc else { bail!("{} has no issuer", biller.slug) };
            sessions
                .end_audited(target, SessionFilter::Sid { issuer: &oidc.issuer, sid, subject: None }, &actor)
                .await?
        }
        (None, None) => {
            let open = sessions.count_open(&biller.id).await?;
            if open > 0 {
                arguments.confirmation.require(&format!("Ending all {open} session(s) of {}", biller.slug))?;
            }
            sessions.end_audited(target, SessionFilter::All, &actor).await?
        }
    };
    arguments.output.print(&json!({ "ended": ended }), || outln!("{ended} session(s) ended"))
}

pub(super) async fn open_to_change(global: &Global, slug: &Slug) -> Result<Session, anyhow::Error> {
    global.open(Some(Scope::BillersWrite), Concerned::One(slug)).await
}

pub(super) async fn change_biller(
    session: &Session,
    slug: &Slug,
    action: Action,
    change: impl FnOnce(&mut Biller),
) -> CliResult {
    if !session.state.directory.update_biller(slug, (&session.actor()?, action), change).await? {
        bail!("there is no biller {slug}");
    }
    session.state.directory.wait_for_other_processes().await;
    Ok(())
}
