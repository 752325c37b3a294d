//! Checks of the biller's identity provider.

use super::{CheckStatus, ReadinessCheck, check};
use crate::directory::Biller;
use crate::provisioning::Provisioning;
use crate::provisioning::steps::USER_ID_CLAIM;
use crate::secureauth::{ProviderError, Registration};
use signpost_core::decision::CiamState;

impl Provisioning {
    pub(super) async fn provider_checks(&self, biller: &Biller, registration: &Registration) -> Vec<ReadinessCheck> {
        if let Err(error) = self.providers.probe_discovery(registration).await {
            return vec![self.issuer_check(registration, &error).await];
        }
        let mut checks = vec![check("issuer", CheckStatus::Pass, format!("{} responds.", registration.issuer))];
        if let Err(error) = self.providers.probe(registration).await {
            checks.push(failed_check("keys", "The issuer's keys", &error));
            return checks;
        }
        checks.push(self.keys_check(registration).await);
        let uri = &registration.redirect_uri;
        checks.push(match self.providers.accepts_redirect_uri(registration).await {
            Ok(Some(true)) => check("redirect_uri", CheckStatus::Pass, format!("The issuer accepts {uri}.")),
            // A deactivated organization rejects every request.
            Ok(Some(false)) if biller.state == CiamState::Suspended => {
                let advice = format!("The biller is suspended. `signpost resume {}` activates it again.", biller.slug);
                check("redirect_uri", CheckStatus::Warning, advice)
            }
            Ok(Some(false)) => {
                let advice =
                    format!("The issuer rejects {uri}. Register it there for the client {}.", registration.client_id);
                check("redirect_uri", CheckStatus::Fail, advice)
            }
            Ok(None) => {
                let advice = format!("It is unknown whether the issuer accepts {uri}. Try a sign-in.");
                check("redirect_uri", CheckStatus::Warning, advice)
            }
            Err(error) => failed_check("redirect_uri", "The issuer's response to a sign-in request", &error),
        });
        checks.push(self.credentials_check(biller, registration).await);
        checks.push(self.claim_check(biller, registration).await);
        checks.push(self.clock_check(registration).await);
        checks.extend(self.logout_check(registration).await);
        checks
    }

    /// Why the discovery document cannot be used, with both values if it contradicts the settings.
    async fn issuer_check(&self, registration: &Registration, error: &ProviderError) -> ReadinessCheck {
        if let Some((member, endpoint)) = self.providers.rejected_endpoint(registration).await {
            let (issuer, hosts) = (&registration.issuer, registration.extra_hosts.join(", "));
            let advice = format!(
                "The discovery document says {member} {endpoint}, oidc.issuer says {issuer}, oidc.extra_hosts says {hosts:?} ({}). {}",
                error.reason(),
                advice(error.reason())
            );
            return check("issuer", CheckStatus::Fail, advice);
        }
        let (member, setting, value) = match error.reason() {
            "discovery_issuer_mismatch" => ("issuer", "oidc.issuer", registration.issuer.clone()),
            "discovery_algorithm_mismatch" => {
                let allowed = registration.id_token_algs.join(", ");
                ("id_token_signing_alg_values_supported", "oidc.id_token_algs", allowed)
            }
            _ => return failed_check("issuer", &registration.issuer, error),
        };
        let Some(documented) = self.providers.documented(registration, member).await else {
            return failed_check("issuer", &registration.issuer, error);
        };
        let advice = format!(
            "The discovery document says {documented}, {setting} says {value}. If the document is right, set {setting} to what it says."
        );
        check("issuer", CheckStatus::Fail, advice)
    }

    /// Whether a key can sign with an allowed algorithm.
    async fn keys_check(&self, registration: &Registration) -> ReadinessCheck {
        let provider = match self.providers.get(registration).await {
            Ok((provider, _)) => provider,
            Err(error) => return failed_check("keys", "The issuer's keys", &error),
        };
        let (allowed, signed) = (&registration.id_token_algs, provider.key_algorithms());
        if allowed.iter().any(|alg| signed.contains(alg.as_str())) {
            return check("keys", CheckStatus::Pass, "The issuer's keys are valid.".to_owned());
        }
        let signed: Vec<&str> = signed.into_iter().collect();
        let advice = format!(
            "The issuer's keys sign with {}, oidc.id_token_algs allows {}. Set oidc.id_token_algs to what the issuer signs with.",
            signed.join(", "),
            allowed.join(", ")
        );
        check("keys", CheckStatus::Fail, advice)
    }

    /// Whether the token endpoint accepts the client credentials. It gets a made-up code, which it should reject.
    async fn credentials_check(&self, biller: &Biller, registration: &Registration) -> ReadinessCheck {
        let (name, client) = ("credentials", &registration.client_id);
        match self.providers.check_credentials(registration).await {
            Ok(()) => check(name, CheckStatus::Pass, format!("The issuer accepts the credentials of {client}.")),
            // A deactivated organization rejects every request.
            Err(_) if biller.state == CiamState::Suspended => check(
                name,
                CheckStatus::Warning,
                "The biller is suspended, so its credentials cannot be checked.".to_owned(),
            ),
            Err(error @ ProviderError::Setup("invalid_client" | "unauthorized_client")) => {
                let advice = format!(
                    "The issuer rejects the client {client} or its secret ({}). {}",
                    error.reason(),
                    advice(error.reason())
                );
                check(name, CheckStatus::Fail, advice)
            }
            Err(error) => {
                let advice = format!(
                    "It is unknown whether the issuer accepts the credentials of {client} ({}). Try a sign-in.",
                    error.reason()
                );
                check(name, CheckStatus::Warning, advice)
            }
        }
    }

    /// Whether the clocks agree: ID tokens are valid by both.
    async fn clock_check(&self, registration: &Registration) -> ReadinessCheck {
        let difference = match self.providers.clock_difference(registration).await {
            Ok(Some(difference)) => difference,
            Ok(None) => return check("clock", CheckStatus::Pass, "The issuer does not tell its time.".to_owned()),
            Err(error) => return failed_check("clock", "The issuer's time", &error),
        };
        let (seconds, side) = (difference.abs(), if difference > 0 { "ahead" } else { "behind" });
        let advice = format!("The issuer's clock is {seconds} s {side} of ours. Synchronize both with a time server.");
        match difference {
            // `iat` would be in the future, or too old.
            60.. | ..=-600 => check("clock", CheckStatus::Fail, advice),
            30.. | ..=-60 => check("clock", CheckStatus::Warning, advice),
            _ => check("clock", CheckStatus::Pass, "The issuer's clock and ours agree.".to_owned()),
        }
    }

    /// A warning if customers cannot be signed out at the provider, although it names an endpoint.
    async fn logout_check(&self, registration: &Registration) -> Option<ReadinessCheck> {
        let (provider, _) = self.providers.get(registration).await.ok()?;
        let endpoint = provider.rejected_end_session_endpoint()?;
        let advice = format!(
            "The end-session endpoint {endpoint} has a query parameter that Signpost sets. Sign-ins work, and customers are not \
             signed out at the provider. Contact its operators."
        );
        Some(check("logout", CheckStatus::Warning, advice))
    }

    /// Whether the provider can send the claim that identifies users.
    async fn claim_check(&self, biller: &Biller, registration: &Registration) -> ReadinessCheck {
        let claim = biller.settings.oidc.as_ref().map_or("", |oidc| oidc.bind_claim.as_str());
        match self.providers.get(registration).await {
            // Discovery documents list the standard claims, and not those that an enablement job creates.
            Ok((provider, _)) if claim != USER_ID_CLAIM && provider.lacks_claim(claim) => {
                let advice = format!(
                    "oidc.bind_claim is {claim}, which is not among the provider's claims_supported. Let the provider send it, or set \
                     oidc.bind_claim to a claim that it sends."
                );
                check("claim", CheckStatus::Warning, advice)
            }
            Ok(_) => check("claim", CheckStatus::Pass, format!("The claim {claim} identifies users.")),
            Err(error) => failed_check("claim", "The issuer's discovery document", &error),
        }
    }
}

fn failed_check(name: &'static str, what: &str, error: &ProviderError) -> ReadinessCheck {
    check(name, CheckStatus::Fail, format!("{what} cannot be used ({}). {}", error.reason(), advice(error.reason())))
}

/// What to do about a provider's failure, by its reason.
pub fn advice(reason: &str) -> &'static str {
    match reason {
        "server_error" => "It responds with a server error. If that continues, contact its operators.",
        "connect" | "timeout" | "dns" => "Check that the issuer's URL is correct and reachable from here.",
        "certificate" | "tls" => {
            "Its TLS certificate is not trusted, or TLS fails: the log has the cause. Contact its operators, or install the \
             certificate authority on this host."
        }
        "discovery_issuer_mismatch" => "Spell the issuer exactly as its discovery document does.",
        "discovery_endpoint_not_allowed" => {
            "If the host of its endpoints belongs to the provider, add it to oidc.extra_hosts."
        }
        "discovery_algorithm_mismatch" => "Set oidc.id_token_algs to the algorithms that the provider signs with.",
        "private_address" => {
            "The issuer has a private IP address. If its network is yours, list it in oidc.allow_private_networks."
        }
        "no_registration" => {
            "Import the biller again: it has no registration, or its secret was sealed under a key that was removed."
        }
        "weak_key" | "private_key_published" => "The provider's keys are unsafe. Contact its operators.",
        "invalid_client" => {
            "Import the biller again with the client id and secret that are registered at the provider."
        }
        "unauthorized_client" => "Allow the client the authorization code flow at the provider.",
        "invalid_redirect_uri" => {
            "Register the redirect URI at the provider, exactly as `signpost doctor --biller` prints it."
        }
        "par_rejected" | "invalid_request" => {
            "Compare client id, secret, redirect URI and token_auth with the client at the provider."
        }
        "invalid_scope" => "Allow the client the scopes of oidc.scopes at the provider, or remove them.",
        "unsupported_response_type" | "unsupported_grant_type" => {
            "Allow the client the authorization code flow at the provider."
        }
        "invalid_algorithm" => "Set oidc.id_token_algs to the algorithms that the provider signs with.",
        "client_secret_unreadable" => "Put the key back into the key file, or store the client secret again.",
        "claim_missing" => {
            "Let the provider send the claim of oidc.bind_claim, or set oidc.bind_claim to one that it sends."
        }
        "clock_drift" | "expired" | "iat_in_future" | "iat_too_old" | "nbf_in_future" => {
            "Synchronize the clocks of the provider and of this machine with a time server."
        }
        "discovery_reserved_parameter" => {
            "Its authorization endpoint has a query parameter that Signpost sets. Contact its operators."
        }
        "discovery_no_token_endpoint" => "Its discovery document names no token endpoint. Contact its operators.",
        "invalid_endpoint_url" => {
            "Its discovery document names an endpoint that is no https URL. Contact its operators."
        }
        _ => "Check the response of its discovery URL.",
    }
}
