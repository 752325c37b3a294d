//! Colours and their contrast as WCAG 2.2 defines it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Minimum contrast of text (WCAG 2.2, success criterion 1.4.3, level AA).
pub const MIN_TEXT_CONTRAST: f64 = 4.5;
/// Minimum contrast of the edges of buttons and fields (WCAG 2.2, success criterion 1.4.11).
pub const MIN_CONTROL_CONTRAST: f64 = 3.0;

/// An sRGB colour, written `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Colour([u8; 3]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a colour is written #rrggbb, such as #0b5d57")]
pub struct InvalidColour;

impl Colour {
    pub const WHITE: Self = Self([0xff; 3]);
    pub const BLACK: Self = Self([0; 3]);

    pub const fn rgb(red: u8, green: u8, blue: u8) -> Self {
        Self([red, green, blue])
    }

    /// Relative luminance, 0 for black and 1 for white (WCAG 2.2, definition of relative luminance).
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// Contrast ratio with another colour, from 1 to 21 (WCAG 2.2, definition of contrast ratio).
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// This colour mixed with `percent` of another.
    #[must_use]
    pub fn mix(self, other: Self, percent: u8) -> Self {
        let share = u32::from(percent.min(100));
        let channel = |own: u8, others: u8| {
            let sum = u32::from(own) * (100 - share) + u32::from(others) * share;
            u8::try_from((sum + 50) / 100).unwrap_or(u8::MAX)
        };
        let ([r, g, b], [r2, g2, b2]) = (self.0, other.0);
        Self([channel(r, r2), channel(g, g2), channel(b, b2)])
    }

    /// The first colour on the way to `end`, in steps of one percent, that is sufficient.
    pub fn nearest_towards(self, end: Self, is_sufficient: impl Fn(Self) -> bool) -> Option<Self> {
        (0..=100).map(|share| self.mix(end, share)).find(|colour| is_sufficient(*colour))
    }
}

impl FromStr for Colour {
    type Err = InvalidColour;

    fn from_str(text: &str) -> Result<Self, InvalidColour> {
        let digits = text.trim().strip_prefix('#').ok_or(InvalidColour)?;
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(InvalidColour);
        }
        let number = u32::from_str_radix(digits, 16).map_err(|_| InvalidColour)?;
        let [_, red, green, blue] = number.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl TryFrom<String> for Colour {
    type Error = InvalidColour;

    fn try_from(text: String) -> Result<Self, InvalidColour> {
        text.parse()
    }
}

impl From<Colour> for String {
    fn from(colour: Colour) -> Self {
        colour.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(text: &str) -> Colour {
        text.parse().unwrap()
    }

    #[test]
    fn contrast_matches_reference_values() {
        for (one, two, ratio) in [
            ("#000000", "#ffffff", 21.0),
            ("#ffffff", "#ffffff", 1.0),
            ("#777777", "#ffffff", 4.48),
            ("#767676", "#ffffff", 4.54),
            ("#ff0000", "#ffffff", 4.0),
            ("#0000ff", "#ffffff", 8.59),
        ] {
            for found in [colour(one).contrast(colour(two)), colour(two).contrast(colour(one))] {
                assert!((found - ratio).abs() < 0.006, "{one} on {two}: {found}");
            }
        }
    }

    #[test]
    fn only_rrggbb_is_accepted() {
        assert_eq!(colour(" #0B5d57 ").to_string(), "#0b5d57");
        for bad in ["", "#", "0b5d57", "#0b5", "#0b5d5", "#0b5d577", "#0b5d5g", "#+b5d57", "teal", "#0b5d57;}"] {
            assert_eq!(bad.parse::<Colour>(), Err(InvalidColour), "{bad}");
        }
    }

    #[test]
    fn the_nearest_sufficient_colour_is_found() {
        let enough = |colour: Colour| colour.contrast(Colour::WHITE) >= MIN_TEXT_CONTRAST;
        let found = colour("#ffcc00").nearest_towards(Colour::BLACK, enough).unwrap();
        assert!(enough(found) && found.contrast(Colour::WHITE) < 5.0, "{found}");
        assert_eq!(
            colour("#0b5d57").nearest_towards(Colour::BLACK, enough),
            Some(colour("#0b5d57")),
            "it does already"
        );
        assert_eq!(colour("#ffcc00").nearest_towards(Colour::WHITE, enough), None);
    }
}
