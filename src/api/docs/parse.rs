//! Turns the OpenAPI document into the content of the page.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::{ApiDoc, Group, Operation, Piece, ResponseDoc, Row, SchemaDoc, Text};

pub(super) fn api_doc(document: &Value) -> ApiDoc {
    let groups = list(&document["tags"]).iter().map(|tag| group(document, tag));
    let schemas = object(&document["components"]["schemas"]).iter().map(|(name, schema)| schema_doc(name, schema));
    ApiDoc {
        version: text(&document["info"]["version"]),
        description: paragraphs(&document["info"]),
        groups: groups.collect(),
        schemas: schemas.collect(),
    }
}

fn group(document: &Value, tag: &Value) -> Group {
    let name = text(&tag["name"]);
    let mut operations = Vec::new();
    for (path, item) in object(&document["paths"]) {
        for (method, found) in object(item) {
            if list(&found["tags"]).contains(&tag["name"]) {
                operations.push(operation(document, method, path, found));
            }
        }
    }
    Group { anchor: name.to_lowercase().replace(' ', "-"), name, description: paragraphs(tag), operations }
}

fn operation(document: &Value, method: &str, path: &str, operation: &Value) -> Operation {
    let parameters = list(&operation["parameters"]);
    let body = &operation["requestBody"]["content"]["application/json"];
    let mut example_path = path.to_owned();
    for parameter in parameters.iter().filter(|parameter| parameter["in"] == "path") {
        let name = text(&parameter["name"]);
        example_path = example_path.replace(&format!("{{{name}}}"), &example(document, parameter));
    }
    let scopes = list(&operation["security"]).iter().flat_map(|one| list(&one["key"])).map(text);
    let responses = object(&operation["responses"]).iter().map(|(status, answer)| ResponseDoc {
        status: status.clone(),
        kind: object(&answer["content"]).values().next().map(|content| kind(&content["schema"])).unwrap_or_default(),
        description: paragraphs(answer),
    });
    Operation {
        id: text(&operation["operationId"]),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(&operation["summary"]),
        description: paragraphs(operation),
        scopes: scopes.collect(),
        parameters: parameters.iter().map(parameter).collect(),
        body: kind(&body["schema"]),
        is_body_required: operation["requestBody"]["required"] == true,
        responses: responses.collect(),
        example_path,
        example_body: body.get("example").map(Value::to_string),
    }
}

fn parameter(parameter: &Value) -> Row {
    let location = match parameter["in"].as_str() {
        Some("path") => "in the path",
        Some("query") => "in the query",
        _ => "header",
    };
    Row {
        name: text(&parameter["name"]),
        location,
        is_required: parameter["required"] == true,
        kind: kind(&parameter["schema"]),
        description: paragraphs(parameter),
    }
}

fn schema_doc(name: &str, schema: &Value) -> SchemaDoc {
    let fields = object(&schema["properties"]).iter().map(|(name, field)| (schema, name, field));
    let more = list(&schema["allOf"]).iter();
    let more = more.flat_map(|part| object(&part["properties"]).iter().map(move |(name, field)| (part, name, field)));
    let mut fields: Vec<Row> = fields.chain(more).map(|(of, name, field)| row(of, name, field)).collect();
    fields.sort_by_key(|field| !field.is_required);
    let bases = list(&schema["allOf"]).iter().filter(|part| part["$ref"].is_string());
    let kind = if schema["allOf"].is_array() {
        bases.flat_map(|base| [plain("all of "), kind(base), plain(", and:")].concat()).collect()
    } else if fields.is_empty() {
        kind(schema)
    } else {
        Text::new()
    };
    SchemaDoc { name: name.to_owned(), description: paragraphs(schema), kind, fields }
}

fn row(of: &Value, name: &str, field: &Value) -> Row {
    Row {
        name: name.to_owned(),
        location: "",
        is_required: list(&of["required"]).iter().any(|needed| needed == name),
        kind: kind(field),
        description: paragraphs(field),
    }
}

/// The type of a schema, as text.
fn kind(schema: &Value) -> Text {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return vec![Piece { text: name.to_owned(), schema: Some(name.to_owned()), ..Piece::default() }];
    }
    if let Some(words) = schema["enum"].as_array() {
        return join(words.iter().map(|word| vec![code(&text(word))]), ", ");
    }
    if let Some(kinds) = schema["oneOf"].as_array() {
        return join(kinds.iter().map(kind), " or ");
    }
    if !schema["items"].is_null() {
        return [plain("list of "), kind(&schema["items"])].concat();
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(text).collect::<Vec<_>>().join(" or "),
        kind => text(kind),
    };
    let limits =
        [("minimum", "at least "), ("maximum", "at most "), ("maxLength", "characters at most: "), ("format", "")];
    let limits =
        limits.iter().filter(|(name, _)| !schema[name].is_null() && !schema[name].as_str().is_some_and(is_size));
    let limits: Vec<String> = limits.map(|(name, prefix)| format!("{prefix}{}", text(&schema[name]))).collect();
    if kinds.is_empty() || limits.is_empty() {
        plain(&kinds)
    } else {
        plain(&format!("{kinds} ({})", limits.join(", ")))
    }
}

/// Whether a format is only the size of an integer.
fn is_size(format: &str) -> bool {
    matches!(format, "int32" | "int64")
}

fn join(parts: impl Iterator<Item = Text>, between: &str) -> Text {
    let mut all = Text::new();
    for part in parts {
        if !all.is_empty() {
            all.extend(plain(between));
        }
        all.extend(part);
    }
    all
}

/// A sample value of a parameter.
fn example(document: &Value, parameter: &Value) -> String {
    let schema = &parameter["schema"];
    let name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    let schema = name.map_or(schema, |name| &document["components"]["schemas"][name]);
    match (&schema["examples"][0], schema["format"].as_str()) {
        (Value::String(one), _) => one.clone(),
        (_, Some("uuid")) => "01a00000-0000-7000-8000-000000000000".to_owned(),
        _ => "ID".to_owned(),
    }
}

/// The paragraphs of a description. Text between backticks is code.
fn paragraphs(of: &Value) -> Vec<Text> {
    let text = of["description"].as_str().unwrap_or_default();
    let text = text.split('\n').filter(|line| !line.is_empty());
    let pieces = |line: &str| {
        let pieces = line.split('`').enumerate().filter(|(_, text)| !text.is_empty());
        pieces.map(|(at, text)| if at % 2 == 1 { code(text) } else { piece(text) }).collect()
    };
    text.map(pieces).collect()
}

fn code(text: &str) -> Piece {
    Piece { is_code: true, ..piece(text) }
}

fn piece(text: &str) -> Piece {
    Piece { text: text.to_owned(), ..Piece::default() }
}

fn plain(text: &str) -> Text {
    if text.is_empty() { Text::new() } else { vec![piece(text)] }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn object(value: &Value) -> &Map<String, Value> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE)
}
