//! How the client proves who it is at the token endpoint and at the endpoint for pushed requests.

use std::pin::Pin;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

use super::{Http, HttpClientError, Registration};
use signpost_core::sign::client_assertion;
use signpost_core::{Random, SigningKey, Timestamp};

/// Client authentication (OpenID Connect Core, section 9).
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// `client_secret_basic`
    Basic(SecretString),
    /// `client_secret_post`
    Post(SecretString),
    /// `private_key_jwt`
    PrivateKey(Arc<SigningKey>),
}

/// What is not percent-encoded: unreserved characters only (RFC 3986, section 2.3).
const FORM_ENCODE_SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl ClientAuth {
    /// Form fields that prove it.
    pub(super) fn fields(
        &self,
        registration: &Registration,
        now: Timestamp,
        random: &Random,
    ) -> Vec<(&'static str, String)> {
        match self {
            Self::Basic(_) => Vec::new(),
            Self::Post(secret) => vec![("client_secret", secret.expose_secret().to_owned())],
            Self::PrivateKey(key) => {
                // The issuer and nothing else as audience: an assertion is then of no use at another one.
                let assertion = client_assertion(key, &registration.client_id, &registration.issuer, now, random);
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                vec![("client_assertion_type", kind.to_owned()), ("client_assertion", assertion)]
            }
        }
    }

    /// The header that proves it. Id and secret are form-encoded first (RFC 6749, section 2.3.1), by the escapes that
    /// readers of forms and of addresses agree on.
    pub(super) fn header(&self, client_id: &str) -> Option<HeaderValue> {
        let Self::Basic(secret) = self else { return None };
        basic(client_id, secret)
    }
}

/// The header of HTTP Basic authentication of a client.
pub(super) fn basic(client_id: &str, secret: &SecretString) -> Option<HeaderValue> {
    let (id, secret) =
        (utf8_percent_encode(client_id, FORM_ENCODE_SET), utf8_percent_encode(secret.expose_secret(), FORM_ENCODE_SET));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The HTTP client with proof of who we are in the header, where that is the method.
pub(super) struct Authenticated<'a> {
    pub http: &'a Http,
    pub header: Option<HeaderValue>,
}

impl<'c> AsyncHttpClient<'c> for Authenticated<'_> {
    type Error = HttpClientError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpClientError>> + Send + 'c>>;

    fn call(&'c self, mut request: HttpRequest) -> Self::Future {
        if let Some(value) = &self.header {
            request.headers_mut().insert(header::AUTHORIZATION, value.clone());
            // The header names the client already; naming it twice looks like two methods to some providers.
            let fields = form_urlencoded::parse(request.body()).filter(|(name, _)| name != "client_id");
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            *request.body_mut() = body.into_bytes();
        }
        self.http.call(request)
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;

    use super::*;

    #[test]
    fn basic_auth_round_trips_every_printable_character() {
        let all: String = (' '..='~').collect();
        let header = ClientAuth::Basic(SecretString::from(all.clone())).header(&all).unwrap();
        let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        let plain = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
        let (id, secret) = plain.split_once(':').unwrap();
        assert_eq!(id, secret);
        assert!(id.contains("-._~".chars().next().unwrap()) && id.contains("%20") && !id.contains('+'));
        assert_eq!(percent_decode_str(id).decode_utf8().unwrap(), all);
    }
}
