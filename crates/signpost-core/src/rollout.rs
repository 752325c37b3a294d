//! The usernames for which an active biller counts as migrated.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize};
use utoipa::ToSchema;

use crate::Username;
use crate::field_error::FieldErrors;

/// For whom an active biller counts as migrated. With neither list nor percentage: for all users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rollout {
    /// These usernames are in.
    pub allow: Option<Vec<String>>,
    /// This percentage of usernames is in, always the same ones.
    #[schema(maximum = 100)]
    pub percent: Option<u8>,
}

impl Rollout {
    /// Checks the percentage and normalizes the usernames. Stored rollouts are normalized.
    pub fn normalized(&self) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        if self.percent.is_some_and(|percent| percent > 100) {
            errors.push("percent", "must be from 0 to 100");
        }
        let mut normalize = |name: &String| match Username::parse(name) {
            Ok(username) => Some(username.as_str().to_owned()),
            Err(error) => {
                errors.push("allow", format!("{name:?}: {error}"));
                None
            }
        };
        let allow = self.allow.as_ref().map(|names| names.iter().filter_map(&mut normalize).collect());
        if errors.is_empty() { Ok(Self { allow, percent: self.percent }) } else { Err(errors) }
    }

    /// Whether a normalized username is on the allow list.
    pub fn lists(&self, username_key: &str) -> bool {
        self.allow.as_ref().is_some_and(|list| list.iter().any(|key| key == username_key))
    }
}

/// Names no usernames.
impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.allow.as_ref().map(Vec::len), self.percent) {
            (None, None) => f.write_str("all users"),
            (Some(listed), None) => write!(f, "{listed} listed username(s)"),
            (None, Some(percent)) => write!(f, "{percent} % of usernames"),
            (Some(listed), Some(percent)) => write!(f, "{listed} listed username(s) and {percent} % of usernames"),
        }
    }
}

/// Only from an object: a derived implementation also takes an array of the fields' values.
impl<'de> Deserialize<'de> for Rollout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, DeriveDeserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Fields {
            allow: Option<Vec<String>>,
            percent: Option<u8>,
        }

        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Fields, A::Error> {
                Fields::deserialize(MapAccessDeserializer::new(fields))
            }
        }

        let Fields { allow, percent } = deserializer.deserialize_map(ObjectVisitor)?;
        Ok(Self { allow, percent })
    }
}
