//! `GET /api/v1/audit`: the audit trail.

use axum::Json;
use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, unfold};
use http::header;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::auth::ApiKeyFor;
use super::pagination::{Cursors, Links, ListQuery, Pagination, Totals};
use super::problem::{invalid_parameter, not_found};
use crate::access::{ApiKey, Scope, scope};
use crate::audit::{Action, AuditEvent, EventFilter, StoredEvent, count_events, list_events};
use crate::db::Db;
use crate::directory::Directory;
use crate::web::{HttpError, paths};
use signpost_core::{Slug, Timestamp};

/// Events that an export reads at a time.
const EXPORT_BATCH_SIZE: usize = 500;

/// A page of audit events, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditEventPage {
    events: Vec<StoredEvent>,
    links: Links,
    /// Present with `include_totals`. Counts the events that the API key has access to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    totals: Option<Totals>,
}

/// List audit events
///
/// Returns who did what, newest first: one page as JSON, or every matching event as CSV or JSON Lines. A key that is limited to
/// some billers gets the events of those billers. Exports are audit events themselves.
#[utoipa::path(
    get, path = paths::AUDIT, operation_id = "listAuditEvents", tag = "Support",
    params(
        Pagination,
        ("actor" = Option<String>, Query, description = "Filters by actor: an id, a name, or one of `staff`, `key`, `cli` and `system`."),
        ("action" = Option<String>, Query, description = "Filters by action, such as `biller.updated`."),
        ("biller" = Option<Slug>, Query, description = "Filters by biller."),
        ("since" = Option<String>, Query, description = "Only events at or after this time (RFC 3339)."),
        ("until" = Option<String>, Query, description = "Only events before this time (RFC 3339)."),
        ("format" = Option<String>, Query, description = "`json` returns a page, and is the default. `csv` and `jsonl` return every matching event."),
    ),
    security(("key" = [Scope::AuditRead.as_str()])),
    responses(
        (status = 200, description = "The audit events.", body = AuditEventPage),
        (status = 400, description = "`invalid_parameter`: a query parameter is invalid; see `detail`."),
        (status = 404, description = "`not_found`: the biller does not exist, or the API key has no access to it."),
    ),
)]
pub(super) async fn list(
    key: ApiKeyFor<scope::AuditRead>,
    State(db): State<Db>,
    State(directory): State<Directory>,
    State(cursors): State<Cursors>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, HttpError> {
    let query = ListQuery::parse(cursors, &key, &uri, &["actor", "action", "biller", "since", "until", "format"])?;
    let filter = parse_filter(&query, &key)?;
    if let Some(slug) = &filter.biller {
        let known = directory.billers().await?.by_slug(slug).is_some();
        if !known || !key.permits_biller(slug) {
            return Err(not_found());
        }
    }
    let format = match query.filter("format") {
        None | Some("json") => {
            let before = (!query.after.is_empty()).then_some(query.after.as_str());
            let found = list_events(&db, &filter, before, query.row_limit()).await?;
            let (found, links) = query.page(found, |event| event.id.as_str());
            let totals = match query.include_totals {
                true => Some(query.totals(count_events(&db, &filter).await?)),
                false => None,
            };
            return Ok(Json(AuditEventPage { events: found, links, totals }).into_response());
        }
        Some("csv") => ExportFormat::Csv,
        Some("jsonl") => ExportFormat::JsonLines,
        Some(_) => return Err(invalid_parameter("`format` must be json, csv or jsonl.")),
    };
    let event = AuditEvent::new(Action::AuditExported).with("format", format.as_str());
    key.actor_context().record_alone(&db, event).await?;
    let media = [(header::CONTENT_TYPE, format.media_type())];
    Ok((media, Body::from_stream(export(db, filter, format))).into_response())
}

#[derive(Clone, Copy)]
enum ExportFormat {
    Csv,
    JsonLines,
}

impl ExportFormat {
    fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::JsonLines => "application/jsonl",
        }
    }

    fn line(self, event: &StoredEvent) -> String {
        match self {
            Self::Csv => event.to_csv(),
            Self::JsonLines => format!("{}\n", json!(event)),
        }
    }
}

/// Streams every matching event in batches, so that memory does not grow with their number.
fn export(db: Db, filter: EventFilter, format: ExportFormat) -> impl Stream<Item = Result<String, crate::db::DbError>> {
    unfold(Some((db, filter, format, None::<String>)), async |rest| {
        let (db, filter, format, before) = rest?;
        let head = match (format, &before) {
            (ExportFormat::Csv, None) => StoredEvent::csv_header(),
            _ => String::new(),
        };
        let found = match list_events(&db, &filter, before.as_deref(), EXPORT_BATCH_SIZE).await {
            Ok(found) => found,
            Err(error) => return Some((Err(error), None)),
        };
        let text = head + &found.iter().map(|event| format.line(event)).collect::<String>();
        let next = found.last().filter(|_| found.len() == EXPORT_BATCH_SIZE).map(|last| last.id.clone());
        Some((Ok(text), next.map(|next| (db, filter, format, Some(next)))))
    })
}

fn parse_filter(query: &ListQuery, key: &ApiKey) -> Result<EventFilter, HttpError> {
    let time = |name: &str| {
        let text = query.filter(name);
        let read = |text| {
            Timestamp::parse(text)
                .ok_or_else(|| invalid_parameter("`since` and `until` must be RFC 3339 times such as 2026-11-22T08:00:00Z, or dates such as 2026-11-22."))
        };
        text.map(read).transpose()
    };
    let action =
        query.filter("action").map(|text| Action::parse(text).ok_or_else(|| invalid_parameter("`action` is unknown.")));
    let biller =
        query.filter("biller").map(|text| Slug::parse(text).map_err(|_| invalid_parameter("`biller` must be a slug.")));
    Ok(EventFilter {
        actor: query.filter("actor").map(str::to_owned),
        action: action.transpose()?,
        biller: biller.transpose()?,
        biller_scope: key.billers.clone(),
        since: time("since")?,
        until: time("until")?,
    })
}
