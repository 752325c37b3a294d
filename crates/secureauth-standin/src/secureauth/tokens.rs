//! Codes, PKCE, ID tokens, client authentication: the parts of the protocol that need no HTTP.

use std::time::Duration;

use aws_lc_rs::{constant_time, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::Account;
use crate::store::Store;
use signpost_core::text::sha256;
use signpost_core::{Random, Timestamp};

/// How long a code may wait to be redeemed.
const CODE_LIFETIME: Duration = Duration::from_mins(10);
/// How long access and ID tokens are good.
pub(super) const TOKEN_LIFETIME: Duration = Duration::from_hours(1);

/// What stands behind an authorization code.
#[derive(Clone)]
pub(super) struct Grant {
    /// Who asked.
    pub client_id: String,
    /// Where the code was sent.
    pub redirect_uri: String,
    /// PKCE S256 challenge.
    pub challenge: String,
    /// To be repeated in the ID token.
    pub nonce: Option<String>,
    /// As asked.
    pub scope: String,
    /// Who signed in.
    pub account: Account,
    /// When.
    pub auth_time: Timestamp,
    /// The sign-in session.
    pub sid: String,
}

/// Codes that wait to be redeemed, each once.
#[derive(Default)]
pub(super) struct AuthorizationCodes(Store<Grant>);

impl AuthorizationCodes {
    /// A new code for a grant.
    pub(super) fn issue(&self, grant: Grant, random: &Random) -> String {
        let code = random.token::<32>();
        self.0.insert(code.clone(), grant);
        code
    }

    /// Redeems a code: whatever comes of it, it is used up.
    ///
    /// # Errors
    /// A sentence for `invalid_grant`.
    pub(super) fn redeem(
        &self,
        code: &str,
        client_id: &str,
        redirect_uri: Option<&str>,
        verifier: Option<&str>,
        now: Timestamp,
    ) -> Result<Grant, &'static str> {
        let grant = self.0.take(code).ok_or("the code is unknown or was used already")?;
        if now > grant.auth_time.plus(CODE_LIFETIME) {
            return Err("the code is too old");
        }
        if grant.client_id != client_id || redirect_uri != Some(grant.redirect_uri.as_str()) {
            return Err("the code was issued for another client or redirect_uri");
        }
        if !verifier.is_some_and(|verifier| verify_pkce(verifier, &grant.challenge)) {
            return Err("the code_verifier does not fit");
        }
        Ok(grant)
    }
}

/// Whether a verifier hashes to the challenge (RFC 7636, section 4.6, S256).
pub(super) fn verify_pkce(verifier: &str, challenge: &str) -> bool {
    is_valid_pkce_value(verifier) && constant_time_eq(&sha256(verifier.as_bytes()), challenge)
}

/// Whether a text can be a verifier or a challenge (RFC 7636, sections 4.1 and 4.2).
pub(super) fn is_valid_pkce_value(text: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

/// Client id and secret of an `Authorization: Basic` value: form-encoded, then base64 (RFC 6749, section 2.3.1).
pub(super) fn basic_credentials(authorization: &str) -> Option<(String, String)> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decode(id), form_decode(secret)))
}

/// One form-encoded value; `=` and `&` in it are plain characters here.
fn form_decode(text: &str) -> String {
    let guarded = text.replace('&', "%26");
    let pair = format!("v={guarded}");
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Whether two secrets are the same, in a time that does not tell where they differ.
pub(super) fn constant_time_eq(left: &str, right: &str) -> bool {
    constant_time::verify_slices_are_equal(left.as_bytes(), right.as_bytes()).is_ok()
}

/// The subject of a user: a one-way hash, as SecureAuth's `subject_format` `hash` makes it.
fn subject(organization: &str, account: &Account) -> String {
    sha256(format!("{organization}\n{}", account.key).as_bytes())
}

/// Claims of an ID token; `added` are those the organization adds, and replace none of the protocol's.
pub(super) fn id_token_claims(
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

/// Claims about a user: in the ID token and at userinfo.
pub(super) fn user_claims(organization: &str, account: &Account) -> Value {
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

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn grant(auth_time: Timestamp) -> Grant {
        Grant {
            client_id: "client".to_owned(),
            redirect_uri: "https://gateway/callback/acme".to_owned(),
            challenge: CHALLENGE.to_owned(),
            nonce: Some("n".to_owned()),
            scope: "openid".to_owned(),
            account: Account::new(&crate::IdpUser {
                username: "Ann".to_owned(),
                name: "Ann Example".to_owned(),
                email: "ann@example.com".to_owned(),
            }),
            auth_time,
            sid: "sid".to_owned(),
        }
    }

    #[test]
    fn pkce_matches_the_rfc_7636_example() {
        assert!(verify_pkce(VERIFIER, CHALLENGE));
        assert!(!verify_pkce(&VERIFIER.replace('d', "e"), CHALLENGE));
        assert!(!verify_pkce(CHALLENGE, CHALLENGE));
        assert!(!verify_pkce("", &sha256(b"")), "a verifier has 43 characters or more");
    }

    #[test]
    fn codes_are_single_use_and_bound_to_their_request() {
        let (codes, random) = (AuthorizationCodes::default(), Random::system());
        let now = Timestamp::from_millis(1_800_000_000_000);
        let uri = Some("https://gateway/callback/acme");
        let redeem = |code: &str, uri, verifier, now| codes.redeem(code, "client", uri, verifier, now).is_ok();

        let code = codes.issue(grant(now), &random);
        assert!(redeem(&code, uri, Some(VERIFIER), now));
        assert!(!redeem(&code, uri, Some(VERIFIER), now), "used already");
        let code = codes.issue(grant(now), &random);
        assert!(!redeem(&code, Some("https://gateway/callback/other"), Some(VERIFIER), now));
        assert!(!redeem(&code, uri, Some(VERIFIER), now), "a failed attempt uses the code up");
        let code = codes.issue(grant(now), &random);
        assert!(!redeem(&code, uri, None, now));
        let code = codes.issue(grant(now), &random);
        assert!(!redeem(&code, uri, Some(VERIFIER), now.plus(Duration::from_secs(601))));
    }

    #[test]
    fn basic_credentials_are_form_decoded() {
        let header = |plain: &str| format!("Basic {}", STANDARD.encode(plain));
        let pair = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        assert_eq!(basic_credentials(&header("acme:s3cret")), pair("acme", "s3cret"));
        assert_eq!(basic_credentials(&header("a%3Ab+c:x%2By%25:z")), pair("a:b c", "x+y%:z"));
        assert_eq!(basic_credentials(&header("acme:a=b&c==")), pair("acme", "a=b&c=="));
        assert_eq!(basic_credentials(&header("no colon")), None);
        assert_eq!(basic_credentials("Bearer abc"), None);
        assert_eq!(basic_credentials("Basic !"), None);
    }

    #[test]
    fn a_key_verifies_only_its_own_signatures() {
        let key = crate::secureauth::keys::SigningKey::generate();
        let token = key.sign(&json!({ "aud": "client" }));
        assert_eq!(key.verify(&token), Some(json!({ "aud": "client" })));
        assert_eq!(key.verify(&format!("x{token}")), None);
        let jwk = key.jwk();
        assert_eq!(jwk["e"], "AQAB");
        assert_eq!(jwk["n"].as_str().map(str::len), Some(342), "2048 bits as base64url");
    }
}
