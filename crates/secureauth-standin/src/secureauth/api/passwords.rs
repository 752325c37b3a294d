//! Passwords of users in pools: policy, state, change.

use std::sync::Arc;

use axum::http::Method;
use serde_json::Value;

use super::call::Call;
use crate::passwords::{hash_password, verify};
use crate::secureauth::response::{ApiError, ApiResponse, ApiResult};
use crate::secureauth::state::objects::{Objects, check_if_match, new_id, str_field};
use crate::secureauth::state::records::{Credential, Json};
use crate::secureauth::state::standin::SecureAuthStandIn;
use signpost_core::{Random, Timestamp};

/// Hashes by Argon2id with a new salt, on a thread that may block.
#[expect(clippy::expect_used, reason = "the task neither panics nor is cancelled")]
pub(crate) async fn hash_password_async(standin: &SecureAuthStandIn, password: &str) -> String {
    let (password, random) = (password.to_owned(), standin.random().clone());
    tokio::task::spawn_blocking(move || hash_password(&password, &random)).await.expect("a password is hashed")
}

/// Checks a password against the policy of its pool.
pub(crate) fn check_policy(pool: &Json, password: &str) -> Result<(), ApiError> {
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

pub(crate) fn store_hash(
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
    member.credentials.push(Credential { id, ..Credential::password(hash, &now.to_string()) });
    member.version = version;
    Ok(())
}

/// `PUT …/users/{user}/password/state`
pub(crate) fn set_state(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    call.require_method(&Method::PUT)?;
    let body = call.json()?;
    let state =
        str_field(&body, "state").filter(|state| matches!(*state, "valid" | "must_be_reset" | "must_be_changed"));
    let state =
        state.ok_or_else(|| ApiError::validation_error("state is not one of valid, must_be_reset, must_be_changed"))?;
    let mut objects = call.objects();
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
pub(crate) async fn change(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    call.require_method(&Method::POST)?;
    let body = call.json()?;
    let field = |name| str_field(&body, name).ok_or_else(|| ApiError::bad_request(format!("{name} is missing")));
    let (old, new) = (field("old_password")?, field("new_password")?);
    let hash: Arc<str> = {
        let objects = call.objects();
        check_policy(&objects.pool(pool)?.resource.value, new)?;
        let password = objects.member(pool, user)?.password().and_then(Credential::hash);
        password.ok_or_else(|| ApiError::validation_error("the user has no password"))?.into()
    };
    if !verify(&hash, old).await {
        return Err(ApiError::unauthorized());
    }
    let hash = hash_password_async(call.standin, new).await;
    let (now, random) = (call.standin.now(), call.random());
    store_hash(&mut call.objects(), pool, user, &hash, now, random)?;
    ApiResponse::no_content()
}
