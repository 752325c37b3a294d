//! A setting of a biller reaches every audience: the API answers it, the console's form has it, and the documentation names it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use signpost::api::openapi::DOCUMENT;
use signpost::directory::BillerPatch;

use crate::console::ConsoleHarness;

/// Settings that the API does not answer under the same name, each with the reason.
const NOT_ANSWERED: [(&str, &str); 2] =
    [("state", "is part of `ciam`"), ("secureauth", "is needed only to import billers that were migrated earlier")];

/// Settings that the console's form shows in fields of other names.
const FORM_FIELDS: [(&str, &str); 3] = [("support", "phone"), ("branding", "accent"), ("oidc", "issuer")];

/// Settings that the console's form does not have, each with the reason.
const NOT_IN_FORM: [(&str, &str); 9] = [
    ("state", "the biller's page has buttons for it"),
    ("paused", "the biller's page has a button for it"),
    ("rollout", "the biller's page has a form of its own for it"),
    ("active_from", "is in the form of the rollout"),
    ("passwords", "is chosen when the biller is enabled"),
    ("password_policy", "the page of SecureAuth's settings has a form of its own for it"),
    ("legacy_accounts", "is known to whoever imports the users"),
    ("secureauth", "is needed only to import billers that were migrated earlier"),
    ("portal_url", "belongs to the installation of the portal"),
];

/// The fields of a patch, as serde lists them.
fn settings() -> BTreeSet<String> {
    let error = serde_json::from_value::<BillerPatch>(json!({ "no-such-field": 1 })).unwrap_err().to_string();
    let fields: BTreeSet<String> = error.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert!(fields.len() > 10 && fields.contains("name"), "{error}");
    fields
}

/// Every setting is either there or on the list of exceptions, and the list has nothing else.
fn assert_covered(place: &str, exceptions: &[(&str, &str)], is_there: impl Fn(&str) -> bool) {
    let settings = settings();
    for setting in &settings {
        let is_exception = exceptions.iter().any(|(name, _)| name == setting);
        assert_ne!(is_there(setting), is_exception, "{setting}: add it to {place}, or to the exceptions with a reason");
    }
    for (name, _) in exceptions {
        assert!(settings.contains(*name), "{name} is no longer a setting");
    }
}

fn has_property(schema: &Value, name: &str) -> bool {
    let reference = schema["$ref"].as_str().and_then(|path| DOCUMENT.pointer(path.trim_start_matches('#')));
    schema["properties"].get(name).is_some()
        || reference.is_some_and(|schema| has_property(schema, name))
        || schema["allOf"].as_array().is_some_and(|parts| parts.iter().any(|part| has_property(part, name)))
}

#[test]
fn every_setting_is_answered_by_the_api() {
    let answer = &DOCUMENT["components"]["schemas"]["Biller"];
    assert_covered("BillerSettings or BillerResponse", &NOT_ANSWERED, |name| has_property(answer, name));
}

#[tokio::test]
async fn every_setting_is_in_the_console_form() {
    let harness = ConsoleHarness::open().await;
    let mut browser = harness.sign_in("operator").await;
    let page = browser.get("/billers/riverside-water/settings").await.body;
    assert_covered("FIELDS in console/settings.rs", &NOT_IN_FORM, |name| {
        let field = FORM_FIELDS.iter().find(|(setting, _)| *setting == name).map_or(name, |(_, field)| field);
        page.contains(&format!(" name=\"{field}\""))
    });
}

#[test]
fn every_setting_is_documented() {
    let text = include_str!("../../docs/reference/biller-settings.md");
    assert_covered("docs/reference/biller-settings.md", &[("state", "is part of `ciam`; files have it")], |name| {
        text.contains(&format!("\n| `{name}` | "))
    });
}
