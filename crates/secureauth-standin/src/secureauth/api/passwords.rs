//! Passwords of users in pools: state, change, reset by mail.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use serde_json::Value;

use super::Api;
use super::objects::{Credential, Json, MailCode, Objects, check_if_match, new_id, str_field};
use super::response::{ApiError, ApiResponse, ApiResult};
use super::routes::Call;
use super::users::password_credential;
use crate::passwords::{hash_password, verify};
use crate::secureauth::SecureAuthStandIn;
use crate::store::lock;
use signpost_core::{Random, Timestamp};

/// How long a code is good; the vendor's default is not documented.
const CODE_LIFETIME: Duration = Duration::from_mins(10);

/// What a mail is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailKind {
    /// Setting a new password.
    Reset,
    /// Becoming active, and setting a first password.
    Activation,
}

/// A mail with a code.
#[derive(Clone, Debug)]
pub struct Mail {
    /// What it is about.
    pub kind: MailKind,
    /// The address.
    pub to: String,
    /// The pool's id.
    pub pool: String,
    /// The user's id.
    pub user: String,
    /// To be sent back with the address, an identifier or the user's id.
    pub code: String,
    /// To be sent back alone.
    pub extended_code: String,
    /// The organization named in the request.
    pub organization: Option<String>,
    /// When.
    pub sent: Timestamp,
}

/// Whose new password a page asks for.
#[derive(Clone)]
pub(crate) struct Ticket {
    /// The pool's id.
    pub pool: String,
    /// The user's id.
    pub user: String,
}

impl Api {
    /// A ticket for a page that asks for a new password.
    pub(crate) fn ticket(&self, random: &Random, ticket: Ticket) -> String {
        let id = random.token::<32>();
        self.tickets.insert(id.clone(), ticket);
        id
    }

    /// Takes a ticket back: it is good once.
    pub(crate) fn redeem(&self, id: &str) -> Option<Ticket> {
        self.tickets.take(id)
    }

    /// Why a password is not good enough for its pool.
    pub(crate) fn policy_error(&self, pool: &str, password: &str) -> Option<String> {
        let objects = self.objects();
        let pool = objects.pool(pool).ok()?;
        check_policy(&pool.resource.value, password).err().map(|problem| problem.details)
    }

    /// Sets a password that was hashed; nothing happens when the user has gone.
    pub(crate) fn set_hash(&self, pool: &str, user: &str, hash: &str, now: Timestamp, random: &Random) {
        // A user who has gone in the meantime has no password.
        let _ = store_hash(&mut self.objects(), pool, user, hash, now, random);
    }
}

/// Argon2id with a fresh salt, counted on a thread where waiting is allowed.
#[expect(clippy::expect_used, reason = "the task neither panics nor is cancelled")]
pub(super) async fn hash_password_async(standin: &SecureAuthStandIn, password: &str) -> String {
    let (password, random) = (password.to_owned(), standin.0.deps.random.clone());
    tokio::task::spawn_blocking(move || hash_password(&password, &random)).await.expect("a password is hashed")
}

/// Whether a password is good enough for a pool.
pub(super) fn check_policy(pool: &Json, password: &str) -> Result<(), ApiError> {
    let policy = pool.get("password_policy").and_then(Value::as_object);
    let at_least = |name: &str| policy.and_then(|policy| policy.get(name)).and_then(Value::as_u64).unwrap_or(0);
    let count = |fits: fn(&char) -> bool| u64::try_from(password.chars().filter(fits).count()).unwrap_or(u64::MAX);
    let rules: [(&str, u64, &str); 5] = [
        ("min_length", count(|_| true), "characters"),
        ("capital_letters", count(|c| c.is_uppercase()), "capital letters"),
        ("lowercase_letters", count(|c| c.is_lowercase()), "lower-case letters"),
        ("digits", count(char::is_ascii_digit), "digits"),
        ("special_characters", count(|c| !c.is_alphanumeric()), "special characters"),
    ];
    if password.is_empty() {
        return Err(ApiError::validation_error("The password is empty."));
    }
    match rules.iter().find(|(name, has, _)| *has < at_least(name)) {
        Some((name, _, what)) => {
            Err(ApiError::validation_error(format!("The password needs {} {what}.", at_least(name))))
        }
        None => Ok(()),
    }
}

/// Sets a password that was hashed.
pub(super) fn store_hash(
    objects: &mut Objects,
    pool: &str,
    user: &str,
    hash: &str,
    now: Timestamp,
    random: &Random,
) -> Result<(), ApiError> {
    let version = objects.version();
    let member = objects.member_mut(pool, user)?;
    let id = member.password().map_or_else(|| new_id(random), |before| before.id.clone());
    member.credentials.retain(|credential| credential.kind != "password");
    member.credentials.push(Credential { id, ..password_credential(hash, &now.to_string()) });
    member.version = version;
    Ok(())
}

/// `PUT …/users/{user}/password/state`
pub(super) fn set_state(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    if *call.method != Method::PUT {
        return Err(ApiError::method_not_allowed());
    }
    let body = call.json()?;
    let state =
        str_field(&body, "state").filter(|state| matches!(*state, "valid" | "must_be_reset" | "must_be_changed"));
    let state =
        state.ok_or_else(|| ApiError::validation_error("state is not one of valid, must_be_reset, must_be_changed"))?;
    let mut objects = call.standin.0.api.objects();
    let version = objects.version();
    let member = objects.member_mut(pool, user)?;
    check_if_match(call.if_match, member.version)?;
    let password = member.credentials.iter_mut().find(|credential| credential.kind == "password");
    let password = password.ok_or_else(|| ApiError::validation_error("the user has no password"))?;
    password.state = Some(state.to_owned());
    password.updated_at = call.now();
    member.version = version;
    ApiResponse::no_content()
}

/// `POST …/users/{user}/change-password`
pub(super) async fn change(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    if *call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let body = call.json()?;
    let field = |name| str_field(&body, name).ok_or_else(|| ApiError::bad_request(format!("{name} is missing")));
    let (old, new) = (field("old_password")?, field("new_password")?);
    let hash: Arc<str> = {
        let objects = call.standin.0.api.objects();
        check_policy(&objects.pool(pool)?.resource.value, new)?;
        let password = objects.member(pool, user)?.password().and_then(Credential::hash);
        password.ok_or_else(|| ApiError::validation_error("the user has no password"))?.into()
    };
    if !verify(&hash, old).await {
        return Err(ApiError::unauthorized());
    }
    let hash = hash_password_async(call.standin, new).await;
    let (now, random) = (call.standin.now(), &call.standin.0.deps.random);
    store_hash(&mut call.standin.0.api.objects(), pool, user, &hash, now, random)?;
    ApiResponse::no_content()
}

/// `POST …/user/password/reset/request`: 204, whether somebody has the address or not.
pub(super) fn request_reset(call: &Call<'_>, pool: &str) -> ApiResult {
    if *call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let body = call.json()?;
    let address = str_field(&body, "address").ok_or_else(|| ApiError::bad_request("address is missing"))?;
    let user = {
        let objects = call.standin.0.api.objects();
        let Ok(found) = objects.pool(pool) else {
            return ApiResponse::no_content();
        };
        let member = match (str_field(&body, "userID"), str_field(&body, "identifier")) {
            (Some(_), Some(_)) => return Err(ApiError::validation_error("userID or identifier, not both")),
            (Some(user), None) => found.users.get(user).filter(|member| member.has_address(address, false)),
            (None, Some(name)) => found.find_by_identifier(name).filter(|member| member.has_address(address, false)),
            (None, None) => found.users.values().find(|member| member.has_address(address, true)),
        };
        member.map(|member| member.user.id.clone())
    };
    if let Some(user) = user {
        send_code(call, (pool, &user), address, MailKind::Reset);
    }
    ApiResponse::no_content()
}

/// `POST …/admin/pools/{pool}/users/{user}/password/reset/request`
pub(super) fn request_user_reset(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    if *call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let body = call.json()?;
    let address = str_field(&body, "address").ok_or_else(|| ApiError::bad_request("address is missing"))?;
    if !call.standin.0.api.objects().member(pool, user)?.has_address(address, false) {
        return Err(ApiError::validation_error("the address is not the user's"));
    }
    send_code(call, (pool, user), address, MailKind::Reset);
    ApiResponse::no_content()
}

/// A new code takes the place of the user's earlier ones.
pub(super) fn send_code(call: &Call<'_>, (pool, user): (&str, &str), address: &str, kind: MailKind) {
    let (random, now) = (&call.standin.0.deps.random, call.standin.now());
    let (code, extended_code) = (random.token::<8>(), random.token::<32>());
    let mut objects = call.standin.0.api.objects();
    objects.codes.retain(|_, before| before.pool != pool || before.user != user);
    for (code, extended) in [(&code, false), (&extended_code, true)] {
        let (pool, user) = (pool.to_owned(), user.to_owned());
        let reset = MailCode { kind, pool, user, expires: now.plus(CODE_LIFETIME), extended };
        objects.codes.insert(code.clone(), reset);
    }
    lock(&call.standin.0.api.mails).push(Mail {
        kind,
        to: address.to_owned(),
        pool: pool.to_owned(),
        user: user.to_owned(),
        code,
        extended_code,
        organization: call.query.get("server_id").map(str::to_owned),
        sent: now,
    });
}

/// `POST …/user/password/reset/complete`: 401 for everything that is wrong; a code is good once.
pub(super) async fn complete_reset(call: &Call<'_>, pool: &str) -> ApiResult {
    if *call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let body = call.json()?;
    let field = |name| str_field(&body, name).ok_or_else(|| ApiError::bad_request(format!("{name} is missing")));
    let (code, new) = (field("code")?, field("new_password")?);
    let user = {
        let mut objects = call.standin.0.api.objects();
        if let Ok(found) = objects.pool(pool) {
            check_policy(&found.resource.value, new)?;
        }
        let reset = objects.codes.get(code).filter(|code| code.kind == MailKind::Reset).cloned();
        let reset = reset.ok_or_else(ApiError::unauthorized)?;
        let named = objects.member(pool, &reset.user).is_ok_and(|member| {
            let user_id = str_field(&body, "userID").is_some_and(|id| id == reset.user);
            let address = str_field(&body, "address").is_some_and(|address| member.has_address(address, false));
            let identifier = str_field(&body, "identifier").map(str::to_lowercase);
            user_id
                || address
                || identifier.is_some_and(|name| member.identifiers.iter().any(|entry| entry.identifier_lc == name))
        });
        if reset.pool != pool || call.standin.now() > reset.expires || !(reset.extended || named) {
            return Err(ApiError::unauthorized());
        }
        objects.codes.retain(|_, other| other.pool != pool || other.user != reset.user);
        reset.user
    };
    let hash = hash_password_async(call.standin, new).await;
    let (now, random) = (call.standin.now(), &call.standin.0.deps.random);
    store_hash(&mut call.standin.0.api.objects(), pool, &user, &hash, now, random)
        .map_err(|_| ApiError::unauthorized())?;
    ApiResponse::no_content()
}
