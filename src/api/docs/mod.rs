//! `/api/openapi.json` and `/api/docs`: the OpenAPI document, and the same as a page.

mod parse;

use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use serde_json::Value;

use super::openapi::DOCUMENT;
use crate::config::Config;
use crate::web::assets::{DOCS_STYLESHEET, STYLESHEET};
use crate::web::paths;

/// A piece of text: plain text, code, or a link to a schema.
#[derive(Clone, Debug, Default)]
struct Piece {
    text: String,
    is_code: bool,
    schema: Option<String>,
}

type Text = Vec<Piece>;

/// A parameter or a field.
#[derive(Clone, Debug)]
struct Row {
    name: String,
    /// Where a parameter is sent: the path, the query or a header.
    location: &'static str,
    is_required: bool,
    kind: Text,
    description: Vec<Text>,
}

/// A possible response of an operation.
#[derive(Clone, Debug)]
struct ResponseDoc {
    status: String,
    kind: Text,
    description: Vec<Text>,
}

#[derive(Clone, Debug)]
struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: Vec<Text>,
    scopes: Vec<String>,
    parameters: Vec<Row>,
    body: Text,
    is_body_required: bool,
    responses: Vec<ResponseDoc>,
    /// The path with sample values for its parameters.
    example_path: String,
    example_body: Option<String>,
}

/// The operations of a tag.
#[derive(Clone, Debug)]
struct Group {
    anchor: String,
    name: String,
    description: Vec<Text>,
    operations: Vec<Operation>,
}

#[derive(Clone, Debug)]
struct SchemaDoc {
    name: String,
    description: Vec<Text>,
    kind: Text,
    fields: Vec<Row>,
}

/// The content of the page.
#[derive(Clone, Debug)]
struct ApiDoc {
    version: String,
    description: Vec<Text>,
    groups: Vec<Group>,
    schemas: Vec<SchemaDoc>,
}

#[derive(Template)]
#[template(path = "api/docs.html")]
struct Page<'a> {
    stylesheets: [&'a str; 2],
    /// The base URL of the API, without a trailing slash.
    base: String,
    openapi: &'static str,
    doc: &'a ApiDoc,
}

static API_DOC: LazyLock<ApiDoc> = LazyLock::new(|| parse::api_doc(&DOCUMENT));

pub(super) async fn document() -> Json<&'static Value> {
    Json(&DOCUMENT)
}

pub(super) async fn page(State(config): State<Arc<Config>>) -> Response {
    let base = config.server.public_url.as_str().trim_end_matches('/').to_owned();
    let page =
        Page { stylesheets: [&STYLESHEET.path, &DOCS_STYLESHEET.path], base, openapi: paths::OPENAPI, doc: &API_DOC };
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
