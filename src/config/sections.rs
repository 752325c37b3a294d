//! The sections of the settings. Every field is described in `signpost.example.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::Url;

use super::Secret;
use signpost_core::decision::{DirectoryPolicy, KillSwitchState};
use signpost_core::{KeyRing, LocalizedText, Random, Slug};

/// All settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where Signpost listens and what it is called.
    pub server: Server,
    /// Where its data is.
    pub database: Database,
    /// The key ring.
    pub secrets: Secrets,
    /// The legacy portal.
    pub legacy: Legacy,
    /// The billers' portal.
    pub portal: Portal,
    /// Routing for bad days.
    pub routing: Routing,
    /// Where people may return to.
    pub return_to: ReturnTo,
    /// Old addresses and what they stand for.
    pub legacy_paths: Vec<LegacyPath>,
    /// How long people stay signed in.
    pub sessions: Sessions,
    /// Limits of the look-up.
    pub limits: Limits,
    /// How long what happened is kept.
    pub audit: Audit,
    /// Calls to identity providers.
    pub oidc: Oidc,
    /// SecureAuth's management API.
    pub secureauth: SecureAuth,
    /// Mails to customers.
    pub mail: Mail,
    /// Whom customers can ask.
    pub help: Help,
    /// Pages for staff.
    pub console: Console,
    /// Logs.
    pub log: Log,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Server {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// The address customers know: scheme, host and port only.
    pub public_url: Url,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// At most so many connections at once.
    pub max_connections: usize,
    /// Seconds given to running requests at a stop.
    pub drain_seconds: u64,
}

impl Default for Server {
    #[expect(clippy::expect_used, reason = "a constant address")]
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: Url::parse("http://localhost:8080").expect("a constant address"),
            trusted_proxies: Vec::new(),
            max_connections: 10_000,
            drain_seconds: 10,
        }
    }
}

/// `[database]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Database {
    /// `sqlite:PATH` or `postgres://…`; a secret, since it may hold a password.
    pub url: Secret,
    /// Connections for reading.
    pub connections: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: Secret::Inline("sqlite:signpost.db".to_owned().into()), connections: 8 }
    }
}

/// `[secrets]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Secrets {
    /// The key ring: the first key seals, all open. Each text holds a key a line; what follows a `#` is a note.
    pub keys: Vec<Secret>,
}

impl Secrets {
    /// The ring as it is now.
    ///
    /// # Errors
    /// A sentence that says what is wrong, without the key.
    pub fn key_ring(&self, random: &Random) -> Result<KeyRing, String> {
        let texts = self.keys.iter().map(Secret::reveal).collect::<Result<Vec<_>, _>>()?;
        let lines = texts.iter().flat_map(|text| text.expose_secret().lines());
        let keys = lines.map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|key| !key.is_empty());
        KeyRing::from_base64(keys, random.clone()).map_err(|error| error.to_string())
    }
}

/// `[legacy]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Legacy {
    /// The legacy login; the hand-off comes as `token`.
    pub login_url: Option<Url>,
    /// For a legacy portal that cannot redeem hand-offs: an address with `{username}`, `{locale}`, `{return_to}`.
    pub login_template: Option<String>,
    /// The legacy password reset; the hand-off comes as `token`.
    pub reset_url: Option<Url>,
    /// How long a hand-off may be under way, in seconds.
    pub handoff_seconds: Option<u64>,
}

/// `[portal]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Portal {
    /// Where signed-in people are taken; the hand-off comes as `token`. A biller may have its own.
    pub handoff_url: Option<Url>,
    /// How long a hand-off may be under way, in seconds.
    pub handoff_seconds: Option<u64>,
}

/// `[routing]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Routing {
    /// What to do while the directory cannot be read.
    pub directory_down: DirectoryPolicy,
    /// A file on this machine with the kill switch; while it is there, it counts before everything else.
    pub kill_switch_file: Option<PathBuf>,
    /// The kill switch, unless it is set by the file or for every instance.
    #[serde(deserialize_with = "deserialize_kill_switch")]
    pub kill_switch: KillSwitchState,
}

fn deserialize_kill_switch<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<KillSwitchState, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// `[return_to]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ReturnTo {
    /// Names that stand for a path of the portal.
    pub ids: BTreeMap<String, String>,
    /// Paths (and what lies below them) that may be asked for as they are.
    pub paths: Vec<String>,
}

impl ReturnTo {
    /// The portal path that an id or an allowed path stands for. Anything else (free addresses above all) is none.
    pub fn resolve(&self, requested: &str) -> Option<String> {
        if let Some(path) = self.ids.get(requested) {
            return Some(path.clone());
        }
        let allowed = |prefix: &String| {
            requested == prefix || requested.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        (is_plain_path(requested) && self.paths.iter().any(allowed)).then(|| requested.to_owned())
    }
}

/// A path of letters, digits and `/-_.~`, from the root, without empty or dot segments.
pub(super) fn is_plain_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= 200
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b))
        && !path.split('/').skip(1).any(|part| matches!(part, "." | ".."))
        && !path.contains("//")
}

/// One `[[legacy_paths]]`
#[derive(Clone, Debug, Deserialize)]
pub struct LegacyPath {
    /// The old path, exactly.
    pub path: String,
    /// A query parameter and its value, as `name=value`; without it the path alone decides.
    #[serde(default)]
    pub query: Option<String>,
    /// The biller it stands for; without one it is the shared entry.
    #[serde(default)]
    pub biller: Option<Slug>,
    /// A return target, by id or path.
    #[serde(default)]
    pub return_to: Option<String>,
}

/// `[sessions]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Sessions {
    /// A session ends after so many minutes without a request.
    pub idle_minutes: u64,
    /// A session ends after so many hours whatever happens.
    pub absolute_hours: u64,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { idle_minutes: 30, absolute_hours: 12 }
    }
}

/// `[limits]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Look-ups a minute for each client address (for IPv6 each /64).
    pub lookups_per_address_per_minute: u32,
    /// Look-ups an hour for each username.
    pub lookups_per_username_per_hour: u32,
    /// Simulations a minute for each API key.
    pub simulations_per_minute: u32,
    /// Simulations a day for each API key.
    pub simulations_per_day: u32,
    /// Look-ups of reference codes a minute for each API key.
    pub decision_lookups_per_minute: u32,
    /// No limits for clients on this machine.
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
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Audit {
    /// Days that decisions can be looked up by reference code.
    pub decision_retention_days: u64,
    /// Days that the audit trail is kept.
    pub event_retention_days: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Self { decision_retention_days: 90, event_retention_days: 730 }
    }
}

/// `[oidc]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Oidc {
    /// Issuers over http or on this machine; for trying out only.
    pub allow_loopback_issuers: bool,
    /// Seconds a call to an identity provider may take.
    pub timeout_seconds: u64,
    /// Seconds between checks of issuers that are down.
    pub probe_seconds: u64,
}

impl Default for Oidc {
    fn default() -> Self {
        Self { allow_loopback_issuers: false, timeout_seconds: 5, probe_seconds: 15 }
    }
}

/// `[secureauth]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct SecureAuth {
    /// Where its management API is; without it no biller can be enabled.
    pub base_url: Option<Url>,
    /// Where the Admin workspace is, if it has a host of its own.
    pub admin_base_url: Option<Url>,
    /// Tenant id.
    pub tenant: String,
    /// How its addresses are made.
    pub paths: PathMode,
    /// Where users are imported.
    pub import_path: ImportPath,
    /// Id of the client of the System workspace.
    pub system_client_id: String,
    /// Its secret.
    pub system_client_secret: Option<Secret>,
    /// Id of the client of the Admin workspace.
    pub admin_client_id: String,
    /// Its secret.
    pub admin_client_secret: Option<Secret>,
    /// Seconds until another instance takes over the job of one that has gone.
    pub lease_seconds: u64,
    /// Seconds that a call of a job waits for its answer. The vendor's figure for a hundred users is one.
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

/// How the addresses of SecureAuth's management API are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathMode {
    /// The tenant stands in every path.
    #[default]
    Default,
    /// The host stands for the tenant.
    Tenant,
    /// A host stands for the tenant and a workspace: the System workspace has `base_url`, the Admin workspace
    /// `admin_base_url`.
    Server,
}

/// Where users are imported: the vendor's documents disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportPath {
    /// `/api/identity/{tenant}/configuration`, as in its OpenAPI files.
    #[default]
    Tenant,
    /// `/api/identity/system/{tenant}/configuration`, as in its guides.
    System,
}

/// `[mail]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Mail {
    /// Host of the SMTP server; without it no mail is sent, and no page offers any.
    pub server: Option<String>,
    /// Its port, unless it is the usual one of `tls`.
    pub port: Option<u16>,
    /// How the connection is protected.
    pub tls: MailTls,
    /// Username there; none: without authentication.
    pub username: Option<String>,
    /// Password there.
    pub password: Option<Secret>,
    /// Who the mails are from, such as `Example Pay <no-reply@example-pay.example>`.
    pub from: String,
    /// Mails an hour to each address.
    pub per_address_per_hour: u32,
    /// Requests an hour, for mails and resets, by each client address (for IPv6 each /64).
    pub per_client_per_hour: u32,
    /// Hours until a mail that cannot be sent is given up.
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

/// How the connection to the SMTP server is protected (RFC 8314, RFC 3207).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// TLS from the first byte, usually at port 465.
    Tls,
    /// TLS by STARTTLS, or no mail; usually at port 587.
    #[default]
    Starttls,
    /// None; usually at port 25, for a server on this machine.
    None,
}

/// `[help]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Help {
    /// The company's name on pages.
    pub company: String,
    /// Telephone number of support.
    pub phone: Option<String>,
    /// Mail address of support.
    pub email: Option<String>,
    /// When support answers, in words.
    pub hours: Option<LocalizedText>,
}

impl Default for Help {
    fn default() -> Self {
        Self { company: "Example Pay".to_owned(), phone: None, email: None, hours: None }
    }
}

/// `[console]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Console {
    /// Address and port of its own to listen on; without it there is no console.
    pub listen: Option<SocketAddr>,
    /// The address staff know: scheme, host and port only.
    pub public_url: Option<Url>,
    /// The issuer where staff sign in.
    pub issuer: String,
    /// Client id there.
    pub client_id: String,
    /// Client secret there.
    pub client_secret: Option<Secret>,
    /// Scopes asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim that names a person for people.
    pub name_claim: String,
    /// The claim that holds what `roles` maps: a text, or a list of texts.
    pub role_claim: String,
    /// Which values of that claim give which role.
    pub roles: StaffRoles,
    /// A session ends after so many minutes without a request.
    pub idle_minutes: u64,
    /// A session ends after so many hours whatever happens.
    pub absolute_hours: u64,
    /// Simulations and look-ups a minute for each person.
    pub lookups_per_minute: u32,
    /// Simulations and look-ups a day for each person.
    pub lookups_per_day: u32,
}

/// Values of the role claim, by role.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StaffRoles {
    /// Simulates and looks decisions up.
    pub support: Vec<String>,
    /// Changes billers.
    pub operator: Vec<String>,
    /// Reads everything, the audit trail included.
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
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Log {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// What is logged, in the syntax of `tracing` filters.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
