//! Request bodies of `/api/v1/billers`: the fields of a file of billers and, for a new biller, `ciam`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::problem::{invalid_fields, validation_failed};
use crate::config::Secret;
use crate::directory::import_billers::BillerRow;
use crate::directory::{BillerPatch, LogoSource, PasswordCarryOver};
use crate::provisioning::{CiamMode, EnablementOptions};
use crate::web::HttpError;
use signpost_core::decision::CiamState;
use signpost_core::{FieldErrors, Slug};

/// A [`BillerPatch`] with `slug` and `ciam`.
pub(super) struct NewBiller;

/// A [`BillerPatch`] without `state`, which `PUT /api/v1/billers/{slug}/ciam` changes.
pub(super) struct BillerUpdate;

/// How to enable the biller.
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
        patch_schema(|schema| {
            let description = "The wizard's CIAM (SSO/MFA) Authentication box: enables the biller at once.";
            let options = json!({ "$ref": format!("#/components/schemas/{}", CiamOptions::name()) });
            schema["properties"]["ciam"] =
                json!({ "description": description, "oneOf": [{ "type": "boolean" }, { "type": "null" }, options] });
            schema["required"] = json!(["slug", "name"]);
        })
    }
}

impl ToSchema for NewBiller {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        BillerPatch::schemas(schemas);
        CiamOptions::schemas(schemas);
        schemas.push((CiamOptions::name().into_owned(), CiamOptions::schema()));
    }
}

impl PartialSchema for BillerUpdate {
    fn schema() -> RefOr<Schema> {
        patch_schema(|schema| {
            if let Some(fields) = schema["properties"].as_object_mut() {
                fields.remove("state");
            }
        })
    }
}

impl ToSchema for BillerUpdate {
    fn name() -> Cow<'static, str> {
        BillerPatch::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        BillerPatch::schemas(schemas);
    }
}

/// The schema of a [`BillerPatch`] with a slug and without null.
fn patch_schema(change: impl FnOnce(&mut Value)) -> RefOr<Schema> {
    let mut schema = json!(BillerPatch::schema());
    if let Some(fields) = schema["properties"].as_object_mut() {
        fields.values_mut().for_each(forbid_null);
        fields.insert("slug".to_owned(), json!({ "$ref": format!("#/components/schemas/{}", Slug::name()) }));
    }
    change(&mut schema);
    serde_json::from_value(schema).unwrap_or_else(|_| BillerPatch::schema())
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

/// How to enable a new biller; none: not at all.
pub(super) fn parse_ciam(ciam: Option<Value>, patch: &BillerPatch) -> Result<Option<EnablementOptions>, HttpError> {
    let order = match ciam {
        None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
        Some(Value::Bool(true)) => EnablementOptions::default(),
        Some(options @ Value::Object(_)) => {
            let CiamOptions { mode, passwords } =
                serde_json::from_value(options).map_err(|error| validation_failed([("ciam", error.to_string())]))?;
            EnablementOptions { mode, passwords }
        }
        Some(_) => {
            let text = "must be true, false, or {\"mode\": …, \"passwords\": …}".to_owned();
            return Err(validation_failed([("ciam", text)]));
        }
    };
    if patch.oidc.is_some() || patch.state.is_some_and(|state| state != CiamState::Legacy) {
        return Err(validation_failed([("ciam", "requires a biller in state legacy without oidc".to_owned())]));
    }
    Ok(Some(order))
}

/// Reads a body. Reports every field that is wrong.
pub(super) fn parse_biller_row(mut fields: Map<String, Value>) -> Result<BillerRow, HttpError> {
    let mut errors = FieldErrors::default();
    // A null would be read as a field that is left out, although it might be meant to remove something.
    fields.retain(|name, value| {
        if value.is_null() {
            errors.push(name.as_str(), "must not be null; an empty list, object or text removes the setting");
        }
        !value.is_null()
    });
    let row = match BillerRow::from_json(fields) {
        Ok(row) if errors.is_empty() => row,
        Ok(_) => return Err(invalid_fields(&errors)),
        Err(more) => {
            errors.extend(more);
            return Err(invalid_fields(&errors));
        }
    };
    forbid_local_files(&row.patch)?;
    Ok(row)
}

/// Files and environment variables of this machine are for files of billers only.
fn forbid_local_files(patch: &BillerPatch) -> Result<(), HttpError> {
    let mut errors = FieldErrors::default();
    let is_local = |secret: &Option<Secret>| secret.as_ref().is_some_and(|secret| !matches!(secret, Secret::Inline(_)));
    if let Some(oidc) = &patch.oidc {
        let secrets = [("client_secret", &oidc.client_secret), ("second_client_secret", &oidc.second_client_secret)];
        for (field, _) in secrets.into_iter().filter(|(_, secret)| is_local(secret)) {
            errors.push(format!("oidc.{field}"), "must be the secret itself");
        }
    }
    if let Some(Some(LogoSource::File { .. })) = patch.branding.as_ref().map(|branding| &branding.logo) {
        errors.push("branding.logo", "must be a PNG in base64");
    }
    if errors.is_empty() { Ok(()) } else { Err(invalid_fields(&errors)) }
}
