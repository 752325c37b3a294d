//! Reads and checks settings, and collects all problems.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use toml::{Table, Value};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::checks::{self, AddressPolicy};
use super::forms;
use super::keys::{PREFIX, declared};
use super::problems::{Problems, toml_problem};
use super::secret::Secret;
use super::sections::{
    Config, Console, Help, LegacyPath, Mail, MailTls, PathMode, ReturnTo, Secrets, SecureAuth, SecurityTxt, Traces,
    is_plain_path,
};
use signpost_core::{Locale, Random, routes};

const UNKNOWN: &str = "unknown setting";

pub(super) fn load(text: &str, environment: impl IntoIterator<Item = (String, String)>) -> Result<Config, Problems> {
    let mut table: Table = text.parse().map_err(|error| Problems(vec![toml_problem(text, &error)]))?;
    let mut problems = Vec::new();
    let mut environment = overrides(environment, &mut problems);
    let config = Config {
        server: section(&mut table, &mut environment, "server", &mut problems),
        database: section(&mut table, &mut environment, "database", &mut problems),
        secrets: section(&mut table, &mut environment, "secrets", &mut problems),
        legacy: section(&mut table, &mut environment, "legacy", &mut problems),
        portal: section(&mut table, &mut environment, "portal", &mut problems),
        routing: section(&mut table, &mut environment, "routing", &mut problems),
        return_to: section(&mut table, &mut environment, "return_to", &mut problems),
        legacy_paths: section(&mut table, &mut environment, "legacy_paths", &mut problems),
        sessions: section(&mut table, &mut environment, "sessions", &mut problems),
        limits: section(&mut table, &mut environment, "limits", &mut problems),
        audit: section(&mut table, &mut environment, "audit", &mut problems),
        oidc: section(&mut table, &mut environment, "oidc", &mut problems),
        secureauth: section(&mut table, &mut environment, "secureauth", &mut problems),
        mail: section(&mut table, &mut environment, "mail", &mut problems),
        help: section(&mut table, &mut environment, "help", &mut problems),
        security_txt: section(&mut table, &mut environment, "security_txt", &mut problems),
        console: section(&mut table, &mut environment, "console", &mut problems),
        log: section(&mut table, &mut environment, "log", &mut problems),
        traces: section(&mut table, &mut environment, "traces", &mut problems),
    };
    let known: BTreeMap<String, Vec<String>> = declared().into_iter().collect();
    for name in table.keys() {
        problems.push(format!("{name}: unknown section{}", did_you_mean(name, known.keys())));
    }
    for (name, overrides) in &environment {
        for (_, _, variable) in overrides {
            problems.push(format!("{variable}: unknown section {name}{}", did_you_mean(name, known.keys())));
        }
    }
    suggest_keys(&mut problems, &known);
    check(&config, &mut problems);
    if problems.is_empty() { Ok(config) } else { Err(Problems(problems)) }
}

/// Adds the key that is probably meant to problems with unknown keys.
fn suggest_keys(problems: &mut [String], known: &BTreeMap<String, Vec<String>>) {
    for problem in problems {
        let Some(place) = problem.strip_suffix(UNKNOWN).and_then(|place| place.strip_suffix(": ")) else { continue };
        // A variable has its key in brackets.
        let path = place.split_once('(').map_or(place, |(_, path)| path.trim_end_matches(')'));
        let section = path.split(['.', '[']).next().unwrap_or_default();
        let key = path.rsplit('.').next().unwrap_or_default();
        let hint = did_you_mean(key, known.get(section).into_iter().flatten());
        problem.push_str(&hint);
    }
}

fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a String>) -> String {
    let similar = known.map(|name| (strsim::jaro_winkler(word, name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    match similar {
        Some((similarity, name)) if similarity > 0.8 => format!("; did you mean {name}?"),
        _ => String::new(),
    }
}

/// Overrides by section: key, value and the name of the variable.
type Environment = BTreeMap<String, Vec<(String, String, String)>>;

/// `SIGNPOST__SECTION__KEY=value` replaces `key` of `[section]`.
fn overrides(environment: impl IntoIterator<Item = (String, String)>, problems: &mut Vec<String>) -> Environment {
    let mut found = Environment::new();
    for (name, value) in environment {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        let path = path.to_ascii_lowercase();
        let [section, key] = path.split("__").collect::<Vec<_>>()[..] else {
            problems.push(format!("{name}: expected {PREFIX}SECTION__KEY"));
            continue;
        };
        found.entry(section.to_owned()).or_default().push((key.to_owned(), value, name));
    }
    found
}

/// Reads one section key by key, so that one invalid value does not hide other problems. An invalid key keeps its default.
fn section<T: DeserializeOwned + Default>(
    table: &mut Table,
    environment: &mut Environment,
    name: &str,
    problems: &mut Vec<String>,
) -> T {
    let overrides = environment.remove(name).unwrap_or_default();
    let mut settings = match table.remove(name) {
        Some(Value::Table(settings)) => settings,
        Some(value) if overrides.is_empty() => return read(value, name, problems).unwrap_or_default(),
        Some(_) => {
            problems.push(format!("{name}: the environment can override keys of a section only"));
            return T::default();
        }
        None => Table::new(),
    };
    let mut valid = Table::new();
    for (key, value, variable) in overrides {
        settings.remove(&key);
        match accept::<T>((name, &key), interpretations(&value)) {
            Ok(accepted) if !value.trim().is_empty() => drop(valid.insert(key, accepted)),
            accepted => problems.push(refusal(&variable, (name, &key), &value, accepted.err().unwrap_or_default())),
        }
    }
    for (key, value) in settings {
        match accept::<T>((name, &key), spellings(value)) {
            Ok(value) => drop(valid.insert(key, value)),
            Err(found) => problems.extend(found),
        }
    }
    T::deserialize(Value::Table(valid)).unwrap_or_default()
}

fn single_entry(key: &str, value: Value) -> Value {
    Value::Table(Table::from_iter([(key.to_owned(), value)]))
}

/// The first value that the key accepts, or the problems of the first one.
fn accept<T: DeserializeOwned>((section, key): (&str, &str), values: Vec<Value>) -> Result<Value, Vec<String>> {
    let mut problems = Vec::new();
    for (at, value) in values.into_iter().enumerate() {
        let mut found = Vec::new();
        if read::<T>(single_entry(key, value.clone()), section, &mut found).is_some() {
            return Ok(value);
        }
        if at == 0 {
            let shown = if is_secret(section, key) { None } else { forms::shown(&value) };
            problems = found.into_iter().map(|problem| forms::explain(problem, shown.as_deref())).collect();
        }
    }
    Err(problems)
}

/// What is wrong with a variable. Its value is shown unless it may be a secret.
fn refusal(variable: &str, (section, key): (&str, &str), value: &str, found: Vec<String>) -> String {
    let path = format!("{section}.{key}: ");
    let found = found.into_iter().next().unwrap_or_default();
    let reason = found.strip_prefix(&path).unwrap_or(&found);
    let place = format!("{variable} ({section}.{key})");
    if reason == UNKNOWN {
        return format!("{place}: {UNKNOWN}");
    }
    if value.trim().is_empty() {
        let expected = reason.split_once("expected ").map_or("a text", |(_, form)| form);
        let form = expected.split(", not ").next().unwrap_or_default();
        return format!("{place}: the value is empty; expected {form}. Unset the variable to use the settings file");
    }
    format!("{place}: {reason}")
}

fn is_secret(section: &str, key: &str) -> bool {
    matches!((section, key), ("secrets" | "database", _) | ("traces", "headers"))
        || key.contains("secret")
        || key.contains("password")
}

/// How to read the value of a variable, in this order: as TOML, as a text, as a list separated by commas, and as another
/// spelling of a word.
fn interpretations(value: &str) -> Vec<Value> {
    let value = value.trim_end_matches(['\r', '\n']);
    let text = Value::String(value.to_owned());
    if value.trim().is_empty() {
        return vec![text];
    }
    let toml = format!("v = {value}").parse::<Table>().ok().and_then(|mut parsed| parsed.remove("v"));
    let list = value.split(',').map(|part| Value::String(part.trim().to_owned())).collect();
    let mut all = spellings(text);
    all.insert(1, Value::Array(list));
    toml.into_iter().chain(all).collect()
}

/// A value as it is, and in the usual spellings of booleans and of words in lower case.
fn spellings(value: Value) -> Vec<Value> {
    let boolean = match &value {
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        },
        Value::Integer(number) => [false, true].into_iter().find(|flag| i64::from(*flag) == *number),
        _ => None,
    };
    let lower = match &value {
        Value::String(text) => Some(Value::String(text.trim().to_ascii_lowercase())),
        _ => None,
    };
    [Some(value), lower, boolean.map(Value::Boolean)].into_iter().flatten().collect()
}

/// Unknown keys and invalid values become problems.
fn read<T: DeserializeOwned>(value: Value, name: &str, problems: &mut Vec<String>) -> Option<T> {
    let before = problems.len();
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let mut unknown = |path: serde_ignored::Path<'_>| problems.push(format!("{name}.{path}: {UNKNOWN}"));
    match T::deserialize(serde_ignored::Deserializer::new(tracked, &mut unknown)) {
        Ok(read) => (problems.len() == before).then_some(read),
        Err(error) => {
            let (text, path) = (error.to_string(), track.path().to_string());
            // The error may quote the value, which may be a secret in these sections.
            let sentence = match name {
                "secrets" => "expected a list of texts, { file = … } or { env = … }",
                "database" => "invalid value",
                "traces" if path.starts_with("headers") => {
                    "expected a table of secrets such as { authorization = { file = … } }"
                }
                _ => text.lines().next().unwrap_or_default(),
            };
            problems.push(format!("{name}.{path}: {sentence}"));
            None
        }
    }
}

fn check(config: &Config, problems: &mut Vec<String>) {
    check_server(config, problems);
    check_secureauth(&config.secureauth, problems);
    check_mail(&config.mail, problems);
    check_console(&config.console, problems);
    check_traces(&config.traces, problems);
    check_keys(&config.secrets.keys, problems);
    let addresses = config.oidc.address_policy();
    for network in &addresses.private_networks {
        if let Err(problem) = checks::check_private_network(network) {
            problems.push(format!("oidc.allow_private_networks: {network} {problem}"));
        }
    }
    match (&config.legacy.login_url, &config.legacy.login_template) {
        (None, None) => problems.push("legacy.login_url: missing; users of legacy billers sign in there".into()),
        (Some(_), Some(_)) => problems.push("legacy.login_template: cannot be combined with legacy.login_url".into()),
        (None, Some(template)) => match Url::parse(&template.replace(['{', '}'], "")) {
            Ok(url) => check_address("legacy.login_template", &url, &addresses, problems),
            Err(_) => problems.push("legacy.login_template: is not a URL".into()),
        },
        _ => {}
    }
    if config.portal.handoff_url.is_none() {
        problems.push("portal.handoff_url: missing; signed-in users are sent there".into());
    }
    let issuer = Url::parse(&config.console.issuer).ok();
    let urls = [
        ("legacy.login_url", &config.legacy.login_url),
        ("legacy.reset_url", &config.legacy.reset_url),
        ("portal.handoff_url", &config.portal.handoff_url),
        ("secureauth.base_url", &config.secureauth.base_url),
        ("secureauth.admin_base_url", &config.secureauth.admin_base_url),
        ("console.issuer", &issuer),
    ];
    for (name, url) in urls {
        if let Some(url) = url {
            check_address(name, url, &addresses, problems);
        }
    }
    check_help(&config.help, problems);
    check_security_txt(&config.security_txt, problems);
    check_return_to(&config.return_to, problems);
    for mapped in &config.legacy_paths {
        check_legacy_path(mapped, &config.return_to, problems);
    }
    for (name, seconds) in [
        ("legacy.handoff_seconds", config.legacy.handoff_seconds),
        ("portal.handoff_seconds", config.portal.handoff_seconds),
    ] {
        if !(1..=3600).contains(&seconds) {
            problems.push(format!("{name}: must be 1 to 3600"));
        }
    }
    if config.sessions.verify_grace_seconds > 600 {
        problems.push("sessions.verify_grace_seconds: must be at most 600".to_owned());
    }
    for (name, value) in [
        ("sessions.idle_minutes", config.sessions.idle_minutes),
        ("sessions.absolute_hours", config.sessions.absolute_hours),
        ("limits.lookups_per_address_per_minute", config.limits.lookups_per_address_per_minute.into()),
        ("limits.lookups_per_username_per_hour", config.limits.lookups_per_username_per_hour.into()),
        ("limits.simulations_per_minute", config.limits.simulations_per_minute.into()),
        ("limits.simulations_per_day", config.limits.simulations_per_day.into()),
        ("limits.decision_lookups_per_minute", config.limits.decision_lookups_per_minute.into()),
        ("oidc.timeout_seconds", config.oidc.timeout_seconds),
        ("oidc.probe_seconds", config.oidc.probe_seconds),
        ("mail.per_address_per_hour", config.mail.per_address_per_hour.into()),
        ("mail.per_client_per_hour", config.mail.per_client_per_hour.into()),
        ("mail.max_retry_hours", config.mail.max_retry_hours),
        ("database.connections", config.database.connections.into()),
        ("server.max_connections", config.server.max_connections as u64),
        ("server.max_requests", config.server.max_requests as u64),
    ] {
        if value == 0 {
            problems.push(format!("{name}: must be at least 1"));
        }
    }
    if let Err(problem) = EnvFilter::try_new(&config.log.filter) {
        problems.push(format!(
            "log.filter: {:?} is not a filter such as \"info\" or \"info,signpost=debug\": {problem}",
            config.log.filter
        ));
    }
    if let Err(problem) = config.database.url.reveal() {
        problems.push(format!("database.url: {problem}"));
    }
}

/// With a base URL, the management API needs all its other settings.
fn check_secureauth(secureauth: &SecureAuth, problems: &mut Vec<String>) {
    if secureauth.base_url.is_none() {
        return;
    }
    if secureauth.paths == PathMode::Server && secureauth.admin_base_url.is_none() {
        problems
            .push("secureauth.admin_base_url: missing; with paths = \"server\" each workspace has its own host".into());
    }
    let secrets = [
        ("system_client_secret", &secureauth.system_client_secret),
        ("admin_client_secret", &secureauth.admin_client_secret),
    ];
    for (name, secret) in secrets {
        match secret.as_ref().map(Secret::reveal) {
            None => problems.push(format!("secureauth.{name}: missing")),
            Some(Err(problem)) => problems.push(format!("secureauth.{name}: {problem}")),
            Some(Ok(_)) => {}
        }
    }
    for (name, value) in [
        ("tenant", &secureauth.tenant),
        ("system_client_id", &secureauth.system_client_id),
        ("admin_client_id", &secureauth.admin_client_id),
    ] {
        if value.is_empty() || value.contains('/') {
            problems.push(format!("secureauth.{name}: missing or not an id"));
        }
    }
    if !(1..=600).contains(&secureauth.timeout_seconds) {
        problems.push("secureauth.timeout_seconds: must be 1 to 600".into());
    }
    if !(2..=3600).contains(&secureauth.lease_seconds) {
        problems.push("secureauth.lease_seconds: must be 2 to 3600".into());
    }
}

/// With a server, mail needs a sender, and a password needs encryption.
fn check_mail(mail: &Mail, problems: &mut Vec<String>) {
    let Some(server) = &mail.server else { return };
    if let Err(problem) = checks::check_mail_server(server) {
        problems.push(format!("mail.server: {server:?} {problem}"));
    }
    if mail.from.is_empty() {
        problems.push("mail.from: missing".into());
    } else if let Err(problem) = checks::check_sender(&mail.from) {
        problems.push(format!("mail.from: {:?} {problem}", mail.from));
    }
    match (&mail.username, mail.password.as_ref().map(Secret::reveal)) {
        (None, None) => {}
        (Some(_), None) => problems.push("mail.password: missing".into()),
        (None, Some(_)) => problems.push("mail.username: missing".into()),
        (Some(_), Some(Err(problem))) => problems.push(format!("mail.password: {problem}")),
        (Some(_), Some(Ok(_))) if mail.tls == MailTls::None => {
            problems.push("mail.tls: a password requires \"tls\" or \"starttls\"".into());
        }
        (Some(_), Some(Ok(_))) => {}
    }
}

fn check_server(config: &Config, problems: &mut Vec<String>) {
    let server = &config.server;
    check_public_url("server.public_url", &server.public_url, problems);
    match (&server.tls_certificate, &server.tls_key) {
        (Some(_), Some(_)) if server.public_url.scheme() != "https" => problems
            .push(format!("server.public_url: {} must be an https URL with server.tls_certificate", server.public_url)),
        (Some(_), None) => {
            problems.push("server.tls_key: missing; server.tls_certificate needs its private key".into())
        }
        (None, Some(_)) => {
            problems.push("server.tls_certificate: missing; server.tls_key needs its certificate".into())
        }
        _ => {}
    }
    if server.proxy_protocol && server.trusted_proxies.is_empty() && server.listen.tcp().is_some() {
        problems.push(
            "server.trusted_proxies: missing; with server.proxy_protocol, only trusted proxies may connect. List their addresses"
                .into(),
        );
    }
    // With port 0 the system chooses one that is free.
    let others =
        [server.listen.tcp().map(|at| ("server.listen", at)), config.console.listen.map(|at| ("console.listen", at))];
    for (name, other) in others.into_iter().flatten() {
        let overlap = other.ip() == server.management_listen.ip() || other.ip().is_unspecified();
        let overlap = overlap || server.management_listen.ip().is_unspecified();
        if overlap && other.port() != 0 && other.port() == server.management_listen.port() {
            problems.push(format!("server.management_listen: must differ from {name}, which others can reach"));
        }
    }
}

fn check_public_url(name: &str, url: &Url, problems: &mut Vec<String>) {
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        problems.push(format!("{name}: scheme, host and port only"));
    }
    let local = url.host_str().is_some_and(|host| host == "localhost" || host.ends_with(".localhost"));
    match url.scheme() {
        "https" => {}
        "http" if local => {}
        _ => problems.push(format!("{name}: https is needed except on localhost")),
    }
}

/// With a listener, the console needs an identity provider for staff.
fn check_console(console: &Console, problems: &mut Vec<String>) {
    if console.listen.is_none() {
        return;
    }
    match &console.public_url {
        Some(url) => check_public_url("console.public_url", url, problems),
        None => problems.push("console.public_url: missing".into()),
    }
    for (name, value) in [
        ("issuer", &console.issuer),
        ("client_id", &console.client_id),
        ("role_claim", &console.role_claim),
        ("name_claim", &console.name_claim),
    ] {
        if value.is_empty() {
            problems.push(format!("console.{name}: missing"));
        }
    }
    match console.client_secret.as_ref().map(Secret::reveal) {
        None => problems.push("console.client_secret: missing".into()),
        Some(Err(problem)) => problems.push(format!("console.client_secret: {problem}")),
        Some(Ok(_)) => {}
    }
    let numbers = [
        ("idle_minutes", console.idle_minutes),
        ("absolute_hours", console.absolute_hours),
        ("lookups_per_minute", u64::from(console.lookups_per_minute)),
        ("lookups_per_day", u64::from(console.lookups_per_day)),
    ];
    problems
        .extend(numbers.iter().filter(|(_, n)| *n == 0).map(|(name, _)| format!("console.{name}: must be at least 1")));
}

fn check_traces(traces: &Traces, problems: &mut Vec<String>) {
    if let Some(url) = &traces.endpoint {
        let is_plain =
            matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
        if !is_plain || url.query().is_some() || url.fragment().is_some() {
            problems.push(
                "traces.endpoint: expected an http or https address such as \"http://127.0.0.1:4318/v1/traces\"; credentials go \
                 into traces.headers"
                    .to_owned(),
            );
        } else if url.path() == "/" {
            problems.push(format!("traces.endpoint: {url} has no path; collectors take traces at /v1/traces"));
        }
    }
    if !(0.0..=1.0).contains(&traces.sample_ratio) {
        problems.push(format!("traces.sample_ratio: {} must be 0 to 1, such as 0.1", traces.sample_ratio));
    }
    if let Err(problem) = traces.revealed_headers() {
        problems.push(problem);
    }
    if traces.environment.as_ref().is_some_and(|name| name.trim().is_empty()) {
        problems.push("traces.environment: is empty; leave it out instead".to_owned());
    }
}

fn check_keys(keys: &[Secret], problems: &mut Vec<String>) {
    if keys.is_empty() {
        problems.push("secrets.keys: at least one key is needed; `openssl rand -base64 32` makes one".into());
    }
    for (at, key) in keys.iter().enumerate() {
        if let Err(problem) = (Secrets { keys: vec![key.clone()] }).key_ring(&Random::system()) {
            problems.push(format!("secrets.keys[{at}]: {problem}"));
        }
    }
}

fn check_return_to(return_to: &ReturnTo, problems: &mut Vec<String>) {
    for path in return_to.paths.iter().chain(return_to.ids.values()) {
        if !is_plain_path(path) {
            problems.push(format!("return_to: {path:?} is not a plain path such as \"/bills\""));
        }
    }
    for id in return_to.ids.keys() {
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            problems.push(format!("return_to.ids: {id:?} may contain letters, digits, - and _ only"));
        }
    }
}

/// An address where customers or our own calls go.
fn check_address(name: &str, url: &Url, addresses: &AddressPolicy, problems: &mut Vec<String>) {
    if let Err(problem) = checks::check_url(url, addresses) {
        let hint = match addresses.allow_loopback {
            true => "",
            false => "; oidc.allow_loopback_issuers allows http and this machine, for development",
        };
        problems.push(format!("{name}: {url} {problem}{hint}"));
    }
}

fn check_help(help: &Help, problems: &mut Vec<String>) {
    let mut check = |name: &str, text: &str, is_valid: fn(&str) -> Result<(), &'static str>| {
        if let Err(problem) = is_valid(text) {
            problems.push(format!("help.{name}: {text:?} {problem}"));
        }
    };
    check("company", &help.company, checks::check_display_text);
    let texts = Locale::ALL.iter().filter_map(|locale| help.hours.as_ref()?.resolve(*locale));
    texts.for_each(|(_, text)| check("hours", text, checks::check_display_text));
    if let Some(email) = &help.email {
        check("email", email, checks::check_mail_address);
    }
    if let Some(phone) = &help.phone {
        check("phone", phone, checks::check_phone);
    }
}

/// RFC 9116, sections 2.5.3 to 2.5.8. A file that has expired is no error: it must not keep an instance from starting.
fn check_security_txt(settings: &SecurityTxt, problems: &mut Vec<String>) {
    for contact in &settings.contact {
        let is_usable = match contact.scheme() {
            "https" => contact.has_host(),
            "mailto" => contact.query().is_none() && checks::check_mail_address(contact.path()).is_ok(),
            "tel" => checks::check_phone(contact.path()).is_ok(),
            _ => false,
        };
        if !is_usable {
            problems.push(format!("security_txt.contact: {contact} is not a mailto, tel or https address"));
        }
    }
    if settings.expires.is_none() && !settings.contact.is_empty() {
        problems.push("security_txt.expires: missing; a date less than a year ahead is best".to_owned());
    }
    if settings.expires.is_some() && settings.contact.is_empty() {
        problems.push("security_txt.contact: missing".to_owned());
    }
    for (name, url) in [("policy", &settings.policy), ("encryption", &settings.encryption)] {
        if url.as_ref().is_some_and(|url| url.scheme() != "https") {
            problems.push(format!("security_txt.{name}: must be an https URL"));
        }
    }
    let is_tag = |tag: &String| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !settings.preferred_languages.iter().all(is_tag) {
        problems.push("security_txt.preferred_languages: must be language tags such as \"en\"".to_owned());
    }
}

fn check_legacy_path(mapped: &LegacyPath, return_to: &ReturnTo, problems: &mut Vec<String>) {
    let path = &mapped.path;
    if routes::is_reserved(path) {
        problems.push(format!(
            "legacy_paths: {path:?} is one of Signpost's own paths, so the mapping would never be used; remove it"
        ));
    }
    if mapped.return_to.as_ref().is_some_and(|requested| return_to.resolve(requested).is_none()) {
        problems.push(format!("legacy_paths: the return_to of {path:?} is neither an id nor an allowed path"));
    }
    if !path.starts_with('/') || path.contains(['?', '#']) {
        problems.push(format!("legacy_paths: {path:?} is not a path; use `query` for a query parameter"));
    }
    if mapped.query.as_ref().is_some_and(|query| !query.contains('=')) {
        problems.push(format!("legacy_paths: the query of {path:?} must be \"name=value\""));
    }
}
