//! Pages of a biller's settings: ours, and those at SecureAuth.

use std::collections::BTreeMap;

use askama::Template;

use super::Chrome;
use signpost_core::FieldErrors;

/// The form with a biller's settings.
#[derive(Clone, Debug, Template)]
#[template(path = "console/settings.html")]
pub struct SettingsPage {
    /// Around the content.
    pub chrome: Chrome,
    /// The biller's slug.
    pub slug: String,
    /// The biller's name.
    pub name: String,
    pub form: FormValues,
    /// Identifies the settings that the form was filled with.
    pub version: String,
    /// The current logo: URL, width and height.
    pub logo: Option<(String, u32, u32)>,
    pub has_issuer: bool,
    /// Whether changes of where its users sign in need an approval.
    pub is_migrated: bool,
    /// What is wrong: the field's id, and a sentence.
    pub errors: FieldErrors,
}

/// What SecureAuth keeps of a biller.
#[derive(Clone, Debug, Template)]
#[template(path = "console/secureauth.html")]
pub struct SecureauthPage {
    /// Around the content.
    pub chrome: Chrome,
    /// The biller's slug.
    pub slug: String,
    /// The biller's name.
    pub name: String,
    /// Each setting: its name, ours, theirs, and whether they are the same.
    pub lines: Vec<(String, Option<String>, String, bool)>,
    /// Some are not.
    pub has_drift: bool,
    /// Why they cannot be shown.
    pub load_error: Option<String>,
    /// Whether its users' passwords are at SecureAuth.
    pub has_passwords: bool,
    /// What stands in the form.
    pub form: FormValues,
    /// The numbers of the password policy: the field's id, and its label.
    pub numbers: Vec<(&'static str, &'static str)>,
    /// How strong a password can be asked to be: as it is sent, as it is read, and whether it is so in the form.
    pub strengths: Vec<(&'static str, String, bool)>,
    /// What was just done.
    pub done: Option<&'static str>,
    /// What is wrong: the field's id, and a sentence.
    pub errors: FieldErrors,
    /// The reader may change it.
    pub can_operate: bool,
}

/// What stands in a form, by the field's id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormValues(pub BTreeMap<&'static str, String>);

impl FormValues {
    /// What stands in a field.
    pub fn of(&self, field: &str) -> &str {
        self.0.get(field).map_or("", String::as_str)
    }
}
