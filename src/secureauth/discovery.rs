//! The discovery document (OpenID Connect Discovery 1.0, section 3; RFC 8414; RFC 9207, section 3).

use std::collections::BTreeSet;

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, ProviderMetadata};
use serde::{Deserialize, Serialize};
use url::Url;

use super::error::{invalid_response, log_detail};
use super::{Http, ProviderError, Registration, json};

/// Parameters of requests that Signpost sends a browser with.
const RESERVED_PARAMETERS: [&str; 23] = [
    "acr_values",
    "claims",
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "display",
    "id_token_hint",
    "login_hint",
    "logout_hint",
    "max_age",
    "nonce",
    "post_logout_redirect_uri",
    "prompt",
    "redirect_uri",
    "registration",
    "request",
    "request_uri",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "state",
    "ui_locales",
];

type Metadata = ProviderMetadata<
    Extra,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Extra {
    end_session_endpoint: Option<Url>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    pushed_authorization_request_endpoint: Option<Url>,
    #[serde(default)]
    require_pushed_authorization_requests: bool,
}

impl AdditionalProviderMetadata for Extra {}

/// The members with endpoints that must be allowed.
pub(super) const ENDPOINTS: [&str; 5] = [
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "end_session_endpoint",
    "pushed_authorization_request_endpoint",
];

/// The checked parts of a discovery document that Signpost uses.
#[derive(Clone, Debug)]
pub(super) struct DiscoveryDocument {
    pub authorization_endpoint: Url,
    pub token_endpoint: Url,
    pub jwks_uri: Url,
    /// Only if calls to it are allowed: some providers have it on a host of its own, and most sign-ins do without it.
    pub userinfo_endpoint: Option<Url>,
    /// The claims that the provider can send, if it says so.
    pub claims_supported: Option<Vec<String>>,
    pub end_session_endpoint: Option<Url>,
    /// It has parameters that only Signpost may set: the provider takes no part in logout, and sign-ins do without it.
    pub rejected_end_session_endpoint: Option<Url>,
    pub iss_parameter_supported: bool,
    /// Pushed authorization requests (RFC 9126)
    pub par_endpoint: Option<Url>,
    pub par_required: bool,
}

/// The well-known path is appended to the issuer's path (OpenID Connect Discovery 1.0, section 4).
pub(super) fn discovery_url(issuer: &str) -> Result<Url, ProviderError> {
    Url::parse(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))
        .map_err(|_| ProviderError::InvalidResponse("invalid_issuer_url"))
}

pub(super) fn parse(
    bytes: &[u8],
    registration: &Registration,
    http: &Http,
) -> Result<DiscoveryDocument, ProviderError> {
    let malformed = |_| ProviderError::InvalidResponse("discovery_malformed");
    json::object(bytes).map_err(malformed)?;
    let metadata: Metadata = serde_json::from_slice(bytes).map_err(malformed)?;
    if metadata.issuer().as_str() != registration.issuer {
        let detail = format!("issuer is {:?}, oidc.issuer is {:?}", metadata.issuer().as_str(), registration.issuer);
        return Err(invalid_response("discovery_issuer_mismatch", &detail));
    }
    let pinned = |alg: &_| {
        serde_json::to_value(alg).ok().is_some_and(|name| registration.id_token_algs.iter().any(|pin| name == **pin))
    };
    let algs = metadata.id_token_signing_alg_values_supported();
    if !algs.iter().any(pinned) {
        let supported = serde_json::json!(algs);
        let detail = format!(
            "id_token_signing_alg_values_supported is {supported}, oidc.id_token_algs is {:?}",
            registration.id_token_algs
        );
        return Err(invalid_response("discovery_algorithm_mismatch", &detail));
    }
    let token_endpoint =
        metadata.token_endpoint().ok_or(ProviderError::InvalidResponse("discovery_no_token_endpoint"))?;
    let extra = metadata.additional_metadata();
    let (end_session_endpoint, rejected_end_session_endpoint) = match extra.end_session_endpoint.clone() {
        Some(endpoint) if check_own_parameters(&endpoint).is_err() => (None, Some(endpoint)),
        endpoint => (endpoint, None),
    };
    let document = DiscoveryDocument {
        authorization_endpoint: metadata.authorization_endpoint().url().clone(),
        token_endpoint: token_endpoint.url().clone(),
        jwks_uri: metadata.jwks_uri().url().clone(),
        userinfo_endpoint: metadata
            .userinfo_endpoint()
            .map(|endpoint| endpoint.url().clone())
            .filter(|endpoint| http.check_target(endpoint).is_ok() && is_allowed_endpoint(endpoint, registration)),
        claims_supported: metadata
            .claims_supported()
            .map(|claims| claims.iter().map(|claim| claim.to_string()).collect()),
        end_session_endpoint,
        rejected_end_session_endpoint,
        iss_parameter_supported: extra.authorization_response_iss_parameter_supported,
        par_endpoint: extra.pushed_authorization_request_endpoint.clone(),
        par_required: extra.require_pushed_authorization_requests,
    };
    let endpoints = [&document.authorization_endpoint, &document.token_endpoint, &document.jwks_uri].into_iter();
    let logout = document.end_session_endpoint.iter().chain(&document.rejected_end_session_endpoint);
    for endpoint in endpoints.chain(logout).chain(&document.par_endpoint) {
        check_endpoint(endpoint, registration, http)?;
    }
    check_own_parameters(&document.authorization_endpoint)?;
    Ok(document)
}

/// An endpoint that browsers are sent to may have parameters of its own (RFC 6749, section 3.1), but each once, and none that
/// Signpost adds.
fn check_own_parameters(endpoint: &Url) -> Result<(), ProviderError> {
    let mut names = BTreeSet::new();
    for (name, _) in endpoint.query_pairs() {
        if RESERVED_PARAMETERS.contains(&&*name) || !names.insert(name.clone()) {
            let detail = format!("the endpoint {endpoint} has the parameter {name:?}");
            return Err(invalid_response("discovery_reserved_parameter", &detail));
        }
    }
    Ok(())
}

/// Whether an endpoint is allowed. The token endpoint is checked again as it was when the browser was sent away.
pub(super) fn check_endpoint(endpoint: &Url, registration: &Registration, http: &Http) -> Result<(), ProviderError> {
    if let Err(error) = http.check_target(endpoint) {
        let error = ProviderError::from(error);
        log_detail(error.reason(), &format!("the endpoint is {endpoint}"));
        return Err(error);
    }
    if is_allowed_endpoint(endpoint, registration) {
        return Ok(());
    }
    let (issuer, hosts) = (&registration.issuer, &registration.extra_hosts);
    let detail = format!("the endpoint is {endpoint}, oidc.issuer is {issuer}, oidc.extra_hosts is {hosts:?}");
    Err(invalid_response("discovery_endpoint_not_allowed", &detail))
}

/// Endpoints must be on the issuer's origin, or on a host that the registration allows.
fn is_allowed_endpoint(endpoint: &Url, registration: &Registration) -> bool {
    let own = Url::parse(&registration.issuer).is_ok_and(|issuer| issuer.origin() == endpoint.origin());
    own || endpoint.host_str().is_some_and(|host| registration.extra_hosts.iter().any(|extra| extra == host))
}
