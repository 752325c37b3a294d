//! Orders that the next request follows: hold, rollout, kill switch; and changes that wait for a second person.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::billers::Shown;
use super::pages::{ChangeView, ChangesPage, KillSwitchPage};
use super::staff::Staff;
use super::{Console, billers, forms, impact, question, show};
use crate::audit::Action;
use crate::directory::{Biller, Decided};
use crate::routing::{Change, RolloutWish};
use crate::web::Refusal;
use crate::web::fields::Fields;
use signpost_core::decision::Kill;
use signpost_core::{Slug, Timestamp};

/// The kill switch.
pub(super) const KILL_SWITCH: &str = "/kill-switch";
/// Changes that wait for a second person.
pub(super) const CHANGES: &str = "/changes";

/// `POST /billers/{slug}/hold`: holds a biller, or ends that.
pub(super) async fn hold(
    State(console): State<Console>,
    staff: Staff,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Redirect, Refusal> {
    let fields = forms::read(&headers, &body)?;
    let biller = billers::named(&console, &slug).await?;
    let hold = fields.get("hold") == Some("yes");
    let (action, done) = if hold { (Action::BillerHeld, "held") } else { (Action::BillerReleased, "released") };
    change(&console, &staff, &biller.slug, action, |biller| biller.settings.hold = hold).await?;
    Ok(Redirect::to(&format!("/billers/{}?done={done}", biller.slug)))
}

/// `GET /billers/{slug}/rollout`: what the rollout in the form would do to everybody.
pub(super) async fn preview_rollout(
    State(console): State<Console>,
    staff: Staff,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let fields = fields.map_err(|_| Refusal::from_status(StatusCode::BAD_REQUEST))?;
    let biller = billers::named(&console, &slug).await?;
    let (shown, wish) = read_rollout(&fields, &biller);
    let Some((percent, _)) = wish else {
        return billers::page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, &biller, shown).await;
    };
    let form = [("percent", &shown.percent), ("from", &shown.from)];
    let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let again = format!("/billers/{}/rollout?{query}", biller.slug);
    let rollout = RolloutWish { allow: biller.settings.rollout_allow.clone(), percent };
    let change = Change { state: None, rollout: Some(rollout) };
    let impact = Some(impact::preview(&console, &staff, &biller, change, again).await?);
    billers::page(&console, &staff, StatusCode::OK, &biller, Shown { impact, ..shown }).await
}

/// `POST /billers/{slug}/rollout`: for whom an active biller counts, and from when on. The allow-list stays as it is.
pub(super) async fn rollout(
    State(console): State<Console>,
    staff: Staff,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let fields = forms::read(&headers, &body)?;
    let biller = billers::named(&console, &slug).await?;
    let (shown, wish) = read_rollout(&fields, &biller);
    let Some((percent, from)) = wish else {
        return billers::page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, &biller, shown).await;
    };
    change(&console, &staff, &biller.slug, Action::RolloutChanged, |biller| {
        biller.settings.rollout_percent = percent;
        biller.active_from = from;
    })
    .await?;
    Ok(Redirect::to(&format!("/billers/{}?done=rollout", biller.slug)).into_response())
}

/// A rollout's percentage and activation date.
type Wish = (Option<u8>, Option<Timestamp>);

/// The form of the rollout as it is shown again, and what it says; none where something is wrong with it.
fn read_rollout(fields: &Fields, biller: &Biller) -> (Shown, Option<Wish>) {
    let text = |name: &str| fields.get(name).unwrap_or_default().trim();
    let mut errors = Vec::new();
    let percent = match text("percent").trim_end_matches('%').trim() {
        "" => None,
        number => {
            let percent = number.parse::<u8>().ok().filter(|percent| *percent <= 100);
            if percent.is_none() {
                errors
                    .push(("percent".to_owned(), "A rollout is a number from 0 to 100, or nothing for all".to_owned()));
            }
            percent
        }
    };
    let from = match text("from") {
        "" => None,
        typed => {
            let at = question::time(typed);
            if at.is_none() {
                errors.push(("from".to_owned(), "Write the activation date as a day and a time of day".to_owned()));
            }
            at
        }
    };
    let wish = errors.is_empty().then_some((percent, from));
    (Shown { percent: text("percent").to_owned(), from: text("from").to_owned(), errors, ..Shown::of(biller) }, wish)
}

async fn change(
    console: &Console,
    staff: &Staff,
    slug: &Slug,
    action: Action,
    change: impl FnOnce(&mut Biller),
) -> Result<(), Refusal> {
    let by = console.by(staff);
    let is_there = console.app.directory.change_biller(slug, (&by, action), change).await?;
    if is_there { Ok(()) } else { Err(Refusal::from_status(StatusCode::NOT_FOUND)) }
}

/// `GET /kill-switch`
pub(super) async fn kill_switch(
    State(console): State<Console>,
    staff: Staff,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let was_set = query.as_deref() == Some("done");
    kill_page(&console, &staff, StatusCode::OK, Vec::new(), was_set).await
}

/// `POST /kill-switch`: for every instance, from the next request on.
pub(super) async fn set_kill_switch(
    State(console): State<Console>,
    staff: Staff,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let fields = forms::read(&headers, &body)?;
    let text = match (fields.get("order").unwrap_or_default(), fields.get("biller").unwrap_or_default().trim()) {
        ("biller", biller) => format!("{biller}=legacy"),
        (order, _) => order.to_owned(),
    };
    let known = console.app.directory.billers().await?;
    let is_known = |kill: &Kill| !matches!(kill, Kill::BillerLegacy(slug) if known.by_slug(slug).is_none());
    match text.parse::<Kill>().ok().filter(is_known) {
        Some(kill) => {
            console.app.directory.set_kill_switch(&kill, &console.by(&staff)).await?;
            tracing::warn!(order = %kill, "the kill switch was set");
            Ok(Redirect::to("/kill-switch?done").into_response())
        }
        None => {
            let errors = vec![("biller".to_owned(), "Name a biller of the list".to_owned())];
            kill_page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, errors, false).await
        }
    }
}

async fn kill_page(
    console: &Console,
    staff: &Staff,
    status: StatusCode,
    errors: Vec<(String, String)>,
    was_set: bool,
) -> Result<Response, Refusal> {
    let known = console.app.directory.billers().await?;
    let billers = known.iter().map(|biller| (biller.slug.to_string(), biller.name.clone())).collect();
    show::page(console, Some(staff), status, |chrome| KillSwitchPage {
        chrome,
        in_force: console.app.routing.kill_switch.now(&known).to_string(),
        set: known.kill_switch().map_or_else(|| "never set".to_owned(), ToString::to_string),
        billers,
        errors: errors.into(),
        operates: staff.operates(),
        was_set,
    })
}

/// `GET /changes`
pub(super) async fn changes(
    State(console): State<Console>,
    staff: Staff,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let done = match fields.get("done") {
        Some("confirmed") => Some("The change is made, from the next request on."),
        Some("declined") => Some("The change was declined."),
        _ => None,
    };
    let billers = console.app.directory.billers().await?;
    let mut views = Vec::new();
    for change in console.app.directory.pending_changes().await? {
        let Some(biller) = billers.by_id(&change.biller_id) else { continue };
        views.push(ChangeView {
            slug: biller.slug.to_string(),
            is_own: change.asked_by == staff.person(),
            asked_by: console.name_of(&change.asked_by).await?,
            asked_at: change.asked_at.to_string(),
            id: change.id,
            summary: change.summary,
        });
    }
    let operates = staff.operates();
    show::page(&console, Some(&staff), StatusCode::OK, |chrome| ChangesPage { chrome, changes: views, done, operates })
}

/// `POST /changes/{id}`: confirms a change that somebody else asked for, or declines it.
pub(super) async fn decide(
    State(console): State<Console>,
    staff: Staff,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Redirect, Refusal> {
    let fields = forms::read(&headers, &body)?;
    let confirm = fields.get("decide") == Some("confirm");
    let refuse = |status, detail: &str| Refusal {
        reason: "decide",
        detail: Some(detail.to_owned()),
        ..Refusal::from_status(status)
    };
    match console.app.directory.decide_change(&id, confirm, &console.by(&staff)).await? {
        Decided::Done => Ok(Redirect::to(if confirm { "/changes?done=confirmed" } else { "/changes?done=declined" })),
        Decided::Unknown => Err(refuse(StatusCode::NOT_FOUND, "There is no change that waits under this address.")),
        Decided::SamePerson => Err(refuse(StatusCode::FORBIDDEN, "Who asked for a change cannot confirm it.")),
        Decided::HostTaken => Err(refuse(StatusCode::CONFLICT, "One of its hosts is another biller's by now.")),
    }
}
