//! API keys. A key is shown once and stored as a hash.
//!
//! A key is `sp_`, an id of 12 hexadecimal digits, `_`, a secret of 64 digits and a checksum of 8 digits. The checksum rejects a
//! mistyped key without a database query. The prefix lets secret scanners find leaked keys.

use std::sync::{Arc, PoisonError, RwLock};

use subtle::ConstantTimeEq;

use crate::audit::{Action, Actor, ActorContext, AuditEvent};
use crate::db::{Db, DbError, Row, Sql, Tx};
use crate::{sql, values};
use signpost_core::text::{hash64, sha256};
use signpost_core::{Clock, Random, Scope, Slug, Timestamp};

const INSERT: Sql = sql!(
    "INSERT INTO api_key (id, hash, name, scopes, audience, billers, created_at, expires_at, principal) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
);
const BY_ID: Sql = sql!(
    "SELECT id, name, scopes, audience, billers, created_at, expires_at, revoked_at, last_used_at, hash, principal \
     FROM api_key WHERE id = $1"
);
const ALL: Sql = sql!(
    "SELECT id, name, scopes, audience, billers, created_at, expires_at, revoked_at, last_used_at, hash, principal \
     FROM api_key ORDER BY created_at, id"
);
const REVOKE: Sql = sql!("UPDATE api_key SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL");
const TOUCH: Sql =
    sql!("UPDATE api_key SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $3)");

/// How often `last_used_at` is written.
const TOUCH_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// Whose handoffs a key may redeem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Handoffs to the legacy portal.
    Legacy,
    /// Handoffs to the biller portal.
    Portal,
}

impl Audience {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Portal => "portal",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Legacy, Self::Portal].into_iter().find(|audience| audience.as_str() == text)
    }
}

#[derive(Clone, Debug)]
pub struct NewApiKey {
    pub name: String,
    pub scopes: Vec<Scope>,
    /// `None` for handoffs of any audience.
    pub audience: Option<Audience>,
    /// `None` for all billers.
    pub billers: Option<Vec<Slug>>,
    pub expires_at: Option<Timestamp>,
}

/// A stored key.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// The public part of the key.
    pub id: String,
    pub name: String,
    pub scopes: Vec<Scope>,
    /// `None` for handoffs of any audience.
    pub audience: Option<Audience>,
    /// `None` for all billers.
    pub billers: Option<Vec<Slug>>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// Accurate to a minute.
    pub last_used_at: Option<Timestamp>,
    /// The person or system that it was created for, or the principal of its creator.
    pub principal: String,
}

#[derive(Clone)]
pub struct CreatedApiKey {
    /// The key itself. It is not stored and cannot be shown again.
    pub key: String,
    pub record: ApiKey,
}

impl ApiKey {
    /// Whether the holder may create `new`: it allows no more than this key and expires no later.
    pub fn may_create(&self, new: &NewApiKey) -> bool {
        let ends = self.expires_at.is_none_or(|own| new.expires_at.is_some_and(|end| end <= own));
        ends && self.allows_all(&new.scopes, new.audience, new.billers.as_deref())
    }

    /// Whether this key allows everything that the other one allows.
    pub fn covers(&self, other: &Self) -> bool {
        self.allows_all(&other.scopes, other.audience, other.billers.as_deref())
    }

    fn allows_all(&self, scopes: &[Scope], audience: Option<Audience>, billers: Option<&[Slug]>) -> bool {
        let in_scope = |own: &Vec<Slug>| billers.is_some_and(|billers| billers.iter().all(|slug| own.contains(slug)));
        scopes.iter().all(|scope| self.allows(*scope))
            && (self.audience.is_none() || self.audience == audience)
            && self.billers.as_ref().is_none_or(in_scope)
    }

    fn check(&self, now: Timestamp) -> Result<(), KeyError> {
        let id = || self.id.clone();
        match (self.revoked_at, self.expires_at) {
            (Some(at), _) => Err(KeyError::Revoked { id: id(), at }),
            (None, Some(at)) if at <= now => Err(KeyError::Expired { id: id(), at, now }),
            _ => Ok(()),
        }
    }

    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    pub fn actor(&self) -> Actor {
        let Self { id, name, principal, created_at, .. } = self.clone();
        Actor::Key { id, name, principal, created_at }
    }

    pub fn permits_biller(&self, biller: &Slug) -> bool {
        self.billers.as_ref().is_none_or(|billers| billers.contains(biller))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("it is not an API key: expected sp_, an id, _ and a secret")]
    Malformed,
    #[error("the database has no API key with the id {0} and this secret")]
    Unknown(String),
    #[error("the API key {id} was revoked at {at}; use another")]
    Revoked { id: String, at: Timestamp },
    #[error("the API key {id} expired at {at}, and it is {now} now; use another")]
    Expired { id: String, at: Timestamp, now: Timestamp },
    #[error(transparent)]
    Db(#[from] DbError),
}

#[derive(Clone, Debug)]
pub struct ApiKeys {
    db: Db,
    clock: Clock,
    random: Random,
    /// Keys that may redeem handoffs, with their hashes, as last read.
    offline: Arc<RwLock<Vec<(ApiKey, String)>>>,
}

impl ApiKeys {
    pub fn new(db: Db, clock: Clock, random: Random) -> Self {
        Self { db, clock, random, offline: Arc::default() }
    }

    /// Returns the new key. It is not stored and cannot be shown again.
    pub async fn create(&self, new: &NewApiKey, actor: &ActorContext) -> Result<String, DbError> {
        let mut tx = self.db.begin().await?;
        let created = self.create_in(&mut tx, new, actor).await?;
        tx.commit().await?;
        Ok(created.key)
    }

    /// Like [`Self::create`], for a person or system that is a principal of its own. The actor vouches for that: only the
    /// local command line offers it.
    pub async fn create_for(&self, owner: &str, new: &NewApiKey, actor: &ActorContext) -> Result<String, DbError> {
        let mut tx = self.db.begin().await?;
        let created = self.insert(&mut tx, new, principal_of(owner), actor).await?;
        tx.commit().await?;
        Ok(created.key)
    }

    /// The key has the principal of its creator.
    pub async fn create_in(
        &self,
        tx: &mut Tx,
        new: &NewApiKey,
        actor: &ActorContext,
    ) -> Result<CreatedApiKey, DbError> {
        self.insert(tx, new, actor.actor.principal(), actor).await
    }

    async fn insert(
        &self,
        tx: &mut Tx,
        new: &NewApiKey,
        principal: String,
        actor: &ActorContext,
    ) -> Result<CreatedApiKey, DbError> {
        let id = hex(&self.random.bytes::<6>());
        let secret = hex(&self.random.bytes::<32>());
        let body = format!("sp_{id}_{secret}");
        let key = format!("{body}{}", checksum(&body));
        let scopes = new.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ");
        let billers = new.billers.as_ref().map(|b| b.iter().map(Slug::as_str).collect::<Vec<_>>().join(" "));
        let (hash, audience) = (sha256(key.as_bytes()), new.audience.map(Audience::as_str));
        let now = self.clock.now();
        let event = AuditEvent::new(Action::KeyCreated)
            .about(&id)
            .with("name", new.name.as_str())
            .with("principal", principal.as_str())
            .with("scopes", scopes.as_str());
        let event = event.with("billers", billers.clone()).with("until", new.expires_at.map(|at| at.to_string()));
        let values = values![&id, hash, new.name.as_str(), scopes, audience, billers, now, new.expires_at, &principal];
        tx.run(INSERT, values).await?;
        actor.record(tx, event).await?;
        let NewApiKey { name, scopes, audience, billers, expires_at } = new.clone();
        let (revoked_at, last_used_at) = (None, None);
        let created_at = now;
        let record =
            ApiKey { id, name, scopes, audience, billers, created_at, expires_at, revoked_at, last_used_at, principal };
        Ok(CreatedApiKey { key, record })
    }

    /// Oldest first.
    pub async fn list(&self) -> Result<Vec<ApiKey>, DbError> {
        self.db.all(ALL, values![]).await?.iter().map(read).collect()
    }

    /// Returns false if the key is unknown or revoked already.
    pub async fn revoke(&self, id: &str, actor: &ActorContext) -> Result<bool, DbError> {
        let mut tx = self.db.begin().await?;
        if tx.run(REVOKE, values![id, self.clock.now()]).await? == 0 {
            return Ok(false);
        }
        actor.record(&mut tx, AuditEvent::new(Action::KeyRevoked).about(id)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Whether a text has the shape of a key.
    pub fn is_well_formed(text: &str) -> bool {
        parse_key_id(text).is_some()
    }

    pub async fn authenticate(&self, presented: &str) -> Result<ApiKey, KeyError> {
        let id = parse_key_id(presented).ok_or(KeyError::Malformed)?;
        let unknown = || KeyError::Unknown(id.to_owned());
        let row = self.db.one(BY_ID, values![id]).await?.ok_or_else(unknown)?;
        let hash = sha256(presented.as_bytes());
        if !bool::from(hash.as_bytes().ct_eq(row.text("hash")?.as_bytes())) {
            return Err(unknown());
        }
        let key = read(&row)?;
        let now = self.clock.now();
        key.check(now)?;
        // A database that can only be read still knows who may call.
        if key.last_used_at.is_none_or(|used| used.plus(TOUCH_EVERY) <= now)
            && let Err(error) = self.db.run(TOUCH, values![id, now, now.minus(TOUCH_EVERY)]).await
        {
            tracing::debug!(key = id, error = %error, "the last use of an API key was not written");
        }
        Ok(key)
    }

    /// Reads the keys that [`Self::authenticate_offline`] knows.
    pub async fn refresh_offline_keys(&self) -> Result<(), DbError> {
        let rows = self.db.all(ALL, values![]).await?;
        let mut keys = Vec::new();
        for row in &rows {
            let key = read(row)?;
            if key.allows(Scope::HandoffRedeem) && key.check(self.clock.now()).is_ok() {
                keys.push((key, row.text("hash")?));
            }
        }
        *self.offline.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Authenticates a key that may redeem handoffs while the database is away, by the keys as last read.
    pub fn authenticate_offline(&self, presented: &str) -> Option<ApiKey> {
        let id = parse_key_id(presented)?;
        let hash = sha256(presented.as_bytes());
        let keys = self.offline.read().unwrap_or_else(PoisonError::into_inner);
        let (key, _) =
            keys.iter().find(|(key, stored)| key.id == id && bool::from(hash.as_bytes().ct_eq(stored.as_bytes())))?;
        key.check(self.clock.now()).is_ok().then(|| key.clone())
    }
}

/// Checks the shape and the checksum.
fn parse_key_id(presented: &str) -> Option<&str> {
    let rest = presented.strip_prefix("sp_")?;
    let plain = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let (id, secret) = rest.split_once('_')?;
    if id.len() != 12 || secret.len() != 72 || !id.chars().all(plain) || !secret.chars().all(plain) {
        return None;
    }
    let (body, check) = presented.split_at(presented.len() - 8);
    (checksum(body) == check).then_some(id)
}

/// The principal of a person or system, however its name is capitalized.
fn principal_of(owner: &str) -> String {
    format!("person {}", owner.to_lowercase())
}

fn checksum(body: &str) -> String {
    format!("{:08x}", hash64(body.as_bytes()) >> 32)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn read(row: &Row) -> Result<ApiKey, DbError> {
    let audience = row.opt_text("audience")?;
    let known = audience.as_deref().and_then(Audience::parse);
    // An unknown audience is still a restriction: such a key allows nothing.
    let scopes = if known.is_none() && audience.is_some() { String::new() } else { row.text("scopes")? };
    Ok(ApiKey {
        id: row.text("id")?,
        name: row.text("name")?,
        scopes: scopes.split(' ').filter_map(Scope::parse).collect(),
        audience: known,
        billers: row
            .opt_text("billers")?
            .map(|list| list.split(' ').filter_map(|slug| Slug::parse(slug).ok()).collect()),
        created_at: row.time("created_at")?,
        expires_at: row.opt_time("expires_at")?,
        revoked_at: row.opt_time("revoked_at")?,
        last_used_at: row.opt_time("last_used_at")?,
        principal: row.text("principal")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_key_is_rejected_without_a_database_query() {
        let body = format!("sp_{}_{}", "0".repeat(12), "a".repeat(64));
        let key = format!("{body}{}", checksum(&body));
        assert_eq!(parse_key_id(&key), Some("000000000000"));
        for wrong in [&key[..key.len() - 1], &format!("{key}0"), &key.replace("aaaa", "aaab"), &key.to_uppercase(), ""]
        {
            assert_eq!(parse_key_id(wrong), None, "{wrong}");
        }
    }
}
