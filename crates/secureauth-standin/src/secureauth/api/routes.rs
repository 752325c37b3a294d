//! The paths of the API.

use super::call::Call;
use super::{
    activation, addresses, claims, client_secrets, clients, events, identifiers, idps, import, organizations,
    password_checks, passwords, pools, resets, users,
};
use crate::secureauth::response::{ApiError, ApiResult};
use crate::secureauth::state::api::Workspace;

/// `/api/system/{tenant}/…` and `/api/admin/{tenant}/…`
pub(crate) fn configuration(call: &Call<'_>, rest: &[&str]) -> ApiResult {
    let admin = call.workspace == Workspace::Admin;
    match rest {
        ["organizations"] => organizations::collection(call),
        ["organizations", id] => organizations::item(call, id),
        ["servers", server, "audit-events"] => events::list(call, server),
        ["servers", server, "idps"] if admin => idps::list(call, server),
        ["servers", server, "idps", "identity_pool"] if admin => idps::collection(call, server),
        ["servers", server, "idps", "identity_pool", id] | ["servers", server, "idps", id] if admin => {
            idps::item(call, server, id)
        }
        ["servers", server, "clients"] if admin => clients::list(call, server),
        ["servers", server, "claims"] if admin => claims::list(call, server),
        ["client", id] if !admin => clients::system_item(call, id),
        ["client", id, "rotateSecret"] if !admin => client_secrets::rotate(call, id),
        ["client", id, "revokeRotatedSecrets"] if !admin => client_secrets::revoke(call, id),
        ["clients", server] if !admin => clients::system_list(call, server),
        ["clients"] if admin => clients::collection(call),
        ["clients", id] if admin => clients::item(call, id),
        ["claims"] if admin => claims::collection(call),
        ["claims", id] if admin => claims::item(call, id),
        _ => Err(ApiError::not_found("the path")),
    }
}

/// `/api/identity/{tenant}/system/…`, `/api/identity/{tenant}/admin/…`, and the bulk import.
pub(crate) async fn identities(call: &Call<'_>, rest: &[&str]) -> ApiResult {
    let system = call.workspace == Workspace::System;
    if let ["configuration"] = rest {
        return import::configuration(call);
    }
    if let ["pools", pool, "users", user, what @ ("activation" | "code"), "generate"] = rest
        && system
    {
        return activation::generate(call, (pool, user), *what == "activation");
    }
    call.require_scope(&["identity"])?;
    match rest {
        ["pools"] => pools::collection(call),
        ["pools", pool] => pools::item(call, pool),
        ["workspace", server, "pools"] => pools::organization_collection(call, server),
        ["workspace", server, "pools", pool] if !system => pools::organization_item(call, server, pool),
        ["pools", pool, "users"] => users::collection(call, pool).await,
        ["pools", pool, "users", "by_key"] if system => users::by_key(call, pool),
        ["pools", pool, "users", user] => users::item(call, pool, user),
        ["pools", pool, "users", user, "identifiers", "add"] => identifiers::add(call, pool, user),
        ["pools", pool, "users", user, "identifiers", "remove"] => identifiers::remove(call, pool, user),
        ["pools", pool, "users", user, "addresses", "add"] => addresses::add(call, pool, user),
        ["pools", pool, "users", user, "addresses", "update"] => addresses::update(call, pool, user),
        ["pools", pool, "users", user, "addresses", "remove"] => addresses::remove(call, pool, user),
        ["pools", pool, "users", user, "activation", "send"] => activation::send(call, pool, user),
        ["pools", pool, "users", user, "activate"] => activation::activate(call, pool, user).await,
        ["pools", pool, "users", user, "password", "state"] => passwords::set_state(call, pool, user),
        ["pools", pool, "users", user, "change-password" | "change_password"] if system => {
            passwords::change(call, pool, user).await
        }
        ["pools", pool, "users", user, "password", "reset", "request"] if !system => {
            resets::request_user_reset(call, pool, user)
        }
        ["pools", pool, "user", "password", "v2", "verify"] if system => password_checks::v2(call, pool).await,
        ["pools", pool, "user", "password", "verify"] if system => password_checks::v1(call, pool).await,
        ["pools", pool, "user", "password", "reset", "request"] if system => resets::request_reset(call, pool),
        ["pools", pool, "user", "password", "reset", "complete" | "confirm"] if system => {
            resets::complete_reset(call, pool).await
        }
        _ => Err(ApiError::not_found("the path")),
    }
}
