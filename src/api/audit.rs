//! `GET /api/v1/audit`: who did what.

use axum::Json;
use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, unfold};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::auth::require;
use super::identity::pages::{Links, Paging, Query, Totals};
use super::jobs::unknown;
use super::problem::problem;
use crate::access::{ApiKey, Scope};
use crate::audit::{Act, Action, StoredAct, Wanted, acts, count_acts};
use crate::state::AppState;
use crate::web::{Refusal, paths};
use signpost_core::{Slug, Timestamp};

/// Acts that are read at once for an export.
const PART: usize = 500;

/// A page of acts, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct ActPage {
    acts: Vec<StoredAct>,
    links: Links,
    /// With `include_totals`: of those that the key reaches.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    totals: Option<Totals>,
}

/// Read the audit trail
///
/// Who did what, the newest first: a page of JSON, or all that is wanted as CSV or JSON lines. A key that is limited to some billers
/// sees what was done at these.
#[utoipa::path(
    get, path = paths::AUDIT, operation_id = "listActs", tag = "Support",
    params(
        Paging,
        ("actor" = Option<String>, Query, description = "By whom: an id or a name, or `staff`, `key`, `cli` or `system`."),
        ("action" = Option<String>, Query, description = "What, such as `biller.changed`."),
        ("biller" = Option<Slug>, Query, description = "At this biller."),
        ("since" = Option<String>, Query, description = "From this time on (RFC 3339)."),
        ("until" = Option<String>, Query, description = "Before this time (RFC 3339)."),
        ("format" = Option<String>, Query, description = "`json` (a page; unless told), `csv` or `jsonl` (everything wanted)."),
    ),
    security(("key" = [Scope::AuditRead.as_str()])),
    responses(
        (status = 200, description = "The acts.", body = ActPage),
        (status = 400, description = "`wrong_parameter`: see `detail`."),
        (status = 404, description = "`not_found`: there is no such biller."),
    ),
)]
pub(super) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let key = require(&state, &headers, Scope::AuditRead).await?;
    let query = Query::read(&state, &key, &uri, &["actor", "action", "biller", "since", "until", "format"])?;
    let wanted = wanted(&query, &key)?;
    if let Some(slug) = &wanted.biller {
        let known = state.directory.billers().await?.by_slug(slug).is_some();
        if !known || !key.reaches(slug) {
            return Err(unknown());
        }
    }
    let kind = match query.filter("format") {
        None | Some("json") => {
            let before = (!query.after.is_empty()).then_some(query.after.as_str());
            let found = acts(&state.db, &wanted, before, query.wanted()).await?;
            let (found, links) = query.page(&state, found, |act| act.id.as_str());
            let totals = match query.totals {
                true => Some(query.totals_of(count_acts(&state.db, &wanted).await?)),
                false => None,
            };
            return Ok(Json(ActPage { acts: found, links, totals }).into_response());
        }
        Some("csv") => Export::Csv,
        Some("jsonl") => Export::Lines,
        Some(_) => return Err(wrong("format is json, csv or jsonl.")),
    };
    let act = Act::of(Action::TrailExported).with("format", kind.as_str());
    state.by(key.actor()).note_alone(&state.db, act).await?;
    let media = [(header::CONTENT_TYPE, kind.media_type())];
    Ok((media, Body::from_stream(export(state, wanted, kind))).into_response())
}

#[derive(Clone, Copy)]
enum Export {
    Csv,
    Lines,
}

impl Export {
    fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Lines => "jsonl",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Lines => "application/jsonl",
        }
    }

    fn line(self, act: &StoredAct) -> String {
        match self {
            Self::Csv => act.cells(),
            Self::Lines => format!("{}\n", json!(act)),
        }
    }
}

/// All acts wanted, part by part: memory does not grow with them.
fn export(state: AppState, wanted: Wanted, kind: Export) -> impl Stream<Item = Result<String, crate::db::DbError>> {
    unfold(Some((state, wanted, kind, None::<String>)), async |rest| {
        let (state, wanted, kind, before) = rest?;
        let head = match (kind, &before) {
            (Export::Csv, None) => StoredAct::heads(),
            _ => String::new(),
        };
        let found = match acts(&state.db, &wanted, before.as_deref(), PART).await {
            Ok(found) => found,
            Err(error) => return Some((Err(error), None)),
        };
        let text = head + &found.iter().map(|act| kind.line(act)).collect::<String>();
        let next = found.last().filter(|_| found.len() == PART).map(|last| last.id.clone());
        Some((Ok(text), next.map(|next| (state, wanted, kind, Some(next)))))
    })
}

fn wanted(query: &Query, key: &ApiKey) -> Result<Wanted, Refusal> {
    let time = |name: &str| {
        let text = query.filter(name);
        let read = |text| Timestamp::parse_rfc3339(text).ok_or_else(|| wrong("since and until are RFC 3339 times."));
        text.map(read).transpose()
    };
    let action =
        query.filter("action").map(|text| Action::parse(text).ok_or_else(|| wrong("There is no such action.")));
    let biller = query.filter("biller").map(|text| Slug::parse(text).map_err(|_| wrong("biller is a slug.")));
    Ok(Wanted {
        actor: query.filter("actor").map(str::to_owned),
        action: action.transpose()?,
        biller: biller.transpose()?,
        reach: key.billers.clone(),
        since: time("since")?,
        until: time("until")?,
    })
}

fn wrong(detail: &str) -> Refusal {
    problem(StatusCode::BAD_REQUEST, "wrong_parameter", detail)
}
