//! `signpost keys create|list|revoke`

use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::CliResult;
use super::operator::{Concerned, Global, Session};
use super::output::Output;
use crate::access::{ApiKey, Audience, NewApiKey, Scope};
use crate::api::responses::{ApiKeyList, ApiKeyResponse, CreatedApiKey};
use signpost_core::{Slug, Timestamp};

#[derive(Debug, Subcommand)]
pub(super) enum Arguments {
    /// Create a key and print it once
    #[command(after_help = "Example: signpost keys create --name crm --scope billers:read --biller riverside-water")]
    Create(Create),
    /// List keys without their secrets
    #[command(after_help = "Example: signpost keys list --valid")]
    List {
        /// Only keys that are neither revoked nor expired
        #[arg(long)]
        valid: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Revoke a key
    #[command(after_help = "Example: signpost keys revoke 3f1b09ac77de")]
    Revoke {
        /// The key, or its id: the 12 characters after `sp_`
        id: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Purpose of the key
    #[arg(long, value_parser = name)]
    name: String,
    /// Scope; repeatable
    #[arg(long = "scope", required = true, value_parser = scope)]
    scopes: Vec<Scope>,
    /// Only handoffs for this system: `legacy` or `portal`
    #[arg(long, value_parser = audience)]
    audience: Option<Audience>,
    /// Only this biller; repeatable
    #[arg(long = "biller", value_parser = slug)]
    billers: Vec<Slug>,
    /// The person or system that the key is for, who then counts as a requester and approver of their own; without it, the key
    /// counts as its creator
    ///
    /// You vouch that the name is that of its only holder. Keys for the same name count as one.
    #[arg(long = "for", value_name = "NAME", value_parser = name)]
    owner: Option<String>,
    /// Days until the key expires
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3650))]
    expires_days: Option<u64>,
    #[command(flatten)]
    output: Output,
}

fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let fit = (1..=100).contains(&name.len()) && !name.chars().any(char::is_control);
    if fit { Ok(name.to_owned()) } else { Err("expected 1 to 100 printable characters".to_owned()) }
}

fn scope(text: &str) -> Result<Scope, String> {
    let names: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    Scope::parse(text).ok_or_else(|| format!("expected one of {}", names.join(", ")))
}

/// What a key allows and until when.
fn limits(scopes: &[Scope], audience: Option<Audience>, billers: Option<&[Slug]>, until: Option<Timestamp>) -> String {
    let scopes = scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ");
    let audience = audience.map_or_else(String::new, |audience| format!(" for {}", audience.as_str()));
    let billers = billers.map_or_else(String::new, |billers| {
        format!(" at {}", billers.iter().map(Slug::as_str).collect::<Vec<_>>().join(", "))
    });
    let until = until.map_or_else(String::new, |at| format!(" until {at}"));
    format!("[{scopes}]{audience}{billers}{until}")
}

fn audience(text: &str) -> Result<Audience, String> {
    Audience::parse(text).ok_or_else(|| "expected legacy or portal".to_owned())
}

fn slug(text: &str) -> Result<Slug, String> {
    Slug::parse(text).map_err(|error| error.to_string())
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> CliResult {
    let session = global.open(Some(Scope::KeysWrite), Concerned::AsPermitted).await?;
    match arguments {
        Arguments::Create(arguments) => create(&session, arguments).await,
        Arguments::List { valid, output } => list(&session, valid, output).await,
        Arguments::Revoke { id, output } => revoke(&session, &id, output).await,
    }
}

async fn create(session: &Session, mut create: Create) -> CliResult {
    let state = &session.state;
    create.scopes.sort_unstable();
    create.scopes.dedup();
    let billers = state.directory.billers().await?;
    if let Some(unknown) = create.billers.iter().find(|slug| billers.by_slug(slug).is_none()) {
        bail!("there is no biller {unknown}");
    }
    let now = state.clock.now();
    let new = NewApiKey {
        name: create.name,
        scopes: create.scopes,
        audience: create.audience,
        billers: (!create.billers.is_empty()).then_some(create.billers),
        expires_at: create.expires_days.map(|days| now.plus(Duration::from_secs(days * 24 * 3600))),
    };
    let (keys, actor) = (&state.api_keys, session.actor()?);
    if let Some(own) = session.key() {
        if create.owner.is_some() {
            bail!(
                "--for needs the local command line, which vouches for the name; without --as and \
                 SIGNPOST_OPERATOR_KEY_FILE it works, and without --for the key counts as {}",
                own.principal
            );
        }
        if !own.may_create(&new) {
            let own = limits(&own.scopes, own.audience, own.billers.as_deref(), own.expires_at);
            let new = limits(&new.scopes, new.audience, new.billers.as_deref(), new.expires_at);
            bail!("a key creates only keys that allow no more than itself: it allows {own}, the new key {new}");
        }
    }
    let key = match &create.owner {
        Some(owner) => keys.create_for(owner, &new, &actor).await?,
        None => keys.create(&new, &actor).await?,
    };
    let id = id_of(&key);
    let record = keys.list().await?.into_iter().find(|record| record.id == id);
    let record = record.context("the new key was deleted in the meantime")?;
    let created = CreatedApiKey { key, api_key: ApiKeyResponse::new(&record) };
    create.output.print(&created, || outln!("{}", created.key))?;
    eprintln!("Store it in a safe place. It is not shown again.");
    Ok(())
}

async fn list(session: &Session, only_valid: bool, output: Output) -> CliResult {
    let now = session.state.clock.now();
    let is_valid = |key: &ApiKey| key.revoked_at.is_none() && key.expires_at.is_none_or(|at| at > now);
    let mut keys = session.state.api_keys.list().await?;
    keys.retain(|key| may_see(session, key) && (!only_valid || is_valid(key)));
    output.print(&ApiKeyList { keys: keys.iter().map(ApiKeyResponse::new).collect() }, || {
        for key in &keys {
            let allowed = limits(&key.scopes, key.audience, key.billers.as_deref(), None);
            let status = match (key.revoked_at, key.expires_at) {
                (Some(at), _) => format!("revoked {at}"),
                (None, Some(at)) if at <= now => format!("expired {at}"),
                (None, Some(at)) => format!("until {at}"),
                (None, None) => "valid".to_owned(),
            };
            let used = key.last_used_at.map_or_else(|| "never used".to_owned(), |at| format!("last used {at}"));
            outln!("{}  {}  of {}  {allowed}  {status}, {used}", key.id, key.name, key.principal);
        }
    })
}

async fn revoke(session: &Session, id: &str, output: Output) -> CliResult {
    let keys = &session.state.api_keys;
    let id = id_of(id);
    let is_known = keys.list().await?.iter().any(|key| key.id == id && may_see(session, key));
    if !is_known || !keys.revoke(id, &session.actor()?).await? {
        bail!("there is no valid key with the id {id}; `signpost keys list` lists keys");
    }
    let record = keys.list().await?.into_iter().find(|key| key.id == id).context("the key was deleted")?;
    output.print(&ApiKeyResponse::new(&record), || outln!("revoked {id}"))
}

fn may_see(session: &Session, key: &ApiKey) -> bool {
    session.key().is_none_or(|own| own.covers(key))
}

/// The id of a key: an argument may be the whole key.
fn id_of(key: &str) -> &str {
    let id = key.strip_prefix("sp_").unwrap_or(key);
    id.split('_').next().unwrap_or(id)
}
