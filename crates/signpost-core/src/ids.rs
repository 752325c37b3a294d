//! Record ids: UUID version 7 (RFC 9562), stored as text.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Random, Timestamp};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(from = "String")]
        pub struct $name(String);

        /// UUIDs are case-insensitive on input (RFC 9562, section 4).
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.to_ascii_lowercase())
            }
        }

        impl $name {
            /// Later ids sort after earlier ones.
            pub fn new(now: Timestamp, random: &Random) -> Self {
                Self(uuid_v7(now, random))
            }

            pub fn from_stored(text: String) -> Self {
                Self(text)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    BillerId
}
id! {
    UserId
}

/// A UUID version 7: 48 bits of time in milliseconds, the rest random.
pub fn uuid_v7(now: Timestamp, random: &Random) -> String {
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random.bytes()).into_uuid().to_string()
}
