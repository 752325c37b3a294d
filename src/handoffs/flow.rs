//! The context of a login flow. It never expires: at any age it leads to the right page.

use serde::{Deserialize, Serialize};

use signpost_core::{KeyRing, Locale, Purpose, Slug, UsernameInput};

/// Fits the longest username, slug and return target, so that all padded tokens have one length.
pub(super) const PADDED_LENGTH: usize = 1024;

/// What a customer takes along from page to page, through the identity provider, and to other systems.
///
/// It is sealed for one purpose at a time. A token of one purpose does not open as another, and each purpose carries only the
/// fields that it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlowContext {
    /// The language of the page that it was made on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// The username as it was typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A path in the portal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub biller: Option<Slug>,
    /// The decision's reference code.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// The `state` that the portal passed when it started the flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portal_state: Option<String>,
    /// How many times we have started the flow again without a click.
    #[serde(skip_serializing_if = "is_zero")]
    pub restarts: u8,
    /// The customer asked this device to remember the biller.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub remember: bool,
    /// Another system could not sign the customer in.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

impl FlowContext {
    /// None if nothing was typed, or nothing that can be a username.
    pub fn username(&self) -> Option<UsernameInput> {
        self.name.as_deref().and_then(|name| UsernameInput::parse(name).ok())
    }

    /// The part that pages without a biller of their own carry.
    #[must_use]
    pub fn for_recovery(&self) -> Self {
        Self {
            locale: self.locale,
            name: self.name.clone(),
            return_to: self.return_to.clone(),
            biller: self.biller.clone(),
            failed: self.failed,
            ..Self::default()
        }
    }

    /// The part that another system learns.
    #[must_use]
    pub(super) fn for_handoff(&self) -> Self {
        Self { reference: self.reference.clone(), failed: false, ..self.for_recovery() }
    }

    /// Seals the flow for `/b/{slug}` and `/go/{slug}` of one biller.
    pub fn seal_hint(&self, keys: &KeyRing, slug: &Slug) -> String {
        let hint = Self { biller: None, failed: false, ..self.clone() };
        keys.seal(Purpose::LoginHint, slug.as_str(), &hint)
    }

    pub fn open_hint(keys: &KeyRing, slug: &Slug, token: &str) -> Option<Self> {
        keys.open(Purpose::LoginHint, slug.as_str(), token).ok()
    }

    pub fn seal_recovery(&self, keys: &KeyRing) -> String {
        keys.seal(Purpose::Recovery, "", &self.for_recovery())
    }

    /// Like [`FlowContext::seal_recovery`], with one length for every username.
    pub fn seal_recovery_padded(&self, keys: &KeyRing) -> String {
        keys.seal_padded(Purpose::Recovery, "", &self.for_recovery(), PADDED_LENGTH)
    }

    pub fn open_recovery(keys: &KeyRing, token: &str) -> Option<Self> {
        keys.open(Purpose::Recovery, "", token).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signpost_core::Random;

    fn keys() -> KeyRing {
        KeyRing::from_base64(["q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="], Random::system()).unwrap()
    }

    fn full_flow() -> FlowContext {
        FlowContext {
            locale: Some(Locale::English),
            name: Some("ana".to_owned()),
            return_to: Some("/bills".to_owned()),
            biller: Slug::parse("riverside-water").ok(),
            reference: "7KQM-2XWD-94TR-HN3P".to_owned(),
            portal_state: Some("xyz".to_owned()),
            restarts: 1,
            remember: true,
            failed: true,
        }
    }

    #[test]
    fn a_token_of_one_purpose_does_not_open_as_another() {
        let (keys, slug) = (keys(), Slug::parse("riverside-water").unwrap());
        let (hint, recovery) = (full_flow().seal_hint(&keys, &slug), full_flow().seal_recovery(&keys));
        assert_eq!(FlowContext::open_recovery(&keys, &hint), None);
        assert_eq!(FlowContext::open_hint(&keys, &slug, &recovery), None);
        assert_eq!(FlowContext::open_hint(&keys, &Slug::parse("maple-electric").unwrap(), &hint), None);
    }

    #[test]
    fn each_purpose_carries_only_its_fields() {
        let (keys, slug) = (keys(), Slug::parse("riverside-water").unwrap());
        let hint = FlowContext { biller: None, failed: false, ..full_flow() };
        assert_eq!(FlowContext::open_hint(&keys, &slug, &full_flow().seal_hint(&keys, &slug)), Some(hint));
        let recovery =
            FlowContext { reference: String::new(), portal_state: None, restarts: 0, remember: false, ..full_flow() };
        assert_eq!(FlowContext::open_recovery(&keys, &full_flow().seal_recovery(&keys)), Some(recovery.clone()));
        let handoff = FlowContext { reference: full_flow().reference, failed: false, ..recovery };
        assert_eq!(full_flow().for_handoff(), handoff);
    }

    #[test]
    fn padded_tokens_have_one_length_for_every_username() {
        let keys = keys();
        let length = |name: &str| {
            let flow = FlowContext { name: Some(name.to_owned()), ..full_flow() };
            flow.seal_recovery_padded(&keys).len()
        };
        assert_eq!(length("a"), length(&"x".repeat(254)));
    }
}
