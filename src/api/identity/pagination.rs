//! Lists by pages. The next one is asked for by a sealed token that says where this one ended; numbers of pages count from the
//! beginning, and `links.next` goes by token from there as well.

use http::{StatusCode, Uri};
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};

use crate::access::ApiKey;
use crate::api::problem::problem;
use crate::state::AppState;
use crate::web::fields::Fields;
use crate::web::{HttpError, paths};
use signpost_core::seal::Purpose;

const DEFAULT_PAGE_SIZE: usize = 20;
const MAX_PAGE_SIZE: usize = 300;
/// Rows that are counted off for a page by number.
const MAX_OFFSET: usize = 100_000;

/// Where a list goes on.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Links {
    /// The next page, to be followed as it is; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "uri")]
    pub next: Option<String>,
}

/// The whole of a list.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Totals {
    /// Rows in all.
    items: usize,
    /// Pages in all.
    pages: usize,
}

/// Describes what every list takes.
pub(in crate::api) struct Pagination;

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
            parameter("page_size", "Rows on a page; 20 unless told.", number().maximum(Some(MAX_PAGE_SIZE))),
            parameter("page", "Page by number, as far as 100,000 rows go; not with `start_token`.", number()),
            parameter("start_token", "Where to go on: use `links.next` as it is; not with `page`.", text),
            parameter("include_totals", "Whether `totals` are to be counted; false unless told.", choice),
        ]
    }
}

/// What a list is asked with.
pub(in crate::api) struct ListQuery {
    fields: Fields,
    path: String,
    /// Everything that a token belongs to.
    context: String,
    /// The last one that was seen.
    pub after: String,
    /// How many are left out first.
    pub skip: usize,
    size: usize,
    /// Whether the whole is to be counted.
    pub include_totals: bool,
}

fn invalid_parameter(detail: &str) -> HttpError {
    problem(StatusCode::BAD_REQUEST, "invalid_parameter", detail)
}

impl ListQuery {
    /// Reads the query of a list that has these filters.
    pub(crate) fn parse(state: &AppState, key: &ApiKey, uri: &Uri, filters: &[&str]) -> Result<Self, HttpError> {
        let fields = Fields::parse(uri.query().unwrap_or_default().as_bytes())
            .map_err(|_| invalid_parameter("The query cannot be read: look at its percent encoding."))?;
        let common = ["page_size", "page", "start_token", "include_totals"];
        if let Some(name) =
            fields.iter().map(|(name, _)| name).find(|name| !common.contains(name) && !filters.contains(name))
        {
            return Err(invalid_parameter(&format!("There is no parameter {name:?} here.")));
        }
        if fields.has_duplicates(&common) || fields.has_duplicates(filters) {
            return Err(invalid_parameter("A parameter is given twice."));
        }
        let size = number(&fields, "page_size", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)?;
        let page = number(&fields, "page", 1, usize::MAX)?;
        if fields.has("page") && fields.has("start_token") {
            return Err(invalid_parameter("Either page or start_token, not both."));
        }
        let skip = (page - 1).saturating_mul(size);
        if skip > MAX_OFFSET {
            return Err(invalid_parameter("Pages by number end here: follow links.next."));
        }
        let include_totals = match fields.get("include_totals") {
            None => false,
            Some(yes) if yes.eq_ignore_ascii_case("true") => true,
            Some(no) if no.eq_ignore_ascii_case("false") => false,
            Some(_) => return Err(invalid_parameter("include_totals is true or false.")),
        };
        let path = uri.path().to_owned();
        let filters: Vec<_> = filters.iter().map(|name| (*name, fields.get(name))).collect();
        let context = context(key, &path, &filters);
        let after = match fields.get("start_token") {
            None => String::new(),
            Some(token) => state
                .keys
                .open(Purpose::Cursor, &context, token)
                .map_err(|_| invalid_parameter("start_token is not one of this list: begin again without it."))?,
        };
        Ok(Self { fields, path, context, after, skip, size, include_totals })
    }

    /// The filter, if it was given.
    pub(crate) fn filter(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }

    /// How many rows are needed: those left out, the page, and one more that tells whether there is a next page.
    pub(crate) fn row_limit(&self) -> usize {
        self.skip + self.size + 1
    }

    /// The page of these rows, and its links. `cursor` is what a row is found by.
    pub(crate) fn page<T>(&self, state: &AppState, rows: Vec<T>, cursor: impl Fn(&T) -> &str) -> (Vec<T>, Links) {
        let mut rows: Vec<T> = rows.into_iter().skip(self.skip).collect();
        if rows.len() <= self.size {
            return (rows, Links { next: None });
        }
        rows.truncate(self.size);
        let last = rows.last().map(cursor).unwrap_or_default();
        let token = state.keys.seal(Purpose::Cursor, &self.context, &last);
        let kept = self.fields.iter().filter(|(name, _)| !matches!(*name, "page" | "start_token"));
        let query: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .append_pair("start_token", &token)
            .finish();
        let mut next = paths::absolute(&state.config, &self.path);
        next.set_query(Some(&query));
        (rows, Links { next: Some(next.into()) })
    }

    /// The totals of a list of `items` rows.
    pub(crate) fn totals(&self, items: usize) -> Totals {
        Totals { items, pages: items.div_ceil(self.size) }
    }
}

/// Where a list without filters goes on after its row `last`, for whoever was shown its beginning elsewhere.
pub(in crate::api) fn next_page_url(state: &AppState, key: &ApiKey, path: &str, last: &str) -> String {
    let token = state.keys.seal(Purpose::Cursor, &context(key, path, &[]), &last);
    let next = paths::absolute(&state.config, path);
    paths::with_query(next.as_str(), "start_token", &token)
}

/// Everything that a token belongs to.
fn context(key: &ApiKey, path: &str, filters: &[(&str, Option<&str>)]) -> String {
    let list = path.trim_start_matches(paths::IDENTITY).trim_start_matches(paths::POOLSIDE);
    format!("{} {list} {}", key.id, json!(filters))
}

fn number(fields: &Fields, name: &str, default: usize, max: usize) -> Result<usize, HttpError> {
    let Some(text) = fields.get(name) else { return Ok(default) };
    let number = text.parse().ok().filter(|number| (1..=max).contains(number));
    let limit = if max == usize::MAX { String::new() } else { format!(" to {max}") };
    number.ok_or_else(|| invalid_parameter(&format!("{name} is a number from 1{limit}.")))
}
