//! What a change would do to everybody, counted before it is made. A page waits for the count for a moment only, and then shows
//! how far it is; with a script it follows the count by itself.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, unfold};
use http::{HeaderValue, StatusCode};
use serde_json::json;
use tokio::sync::watch;

use super::Console;
use super::counts::{Asked, Standing};
use super::pages::{CountingView, ImpactView};
use super::staff::Staff;
use crate::audit::{Act, Action};
use crate::directory::Biller;
use crate::routing::{Change, Impact, Place, Progress};
use crate::web::Refusal;

/// A page waits so long for a count.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a change of a biller would do, or how far the count of that is. `again` is the address of the page that shows it.
pub(super) async fn preview(
    console: &Console,
    staff: &Staff,
    biller: &Biller,
    change: Change,
    again: String,
) -> Result<ImpactView, Refusal> {
    let state = &console.app;
    let billers = state.directory.billers().await?;
    let biller = billers.by_id(&biller.id).map_or(biller, AsRef::as_ref);
    let after = match change.applied(biller) {
        Ok(after) => [after],
        Err(why) => return Ok(ImpactView { line: why, ..ImpactView::default() }),
    };
    let act = Act::of(Action::ImpactAsked).at(&biller.slug).with("change", change.told());
    let (by, db, routing) = (console.by(staff), state.db.clone(), state.routing.clone());
    let asked = Asked { person: staff.person(), biller: biller.id.clone(), change };
    let count = console.counts.of(asked, billers.revision(), move |tell| async move {
        by.note_alone(&db, act).await?;
        routing.impact(&after, &tell).await
    });
    let Some(mut count) = count else {
        let line = "Not counted: too many other counts are still under way.".to_owned();
        return Ok(ImpactView { line, again, ..ImpactView::default() });
    };
    // Whichever comes first, it is shown as it stands then.
    let _ = tokio::time::timeout(PATIENCE, count.standing.wait_for(Standing::has_ended)).await;
    let standing = count.standing.borrow().clone();
    Ok(view(standing, count.id, again))
}

/// `GET /impact/{id}/events`: how far a count is, at each change until it has ended (server-sent events, HTML standard, section
/// 9.2).
pub(super) async fn events(
    State(console): State<Console>,
    staff: Staff,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let count = console.counts.find(&id, &staff.person());
    let mut count = count.ok_or_else(|| Refusal::from_status(StatusCode::NOT_FOUND))?;
    count.standing.mark_changed();
    let mut response = Sse::new(changes(count.standing)).keep_alive(KeepAlive::default()).into_response();
    // Proxies that gather answers would hold the events back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Ends with the count, which ends with this instance.
fn changes(standing: watch::Receiver<Standing>) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(Some(standing), async |standing| {
        let mut standing = standing?;
        standing.changed().await.ok()?;
        let now = standing.borrow_and_update().clone();
        Some((Ok(Event::default().data(told(&now))), (!now.has_ended()).then_some(standing)))
    })
}

fn told(standing: &Standing) -> String {
    let told = match standing {
        Standing::Counting(progress) => {
            let (count, Progress { done, total }) = (so_far(*progress), *progress);
            json!({ "final": false, "message": COUNTING, "count": count, "done": done, "total": total })
        }
        Standing::Ended(..) => json!({ "final": true }),
    };
    told.to_string()
}

const COUNTING: &str = "This is being counted. There is no need to wait for it.";

fn so_far(Progress { done, total }: Progress) -> String {
    match total {
        0 => "Not begun yet".to_owned(),
        _ => format!("{} of {} usernames looked at", grouped(done), grouped(total)),
    }
}

fn view(standing: Standing, id: String, again: String) -> ImpactView {
    match standing {
        Standing::Counting(progress) => {
            let Progress { done, total } = progress;
            let counting = Some(CountingView { id, done, total, count: so_far(progress) });
            ImpactView { line: COUNTING.to_owned(), counting, again, ..ImpactView::default() }
        }
        Standing::Ended(_, Ok(impact)) => result(&impact),
        Standing::Ended(_, Err(why)) => {
            ImpactView { line: format!("Not counted: {why}."), again, ..ImpactView::default() }
        }
    }
}

fn result(impact: &Impact) -> ImpactView {
    let mut alarms = Vec::new();
    if impact.ambiguous > 0 {
        alarms.push(format!(
            "{} would become ambiguous: more than one biller, and only the person knows which.",
            grouped(impact.ambiguous)
        ));
    }
    if impact.dead_ended > 0 {
        alarms.push(format!("{} would have nowhere to sign in.", grouped(impact.dead_ended)));
    }
    let moves = impact.moves.iter();
    let moves = moves.map(|step| (place(step.from), place(step.to), grouped(step.usernames), step.samples.join(", ")));
    ImpactView {
        line: format!(
            "Of {} usernames at this biller, {} would be taken elsewhere at the shared sign-in page.",
            grouped(impact.usernames),
            grouped(impact.changed)
        ),
        alarms,
        moves: moves.collect(),
        ..ImpactView::default()
    }
}

fn place(place: Place) -> String {
    format!("row {}: {}", place.row, place.decision.in_words())
}

/// As people read numbers: 1,000,000.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_groups() {
        assert_eq!([0, 999, 1000, 120_000, 1_000_000].map(grouped), ["0", "999", "1,000", "120,000", "1,000,000"]);
        assert_eq!(so_far(Progress { done: 0, total: 0 }), "Not begun yet");
    }
}
