//! Users of pools at the hosted sign-in page.

use std::sync::Arc;

use serde_json::{Value, json};

use super::passwords::{check_policy, hash_password_async, store_hash};
use crate::secureauth::config::IdpUser;
use crate::secureauth::state::account::Account;
use crate::secureauth::state::api::Api;
use crate::secureauth::state::objects::{Objects, str_field, to_object};
use crate::secureauth::state::records::{Credential, Member};
use crate::secureauth::state::standin::SecureAuthStandIn;
use signpost_core::Timestamp;

/// The vendor writes it for a missing date.
const NO_DATE: &str = "1900-01-01";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordState {
    Valid,
    /// Accepted once more, then the user has to set a new one.
    MustBeChanged,
    /// Not accepted: the user has to set a new one.
    MustBeReset,
    None,
}

/// A user who may sign in at an organization.
pub(crate) struct PoolUser {
    /// The pool's id.
    pub pool: String,
    pub account: Account,
    /// The user's id.
    pub user: String,
    pub hash: Option<Arc<str>>,
    pub password: PasswordState,
}

/// The active user with this identifier in a pool that is connected to the organization.
pub(crate) fn find_pool_user(api: &Api, organization: &str, typed: &str, now: Timestamp) -> Option<PoolUser> {
    let objects = api.objects();
    let mut pools = connected_pools(&objects, organization);
    pools.find_map(|pool| pool_user(pool, objects.pools.get(pool)?.find_by_identifier(typed)?, now))
}

/// Like [`find_pool_user`], by ids.
pub(crate) fn find_pool_user_by_id(
    api: &Api,
    organization: &str,
    pool: &str,
    user: &str,
    now: Timestamp,
) -> Option<PoolUser> {
    let objects = api.objects();
    connected_pools(&objects, organization).find(|id| *id == pool)?;
    pool_user(pool, objects.member(pool, user).ok()?, now)
}

/// Sets a new password. Does nothing if the user was deleted meanwhile.
pub(crate) async fn set_password(standin: &SecureAuthStandIn, pool: &str, user: &str, password: &str) {
    let hash = hash_password_async(standin, password).await;
    let _ = store_hash(&mut standin.api().objects(), pool, user, &hash, standin.now(), standin.random());
}

/// The reason why the pool's policy rejects a password.
pub(crate) fn policy_error(api: &Api, pool: &str, password: &str) -> Option<String> {
    let objects = api.objects();
    let pool = objects.pool(pool).ok()?;
    check_policy(&pool.resource.value, password).err().map(|problem| problem.details)
}

/// Pools with a connection that is not disabled.
fn connected_pools<'a>(objects: &'a Objects, organization: &'a str) -> impl Iterator<Item = &'a str> {
    objects
        .idps
        .values()
        .filter(move |idp| str_field(&idp.value, "authorization_server_id") == Some(organization))
        .filter(|idp| idp.value.get("disabled") != Some(&json!(true)))
        .filter_map(|idp| str_field(&idp.value, "identity_pool_id"))
}

/// The user for a sign-in, if active.
pub(super) fn pool_user(pool: &str, member: &Member, now: Timestamp) -> Option<PoolUser> {
    if member.user.status != "active" {
        return None;
    }
    let credential = member.password();
    Some(PoolUser {
        pool: pool.to_owned(),
        user: member.user.id.clone(),
        account: account(pool, member),
        hash: credential.and_then(Credential::hash).map(Arc::from),
        password: credential.map_or(PasswordState::None, |credential| password_state(credential, now)),
    })
}

fn password_state(credential: &Credential, now: Timestamp) -> PasswordState {
    let expired = credential.expires_at.as_deref().is_some_and(|text| {
        !text.starts_with(NO_DATE) && Timestamp::parse_rfc3339(text).is_some_and(|moment| moment <= now)
    });
    match credential.state.as_deref() {
        Some("must_be_reset") => PasswordState::MustBeReset,
        _ if expired => PasswordState::MustBeReset,
        Some("must_be_changed") => PasswordState::MustBeChanged,
        _ => PasswordState::Valid,
    }
}

/// The first identifier of type `uid` is the username, else the first of all.
fn account(pool: &str, member: &Member) -> Account {
    let uid = member.identifiers.iter().find(|entry| entry.kind == "uid").or(member.identifiers.first());
    let username = uid.map_or_else(|| member.user.id.clone(), |entry| entry.identifier.clone());
    let payload = &member.user.payload;
    let joined = || {
        let parts = [["given_name", "first_name"], ["family_name", "last_name"]];
        let parts = parts.map(|names| names.iter().find_map(|name| str_field(payload, name)).unwrap_or_default());
        parts.join(" ").trim().to_owned()
    };
    let name = str_field(payload, "name").map_or_else(joined, str::to_owned);
    let by_address = member.addresses.iter().find(|entry| entry.kind == "email");
    let by_identifier = || member.identifiers.iter().find(|entry| entry.kind == "email").map(|entry| &entry.identifier);
    let email = by_address.map(|entry| &entry.address).or_else(by_identifier).cloned().unwrap_or_default();
    let id = &member.user.id;
    let mut context = payload.clone();
    context.extend(to_object(json!({
        "id": id,
        "user_id": id,
        "identity_pool_user_id": id,
        "identity_pool_uuid": id,
        "user_pool_user_id": id,
        "idp_sub": id,
        "identity_pool_id": pool,
        "user_pool_id": pool,
        "username": username,
        "preferred_username": username,
        "name": name,
        "email": email,
        "identifiers": member.identifiers.iter().map(|entry| json!(entry.identifier)).collect::<Value>(),
    })));
    Account {
        user: IdpUser { username, name, email },
        key: format!("{pool}\n{id}"),
        email_verified: by_address.is_some_and(|entry| entry.verified),
        context,
    }
}

impl PoolUser {
    /// Whether the user has to set a new password before the sign-in completes.
    pub(crate) fn needs_new_password(&self, password_right: bool) -> bool {
        match self.password {
            PasswordState::MustBeReset => true,
            PasswordState::MustBeChanged => password_right,
            PasswordState::Valid | PasswordState::None => false,
        }
    }
}
