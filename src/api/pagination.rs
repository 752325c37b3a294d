//! Pagination. A sealed token says where the next page begins. Page numbers work too, for the first pages of a list; `links.next`
//! continues from them by token.

use std::sync::Arc;

use axum::extract::FromRef;
use http::Uri;
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};

use super::problem::invalid_parameter;
use crate::access::ApiKey;
use crate::config::Config;
use crate::state::AppState;
use crate::web::fields::Fields;
use crate::web::{HttpError, paths};
use signpost_core::KeyRing;
use signpost_core::seal::Purpose;

const DEFAULT_PAGE_SIZE: usize = 20;
const MAX_PAGE_SIZE: usize = 300;
/// The most rows that a page number may skip.
const MAX_OFFSET: usize = 100_000;

/// Links to other pages of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Links {
    /// The URL of the next page. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "uri")]
    pub next: Option<String>,
}

/// The size of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Totals {
    /// The number of items.
    items: usize,
    /// The number of pages.
    pages: usize,
}

/// Describes the query parameters of every list.
pub(super) struct Pagination;

impl IntoParams for Pagination {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let number = || ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let parameter = |name: &str, description: &str, schema: ObjectBuilder| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
            parameter.description(Some(description)).schema(Some(schema.build())).build()
        };
        let text = ObjectBuilder::new().schema_type(Type::String);
        let choice = ObjectBuilder::new().schema_type(Type::Boolean);
        vec![
            parameter(
                "page_size",
                "The number of items on a page. Default: 20.",
                number().maximum(Some(MAX_PAGE_SIZE)),
            ),
            parameter(
                "page",
                "The number of the page, within the first 100,000 items. Not with `start_token`.",
                number(),
            ),
            parameter("start_token", "Where the page begins. Comes from `links.next`. Not with `page`.", text),
            parameter("include_totals", "Whether the response includes `totals`. Default: false.", choice),
        ]
    }
}

/// Seals the place where a page begins, and links to it.
#[derive(Clone)]
pub(super) struct Cursors {
    keys: KeyRing,
    config: Arc<Config>,
}

impl FromRef<AppState> for Cursors {
    fn from_ref(state: &AppState) -> Self {
        Self { keys: state.keys.clone(), config: Arc::clone(&state.config) }
    }
}

impl Cursors {
    /// The URL of a list without filters, after its row `last`: for responses that embed the beginning of the list.
    pub(super) fn next_page_url(&self, key: &ApiKey, path: &str, last: &str) -> String {
        let token = self.keys.seal(Purpose::Cursor, &context(key, path, &[]), &last);
        let next = paths::absolute(&self.config, path);
        paths::with_query(next.as_str(), "start_token", &token)
    }
}

/// The query parameters of a list.
pub(super) struct ListQuery {
    cursors: Cursors,
    fields: Fields,
    path: String,
    /// What a token is valid for: see [`context`].
    context: String,
    /// Cursor of the last row of the page before; empty on the first page.
    pub after: String,
    skip: usize,
    size: usize,
    pub include_totals: bool,
}

impl ListQuery {
    /// Parses the query of a list that has these filters. Unknown and duplicate parameters are rejected.
    pub(super) fn parse(cursors: Cursors, key: &ApiKey, uri: &Uri, filters: &[&str]) -> Result<Self, HttpError> {
        let fields = Fields::parse(uri.query().unwrap_or_default().as_bytes())
            .map_err(|_| invalid_parameter("The query string is malformed: check its percent-encoding."))?;
        let common = ["page_size", "page", "start_token", "include_totals"];
        if let Some(name) =
            fields.iter().map(|(name, _)| name).find(|name| !common.contains(name) && !filters.contains(name))
        {
            return Err(invalid_parameter(&format!("Unknown parameter {name:?}.")));
        }
        if fields.has_duplicates(&common) || fields.has_duplicates(filters) {
            return Err(invalid_parameter("A parameter is repeated."));
        }
        let size = number(&fields, "page_size", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)?;
        let page = number(&fields, "page", 1, usize::MAX)?;
        if fields.has("page") && fields.has("start_token") {
            return Err(invalid_parameter("`page` and `start_token` exclude each other."));
        }
        let skip = (page - 1).saturating_mul(size);
        if skip > MAX_OFFSET {
            return Err(invalid_parameter(
                "`page` is limited to the first 100,000 items: follow `links.next` instead.",
            ));
        }
        let include_totals = match fields.get("include_totals") {
            None => false,
            Some(yes) if yes.eq_ignore_ascii_case("true") => true,
            Some(no) if no.eq_ignore_ascii_case("false") => false,
            Some(_) => return Err(invalid_parameter("`include_totals` must be true or false.")),
        };
        let path = uri.path().to_owned();
        let filters: Vec<_> = filters.iter().map(|name| (*name, fields.get(name))).collect();
        let context = context(key, &path, &filters);
        let after = match fields.get("start_token") {
            None => String::new(),
            Some(token) => cursors.keys.open(Purpose::Cursor, &context, token).map_err(|_| {
                invalid_parameter("`start_token` does not belong to this list and API key: start again without it.")
            })?,
        };
        Ok(Self { cursors, fields, path, context, after, skip, size, include_totals })
    }

    pub(super) fn filter(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }

    /// The number of rows to read: those skipped, the page, and one more if there is a next page.
    pub(super) fn row_limit(&self) -> usize {
        self.skip + self.size + 1
    }

    /// Cuts the rows down to the page, and links the next one. `cursor` identifies a row.
    pub(super) fn page<T>(&self, rows: Vec<T>, cursor: impl Fn(&T) -> &str) -> (Vec<T>, Links) {
        let mut rows: Vec<T> = rows.into_iter().skip(self.skip).collect();
        if rows.len() <= self.size {
            return (rows, Links { next: None });
        }
        rows.truncate(self.size);
        let last = rows.last().map(cursor).unwrap_or_default();
        let token = self.cursors.keys.seal(Purpose::Cursor, &self.context, &last);
        let kept = self.fields.iter().filter(|(name, _)| !matches!(*name, "page" | "start_token"));
        let query: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .append_pair("start_token", &token)
            .finish();
        let mut next = paths::absolute(&self.cursors.config, &self.path);
        next.set_query(Some(&query));
        (rows, Links { next: Some(next.into()) })
    }

    pub(super) fn totals(&self, items: usize) -> Totals {
        Totals { items, pages: items.div_ceil(self.size) }
    }
}

/// What a token is valid for: an API key, a list and its filters, at either mount.
fn context(key: &ApiKey, path: &str, filters: &[(&str, Option<&str>)]) -> String {
    let list = path.trim_start_matches(paths::IDENTITY).trim_start_matches(paths::POOLSIDE);
    format!("{} {list} {}", key.id, json!(filters))
}

fn number(fields: &Fields, name: &str, default: usize, max: usize) -> Result<usize, HttpError> {
    let Some(text) = fields.get(name) else { return Ok(default) };
    let number = text.parse().ok().filter(|number| (1..=max).contains(number));
    let limit = if max == usize::MAX { String::new() } else { format!(" to {max}") };
    number.ok_or_else(|| invalid_parameter(&format!("`{name}` must be an integer from 1{limit}.")))
}
