//! Activation of users who are `new`: a mail, and the code in it.

use axum::http::Method;

use super::objects::str_field;
use super::passwords::{MailKind, check_policy, hash_password_async, send_code, store_hash};
use super::response::{ApiError, ApiResponse, ApiResult};
use super::routes::Call;
use super::users::render;

/// `POST …/users/{user}/activation/send`: 204, whether a mail is sent or not.
pub(super) fn send(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    if *call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let body = call.json()?;
    let address = {
        let objects = call.standin.0.api.objects();
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

/// `POST …/users/{user}/activate`
pub(super) async fn activate(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    if *call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let body = call.json()?;
    let code = str_field(&body, "code").ok_or_else(|| ApiError::bad_request("code is missing"))?;
    {
        let mut objects = call.standin.0.api.objects();
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
        let (now, random) = (call.standin.now(), &call.standin.0.deps.random);
        store_hash(&mut call.standin.0.api.objects(), pool, user, &hash, now, random)?;
    }
    let mut objects = call.standin.0.api.objects();
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
