//! A biller's registration as an OpenID Connect relying party.

use std::net::{IpAddr, SocketAddr};

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize, Serializer};
use url::Url;
use utoipa::ToSchema;

use crate::config::{AddressPolicy, Secret, check_url, is_host_name};
use crate::secureauth::AuthorizationParams;
use signpost_core::{BillerId, FieldErrors, KeyRing, Purpose};

const VERIFIABLE_ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
const PROMPTS: [&str; 3] = ["login", "select_account", "consent"];

/// A registration at an OpenID Connect provider.
///
/// Client secrets are write-only: they are sealed when the settings are saved, and no answer contains them. Without them the
/// saved secrets stay, as long as the issuer stays the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Oidc)]
pub struct OidcSettings {
    /// Issuer identifier, exactly as the discovery document has it.
    pub issuer: String,
    /// Client id.
    pub client_id: String,
    /// Client secret; files may name a file or an environment variable. Not needed with `private_key_jwt`.
    #[serde(default, skip_serializing_if = "is_write_only", serialize_with = "serialize_nothing")]
    #[schema(value_type = Option<String>, write_only)]
    pub client_secret: Option<Secret>,
    /// Tried when the provider rejects `client_secret`: the old or the next secret during a rotation. Setting either secret
    /// replaces both.
    #[serde(default, skip_serializing_if = "is_write_only", serialize_with = "serialize_nothing")]
    #[schema(value_type = Option<String>, write_only)]
    pub second_client_secret: Option<Secret>,
    /// Client authentication at the token endpoint.
    #[serde(default)]
    pub token_auth: TokenAuth,
    /// Scopes to request besides `openid`.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The claim that identifies the user.
    #[serde(default = "default_bind_claim")]
    pub bind_claim: String,
    /// What that claim holds.
    #[serde(default)]
    pub bind_to: BindTo,
    /// Signature algorithms to accept for ID tokens.
    #[serde(default = "default_algorithms")]
    pub id_token_algs: Vec<String>,
    /// Hosts besides the issuer's where its endpoints may be.
    #[serde(default)]
    pub extra_hosts: Vec<String>,
    /// `prompt` of the request: `login`, `select_account` or `consent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// `acr_values` of the request; the ID token must have one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acr_values: Vec<String>,
    /// Maximum age of the sign-in at the provider, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
    /// How the provider returns its response.
    #[serde(default)]
    pub response_mode: ResponseMode,
}

/// Client authentication at the token endpoint (OpenID Connect Core, section 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenAuth {
    /// HTTP Basic.
    #[default]
    ClientSecretBasic,
    /// In the request body.
    ClientSecretPost,
    /// With a JWT signed by our own key, whose public half is at `/.well-known/jwks.json`.
    PrivateKeyJwt,
}

/// What the claim that identifies the user holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BindTo {
    /// The username.
    #[default]
    Username,
    /// Our user id.
    UserId,
}

/// How the provider returns its response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the query of the redirect.
    #[default]
    Query,
    /// In a form that the browser posts (OAuth 2.0 Form Post Response Mode).
    FormPost,
}

/// Client secrets, sealed with purpose `Storage` and the biller's id as context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSecrets {
    pub current: Option<String>,
    /// Tried when the provider rejects the current one.
    pub second: Option<String>,
}

/// Always: `skip_serializing` would also hide the field from the OpenAPI schema.
fn is_write_only(_: &Option<Secret>) -> bool {
    true
}

fn serialize_nothing<S: Serializer>(_: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_none()
}

fn default_scopes() -> Vec<String> {
    vec!["profile".into(), "email".into()]
}

fn default_bind_claim() -> String {
    "preferred_username".into()
}

fn default_algorithms() -> Vec<String> {
    vec!["RS256".into()]
}

impl OidcSettings {
    /// A registration with the defaults of everything else.
    pub fn new(issuer: String, client_id: String) -> Self {
        Self {
            issuer,
            client_id,
            client_secret: None,
            second_client_secret: None,
            token_auth: TokenAuth::default(),
            scopes: default_scopes(),
            bind_claim: default_bind_claim(),
            bind_to: BindTo::default(),
            id_token_algs: default_algorithms(),
            extra_hosts: Vec::new(),
            prompt: None,
            acr_values: Vec::new(),
            max_age: None,
            response_mode: ResponseMode::default(),
        }
    }

    pub(super) fn validate(&self, addresses: &AddressPolicy) -> FieldErrors {
        let mut errors = FieldErrors::default();
        match Url::parse(&self.issuer) {
            Ok(url) if url.query().is_some() => errors.push("issuer", "must not have a query"),
            Ok(url) => drop(errors.check("issuer", check_url(&url, addresses))),
            Err(_) => errors.push("issuer", "must be an https URL"),
        }
        for host in &self.extra_hosts {
            let name = host.split(':').next().unwrap_or_default();
            if !is_host_name(name) && host.parse::<IpAddr>().is_err() && host.parse::<SocketAddr>().is_err() {
                errors.push("extra_hosts", format!("{host:?} is not a host such as keys.example.com"));
            }
        }
        if self.client_id.is_empty() {
            errors.push("client_id", "must not be empty");
        }
        for alg in self.id_token_algs.iter().filter(|alg| !VERIFIABLE_ALGORITHMS.contains(&alg.as_str())) {
            errors.push("id_token_algs", format!("{alg:?} is not an algorithm that Signpost can verify"));
        }
        if self.id_token_algs.is_empty() {
            errors.push("id_token_algs", "must not be empty");
        }
        if self.prompt.as_deref().is_some_and(|prompt| !PROMPTS.contains(&prompt)) {
            errors.push("prompt", "must be login, select_account or consent");
        }
        errors
    }

    /// Takes the client secrets out and seals them; `saved` are those to keep if there are none.
    pub(super) fn take_secrets(
        &mut self,
        saved: Option<ClientSecrets>,
        (keys, id): (&KeyRing, &BillerId),
    ) -> Result<ClientSecrets, FieldErrors> {
        let mut errors = FieldErrors::default();
        let mut seal = |field: &str, secret: &Secret| match secret.reveal() {
            Ok(secret) => Some(keys.seal(Purpose::Storage, id.as_str(), &secret.expose_secret())),
            Err(error) => {
                errors.push(field, error);
                None
            }
        };
        let (current, second) = (self.client_secret.take(), self.second_client_secret.take());
        let needs_secret = self.token_auth != TokenAuth::PrivateKeyJwt;
        let secrets = match saved {
            Some(saved) if current.is_none() && second.is_none() && needs_secret => saved,
            _ => ClientSecrets {
                current: current.as_ref().and_then(|secret| seal("client_secret", secret)),
                second: second.as_ref().and_then(|secret| seal("second_client_secret", secret)),
            },
        };
        if needs_secret && current.is_none() && secrets.current.is_none() {
            errors.push("client_secret", "is required for a new issuer, unless token_auth is private_key_jwt");
        }
        if errors.is_empty() { Ok(secrets) } else { Err(errors) }
    }

    pub(super) fn authorization_params(&self) -> AuthorizationParams {
        AuthorizationParams {
            prompt: self.prompt.clone(),
            acr_values: self.acr_values.clone(),
            max_age: self.max_age,
            form_post: self.response_mode == ResponseMode::FormPost,
        }
    }

    /// The part of a registration that decides where users sign in, and whom a sign-in stands for.
    pub(super) fn endpoint(&self) -> (&str, &str, &[String], &str, BindTo) {
        (&self.issuer, &self.client_id, &self.extra_hosts, &self.bind_claim, self.bind_to)
    }
}
