//! Checks of the biller's vanity hosts: DNS and TLS.

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
        let name = host.split(':').next().unwrap_or(host);
        // Names under localhost need no DNS record (RFC 6761, section 6.3).
        if !name.ends_with(".localhost") {
            let found = tokio::time::timeout(DNS_TIMEOUT, tokio::net::lookup_host((name, 443))).await;
            if !found.is_ok_and(|found| found.is_ok_and(|mut addresses| addresses.next().is_some())) {
                let path = self.public_url.join(&paths::biller(slug)).map_or_else(|_| String::new(), String::from);
                let advice = format!("has no DNS record yet: point it at this service. Until then only {path} works.");
                return (CheckStatus::Warning, advice);
            }
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
        match self.providers.http().certificate_expiry(&url).await {
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
