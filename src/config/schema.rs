//! Schemas of the types that no derive describes.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::secret::Secret;
use signpost_core::Locale;

/// The title names the type in the reference.
macro_rules! described {
    ($(#[$doc:meta])* $name:ident, $schema:expr) => {
        $(#[$doc])*
        pub(super) struct $name;
        described!(impl $name, $schema);
    };
    (impl $name:ty, $schema:expr) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

described!(AddressAndPort, json_schema!({ "title": "IP address and port", "type": "string" }));
described!(Network, json_schema!({ "title": "network", "type": "string" }));
described!(
    DirectoryDown,
    json_schema!({ "oneOf": [
        { "const": "legacy", "description": "Everyone goes to the legacy login.", "type": "string" },
        { "const": "hold", "description": "Everyone gets the outage page.", "type": "string" },
    ] })
);
described!(
    TextPerLanguage,
    json_schema!({ "title": "text, or a table with a text per language", "anyOf": [
        { "type": "string" },
        { "type": "object", "propertyNames": { "enum": Locale::ALL.map(Locale::tag) }, "additionalProperties": { "type": "string" } },
    ] })
);
described!(
    impl Secret,
    json_schema!({ "title": "secret", "anyOf": [
        { "type": "string" },
        { "type": "object", "properties": { "file": { "type": "string" } }, "required": ["file"], "additionalProperties": false },
        { "type": "object", "properties": { "env": { "type": "string" } }, "required": ["env"], "additionalProperties": false },
    ] })
);
