//! The sections of the settings. `signpost.example.toml` describes every field.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::Url;

use super::checks::AddressPolicy;
use super::secret::Secret;
use signpost_core::decision::{DirectoryPolicy, KillSwitchState};
use signpost_core::{KeyRing, LocalizedText, Random, Slug, Timestamp};

#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub server: Server,
    pub database: Database,
    pub secrets: Secrets,
    pub legacy: Legacy,
    pub portal: Portal,
    pub routing: Routing,
    pub return_to: ReturnTo,
    pub legacy_paths: Vec<LegacyPath>,
    pub sessions: Sessions,
    pub limits: Limits,
    pub audit: Audit,
    pub oidc: Oidc,
    pub secureauth: SecureAuth,
    pub mail: Mail,
    pub help: Help,
    pub security_txt: SecurityTxt,
    pub console: Console,
    pub log: Log,
}

/// `[server]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Server {
    pub listen: SocketAddr,
    /// Scheme, host and port only.
    pub public_url: Url,
    /// Their report of the client's address is trusted.
    #[serde(deserialize_with = "deserialize_networks")]
    pub trusted_proxies: Vec<IpNet>,
    pub client_address_header: ClientAddressHeader,
    /// Connections that are served at a time. The next ones wait until one is closed.
    pub max_connections: usize,
    /// Requests that are worked on at a time. The next ones wait up to a second and get 503 with Retry-After then.
    pub max_requests: usize,
    /// Probes and metrics. Never the address of customers.
    pub management_listen: SocketAddr,
    pub shutdown_delay_seconds: u64,
    pub drain_seconds: u64,
    /// PEM file with the server's certificate and the intermediate ones. With it, the public listener speaks TLS; without it, plain
    /// HTTP.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file with the private key of `tls_certificate`.
    pub tls_key: Option<PathBuf>,
}

/// The files of the public listener's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Server {
    /// `None`: the public listener speaks plain HTTP.
    pub fn tls_files(&self) -> Option<TlsFiles> {
        let (certificate, key) = self.tls_certificate.clone().zip(self.tls_key.clone())?;
        Some(TlsFiles { certificate, key })
    }
}

impl Default for Server {
    #[expect(clippy::expect_used, reason = "a constant address")]
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: Url::parse("http://localhost:8080").expect("a constant address"),
            trusted_proxies: Vec::new(),
            client_address_header: ClientAddressHeader::XForwardedFor,
            max_connections: 10_000,
            max_requests: 2000,
            management_listen: SocketAddr::from(([127, 0, 0, 1], 8086)),
            shutdown_delay_seconds: 0,
            drain_seconds: 10,
            tls_certificate: None,
            tls_key: None,
        }
    }
}

/// The header in which trusted proxies report the client's address. Only one is read: a client can write the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAddressHeader {
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

impl ClientAddressHeader {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// Networks, and single addresses.
fn deserialize_networks<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parse = |text: String| {
        let network = text.trim().parse().or_else(|_| text.trim().parse::<IpAddr>().map(IpNet::from));
        network.map_err(|_| {
            serde::de::Error::custom(format!(
                "{text:?} is neither an IP address such as \"10.0.0.7\" nor a network such as \"10.0.0.0/8\""
            ))
        })
    };
    texts.into_iter().map(parse).collect()
}

/// `[database]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Database {
    /// `sqlite:PATH` or `postgres://…`; a secret, because it may contain a password.
    pub url: Secret,
    pub connections: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: Secret::Inline("sqlite:signpost.db".to_owned().into()), connections: 8 }
    }
}

/// `[secrets]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Secrets {
    /// The first key seals, all keys open. Each text has one key per line; a comment begins with `#`.
    pub keys: Vec<Secret>,
}

impl Secrets {
    /// Reads the keys anew: their files may have changed.
    pub fn key_ring(&self, random: &Random) -> Result<KeyRing, String> {
        let texts = self.keys.iter().map(Secret::reveal).collect::<Result<Vec<_>, _>>()?;
        let lines = texts.iter().flat_map(|text| text.expose_secret().lines());
        let keys = lines.map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|key| !key.is_empty());
        KeyRing::from_base64(keys, random.clone()).map_err(|error| error.to_string())
    }
}

/// `[legacy]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Legacy {
    pub login_url: Option<Url>,
    /// For a legacy portal that cannot redeem handoffs: a URL with `{username}`, `{locale}` and `{return_to}`.
    pub login_template: Option<String>,
    pub reset_url: Option<Url>,
    pub handoff_seconds: Option<u64>,
}

/// `[portal]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Portal {
    pub handoff_url: Option<Url>,
    pub handoff_seconds: Option<u64>,
}

/// `[routing]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Routing {
    pub directory_down: DirectoryPolicy,
    /// While this file exists, it overrides every other kill switch.
    pub kill_switch_file: Option<PathBuf>,
    /// What a kill switch file that cannot be understood stands for.
    #[serde(deserialize_with = "deserialize_kill_switch")]
    pub invalid_kill_switch_file: KillSwitchState,
    #[serde(deserialize_with = "deserialize_kill_switch")]
    pub kill_switch: KillSwitchState,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            directory_down: DirectoryPolicy::default(),
            kill_switch_file: None,
            invalid_kill_switch_file: KillSwitchState::Hold,
            kill_switch: KillSwitchState::default(),
        }
    }
}

fn deserialize_kill_switch<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<KillSwitchState, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// `[return_to]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ReturnTo {
    pub ids: BTreeMap<String, String>,
    pub paths: Vec<String>,
}

impl ReturnTo {
    /// The portal path of an id or an allowed path. `None` for anything else, such as a full URL. A query of plain characters
    /// stays; another query or a fragment is dropped.
    pub fn resolve(&self, requested: &str) -> Option<String> {
        let (target, _) = requested.split_once('#').unwrap_or((requested, ""));
        let (target, query) = target.split_once('?').unwrap_or((target, ""));
        let allowed = |prefix: &String| {
            target == prefix || target.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        let path = match self.ids.get(target) {
            Some(path) => path.clone(),
            None if is_plain_path(target) && self.paths.iter().any(allowed) => target.to_owned(),
            None => return None,
        };
        Some(if is_plain_query(query) { format!("{path}?{query}") } else { path })
    }
}

/// Whether a query has only characters that cannot name another host or path.
fn is_plain_query(query: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~=&+,".contains(&b);
    (1..=200).contains(&query.len()) && query.bytes().all(is_plain)
}

/// Whether a path is absolute, has letters, digits and `/-_.~` only, and has no empty or dot segments.
pub(super) fn is_plain_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= 200
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b))
        && !path.split('/').skip(1).any(|part| matches!(part, "." | ".."))
        && !path.contains("//")
}

/// `[[legacy_paths]]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct LegacyPath {
    /// Compared without regard to case and to slashes at the end.
    pub path: String,
    /// A query parameter as `name=value`.
    #[serde(default)]
    pub query: Option<String>,
    /// `None` leads to the shared login page.
    #[serde(default)]
    pub biller: Option<Slug>,
    /// An id or a path.
    #[serde(default)]
    pub return_to: Option<String>,
}

/// `[sessions]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Sessions {
    pub idle_minutes: u64,
    pub absolute_hours: u64,
    /// 0 switches it off.
    pub verify_grace_seconds: u64,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { idle_minutes: 30, absolute_hours: 12, verify_grace_seconds: 60 }
    }
}

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// For IPv6, the limit applies to each /64.
    pub lookups_per_address_per_minute: u32,
    pub lookups_per_username_per_hour: u32,
    pub simulations_per_minute: u32,
    pub simulations_per_day: u32,
    pub decision_lookups_per_minute: u32,
    pub exempt_loopback: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lookups_per_address_per_minute: 60,
            lookups_per_username_per_hour: 10,
            simulations_per_minute: 60,
            simulations_per_day: 300,
            decision_lookups_per_minute: 30,
            exempt_loopback: false,
        }
    }
}

/// `[audit]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Audit {
    pub decision_retention_days: u64,
    pub event_retention_days: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Self { decision_retention_days: 90, event_retention_days: 730 }
    }
}

/// `[oidc]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Oidc {
    pub allow_loopback_issuers: bool,
    /// Private networks that issuers, portals and SecureAuth may be in.
    #[serde(deserialize_with = "deserialize_networks")]
    pub allow_private_networks: Vec<IpNet>,
    pub timeout_seconds: u64,
    pub probe_seconds: u64,
}

impl Oidc {
    pub fn address_policy(&self) -> AddressPolicy {
        AddressPolicy {
            allow_loopback: self.allow_loopback_issuers,
            private_networks: self.allow_private_networks.clone(),
        }
    }
}

impl Default for Oidc {
    fn default() -> Self {
        Self {
            allow_loopback_issuers: false,
            allow_private_networks: Vec::new(),
            timeout_seconds: 5,
            probe_seconds: 15,
        }
    }
}

/// `[secureauth]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct SecureAuth {
    pub base_url: Option<Url>,
    pub admin_base_url: Option<Url>,
    pub tenant: String,
    pub paths: PathMode,
    pub import_path: ImportPath,
    pub system_client_id: String,
    pub system_client_secret: Option<Secret>,
    pub admin_client_id: String,
    pub admin_client_secret: Option<Secret>,
    pub lease_seconds: u64,
    pub timeout_seconds: u64,
}

impl Default for SecureAuth {
    fn default() -> Self {
        Self {
            base_url: None,
            admin_base_url: None,
            tenant: String::new(),
            paths: PathMode::Default,
            import_path: ImportPath::Tenant,
            system_client_id: String::new(),
            system_client_secret: None,
            admin_client_id: String::new(),
            admin_client_secret: None,
            lease_seconds: 30,
            timeout_seconds: 30,
        }
    }
}

/// Which form the URLs of SecureAuth's management API have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathMode {
    /// Every path contains the tenant.
    #[default]
    Default,
    /// The host implies the tenant.
    Tenant,
    /// The host implies the tenant and the workspace: `base_url` for the System workspace,
    /// `admin_base_url` for the Admin workspace.
    Server,
}

/// Where users are imported. The vendor's documents disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportPath {
    /// `/api/identity/{tenant}/configuration`, as in the vendor's OpenAPI files.
    #[default]
    Tenant,
    /// `/api/identity/system/{tenant}/configuration`, as in the vendor's guides.
    System,
}

/// `[mail]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Mail {
    pub server: Option<String>,
    pub port: Option<u16>,
    pub tls: MailTls,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub from: String,
    pub per_address_per_hour: u32,
    pub per_client_per_hour: u32,
    pub max_retry_hours: u64,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            server: None,
            port: None,
            tls: MailTls::Starttls,
            username: None,
            password: None,
            from: String::new(),
            per_address_per_hour: 3,
            per_client_per_hour: 20,
            max_retry_hours: 24,
        }
    }
}

/// How the connection to the SMTP server is encrypted (RFC 8314, RFC 3207).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// Implicit TLS, usually on port 465.
    Tls,
    /// STARTTLS is required; usually on port 587.
    #[default]
    Starttls,
    /// Plaintext, usually on port 25, for a server on the same machine.
    None,
}

/// `[help]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Help {
    pub company: String,
    pub phone: Option<String>,
    pub email: Option<String>,
    pub hours: Option<LocalizedText>,
}

impl Default for Help {
    fn default() -> Self {
        Self { company: "Example Pay".to_owned(), phone: None, email: None, hours: None }
    }
}

/// `[security_txt]` (RFC 9116)
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SecurityTxt {
    /// Without a contact the file is off.
    pub contact: Vec<Url>,
    #[serde(deserialize_with = "deserialize_time")]
    pub expires: Option<Timestamp>,
    pub policy: Option<Url>,
    pub encryption: Option<Url>,
    pub preferred_languages: Vec<String>,
}

fn deserialize_time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = Timestamp::parse_rfc3339(&text);
    let problem = || serde::de::Error::custom(format!("{text:?} is not a time such as \"2027-12-31T00:00:00Z\""));
    time.map(Some).ok_or_else(problem)
}

/// `[console]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Console {
    pub listen: Option<SocketAddr>,
    pub public_url: Option<Url>,
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Option<Secret>,
    pub scopes: Vec<String>,
    pub name_claim: String,
    /// The claim has a text or a list of texts, which `roles` maps.
    pub role_claim: String,
    pub roles: StaffRoles,
    pub idle_minutes: u64,
    pub absolute_hours: u64,
    pub lookups_per_minute: u32,
    pub lookups_per_day: u32,
}

/// Values of the role claim, by role.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StaffRoles {
    pub support: Vec<String>,
    pub operator: Vec<String>,
    pub auditor: Vec<String>,
}

impl Default for StaffRoles {
    fn default() -> Self {
        let named = |role: &str| vec![role.to_owned()];
        Self { support: named("support"), operator: named("operator"), auditor: named("auditor") }
    }
}

impl Default for Console {
    fn default() -> Self {
        Self {
            listen: None,
            public_url: None,
            issuer: String::new(),
            client_id: String::new(),
            client_secret: None,
            scopes: vec!["profile".to_owned()],
            name_claim: "preferred_username".to_owned(),
            role_claim: "roles".to_owned(),
            roles: StaffRoles::default(),
            idle_minutes: 15,
            absolute_hours: 8,
            lookups_per_minute: 30,
            lookups_per_day: 300,
        }
    }
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Log {
    pub format: LogFormat,
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}
