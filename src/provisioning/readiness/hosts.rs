//! Checks of hosts: DNS and TLS. Vanity hosts of billers, and the addresses of the settings.

use std::time::Duration;

use url::Url;

use super::{CheckStatus, ReadinessCheck, check};
use crate::provisioning::Provisioning;
use crate::secureauth::HttpClientError;
use signpost_core::{Slug, paths};

/// A certificate that expires within this time is a warning.
const CERTIFICATE_WARNING_PERIOD: Duration = Duration::from_secs(14 * 24 * 3600);
const DNS_TIMEOUT: Duration = Duration::from_secs(5);

impl Provisioning {
    pub(super) async fn host_check(&self, slug: &Slug, host: &str) -> ReadinessCheck {
        let (status, advice) = self.check_host(slug, host).await;
        check("vanity_host", status, format!("{host} {advice}"))
    }

    async fn check_host(&self, slug: &Slug, host: &str) -> (CheckStatus, String) {
        if !resolves(host.split(':').next().unwrap_or(host)).await {
            let path = self.public_url.join(&paths::biller(slug)).map_or_else(|_| String::new(), String::from);
            let advice = format!("has no DNS record yet: point it at this service. Until then only {path} works.");
            return (CheckStatus::Warning, advice);
        }
        if self.public_url.scheme() != "https" {
            return (
                CheckStatus::Warning,
                "is not checked for TLS, because server.public_url is not https.".to_owned(),
            );
        }
        let Ok(url) = Url::parse(&format!("https://{host}/")) else {
            return (CheckStatus::Fail, "is not a valid host.".to_owned());
        };
        self.check_certificate(&url).await
    }

    /// DNS and certificate of an address of the settings, which is named in the advice.
    pub async fn address_findings(&self, setting: &str, url: &Url) -> Vec<ReadinessCheck> {
        let host = url.host_str().unwrap_or_default();
        let is_name = url.domain().is_some();
        if is_name && !resolves(host).await {
            let advice = format!("{setting}: {host} does not resolve from here.");
            return vec![check("dns", CheckStatus::Warning, advice)];
        }
        let mut checks = Vec::new();
        if is_name {
            checks.push(check("dns", CheckStatus::Pass, format!("{setting}: {host} resolves.")));
        }
        if url.scheme() == "https" {
            let (status, advice) = self.check_certificate(url).await;
            checks.push(check("tls", status, format!("{setting}: {host} {advice}")));
        }
        checks
    }

    async fn check_certificate(&self, url: &Url) -> (CheckStatus, String) {
        match self.providers.http().certificate_expiry(url).await {
            Ok(Some(end)) if end <= self.clock.now().plus(CERTIFICATE_WARNING_PERIOD) => {
                (CheckStatus::Warning, format!("has a certificate that expires on {end}: renew it."))
            }
            Ok(Some(end)) => (CheckStatus::Pass, format!("has a certificate that expires on {end}.")),
            Ok(None) => (CheckStatus::Warning, "has a certificate that cannot be read: check it.".to_owned()),
            Err(HttpClientError::Rejected("private_address")) => (
                CheckStatus::Warning,
                "has a private IP address when resolved from here: check it from outside.".to_owned(),
            ),
            Err(error) => {
                (CheckStatus::Fail, format!("cannot be reached over TLS: {error}. Fix its certificate or its proxy."))
            }
        }
    }
}

/// Names under localhost need no DNS record (RFC 6761, section 6.3).
async fn resolves(name: &str) -> bool {
    if name == "localhost" || name.ends_with(".localhost") {
        return true;
    }
    let found = tokio::time::timeout(DNS_TIMEOUT, tokio::net::lookup_host((name, 443))).await;
    found.is_ok_and(|found| found.is_ok_and(|mut addresses| addresses.next().is_some()))
}
