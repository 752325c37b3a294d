//! Rotation of client secrets. Former secrets stay valid until they expire, are revoked, or are too many.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::call::Call;
use crate::secureauth::response::{ApiError, ApiResponse, ApiResult};
use crate::secureauth::state::objects::{check_if_match, str_field};
use crate::secureauth::state::records::Json;
use signpost_core::Timestamp;

/// The vendor's limit. The oldest secret is dropped.
const MAX_ROTATED_SECRETS: usize = 2;
/// When each rotated secret expires, in milliseconds; 0 for never. Not part of any response.
pub(super) const EXPIRIES: &str = "rotated_secrets_expire_at";

/// `POST …/client/{id}/rotateSecret?auto_revoke_after=5m`
pub(crate) fn rotate(call: &Call<'_>, id: &str) -> ApiResult {
    call.require_method(&Method::POST)?;
    call.require_scope(&["manage_clients"])?;
    let lifetime = call.query.get("auto_revoke_after").map(go_duration).transpose()?.filter(|time| !time.is_zero());
    let now = call.standin.now();
    let expires = lifetime.map_or(0, |lifetime| now.plus(lifetime).millis());
    let secret = call.random().token::<32>();
    let mut objects = call.objects();
    let version = objects.version();
    let client = objects.clients.get_mut(id).ok_or_else(|| ApiError::not_found("the client"))?;
    check_if_match(call.if_match, client.version)?;
    let mut kept = live(&client.value, now);
    if let Some(former) = str_field(&client.value, "client_secret") {
        kept.insert(0, (former.to_owned(), expires));
    }
    kept.truncate(MAX_ROTATED_SECRETS);
    store(&mut client.value, &kept);
    client.value.insert("client_secret".to_owned(), json!(secret));
    client.version = version;
    ApiResponse::single(json!({ "secret": secret }), version)
}

/// `POST …/client/{id}/revokeRotatedSecrets`
pub(crate) fn revoke(call: &Call<'_>, id: &str) -> ApiResult {
    call.require_method(&Method::POST)?;
    call.require_scope(&["manage_clients"])?;
    let mut objects = call.objects();
    let version = objects.version();
    let client = objects.clients.get_mut(id).ok_or_else(|| ApiError::not_found("the client"))?;
    check_if_match(call.if_match, client.version)?;
    store(&mut client.value, &[]);
    client.version = version;
    ApiResponse::no_content()
}

/// The rotated secrets that are valid now, the newest first.
pub(super) fn rotated(client: &Json, now: Timestamp) -> Vec<String> {
    live(client, now).into_iter().map(|(secret, _)| secret).collect()
}

/// A client as the API returns it.
pub(super) fn render(client: &Json, now: Timestamp) -> Value {
    let (mut value, rotated) = (client.clone(), rotated(client, now));
    value.remove(EXPIRIES);
    if value.contains_key("rotated_secrets") {
        value.insert("rotated_secrets".to_owned(), json!(rotated));
    }
    Value::Object(value)
}

fn live(client: &Json, now: Timestamp) -> Vec<(String, i64)> {
    let list = |name: &str| client.get(name).and_then(Value::as_array).into_iter().flatten();
    let secrets = list("rotated_secrets").filter_map(Value::as_str);
    let expiries = list(EXPIRIES).filter_map(Value::as_i64);
    let all = secrets.zip(expiries).map(|(secret, expires)| (secret.to_owned(), expires));
    all.filter(|(_, expires)| *expires == 0 || now.millis() < *expires).collect()
}

fn store(client: &mut Json, rotated: &[(String, i64)]) {
    let (secrets, expiries): (Vec<&String>, Vec<i64>) =
        rotated.iter().map(|(secret, expires)| (secret, *expires)).unzip();
    client.insert("rotated_secrets".to_owned(), json!(secrets));
    client.insert(EXPIRIES.to_owned(), json!(expiries));
}

/// A duration with one unit, such as `1s`, `5m` or `2h`.
fn go_duration(text: &str) -> Result<Duration, ApiError> {
    let units = [('s', 1), ('m', 60), ('h', 3600)];
    let parsed = units.into_iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(seconds).map(Duration::from_secs)
    });
    parsed.ok_or_else(|| ApiError::bad_request("auto_revoke_after is not a duration such as 1s, 5m or 2h"))
}
