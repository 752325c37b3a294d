//! Checks of the biller's identity provider.

use super::{CheckStatus, ReadinessCheck, check};
use crate::directory::Biller;
use crate::provisioning::Provisioning;
use crate::secureauth::{ProviderError, Registration};
use signpost_core::decision::CiamState;

impl Provisioning {
    pub(super) async fn provider_checks(&self, biller: &Biller, registration: &Registration) -> Vec<ReadinessCheck> {
        if let Err(error) = self.providers.probe_discovery(registration).await {
            return vec![failed_check("issuer", &registration.issuer, &error)];
        }
        let mut checks = vec![check("issuer", CheckStatus::Pass, format!("{} responds.", registration.issuer))];
        if let Err(error) = self.providers.probe(registration).await {
            checks.push(failed_check("keys", "The issuer's keys", &error));
            return checks;
        }
        checks.push(check("keys", CheckStatus::Pass, "The issuer's keys are valid.".to_owned()));
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
        checks.push(self.claim_check(biller, registration).await);
        checks
    }
}

impl Provisioning {
    /// Whether the provider can send the claim that identifies users.
    async fn claim_check(&self, biller: &Biller, registration: &Registration) -> ReadinessCheck {
        let claim = biller.settings.oidc.as_ref().map_or("", |oidc| oidc.bind_claim.as_str());
        match self.providers.get(registration).await {
            Ok((provider, _)) if provider.lacks_claim(claim) => {
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
        "connect" | "timeout" => "Check that the issuer's URL is correct and reachable from here.",
        "discovery_issuer_mismatch" => "Spell the issuer exactly as its discovery document does.",
        "discovery_endpoint_not_allowed" => {
            "If the host of its endpoints belongs to the provider, add it to oidc.extra_hosts."
        }
        "discovery_algorithm_mismatch" => "Set oidc.id_token_algs to the algorithms that the provider signs with.",
        "private_address" => "The issuer has a private IP address, which Signpost does not connect to.",
        "no_registration" => {
            "Import the biller again: it has no registration, or its secret was sealed under a key that was removed."
        }
        "weak_key" | "private_key_published" => "The provider's keys are unsafe. Contact its operators.",
        "invalid_client" => {
            "Import the biller again with the client id and secret that are registered at the provider."
        }
        _ => "Check the response of its discovery URL.",
    }
}
