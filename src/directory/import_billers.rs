//! Billers from a file: all of it is checked before anything is written, and it is written in one transaction.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;

use super::billers::{Biller, BillerSettings, BindTo, Home, OidcSettings, PasswordCarryOver, Support, TokenAuth};
use super::branding_row;
pub use super::branding_row::{BrandingRow, LogoRow};
use super::changes::changes;
use super::health::Health;
use super::pending::{self, Change};
use super::{Billers, Directory, DirectoryError, store};
use crate::audit::{Act, Action, Actor, By};
use crate::config::{Secret, toml_problem};
use crate::db::Tx;
use crate::secureauth::Wishes;
use crate::secureauth::management::PasswordPolicy;
use signpost_core::decision::{CiamState, OutagePolicy, Suspension};
use signpost_core::{BillerId, KeyRing, Purpose, Slug, Timestamp, Username};

/// A biller as a file describes it. What is left out stays as it is, and has its default at a new biller.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BillerRow {
    /// Permanent short name; a known one changes that biller, a new one makes a biller.
    pub slug: Slug,
    /// Name as customers know it; needed for a new biller.
    #[serde(default)]
    pub name: Option<String>,
    /// `legacy` (default), `active` or `suspended`.
    #[serde(default)]
    pub state: Option<CiamState>,
    /// RFC 3339; `active` counts from here on. Empty: at once.
    #[serde(default)]
    pub active_from: Option<String>,
    /// Whether passwords came along.
    #[serde(default)]
    pub passwords: Option<PasswordCarryOver>,
    /// Never revealed by a username.
    #[serde(default)]
    pub private: Option<bool>,
    /// Held by an operator.
    #[serde(default)]
    pub hold: Option<bool>,
    /// Whether any user has a legacy account (default: yes).
    #[serde(default)]
    pub legacy_accounts: Option<bool>,
    /// Where users go while it is suspended.
    #[serde(default)]
    pub when_suspended: Option<Suspension>,
    /// What to do while its identity provider is down.
    #[serde(default)]
    pub outage_policy: Option<OutagePolicy>,
    /// Hosts of its own, such as `pay.riverside.example`.
    #[serde(default)]
    pub hosts: Option<Vec<String>>,
    /// For whom `active` counts. Empty: for all.
    #[serde(default)]
    pub rollout: Option<RolloutRow>,
    /// How it signs people in; needed for `active`.
    #[serde(default)]
    pub oidc: Option<OidcRow>,
    /// Where its users are kept at SecureAuth, for a biller that was moved before Signpost came.
    #[serde(default)]
    pub secureauth: Option<Home>,
    /// Its portal's hand-off address, where it has one of its own. Empty: the shared one.
    #[serde(default)]
    pub portal_url: Option<String>,
    /// Whom its customers can ask.
    #[serde(default)]
    pub support: Option<Support>,
    /// Whom we can write to about the biller itself. Empty: nobody but support.
    #[serde(default)]
    pub contact_email: Option<String>,
    /// Which passwords its pool at SecureAuth is to take; replaced as a whole. Empty: that is left to SecureAuth.
    #[serde(default)]
    pub password_policy: Option<PasswordPolicy>,
    /// How its pages look. Empty: like the company's.
    #[serde(default)]
    pub branding: Option<BrandingRow>,
}

/// Rollout of a biller in a file.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutRow {
    /// Usernames let in first.
    #[serde(default)]
    pub allow: Option<Vec<String>>,
    /// Percentage of usernames let in, 0 to 100.
    #[serde(default)]
    #[schema(maximum = 100)]
    pub percent: Option<u8>,
}

/// OpenID Connect registration of a biller in a file.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcRow {
    /// Issuer identifier, exactly as the provider writes it.
    pub issuer: String,
    /// Client id.
    pub client_id: String,
    /// Client secret: inline, from a file or from the environment. Needed unless `token_auth` is `private_key_jwt`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub client_secret: Option<Secret>,
    /// Tried when the first is refused: the old one, or the coming one, while the secret is being changed.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub second_client_secret: Option<Secret>,
    /// Client authentication at the token endpoint.
    #[serde(default)]
    pub token_auth: TokenAuth,
    /// Scopes besides `openid`.
    #[serde(default = "usual_scopes")]
    pub scopes: Vec<String>,
    /// The claim that tells which user it is.
    #[serde(default = "usual_claim")]
    pub bind_claim: String,
    /// What that claim holds: `username` (default) or `user_id`.
    #[serde(default)]
    pub bind_to: BindTo,
    /// Signature algorithms accepted for ID tokens.
    #[serde(default = "usual_algs")]
    pub id_token_algs: Vec<String>,
    /// Hosts besides the issuer's where its endpoints may be.
    #[serde(default)]
    pub extra_hosts: Vec<String>,
    /// `prompt` of the request: `login`, `select_account` or `consent`.
    #[serde(default)]
    pub prompt: Option<String>,
    /// `acr_values` of the request; the answer must carry one of them.
    #[serde(default)]
    pub acr_values: Vec<String>,
    /// Seconds since the person signed in at the provider, at most.
    #[serde(default)]
    pub max_age: Option<u32>,
    /// How the answer comes back: `query` (default) or `form_post`.
    #[serde(default)]
    pub response_mode: ResponseMode,
}

/// How the answer comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the address.
    #[default]
    Query,
    /// In a form that the browser posts.
    FormPost,
}

impl BillerRow {
    /// A logo that is to be read from this machine: likewise.
    pub fn logo_from_this_machine(&self) -> bool {
        let logo = self.branding.as_ref().and_then(|branding| branding.logo.as_ref());
        logo.is_some_and(|logo| matches!(logo, LogoRow::File { .. }))
    }

    /// Secrets that are to be read from this machine's files or environment: fine in a file of the operator's, and nothing
    /// that a caller from elsewhere may ask for.
    pub fn secrets_from_this_machine(&self) -> Vec<&'static str> {
        let Some(oidc) = &self.oidc else { return Vec::new() };
        let named =
            [("oidc.client_secret", &oidc.client_secret), ("oidc.second_client_secret", &oidc.second_client_secret)];
        let elsewhere = |secret: &Option<Secret>| secret.as_ref().is_some_and(|s| !matches!(s, Secret::Inline(_)));
        named.into_iter().filter(|(_, secret)| elsewhere(secret)).map(|(field, _)| field).collect()
    }
}

fn usual_scopes() -> Vec<String> {
    vec!["profile".into(), "email".into()]
}

fn usual_claim() -> String {
    "preferred_username".into()
}

fn usual_algs() -> Vec<String> {
    vec!["RS256".into()]
}

/// What an import did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Billers that are new.
    pub created: usize,
    /// Billers that were known.
    pub updated: usize,
    /// Changes that wait for a second person.
    pub pending: usize,
}

/// Why a file of billers was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file says something that cannot be; nothing was written.
    #[error("{}", .0.join("\n"))]
    Refused(Vec<String>),
    /// The directory failed; nothing was written.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Reads a file's text: TOML with `[[billers]]`, JSON `{"billers": […]}` or a JSON array.
///
/// # Errors
/// A sentence with the place, and without the text that stands there: it may be a secret.
pub fn parse(text: &str, is_json: bool) -> Result<Vec<BillerRow>, ImportError> {
    let text = text.trim_start_matches('\u{feff}');
    let refuse = |error: String| ImportError::Refused(vec![error]);
    let document: Value = if is_json {
        serde_json::from_str(text).map_err(|error| refuse(error.to_string()))?
    } else {
        toml::from_str(text).map_err(|error| refuse(toml_problem(text, &error)))?
    };
    let rows = match document {
        Value::Array(rows) => rows,
        Value::Object(mut document) => {
            let billers = document.remove("billers");
            if let Some(unknown) = document.keys().next() {
                return Err(refuse(format!("{unknown}: only `billers` is expected at the top")));
            }
            match billers {
                Some(Value::Array(rows)) => rows,
                _ => return Err(refuse("a list named `billers` is expected".to_owned())),
            }
        }
        _ => return Err(refuse("a list of billers is expected".to_owned())),
    };
    let mut problems = Vec::new();
    let mut billers = Vec::new();
    for (at, row) in rows.into_iter().enumerate() {
        let slug = row.get("slug").and_then(Value::as_str).unwrap_or("no slug").to_owned();
        match serde_path_to_error::deserialize::<_, BillerRow>(row) {
            Ok(row) => billers.push(row),
            Err(error) => {
                let field = error.path().to_string();
                let what =
                    if field.contains("secret") { "not a secret".to_owned() } else { error.into_inner().to_string() };
                problems.push(format!("biller {} ({slug}): {field}: {what}", at + 1));
            }
        }
    }
    if problems.is_empty() { Ok(billers) } else { Err(ImportError::Refused(problems)) }
}

/// What an import needs besides the rows.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Seals client secrets.
    pub keys: KeyRing,
    /// Issuers over http or on this machine are allowed.
    pub allow_loopback_issuers: bool,
    /// Who asks. Changes of where people sign in then wait for somebody else, unless it is Signpost itself.
    pub by: By,
    /// The host that customers know, which no biller can have.
    pub public_host: String,
}

/// Something that is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which biller, counted from 0.
    at: usize,
    slug: Slug,
    /// The field, with dots, such as `oidc.issuer`.
    pub field: &'static str,
    /// What is wrong with it.
    pub text: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "biller {} ({}): {}", self.at + 1, self.slug, self.text)
    }
}

/// Why one biller was not written.
#[derive(Debug, thiserror::Error)]
pub enum OneError {
    /// A new one has a slug that another has.
    #[error("there is a biller with this slug already")]
    Taken,
    /// There is none to be changed.
    #[error("there is no such biller")]
    Unknown,
    /// It says something that cannot be.
    #[error("{} thing(s) cannot be", .0.len())]
    Refused(Vec<Problem>),
    /// The directory failed.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Whether one biller is to be made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It is new.
    New,
    /// It is there.
    Known,
}

impl Directory {
    /// Imports billers. With `dry_run` everything is checked and nothing is written.
    ///
    /// # Errors
    /// Everything that is wrong with the rows, or the database's failure; nothing was written then.
    pub async fn import_billers(
        &self,
        rows: Vec<BillerRow>,
        tools: &Tools,
        dry_run: bool,
    ) -> Result<Summary, ImportError> {
        // Written to first, so that two imports at once come one after the other, and the second sees the first.
        let mut tx = self.db.begin().await.map_err(DirectoryError::Db)?;
        store::bump(&mut tx).await.map_err(DirectoryError::Db)?;
        let known = store::load_billers_in(&mut tx).await?;
        let (mut billers, problems) = check(rows, &known, tools);
        if !problems.is_empty() {
            return Err(ImportError::Refused(problems.iter().map(ToString::to_string).collect()));
        }
        let updated = billers.iter().filter(|biller| known.by_slug(&biller.slug).is_some()).count();
        let waiting = hold_back(&mut billers, &known, tools);
        let summary = Summary { created: billers.len() - updated, updated, pending: waiting.len() };
        if !dry_run {
            write(&mut tx, &billers, &known, tools, &waiting).await?;
            tx.commit().await.map_err(DirectoryError::Db)?;
        }
        Ok(summary)
    }

    /// The billers as rows would make them: nothing is written.
    ///
    /// # Errors
    /// Everything that is wrong with the rows, or the database's failure.
    pub async fn preview_billers(&self, rows: Vec<BillerRow>, tools: &Tools) -> Result<Vec<Biller>, ImportError> {
        let known = self.billers().await?;
        let (billers, problems) = check(rows, &known, tools);
        let refused = || ImportError::Refused(problems.iter().map(ToString::to_string).collect());
        if problems.is_empty() { Ok(billers) } else { Err(refused()) }
    }

    /// Makes or changes one biller, by the same checks, within a transaction that writes something else as well.
    ///
    /// # Errors
    /// It is not as expected, something is wrong with it, or the database failed.
    pub async fn put_biller_in(
        &self,
        tx: &mut Tx,
        row: BillerRow,
        tools: &Tools,
        expect: Expect,
    ) -> Result<Biller, OneError> {
        store::bump(tx).await.map_err(DirectoryError::Db)?;
        let known = store::load_billers_in(tx).await?;
        match (expect, known.by_slug(&row.slug).is_some()) {
            (Expect::New, true) => return Err(OneError::Taken),
            (Expect::Known, false) => return Err(OneError::Unknown),
            _ => {}
        }
        let (mut billers, problems) = check(vec![row], &known, tools);
        if !problems.is_empty() {
            return Err(OneError::Refused(problems));
        }
        let waiting = hold_back(&mut billers, &known, tools);
        write(tx, &billers, &known, tools, &waiting).await?;
        billers.pop().ok_or(OneError::Unknown)
    }
}

/// The billers that rows make of those known, and everything that is wrong with them.
fn check(rows: Vec<BillerRow>, known: &Billers, tools: &Tools) -> (Vec<Biller>, Vec<Problem>) {
    let in_file: HashSet<Slug> = rows.iter().map(|row| row.slug.clone()).collect();
    let (mut hosts, mut slugs) = (HashSet::new(), HashSet::new());
    let (mut billers, mut problems) = (Vec::new(), Vec::new());
    for (at, row) in rows.into_iter().enumerate() {
        let slug = row.slug.clone();
        let mut problem = |field, text| problems.push(Problem { at, slug: slug.clone(), field, text });
        if !slugs.insert(slug.clone()) {
            problem("slug", "the slug stands in the file twice".into());
        }
        let biller = convert(row, known.by_slug(&slug).map(|b| &**b), tools, &mut problem);
        for host in &biller.hosts {
            let elsewhere =
                known.by_host(host).is_some_and(|owner| owner.slug != slug && !in_file.contains(&owner.slug));
            if *host == tools.public_host {
                problem("hosts", format!("the host {host} is that of server.public_url"));
            }
            if !hosts.insert(host.clone()) || elsewhere {
                problem("hosts", format!("the host {host} is another biller's"));
            }
        }
        billers.push(biller);
    }
    (billers, problems)
}

/// Takes out of changes what has to wait for a second person: the biller's place in the list, and what waits.
fn hold_back(billers: &mut [Biller], known: &Billers, tools: &Tools) -> Vec<(usize, Change)> {
    if tools.by.actor == Actor::System {
        return Vec::new();
    }
    let each = billers.iter_mut().enumerate();
    each.filter_map(|(at, biller)| Some((at, pending::hold_back(known.by_slug(&biller.slug)?, biller)?))).collect()
}

async fn write(
    tx: &mut Tx,
    billers: &[Biller],
    known: &Billers,
    tools: &Tools,
    waiting: &[(usize, Change)],
) -> Result<(), DirectoryError> {
    let by = &tools.by;
    // Hosts may move from one biller of the file to another.
    for biller in billers {
        store::drop_hosts(tx, biller).await?;
    }
    for biller in billers {
        if biller.pinned_iss.is_none() {
            store::drop_iss_pin(tx, biller).await?;
        }
        store::put_biller(tx, biller, by.now()).await?;
        let before = known.by_slug(&biller.slug).map(|before| &**before);
        let action = if before.is_some() { Action::BillerChanged } else { Action::BillerMade };
        let changes = changes(before, biller);
        if before.is_none() || changes.as_object().is_some_and(|changes| !changes.is_empty()) {
            by.note(tx, Act::of(action).at(&biller.slug).with("changes", changes)).await?;
        }
    }
    for (at, change) in waiting {
        pending::put(tx, &billers[*at], change, by).await?;
    }
    Ok(())
}

/// Takes note of a problem: the field, and what is wrong with it.
pub(super) type Complain<'a> = dyn FnMut(&'static str, String) + 'a;

fn convert(row: BillerRow, before: Option<&Biller>, tools: &Tools, problem: &mut Complain<'_>) -> Biller {
    let mut biller = before.cloned().unwrap_or_else(|| Biller {
        id: BillerId::new(tools.by.now(), tools.by.random()),
        slug: row.slug.clone(),
        name: String::new(),
        state: CiamState::Legacy,
        active_from: None,
        settings: BillerSettings { legacy_accounts: true, generation: 1, ..BillerSettings::default() },
        hosts: Vec::new(),
        health: Health::default(),
        pinned_iss: None,
    });
    if let Some(name) = row.name {
        biller.name = name.trim().to_owned();
    }
    if biller.name.is_empty() || biller.name.len() > 100 || biller.name.chars().any(char::is_control) {
        problem("name", "the name has 1 to 100 printable characters".into());
    }
    if let Some(text) = row.active_from {
        biller.active_from = Timestamp::parse_rfc3339(&text);
        if biller.active_from.is_none() && !text.is_empty() {
            problem("active_from", format!("active_from {text:?} is not a time such as 2026-11-22T08:00:00Z"));
        }
    }
    // What a job is about to set.
    let has_other_registration = row.oidc.is_some() || row.secureauth.is_some();
    let settings = &mut biller.settings;
    set(&mut settings.passwords, row.passwords);
    set(&mut settings.private, row.private);
    set(&mut settings.hold, row.hold);
    set(&mut settings.legacy_accounts, row.legacy_accounts);
    set(&mut settings.when_suspended, row.when_suspended);
    set(&mut settings.outage_policy, row.outage_policy);
    set(&mut settings.support, row.support);
    if let Some(text) = row.contact_email {
        let fits = text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'));
        if !text.is_empty() && (!fits || text.chars().any(|c| c.is_control() || c.is_whitespace())) {
            problem("contact_email", "contact_email is not a mail address".into());
        }
        settings.contact_email = (!text.is_empty()).then_some(text);
    }
    if let Some(policy) = row.password_policy {
        for (_, text) in policy.problems() {
            problem("password_policy", text);
        }
        settings.password_policy = policy;
    }
    if let Some(row) = row.branding {
        settings.branding = branding_row::convert(row, &settings.branding, problem);
    }
    if let Some(row) = row.rollout {
        (settings.rollout_allow, settings.rollout_percent) = rollout(row, problem);
    }
    if let Some(row) = row.oidc {
        settings.oidc = convert_oidc(row, &biller.id, tools, problem);
        biller.pinned_iss = None;
    } else if row.state == Some(CiamState::Active) && settings.oidc.is_none() {
        problem("oidc", "active, but without an oidc section".into());
    }
    if let Some(home) = row.secureauth {
        let id =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !(home.sso || id(&home.organization) && id(&home.pool)) {
            problem("secureauth", "ids of organization and pool are expected, or sso = true".into());
        }
        settings.home = Some(home);
    }
    if let Some(text) = row.portal_url {
        let fit = |url: &Url| matches!(url.scheme(), "http" | "https") && url.fragment().is_none();
        let url = Url::parse(&text).ok().filter(fit);
        if url.is_none() && !text.is_empty() {
            problem("portal_url", "portal_url is not an http or https address without a fragment".into());
        }
        settings.portal_url = url.map(String::from);
    }
    if let Some(hosts) = row.hosts {
        biller.hosts = hosts.iter().filter_map(|host| plain_host(host, problem)).collect();
    }
    if row.state == Some(CiamState::Enabling) {
        problem("state", "enabling is done by Signpost itself and cannot be imported".into());
    }
    if biller.state == CiamState::Enabling && (row.state.is_some() || has_other_registration) {
        let text = format!(
            "a job is moving {}: wait for it, or stop it by `signpost enable {} --undo`",
            biller.slug, biller.slug
        );
        problem("state", text);
    }
    set(&mut biller.state, row.state);
    biller
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn rollout(row: RolloutRow, problem: &mut Complain<'_>) -> (Option<Vec<String>>, Option<u8>) {
    if row.percent.is_some_and(|percent| percent > 100) {
        problem("rollout.percent", "rollout.percent is 0 to 100".into());
    }
    let allow = row.allow.map(|names| {
        let mut keys = Vec::with_capacity(names.len());
        for name in names {
            match Username::parse(&name) {
                Ok(username) => keys.push(username.as_str().to_owned()),
                Err(error) => problem("rollout.allow", format!("rollout.allow: {error}")),
            }
        }
        keys
    });
    (allow, row.percent)
}

fn plain_host(text: &str, problem: &mut Complain<'_>) -> Option<String> {
    let host = text.trim().to_ascii_lowercase();
    let parsed = Url::parse(&format!("https://{host}/")).ok();
    let plain = parsed.is_some_and(|url| {
        url.path() == "/"
            && url.query().is_none()
            && url.username().is_empty()
            && url.domain().is_some()
            && url.host_str().is_some_and(|name| host == name || host.starts_with(&format!("{name}:")))
    });
    if !plain {
        problem("hosts", format!("{text:?} is not a host such as pay.example.com"));
        return None;
    }
    Some(host)
}

fn convert_oidc(row: OidcRow, id: &BillerId, tools: &Tools, problem: &mut Complain<'_>) -> Option<OidcSettings> {
    use secrecy::ExposeSecret;
    match Url::parse(&row.issuer) {
        Ok(url) if url.scheme() == "https" || (tools.allow_loopback_issuers && url.scheme() == "http") => {}
        _ => problem("oidc.issuer", "oidc.issuer is not an https address".into()),
    }
    if row.client_id.is_empty() {
        problem("oidc.client_id", "oidc.client_id is empty".into());
    }
    for alg in &row.id_token_algs {
        if !["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"].contains(&alg.as_str()) {
            problem(
                "oidc.id_token_algs",
                format!("oidc.id_token_algs: {alg:?} is not an algorithm that can be verified here"),
            );
        }
    }
    if row.id_token_algs.is_empty() {
        problem("oidc.id_token_algs", "oidc.id_token_algs is empty".into());
    }
    if row.prompt.as_deref().is_some_and(|prompt| !["login", "select_account", "consent"].contains(&prompt)) {
        problem("oidc.prompt", "oidc.prompt is login, select_account or consent".into());
    }
    if row.client_secret.is_none() && row.token_auth != TokenAuth::PrivateKeyJwt {
        problem("oidc.client_secret", "oidc.client_secret is missing".into());
    }
    let mut seal = |name: &'static str, secret: Option<Secret>| match secret?.reveal() {
        Ok(secret) => Some(tools.keys.seal(Purpose::Storage, id.as_str(), &secret.expose_secret())),
        Err(error) => {
            problem(name, format!("{name}: {error}"));
            None
        }
    };
    let client_secret = seal("oidc.client_secret", row.client_secret);
    let second_client_secret = seal("oidc.second_client_secret", row.second_client_secret);
    Some(OidcSettings {
        issuer: row.issuer,
        client_id: row.client_id,
        client_secret,
        second_client_secret,
        token_auth: row.token_auth,
        scopes: row.scopes,
        bind_claim: row.bind_claim,
        bind_to: row.bind_to,
        id_token_algs: row.id_token_algs,
        extra_hosts: row.extra_hosts,
        wishes: Wishes {
            prompt: row.prompt,
            acr_values: row.acr_values,
            max_age: row.max_age,
            form_post: row.response_mode == ResponseMode::FormPost,
        },
    })
}
