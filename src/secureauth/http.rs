//! The HTTP client: no redirects, no proxies from the environment, no cookies, short timeouts, limited bodies, and no connection
//! to a private IP address.

use std::error::Error;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, HeaderValue, Method, header};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::redirect::Policy;
use reqwest::tls::TlsInfo;
use url::{Host, Url};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::addresses::{PrivateAddress, PublicResolver, UnknownHost};
use crate::config::AddressPolicy;
use crate::telemetry::traces::{self, NewSpan};
use crate::telemetry::{causes, root_cause};
use signpost_core::Timestamp;

const MAX_BODY: usize = 256 * 1024;
/// Seconds that customers are asked to wait, whatever the server says.
const RETRY_AFTER: std::ops::RangeInclusive<u16> = 1..=120;
pub(super) const DEFAULT_RETRY_AFTER: u16 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpClientError {
    /// No connection, a TLS error, a timeout, an invalid response, or a 5xx.
    #[error("no response ({0})")]
    Unavailable(&'static str),
    /// A 429, or a 503 that says when to try again.
    #[error("overloaded, retry after {seconds} s")]
    Throttled { status: u16, seconds: u16 },
    /// Signpost does not accept the URL or the response.
    #[error("rejected ({0})")]
    Rejected(&'static str),
}

impl HttpClientError {
    fn reason(self) -> &'static str {
        match self {
            Self::Unavailable(reason) | Self::Rejected(reason) => reason,
            Self::Throttled { .. } => "throttled",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    addresses: Arc<AddressPolicy>,
}

impl Http {
    /// `timeout` limits each call. Names are resolved by `addresses` at every connection.
    #[expect(clippy::disallowed_methods, reason = "the one client there is")]
    pub fn new(timeout: Duration, addresses: &AddressPolicy) -> Result<Self, reqwest::Error> {
        let addresses = Arc::new(addresses.clone());
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(timeout.min(Duration::from_secs(2)))
            .timeout(timeout)
            .https_only(!addresses.allow_loopback)
            .tls_info(true)
            .dns_resolver(Arc::new(PublicResolver { addresses: Arc::clone(&addresses) }))
            .user_agent(concat!("signpost/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, addresses })
    }

    /// Gets a JSON document. Any status but 200 is an error.
    pub async fn get(&self, url: &Url) -> Result<Vec<u8>, HttpClientError> {
        self.check_target(url)?;
        let request = self.client.get(url.clone()).header("accept", "application/json");
        let response = self.send(request.build()).await?;
        match response.status().as_u16() {
            200 => read_limited(response, MAX_BODY).await,
            // A gateway answers for a server that does not. Any other error is the server's own: it is not down.
            502..=504 => Err(HttpClientError::Unavailable("server_error")),
            500.. => Err(HttpClientError::Rejected("server_error")),
            300..400 => Err(HttpClientError::Rejected("unexpected_redirect")),
            _ => Err(HttpClientError::Rejected("unexpected_status")),
        }
    }

    /// Gets UserInfo with an access token (OpenID Connect Core, section 5.3.1). Returns the media type and the body.
    pub async fn get_with_token(&self, url: &Url, token: &str) -> Result<(String, Vec<u8>), HttpClientError> {
        self.check_target(url)?;
        let request = self.client.get(url.clone()).header(AUTHORIZATION, bearer(token)?);
        let request = request.header("accept", "application/json, application/jwt");
        let response = self.send(request.build()).await?;
        if let Some(throttled) = throttled(&response) {
            return Err(throttled);
        }
        match response.status().as_u16() {
            200 => {
                let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
                let media_type = media_type.unwrap_or_default().split(';').next().unwrap_or_default();
                let media_type = media_type.trim().to_ascii_lowercase();
                Ok((media_type, read_limited(response, MAX_BODY).await?))
            }
            500.. => Err(HttpClientError::Unavailable("server_error")),
            300..400 => Err(HttpClientError::Rejected("unexpected_redirect")),
            _ => Err(HttpClientError::Rejected("userinfo_rejected")),
        }
    }

    /// The server's clock by the `Date` header of its response (RFC 9110, section 6.6.1), in seconds since 1970. A response that
    /// a cache kept is as much older as its `Age` says (RFC 9111, section 5.1).
    pub async fn server_time(&self, url: &Url) -> Result<Option<i64>, HttpClientError> {
        self.check_target(url)?;
        let response = self.send(self.client.get(url.clone()).build()).await?;
        let date = response.headers().get(header::DATE).and_then(|value| value.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let since = date.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok());
        let age = response.headers().get(header::AGE).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
        Ok(since.and_then(|since| i64::try_from(since.as_secs()).ok()).map(|time| time + i64::from(age.unwrap_or(0))))
    }

    /// Returns the status of a GET, and the target if it is a redirect.
    pub async fn redirect_target(&self, url: &Url) -> Result<(u16, Option<Url>), HttpClientError> {
        self.check_target(url)?;
        let response = self.send(self.client.get(url.clone()).build()).await?;
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.filter(|_| response.status().is_redirection()).and_then(|to| url.join(to).ok());
        Ok((response.status().as_u16(), location))
    }

    /// Returns when the server's certificate expires, or `None` if it cannot be parsed. The response does not matter.
    pub async fn certificate_expiry(&self, url: &Url) -> Result<Option<Timestamp>, HttpClientError> {
        self.check_target(url)?;
        let response = self.send(self.client.head(url.clone()).build()).await?;
        let certificate = response.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
        let certificate = certificate.and_then(|der| Certificate::from_der(der).ok());
        Ok(certificate.and_then(|found| {
            let end = found.tbs_certificate().validity().not_after.to_unix_duration();
            i64::try_from(end.as_millis()).ok().map(Timestamp::from_millis)
        }))
    }

    /// Posts a form. Returns the status and the body. A 5xx and a redirect are errors.
    pub async fn post(
        &self,
        url: &Url,
        fields: &[(String, String)],
        authorization: Option<HeaderValue>,
    ) -> Result<(u16, Vec<u8>), HttpClientError> {
        self.check_target(url)?;
        let mut request = self.client.post(url.clone()).header("accept", "application/json").form(fields);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let response = self.send(request.build()).await?;
        if let Some(throttled) = throttled(&response) {
            return Err(throttled);
        }
        match response.status().as_u16() {
            500.. => Err(HttpClientError::Unavailable("server_error")),
            300..400 => Err(HttpClientError::Rejected("unexpected_redirect")),
            status => Ok((status, read_limited(response, MAX_BODY).await?)),
        }
    }

    /// Makes a JSON call. Returns status, headers and body. A redirect is an error. `timeout` limits the whole call, `max_body` the
    /// bytes of the body.
    pub async fn json(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Option<Vec<u8>>,
        (timeout, max_body): (Duration, usize),
    ) -> Result<(u16, HeaderMap, Vec<u8>), HttpClientError> {
        self.check_target(url)?;
        let request = self.client.request(method, url.clone()).headers(headers).timeout(timeout);
        let mut request = request.header("accept", "application/json");
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let response = self.send(request.build()).await?;
        let status = response.status();
        if status.is_redirection() {
            return Err(HttpClientError::Rejected("unexpected_redirect"));
        }
        let headers = response.headers().clone();
        Ok((status.as_u16(), headers, read_limited(response, max_body).await?))
    }

    /// Downloads a document of any length. Returns the status. `on_chunk` gets the chunks of a 200.
    pub async fn download(
        &self,
        url: &Url,
        headers: HeaderMap,
        timeout: Duration,
        mut on_chunk: impl FnMut(&[u8]) -> Result<(), HttpClientError>,
    ) -> Result<u16, HttpClientError> {
        self.check_target(url)?;
        let request =
            self.client.get(url.clone()).headers(headers).timeout(timeout).header("accept", "application/json");
        let mut response = self.send(request.build()).await?;
        match response.status() {
            status if status.is_redirection() => Err(HttpClientError::Rejected("unexpected_redirect")),
            status if status != 200 => Ok(status.as_u16()),
            status => {
                while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
                    on_chunk(&chunk)?;
                }
                Ok(status.as_u16())
            }
        }
    }

    /// Fails if calls to this URL are not allowed. Host names are checked when they are resolved, at every connection.
    pub fn check_target(&self, url: &Url) -> Result<(), HttpClientError> {
        let secure = url.scheme() == "https" || (self.addresses.allow_loopback && url.scheme() == "http");
        if !secure || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(HttpClientError::Rejected("invalid_endpoint_url"));
        }
        let literal = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            Some(Host::Domain(_)) => None,
            None => return Err(HttpClientError::Rejected("invalid_endpoint_url")),
        };
        match literal {
            Some(ip) if !self.addresses.allows(ip) => Err(HttpClientError::Rejected("private_address")),
            _ => Ok(()),
        }
    }

    /// Every call goes through here: in a span, whose trace the server can continue.
    async fn send(
        &self,
        request: Result<reqwest::Request, reqwest::Error>,
    ) -> Result<reqwest::Response, HttpClientError> {
        let mut request = request.map_err(|error| classify(&error))?;
        let span = traces::begin(|| NewSpan::http_call(request.method(), request.url()));
        span.inject(request.headers_mut());
        match self.client.execute(request).await {
            Ok(response) => {
                span.note_response(response.status());
                Ok(response)
            }
            Err(error) => {
                let error = classify(&error);
                span.fail(error.reason());
                Err(error)
            }
        }
    }

    async fn execute(self, request: HttpRequest) -> Result<HttpResponse, HttpClientError> {
        let url =
            Url::parse(&request.uri().to_string()).map_err(|_| HttpClientError::Rejected("invalid_endpoint_url"))?;
        self.check_target(&url)?;
        let response = self.send(reqwest::Request::try_from(request)).await?;
        let status = response.status();
        if let Some(throttled) = throttled(&response) {
            return Err(throttled);
        }
        if status.is_server_error() {
            return Err(HttpClientError::Unavailable("server_error"));
        }
        if status.is_redirection() {
            return Err(HttpClientError::Rejected("unexpected_redirect"));
        }
        let headers = response.headers().clone();
        let mut http_response = HttpResponse::new(read_limited(response, MAX_BODY).await?);
        *http_response.status_mut() = status;
        *http_response.headers_mut() = headers;
        Ok(http_response)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpClientError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpClientError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.clone().execute(request))
    }
}

/// The credentials of a bearer token (RFC 6750, section 2.1).
pub(super) fn bearer(token: &str) -> Result<HeaderValue, HttpClientError> {
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let mut value = value.map_err(|_| HttpClientError::Rejected("invalid_access_token"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A 429, or a 503 with `Retry-After` (RFC 9110, section 10.2.3). A date counts as no hint.
fn throttled(response: &reqwest::Response) -> Option<HttpClientError> {
    let status = response.status().as_u16();
    let hint = response.headers().get(header::RETRY_AFTER);
    if status != 429 && !(status == 503 && hint.is_some()) {
        return None;
    }
    let hint = hint.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let seconds = hint.map_or(DEFAULT_RETRY_AFTER, |seconds| u16::try_from(seconds).unwrap_or(u16::MAX));
    Some(HttpClientError::Throttled { status, seconds: seconds.clamp(*RETRY_AFTER.start(), *RETRY_AFTER.end()) })
}

/// Names the reason of a failed call and logs its innermost cause.
fn classify(error: &reqwest::Error) -> HttpClientError {
    let is_any = |test: fn(&(dyn Error + 'static)) -> bool| causes(error).any(test);
    if is_any(|cause| cause.is::<PrivateAddress>()) {
        return HttpClientError::Rejected("private_address");
    }
    let is_bad_certificate =
        |cause: &(dyn Error + 'static)| matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)));
    let reason = match error {
        e if e.is_timeout() => "timeout",
        _ if is_any(|cause| cause.is::<UnknownHost>()) => "dns",
        _ if is_any(is_bad_certificate) => "certificate",
        _ if is_any(|cause| cause.is::<rustls::Error>()) => "tls",
        e if e.is_connect() => "connect",
        _ => "broken_response",
    };
    let host = error.url().and_then(Url::host_str);
    tracing::info!(host, reason, cause = root_cause(error), "a call failed");
    HttpClientError::Unavailable(reason)
}

async fn read_limited(mut response: reqwest::Response, max_body: usize) -> Result<Vec<u8>, HttpClientError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
        if body.len() + chunk.len() > max_body {
            return Err(HttpClientError::Rejected("response_too_large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_rejected_in_every_spelling() {
        let http = Http::new(Duration::from_secs(1), &AddressPolicy::default()).unwrap();
        for bad in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest",
            "https://10.1.2.3/",
            "https://192.168.0.1/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "http://example.com/",
            "https://user@example.com/",
            "https://example.com/#x",
            "javascript:alert(1)",
        ] {
            assert!(http.check_target(&Url::parse(bad).unwrap()).is_err(), "{bad}");
        }
        assert!(http.check_target(&Url::parse("https://login.example.com/x").unwrap()).is_ok());
        let private_networks = vec!["10.1.0.0/16".parse().unwrap()];
        let addresses = AddressPolicy { private_networks, ..AddressPolicy::default() };
        let http = Http::new(Duration::from_secs(1), &addresses).unwrap();
        assert!(http.check_target(&Url::parse("https://10.1.2.3/").unwrap()).is_ok());
        assert!(http.check_target(&Url::parse("https://10.2.2.3/").unwrap()).is_err());
    }

    #[tokio::test]
    async fn names_resolving_to_private_addresses_are_rejected() {
        let http = Http::new(Duration::from_secs(2), &AddressPolicy::default()).unwrap();
        let result = http.get(&Url::parse("https://localhost/").unwrap()).await;
        assert_eq!(result, Err(HttpClientError::Rejected("private_address")));
    }
}
