//! The description of the API: whole, true to the code, and readable.

use std::collections::BTreeSet;

use http::{Request, StatusCode};
use serde_json::{Value, json};
use signpost::api::openapi::DOCUMENT;

use crate::harness::World;

/// One operation of the description. Those of the identity API stand there once and are served twice.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub method: String,
    pub path: String,
    pub id: String,
    pub scope: String,
    pub parameters: Vec<Value>,
    /// The schema of its body.
    pub schema: Option<Value>,
    pub example: Value,
}

impl Operation {
    pub(crate) fn takes(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|one| one["name"] == parameter)
    }
}

/// All of them, at every mount.
pub(crate) fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let content = &operation["requestBody"]["content"]["application/json"];
            let one = Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                id: operation["operationId"].as_str().unwrap().to_owned(),
                scope: operation["security"][0]["key"][0].as_str().unwrap_or_default().to_owned(),
                parameters: operation["parameters"].as_array().cloned().unwrap_or_default(),
                schema: content.get("schema").cloned(),
                example: content["example"].clone(),
            };
            let twin = path.strip_prefix("/identity/v1").map(|rest| format!("/poolside/v1{rest}"));
            all.extend(twin.map(|path| Operation { path, ..one.clone() }));
            all.push(one);
        }
    }
    assert!(all.len() > 25, "the operations were found");
    all
}

/// What a schema means, without references and without null.
pub(crate) fn resolve(schema: &Value) -> Value {
    if let Some(kinds) = schema["oneOf"].as_array() {
        return resolve(kinds.iter().find(|kind| kind["type"] != "null").unwrap());
    }
    match name_of(schema) {
        Some(name) => DOCUMENT["components"]["schemas"][name].clone(),
        None => schema.clone(),
    }
}

/// The name of the schema that is referred to.
pub(crate) fn name_of(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}

fn each_object(value: &Value, see: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            see(object);
            object.values().for_each(|value| each_object(value, see));
        }
        Value::Array(list) => list.iter().for_each(|value| each_object(value, see)),
        _ => {}
    }
}

#[test]
fn openapi_document_is_complete() {
    assert_eq!(DOCUMENT["openapi"], "3.1.0");
    each_object(&DOCUMENT, &mut |object| {
        if let Some(place) = object.get("$ref").and_then(Value::as_str) {
            let found = DOCUMENT.pointer(place.trim_start_matches('#'));
            assert!(found.is_some(), "{place} leads nowhere");
        }
    });
    let mut ids = BTreeSet::new();
    let scopes: Vec<_> = signpost::access::Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{what}: its id stands there twice");
            assert!(scopes.contains(&operation["security"][0]["key"][0].as_str().unwrap()), "{what}: which scope?");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{what}: no summary");
            let tags = DOCUMENT["tags"].as_array().unwrap();
            assert!(tags.iter().any(|tag| tag["name"] == operation["tags"][0]), "{what}: its tag has no description");
            for (status, answer) in operation["responses"].as_object().unwrap() {
                assert!(
                    answer["description"].as_str().is_some_and(|says| says.len() > 3),
                    "{what}: {status} says nothing"
                );
                let is_problem = answer["content"]["application/problem+json"].is_object();
                assert_eq!(is_problem, status.as_str() >= "400", "{what}: {status}");
            }
            let places = path.matches('{').count();
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            assert_eq!(parameters.iter().filter(|one| one["in"] == "path").count(), places, "{what}");
            if operation["requestBody"].is_object() {
                let example = &operation["requestBody"]["content"]["application/json"]["example"];
                assert!(example.is_object(), "{what}: its body has no example");
            }
        }
    }
}

/// The fields that are described are those that are read.
#[test]
fn biller_schema_matches_the_parser() {
    use signpost::directory::BillerPatch;
    let refused = serde_json::from_value::<BillerPatch>(json!({ "no-such-field": 1 })).unwrap_err().to_string();
    let read: BTreeSet<&str> = refused.split('`').skip(3).step_by(2).collect();
    for (schema, more, less) in
        [("NewBiller", vec!["slug", "ciam"], vec![]), ("BillerPatch", vec!["slug"], vec!["state"])]
    {
        let fields = DOCUMENT["components"]["schemas"][schema]["properties"].as_object().unwrap();
        let described: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
        let mut expected = read.clone();
        expected.extend(more);
        expected.retain(|field| !less.contains(field));
        assert!(expected.len() > 10 && described == expected, "{schema}: {described:?} {expected:?}");
        for (name, field) in fields {
            assert!(!field.to_string().contains(r#""type":["#), "{schema}.{name}: null is no value there: {field}");
        }
        assert_eq!(DOCUMENT["components"]["schemas"][schema]["additionalProperties"], false);
    }
}

#[tokio::test]
async fn openapi_document_and_docs_page_are_served() {
    let world = World::start().await;
    let mut browser = world.browser();
    let served = browser.get("/api/openapi.json").await;
    assert_eq!((served.status, served.header("content-type")), (StatusCode::OK, "application/json"));
    assert_eq!(serde_json::from_str::<Value>(&served.body).unwrap(), *DOCUMENT);
    let page = browser.get("/api/docs").await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; style-src 'self'; "));
    assert!(!page.body.contains("<script") && !page.body.contains("style="), "nothing that the policy forbids");
    for operation in operations().iter().filter(|one| !one.path.starts_with("/poolside")) {
        assert!(page.body.contains(&format!("<h3 id=\"{}\">", operation.id)), "{} has no anchor", operation.id);
        assert!(page.body.contains(&format!("href=\"#{}\"", operation.id)), "{} is not in the list", operation.id);
    }
    for name in DOCUMENT["components"]["schemas"].as_object().unwrap().keys() {
        assert!(page.body.contains(&format!("<h3 id=\"schema-{name}\">")), "{name} has no anchor");
    }
    assert!(
        page.body.contains("http://localhost:8080/api/v1/billers/maple-electric"),
        "examples can be used as they are"
    );
    for link in page.body.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        match link.strip_prefix('#') {
            Some(anchor) => assert!(page.body.contains(&format!("id=\"{anchor}\"")), "#{anchor} leads nowhere"),
            None => assert_eq!(browser.get(link).await.status, StatusCode::OK, "{link}"),
        }
    }
    // A method that an address does not know (RFC 9110, section 15.5.6).
    let answer = browser.send(Request::delete("/api/v1/billers")).await;
    assert_eq!((answer.status, answer.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD,POST"));
}
