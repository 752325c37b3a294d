//! Billers from a file: all of it is checked before anything is written, and it is written in one transaction.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;

use super::billers::{
    Biller, BillerSettings, BindTo, OidcSettings, PasswordCarryOver, Support, TokenAuth, UserPoolRef,
};
use super::branding_input;
pub use super::branding_input::{BrandingInput, LogoSource};
use super::changes::changes;
use super::health::IssuerStatus;
use super::pending::{self, ProposedChange};
use super::{Billers, Directory, DirectoryError, store};
use crate::audit::{Action, Actor, ActorContext, AuditEvent};
use crate::config::{Secret, toml_problem};
use crate::db::Tx;
use crate::secureauth::AuthorizationParams;
use crate::secureauth::management::PasswordPolicy;
use signpost_core::decision::{CiamMode, CiamState, OutagePolicy, SuspensionPolicy};
use signpost_core::{BillerId, KeyRing, Purpose, Slug, Timestamp, Username};

/// A biller as a file describes it. What is left out stays as it is, and has its default at a new biller.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BillerInput {
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
    pub paused: Option<bool>,
    /// Whether any user has a legacy account (default: yes).
    #[serde(default)]
    pub legacy_accounts: Option<bool>,
    /// Where users go while it is suspended.
    #[serde(default)]
    pub when_suspended: Option<SuspensionPolicy>,
    /// What to do while its identity provider is down.
    #[serde(default)]
    pub outage_policy: Option<OutagePolicy>,
    /// Hosts of its own, such as `pay.riverside.example`.
    #[serde(default)]
    pub hosts: Option<Vec<String>>,
    /// For whom `active` counts. Empty: for all.
    #[serde(default)]
    pub rollout: Option<RolloutInput>,
    /// How it signs people in; needed for `active`.
    #[serde(default)]
    pub oidc: Option<OidcInput>,
    /// Where its users are kept at SecureAuth, for a biller that was moved before Signpost came.
    #[serde(default)]
    pub secureauth: Option<UserPoolRef>,
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
    pub branding: Option<BrandingInput>,
}

/// Rollout of a biller in a file.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutInput {
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
pub struct OidcInput {
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
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The claim that tells which user it is.
    #[serde(default = "default_claim")]
    pub bind_claim: String,
    /// What that claim holds: `username` (default) or `user_id`.
    #[serde(default)]
    pub bind_to: BindTo,
    /// Signature algorithms accepted for ID tokens.
    #[serde(default = "default_algs")]
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

impl BillerInput {
    /// A logo that is to be read from this machine: likewise.
    pub fn has_local_logo(&self) -> bool {
        let logo = self.branding.as_ref().and_then(|branding| branding.logo.as_ref());
        logo.is_some_and(|logo| matches!(logo, LogoSource::File { .. }))
    }

    /// Secrets that are to be read from this machine's files or environment: fine in a file of the operator's, and nothing
    /// that a caller from elsewhere may ask for.
    pub fn local_secrets(&self) -> Vec<&'static str> {
        let Some(oidc) = &self.oidc else { return Vec::new() };
        let named =
            [("oidc.client_secret", &oidc.client_secret), ("oidc.second_client_secret", &oidc.second_client_secret)];
        let elsewhere = |secret: &Option<Secret>| secret.as_ref().is_some_and(|s| !matches!(s, Secret::Inline(_)));
        named.into_iter().filter(|(_, secret)| elsewhere(secret)).map(|(field, _)| field).collect()
    }
}

fn default_scopes() -> Vec<String> {
    vec!["profile".into(), "email".into()]
}

fn default_claim() -> String {
    "preferred_username".into()
}

fn default_algs() -> Vec<String> {
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
    Invalid(Vec<String>),
    /// The directory failed; nothing was written.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Reads a file's text: TOML with `[[billers]]`, JSON `{"billers": […]}` or a JSON array.
///
/// # Errors
/// A sentence with the place, and without the text that stands there: it may be a secret.
pub fn parse(text: &str, is_json: bool) -> Result<Vec<BillerInput>, ImportError> {
    let text = text.trim_start_matches('\u{feff}');
    let invalid = |error: String| ImportError::Invalid(vec![error]);
    let document: Value = if is_json {
        serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?
    } else {
        toml::from_str(text).map_err(|error| invalid(toml_problem(text, &error)))?
    };
    let rows = match document {
        Value::Array(rows) => rows,
        Value::Object(mut document) => {
            let billers = document.remove("billers");
            if let Some(unknown) = document.keys().next() {
                return Err(invalid(format!("{unknown}: only `billers` is expected at the top")));
            }
            match billers {
                Some(Value::Array(rows)) => rows,
                _ => return Err(invalid("a list named `billers` is expected".to_owned())),
            }
        }
        _ => return Err(invalid("a list of billers is expected".to_owned())),
    };
    let mut problems = Vec::new();
    let mut billers = Vec::new();
    for (at, row) in rows.into_iter().enumerate() {
        let slug = row.get("slug").and_then(Value::as_str).unwrap_or("no slug").to_owned();
        match serde_path_to_error::deserialize::<_, BillerInput>(row) {
            Ok(row) => billers.push(row),
            Err(error) => {
                let field = error.path().to_string();
                let what =
                    if field.contains("secret") { "not a secret".to_owned() } else { error.into_inner().to_string() };
                problems.push(format!("biller {} ({slug}): {field}: {what}", at + 1));
            }
        }
    }
    if problems.is_empty() { Ok(billers) } else { Err(ImportError::Invalid(problems)) }
}

/// What an import needs besides the rows.
#[derive(Clone, Debug)]
pub struct ImportContext {
    /// Seals client secrets.
    pub keys: KeyRing,
    /// Issuers over http or on this machine are allowed.
    pub allow_loopback_issuers: bool,
    /// Who asks. Changes of where people sign in then wait for somebody else, unless it is Signpost itself.
    pub actor: ActorContext,
    /// The host that customers know, which no biller can have.
    pub public_host: String,
}

/// Something that is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which biller, counted from 0.
    index: usize,
    slug: Slug,
    /// The field, with dots, such as `oidc.issuer`.
    pub field: &'static str,
    /// What is wrong with it.
    pub text: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "biller {} ({}): {}", self.index + 1, self.slug, self.text)
    }
}

/// Why one biller was not written.
#[derive(Debug, thiserror::Error)]
pub enum UpsertError {
    /// A new one has a slug that another has.
    #[error("there is a biller with this slug already")]
    SlugTaken,
    /// There is none to be changed.
    #[error("there is no such biller")]
    NotFound,
    /// It says something that cannot be.
    #[error("{} thing(s) cannot be", .0.len())]
    Invalid(Vec<Problem>),
    /// The directory failed.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Whether one biller is to be made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// It is new.
    Create,
    /// It is there.
    Update,
}

impl Directory {
    /// Imports billers. With `dry_run` everything is checked and nothing is written.
    ///
    /// # Errors
    /// Everything that is wrong with the rows, or the database's failure; nothing was written then.
    pub async fn import_billers(
        &self,
        rows: Vec<BillerInput>,
        context: &ImportContext,
        dry_run: bool,
    ) -> Result<Summary, ImportError> {
        // Written to first, so that two imports at once come one after the other, and the second sees the first.
        let mut tx = self.db.begin().await.map_err(DirectoryError::Db)?;
        store::bump(&mut tx).await.map_err(DirectoryError::Db)?;
        let known = store::load_billers_in(&mut tx).await?;
        let (mut billers, problems) = check(rows, &known, context);
        if !problems.is_empty() {
            return Err(ImportError::Invalid(problems.iter().map(ToString::to_string).collect()));
        }
        let updated = billers.iter().filter(|biller| known.by_slug(&biller.slug).is_some()).count();
        let proposals = extract_proposals(&mut billers, &known, context);
        let summary = Summary { created: billers.len() - updated, updated, pending: proposals.len() };
        if !dry_run {
            write(&mut tx, &billers, &known, context, &proposals).await?;
            tx.commit().await.map_err(DirectoryError::Db)?;
        }
        Ok(summary)
    }

    /// The billers as rows would make them: nothing is written.
    ///
    /// # Errors
    /// Everything that is wrong with the rows, or the database's failure.
    pub async fn preview_billers(
        &self,
        rows: Vec<BillerInput>,
        context: &ImportContext,
    ) -> Result<Vec<Biller>, ImportError> {
        let known = self.billers().await?;
        let (billers, problems) = check(rows, &known, context);
        let invalid = || ImportError::Invalid(problems.iter().map(ToString::to_string).collect());
        if problems.is_empty() { Ok(billers) } else { Err(invalid()) }
    }

    /// Makes or changes one biller, by the same checks, within a transaction that writes something else as well.
    ///
    /// # Errors
    /// It is not as expected, something is wrong with it, or the database failed.
    pub async fn upsert_biller_in(
        &self,
        tx: &mut Tx,
        row: BillerInput,
        context: &ImportContext,
        mode: WriteMode,
    ) -> Result<Biller, UpsertError> {
        store::bump(tx).await.map_err(DirectoryError::Db)?;
        let known = store::load_billers_in(tx).await?;
        match (mode, known.by_slug(&row.slug).is_some()) {
            (WriteMode::Create, true) => return Err(UpsertError::SlugTaken),
            (WriteMode::Update, false) => return Err(UpsertError::NotFound),
            _ => {}
        }
        let (mut billers, problems) = check(vec![row], &known, context);
        if !problems.is_empty() {
            return Err(UpsertError::Invalid(problems));
        }
        let proposals = extract_proposals(&mut billers, &known, context);
        write(tx, &billers, &known, context, &proposals).await?;
        billers.pop().ok_or(UpsertError::NotFound)
    }
}

/// The billers that rows make of those known, and everything that is wrong with them.
fn check(rows: Vec<BillerInput>, known: &Billers, context: &ImportContext) -> (Vec<Biller>, Vec<Problem>) {
    let in_file: HashSet<Slug> = rows.iter().map(|row| row.slug.clone()).collect();
    let (mut hosts, mut slugs) = (HashSet::new(), HashSet::new());
    let (mut billers, mut problems) = (Vec::new(), Vec::new());
    for (at, row) in rows.into_iter().enumerate() {
        let slug = row.slug.clone();
        let mut problem = |field, text| problems.push(Problem { index: at, slug: slug.clone(), field, text });
        if !slugs.insert(slug.clone()) {
            problem("slug", "the slug stands in the file twice".into());
        }
        let biller = convert(row, known.by_slug(&slug).map(|b| &**b), context, &mut problem);
        for host in &biller.hosts {
            let elsewhere =
                known.by_host(host).is_some_and(|owner| owner.slug != slug && !in_file.contains(&owner.slug));
            if *host == context.public_host {
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
fn extract_proposals(billers: &mut [Biller], known: &Billers, context: &ImportContext) -> Vec<(usize, ProposedChange)> {
    if context.actor.actor == Actor::System {
        return Vec::new();
    }
    let each = billers.iter_mut().enumerate();
    each.filter_map(|(at, biller)| Some((at, pending::extract_proposal(known.by_slug(&biller.slug)?, biller)?)))
        .collect()
}

async fn write(
    tx: &mut Tx,
    billers: &[Biller],
    known: &Billers,
    context: &ImportContext,
    proposals: &[(usize, ProposedChange)],
) -> Result<(), DirectoryError> {
    let actor = &context.actor;
    // Hosts may move from one biller of the file to another.
    for biller in billers {
        store::drop_hosts(tx, biller).await?;
    }
    for biller in billers {
        if biller.pinned_iss.is_none() {
            store::drop_iss_pin(tx, biller).await?;
        }
        store::upsert_biller(tx, biller, actor.now()).await?;
        let before = known.by_slug(&biller.slug).map(|before| &**before);
        let action = if before.is_some() { Action::BillerUpdated } else { Action::BillerCreated };
        let changes = changes(before, biller);
        if before.is_none() || changes.as_object().is_some_and(|changes| !changes.is_empty()) {
            actor.record(tx, AuditEvent::new(action).at(&biller.slug).with("changes", changes)).await?;
        }
    }
    for (at, change) in proposals {
        pending::insert(tx, &billers[*at], change, actor).await?;
    }
    Ok(())
}

/// Takes note of a problem: the field, and what is wrong with it.
pub(super) type ProblemSink<'a> = dyn FnMut(&'static str, String) + 'a;

fn convert(
    row: BillerInput,
    before: Option<&Biller>,
    context: &ImportContext,
    problem: &mut ProblemSink<'_>,
) -> Biller {
    let mut biller = before.cloned().unwrap_or_else(|| Biller {
        id: BillerId::new(context.actor.now(), context.actor.random()),
        slug: row.slug.clone(),
        name: String::new(),
        state: CiamState::Legacy,
        active_from: None,
        settings: BillerSettings { legacy_accounts: true, generation: 1, ..BillerSettings::default() },
        hosts: Vec::new(),
        health: IssuerStatus::default(),
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
    set(&mut settings.paused, row.paused);
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
        settings.branding = branding_input::convert(row, &settings.branding, problem);
    }
    if let Some(row) = row.rollout {
        (settings.rollout_allow, settings.rollout_percent) = rollout(row, problem);
    }
    if let Some(row) = row.oidc {
        settings.oidc = convert_oidc(row, &biller.id, context, problem);
        biller.pinned_iss = None;
    } else if row.state == Some(CiamState::Active) && settings.oidc.is_none() {
        problem("oidc", "active, but without an oidc section".into());
    }
    if let Some(user_pool) = row.secureauth {
        let id =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !(user_pool.sso || id(&user_pool.organization) && id(&user_pool.pool)) {
            problem("secureauth", "ids of organization and pool are expected, or sso = true".into());
        }
        let mode = settings.ciam_mode.filter(|mode| *mode != CiamMode::Sso);
        settings.ciam_mode = user_pool.sso.then_some(CiamMode::Sso).or(mode);
        settings.user_pool = Some(user_pool);
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
        biller.hosts = hosts.iter().filter_map(|host| parse_host(host, problem)).collect();
    }
    if row.state == Some(CiamState::Enabling) {
        problem("state", "enabling is done by Signpost itself and cannot be imported".into());
    }
    if biller.state == CiamState::Enabling && (row.state.is_some() || has_other_registration) {
        let text = format!(
            "a job is moving {}: wait for it, or stop it by `signpost enable {} --cancel`",
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

fn rollout(row: RolloutInput, problem: &mut ProblemSink<'_>) -> (Option<Vec<String>>, Option<u8>) {
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

fn parse_host(text: &str, problem: &mut ProblemSink<'_>) -> Option<String> {
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

fn convert_oidc(
    row: OidcInput,
    id: &BillerId,
    context: &ImportContext,
    problem: &mut ProblemSink<'_>,
) -> Option<OidcSettings> {
    use secrecy::ExposeSecret;
    match Url::parse(&row.issuer) {
        Ok(url) if url.scheme() == "https" || (context.allow_loopback_issuers && url.scheme() == "http") => {}
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
        Ok(secret) => Some(context.keys.seal(Purpose::Storage, id.as_str(), &secret.expose_secret())),
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
        authorization_params: AuthorizationParams {
            prompt: row.prompt,
            acr_values: row.acr_values,
            max_age: row.max_age,
            form_post: row.response_mode == ResponseMode::FormPost,
        },
    })
}
