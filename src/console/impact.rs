//! What a change would do to everybody, counted before it is made.

use std::time::Duration;

use super::Console;
use super::pages::ImpactView;
use super::staff::Staff;
use crate::audit::{Act, Action};
use crate::directory::Biller;
use crate::routing::{Change, Impact, Place};
use crate::web::Refusal;

/// A page waits so long for the count; a directory of a million takes less on its own.
const PATIENCE: Duration = Duration::from_secs(15);

/// Counts what a change of a biller would do.
pub(super) async fn preview(
    console: &Console,
    staff: &Staff,
    biller: &Biller,
    change: &Change,
) -> Result<ImpactView, Refusal> {
    let act = Act::of(Action::ImpactAsked).at(&biller.slug).with("change", change.told());
    console.note(staff, act, None).await?;
    let after = match change.applied(biller) {
        Ok(after) => [after],
        Err(why) => return Ok(ImpactView { line: why, ..ImpactView::default() }),
    };
    match tokio::time::timeout(PATIENCE, console.app.routing.impact(&after, &|_| {})).await {
        Ok(impact) => Ok(view(&impact?)),
        Err(_) => {
            let line = format!(
                "Not counted: it takes longer than a page waits. `signpost impact` counts it, for {}.",
                biller.slug
            );
            Ok(ImpactView { line, ..ImpactView::default() })
        }
    }
}

fn view(impact: &Impact) -> ImpactView {
    let Impact { usernames, changed, ambiguous, dead_ended, moves } = impact;
    let mut alarms = Vec::new();
    if *ambiguous > 0 {
        alarms.push(format!(
            "{ambiguous} would become ambiguous: more than one biller, and only the person knows which."
        ));
    }
    if *dead_ended > 0 {
        alarms.push(format!("{dead_ended} would have nowhere to sign in."));
    }
    let moves = moves.iter().map(|step| (place(step.from), place(step.to), step.usernames, step.samples.join(", ")));
    ImpactView {
        line: format!(
            "Of {usernames} usernames at this biller, {changed} would be taken elsewhere at the shared sign-in page."
        ),
        alarms,
        moves: moves.collect(),
    }
}

fn place(place: Place) -> String {
    format!("row {}: {}", place.row, place.decision.in_words())
}
