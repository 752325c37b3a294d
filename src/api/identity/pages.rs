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
use crate::web::{Refusal, paths};
use signpost_core::seal::Purpose;

const PAGE_SIZE: usize = 20;
const LARGEST: usize = 300;
/// Rows that are counted off for a page by number.
const FURTHEST: usize = 100_000;

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
pub(in crate::api) struct Paging;

impl IntoParams for Paging {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let number = || ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let parameter = |name: &str, says: &str, schema: ObjectBuilder| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
            parameter.description(Some(says)).schema(Some(schema.build())).build()
        };
        let text = ObjectBuilder::new().schema_type(Type::String);
        let choice = ObjectBuilder::new().schema_type(Type::Boolean);
        vec![
            parameter("page_size", "Rows on a page; 20 unless told.", number().maximum(Some(LARGEST))),
            parameter("page", "Page by number, as far as 100,000 rows go; not with `start_token`.", number()),
            parameter("start_token", "Where to go on: use `links.next` as it is; not with `page`.", text),
            parameter("include_totals", "Whether `totals` are to be counted; false unless told.", choice),
        ]
    }
}

/// What a list is asked with.
pub(in crate::api) struct Query {
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
    pub totals: bool,
}

fn wrong(detail: &str) -> Refusal {
    problem(StatusCode::BAD_REQUEST, "wrong_parameter", detail)
}

impl Query {
    /// Reads the query of a list that has these filters.
    pub fn read(state: &AppState, key: &ApiKey, uri: &Uri, filters: &[&str]) -> Result<Self, Refusal> {
        let fields = Fields::parse(uri.query().unwrap_or_default().as_bytes())
            .map_err(|_| wrong("The query cannot be read: look at its percent encoding."))?;
        let usual = ["page_size", "page", "start_token", "include_totals"];
        if let Some(name) =
            fields.iter().map(|(name, _)| name).find(|name| !usual.contains(name) && !filters.contains(name))
        {
            return Err(wrong(&format!("There is no parameter {name:?} here.")));
        }
        if fields.any_twice(&usual) || fields.any_twice(filters) {
            return Err(wrong("A parameter is given twice."));
        }
        let size = number(&fields, "page_size", PAGE_SIZE, LARGEST)?;
        let page = number(&fields, "page", 1, usize::MAX)?;
        if fields.has("page") && fields.has("start_token") {
            return Err(wrong("Either page or start_token, not both."));
        }
        let skip = (page - 1).saturating_mul(size);
        if skip > FURTHEST {
            return Err(wrong("Pages by number end here: follow links.next."));
        }
        let totals = match fields.get("include_totals") {
            None => false,
            Some(yes) if yes.eq_ignore_ascii_case("true") => true,
            Some(no) if no.eq_ignore_ascii_case("false") => false,
            Some(_) => return Err(wrong("include_totals is true or false.")),
        };
        let path = uri.path().to_owned();
        let filters: Vec<_> = filters.iter().map(|name| (*name, fields.get(name))).collect();
        let context = context(key, &path, &filters);
        let after = match fields.get("start_token") {
            None => String::new(),
            Some(token) => state
                .keys
                .open(Purpose::Cursor, &context, token)
                .map_err(|_| wrong("start_token is not one of this list: begin again without it."))?,
        };
        Ok(Self { fields, path, context, after, skip, size, totals })
    }

    /// The filter, if it was given.
    pub fn filter(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }

    /// How many rows are needed: those left out, the page, and one more that tells whether there is a next page.
    pub fn wanted(&self) -> usize {
        self.skip + self.size + 1
    }

    /// The page of these rows, and its links. `end` is what a row is found by.
    pub fn page<T>(&self, state: &AppState, rows: Vec<T>, end: impl Fn(&T) -> &str) -> (Vec<T>, Links) {
        let mut rows: Vec<T> = rows.into_iter().skip(self.skip).collect();
        if rows.len() <= self.size {
            return (rows, Links { next: None });
        }
        rows.truncate(self.size);
        let last = rows.last().map(end).unwrap_or_default();
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
    pub fn totals_of(&self, items: usize) -> Totals {
        Totals { items, pages: items.div_ceil(self.size) }
    }
}

/// Where a list without filters goes on after its row `last`, for whoever was shown its beginning elsewhere.
pub(in crate::api) fn rest(state: &AppState, key: &ApiKey, path: &str, last: &str) -> String {
    let token = state.keys.seal(Purpose::Cursor, &context(key, path, &[]), &last);
    let next = paths::absolute(&state.config, path);
    paths::with_query(next.as_str(), "start_token", &token)
}

/// Everything that a token belongs to.
fn context(key: &ApiKey, path: &str, filters: &[(&str, Option<&str>)]) -> String {
    let list = path.trim_start_matches(paths::IDENTITY).trim_start_matches(paths::POOLSIDE);
    format!("{} {list} {}", key.id, json!(filters))
}

fn number(fields: &Fields, name: &str, usual: usize, largest: usize) -> Result<usize, Refusal> {
    let Some(text) = fields.get(name) else { return Ok(usual) };
    let number = text.parse().ok().filter(|number| (1..=largest).contains(number));
    let limit = if largest == usize::MAX { String::new() } else { format!(" to {largest}") };
    number.ok_or_else(|| wrong(&format!("{name} is a number from 1{limit}.")))
}
