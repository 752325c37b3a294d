//! Password resets by mail.

use std::time::Duration;

use axum::http::Method;

use super::call::Call;
use super::passwords::{check_policy, hash_password_async, store_hash};
use crate::secureauth::response::{ApiError, ApiResponse, ApiResult};
use crate::secureauth::state::mail::{Mail, MailCode, MailKind};
use crate::secureauth::state::objects::str_field;
use crate::store::lock;

/// Lifetime of a code. The vendor does not document its default.
const CODE_LIFETIME: Duration = Duration::from_mins(10);

/// `POST …/user/password/reset/request`: 204 also for an unknown address.
pub(crate) fn request_reset(call: &Call<'_>, pool: &str) -> ApiResult {
    call.require_method(&Method::POST)?;
    let body = call.json()?;
    let address = str_field(&body, "address").ok_or_else(|| ApiError::bad_request("address is missing"))?;
    let user = {
        let objects = call.objects();
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
pub(crate) fn request_user_reset(call: &Call<'_>, pool: &str, user: &str) -> ApiResult {
    call.require_method(&Method::POST)?;
    let body = call.json()?;
    let address = str_field(&body, "address").ok_or_else(|| ApiError::bad_request("address is missing"))?;
    if !call.objects().member(pool, user)?.has_address(address, false) {
        return Err(ApiError::validation_error("the address is not the user's"));
    }
    send_code(call, (pool, user), address, MailKind::Reset);
    ApiResponse::no_content()
}

/// Makes a code and an extended code, which replace the user's earlier ones.
pub(crate) fn issue_code(call: &Call<'_>, (pool, user): (&str, &str), kind: MailKind) -> (String, String) {
    let (random, now) = (call.random(), call.standin.now());
    let (code, extended_code) = (random.token::<8>(), random.token::<32>());
    let mut objects = call.objects();
    objects.codes.retain(|_, before| before.pool != pool || before.user != user);
    for (code, extended) in [(&code, false), (&extended_code, true)] {
        let (pool, user) = (pool.to_owned(), user.to_owned());
        let entry = MailCode { kind, pool, user, expires: now.plus(CODE_LIFETIME), extended };
        objects.codes.insert(code.clone(), entry);
    }
    (code, extended_code)
}

/// Sends a code.
pub(crate) fn send_code(call: &Call<'_>, (pool, user): (&str, &str), address: &str, kind: MailKind) {
    let (code, extended_code) = issue_code(call, (pool, user), kind);
    lock(&call.standin.api().mails).push(Mail {
        kind,
        to: address.to_owned(),
        pool: pool.to_owned(),
        user: user.to_owned(),
        code,
        extended_code,
        organization: call.query.get("server_id").map(str::to_owned),
        sent: call.standin.now(),
    });
}

/// `POST …/user/password/reset/complete`: 401 for every problem. A code is single-use.
pub(crate) async fn complete_reset(call: &Call<'_>, pool: &str) -> ApiResult {
    call.require_method(&Method::POST)?;
    let body = call.json()?;
    let field = |name| str_field(&body, name).ok_or_else(|| ApiError::bad_request(format!("{name} is missing")));
    let (code, new) = (field("code")?, field("new_password")?);
    let user = {
        let mut objects = call.objects();
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
    let (now, random) = (call.standin.now(), call.random());
    store_hash(&mut call.objects(), pool, &user, &hash, now, random).map_err(|_| ApiError::unauthorized())?;
    ApiResponse::no_content()
}
