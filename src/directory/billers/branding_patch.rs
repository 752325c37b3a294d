//! A change of a biller's branding.

use std::path::PathBuf;

use serde::Deserialize;
use utoipa::ToSchema;

use super::branding::{Branding, Colours, Logo};
use signpost_core::colour::InvalidColour;
use signpost_core::{Colour, FieldErrors};

/// A change of a biller's branding. What is left out stays as it is; an empty text removes it.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BrandingPatch {
    /// Colour of buttons and links on light pages, as `#rrggbb`.
    pub accent: Option<String>,
    /// The same on dark pages.
    pub accent_dark: Option<String>,
    /// A PNG in base64; files may name a file instead.
    #[schema(value_type = Option<String>)]
    pub logo: Option<LogoSource>,
}

/// Where a logo comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum LogoSource {
    Base64(String),
    /// A file of this machine.
    File {
        file: PathBuf,
    },
}

impl BrandingPatch {
    /// The branding after this change. A change without fields removes all of it.
    pub(super) fn apply(self, before: &Branding) -> Result<Branding, FieldErrors> {
        let Self { accent, accent_dark, logo } = self;
        if accent.is_none() && accent_dark.is_none() && logo.is_none() {
            return Ok(Branding::default());
        }
        let mut errors = FieldErrors::default();
        let mut colour = |field, text: Option<String>, before: Option<Colour>| match text.as_deref().map(str::trim) {
            None => before,
            Some("") => None,
            Some(text) => errors.check(field, text.parse().map_err(|error: InvalidColour| error.to_string())),
        };
        let accent = colour("accent", accent, before.colours.map(|c| c.accent));
        let accent_dark = colour("accent_dark", accent_dark, before.colours.map(|c| c.accent_dark));
        let colours = match (accent, accent_dark) {
            (Some(accent), Some(accent_dark)) => Some(Colours { accent, accent_dark }),
            (None, None) => None,
            (Some(_), None) => {
                errors.push("accent_dark", "is required with accent: set a colour for dark pages as well");
                None
            }
            (None, Some(_)) => {
                errors.push("accent", "is required with accent_dark: set a colour for light pages as well");
                None
            }
        };
        for (field, message) in colours.map(Colours::problems).unwrap_or_default() {
            errors.push(field, message);
        }
        let logo = match logo {
            None => before.logo.clone(),
            Some(source) => errors.check("logo", source.read()).flatten(),
        };
        if errors.is_empty() { Ok(Branding { colours, logo }) } else { Err(errors) }
    }
}

impl LogoSource {
    fn read(&self) -> Result<Option<Logo>, String> {
        match self {
            Self::Base64(text) if text.trim().is_empty() => Ok(None),
            Self::Base64(text) => Logo::read(text).map(Some),
            Self::File { file } => {
                let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
                Logo::from_png(&bytes).map(Some)
            }
        }
    }
}
