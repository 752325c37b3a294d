//! Finds what is stored about people.

use std::collections::HashSet;
use std::time::Duration;

use crate::access::StoredResponse;
use crate::audit::{StoredEntry, StoredEvent, for_each_event};
use crate::directory::{DirectoryError, UserRecord, UserTraces};
use crate::mail::WaitingTask;
use crate::sessions::{PastBrowserSession, PastSession};
use crate::state::AppState;
use signpost_core::{Slug, UserId, Username, UsernameInput};

use super::redact::{redact, redact_json};

/// Whom a search is about.
#[derive(Clone, Debug)]
pub struct Subject {
    /// `None`: no user has the username, but decisions and queued mail may name it.
    pub user: Option<UserId>,
    /// `None` for a user who is erased or was never there.
    pub record: Option<UserRecord>,
    /// Usernames and mail addresses.
    names: Vec<String>,
}

impl Subject {
    /// The user with an id, whether or not the directory has a record.
    pub async fn by_id(state: &AppState, user: UserId) -> Result<Self, DirectoryError> {
        let record = state.directory.user_record(&user, None).await?;
        Ok(Self::new(user, record))
    }

    /// The users who have a username: several people may share it. A username that no user has is a subject as well.
    pub async fn by_username(state: &AppState, username: &Username) -> Result<Vec<Self>, DirectoryError> {
        let records = state.directory.users_by_username(username).await?;
        if records.is_empty() {
            return Ok(vec![Self { user: None, record: None, names: vec![username.as_str().to_owned()] }]);
        }
        Ok(records.into_iter().map(|record| Self::new(record.id.clone(), Some(record))).collect())
    }

    fn new(user: UserId, record: Option<UserRecord>) -> Self {
        let names = record.iter().flat_map(|record| [record.username.clone(), record.email.clone()]);
        let names = names.filter(|name| !name.is_empty()).collect();
        Self { user: Some(user), record, names }
    }

    /// Whether a text names the person by username or mail address.
    pub fn is_named_in(&self, text: &str) -> bool {
        redact(text, &self.names).is_some()
    }

    /// What customers may have typed, as the decision log has it.
    pub(super) fn hashes(&self, state: &AppState) -> Vec<String> {
        let inputs = self.names.iter().filter_map(|name| UsernameInput::parse(name).ok());
        inputs.map(|input| state.decisions.hash_of(&input)).collect()
    }

    /// An event without the names of the person, if it has any. First and last names are common words: they are removed from
    /// events about the person only.
    fn rewrite(&self, event: &StoredEvent) -> Option<StoredEvent> {
        let mut words = self.names.clone();
        if self.is_about(event)
            && let Some(record) = &self.record
        {
            words.extend([record.first_name.clone(), record.last_name.clone()]);
        }
        words.retain(|word| !word.is_empty());
        let mut rewritten = event.clone();
        let mut is_changed = redact_json(&mut rewritten.details, &words);
        for text in [&mut rewritten.subject, &mut rewritten.reason] {
            if let Some(redacted) = text.as_deref().and_then(|text| redact(text, &words)) {
                *text = Some(redacted);
                is_changed = true;
            }
        }
        is_changed.then_some(rewritten)
    }

    fn is_about(&self, event: &StoredEvent) -> bool {
        self.user.as_ref().is_some_and(|user| event.subject.as_deref() == Some(user.as_str()))
    }
}

/// What is stored about a person.
#[derive(Clone, Debug)]
pub struct PersonalData {
    pub subject: Subject,
    pub directory: UserTraces,
    pub sessions: Vec<PastSession>,
    pub browsers: Vec<PastBrowserSession>,
    /// Decisions about the username or the mail address, by any person who typed it.
    pub decisions: Vec<StoredEntry>,
    /// Audit events about the user.
    pub events: Vec<StoredEvent>,
    /// Audit events that name the person, without the name.
    pub(super) rewritten_events: Vec<StoredEvent>,
    pub tasks: Vec<WaitingTask>,
    pub responses: Vec<StoredResponse>,
    /// The user's billers with the username on the allow list of their rollout.
    pub allow_lists: Vec<Slug>,
}

impl PersonalData {
    /// What an erasure removes, by table.
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("users", usize::from(self.subject.record.is_some())),
            ("membership", self.directory.memberships.len()),
            ("user_password", usize::from(self.directory.password_set_at.is_some())),
            ("subject_pin", self.directory.pins.len()),
            ("biller_session", self.sessions.len()),
            ("session", self.browsers.len()),
            ("decision_log", self.decisions.len()),
            ("audit_event", self.rewritten_events.len()),
            ("queued_task", self.tasks.len()),
            ("idempotency", self.responses.len()),
            ("biller", self.allow_lists.len()),
        ]
    }

    pub fn is_empty(&self) -> bool {
        self.counts().iter().all(|(_, count)| *count == 0)
    }
}

/// Finds the data of several people. Decision log and audit trail are read once for all of them.
pub async fn collect(state: &AppState, subjects: Vec<Subject>) -> Result<Vec<PersonalData>, DirectoryError> {
    let keep = Duration::from_secs(state.config.audit.decision_retention_days.saturating_mul(24 * 3600));
    let hashes: Vec<Vec<String>> = subjects.iter().map(|subject| subject.hashes(state)).collect();
    let all: Vec<&str> = hashes.iter().flatten().map(String::as_str).collect();
    let decisions = state.decisions.entries_of(&all, keep, state.clock.now()).await?;
    let mut events = vec![(Vec::new(), Vec::new()); subjects.len()];
    for_each_event(&state.db, |event| {
        for (subject, (about, rewritten)) in subjects.iter().zip(&mut events) {
            rewritten.extend(subject.rewrite(&event));
            if subject.is_about(&event) {
                about.push(event.clone());
            }
        }
    })
    .await?;
    let mut found = Vec::new();
    for ((subject, hashes), (events, rewritten_events)) in subjects.into_iter().zip(hashes).zip(events) {
        let hashes: HashSet<String> = hashes.into_iter().collect();
        let decisions = decisions.iter().filter(|(hash, _)| hashes.contains(hash)).map(|(_, entry)| entry.clone());
        found.push(collect_one(state, subject, decisions.collect(), (events, rewritten_events)).await?);
    }
    Ok(found)
}

async fn collect_one(
    state: &AppState,
    subject: Subject,
    decisions: Vec<StoredEntry>,
    (events, rewritten_events): (Vec<StoredEvent>, Vec<StoredEvent>),
) -> Result<PersonalData, DirectoryError> {
    let (directory, (sessions, browsers)) = match &subject.user {
        Some(user) => (state.directory.traces_of(user).await?, state.biller_sessions.of_user(user).await?),
        None => Default::default(),
    };
    let names: Vec<String> = subject.names.iter().map(|name| name.to_lowercase()).collect();
    let tasks = state.mail.tasks_of(subject.user.as_ref(), &names).await?;
    let mut marks: Vec<String> =
        subject.names.iter().map(|name| serde_json::Value::from(name.as_str()).to_string()).collect();
    marks.extend(subject.user.as_ref().filter(|_| subject.record.is_some()).map(ToString::to_string));
    let fits = |body: &str| marks.iter().any(|mark| body.contains(mark.as_str()));
    let responses = StoredResponse::find(&state.db, state.clock.now(), fits).await?;
    let billers = state.directory.refresh().await?;
    let memberships = directory.memberships.iter().filter_map(|membership| billers.by_id(&membership.biller));
    let key = subject.record.as_ref().and_then(|record| Username::parse(&record.username).ok());
    let allow_lists = memberships
        .filter(|biller| key.as_ref().is_some_and(|key| biller.settings.rollout.lists(key.as_str())))
        .map(|biller| biller.slug.clone())
        .collect();
    Ok(PersonalData {
        subject,
        directory,
        sessions,
        browsers,
        decisions,
        events,
        rewritten_events,
        tasks,
        responses,
        allow_lists,
    })
}
