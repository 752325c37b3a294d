//! Client authentication at the token endpoint and at the pushed authorization request endpoint.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Http, HttpClientError};
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

/// All but the unreserved characters (RFC 3986, section 2.3) are percent-encoded.
const FORM_ENCODE_SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl ClientAuth {
    /// Form fields with the credentials.
    pub(super) fn fields(
        &self,
        (client_id, issuer): (&str, &str),
        now: Timestamp,
        random: &Random,
    ) -> Vec<(&'static str, String)> {
        match self {
            Self::Basic(_) => Vec::new(),
            Self::Post(secret) => vec![("client_secret", secret.expose_secret().to_owned())],
            Self::PrivateKey(key) => {
                // The issuer is the only audience, so that another issuer cannot use the assertion.
                let assertion = client_assertion(key, client_id, issuer, now, random);
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                vec![("client_assertion_type", kind.to_owned()), ("client_assertion", assertion)]
            }
        }
    }

    /// The header with the credentials. Id and secret are form-encoded first (RFC 6749, section 2.3.1), with escapes that form
    /// decoders and URL decoders read alike.
    pub(super) fn header(&self, client_id: &str) -> Option<HeaderValue> {
        let Self::Basic(secret) = self else { return None };
        basic(client_id, secret)
    }
}

/// HTTP Basic authentication of a client.
pub(super) fn basic(client_id: &str, secret: &SecretString) -> Option<HeaderValue> {
    let (id, secret) =
        (utf8_percent_encode(client_id, FORM_ENCODE_SET), utf8_percent_encode(secret.expose_secret(), FORM_ENCODE_SET));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// An HTTP client that adds the credentials as a header.
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
            // Some providers take a `client_id` beside the header for a second authentication method.
            let fields = form_urlencoded::parse(request.body()).filter(|(name, _)| name != "client_id");
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            *request.body_mut() = body.into_bytes();
        }
        Box::pin(async move {
            let response = self.http.call(request).await?;
            match response.status().as_u16() {
                200 => check_members(response.body()).map(|()| response),
                _ => Ok(response),
            }
        })
    }
}

/// Checks what the library ignores: data after the JSON object, repeated members, and an error beside tokens.
fn check_members(body: &[u8]) -> Result<(), HttpClientError> {
    let Members(names) =
        serde_json::from_slice(body).map_err(|_| HttpClientError::Rejected("token_response_malformed"))?;
    let is_ambiguous = names.contains("error") && (names.contains("id_token") || names.contains("access_token"));
    if is_ambiguous { Err(HttpClientError::Rejected("error_beside_tokens")) } else { Ok(()) }
}

/// The names of a JSON object's members, each there once (RFC 8259, section 4).
struct Members(BTreeSet<String>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = BTreeSet<String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object whose members have different names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut names = BTreeSet::new();
                while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    if !names.insert(name) {
                        return Err(serde::de::Error::custom("a member is repeated"));
                    }
                }
                Ok(names)
            }
        }
        deserializer.deserialize_map(Object).map(Self)
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
