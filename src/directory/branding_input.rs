//! A biller's look as files and machines write it.

use std::path::PathBuf;

use serde::Deserialize;
use utoipa::ToSchema;

use super::branding::{Branding, Colours, Logo};
use super::import_billers::ProblemSink;
use signpost_core::Colour;
use signpost_core::colour::InvalidColour;

/// Look of a biller in a file. What is left out stays as it is; an empty text takes it away.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BrandingInput {
    /// `#rrggbb`: buttons and links on light pages.
    #[serde(default)]
    pub accent: Option<String>,
    /// The same on dark pages.
    #[serde(default)]
    pub accent_dark: Option<String>,
    /// A PNG: in base64, or from a file.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub logo: Option<LogoSource>,
}

/// Where a logo comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum LogoSource {
    /// From itself, in base64.
    Base64(String),
    /// From a file of this machine.
    File {
        /// Where it is.
        file: PathBuf,
    },
}

/// The look that a row makes of the one before. A row without anything takes it away.
pub(super) fn convert(row: BrandingInput, before: &Branding, problem: &mut ProblemSink<'_>) -> Branding {
    if row.accent.is_none() && row.accent_dark.is_none() && row.logo.is_none() {
        return Branding::default();
    }
    let mut colour = |field, text: Option<String>, before: Option<Colour>| match text.as_deref().map(str::trim) {
        None => before,
        Some("") => None,
        Some(text) => text.parse().map_err(|error: InvalidColour| problem(field, error.to_string())).ok(),
    };
    let accent = colour("branding.accent", row.accent, before.colours.map(|c| c.accent));
    let accent_dark = colour("branding.accent_dark", row.accent_dark, before.colours.map(|c| c.accent_dark));
    let colours = match (accent, accent_dark) {
        (Some(accent), Some(accent_dark)) => Some(Colours { accent, accent_dark }),
        (None, None) => None,
        (Some(_), None) => {
            problem("branding.accent_dark", "a colour for dark pages is needed as well".into());
            None
        }
        (None, Some(_)) => {
            problem("branding.accent", "a colour for light pages is needed as well".into());
            None
        }
    };
    for (field, text) in colours.map(Colours::problems).unwrap_or_default() {
        problem(field, text);
    }
    let logo = match row.logo.map(|logo| logo_of(&logo)) {
        None => before.logo.clone(),
        Some(Ok(logo)) => logo,
        Some(Err(text)) => {
            problem("branding.logo", text);
            None
        }
    };
    Branding { colours, logo }
}

fn logo_of(from: &LogoSource) -> Result<Option<Logo>, String> {
    match from {
        LogoSource::Base64(text) if text.trim().is_empty() => Ok(None),
        LogoSource::Base64(text) => Logo::read(text).map(Some),
        LogoSource::File { file } => {
            let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            Logo::from_png(&bytes).map(Some)
        }
    }
}
