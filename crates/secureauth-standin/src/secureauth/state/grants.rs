//! Authorization codes and what they were issued for.

use std::time::Duration;

use super::account::Account;
use crate::secureauth::oauth::verify_pkce;
use crate::store::Store;
use signpost_core::{Random, Timestamp};

/// How long a code can be redeemed.
const CODE_LIFETIME: Duration = Duration::from_mins(10);
/// A grant that an authorization code stands for.
#[derive(Clone)]
pub(crate) struct Grant {
    pub client_id: String,
    pub redirect_uri: String,
    /// PKCE S256 challenge.
    pub challenge: String,
    pub nonce: Option<String>,
    /// As requested.
    pub scope: String,
    pub account: Account,
    pub auth_time: Timestamp,
    /// The sign-in session.
    pub sid: String,
}

/// Authorization codes. Each can be redeemed once.
#[derive(Default)]
pub(crate) struct AuthorizationCodes(Store<Grant>);

impl AuthorizationCodes {
    pub(crate) fn issue(&self, grant: Grant, random: &Random) -> String {
        let code = random.token::<32>();
        self.0.insert(code.clone(), grant);
        code
    }

    /// Redeems a code. A failed attempt consumes it as well. The error describes an `invalid_grant`.
    pub(crate) fn redeem(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secureauth::config::IdpUser;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn grant(auth_time: Timestamp) -> Grant {
        Grant {
            client_id: "client".to_owned(),
            redirect_uri: "https://gateway/callback/acme".to_owned(),
            challenge: CHALLENGE.to_owned(),
            nonce: Some("n".to_owned()),
            scope: "openid".to_owned(),
            account: Account::new(&IdpUser {
                username: "Ann".to_owned(),
                name: "Ann Example".to_owned(),
                email: "ann@example.com".to_owned(),
            }),
            auth_time,
            sid: "sid".to_owned(),
        }
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
}
