//! What a biller is asked to be: the fields of a file of billers, and the wizard's CIAM box.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::problem::validation_failed;
use crate::directory::PasswordCarryOver;
use crate::directory::import_billers::BillerInput;
use crate::provisioning::{CiamMode, EnablementOptions};
use crate::web::HttpError;
use signpost_core::decision::CiamState;

/// Fields that are objects.
const OBJECT_FIELDS: [&str; 6] = ["rollout", "oidc", "secureauth", "support", "branding", "password_policy"];

/// A biller to be made: a [`BillerInput`] with `ciam`.
pub(super) struct NewBiller;

/// What is to be changed: a [`BillerInput`] without what is changed elsewhere.
pub(super) struct BillerChange;

/// How a biller is to be moved.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CiamOptions {
    #[serde(default)]
    mode: CiamMode,
    #[serde(default)]
    passwords: PasswordCarryOver,
}

impl PartialSchema for NewBiller {
    fn schema() -> RefOr<Schema> {
        input_schema(|fields, required| {
            let description = "The CIAM (SSO/MFA) Authentication box: the biller is enabled at once.";
            let options = json!({ "$ref": format!("#/components/schemas/{}", CiamOptions::name()) });
            fields.insert(
                "ciam".into(),
                json!({ "description": description, "oneOf": [{ "type": "boolean" }, { "type": "null" }, options] }),
            );
            *required = json!(["slug", "name"]);
        })
    }
}

impl ToSchema for NewBiller {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        BillerInput::schemas(schemas);
        CiamOptions::schemas(schemas);
        schemas.push((CiamOptions::name().into_owned(), CiamOptions::schema()));
    }
}

impl PartialSchema for BillerChange {
    fn schema() -> RefOr<Schema> {
        input_schema(|fields, required| {
            fields.remove("state");
            *required = json!([]);
        })
    }
}

impl ToSchema for BillerChange {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        BillerInput::schemas(schemas);
    }
}

/// A row's schema, in which null is no value, with some changes.
fn input_schema(change: impl FnOnce(&mut Map<String, Value>, &mut Value)) -> RefOr<Schema> {
    let mut schema = json!(BillerInput::schema());
    if let Some(fields) = schema["properties"].as_object_mut() {
        fields.values_mut().for_each(forbid_null);
    }
    let mut fields = schema["properties"].as_object().cloned().unwrap_or_default();
    change(&mut fields, &mut schema["required"]);
    schema["properties"] = fields.into();
    serde_json::from_value(schema).unwrap_or_else(|_| BillerInput::schema())
}

fn forbid_null(field: &mut Value) {
    let other = |kinds: &Value, null: &Value| kinds.as_array()?.iter().find(|kind| *kind != null).cloned();
    if let Some(kind) = other(&field["type"], &json!("null")) {
        field["type"] = kind;
    }
    if let Some(mut only) = other(&field["oneOf"], &json!({ "type": "null" })) {
        if let (Some(description), Some(only)) = (field.get("description"), only.as_object_mut()) {
            only.insert("description".to_owned(), description.clone());
        }
        *field = only;
    }
}

/// The wizard's CIAM box: ticked, or with how.
pub(super) fn parse_ciam(ciam: Option<Value>, row: &BillerInput) -> Result<Option<EnablementOptions>, HttpError> {
    let order = match ciam {
        None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
        Some(Value::Bool(true)) => EnablementOptions::default(),
        Some(options @ Value::Object(_)) => {
            let CiamOptions { mode, passwords } =
                serde_json::from_value(options).map_err(|error| validation_failed([("ciam", error.to_string())]))?;
            EnablementOptions { mode, passwords }
        }
        Some(_) => {
            let text = "true, false, or {\"mode\": …, \"passwords\": …} is expected".to_owned();
            return Err(validation_failed([("ciam", text)]));
        }
    };
    if row.oidc.is_some() || row.state.is_some_and(|state| state != CiamState::Legacy) {
        return Err(validation_failed([(
            "ciam",
            "a biller that is to be enabled begins as legacy, without oidc".to_owned(),
        )]));
    }
    Ok(Some(order))
}

/// Reads the fields; all that are wrong are told together.
pub(super) fn parse_biller_input(mut fields: Map<String, Value>) -> Result<BillerInput, HttpError> {
    let mut errors: Vec<(String, String)> = Vec::new();
    // Nothing would come of a null, and it might be meant to take something away. A list would be read as a table without
    // names.
    fields.retain(|name, value| {
        if value.is_array() && OBJECT_FIELDS.contains(&name.as_str()) {
            errors.push((name.clone(), "an object is expected".to_owned()));
            return false;
        }
        if value.is_null() {
            errors.push((name.clone(), "null is no value; an empty list, table or text takes it away".to_owned()));
        }
        !value.is_null()
    });
    loop {
        match serde_path_to_error::deserialize::<_, BillerInput>(Value::Object(fields.clone())) {
            Ok(row) if errors.is_empty() => {
                let text = "the secret itself is expected".to_owned();
                let elsewhere = row.local_secrets();
                let mut elsewhere: Vec<_> = elsewhere.into_iter().map(|field| (field, text.clone())).collect();
                if row.has_local_logo() {
                    elsewhere.push(("branding.logo", "the bytes of a PNG in base64 are expected".to_owned()));
                }
                return if elsewhere.is_empty() { Ok(row) } else { Err(validation_failed(elsewhere)) };
            }
            Ok(_) => break,
            Err(error) => {
                let path = error.path().to_string().replace('[', ".").replace(']', "");
                let first = path.split('.').next().unwrap_or_default().to_owned();
                // Not with the text that stands there: it may be a secret.
                let message =
                    if path.contains("secret") { "not a secret".to_owned() } else { error.into_inner().to_string() };
                let field = if fields.contains_key(&first) { path } else { missing_field(&message).to_owned() };
                if !errors.iter().any(|(known, _)| *known == field) {
                    errors.push((field, message));
                }
                // The others may be wrong as well.
                if fields.remove(&first).is_none() {
                    break;
                }
            }
        }
    }
    Err(validation_failed(errors.iter().map(|(field, text)| (field.as_str(), text.clone()))))
}

/// The field that a sentence of serde's calls missing.
fn missing_field(message: &str) -> &str {
    message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')).unwrap_or_default()
}
