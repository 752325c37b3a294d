//! Where the public listener accepts connections.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What an address looks like, in words for operators.
pub(super) const ADDRESS_FORM: &str = "an IP address and a port such as \"127.0.0.1:8080\", or a Unix socket such as \
                                       \"unix:/run/signpost/http.sock\" (an absolute path of at most 95 bytes)";
pub(super) const MODE_FORM: &str = "permissions in octal digits in quotes, from \"0600\" to \"0777\", such as \"0660\"";

/// A socket address has room for 107 bytes (unix(7)). The name that a socket has until its permissions are set is longer than this.
const MAX_PATH_BYTES: usize = 95;

/// An address of the public listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    Tcp(SocketAddr),
    /// The absolute path of a Unix socket, written with `unix:` before it.
    Unix(PathBuf),
}

impl ListenAddress {
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("unix:") {
            Some(path) => {
                let is_valid = path.starts_with('/') && path.len() <= MAX_PATH_BYTES && !path.contains('\0');
                is_valid.then(|| Self::Unix(path.into()))
            }
            None => text.parse().ok().map(Self::Tcp),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer).ok();
        text.and_then(|text| Self::parse(&text)).ok_or_else(|| D::Error::custom(format!("expected {ADDRESS_FORM}")))
    }
}

impl Serialize for ListenAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for ListenAddress {
    fn schema_name() -> Cow<'static, str> {
        "ListenAddress".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "title": "IP address and port, or unix:PATH", "type": "string" })
    }
}

/// Permissions of a Unix socket. Who may write to it may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketMode(u32);

impl SocketMode {
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl Default for SocketMode {
    fn default() -> Self {
        Self(0o660)
    }
}

impl<'de> Deserialize<'de> for SocketMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer).ok();
        let bits =
            text.and_then(|text| u32::from_str_radix(&text, 8).ok()).filter(|bits| (0o600..=0o777).contains(bits));
        bits.map(Self).ok_or_else(|| D::Error::custom(format!("expected {MODE_FORM}")))
    }
}

impl Serialize for SocketMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:04o}", self.0))
    }
}

impl JsonSchema for SocketMode {
    fn schema_name() -> Cow<'static, str> {
        "SocketMode".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "title": "octal permissions", "type": "string", "pattern": "^0?[67][0-7]{2}$" })
    }
}
