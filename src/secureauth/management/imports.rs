//! The import: users with their identifiers, addresses and passwords in one call.

use http::Method;
use serde_json::{Value, json};

use super::Dump;
use super::calls::Call;
use super::client::{Management, Workspace};
use super::error::CallError;

/// The lists of a dump, in the order in which a JSON Patch adds to them: a user comes before the user's parts.
const LISTS: [&str; 4] = ["users", "user_identifiers", "user_verifiable_addresses", "user_credentials"];

/// The calls that import users. Versions of SecureAuth differ in which of them overwrite users that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportCall {
    /// `PUT /configuration`. The vendor's guides have `mode`, its OpenAPI file does not.
    Put,
    /// `PATCH /configuration`: a JSON Patch (RFC 6902), whose `mode` the OpenAPI file has.
    Patch,
}

impl ImportCall {
    /// In the order of preference.
    pub const ALL: [Self; 2] = [Self::Put, Self::Patch];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "PUT /configuration",
            Self::Patch => "PATCH /configuration",
        }
    }
}

impl Management {
    /// Imports users with their identifiers, addresses and passwords. A repetition changes nothing, since every id is chosen here.
    /// SecureAuth may ignore or reject the mode, so the caller checks the first import.
    ///
    /// # Errors
    /// 409 if another user of the pool has an identifier.
    pub async fn import_users(&self, import: ImportCall, dump: &Dump<'_>) -> Result<(), CallError> {
        let path = format!("{}?mode=update", self.configuration_path());
        let call = match import {
            ImportCall::Put => Call::new(Workspace::System, Method::PUT, path).body(dump),
            ImportCall::Patch => Call::new(Workspace::System, Method::PATCH, path).body(&additions(dump)),
        };
        self.call(call).await.map(drop)
    }
}

/// One `add` operation for each entry (RFC 6902, section 4.1). `-` is the end of a list (RFC 6901, section 4).
fn additions(dump: &Dump<'_>) -> Vec<Value> {
    let dump = json!(dump);
    let entries = |list: &'static str| {
        let entries = dump[list].as_array().into_iter().flatten();
        entries.map(move |entry| json!({ "op": "add", "path": format!("/{list}/-"), "value": entry }))
    };
    LISTS.into_iter().flat_map(entries).collect()
}
