//! Who acts at the command line: the local command line itself, or the API key of an operator.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::{CliResult, error_message};
use crate::access::{ApiKey, ApiKeys, Scope};
use crate::app::App;
use crate::audit::{Actor, ActorContext, AuditEvent};
use crate::db::Schema;
use crate::state::AppState;
use signpost_core::{Clock, Random, Slug};

/// Options of every command.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// Settings file; see signpost.example.toml
    #[arg(long, global = true, env = "SIGNPOST_CONFIG", default_value = "signpost.toml", value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Act as the API key in this file: audit events, approvals and new keys are the key's, and its scopes apply
    #[arg(long = "as", global = true, env = "SIGNPOST_OPERATOR_KEY_FILE", value_name = "KEYFILE")]
    key_file: Option<PathBuf>,
}

/// The billers that a command concerns. A key may be limited to some.
#[derive(Clone, Copy, Debug)]
pub(super) enum Concerned<'a> {
    All,
    One(&'a Slug),
    /// The command itself asks the session.
    AsPermitted,
}

/// An open database, and who acts.
pub(super) struct Session {
    pub(super) state: AppState,
    key: Option<ApiKey>,
}

impl Global {
    /// Opens the database of the settings. Commands other than `serve` never change the schema, because instances may run on it.
    /// With `--as`, refuses a key without `scope`, which is what the API requires, or without access to the billers.
    pub(super) async fn open(&self, scope: Option<Scope>, concerned: Concerned<'_>) -> Result<Session, anyhow::Error> {
        let settings = super::load(&self.config)?;
        let state = App::open(settings, Schema::RequireCurrent, Clock::System, Random::system()).await?;
        let key = match &self.key_file {
            Some(file) => Some(authenticate(&state, file).await?),
            None => None,
        };
        if let Some(key) = &key {
            require(key, scope, concerned)?;
        }
        Ok(Session { state, key })
    }

    /// For changes of a file on this machine, which do not need the database: opens it only to check the key of `--as`.
    pub(super) async fn open_for_key(
        &self,
        scope: Option<Scope>,
        concerned: Concerned<'_>,
    ) -> Result<Option<Session>, anyhow::Error> {
        if self.key_file.is_none() {
            return Ok(None);
        }
        let opened = self.open(scope, concerned).await;
        opened.map(Some).context(
            "nothing was changed; without --as and SIGNPOST_OPERATOR_KEY_FILE, this works without the database",
        )
    }

    /// Records a change of a file on this machine, if the database is available.
    pub(super) async fn record_if_possible(&self, session: Option<Session>, event: AuditEvent) {
        let recorded = async {
            let session = match session {
                Some(session) => session,
                None => self.open(None, Concerned::All).await?,
            };
            session.actor()?.record_alone(&session.state.db, event).await?;
            Ok::<_, anyhow::Error>(())
        };
        if let Err(error) = recorded.await {
            eprintln!("the change is done, but recording the audit event failed: {}", error_message(&error));
        }
    }
}

impl Session {
    /// Who acts, for the audit trail.
    pub(super) fn actor(&self) -> Result<ActorContext, anyhow::Error> {
        let actor = match &self.key {
            Some(key) => key.actor(),
            None => local_actor()?,
        };
        Ok(self.state.actor_context(actor))
    }

    pub(super) fn key(&self) -> Option<&ApiKey> {
        self.key.as_ref()
    }

    pub(super) fn permits_biller(&self, slug: &Slug) -> bool {
        self.key.as_ref().is_none_or(|key| key.permits_biller(slug))
    }

    pub(super) fn require_biller(&self, slug: &Slug) -> CliResult {
        self.key.as_ref().map_or(Ok(()), |key| require(key, None, Concerned::One(slug)))
    }

    /// The billers that the operator may see; `None`: all.
    pub(super) fn biller_scope(&self) -> Option<&[Slug]> {
        self.key.as_ref()?.billers.as_deref()
    }
}

/// The local command line.
pub(super) fn local_actor() -> Result<Actor, anyhow::Error> {
    Ok(Actor::Cli { user: os_account()? })
}

async fn authenticate(state: &AppState, file: &Path) -> Result<ApiKey, anyhow::Error> {
    if file.to_str().is_some_and(ApiKeys::is_well_formed) {
        bail!("--as takes a file that contains the key, because others can see the command line; revoke this key");
    }
    let cannot_act = || format!("cannot act as the key in {} (--as, SIGNPOST_OPERATOR_KEY_FILE)", file.display());
    let text = std::fs::read_to_string(file).with_context(cannot_act)?;
    state.api_keys.authenticate(text.trim()).await.with_context(cannot_act)
}

fn require(key: &ApiKey, scope: Option<Scope>, concerned: Concerned<'_>) -> CliResult {
    let named = format!("the key {} ({})", key.name, key.id);
    if let Some(scope) = scope.filter(|scope| !key.allows(*scope)) {
        let own = key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ");
        let needed = scope.as_str();
        bail!("{named} has the scopes [{own}], and this command needs {needed}; act as a key with that scope");
    }
    let Some(own) = &key.billers else { return Ok(()) };
    let concerned = match concerned {
        Concerned::AsPermitted => return Ok(()),
        Concerned::One(slug) if own.contains(slug) => return Ok(()),
        Concerned::One(slug) => slug.as_str(),
        Concerned::All => "all billers",
    };
    let own = own.iter().map(Slug::as_str).collect::<Vec<_>>().join(", ");
    bail!("{named} is limited to {own}, and this command concerns {concerned}; act as a key without that limit")
}

/// The operating system account: the owner of this process, or the account that called sudo.
fn os_account() -> Result<String, anyhow::Error> {
    let uid = std::fs::metadata("/proc/self").context("cannot read /proc")?.uid();
    let sudo = std::env::vars().find(|(name, _)| name == "SUDO_UID" && uid == 0).map(|(_, value)| value);
    let uid = sudo.unwrap_or_else(|| uid.to_string());
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    Ok(named.unwrap_or(uid))
}
