//! Operational controls that the next request follows: pause, rollout, kill switch; and pending approvals.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::billers::PageState;
use super::extract::{Operator, PathBiller, PathId};
use super::pages::{ChangeView, ChangesPage, KillSwitchPage};
use super::staff::Staff;
use super::{Console, billers, impact, respond, simulation_form};
use crate::audit::Action;
use crate::directory::{ApprovalOutcome, Biller};
use crate::routing::ProposedChange;
use crate::web::HttpError;
use crate::web::extract::{Form, Query, StrictQuery};
use crate::web::fields::Fields;
use signpost_core::decision::KillSwitchState;
use signpost_core::{FieldErrors, Rollout, Slug, Timestamp};

/// The kill switch.
pub(super) const KILL_SWITCH: &str = "/kill-switch";
/// Pending approvals.
pub(super) const CHANGES: &str = "/changes";

/// `POST /billers/{slug}/pause`: pauses or unpauses a biller.
pub(super) async fn pause(
    State(console): State<Console>,
    Operator(staff): Operator,
    PathBiller(biller): PathBiller,
    Form(fields): Form,
) -> Result<Redirect, HttpError> {
    let pause = fields.get("pause") == Some("yes");
    let (action, done) = if pause { (Action::BillerPaused, "paused") } else { (Action::BillerUnpaused, "unpaused") };
    update_biller(&console, &staff, &biller.slug, action, |biller| biller.settings.paused = pause).await?;
    Ok(Redirect::to(&format!("/billers/{}?done={done}", biller.slug)))
}

/// `GET /billers/{slug}/rollout`: the impact of the rollout in the form.
pub(super) async fn preview_rollout(
    State(console): State<Console>,
    Operator(staff): Operator,
    PathBiller(biller): PathBiller,
    StrictQuery(fields): StrictQuery,
) -> Result<Response, HttpError> {
    let (shown, rollout) = parse_rollout(&fields, &biller);
    let Some((percent, _)) = rollout else {
        return billers::page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, &biller, shown).await;
    };
    let form = [("percent", &shown.percent), ("active_from", &shown.active_from)];
    let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let refresh_url = format!("/billers/{}/rollout?{query}", biller.slug);
    let rollout = Rollout { percent, ..biller.settings.rollout.clone() };
    let change = ProposedChange { state: None, rollout: Some(rollout) };
    let impact = Some(impact::preview(&console, &staff, &biller, change, refresh_url).await?);
    billers::page(&console, &staff, StatusCode::OK, &biller, PageState { impact, ..shown }).await
}

/// `POST /billers/{slug}/rollout`: sets percentage and activation date. The allow list does not change.
pub(super) async fn rollout(
    State(console): State<Console>,
    Operator(staff): Operator,
    PathBiller(biller): PathBiller,
    Form(fields): Form,
) -> Result<Response, HttpError> {
    let (shown, rollout) = parse_rollout(&fields, &biller);
    let Some((percent, from)) = rollout else {
        return billers::page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, &biller, shown).await;
    };
    update_biller(&console, &staff, &biller.slug, Action::RolloutUpdated, |biller| {
        biller.settings.rollout.percent = percent;
        biller.active_from = from;
    })
    .await?;
    Ok(Redirect::to(&format!("/billers/{}?done=rollout", biller.slug)).into_response())
}

/// A rollout's percentage and activation date.
type RolloutForm = (Option<u8>, Option<Timestamp>);

/// The submitted form, and the rollout unless the form is invalid.
fn parse_rollout(fields: &Fields, biller: &Biller) -> (PageState, Option<RolloutForm>) {
    let text = |name: &str| fields.get(name).unwrap_or_default().trim();
    let mut errors = FieldErrors::default();
    let percent = match text("percent").trim_end_matches('%').trim() {
        "" => None,
        number => {
            let percent = number.parse::<u8>().ok().filter(|percent| *percent <= 100);
            if percent.is_none() {
                errors.push("percent", "Enter a percentage from 0 to 100, or leave it empty for all users");
            }
            percent
        }
    };
    let from = match text("active_from") {
        "" => None,
        text => {
            let at = simulation_form::parse_time(text);
            if at.is_none() {
                errors.push("active_from", "Enter the activation date and time");
            }
            at
        }
    };
    let rollout = errors.is_empty().then_some((percent, from));
    (
        PageState {
            percent: text("percent").to_owned(),
            active_from: text("active_from").to_owned(),
            errors,
            ..PageState::of(biller)
        },
        rollout,
    )
}

async fn update_biller(
    console: &Console,
    staff: &Staff,
    slug: &Slug,
    action: Action,
    change: impl FnOnce(&mut Biller),
) -> Result<(), HttpError> {
    let actor = console.actor_context(staff);
    let is_there = console.app.directory.update_biller(slug, (&actor, action), change).await?;
    if is_there { Ok(()) } else { Err(HttpError::from_status(StatusCode::NOT_FOUND)) }
}

/// `GET /kill-switch`
pub(super) async fn kill_switch(
    State(console): State<Console>,
    staff: Staff,
    Query(fields): Query,
) -> Result<Response, HttpError> {
    let was_set = fields.has("done");
    kill_switch_page(&console, &staff, StatusCode::OK, FieldErrors::default(), was_set).await
}

/// `POST /set-kill-switch`: sets it for all instances.
pub(super) async fn set_kill_switch(
    State(console): State<Console>,
    Operator(staff): Operator,
    Form(fields): Form,
) -> Result<Response, HttpError> {
    let text = match (fields.get("kill_switch").unwrap_or_default(), fields.get("biller").unwrap_or_default().trim()) {
        ("biller", biller) => format!("{biller}=legacy"),
        (value, _) => value.to_owned(),
    };
    let known = console.app.directory.billers().await?;
    let is_known =
        |kill: &KillSwitchState| !matches!(kill, KillSwitchState::BillerLegacy(slug) if known.by_slug(slug).is_none());
    match text.parse::<KillSwitchState>().ok().filter(is_known) {
        Some(kill) => {
            console.app.directory.set_kill_switch(&kill, &console.actor_context(&staff)).await?;
            tracing::warn!(kill_switch = %kill, "the kill switch was set");
            Ok(Redirect::to("/kill-switch?done").into_response())
        }
        None => {
            let errors = FieldErrors::one("biller", "Choose a biller from the list");
            kill_switch_page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, errors, false).await
        }
    }
}

async fn kill_switch_page(
    console: &Console,
    staff: &Staff,
    status: StatusCode,
    errors: FieldErrors,
    was_set: bool,
) -> Result<Response, HttpError> {
    let known = console.app.directory.billers().await?;
    let billers = known.iter().map(|biller| (biller.slug.to_string(), biller.name.clone())).collect();
    respond::page(console, Some(staff), status, |chrome| KillSwitchPage {
        chrome,
        effective: console.app.routing.kill_switch.current(&known).to_string(),
        file_problem: console.app.routing.kill_switch.file_problem(),
        set: known.kill_switch().map_or_else(|| "not set".to_owned(), ToString::to_string),
        billers,
        errors,
        can_operate: staff.can_operate(),
        was_set,
    })
}

/// `GET /changes`
pub(super) async fn changes(
    State(console): State<Console>,
    staff: Staff,
    Query(fields): Query,
) -> Result<Response, HttpError> {
    let done = match fields.get("done") {
        Some("approved") => Some("Change approved. It takes effect immediately."),
        Some("rejected") => Some("Change rejected."),
        _ => None,
    };
    let billers = console.app.directory.billers().await?;
    let mut views = Vec::new();
    for change in console.app.directory.pending_changes().await? {
        let Some(biller) = billers.by_id(&change.biller_id) else { continue };
        views.push(ChangeView {
            slug: biller.slug.to_string(),
            is_own: change.requested_by == staff.identity(),
            requested_by: console.display_name(&change.requested_by).await?,
            requested_at: change.requested_at.to_string(),
            id: change.id,
            summary: change.summary,
        });
    }
    let can_operate = staff.can_operate();
    respond::page(&console, Some(&staff), StatusCode::OK, |chrome| ChangesPage {
        chrome,
        changes: views,
        done,
        can_operate,
    })
}

/// `POST /changes/{id}`: approves or rejects a change of another operator.
pub(super) async fn decide(
    State(console): State<Console>,
    Operator(staff): Operator,
    PathId(id): PathId,
    Form(fields): Form,
) -> Result<Redirect, HttpError> {
    let approve = fields.get("decision") == Some("approve");
    let refuse = |status, detail: &str| HttpError {
        reason: "approval_denied",
        detail: Some(detail.to_owned()),
        ..HttpError::from_status(status)
    };
    match console.app.directory.decide_change(&id, approve, &console.actor_context(&staff)).await? {
        ApprovalOutcome::Done => {
            Ok(Redirect::to(if approve { "/changes?done=approved" } else { "/changes?done=rejected" }))
        }
        ApprovalOutcome::NotFound => Err(refuse(
            StatusCode::NOT_FOUND,
            "This pending approval does not exist. It may have been decided already.",
        )),
        ApprovalOutcome::Refused(refusal) => {
            Err(refuse(StatusCode::FORBIDDEN, &format!("You cannot approve this change: {refusal}.")))
        }
        ApprovalOutcome::HostTaken => Err(refuse(StatusCode::CONFLICT, "Another biller now uses one of the hosts.")),
    }
}
