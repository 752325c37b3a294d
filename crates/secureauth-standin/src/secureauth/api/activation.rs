//! Activation of users in state `new`, by a code sent in a mail.

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::call::Call;
use super::passwords::{check_policy, hash_password_async, store_hash};
use super::resets::{issue_code, send_code};
use super::user_json::render;
use crate::secureauth::response::{ApiError, ApiResponse, ApiResult};
use crate::secureauth::state::mail::MailKind;
use crate::secureauth::state::objects::str_field;

/// `POST …/users/{user}/activation/send`: 204, also when no mail is sent.
pub(crate) fn send(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    call.require_method(&Method::POST)?;
    let body = call.json()?;
    let address = {
        let objects = call.objects();
        let member = objects.member(pool, user).ok().filter(|member| member.user.status == "new");
        member.and_then(|member| match (str_field(&body, "address"), &member.addresses[..]) {
            (Some(address), _) if member.has_address(address, false) => Some(address.to_owned()),
            (None, [only]) => Some(only.address.clone()),
            _ => None,
        })
    };
    if let Some(address) = address {
        send_code(call, (pool, user), &address, MailKind::Activation);
    }
    ApiResponse::no_content()
}

/// `POST …/users/{user}/code/generate`, and `…/activation/generate`, which is its deprecated form: a code without a mail, which
/// replaces the user's earlier ones. Types other than `activation` and `reset_password` get 422, which is our choice.
pub(crate) fn generate(call: &Call<'_>, (pool, user): (&str, &str), is_deprecated: bool) -> ApiResult {
    call.require_method(&Method::POST)?;
    call.require_scope(&["identity_self_registration"])?;
    let body = call.json()?;
    let kind = match str_field(&body, "type") {
        None if is_deprecated => MailKind::Activation,
        Some("activation") if !is_deprecated => MailKind::Activation,
        Some("reset_password") if !is_deprecated => MailKind::Reset,
        _ => return Err(ApiError::validation_error("type is not one of activation, reset_password")),
    };
    {
        let objects = call.objects();
        let member = objects.member(pool, user)?;
        if kind == MailKind::Activation && member.user.status != "new" {
            return Err(ApiError::validation_error("the user is not new"));
        }
        if str_field(&body, "address").is_some_and(|address| !member.has_address(address, false)) {
            return Err(ApiError::validation_error("the address is not the user's"));
        }
    }
    let (code, extended_code) = issue_code(call, (pool, user), kind);
    if is_deprecated {
        return Ok(ApiResponse { status: StatusCode::CREATED, body: Some(json!({ "code_id": code })), version: None });
    }
    let body = json!({ "code": code, "extended_code": extended_code });
    Ok(ApiResponse { status: StatusCode::CREATED, body: Some(body), version: None })
}

/// `POST …/users/{user}/activate`
pub(crate) async fn activate(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    call.require_method(&Method::POST)?;
    let body = call.json()?;
    let code = str_field(&body, "code").ok_or_else(|| ApiError::bad_request("code is missing"))?;
    {
        let mut objects = call.objects();
        if let (Ok(pool), Some(password)) = (objects.pool(pool), str_field(&body, "password")) {
            check_policy(&pool.resource.value, password)?;
        }
        let known = objects.codes.get(code).filter(|known| {
            let is_right = known.pool == pool && known.user == user && known.kind == MailKind::Activation;
            is_right && call.standin.now() <= known.expires
        });
        known.ok_or_else(ApiError::unauthorized)?;
        objects.codes.retain(|_, other| other.pool != pool || other.user != user);
    }
    if let Some(password) = str_field(&body, "password") {
        let hash = hash_password_async(call.standin, password).await;
        let (now, random) = (call.standin.now(), call.random());
        store_hash(&mut call.objects(), pool, user, &hash, now, random)?;
    }
    let mut objects = call.objects();
    let version = objects.version();
    let member = objects.member_mut(pool, user)?;
    if member.user.status != "new" {
        return Err(ApiError::validation_error("the user is not new"));
    }
    "active".clone_into(&mut member.user.status);
    for address in &mut member.addresses {
        address.verified = true;
    }
    member.version = version;
    ApiResponse::created(render(call.tenant(), pool, member), version)
}
