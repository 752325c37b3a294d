//! `signpost kill-switch|pause|unpause|rollout|end-sessions`. When a command ends, every instance follows its change.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::CliResult;
use super::operator::{Concerned, Global, Session};
use crate::access::Scope;
use crate::audit::{Action, AuditEvent};
use crate::directory::Biller;
use crate::sessions::SessionFilter;
use crate::state::AppState;
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
        return set_file(global, session, setting).await;
    }
    let session = global.open(Some(scope), concerned).await?;
    let state = &session.state;
    match &arguments.setting {
        Some(Setting::RemoveFile) => bail!("remove deletes this machine's file: add --file"),
        Some(Setting::Set(setting)) => {
            if let KillSwitchState::BillerLegacy(slug) = setting {
                known(state, slug).await?;
            }
            state.directory.set_kill_switch(setting, &session.actor()?).await?;
            state.directory.wait_for_other_processes().await;
        }
        None => {}
    }
    let billers = state.directory.billers().await?;
    let set = billers.kill_switch().map_or_else(|| "never set".to_owned(), ToString::to_string);
    let in_force = state.routing.kill_switch.current(&billers);
    outln!("all instances: {set}");
    outln!("effective on this machine: {in_force}");
    match state.routing.kill_switch.file_problem() {
        Some(problem) => bail!("the kill switch file cannot be understood: {problem}"),
        None => Ok(()),
    }
}

async fn set_file(global: &Global, session: Option<Session>, setting: &Setting) -> CliResult {
    let settings = super::load(&global.config)?;
    let Some(file) = settings.routing.kill_switch_file else { bail!("routing.kill_switch_file is not set") };
    let shown = file.display().to_string();
    let value = match setting {
        Setting::Set(setting) => {
            super::replace_file(&file, &format!("{setting}\n"))?;
            outln!("{shown}: {setting}");
            if *setting == KillSwitchState::Off {
                outln!(
                    "The file overrides the setting of all instances until `signpost kill-switch remove --file` deletes it."
                );
            }
            setting.to_string()
        }
        Setting::RemoveFile => {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => outln!("{shown}: there is no such file"),
                Err(error) => return Err(error).with_context(|| format!("cannot delete {shown}")),
                Ok(()) => outln!("{shown}: deleted; the setting of all instances is in effect"),
            }
            "removed".to_owned()
        }
    };
    let event = AuditEvent::new(Action::KillSwitchSet).with("value", value);
    global.record_if_possible(session, event.with("file", shown)).await;
    Ok(())
}

pub(super) async fn set_paused(global: &Global, slug: &Slug, is_paused: bool) -> CliResult {
    let session = open_to_change(global, slug).await?;
    let action = if is_paused { Action::BillerPaused } else { Action::BillerUnpaused };
    change_biller(&session, slug, action, |biller| biller.settings.paused = is_paused).await?;
    outln!("{slug} is {}", if is_paused { "paused: its users see the maintenance page" } else { "no longer paused" });
    Ok(())
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
    outln!("{} is {} for {}{from}", biller.slug, biller.state.as_str(), biller.settings.rollout);
    Ok(())
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
        (None, None) => sessions.end_audited(target, SessionFilter::All, &actor).await?,
    };
    outln!("{ended} session(s) ended");
    Ok(())
}

async fn known(state: &AppState, slug: &Slug) -> Result<std::sync::Arc<Biller>, anyhow::Error> {
    state.directory.biller_by_slug(slug).await?.with_context(|| format!("there is no biller {slug}"))
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
