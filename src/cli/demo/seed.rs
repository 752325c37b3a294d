//! Settings and data of the demo.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secureauth_standin::world::{PASSWORD, Ports, World};

use crate::access::{Audience, NewApiKey, Scope};
use crate::audit::Actor;
use crate::directory::{import_billers, import_users};
use crate::state::AppState;
use signpost_core::{Random, Slug};

/// The text of the settings file.
pub(super) fn settings(world: &World, ports: Ports, data: &Path, log: &str) -> Result<String, anyhow::Error> {
    let database = format!("sqlite:{}", data.join("signpost.db").display());
    Ok(world.demo_settings(ports, &database, &load_or_create_key(data)?, log))
}

/// The secret key lives beside the database, so that sealed tokens and secrets survive a restart.
fn load_or_create_key(data: &Path) -> Result<String, anyhow::Error> {
    let path = data.join("signpost.key");
    if let Ok(key) = std::fs::read_to_string(&path) {
        return Ok(key.trim().to_owned());
    }
    let key = STANDARD.encode(Random::system().bytes::<32>());
    std::fs::create_dir_all(data).with_context(|| format!("cannot create {}", data.display()))?;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| writeln!(file, "{key}")).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(key)
}

/// Imports the billers and their users.
pub(super) async fn import(state: &AppState, world: &World) -> Result<(), anyhow::Error> {
    let rows = import_billers::parse(&world.billers_file(), true)?;
    let context = import_billers::ImportContext {
        keys: state.keys.clone(),
        actor: state.actor_context(Actor::System),
        addresses: state.config.oidc.address_policy(),
        own_hosts: crate::routing::own_hosts(&state.config),
    };
    state.directory.import_billers(rows, &context, false).await?;
    let billers = state.directory.billers().await?;
    let folder = tempfile::tempdir()?;
    let password_hash = secureauth_standin::hash_password(PASSWORD, &state.random);
    for row in &world.billers {
        let path = folder.path().join(format!("{}.csv", row.slug));
        std::fs::write(&path, world.users_file(&row.slug, &password_hash))?;
        let biller = billers.by_slug(&Slug::parse(&row.slug)?).context("the biller was imported")?;
        let options = import_users::Options { legacy_accounts: true, dry_run: false, refuse_plain_passwords: true };
        let context = import_users::ImportContext { actor: &state.actor_context(Actor::System), keys: &state.keys };
        state.directory.import_users(&path, biller, options, context, &|_| {}).await?;
    }
    Ok(())
}

pub(super) struct ApiKeys {
    pub all_scopes: String,
    pub legacy: String,
    pub portal: String,
}

/// Creates the API keys of this run and revokes those of earlier runs on the same data.
pub(super) async fn create_api_keys(state: &AppState) -> Result<ApiKeys, anyhow::Error> {
    let actor = state.actor_context(Actor::System);
    for old in state.api_keys.list().await?.iter().filter(|key| key.name.starts_with("demo: ")) {
        state.api_keys.revoke(&old.id, &actor).await?;
    }
    let key = |name: &str, scopes: &[Scope], audience| NewApiKey {
        name: format!("demo: {name}"),
        scopes: scopes.to_vec(),
        audience,
        billers: None,
        expires_at: None,
    };
    let redeem = [Scope::HandoffRedeem];
    Ok(ApiKeys {
        all_scopes: state.api_keys.create(&key("all scopes", Scope::ALL, None), &actor).await?,
        legacy: state.api_keys.create(&key("legacy portal", &redeem, Some(Audience::Legacy)), &actor).await?,
        portal: state.api_keys.create(&key("biller portal", &redeem, Some(Audience::Portal)), &actor).await?,
    })
}
