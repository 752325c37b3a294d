//! Whether a biller is ready to sign its people in by itself: a card with a line for each thing, and what to do about it.
//! Activation looks at it and holds itself while a line is red.

use std::time::Duration;

use serde::Serialize;
use url::Url;
use utoipa::ToSchema;

use super::ledger::{Job, StopReason};
use super::resources::ResourceIds;
use super::{Provisioning, ProvisioningError, users};
use crate::db::{Db, DbError};
use crate::directory::Biller;
use crate::secureauth::{HttpClientError, ProviderError, Registration};
use crate::values;
use signpost_core::decision::CiamState;
use signpost_core::{BillerId, Slug};

const USERS_WITHOUT_EMAIL: &str = "SELECT count(*) FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.biller_id = $1 AND u.status <> 'deleted' AND u.email = ''";

/// A certificate that ends sooner is worth a word.
const CERTIFICATE_WARNING_PERIOD: Duration = Duration::from_secs(14 * 24 * 3600);
/// No name takes longer to be looked up.
const DNS_TIMEOUT: Duration = Duration::from_secs(5);

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// Well.
    Pass,
    /// People can sign in; somebody should look at it.
    Warning,
    /// People could not sign in, or would be led astray.
    Fail,
}

impl CheckStatus {
    /// The level as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warning => "warning",
            Self::Fail => "fail",
        }
    }
}

/// One thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReadinessCheck {
    /// `issuer`, `keys`, `redirect_uri`, `users`, `users_without_email`, `contrast` or `vanity_host`.
    pub name: &'static str,
    /// How it stands.
    pub status: CheckStatus,
    /// How it is, and what to do about it, in one sentence.
    pub advice: String,
}

/// A biller's card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// The biller.
    pub biller: Slug,
    /// The worst of its checks.
    pub status: CheckStatus,
    /// Its checks.
    pub checks: Vec<ReadinessCheck>,
}

impl Provisioning {
    /// Looks at everything that a biller's people need for signing in.
    ///
    /// # Errors
    /// The database failed.
    pub async fn readiness(&self, biller: &Biller) -> Result<Readiness, DbError> {
        self.run_checks(biller, None).await
    }

    async fn run_checks(&self, biller: &Biller, job: Option<&Job>) -> Result<Readiness, DbError> {
        let redirect_uri = self.public_url.join(&format!("/callback/{}", biller.slug));
        let registration = redirect_uri.ok().and_then(|uri| biller.registration(&self.keys, uri));
        let mut checks = match registration {
            Some(registration) => self.provider_checks(biller, &registration).await,
            None if biller.state == CiamState::Legacy && biller.settings.oidc.is_none() => {
                let advice = format!("It has no sign-in of its own yet: `signpost enable {}` makes one.", biller.slug);
                vec![check("issuer", CheckStatus::Warning, advice)]
            }
            None => vec![check("issuer", CheckStatus::Fail, advice("no_registration").to_owned())],
        };
        checks.push(self.users_check(biller, job).await?);
        checks.push(missing_emails_check(&self.db, &biller.id).await?);
        checks.push(contrast_check(biller));
        if biller.hosts.is_empty() {
            let advice = "It has no host of its own, and needs none: people keep its path on ours.".to_owned();
            checks.push(check("vanity_host", CheckStatus::Pass, advice));
        }
        for host in &biller.hosts {
            checks.push(self.host_check(&biller.slug, host).await);
        }
        let status = checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Pass);
        Ok(Readiness { biller: biller.slug.clone(), status, checks })
    }

    /// Holds a job before its last step while the biller, as it would be, is not ready. The job goes on later and looks again.
    pub(super) async fn require_ready(&self, job: &Job, candidate: &Biller) -> Result<(), StopReason> {
        let checks = self.run_checks(candidate, Some(job)).await?.checks;
        let failing: Vec<&str> = checks
            .iter()
            .filter(|check| check.status == CheckStatus::Fail)
            .map(|check| check.advice.as_str())
            .collect();
        if failing.is_empty() {
            return Ok(());
        }
        let message = format!("Not activated yet. {}", failing.join(" "));
        self.record_progress(job, (&job.last_user_id, job.done), &message).await?;
        Err(StopReason::RetryLater(ProvisioningError::NotReady(message)))
    }

    async fn provider_checks(&self, biller: &Biller, registration: &Registration) -> Vec<ReadinessCheck> {
        if let Err(error) = self.providers.probe_discovery(registration).await {
            return vec![failed_check("issuer", &registration.issuer, &error)];
        }
        let mut checks = vec![check("issuer", CheckStatus::Pass, format!("{} answers.", registration.issuer))];
        if let Err(error) = self.providers.probe(registration).await {
            checks.push(failed_check("keys", "The issuer's keys", &error));
            return checks;
        }
        checks.push(check("keys", CheckStatus::Pass, "The issuer's keys are there and can be used.".to_owned()));
        let uri = &registration.redirect_uri;
        checks.push(match self.providers.accepts_redirect_uri(registration).await {
            Ok(Some(true)) => check("redirect_uri", CheckStatus::Pass, format!("The issuer takes {uri}.")),
            // A deactivated organization refuses everything.
            Ok(Some(false)) if biller.state == CiamState::Suspended => {
                let advice =
                    format!("It is switched off, and so nobody signs in there: `signpost resume {}`.", biller.slug);
                check("redirect_uri", CheckStatus::Warning, advice)
            }
            Ok(Some(false)) => {
                let advice =
                    format!("The issuer refuses {uri}: register it there for the client {}.", registration.client_id);
                check("redirect_uri", CheckStatus::Fail, advice)
            }
            Ok(None) => {
                let advice = format!("The issuer does not tell whether it takes {uri}: try a sign-in.");
                check("redirect_uri", CheckStatus::Warning, advice)
            }
            Err(error) => failed_check("redirect_uri", "The issuer's answer to a sign-in", &error),
        });
        checks
    }

    /// As many users at SecureAuth as here, where they are kept there by us.
    async fn users_check(&self, biller: &Biller, job: Option<&Job>) -> Result<ReadinessCheck, DbError> {
        let user_pool = match job {
            Some(job) => Some(ResourceIds::of(&biller.slug, job).pool),
            None => self.user_pool(&biller.id).await?.map(|user_pool| user_pool.pool),
        };
        let (Some(management), Some(pool)) = (self.management.as_ref(), user_pool) else {
            let advice = "Its users are not kept at SecureAuth by Signpost: there is nothing to compare.".to_owned();
            return Ok(check("users", CheckStatus::Pass, advice));
        };
        let here = users::count(&self.db, &biller.id).await?;
        Ok(match management.pool(&pool).await.map(|pool| pool.map(|pool| pool.number_of_users)) {
            Ok(Some(Some(there))) if there == here => {
                check("users", CheckStatus::Pass, format!("{here} user(s) here and at SecureAuth."))
            }
            Ok(Some(Some(there))) => {
                let advice = format!(
                    "{here} user(s) here, but {there} at SecureAuth: `signpost sync {}` brings the pool {pool} in line.",
                    biller.slug
                );
                check("users", CheckStatus::Fail, advice)
            }
            Ok(Some(None)) => check(
                "users",
                CheckStatus::Warning,
                "SecureAuth does not tell how many users it has: look there.".to_owned(),
            ),
            Ok(None) => check("users", CheckStatus::Fail, format!("The pool {pool} is gone: enable the biller anew.")),
            Err(error) => {
                check("users", CheckStatus::Warning, format!("The users cannot be compared now: {error}; try again."))
            }
        })
    }

    async fn host_check(&self, slug: &Slug, host: &str) -> ReadinessCheck {
        let (status, advice) = self.check_host(slug, host).await;
        check("vanity_host", status, format!("{host} {advice}"))
    }

    async fn check_host(&self, slug: &Slug, host: &str) -> (CheckStatus, String) {
        let name = host.split(':').next().unwrap_or(host);
        // Names under localhost are this machine's without being asked for (RFC 6761, section 6.3).
        if !name.ends_with(".localhost") {
            let found = tokio::time::timeout(DNS_TIMEOUT, tokio::net::lookup_host((name, 443))).await;
            if !found.is_ok_and(|found| found.is_ok_and(|mut addresses| addresses.next().is_some())) {
                let path = self.public_url.join(&format!("/b/{slug}")).map_or_else(|_| String::new(), String::from);
                let advice = format!("is not in the DNS yet: point it at this service. Until then only {path} works.");
                return (CheckStatus::Warning, advice);
            }
        }
        if self.public_url.scheme() != "https" {
            return (CheckStatus::Warning, "is not looked at by TLS while server.public_url is not https.".to_owned());
        }
        let Ok(url) = Url::parse(&format!("https://{host}/")) else {
            return (CheckStatus::Fail, "is no host.".to_owned());
        };
        match self.providers.http().certificate_expiry(&url).await {
            Ok(Some(end)) if end <= self.clock.now().plus(CERTIFICATE_WARNING_PERIOD) => {
                (CheckStatus::Warning, format!("has a certificate that ends on {end}: renew it."))
            }
            Ok(Some(end)) => (CheckStatus::Pass, format!("has a certificate until {end}.")),
            Ok(None) => (CheckStatus::Warning, "has a certificate that cannot be read: look at it.".to_owned()),
            Err(HttpClientError::Rejected("private_address")) => (
                CheckStatus::Warning,
                "is inside a private network, seen from here: look at it from outside.".to_owned(),
            ),
            Err(error) => {
                (CheckStatus::Fail, format!("cannot be reached by TLS: {error}; mend its certificate or its proxy."))
            }
        }
    }
}

async fn missing_emails_check(db: &Db, biller: &BillerId) -> Result<ReadinessCheck, DbError> {
    let count = db.one(USERS_WITHOUT_EMAIL, values![biller.as_str()]).await?.map_or(Ok(0), |row| row.int(0))?;
    Ok(if count == 0 {
        check("users_without_email", CheckStatus::Pass, "Every user has a mail address.".to_owned())
    } else {
        let advice = format!("{count} user(s) have no mail address and cannot reset a password by themselves: add it.");
        check("users_without_email", CheckStatus::Warning, advice)
    })
}

/// Colours are checked when they are saved; here as the pages are now.
fn contrast_check(biller: &Biller) -> ReadinessCheck {
    let Some(colours) = biller.branding.colours else {
        return check(
            "contrast",
            CheckStatus::Pass,
            "It has no colours of its own: its pages are in the usual ones.".to_owned(),
        );
    };
    let problems = colours.problems();
    if problems.is_empty() {
        let (light, dark) = colours.lowest_text_contrast();
        let advice = format!(
            "Its colours can be read: text has at least {light:.1}:1 on light pages, {dark:.1}:1 on dark ones."
        );
        return check("contrast", CheckStatus::Pass, advice);
    }
    let problems: Vec<String> = problems.into_iter().map(|(field, text)| format!("{field}: {text}.")).collect();
    check("contrast", CheckStatus::Warning, problems.join(" "))
}

fn check(name: &'static str, status: CheckStatus, advice: String) -> ReadinessCheck {
    ReadinessCheck { name, status, advice }
}

fn failed_check(name: &'static str, what: &str, error: &ProviderError) -> ReadinessCheck {
    check(name, CheckStatus::Fail, format!("{what} cannot be used ({}). {}", error.reason(), advice(error.reason())))
}

/// What to do about trouble with a provider, by its reason.
pub fn advice(reason: &str) -> &'static str {
    match reason {
        "server_error" => "It answers with an error of its own: tell its operators, if it lasts.",
        "connect" | "timeout" => "Check that the issuer's address is right and can be reached from here.",
        "discovery_issuer_mismatch" => "Write the issuer exactly as its discovery document does.",
        "discovery_endpoint_not_allowed" => "Name the host of its endpoints in oidc.extra_hosts, if it is theirs.",
        "discovery_algorithm_mismatch" => "Set oidc.id_token_algs to what the provider signs with.",
        "private_address" => "The issuer's address is inside a private network, which is refused.",
        "no_registration" => {
            "Import the biller again: it has no registration, or its secret was sealed under a key that is gone."
        }
        "weak_key" | "private_key_published" => "The provider's keys are not safe; tell its operators.",
        "invalid_client" => "Import the biller again with the client id and secret that the provider knows.",
        _ => "Look at what its discovery address answers.",
    }
}
