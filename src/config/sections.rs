//! The sections of the settings. The comments of fields and variants, their examples and defaults are the text of the
//! configuration reference, of `signpost.example.toml` and of the JSON schema: see `reference`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use super::checks::AddressPolicy;
use super::duration;
use super::listen::{ListenAddress, SocketMode};
use super::schema::{AddressAndPort, DirectoryDown, Network, TextPerLanguage};
use super::secret::{MASK, Secret};
use signpost_core::decision::{DirectoryPolicy, KillSwitchState};
use signpost_core::{KeyRing, LocalizedText, Random, Slug, Timestamp};

/// The settings of Signpost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
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
    pub traces: Traces,
}

/// The listeners of the gateway.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Server {
    /// Listen address and port, or a Unix socket as "unix:/run/signpost/http.sock". Without tls_certificate, Signpost speaks plain
    /// HTTP: run it behind a proxy that terminates TLS.
    pub listen: ListenAddress,
    /// The permissions of the Unix socket, in octal digits. Who may connect to it is trusted like trusted_proxies.
    pub unix_socket_mode: SocketMode,
    /// The public URL that customers use: scheme, host and port only. Links, cookies and redirect URIs use it.
    #[schemars(example = "https://login.example-pay.example")]
    pub public_url: Url,
    /// Proxies that report the client's address: IP addresses and networks.
    #[serde(deserialize_with = "deserialize_networks")]
    #[schemars(with = "Vec<Network>", example = ["10.0.0.0/8", "192.0.2.7"])]
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they report it. The other header is not read, because a client can write it.
    pub client_address_header: ClientAddressHeader,
    /// Whether every connection begins with a header of the PROXY protocol, version 1 or 2, that names the client. Only
    /// trusted_proxies may connect then.
    pub proxy_protocol: bool,
    /// Connections that are served at a time. The next ones wait until one is closed.
    pub max_connections: usize,
    /// Requests that are worked on at a time. The next ones wait up to a second and get 503 with Retry-After then.
    pub max_requests: usize,
    /// Where probes (/livez, /readyz), Prometheus (/metrics) and `signpost reload` are answered, for any Host. Keep it off
    /// the public network.
    #[schemars(with = "AddressAndPort")]
    pub management_listen: SocketAddr,
    /// How long /readyz answers 503 at a shutdown before connections are refused: give load balancers time to notice.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Seconds")]
    pub shutdown_delay_seconds: u64,
    /// How long running requests may take to finish at a shutdown.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Seconds")]
    pub drain_seconds: u64,
    /// PEM file of the server's certificate, followed by the intermediate ones. With it, customers' connections use TLS 1.2 or 1.3
    /// with HTTP/2 or HTTP/1.1, and public_url must be https. A file that changes is served within a second.
    #[schemars(example = "/etc/signpost/tls/fullchain.pem")]
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of the certificate's private key, without a passphrase.
    #[schemars(example = "/etc/signpost/tls/privkey.pem")]
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
            listen: ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 8080))),
            unix_socket_mode: SocketMode::default(),
            public_url: Url::parse("http://localhost:8080").expect("a constant address"),
            trusted_proxies: Vec::new(),
            client_address_header: ClientAddressHeader::XForwardedFor,
            proxy_protocol: false,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAddressHeader {
    /// One address per proxy.
    XForwardedFor,
    /// As in RFC 7239.
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

/// The database.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Database {
    /// sqlite:PATH, or postgres://user:password@host/name to run several instances. A missing SQLite file is created.
    #[serde(serialize_with = "serialize_database_url")]
    pub url: Secret,
    /// Connections for reads.
    pub connections: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: Secret::Inline("sqlite:signpost.db".to_owned().into()), connections: 16 }
    }
}

/// Masks the password.
fn serialize_database_url<S: Serializer>(url: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    match url {
        Secret::Inline(text) => serializer.serialize_str(&without_password(text.expose_secret())),
        reference => reference.serialize(serializer),
    }
}

/// Masks passwords: in front of the host, and in parameters such as `sslpassword`.
fn without_password(text: &str) -> String {
    if text.starts_with("sqlite:") {
        return text.to_owned();
    }
    let Ok(mut url) = Url::parse(text) else { return MASK.to_owned() };
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    if url.query().is_some() {
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let masked =
            pairs.iter().map(|(name, value)| (name, if name.contains("password") { MASK } else { value.as_str() }));
        url.query_pairs_mut().clear().extend_pairs(masked);
    }
    url.into()
}

/// The key ring.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Secrets {
    /// A key is 32 random bytes in base64; `signpost secrets create` makes a file with one. The first key seals, all keys open.
    /// Each text has one key per line, and a comment begins with `#`.
    #[schemars(example = [serde_json::json!({ "file": "signpost.key" })])]
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

/// The legacy portal.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Legacy {
    /// The legacy login page. It receives a handoff as ?token= and redeems it by POST /api/v1/handoffs/redeem.
    #[schemars(example = "https://classic.example-pay.example/login")]
    pub login_url: Option<Url>,
    /// Use this instead of login_url if the legacy portal cannot redeem handoffs: a URL with {username}, {locale} and
    /// {return_to}.
    #[schemars(example = "https://classic.example-pay.example/login?user={username}&lang={locale}&next={return_to}")]
    pub login_template: Option<String>,
    /// The legacy password reset page. Without it, users get the recovery page.
    #[schemars(example = "https://classic.example-pay.example/reset")]
    pub reset_url: Option<Url>,
    /// How long a handoff is valid, 1 to 3600 seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Seconds")]
    pub handoff_seconds: u64,
}

impl Default for Legacy {
    fn default() -> Self {
        Self { login_url: None, login_template: None, reset_url: None, handoff_seconds: 120 }
    }
}

/// The portal of signed-in customers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Portal {
    /// The portal page that signed-in users are sent to. It receives a handoff as ?token=. A biller can override it
    /// (portal_url).
    #[schemars(example = "https://portal.example-pay.example/handoff")]
    pub handoff_url: Option<Url>,
    /// How long a handoff is valid, 1 to 3600 seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Seconds")]
    pub handoff_seconds: u64,
}

impl Default for Portal {
    fn default() -> Self {
        Self { handoff_url: None, handoff_seconds: 60 }
    }
}

/// Outages and the kill switch.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Routing {
    /// What to do while the directory is unavailable.
    #[schemars(with = "DirectoryDown")]
    pub directory_down: DirectoryPolicy,
    /// A local file with a kill switch, read on every request. While the file exists, it overrides all other kill switches,
    /// even if the database is unavailable. `signpost kill-switch` sets the kill switch of all instances.
    #[schemars(with = "Option<String>", example = "/run/signpost/kill-switch")]
    pub kill_switch_file: Option<PathBuf>,
    /// What a kill switch file that cannot be understood stands for: off, all-legacy, hold or SLUG=legacy.
    #[serde(deserialize_with = "deserialize_kill_switch", serialize_with = "serialize_kill_switch")]
    #[schemars(with = "String")]
    pub invalid_kill_switch_file: KillSwitchState,
    /// The kill switch if neither of them is set: off, all-legacy, hold or SLUG=legacy.
    #[serde(deserialize_with = "deserialize_kill_switch", serialize_with = "serialize_kill_switch")]
    #[schemars(with = "String")]
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

fn serialize_kill_switch<S: Serializer>(setting: &KillSwitchState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(setting)
}

/// Where ?return_to= may lead.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct ReturnTo {
    /// Portal paths that ?return_to= accepts, with all paths below them.
    #[schemars(example = ["/bills"])]
    pub paths: Vec<String>,
    /// Short ids for portal paths.
    #[schemars(example = serde_json::json!({ "pay": "/bills/pay" }))]
    pub ids: BTreeMap<String, String>,
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

/// Old URLs of the legacy site. Each entry maps an exact path, or a path with one query parameter, to a biller.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
pub struct LegacyPath {
    /// The path. Case, and slashes at the end, do not matter.
    #[schemars(example = "/customer/login.aspx")]
    pub path: String,
    /// A query parameter as name=value.
    #[serde(default)]
    #[schemars(example = "biller=17")]
    pub query: Option<String>,
    /// Slug of the biller. Without it, the entry leads to the shared login page.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = "riverside-water")]
    pub biller: Option<Slug>,
    /// An id or a path of `[return_to]`.
    #[serde(default)]
    #[schemars(example = &"pay")]
    pub return_to: Option<String>,
}

/// Sessions of customers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Sessions {
    /// A session ends after this time without a request.
    #[serde(deserialize_with = "duration::minutes")]
    #[schemars(with = "duration::Minutes")]
    pub idle_minutes: u64,
    /// A session ends after this time in any case.
    #[serde(deserialize_with = "duration::hours")]
    #[schemars(with = "duration::Hours")]
    pub absolute_hours: u64,
    /// While the database is away, /auth/verify accepts sessions that this instance verified within this time: 0 to 600
    /// seconds. 0 switches it off.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Seconds")]
    pub verify_grace_seconds: u64,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { idle_minutes: 30, absolute_hours: 12, verify_grace_seconds: 60 }
    }
}

/// Rate limits.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Limits {
    /// Username lookups per client address. An IPv6 /64 counts as one address.
    pub lookups_per_address_per_minute: u32,
    /// Lookups of one username from one network. It does not apply to devices and networks that signed in with the username
    /// before.
    pub lookups_per_username_per_hour: u32,
    /// Simulations per API key and minute. `[console]` has the limits of staff.
    pub simulations_per_minute: u32,
    /// Simulations per API key and day.
    pub simulations_per_day: u32,
    /// Lookups of reference codes per API key and minute.
    pub decision_lookups_per_minute: u32,
    /// Do not limit clients on the same machine.
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

/// How long records are kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Audit {
    /// How long decisions can be looked up by reference code.
    #[serde(deserialize_with = "duration::days")]
    #[schemars(with = "duration::Days")]
    pub decision_retention_days: u64,
    /// How long audit events are kept.
    #[serde(deserialize_with = "duration::days")]
    #[schemars(with = "duration::Days")]
    pub event_retention_days: u64,
    /// How long the data of deleted users is kept before it is erased. docs/guides/personal-data.md describes what that means.
    #[serde(deserialize_with = "duration::days")]
    #[schemars(with = "duration::Days")]
    pub deleted_user_retention_days: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Self { decision_retention_days: 90, event_retention_days: 730, deleted_user_retention_days: 30 }
    }
}

/// Calls to identity providers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Oidc {
    /// Allow issuers that use http or run on the same machine. For trials only.
    pub allow_loopback_issuers: bool,
    /// Private networks (RFC 1918, RFC 6598, RFC 4193) that issuers, portals and SecureAuth may be in. A host name that
    /// resolves to another private address is not called. Link-local addresses and cloud metadata services are never called.
    #[serde(deserialize_with = "deserialize_networks")]
    #[schemars(with = "Vec<Network>", example = ["10.20.0.0/16"])]
    pub allow_private_networks: Vec<IpNet>,
    /// How long a call to an identity provider may take. Customers wait a second longer for the page that follows, and at least 4
    /// seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Seconds")]
    pub timeout_seconds: u64,
    /// How often failing issuers are checked.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Seconds")]
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
            timeout_seconds: 3,
            probe_seconds: 15,
        }
    }
}

/// SecureAuth's management API, which `signpost enable` uses to migrate billers. Its System and Admin workspaces must be
/// enabled. Without base_url it is off.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct SecureAuth {
    /// The URL of the management API; with paths = "server", of the System workspace.
    #[schemars(example = "https://tenant.us.connect.secureauth.com")]
    pub base_url: Option<Url>,
    /// The URL of the Admin workspace, with paths = "server".
    #[schemars(example = "https://admin.example.com")]
    pub admin_base_url: Option<Url>,
    /// The name of the tenant.
    #[schemars(example = &"tenant")]
    pub tenant: String,
    /// The form of its URLs.
    pub paths: PathMode,
    /// Where users are imported. The vendor's documents disagree.
    pub import_path: ImportPath,
    /// The client of the System workspace.
    #[schemars(example = "signpost-system")]
    pub system_client_id: String,
    /// Its secret.
    #[schemars(example = serde_json::json!({ "env": "SECUREAUTH_SYSTEM_SECRET" }))]
    pub system_client_secret: Option<Secret>,
    /// The client of the Admin workspace.
    #[schemars(example = "signpost-admin")]
    pub admin_client_id: String,
    /// Its secret.
    #[schemars(example = serde_json::json!({ "env": "SECUREAUTH_ADMIN_SECRET" }))]
    pub admin_client_secret: Option<Secret>,
    /// When another instance takes over the jobs of an instance that has stopped: 2 to 3600 seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Seconds")]
    pub lease_seconds: u64,
    /// How long a call of a job may take: 1 to 600 seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Seconds")]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportPath {
    /// `/api/identity/{tenant}/configuration`, as in the vendor's OpenAPI files.
    #[default]
    Tenant,
    /// `/api/identity/system/{tenant}/configuration`, as in the vendor's guides.
    System,
}

/// Email to customers: login links and forgotten usernames. Without a server, no page offers them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Mail {
    /// Host name of the SMTP server.
    #[schemars(example = "smtp.example-pay.example")]
    pub server: Option<String>,
    /// Port of the SMTP server. Without it, the usual port of the encryption.
    #[schemars(example = 587)]
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub tls: MailTls,
    /// User name at the SMTP server.
    #[schemars(example = &"signpost")]
    pub username: Option<String>,
    /// Password at the SMTP server. It requires encryption.
    #[schemars(example = serde_json::json!({ "env": "SMTP_PASSWORD" }))]
    pub password: Option<Secret>,
    /// The sender.
    #[schemars(example = "Example Pay <no-reply@example-pay.example>")]
    pub from: String,
    /// Emails per recipient and hour.
    pub per_address_per_hour: u32,
    /// Requests for emails and password resets per client address and hour.
    pub per_client_per_hour: u32,
    /// When Signpost stops retrying to send an email.
    #[serde(deserialize_with = "duration::hours")]
    #[schemars(with = "duration::Hours")]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// Implicit TLS, usually on port 465.
    Tls,
    /// STARTTLS is required, usually on port 587.
    #[default]
    Starttls,
    /// Plaintext, usually on port 25, for a server on the same machine.
    None,
}

/// Support contacts on customer pages.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Help {
    /// The name of the company.
    pub company: String,
    /// A telephone number.
    #[schemars(example = "+1 555 010 0100")]
    pub phone: Option<String>,
    /// An email address.
    #[schemars(example = "help@example-pay.example")]
    pub email: Option<String>,
    /// Opening hours, as a text or one per language.
    #[schemars(with = "Option<TextPerLanguage>", example = "Monday to Friday, 8 am to 6 pm")]
    pub hours: Option<LocalizedText>,
}

impl Default for Help {
    fn default() -> Self {
        Self { company: "Example Pay".to_owned(), phone: None, email: None, hours: None }
    }
}

/// Whom security researchers may contact: /.well-known/security.txt (RFC 9116).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct SecurityTxt {
    /// mailto:, tel: or https: addresses, the preferred one first. Without a contact the file is off.
    #[schemars(example = ["mailto:security@example-pay.example", "https://example-pay.example/security"])]
    pub contact: Vec<Url>,
    /// When the file is no longer trustworthy (RFC 3339). Required; renew it within a year.
    #[serde(deserialize_with = "deserialize_time", serialize_with = "serialize_time")]
    #[schemars(with = "Option<String>", example = "2027-12-31T00:00:00Z")]
    pub expires: Option<Timestamp>,
    /// The policy for reports.
    #[schemars(example = "https://example-pay.example/security/policy")]
    pub policy: Option<Url>,
    /// The key for encrypted reports.
    #[schemars(example = "https://example-pay.example/security/pgp-key.txt")]
    pub encryption: Option<Url>,
    /// Languages of reports.
    #[schemars(example = ["en", "es"])]
    pub preferred_languages: Vec<String>,
}

fn deserialize_time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = Timestamp::parse_rfc3339(&text);
    let problem = || serde::de::Error::custom(format!("{text:?} is not a time such as \"2027-12-31T00:00:00Z\""));
    time.map(Some).ok_or_else(problem)
}

fn serialize_time<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(serializer)
}

/// The console for staff, on its own listener. Staff sign in at their own identity provider.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Console {
    /// Listen address and port. Without it the console is off.
    #[schemars(with = "Option<AddressAndPort>", example = "127.0.0.1:8084")]
    pub listen: Option<SocketAddr>,
    /// The URL that staff use: scheme, host and port only. Register its path /callback at the provider as the redirect URI.
    #[schemars(example = "https://console.example-pay.example")]
    pub public_url: Option<Url>,
    /// The issuer of the identity provider of staff.
    #[schemars(example = "https://staff.example-pay.example")]
    pub issuer: String,
    /// The client at the provider.
    #[schemars(example = "signpost-console")]
    pub client_id: String,
    /// Its secret.
    #[schemars(example = serde_json::json!({ "env": "CONSOLE_CLIENT_SECRET" }))]
    pub client_secret: Option<Secret>,
    /// Scopes in addition to openid.
    pub scopes: Vec<String>,
    /// The claim of the ID token with a person's name.
    pub name_claim: String,
    /// The claim of the ID token with a person's roles: a text or a list of texts.
    pub role_claim: String,
    /// Which values of the role claim grant which role. Support runs simulations and looks decisions up, operators change
    /// billers, auditors read everything.
    pub roles: StaffRoles,
    /// A session ends after this time without a request.
    #[serde(deserialize_with = "duration::minutes")]
    #[schemars(with = "duration::Minutes")]
    pub idle_minutes: u64,
    /// A session ends after this time in any case.
    #[serde(deserialize_with = "duration::hours")]
    #[schemars(with = "duration::Hours")]
    pub absolute_hours: u64,
    /// Simulations and lookups per person and minute.
    pub lookups_per_minute: u32,
    /// Simulations and lookups per person and day.
    pub lookups_per_day: u32,
}

/// Values of the role claim, by role.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StaffRoles {
    /// Values that grant the role of support.
    pub support: Vec<String>,
    /// Values that grant the role of an operator.
    pub operator: Vec<String>,
    /// Values that grant the role of an auditor.
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

/// Logs on standard output.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Log {
    /// The format of a line.
    pub format: LogFormat,
    /// Which lines are logged, in the syntax of the `tracing` crate: a level, or levels by target.
    #[schemars(example = "info,signpost::login=debug")]
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Traces for OpenTelemetry, exported over OTLP/HTTP with protobuf. Without endpoint they are off. Variables of OpenTelemetry (OTEL_*) are not
/// read.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Traces {
    /// Where the collector takes traces: its address with the path, usually /v1/traces on port 4318.
    #[schemars(example = "http://127.0.0.1:4318/v1/traces")]
    pub endpoint: Option<Url>,
    /// The share of requests and background tasks that are traced, 0 to 1. If a trusted proxy sends a traceparent, its flag decides
    /// instead.
    pub sample_ratio: f64,
    /// Headers of the calls to the collector. Each value is a secret.
    #[schemars(example = serde_json::json!({ "authorization": { "file": "/etc/signpost/collector-token" } }))]
    pub headers: BTreeMap<String, Secret>,
    /// The name of this environment: the attribute deployment.environment.name.
    #[schemars(example = &"production")]
    pub environment: Option<String>,
}

impl Traces {
    /// Reads the values of the headers. The error names the setting.
    pub fn revealed_headers(&self) -> Result<HeaderMap, String> {
        let reveal = |(name, value): (&String, &Secret)| {
            let setting = || format!("traces.headers.{name}");
            let header = HeaderName::try_from(name);
            let header =
                header.map_err(|_| format!("{}: is not the name of a header such as \"authorization\"", setting()))?;
            let value = value.reveal().map_err(|problem| format!("{}: {problem}", setting()))?;
            let value = HeaderValue::try_from(value.expose_secret());
            let mut value =
                value.map_err(|_| format!("{}: the value has characters that no header can have", setting()))?;
            value.set_sensitive(true);
            Ok((header, value))
        };
        self.headers.iter().map(reveal).collect()
    }
}

impl Default for Traces {
    fn default() -> Self {
        Self { endpoint: None, sample_ratio: 0.1, headers: BTreeMap::new(), environment: None }
    }
}
