//! The same traffic by the vendor's OpenAPI files.

use std::collections::BTreeSet;

use secureauth_standin::ApiCall;
use serde_json::Value;

use super::{operation, operations, query_names, traffic, truncated};

/// One of the vendor's files.
struct Document(Value);

impl Document {
    fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(format!("{}/{name}", env!("SIGNPOST_VENDOR_FOLDER"))).unwrap();
        Self(serde_saphyr::from_str(&text).unwrap())
    }

    /// The operation at a path, which may hold values or parameters by other names. Of several templates that fit, the one with
    /// the fewest parameters is meant (OpenAPI 3, Path Templating Matching).
    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let words: Vec<&str> = path.split('?').next()?.split('/').skip(4).collect();
        let is_parameter = |word: &str| word.starts_with('{');
        let fits = |template: &str| {
            let theirs = template.split('/').skip(1);
            theirs.clone().count() == words.len()
                && theirs.zip(&words).all(|(theirs, ours)| is_parameter(theirs) || theirs == *ours)
        };
        let parameters = |template: &str| template.split('/').filter(|word| is_parameter(word)).count();
        let paths = self.0["paths"].as_object().unwrap().iter();
        let candidates =
            paths.filter(|(template, operations)| fits(template) && operations.get(method.to_lowercase()).is_some());
        candidates.min_by_key(|(template, _)| parameters(template))?.1.get(method.to_lowercase())
    }

    /// What a reference stands for.
    fn resolve<'d>(&'d self, mut value: &'d Value) -> &'d Value {
        while let Some(reference) = value["$ref"].as_str() {
            value = self.0.pointer(reference.trim_start_matches('#')).unwrap();
        }
        value
    }

    /// Notes where a call or its answer is not as its operation says.
    fn check_call(&self, theirs: &Value, call: &ApiCall, at: &str, violations: &mut BTreeSet<String>) {
        let body = theirs["parameters"].as_array().into_iter().flatten().find(|one| one["in"] == "body");
        match body {
            Some(body) => self.check(&body["schema"], &call.body, &format!("{at}: request"), violations),
            None if call.body.is_null() => {}
            None => {
                violations.insert(format!("{at}: takes no body"));
            }
        }
        let status = call.status.unwrap_or_default();
        let answer = self.resolve(&theirs["responses"][status.to_string()]);
        if answer.is_null() {
            violations.insert(format!("{at}: {status} is not declared"));
        } else {
            self.check(&answer["schema"], &call.response, &format!("{at}: answer {status}"), violations);
        }
    }

    /// Notes where a value is not as its schema says.
    fn check(&self, schema: &Value, value: &Value, at: &str, violations: &mut BTreeSet<String>) {
        let schema = self.resolve(schema);
        if value.is_null() {
            return;
        }
        let fits = match schema["type"].as_str() {
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            Some("array") => value.is_array(),
            Some("object") => value.is_object(),
            _ => true,
        };
        if !fits {
            violations.insert(format!("{at}: not {}, but {}", schema["type"], truncated(value)));
            return;
        }
        if schema["enum"].as_array().is_some_and(|known| !known.contains(value)) {
            violations.insert(format!("{at}: {} is none of {}", truncated(value), schema["enum"]));
        }
        for entry in value.as_array().into_iter().flatten() {
            self.check(&schema["items"], entry, &format!("{at}[]"), violations);
        }
        let Some(fields) = value.as_object() else { return };
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if fields.get(name).is_none_or(Value::is_null) {
                violations.insert(format!("{at}: no {name}"));
            }
        }
        let is_open = schema.get("properties").is_none() || schema.get("additionalProperties").is_some();
        for (name, field) in fields {
            match schema["properties"].get(name) {
                Some(schema) => self.check(schema, field, &format!("{at}.{name}"), violations),
                None if is_open => {}
                None => {
                    violations.insert(format!("{at}: {name} is not known"));
                }
            }
        }
    }
}

/// Calls of other systems, which Signpost does not make.
#[tokio::test]
async fn other_calls_of_the_standin_match_the_vendor_openapi_files() {
    let documents = [("identity", Document::read("identitysystem.yaml")), ("system", Document::read("system.yaml"))];
    let mut violations = BTreeSet::new();
    let calls = crate::standin_api::calls_of_other_systems().await;
    assert!(!calls.is_empty());
    for call in calls {
        let (_, document) = documents.iter().find(|(name, _)| call.path.starts_with(&format!("/api/{name}/"))).unwrap();
        let at = format!("{} {}", call.method, call.path);
        let Some(theirs) = document.operation(&call.method, &call.path) else {
            violations.insert(format!("{at}: not in the vendor's files"));
            continue;
        };
        document.check_call(theirs, &call, &at, &mut violations);
    }
    assert!(violations.is_empty(), "{}", violations.into_iter().collect::<Vec<_>>().join("\n"));
}

#[tokio::test]
async fn traffic_matches_the_vendor_openapi_files() {
    let documents = [
        ("/api/identity/", Document::read("identitysystem.yaml")),
        ("/api/system/", Document::read("system.yaml")),
        ("/api/admin/", Document::read("admin.yaml")),
    ];
    let find = |path: &str| documents.iter().find(|(prefix, _)| path.starts_with(prefix)).map(|(_, document)| document);
    let operations = operations();
    let mut violations = BTreeSet::new();
    for ours in &operations {
        let Some(document) = find(&ours.path) else { continue };
        let at = format!("{} {}", ours.method, ours.path);
        let Some(theirs) = document.operation(&ours.method, &ours.path) else {
            violations.insert(format!("{at}: not in the vendor's files"));
            continue;
        };
        if theirs["responses"].get(ours.success.to_string()).is_none() {
            violations.insert(format!("{at}: {} is not declared", ours.success));
        }
        let parameters = || theirs["parameters"].as_array().into_iter().flatten();
        for name in ours.query.iter().filter(|name| !ours.undocumented_query.contains(name)) {
            if !parameters().any(|one| one["in"] == "query" && one["name"] == name.as_str()) {
                violations.insert(format!("{at}: ?{name} is not known"));
            }
        }
    }
    for call in traffic().await {
        let (Some(document), Some(ours)) = (find(&call.path), operation(&operations, &call)) else { continue };
        let at = format!("{} {}", ours.method, ours.path);
        let Some(theirs) = document.operation(&ours.method, &ours.path) else { continue };
        document.check_call(theirs, &call, &at, &mut violations);
        assert_eq!(query_names(&call).iter().filter(|name| name.is_empty()).count(), 0);
    }
    assert!(violations.is_empty(), "{}", violations.into_iter().collect::<Vec<_>>().join("\n"));
}
