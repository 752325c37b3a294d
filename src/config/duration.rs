//! Durations: a whole number in the unit that the key names, or a text such as "30s".

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, Visitor};

/// Units of a text, in seconds.
const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 24 * 3600)];

/// A duration setting counts in one unit.
macro_rules! unit {
    ($name:ident, $read:ident, $word:literal, $seconds:literal, $example:literal) => {
        /// The schema of a setting in this unit.
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "title": concat!("duration (", $word, ")"), "anyOf": [
                    { "type": "integer", "minimum": 0 },
                    { "type": "string", "pattern": "^[0-9]+[smhd]$" },
                ] })
            }
        }

        pub(super) fn $read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
            deserializer.deserialize_any(Duration {
                seconds: $seconds,
                expected: concat!("a whole number of ", $word, ", or a duration such as \"", $example, "\""),
            })
        }
    };
}

unit!(Seconds, seconds, "seconds", 1, "30s");
unit!(Minutes, minutes, "minutes", 60, "30m");
unit!(Hours, hours, "hours", 3600, "12h");
unit!(Days, days, "days", 86_400, "90d");

struct Duration {
    /// Of the key's unit.
    seconds: u64,
    expected: &'static str,
}

impl Duration {
    fn parse(&self, text: &str) -> Option<u64> {
        let (number, unit) = text.split_at(text.trim_end_matches(|c: char| !c.is_ascii_digit()).len());
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
        let total = number.parse::<u64>().ok()?.checked_mul(*seconds)?;
        total.is_multiple_of(self.seconds).then_some(total / self.seconds)
    }
}

impl Visitor<'_> for Duration {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
        number.try_into().map_err(|_| E::custom(format!("expected {}", self.expected)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        self.parse(text.trim()).ok_or_else(|| E::custom(format!("expected {}", self.expected)))
    }
}
