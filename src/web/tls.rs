//! The certificate of the public listener: read from its files, checked, and replaced while connections go on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};
use tokio_rustls::TlsAcceptor;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::config::{Server, TlsFiles};
use signpost_core::Timestamp;
use signpost_core::text::sha256;

pub(super) const H2: &[u8] = b"h2";

/// Why a certificate cannot be served, with the next step.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("server.{setting}: {} cannot be read: {error}; name a file that the user of the process may read", path.display())]
    Unreadable { setting: &'static str, path: PathBuf, error: std::io::Error },
    #[error("server.{setting}: {} is not valid PEM: {error}", path.display())]
    NotPem { setting: &'static str, path: PathBuf, error: pem::Error },
    #[error(
        "server.tls_certificate: {} contains no certificate; expected PEM with \"-----BEGIN CERTIFICATE-----\": the server's \
         certificate first, then the intermediate ones",
        .0.display()
    )]
    NoCertificate(PathBuf),
    #[error(
        "server.tls_key: {} contains no private key; expected PEM with \"-----BEGIN PRIVATE KEY-----\", without a passphrase \
         (`openssl pkey` removes one)",
        .0.display()
    )]
    NoKey(PathBuf),
    #[error(
        "server.tls_key: the key in {} does not match the certificate in {}; name the key that the certificate was issued for, \
         and put the server's certificate before the intermediate ones",
        .0.key.display(), .0.certificate.display()
    )]
    Mismatch(TlsFiles),
    #[error(
        "server.tls_certificate: the certificate in {} and the key in {} cannot be used: {error}; have a new one issued",
        files.certificate.display(), files.key.display()
    )]
    Unusable { files: TlsFiles, error: rustls::Error },
}

/// A certificate with its key, ready for connections.
#[derive(Clone, Debug)]
pub struct Tls {
    files: TlsFiles,
    contents: Contents,
    config: Arc<ServerConfig>,
    expires: Option<Timestamp>,
}

impl Tls {
    /// `None`: the settings name no certificate.
    pub fn load(settings: &Server) -> Result<Option<Self>, TlsError> {
        let Some(files) = settings.tls_files() else { return Ok(None) };
        let pair = Pair::read(&files)?;
        Self::new(files, &pair).map(Some)
    }

    /// Reads the files again. `None`: they are the same as before.
    pub(super) fn renewed(&self) -> Result<Option<Self>, TlsError> {
        let pair = Pair::read(&self.files)?;
        if pair.contents() == self.contents {
            return Ok(None);
        }
        Self::new(self.files.clone(), &pair).map(Some)
    }

    fn new(files: TlsFiles, pair: &Pair) -> Result<Self, TlsError> {
        let not_pem = |setting, path: &Path, error| TlsError::NotPem { setting, path: path.to_owned(), error };
        let chain = CertificateDer::pem_slice_iter(&pair.certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| not_pem("tls_certificate", &files.certificate, error))?;
        let Some(own) = chain.first() else { return Err(TlsError::NoCertificate(files.certificate)) };
        let expires = expiry(own);
        let key = PrivateKeyDer::from_pem_slice(&pair.key).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::NoKey(files.key.clone()),
            error => not_pem("tls_key", &files.key, error),
        })?;
        let config = server_config(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch(files.clone()),
            error => TlsError::Unusable { files: files.clone(), error },
        })?;
        Ok(Self { files, contents: pair.contents(), config: Arc::new(config), expires })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// When the server's own certificate ends.
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// A sentence for the operator, if browsers do not accept the certificate any more.
    pub fn expiry_problem(&self, now: Timestamp) -> Option<String> {
        let expired = self.expires.filter(|expires| *expires <= now)?;
        let file = self.files.certificate.display();
        Some(format!(
            "server.tls_certificate: the certificate in {file} expired at {expired}; browsers refuse it. Replace the file"
        ))
    }

    pub(super) fn log_renewal(&self, now: Timestamp) {
        let expires = self.expires.map(tracing::field::display);
        tracing::info!(expires, "the certificate was replaced, because its files changed");
        if let Some(problem) = self.expiry_problem(now) {
            tracing::warn!("{problem}");
        }
    }
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

fn expiry(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let end = Certificate::from_der(certificate).ok()?.tbs_certificate().validity().not_after.to_unix_duration();
    i64::try_from(end.as_millis()).ok().map(Timestamp::from_millis)
}

/// What the two files contain.
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// Hashes of the two files.
type Contents = [String; 2];

impl Pair {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |setting, path: &Path| {
            std::fs::read(path).map_err(|error| TlsError::Unreadable { setting, path: path.to_owned(), error })
        };
        Ok(Self { certificate: read("tls_certificate", &files.certificate)?, key: read("tls_key", &files.key)? })
    }

    fn contents(&self) -> Contents {
        [&self.certificate, &self.key].map(|file| sha256(file))
    }
}
