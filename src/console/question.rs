//! The form of a question: from what was sent to what is asked, and back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Console;
use super::pages::{BillerWish, QuestionForm};
use super::staff::Staff;
use crate::routing::{Question, Reading, RolloutWish};
use crate::web::fields::Fields;
use signpost_core::decision::{CiamState, IssuerHealth};
use signpost_core::text::mask;
use signpost_core::{Locale, Purpose, Slug, Timestamp};

/// Billers that can be otherwise in one question.
const ROWS: usize = 2;
const MASKED: usize = 254;

/// A question on its way through an address: sealed, since usernames stand in no address of ours.
#[derive(Serialize, Deserialize)]
pub(super) struct Sealed {
    /// Who asked: to others the username is not shown.
    pub by: String,
    pub question: Question,
}

impl Sealed {
    pub(super) fn seal(&self, console: &Console) -> String {
        console.app.keys.seal(Purpose::Question, "", self)
    }

    pub(super) fn open(console: &Console, text: &str) -> Option<Self> {
        console.app.keys.open(Purpose::Question, "", text).ok()
    }
}

/// A form to be filled in.
pub(super) fn empty() -> QuestionForm {
    QuestionForm { rows: vec![BillerWish::default(); ROWS], ..QuestionForm::default() }
}

/// What was sent, and what it asks; with the form's errors, where it cannot be read.
pub(super) fn read(console: &Console, fields: &Fields) -> (QuestionForm, Option<Question>) {
    let text = |name: &str| fields.get(name).unwrap_or_default().trim().to_owned();
    let row = |at: usize| BillerWish {
        slug: text(&format!("biller-{at}")),
        state: text(&format!("state-{at}")),
        issuer: text(&format!("issuer-{at}")),
        percent: text(&format!("percent-{at}")),
    };
    let mut form = QuestionForm {
        entry: text("entry"),
        username: text("username"),
        kept: fields.get("kept").map(str::to_owned),
        rows: (1..=ROWS).map(row).collect(),
        directory: text("directory"),
        kill: text("kill"),
        at: text("at"),
        remembered: text("remembered"),
        locale: text("locale"),
        ..QuestionForm::default()
    };
    let earlier = form.kept.as_deref().and_then(|kept| Sealed::open(console, kept)).and_then(|s| s.question.username);
    form.kept_mask = earlier.as_deref().map(mask).unwrap_or_default();
    let mut problems = Vec::new();
    let mut question = Question {
        username: if form.username.is_empty() { earlier } else { Some(form.username.clone()) },
        entry: Some(form.entry.clone()).filter(|entry| !entry.is_empty()),
        locale: Locale::from_tag(&form.locale),
        ..Question::default()
    };
    for (at, row) in form.rows.iter().enumerate() {
        read_row(&mut question, row).unwrap_or_else(|problem| problems.push((format!("biller-{}", at + 1), problem)));
    }
    let mut problem = |field: &str, sentence: &str| problems.push((field.to_owned(), sentence.to_owned()));
    question.directory = match form.directory.as_str() {
        "up" => Some(Reading::Up),
        "down" => Some(Reading::Down),
        _ => None,
    };
    match (form.at.as_str(), time(&form.at)) {
        ("", _) => {}
        (_, None) => problem("at", "Write the time as a day and a time of day"),
        (_, at) => question.at = at,
    }
    match (form.kill.as_str(), form.kill.parse()) {
        ("", _) => {}
        (_, Ok(kill)) => question.kill = Some(kill),
        (_, Err(_)) => problem("kill", "The kill switch is off, all-legacy, hold or some-biller=legacy"),
    }
    for name in form.remembered.split([',', ' ']).filter(|name| !name.is_empty()) {
        match Slug::parse(name) {
            Ok(slug) => question.remembered.push(slug),
            Err(_) => problem("remembered", "Remembered billers are short names with commas between"),
        }
    }
    form.errors = problems.into();
    let is_good = form.errors.is_empty();
    (form, is_good.then_some(question))
}

fn read_row(question: &mut Question, row: &BillerWish) -> Result<(), String> {
    let is_as_it_is = row.state.is_empty() && row.issuer.is_empty() && row.percent.is_empty();
    match (row.slug.is_empty(), is_as_it_is) {
        (true, true) => return Ok(()),
        (true, false) => return Err("Name the biller that is to be otherwise".to_owned()),
        (false, true) => return Err(format!("Choose what is to be otherwise about {}", row.slug)),
        (false, false) => {}
    }
    let slug = Slug::parse(&row.slug).map_err(|_| format!("{:?} is no biller's short name", row.slug))?;
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
        let percent = Some(percent.ok_or_else(|| "A rollout is a number from 0 to 100".to_owned())?);
        question.rollouts.insert(slug, RolloutWish { allow: None, percent });
    }
    Ok(())
}

/// The form of a question that came by a link; its username is shown to whoever asked it.
pub(super) fn form(sealed: &Sealed, token: &str, staff: &Staff) -> QuestionForm {
    let question = &sealed.question;
    let username = question.username.clone().unwrap_or_default();
    let is_own = sealed.by == staff.person();
    let mut rows: BTreeMap<&Slug, BillerWish> = BTreeMap::new();
    let row = |slug: &Slug| BillerWish { slug: slug.to_string(), ..BillerWish::default() };
    for (slug, state) in &question.billers {
        rows.entry(slug).or_insert_with(|| row(slug)).state = state.as_str().to_owned();
    }
    for (slug, health) in &question.issuers {
        let health = if *health == IssuerHealth::Up { "up" } else { "down" };
        rows.entry(slug).or_insert_with(|| row(slug)).issuer = health.to_owned();
    }
    for (slug, wish) in &question.rollouts {
        let percent = wish.percent.map_or_else(String::new, |percent| percent.to_string());
        rows.entry(slug).or_insert_with(|| row(slug)).percent = percent;
    }
    let mut rows: Vec<BillerWish> = rows.into_values().collect();
    rows.resize(ROWS.max(rows.len()), BillerWish::default());
    QuestionForm {
        entry: question.entry.clone().unwrap_or_default(),
        kept: (!is_own && !username.is_empty()).then(|| token.to_owned()),
        kept_mask: mask(&username),
        username: if is_own { username } else { String::new() },
        rows,
        directory: match question.directory {
            Some(Reading::Up) => "up".to_owned(),
            Some(Reading::Down) => "down".to_owned(),
            None => String::new(),
        },
        kill: question.kill.as_ref().map(ToString::to_string).unwrap_or_default(),
        at: question.at.map(|at| at.to_string().trim_end_matches('Z').to_owned()).unwrap_or_default(),
        remembered: question.remembered.iter().map(Slug::as_str).collect::<Vec<_>>().join(", "),
        locale: question.locale.unwrap_or_default().tag().to_owned(),
        ..QuestionForm::default()
    }
}

/// A question in one line, the username masked.
pub(super) fn in_words(question: &Question) -> String {
    let who = question.username.as_deref().map_or_else(|| "nobody named".to_owned(), |name| mask(name.trim()));
    let mut parts = vec![format!("username {who} at {}", question.entry.as_deref().unwrap_or("/login"))];
    parts.extend(question.billers.iter().map(|(slug, state)| format!("{slug} {}", state.as_str())));
    parts.extend(
        question.issuers.iter().map(|(slug, health)| {
            format!("issuer of {slug} {}", if *health == IssuerHealth::Up { "up" } else { "down" })
        }),
    );
    parts.extend(
        question.rollouts.iter().filter_map(|(slug, wish)| Some(format!("{slug} rolled out to {} %", wish.percent?))),
    );
    parts.extend(
        question.directory.map(|reading| format!("directory {}", if reading == Reading::Up { "up" } else { "down" })),
    );
    parts.extend(question.kill.as_ref().map(|kill| format!("kill switch {kill}")));
    parts.extend(question.at.map(|at| format!("as of {at}")));
    if !question.remembered.is_empty() {
        let names: Vec<&str> = question.remembered.iter().map(Slug::as_str).collect();
        parts.push(format!("remembering {}", names.join(", ")));
    }
    parts.join("; ").chars().take(4 * MASKED).collect()
}

/// A time as a browser's field has it, or with its zone.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let seconds = format!("{text}:00Z");
    let zone = format!("{text}Z");
    [text, &zone, &seconds].into_iter().find_map(Timestamp::parse_rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_browsers_write_them() {
        let at = Timestamp::parse_rfc3339("2026-11-22T08:00:00Z");
        for text in ["2026-11-22T08:00", "2026-11-22T08:00:00", "2026-11-22T08:00:00Z", "2026-11-22T09:00:00+01:00"] {
            assert_eq!(time(text), at, "{text}");
        }
        assert_eq!(time("tomorrow"), None);
    }
}
