//! Activation of users who are `new`: a mail, and the code in it.

use axum::http::Method;

use super::answer::{Answer, Outcome, Problem};
use super::objects::text;
use super::passwords::{MailKind, check_policy, hashed_password, send, set};
use super::routes::Call;
use super::users::shown;

/// `POST …/users/{user}/activation/send`: 204, whether a mail is sent or not.
pub fn mail(call: &Call<'_>, pool: &str, user: &str) -> Outcome {
    if *call.method != Method::POST {
        return Err(Problem::method());
    }
    let body = call.json()?;
    let address = {
        let objects = call.standin.0.api.objects();
        let member = objects.member(pool, user).ok().filter(|member| member.user.status == "new");
        member.and_then(|member| match (text(&body, "address"), &member.addresses[..]) {
            (Some(address), _) if member.has_address(address, false) => Some(address.to_owned()),
            (None, [only]) => Some(only.address.clone()),
            _ => None,
        })
    };
    if let Some(address) = address {
        send(call, (pool, user), &address, MailKind::Activation);
    }
    Answer::nothing()
}

/// `POST …/users/{user}/activate`
pub async fn activate(call: &Call<'_>, pool: &str, user: &str) -> Outcome {
    if *call.method != Method::POST {
        return Err(Problem::method());
    }
    let body = call.json()?;
    let code = text(&body, "code").ok_or_else(|| Problem::malformed("code is missing"))?;
    {
        let mut objects = call.standin.0.api.objects();
        if let (Ok(pool), Some(password)) = (objects.pool(pool), text(&body, "password")) {
            check_policy(&pool.thing.value, password)?;
        }
        let known = objects.codes.get(code).filter(|known| {
            let is_right = known.pool == pool && known.user == user && known.kind == MailKind::Activation;
            is_right && call.standin.now() <= known.expires
        });
        known.ok_or_else(Problem::unauthorized)?;
        objects.codes.retain(|_, other| other.pool != pool || other.user != user);
    }
    if let Some(password) = text(&body, "password") {
        let hash = hashed_password(call.standin, password).await;
        let (now, random) = (call.standin.now(), &call.standin.0.tools.random);
        set(&mut call.standin.0.api.objects(), pool, user, &hash, now, random)?;
    }
    let mut objects = call.standin.0.api.objects();
    let version = objects.version();
    let member = objects.member_mut(pool, user)?;
    if member.user.status != "new" {
        return Err(Problem::invalid("the user is not new"));
    }
    "active".clone_into(&mut member.user.status);
    for address in &mut member.addresses {
        address.verified = true;
    }
    member.version = version;
    Answer::created(shown(call.tenant(), pool, member), version)
}
