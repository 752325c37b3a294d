//! `/api/openapi.json` and `/api/docs`: the description of the API, for programs and for people.

mod read;

use std::sync::LazyLock;

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use serde_json::Value;

use super::openapi::DOCUMENT;
use crate::state::AppState;
use crate::web::assets::{DOCS_STYLESHEET, STYLESHEET};

/// A piece of text: plain, code, or a link to a schema.
#[derive(Clone, Debug, Default)]
struct Piece {
    text: String,
    is_code: bool,
    schema: Option<String>,
}

type Text = Vec<Piece>;

/// A name with what it is: a parameter or a field.
#[derive(Clone, Debug)]
struct Row {
    name: String,
    /// Where a parameter stands.
    place: &'static str,
    is_needed: bool,
    kind: Text,
    says: Vec<Text>,
}

/// What a status means.
#[derive(Clone, Debug)]
struct Answer {
    status: String,
    kind: Text,
    says: Vec<Text>,
}

#[derive(Clone, Debug)]
struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    says: Vec<Text>,
    scopes: Vec<String>,
    parameters: Vec<Row>,
    body: Text,
    body_is_needed: bool,
    answers: Vec<Answer>,
    /// A path with something in its gaps, and a body.
    example_path: String,
    example_body: Option<String>,
}

/// Operations that belong together.
#[derive(Clone, Debug)]
struct Group {
    anchor: String,
    name: String,
    says: Vec<Text>,
    operations: Vec<Operation>,
}

#[derive(Clone, Debug)]
struct SchemaShown {
    name: String,
    says: Vec<Text>,
    kind: Text,
    fields: Vec<Row>,
}

/// The whole description, as it is shown.
#[derive(Clone, Debug)]
struct Shown {
    version: String,
    says: Vec<Text>,
    groups: Vec<Group>,
    schemas: Vec<SchemaShown>,
}

#[derive(Template)]
#[template(path = "api/docs.html")]
struct Page<'a> {
    stylesheets: [&'a str; 2],
    /// Where the API is, without a slash at the end.
    base: String,
    shown: &'a Shown,
}

static SHOWN: LazyLock<Shown> = LazyLock::new(|| read::shown(&DOCUMENT));

/// `GET /api/openapi.json`
pub(super) async fn document() -> Json<&'static Value> {
    Json(&DOCUMENT)
}

/// `GET /api/docs`
pub(super) async fn page(State(state): State<AppState>) -> Response {
    let base = state.config.server.public_url.as_str().trim_end_matches('/').to_owned();
    let page = Page { stylesheets: [&STYLESHEET.path, &DOCS_STYLESHEET.path], base, shown: &SHOWN };
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
