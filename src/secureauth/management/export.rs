//! The export of a pool. SecureAuth exports the whole tenant: the export is streamed through a temporary file and filtered, so
//! that memory does not grow with the tenant.

use std::fmt;
use std::io::{self, BufReader, BufWriter, Seek, Write};
use std::time::Duration;

use http::{HeaderMap, header};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::client::{Management, Workspace};
use super::error::{CallError, Rejection};
use crate::secureauth::HttpClientError;
use crate::secureauth::http::bearer;

/// SecureAuth assembles the whole export before it responds.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Call(#[from] CallError),
    /// The response is not an export, or a file cannot be written.
    #[error("the export cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

impl Management {
    /// Writes the pool, its users, and their identifiers, addresses and password hashes as JSON, in the form of the import. Returns
    /// the number of users.
    ///
    /// # Errors
    /// After an error, the output is incomplete.
    pub async fn export_pool(&self, pool: &str, out: impl Write + Send + 'static) -> Result<u64, ExportError> {
        let mut file = tempfile::tempfile()?;
        let mut rejected_token = None;
        loop {
            self.download(&mut file, &mut rejected_token).await?;
            if rejected_token.is_none() {
                break;
            }
        }
        let pool = pool.to_owned();
        let filtering = tokio::task::spawn_blocking(move || filter(file, &pool, out));
        Ok(filtering.await.map_err(io::Error::other)??)
    }

    /// Downloads the export. Sets `rejected_token` if the token was rejected, for one retry.
    async fn download(
        &self,
        file: &mut std::fs::File,
        rejected_token: &mut Option<std::sync::Arc<str>>,
    ) -> Result<(), ExportError> {
        let token = self.token(Workspace::System, rejected_token.as_deref()).await?;
        let url = self.url(Workspace::System, &self.configuration_path());
        let authorization = bearer(&token).map_err(CallError::from)?;
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, authorization)]);
        file.rewind()?;
        file.set_len(0)?;
        let mut writer = BufWriter::new(&*file);
        let take = |chunk: &[u8]| writer.write_all(chunk).map_err(|_| HttpClientError::Rejected("response_not_stored"));
        let status = self.http.download(&url, headers, EXPORT_TIMEOUT, take).await.map_err(CallError::from)?;
        writer.flush()?;
        drop(writer);
        let rejection = Rejection::read(status, b"");
        *rejected_token = match status {
            200 => None,
            401 if rejected_token.is_none() => Some(token),
            401 => return Err(CallError::TokenRejected(rejection).into()),
            429 => return Err(CallError::Throttled.into()),
            500.. => return Err(CallError::OutcomeUnknown("server_error").into()),
            _ => return Err(CallError::Rejected(rejection).into()),
        };
        Ok(())
    }
}

fn filter(mut file: std::fs::File, pool: &str, out: impl Write) -> io::Result<u64> {
    file.rewind()?;
    let mut out = BufWriter::new(out);
    let mut filter = Filter { pool, out: &mut out, users: 0 };
    let mut reader = serde_json::Deserializer::from_reader(BufReader::new(file));
    (&mut filter).deserialize(&mut reader).and_then(|()| reader.end()).map_err(io::Error::from)?;
    let users = filter.users;
    out.flush()?;
    Ok(users)
}

/// Copies what belongs to the pool.
struct Filter<'f, W> {
    pool: &'f str,
    out: &'f mut W,
    users: u64,
}

impl<'de, W: Write> DeserializeSeed<'de> for &mut Filter<'_, W> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, W: Write> Visitor<'de> for &mut Filter<'_, W> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an export of a tenant")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let failed = |error: io::Error| serde::de::Error::custom(error);
        let mut before = "{";
        while let Some(name) = map.next_key::<String>()? {
            let owner = match name.as_str() {
                "pools" => "id",
                "users" | "user_identifiers" | "user_verifiable_addresses" | "user_credentials" => "user_pool_id",
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            write!(self.out, "{before}\n\"{name}\": [").map_err(failed)?;
            before = ",";
            let written = map.next_value_seed(EntryFilter { pool: self.pool, owner, out: &mut *self.out })?;
            write!(self.out, "]").map_err(failed)?;
            if name == "users" {
                self.users = written;
            }
        }
        writeln!(self.out, "{}\n}}", if before == "{" { "{" } else { "" }).map_err(failed)
    }
}

/// Copies the pool's entries of one list.
struct EntryFilter<'e, W> {
    pool: &'e str,
    /// The field with the pool's id.
    owner: &'static str,
    out: &'e mut W,
}

impl<'de, W: Write> DeserializeSeed<'de> for EntryFilter<'_, W> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, W: Write> Visitor<'de> for EntryFilter<'_, W> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<u64, A::Error> {
        let mut written = 0;
        while let Some(entry) = list.next_element::<Value>()? {
            if entry[self.owner] == self.pool {
                let comma = if written == 0 { "" } else { "," };
                write!(self.out, "{comma}\n{entry}").map_err(serde::de::Error::custom)?;
                written += 1;
            }
        }
        Ok(written)
    }
}
