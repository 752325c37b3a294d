//! Colours, and whether they can be told apart: contrast as WCAG 2.2 defines it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Contrast that text needs (WCAG 2.2, success criterion 1.4.3, level AA).
pub const TEXT: f64 = 4.5;
/// Contrast that the edges of buttons and fields need (WCAG 2.2, success criterion 1.4.11).
pub const CONTROL: f64 = 3.0;

/// A colour of sRGB, written `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Colour([u8; 3]);

/// The text is no colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a colour is written #rrggbb, such as #0b5d57")]
pub struct NotAColour;

impl Colour {
    /// White.
    pub const WHITE: Self = Self([0xff; 3]);
    /// Black.
    pub const BLACK: Self = Self([0; 3]);

    /// From its red, green and blue.
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

    /// This colour with so many hundredths of another.
    #[must_use]
    pub fn mixed(self, other: Self, hundredths: u8) -> Self {
        let share = u32::from(hundredths.min(100));
        let channel = |own: u8, others: u8| {
            let sum = u32::from(own) * (100 - share) + u32::from(others) * share;
            u8::try_from((sum + 50) / 100).unwrap_or(u8::MAX)
        };
        let ([r, g, b], [r2, g2, b2]) = (self.0, other.0);
        Self([channel(r, r2), channel(g, g2), channel(b, b2)])
    }

    /// The nearest colour towards `end` that suffices.
    pub fn until(self, end: Self, suffices: impl Fn(Self) -> bool) -> Option<Self> {
        (0..=100).map(|share| self.mixed(end, share)).find(|colour| suffices(*colour))
    }
}

impl FromStr for Colour {
    type Err = NotAColour;

    fn from_str(text: &str) -> Result<Self, NotAColour> {
        let digits = text.trim().strip_prefix('#').ok_or(NotAColour)?;
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NotAColour);
        }
        let number = u32::from_str_radix(digits, 16).map_err(|_| NotAColour)?;
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
    type Error = NotAColour;

    fn try_from(text: String) -> Result<Self, NotAColour> {
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
    fn contrast_is_what_the_usual_tools_say() {
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
    fn colours_are_read_exactly_or_not_at_all() {
        assert_eq!(colour(" #0B5d57 ").to_string(), "#0b5d57");
        for bad in ["", "#", "0b5d57", "#0b5", "#0b5d5", "#0b5d577", "#0b5d5g", "#+b5d57", "teal", "#0b5d57;}"] {
            assert_eq!(bad.parse::<Colour>(), Err(NotAColour), "{bad}");
        }
    }

    #[test]
    fn a_colour_that_suffices_is_found_as_near_as_can_be() {
        let enough = |colour: Colour| colour.contrast(Colour::WHITE) >= TEXT;
        let found = colour("#ffcc00").until(Colour::BLACK, enough).unwrap();
        assert!(enough(found) && found.contrast(Colour::WHITE) < 5.0, "{found}");
        assert_eq!(colour("#0b5d57").until(Colour::BLACK, enough), Some(colour("#0b5d57")), "it does already");
        assert_eq!(colour("#ffcc00").until(Colour::WHITE, enough), None);
    }
}
