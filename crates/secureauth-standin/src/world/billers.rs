//! The billers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::IssuerState;

/// The biller whose issuer is down.
pub const ISSUER_DOWN: &str = "cedar-county";
const LOGO: &[u8] = include_bytes!("riverside-water.png");

/// A row of the biller file, and its organization at SecureAuth.
#[derive(Clone, Debug)]
pub struct Biller {
    pub slug: String,
    pub name: String,
    /// `legacy`, `active` or `suspended`.
    pub state: &'static str,
    /// `imported` or `reset_required`.
    pub passwords: &'static str,
    pub private: bool,
    pub hosts: Vec<String>,
    /// The table `support` of the biller file.
    pub support: Option<Value>,
    /// The table `branding` of the biller file.
    pub branding: Option<Value>,
    /// State of the organization; none if the biller has no organization.
    pub organization: Option<IssuerState>,
}

impl Biller {
    /// An active biller has an organization, a legacy one has none.
    pub fn new(slug: &str, name: &str, state: &'static str) -> Self {
        Self {
            slug: slug.to_owned(),
            name: name.to_owned(),
            state,
            passwords: "imported",
            private: false,
            hosts: Vec::new(),
            support: None,
            branding: None,
            organization: (state != "legacy").then_some(IssuerState::Up),
        }
    }
}

pub(super) fn routing_table() -> Vec<Biller> {
    vec![
        Biller::new("riverside-water", "Riverside Water", "active"),
        Biller { passwords: "reset_required", ..Biller::new("maple-electric", "Maple Electric", "active") },
        Biller::new("oakdale-city", "Oakdale City", "legacy"),
        Biller::new("pinehill-gas", "Pinehill Gas", "legacy"),
        Biller {
            organization: Some(IssuerState::Deactivated),
            ..Biller::new("summit-telecom", "Summit Telecom", "suspended")
        },
        Biller { organization: Some(IssuerState::Down), ..Biller::new(ISSUER_DOWN, "Cedar County", "active") },
    ]
}

pub(super) fn support(slug: &str, phone: &str) -> Value {
    json!({
        "phone": phone,
        "email": format!("help@{slug}.example"),
        "hours": { "en": "Monday to Friday, 9 am to 5 pm", "es": "De lunes a viernes, de 9 a. m. a 5 p. m." },
        "alternative_payment": {
            "en": "By mail, with the slip on your bill.",
            "es": "Por correo, con el talón de su factura.",
        },
    })
}

pub(super) fn branding() -> Value {
    json!({ "accent": "#1d4e89", "accent_dark": "#8fbdf0", "logo": STANDARD.encode(LOGO) })
}
