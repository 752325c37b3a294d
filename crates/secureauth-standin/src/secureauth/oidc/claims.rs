//! Claims of ID tokens and of the userinfo endpoint.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::secureauth::oauth::TOKEN_LIFETIME;
use crate::secureauth::state::account::Account;
use crate::secureauth::state::grants::Grant;
use signpost_core::Timestamp;
use signpost_core::text::sha256;

/// The subject of a user: a one-way hash, like SecureAuth's `subject_format` `hash`.
fn subject(organization: &str, account: &Account) -> String {
    sha256(format!("{organization}\n{}", account.key).as_bytes())
}

/// Claims of an ID token. `added` cannot replace claims of the protocol.
pub(crate) fn id_token_claims(
    issuer: &str,
    organization: &str,
    grant: &Grant,
    access_token: &str,
    added: Map<String, Value>,
    now: Timestamp,
) -> Value {
    let mut claims = user_claims(organization, &grant.account);
    let more = json!({
        "iss": issuer,
        "sub": subject(organization, &grant.account),
        "aud": grant.client_id,
        "exp": now.plus(TOKEN_LIFETIME).seconds(),
        "iat": now.seconds(),
        "auth_time": grant.auth_time.seconds(),
        "sid": grant.sid,
        "amr": ["pwd"],
        "at_hash": left_half_hash(access_token),
    });
    if let (Value::Object(claims), Value::Object(more)) = (&mut claims, more) {
        claims.extend(added);
        claims.extend(more);
        if let Some(nonce) = &grant.nonce {
            claims.insert("nonce".to_owned(), json!(nonce));
        }
    }
    claims
}

pub(crate) fn user_claims(organization: &str, account: &Account) -> Value {
    let user = &account.user;
    let mut claims = json!({ "sub": subject(organization, account), "preferred_username": user.username });
    if !user.name.is_empty() {
        claims["name"] = json!(user.name);
    }
    if !user.email.is_empty() {
        claims["email"] = json!(user.email);
        claims["email_verified"] = json!(account.email_verified);
    }
    claims
}

/// `at_hash` (OpenID Connect Core, section 3.1.3.6) under RS256.
fn left_half_hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest::digest(&digest::SHA256, token.as_bytes()).as_ref()[..16])
}
