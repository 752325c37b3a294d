//! Saving billers, one or a file of them: everything is checked before anything is written, in one transaction.

use std::collections::HashSet;
use std::fmt;

use serde_json::{Map, Value};

use super::biller::Biller;
use super::changes::changes;
pub use super::patch::ImportContext;
use super::patch::{BillerPatch, is_same_host};
use super::pending::{self, ProposedChange};
use super::snapshot::Billers;
use super::store;
use crate::audit::{Action, Actor, AuditEvent};
use crate::config::toml_problem;
use crate::db::Tx;
use crate::directory::{Directory, DirectoryError};
use signpost_core::{BillerId, FieldError, FieldErrors, Slug};

/// A biller of a file or a request. A known slug updates that biller, a new one creates a biller.
#[derive(Clone, Debug)]
pub struct BillerRow {
    pub slug: Slug,
    pub patch: BillerPatch,
}

impl BillerRow {
    /// Reads a JSON object. Reports every field that is wrong.
    pub fn from_json(mut fields: Map<String, Value>) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let slug = match fields.remove("slug") {
            Some(slug) => serde_json::from_value::<Slug>(slug).map_err(|error| error.to_string()),
            None => Err("is required".to_owned()),
        };
        let slug = errors.check("slug", slug);
        match (BillerPatch::from_json(fields), slug) {
            (Ok(patch), Some(slug)) => return Ok(Self { slug, patch }),
            (Ok(_), None) => {}
            (Err(more), _) => errors.extend(more),
        }
        Err(errors)
    }
}

/// What an import did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub created: usize,
    pub updated: usize,
    /// Changes that need an approval.
    pub pending: usize,
}

/// Why a file of billers was not imported. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Reads a file's text: TOML with `[[billers]]`, JSON `{"billers": […]}` or a JSON array. Errors do not quote secrets.
pub fn parse(text: &str, is_json: bool) -> Result<Vec<BillerRow>, ImportError> {
    let text = text.trim_start_matches('\u{feff}');
    let invalid = |error: String| ImportError::Invalid(vec![error]);
    let document: Value = if is_json {
        serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?
    } else {
        let document = toml::from_str(text).map_err(|error| invalid(toml_problem(text, &error)))?;
        with_times_as_text(document)
    };
    let rows = match document {
        Value::Array(rows) => rows,
        Value::Object(mut document) => {
            let billers = document.remove("billers");
            if let Some(unknown) = document.keys().next() {
                return Err(invalid(format!("{unknown}: the only key at the top level is `billers`")));
            }
            match billers {
                Some(Value::Array(rows)) => rows,
                _ => return Err(invalid("the file must have a list named `billers`".to_owned())),
            }
        }
        _ => return Err(invalid("the file must be a list of billers".to_owned())),
    };
    let (mut billers, mut problems) = (Vec::new(), Vec::new());
    for (index, row) in rows.into_iter().enumerate() {
        let slug = row.get("slug").and_then(Value::as_str).unwrap_or("no slug").to_owned();
        let Value::Object(fields) = row else {
            problems.push(format!("biller {}: must be an object", index + 1));
            continue;
        };
        match BillerRow::from_json(fields) {
            Ok(row) => billers.push(row),
            Err(errors) => {
                problems.extend(errors.iter().map(|error| format!("biller {} ({slug}): {error}", index + 1)))
            }
        }
    }
    if problems.is_empty() { Ok(billers) } else { Err(ImportError::Invalid(problems)) }
}

/// TOML has a type for times, which serde represents as a map with one private key. JSON has texts.
fn with_times_as_text(value: Value) -> Value {
    match value {
        Value::Object(mut fields) => match fields.remove("$__toml_private_datetime") {
            Some(time) => time,
            None => Value::Object(fields.into_iter().map(|(key, value)| (key, with_times_as_text(value))).collect()),
        },
        Value::Array(values) => Value::Array(values.into_iter().map(with_times_as_text).collect()),
        other => other,
    }
}

/// An error in one row of a file.
struct RowError {
    /// Counted from 0.
    index: usize,
    slug: Slug,
    error: FieldError,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "biller {} ({}): {}", self.index + 1, self.slug, self.error)
    }
}

fn invalid(errors: &[RowError]) -> ImportError {
    ImportError::Invalid(errors.iter().map(ToString::to_string).collect())
}

/// Why one biller was not saved.
#[derive(Debug, thiserror::Error)]
pub enum UpsertError {
    #[error("a biller with this slug already exists")]
    SlugTaken,
    #[error("there is no such biller")]
    NotFound,
    #[error(transparent)]
    Invalid(#[from] FieldErrors),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    Create,
    Update,
}

impl Directory {
    /// Imports billers. With `dry_run` everything is checked and nothing is written.
    pub async fn import_billers(
        &self,
        rows: Vec<BillerRow>,
        context: &ImportContext,
        dry_run: bool,
    ) -> Result<Summary, ImportError> {
        // The write lock comes first, so that the second of two concurrent imports sees what the first has written.
        let mut tx = self.db.begin().await.map_err(DirectoryError::Db)?;
        self.bump(&mut tx).await.map_err(DirectoryError::Db)?;
        let known = store::load_billers_in(&mut tx).await?;
        let (mut billers, errors) = check(rows, &known, context);
        if !errors.is_empty() {
            return Err(invalid(&errors));
        }
        let updated = billers.iter().filter(|biller| known.by_slug(&biller.slug).is_some()).count();
        let proposals = extract_proposals(&mut billers, &known, context);
        let summary = Summary { created: billers.len() - updated, updated, pending: proposals.len() };
        if !dry_run {
            write(&mut tx, &billers, &known, context, &proposals).await?;
            tx.commit().await.map_err(DirectoryError::Db)?;
        }
        Ok(summary)
    }

    /// The billers as an import would leave them. Writes nothing.
    pub async fn preview_billers(
        &self,
        rows: Vec<BillerRow>,
        context: &ImportContext,
    ) -> Result<Vec<Biller>, ImportError> {
        let known = self.billers().await?;
        let (billers, errors) = check(rows, &known, context);
        if errors.is_empty() { Ok(billers) } else { Err(invalid(&errors)) }
    }

    /// Creates or updates one biller within the caller's transaction.
    pub async fn upsert_biller_in(
        &self,
        tx: &mut Tx,
        row: BillerRow,
        context: &ImportContext,
        mode: WriteMode,
    ) -> Result<Biller, UpsertError> {
        self.bump(tx).await.map_err(DirectoryError::Db)?;
        let known = store::load_billers_in(tx).await?;
        match (mode, known.by_slug(&row.slug).is_some()) {
            (WriteMode::Create, true) => return Err(UpsertError::SlugTaken),
            (WriteMode::Update, false) => return Err(UpsertError::NotFound),
            _ => {}
        }
        let (mut billers, errors) = check(vec![row], &known, context);
        if !errors.is_empty() {
            return Err(UpsertError::Invalid(errors.into_iter().map(|row| row.error).collect()));
        }
        let proposals = extract_proposals(&mut billers, &known, context);
        write(tx, &billers, &known, context, &proposals).await?;
        billers.pop().ok_or(UpsertError::NotFound)
    }
}

/// The billers that the rows make of the known ones, and everything that is wrong with the rows.
fn check(rows: Vec<BillerRow>, known: &Billers, context: &ImportContext) -> (Vec<Biller>, Vec<RowError>) {
    let in_file: HashSet<Slug> = rows.iter().map(|row| row.slug.clone()).collect();
    let (mut hosts, mut slugs) = (HashSet::new(), HashSet::new());
    let (mut billers, mut row_errors) = (Vec::new(), Vec::new());
    for (index, BillerRow { slug, patch }) in rows.into_iter().enumerate() {
        let mut biller = known.by_slug(&slug).map_or_else(
            || Biller::new(BillerId::new(context.actor.now(), context.actor.random()), slug.clone()),
            |biller| (**biller).clone(),
        );
        let mut errors = FieldErrors::default();
        if !slugs.insert(slug.clone()) {
            errors.push("slug", "occurs twice in the file");
        }
        errors.extend(patch.apply(&mut biller, context));
        for host in &biller.hosts {
            let owner = known.by_host(host).filter(|owner| owner.slug != slug && !in_file.contains(&owner.slug));
            if context.own_hosts.iter().any(|own| is_same_host(own, host)) {
                errors.push(
                    "hosts",
                    format!("{host} is a host of Signpost itself (server.public_url, console.public_url)"),
                );
            }
            if !hosts.insert(host.clone()) || owner.is_some() {
                errors.push("hosts", format!("{host} is another biller's host"));
            }
        }
        row_errors.extend(errors.into_iter().map(|error| RowError { index, slug: slug.clone(), error }));
        billers.push(biller);
    }
    (billers, row_errors)
}

/// Takes out of the billers what needs an approval, each with the biller's index.
fn extract_proposals(billers: &mut [Biller], known: &Billers, context: &ImportContext) -> Vec<(usize, ProposedChange)> {
    if context.actor.actor == Actor::System {
        return Vec::new();
    }
    let each = billers.iter_mut().enumerate();
    each.filter_map(|(at, biller)| Some((at, pending::extract_proposal(known.by_slug(&biller.slug)?, biller)?)))
        .collect()
}

async fn write(
    tx: &mut Tx,
    billers: &[Biller],
    known: &Billers,
    context: &ImportContext,
    proposals: &[(usize, ProposedChange)],
) -> Result<(), DirectoryError> {
    let actor = &context.actor;
    // A host may move from one biller of the file to another, so all hosts are dropped first.
    for biller in billers {
        store::drop_hosts(tx, biller).await?;
    }
    for biller in billers {
        if biller.pinned_iss.is_none() {
            store::drop_iss_pin(tx, biller).await?;
        }
        store::upsert_biller(tx, biller, actor.now()).await?;
        let before = known.by_slug(&biller.slug).map(|before| &**before);
        let action = if before.is_some() { Action::BillerUpdated } else { Action::BillerCreated };
        let changes = changes(before, biller);
        if before.is_none() || changes.as_object().is_some_and(|changes| !changes.is_empty()) {
            actor.record(tx, AuditEvent::new(action).at(&biller.slug).with("changes", changes)).await?;
        }
    }
    for (at, change) in proposals {
        pending::insert(tx, &billers[*at], change, actor).await?;
    }
    Ok(())
}
