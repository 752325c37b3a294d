//! Billers: the list, one of them, and whether it is ready.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::extract::PathBiller;
use super::pages::{Badge, BillerPage, BillerSummary, BillersPage, ImpactView, ReadinessPage};
use super::staff::Staff;
use super::{Console, jobs, respond};
use crate::directory::{Biller, PasswordCarryOver};
use crate::provisioning::CheckStatus;
use crate::routing::biller_login_url;
use crate::web::HttpError;
use crate::web::extract::Query;
use signpost_core::FieldErrors;
use signpost_core::decision::{CiamMode, CiamState, KillSwitchState, OutagePolicy, SuspensionPolicy};

/// `GET /billers`
pub(super) async fn list(State(console): State<Console>, staff: Staff) -> Result<Response, HttpError> {
    let state = &console.app;
    let billers = state.directory.billers().await?;
    let now = state.clock.now();
    let row = |biller: &Biller| biller_summary(biller, biller.is_active(now));
    let lines = billers.iter().map(|biller| row(biller)).collect();
    let kill = state.routing.kill_switch.current(&billers);
    let pending = state.directory.pending_changes().await?.len();
    respond::page(&console, Some(&staff), StatusCode::OK, |chrome| BillersPage {
        chrome,
        billers: lines,
        is_kill_switch_active: kill != KillSwitchState::Off,
        kill: kill.to_string(),
        pending,
        can_operate: staff.can_operate(),
    })
}

/// `GET /billers/{slug}`; `?done=` says what was just done.
pub(super) async fn show(
    State(console): State<Console>,
    staff: Staff,
    PathBiller(biller): PathBiller,
    Query(fields): Query,
) -> Result<Response, HttpError> {
    let done = match fields.get("done") {
        Some("paused") => Some("Biller paused. Its users see the maintenance page."),
        Some("unpaused") => Some("Biller unpaused."),
        Some("rollout") => Some("Rollout saved."),
        Some("suspended") => Some("Biller suspended."),
        Some("resumed") => Some("Biller resumed."),
        Some("settings") => Some("Settings saved."),
        Some("pending") => Some("Settings saved. The change to where users sign in is pending approval."),
        Some("created") => Some("Biller created."),
        _ => None,
    };
    page(&console, &staff, StatusCode::OK, &biller, PageState { done, ..PageState::of(&biller) }).await
}

/// What a biller's page shows besides the biller.
pub(super) struct PageState {
    /// What was just done.
    pub done: Option<&'static str>,
    /// Percentage in the rollout's form.
    pub percent: String,
    /// Activation date in it.
    pub active_from: String,
    /// What that rollout would do.
    pub impact: Option<ImpactView>,
    /// What is wrong with it.
    pub errors: FieldErrors,
}

impl PageState {
    pub(super) fn of(biller: &Biller) -> Self {
        let percent = biller.settings.rollout.percent.map(|percent| percent.to_string()).unwrap_or_default();
        let active_from =
            biller.active_from.map(|at| at.to_string().trim_end_matches('Z').to_owned()).unwrap_or_default();
        Self { done: None, percent, active_from, impact: None, errors: FieldErrors::default() }
    }
}

pub(super) async fn page(
    console: &Console,
    staff: &Staff,
    status: StatusCode,
    biller: &Biller,
    shown: PageState,
) -> Result<Response, HttpError> {
    let state = &console.app;
    let job = state.provisioning.latest_job(&biller.id).await?;
    let is_open = job.as_ref().is_some_and(|job| !job.state.is_final());
    let backlog = state.directory.backlog_of(&biller.id).await?;
    let is_active = biller.is_active(state.clock.now());
    let mut ciam = vec![("CIAM status", status_text(biller, is_active))];
    ciam.extend(biller.ciam_mode.map(|mode| ("Mode", mode_text(mode).to_owned())));
    if matches!(biller.state, CiamState::Active | CiamState::Suspended) {
        ciam.extend(biller.active_from.map(|at| ("Activation date", at.to_string())));
    }
    ciam.push(("Sign-in address", biller_login_url(&state.config, biller)));
    if backlog > 0 {
        ciam.push(("Pending user changes", backlog.to_string()));
    }
    let action = |label| Some((label, format!("/billers/{}/ciam", biller.slug)));
    let ciam_action = match biller.state {
        _ if !staff.can_operate() || is_open => None,
        CiamState::Legacy | CiamState::Enabling => action("Enable CIAM"),
        CiamState::Active => action("Suspend biller"),
        CiamState::Suspended => action("Resume biller"),
    };
    respond::page(console, Some(staff), status, |chrome| BillerPage {
        chrome,
        biller: biller_summary(biller, is_active),
        ciam,
        ciam_action,
        job: job.as_ref().map(jobs::view),
        settings: setting_rows(biller),
        is_paused: biller.settings.paused,
        percent: shown.percent,
        active_from: shown.active_from,
        impact: shown.impact,
        done: shown.done,
        errors: shown.errors,
        can_operate: staff.can_operate(),
    })
}

/// `GET /billers/{slug}/readiness`: looks at everything now, which takes a moment.
pub(super) async fn readiness(
    State(console): State<Console>,
    staff: Staff,
    PathBiller(biller): PathBiller,
) -> Result<Response, HttpError> {
    let card = console.app.provisioning.readiness(&biller).await?;
    let lines = card.checks.iter().map(|line| {
        let what = line.name.replace('_', " ");
        (what, status_badge(line.status), line.advice.clone())
    });
    let lines = lines.collect();
    respond::page(&console, Some(&staff), StatusCode::OK, |chrome| ReadinessPage {
        chrome,
        slug: biller.slug.to_string(),
        name: biller.name.clone(),
        status: status_badge(card.status),
        checks: lines,
    })
}

fn status_badge(level: CheckStatus) -> Badge {
    let (word, tone) = match level {
        CheckStatus::Pass => ("Pass", "good"),
        CheckStatus::Warning => ("Warning", "warn"),
        CheckStatus::Fail => ("Fail", "bad"),
    };
    Badge { word: word.to_owned(), tone }
}

fn biller_summary(biller: &Biller, is_active: bool) -> BillerSummary {
    let tone = match biller.state {
        CiamState::Active if is_active => "good",
        CiamState::Active | CiamState::Enabling => "warn",
        CiamState::Legacy | CiamState::Suspended => "",
    };
    let issuer = match (&biller.settings.oidc, biller.health.is_down) {
        (None, _) => Badge { word: "none".to_owned(), tone: "" },
        (Some(_), false) => Badge { word: "up".to_owned(), tone: "good" },
        (Some(_), true) => Badge { word: format!("down: {}", biller.health.reason), tone: "bad" },
    };
    let settings = &biller.settings;
    let mut notes = Vec::new();
    if settings.paused {
        notes.push("held".to_owned());
    }
    if settings.private {
        notes.push("private".to_owned());
    }
    notes.extend(settings.rollout.percent.map(|percent| format!("rollout {percent}%")));
    notes.extend(settings.rollout.allow.as_ref().map(|list| format!("{} on the allow list", list.len())));
    if let (CiamState::Active, Some(from), false) = (biller.state, biller.active_from, is_active) {
        notes.push(format!("active from {from}"));
    }
    BillerSummary {
        slug: biller.slug.to_string(),
        name: biller.name.clone(),
        state: Badge { word: biller.state.as_str().to_owned(), tone },
        mode: biller.ciam_mode.map_or("", CiamMode::as_str),
        issuer,
        notes: notes.join(", "),
    }
}

fn status_text(biller: &Biller, is_active: bool) -> String {
    match biller.state {
        CiamState::Active if is_active => "Active (Yes)".to_owned(),
        CiamState::Active => "Active (Yes), from the activation date".to_owned(),
        CiamState::Legacy => "Active (No): legacy".to_owned(),
        CiamState::Enabling => "Active (No): enabling".to_owned(),
        CiamState::Suspended => "Active (No): suspended".to_owned(),
    }
}

fn mode_text(mode: CiamMode) -> &'static str {
    match mode {
        CiamMode::Password => "SecureAuth accounts, password only",
        CiamMode::Mfa => "SecureAuth accounts, password and second factor",
        CiamMode::Sso => "the biller's own identity provider",
    }
}

fn setting_rows(biller: &Biller) -> Vec<(&'static str, String)> {
    let settings = &biller.settings;
    let mut lines = vec![
        ("Id", biller.id.to_string()),
        ("Hosts", if biller.hosts.is_empty() { "none".to_owned() } else { biller.hosts.join(", ") }),
        (
            "Passwords",
            match settings.passwords {
                PasswordCarryOver::Imported => "imported".to_owned(),
                PasswordCarryOver::ResetRequired => "reset required at first sign-in".to_owned(),
            },
        ),
        (
            "If the issuer is down",
            match settings.outage_policy {
                OutagePolicy::Hold => "the outage page".to_owned(),
                OutagePolicy::Legacy => "the legacy login, for users with a legacy account".to_owned(),
                OutagePolicy::Proceed => "continue to the identity provider".to_owned(),
            },
        ),
        (
            "If suspended",
            match settings.when_suspended {
                SuspensionPolicy::Legacy => "the legacy login".to_owned(),
                SuspensionPolicy::Hold => "the maintenance page".to_owned(),
            },
        ),
    ];
    if let Some(oidc) = &settings.oidc {
        lines.push(("Issuer", oidc.issuer.clone()));
        lines.push(("Client", oidc.client_id.clone()));
    }
    lines.extend(biller.maintenance.map(|m| ("Maintenance", format!("from {} until {}", m.from, m.until))));
    lines.extend(settings.portal_url.clone().map(|url| ("Portal", url)));
    let support = &settings.support;
    let hours = support.hours.as_ref().and_then(|hours| hours.resolve(signpost_core::Locale::English));
    let hours = hours.map(|(_, text)| text.to_owned());
    let contacts = [support.phone.clone(), support.email.clone(), hours].into_iter().flatten().collect::<Vec<_>>();
    if !contacts.is_empty() {
        lines.push(("Support", contacts.join("; ")));
    }
    lines
}
