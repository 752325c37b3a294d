//! The form of a question: from what was sent to what is asked, and back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Console;
use super::pages::{BillerOverride, SimulationForm};
use super::staff::Staff;
use crate::routing::{DirectoryAvailability, SimulationRequest};
use crate::web::fields::Fields;
use signpost_core::decision::{CiamState, IssuerHealth};
use signpost_core::text::mask;
use signpost_core::{FieldErrors, Locale, Purpose, Rollout, Slug, Timestamp, paths};

/// Billers that can be otherwise in one question.
const OVERRIDE_ROWS: usize = 2;
const MAX_DESCRIPTION_PART: usize = 254;

/// A question on its way through an address: sealed, since usernames stand in no address of ours.
#[derive(Serialize, Deserialize)]
pub(super) struct SealedRequest {
    /// Who asked: to others the username is not shown.
    pub requested_by: String,
    pub question: SimulationRequest,
}

impl SealedRequest {
    pub(super) fn seal(&self, console: &Console) -> String {
        console.app.keys.seal(Purpose::Simulation, "", self)
    }

    pub(super) fn open(console: &Console, text: &str) -> Option<Self> {
        console.app.keys.open(Purpose::Simulation, "", text).ok()
    }
}

/// A form to be filled in.
pub(super) fn empty_form() -> SimulationForm {
    SimulationForm { rows: vec![BillerOverride::default(); OVERRIDE_ROWS], ..SimulationForm::default() }
}

/// What was sent, and what it asks; with the form's errors, where it cannot be read.
pub(super) fn read(console: &Console, fields: &Fields) -> (SimulationForm, Option<SimulationRequest>) {
    let text = |name: &str| fields.get(name).unwrap_or_default().trim().to_owned();
    let row = |at: usize| BillerOverride {
        slug: text(&format!("biller-{at}")),
        state: text(&format!("state-{at}")),
        issuer: text(&format!("issuer-{at}")),
        percent: text(&format!("percent-{at}")),
    };
    let mut form = SimulationForm {
        entry: text("entry"),
        username: text("username"),
        sealed_request: fields.get("sealed_request").map(str::to_owned),
        rows: (1..=OVERRIDE_ROWS).map(row).collect(),
        directory: text("directory"),
        kill_switch: text("kill_switch"),
        at: text("at"),
        remembered: text("remembered"),
        locale: text("locale"),
        ..SimulationForm::default()
    };
    let earlier = form
        .sealed_request
        .as_deref()
        .and_then(|text| SealedRequest::open(console, text))
        .and_then(|s| s.question.username);
    form.masked_username = earlier.as_deref().map(mask).unwrap_or_default();
    let mut problems = FieldErrors::default();
    let mut question = SimulationRequest {
        username: if form.username.is_empty() { earlier } else { Some(form.username.clone()) },
        entry: Some(form.entry.clone()).filter(|entry| !entry.is_empty()),
        locale: Locale::from_tag(&form.locale),
        ..SimulationRequest::default()
    };
    for (at, row) in form.rows.iter().enumerate() {
        parse_override(&mut question, row)
            .unwrap_or_else(|problem| problems.push(format!("biller-{}", at + 1), problem));
    }
    let mut problem = |field: &str, sentence: &str| problems.push(field, sentence);
    question.directory = match form.directory.as_str() {
        "up" => Some(DirectoryAvailability::Up),
        "down" => Some(DirectoryAvailability::Down),
        _ => None,
    };
    match (form.at.as_str(), parse_time(&form.at)) {
        ("", _) => {}
        (_, None) => problem("at", "Enter a date and time"),
        (_, at) => question.at = at,
    }
    match (form.kill_switch.as_str(), form.kill_switch.parse()) {
        ("", _) => {}
        (_, Ok(kill)) => question.kill_switch = Some(kill),
        (_, Err(_)) => problem("kill_switch", "Enter off, all-legacy, hold or SLUG=legacy"),
    }
    for name in form.remembered.split([',', ' ']).filter(|name| !name.is_empty()) {
        match Slug::parse(name) {
            Ok(slug) => question.remembered.push(slug),
            Err(_) => problem("remembered", "Enter biller slugs, separated by commas"),
        }
    }
    form.errors = problems;
    let is_good = form.errors.is_empty();
    (form, is_good.then_some(question))
}

fn parse_override(question: &mut SimulationRequest, row: &BillerOverride) -> Result<(), String> {
    let is_unchanged = row.state.is_empty() && row.issuer.is_empty() && row.percent.is_empty();
    match (row.slug.is_empty(), is_unchanged) {
        (true, true) => return Ok(()),
        (true, false) => return Err("Enter the biller to override".to_owned()),
        (false, true) => return Err(format!("Choose an override for {}", row.slug)),
        (false, false) => {}
    }
    let slug = Slug::parse(&row.slug).map_err(|_| format!("{:?} is not a valid slug", row.slug))?;
    let states = [CiamState::Legacy, CiamState::Enabling, CiamState::Active, CiamState::Suspended];
    if let Some(state) = states.into_iter().find(|state| state.as_str() == row.state) {
        question.billers.insert(slug.clone(), state);
    }
    match row.issuer.as_str() {
        "up" => drop(question.issuers.insert(slug.clone(), IssuerHealth::Up)),
        "down" => drop(question.issuers.insert(slug.clone(), IssuerHealth::Down)),
        _ => {}
    }
    if !row.percent.is_empty() {
        let percent = row.percent.trim_end_matches('%').trim().parse::<u8>().ok().filter(|percent| *percent <= 100);
        let percent = Some(percent.ok_or_else(|| "Enter a rollout percentage from 0 to 100".to_owned())?);
        question.rollouts.insert(slug, Rollout { allow: None, percent });
    }
    Ok(())
}

/// The form of a simulation that was opened by a link. Only its author sees the username.
pub(super) fn form(sealed: &SealedRequest, token: &str, staff: &Staff) -> SimulationForm {
    let question = &sealed.question;
    let username = question.username.clone().unwrap_or_default();
    let is_own = sealed.requested_by == staff.identity();
    let mut rows: BTreeMap<&Slug, BillerOverride> = BTreeMap::new();
    let row = |slug: &Slug| BillerOverride { slug: slug.to_string(), ..BillerOverride::default() };
    for (slug, state) in &question.billers {
        rows.entry(slug).or_insert_with(|| row(slug)).state = state.as_str().to_owned();
    }
    for (slug, health) in &question.issuers {
        let health = if *health == IssuerHealth::Up { "up" } else { "down" };
        rows.entry(slug).or_insert_with(|| row(slug)).issuer = health.to_owned();
    }
    for (slug, rollout) in &question.rollouts {
        let percent = rollout.percent.map_or_else(String::new, |percent| percent.to_string());
        rows.entry(slug).or_insert_with(|| row(slug)).percent = percent;
    }
    let mut rows: Vec<BillerOverride> = rows.into_values().collect();
    rows.resize(OVERRIDE_ROWS.max(rows.len()), BillerOverride::default());
    SimulationForm {
        entry: question.entry.clone().unwrap_or_default(),
        sealed_request: (!is_own && !username.is_empty()).then(|| token.to_owned()),
        masked_username: mask(&username),
        username: if is_own { username } else { String::new() },
        rows,
        directory: match question.directory {
            Some(DirectoryAvailability::Up) => "up".to_owned(),
            Some(DirectoryAvailability::Down) => "down".to_owned(),
            None => String::new(),
        },
        kill_switch: question.kill_switch.as_ref().map(ToString::to_string).unwrap_or_default(),
        at: question.at.map(|at| at.to_string().trim_end_matches('Z').to_owned()).unwrap_or_default(),
        remembered: question.remembered.iter().map(Slug::as_str).collect::<Vec<_>>().join(", "),
        locale: question.locale.unwrap_or_default().tag().to_owned(),
        ..SimulationForm::default()
    }
}

/// A question in one line, the username masked.
pub(super) fn describe(question: &SimulationRequest) -> String {
    let who = question.username.as_deref().map_or_else(|| "none".to_owned(), |name| mask(name.trim()));
    let mut parts = vec![format!("username {who} at {}", question.entry.as_deref().unwrap_or(paths::LOGIN))];
    parts.extend(question.billers.iter().map(|(slug, state)| format!("{slug} {}", state.as_str())));
    parts.extend(
        question.issuers.iter().map(|(slug, health)| {
            format!("issuer of {slug} {}", if *health == IssuerHealth::Up { "up" } else { "down" })
        }),
    );
    parts.extend(
        question.rollouts.iter().filter_map(|(slug, rollout)| Some(format!("rollout of {slug} {}%", rollout.percent?))),
    );
    parts.extend(question.directory.map(|availability| {
        format!("directory {}", if availability == DirectoryAvailability::Up { "up" } else { "down" })
    }));
    parts.extend(question.kill_switch.as_ref().map(|kill| format!("kill switch {kill}")));
    parts.extend(question.at.map(|at| format!("as of {at}")));
    if !question.remembered.is_empty() {
        let names: Vec<&str> = question.remembered.iter().map(Slug::as_str).collect();
        parts.push(format!("remembering {}", names.join(", ")));
    }
    parts.join("; ").chars().take(4 * MAX_DESCRIPTION_PART).collect()
}

/// A time as a browser's field has it, or with its zone.
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}Z")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browser_time_formats_are_parsed() {
        let at = Timestamp::parse_rfc3339("2026-11-22T08:00:00Z");
        for text in [
            "2026-11-22T08:00",
            "2026-11-22T08:00:00",
            "2026-11-22T08:00:00Z",
            "2026-11-22T09:00:00+01:00",
            "2026-11-22 08:00",
        ] {
            assert_eq!(parse_time(text), at, "{text}");
        }
        assert_eq!(parse_time("tomorrow"), None);
    }
}
