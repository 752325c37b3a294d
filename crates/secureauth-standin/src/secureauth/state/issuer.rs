//! One organization while the stand-in runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::account::Account;
use super::grants::AuthorizationCodes;
use super::keys::SigningKey;
use crate::secureauth::config::{IdpUser, IssuerState};
use crate::store::{Store, lock};
use signpost_core::Timestamp;

/// How long a browser stays signed in at an organization.
pub(crate) const SESSION_LIFETIME: Duration = Duration::from_hours(8);

pub(crate) struct Issuer {
    pub id: String,
    pub url: String,
    /// Path of the issuer: of its cookie and its forms.
    pub path: String,
    name: Mutex<String>,
    /// Users of the configuration, by lower-case username.
    pub users: HashMap<String, Account>,
    down: AtomicBool,
    deactivated: AtomicBool,
    key: Mutex<Option<Arc<SigningKey>>>,
    pub codes: AuthorizationCodes,
    pub access_tokens: Store<AccessToken>,
    pub sessions: Store<Session>,
}

#[derive(Clone)]
pub(crate) struct AccessToken {
    pub account: Account,
    pub expires: Timestamp,
}

/// A browser that is signed in.
#[derive(Clone)]
pub(crate) struct Session {
    pub username: String,
    pub expires: Timestamp,
}

impl Issuer {
    pub(crate) fn new(base: &str, tenant: &str, id: &str, name: &str, users: &[IdpUser]) -> Self {
        let path = format!("/{tenant}/{id}");
        Self {
            id: id.to_owned(),
            url: format!("{base}{path}"),
            path,
            name: Mutex::new(name.to_owned()),
            users: users.iter().map(|user| (user.username.to_lowercase(), Account::new(user))).collect(),
            down: AtomicBool::new(false),
            deactivated: AtomicBool::new(false),
            key: Mutex::default(),
            codes: AuthorizationCodes::default(),
            access_tokens: Store::default(),
            sessions: Store::default(),
        }
    }

    pub(crate) fn state(&self) -> IssuerState {
        if self.down.load(Ordering::SeqCst) {
            IssuerState::Down
        } else if self.deactivated() {
            IssuerState::Deactivated
        } else {
            IssuerState::Up
        }
    }

    /// `Down` keeps the flag `deactivated` as it is: an outage does not change the organization.
    pub(crate) fn set_state(&self, state: IssuerState) {
        self.down.store(state == IssuerState::Down, Ordering::SeqCst);
        if state != IssuerState::Down {
            self.set_deactivated(state == IssuerState::Deactivated);
        }
    }

    pub(crate) fn deactivated(&self) -> bool {
        self.deactivated.load(Ordering::SeqCst)
    }

    pub(crate) fn set_deactivated(&self, deactivated: bool) {
        self.deactivated.store(deactivated, Ordering::SeqCst);
    }

    pub(crate) fn name(&self) -> String {
        lock(&self.name).clone()
    }

    pub(crate) fn set_name(&self, name: &str) {
        name.clone_into(&mut lock(&self.name));
    }

    /// The signing key. The first call generates it.
    #[expect(clippy::expect_used, reason = "the task neither panics nor is cancelled")]
    pub(crate) async fn key(self: &Arc<Self>) -> Arc<SigningKey> {
        let issuer = Arc::clone(self);
        let make = move || Arc::clone(lock(&issuer.key).get_or_insert_with(|| Arc::new(SigningKey::generate())));
        tokio::task::spawn_blocking(make).await.expect("a key is generated")
    }

    pub(crate) fn drop_key(&self) {
        *lock(&self.key) = None;
    }

    /// Name of the cookie of the browser's session.
    pub(crate) fn session_cookie(&self) -> String {
        format!("sa_session_{}", self.id)
    }
}
