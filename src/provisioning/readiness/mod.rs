//! The readiness check: whether a biller's customers can sign in, and what to do if not. An enablement job does not activate a
//! biller while a check fails.

mod hosts;
mod provider;
mod users;

use serde::Serialize;
use utoipa::ToSchema;

pub use provider::advice;

use super::jobs::{LeasedJob, StopReason};
use super::steps::ResourceIds;
use super::{Provisioning, ProvisioningError};
use crate::db::DbError;
use crate::directory::Biller;
use signpost_core::decision::CiamState;
use signpost_core::{Slug, paths};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    Pass,
    /// Customers can sign in, but an operator should act.
    Warning,
    /// Customers cannot sign in, or would reach the wrong page.
    Fail,
}

impl CheckStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warning => "warning",
            Self::Fail => "fail",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReadinessCheck {
    /// `issuer`, `keys`, `redirect_uri`, `credentials`, `claim`, `clock`, `users`, `users_without_email`, `contrast` or `vanity_host`.
    pub name: &'static str,
    pub status: CheckStatus,
    /// The finding, and what to do about it.
    pub advice: String,
}

/// A biller's readiness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// The biller's slug.
    pub biller: Slug,
    /// The worst status of its checks.
    pub status: CheckStatus,
    pub checks: Vec<ReadinessCheck>,
}

impl Provisioning {
    /// Runs every check of a biller.
    pub async fn readiness(&self, biller: &Biller) -> Result<Readiness, DbError> {
        self.run_checks(biller, None).await
    }

    /// Runs the checks of a biller's identity provider alone: what a sign-in needs.
    pub async fn provider_findings(&self, biller: &Biller) -> Vec<ReadinessCheck> {
        let redirect_uri = self.public_url.join(&paths::callback(&biller.slug));
        let registration = redirect_uri.ok().and_then(|uri| biller.registration(&self.keys, uri));
        match registration {
            Some(registration) => self.provider_checks(biller, &registration).await,
            None if biller.state == CiamState::Legacy && biller.settings.oidc.is_none() => {
                let advice = format!(
                    "The biller is legacy and has no OIDC registration. `signpost enable {}` creates one.",
                    biller.slug
                );
                vec![check("issuer", CheckStatus::Warning, advice)]
            }
            None => vec![check("issuer", CheckStatus::Fail, advice("no_registration").to_owned())],
        }
    }

    async fn run_checks(&self, biller: &Biller, provisioned_pool: Option<&str>) -> Result<Readiness, DbError> {
        let mut checks = self.provider_findings(biller).await;
        checks.push(self.users_check(biller, provisioned_pool).await?);
        checks.push(users::missing_emails_check(&self.db, &biller.id).await?);
        checks.push(contrast_check(biller));
        if biller.hosts.is_empty() {
            let advice = "The biller has no vanity host. Customers use its vanity path.".to_owned();
            checks.push(check("vanity_host", CheckStatus::Pass, advice));
        }
        for host in &biller.hosts {
            checks.push(self.host_check(&biller.slug, host).await);
        }
        let status = checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Pass);
        Ok(Readiness { biller: biller.slug.clone(), status, checks })
    }

    /// Fails with [`StopReason::RetryLater`] before activation while a check of the biller, as it will be, fails.
    pub(super) async fn require_ready(&self, job: &LeasedJob, candidate: &Biller) -> Result<(), StopReason> {
        let checks = self.run_checks(candidate, Some(&ResourceIds::of(&candidate.slug, job).pool)).await?.checks;
        let failing: Vec<&str> = checks
            .iter()
            .filter(|check| check.status == CheckStatus::Fail)
            .map(|check| check.advice.as_str())
            .collect();
        if failing.is_empty() {
            return Ok(());
        }
        let message = format!("Not activated yet. {}", failing.join(" "));
        self.ledger.record_progress(job, (&job.last_user_id, job.done), &message).await?;
        Err(StopReason::RetryLater(ProvisioningError::NotReady(message)))
    }
}

/// Colours are also checked when they are saved. The pages may have changed since.
fn contrast_check(biller: &Biller) -> ReadinessCheck {
    let Some(colours) = biller.branding.colours else {
        return check(
            "contrast",
            CheckStatus::Pass,
            "The biller has no colours of its own. Its pages use the default colours.".to_owned(),
        );
    };
    let problems = colours.problems();
    if problems.is_empty() {
        let (light, dark) = colours.lowest_text_contrast();
        let advice = format!(
            "The biller's colours are readable: the contrast of text is at least {light:.1}:1 on light pages and {dark:.1}:1 on dark pages."
        );
        return check("contrast", CheckStatus::Pass, advice);
    }
    let problems: Vec<String> = problems.into_iter().map(|(field, text)| format!("{field}: {text}.")).collect();
    check("contrast", CheckStatus::Warning, problems.join(" "))
}

fn check(name: &'static str, status: CheckStatus, advice: String) -> ReadinessCheck {
    ReadinessCheck { name, status, advice }
}
