//! Health of the service and of each biller.

use axum::extract::{FromRef, State};
use axum::response::Response;
use http::StatusCode;

use super::pages::{Badge, Bar, HealthPage, HealthRow};
use super::staff::Staff;
use super::{Console, respond};
use crate::state::{BillerHealth, DailyStats, HealthReporter, MigrationStats, ServiceHealth};
use crate::web::HttpError;

/// The health page.
pub(super) const HEALTH: &str = "/health";

/// Height of a chart, in its own units.
const CHART_HEIGHT: i64 = 40;

/// `GET /health`
pub(super) async fn page(State(console): State<Console>, staff: Staff) -> Result<Response, HttpError> {
    let health = HealthReporter::from_ref(&console.app).report(None).await?;
    respond::page(&console, Some(&staff), StatusCode::OK, |chrome| HealthPage {
        chrome,
        at: health.at.to_string(),
        lines: lines(&health),
        billers: health.billers.iter().map(health_row).collect(),
    })
}

fn badge(word: impl Into<String>, tone: &'static str) -> Badge {
    Badge { word: word.into(), tone }
}

fn lines(health: &ServiceHealth) -> Vec<(&'static str, Badge, String)> {
    let some = health.jobs.iter().filter(|(_, count)| **count > 0);
    let jobs: Vec<String> = some.map(|(state, count)| format!("{count} {}", state.replace('_', " "))).collect();
    let needs_attention = health.jobs.get("needs_attention").copied().unwrap_or(0) > 0;
    let jobs_badge = if needs_attention { badge("needs attention", "bad") } else { badge("OK", "good") };
    let queued_tasks = &health.queued_tasks;
    let queued_tasks_badge = if queued_tasks.failing > 0 { badge("failing", "warn") } else { badge("OK", "good") };
    let mut lines = vec![
        ("Jobs", jobs_badge, if jobs.is_empty() { "none yet".to_owned() } else { jobs.join(", ") }),
        (
            "Queued tasks",
            queued_tasks_badge,
            format!("{} pending, {} failing", queued_tasks.pending, queued_tasks.failing),
        ),
    ];
    if let Some(integrity) = &health.integrity {
        let (tone, text) = match integrity.usernames {
            0 => (badge("OK", "good"), "No username has more than one legacy biller.".to_owned()),
            count => {
                let samples = integrity.samples.join(", ");
                (
                    badge("conflict", "bad"),
                    format!("Usernames with more than one legacy biller: {count}, for example {samples}"),
                )
            }
        };
        lines.push(("Integrity", tone, text));
    }
    if let Some(problem) = &health.kill_switch_file_problem {
        lines.push(("Kill switch file", badge("not understood", "bad"), format!("{problem}.")));
    }
    lines
}

fn health_row(biller: &BillerHealth) -> HealthRow {
    let issuer = match (&biller.issuer, &biller.setup_fault) {
        (None, _) => badge("none", ""),
        (Some(issuer), _) if issuer.open => badge(format!("down: {}", issuer.reason), "bad"),
        (_, Some(fault)) => badge(format!("setup fault: {}", fault.reason), "bad"),
        (Some(issuer), None) if issuer.failures == 0 => badge("up", "good"),
        (Some(issuer), None) => badge(format!("{} failed", issuer.failures), "warn"),
    };
    let calls = match biller.calls.calls {
        0 => "none yet".to_owned(),
        calls => {
            let stats = &biller.calls;
            format!("{} of {calls} failed; median {} ms, p95 {} ms", stats.failed, stats.median_ms, stats.p95_ms)
        }
    };
    let returns = match (biller.returns.started, biller.returns.alarm) {
        (0, _) => badge("no sign-ins", ""),
        (started, alarm) => {
            let word = format!("{} of {started}", biller.returns.returned);
            badge(word, if alarm { "bad" } else { "good" })
        }
    };
    let board = &biller.migration_stats;
    let share = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), |share| format!("{:.0} %", share * 100.0));
    HealthRow {
        slug: biller.slug.to_string(),
        name: biller.name.clone(),
        state: biller.state.as_str(),
        issuer,
        calls,
        returns,
        users: match (biller.user_changes.pending, biller.user_changes.failing) {
            (0, _) => "none".to_owned(),
            (pending, 0) => pending.to_string(),
            (pending, failing) => format!("{pending}, {failing} failing"),
        },
        legacy_share: share(board.legacy_share),
        first_success: share(board.first_sign_in_success_rate),
        resets: board.password_resets_in_first_week.map_or_else(|| "–".to_owned(), |resets| resets.to_string()),
        bars: bars(&board.days),
        chart_description: chart_description(board),
    }
}

/// The last days as bars: the whole of one is its sign-ins, its foot those from old addresses.
fn bars(days: &[DailyStats]) -> Vec<Bar> {
    let most = days.iter().map(|day| day.sign_ins).max().unwrap_or(0).max(1);
    let high = |count: i64| u32::try_from((count * CHART_HEIGHT).div_euclid(most).clamp(0, CHART_HEIGHT)).unwrap_or(0);
    let top = |height: u32| u32::try_from(CHART_HEIGHT).unwrap_or(0) - height;
    let bar = |(at, day): (usize, &DailyStats)| {
        let (all, old) = (high(day.sign_ins), high(day.via_legacy_addresses.min(day.sign_ins)));
        Bar { x: at * 6, all, all_y: top(all), old, old_y: top(old) }
    };
    days.iter().enumerate().map(bar).collect()
}

fn chart_description(board: &MigrationStats) -> String {
    match board.days.last() {
        None => "No sign-ins in 30 days.".to_owned(),
        Some(last) => format!(
            "{} sign-ins in 30 days, {} of them from legacy addresses; {} on {}.",
            board.sign_ins, board.via_legacy_addresses, last.day, last.sign_ins
        ),
    }
}
