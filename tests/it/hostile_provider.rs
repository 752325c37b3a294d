//! An identity provider that lies, in every way that the library beneath does not see by itself and in the usual ones.
//! Refused means: no session, a page with a way on, and one call to the token endpoint at most.

use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{self, KeyPair as _};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use crate::harness::{World, now, slug};

pub type Change = Arc<dyn Fn(&mut Lie) + Send + Sync>;

/// What the provider is about to say; a change makes a lie of it.
pub struct Lie {
    pub claims: Map<String, Value>,
    pub header: Value,
    pub answer: Value,
    /// The token, once it is signed.
    pub raw: Option<String>,
    pub key: Arc<KeyPair>,
    pub kid: &'static str,
    /// What the client sent: the Authorization header, and the form.
    pub asked: (String, String),
}

#[derive(Clone)]
pub struct Provider {
    pub issuer: String,
    pub key: Arc<KeyPair>,
    pub other_key: Arc<KeyPair>,
    pub nonce: Arc<Mutex<String>>,
    pub change: Arc<Mutex<Option<Change>>>,
    pub discovery: Arc<Mutex<Value>>,
    pub keys: Arc<Mutex<Value>>,
    pub calls: Arc<Mutex<Vec<String>>>,
    /// What it answers to a pushed request, and the last one that came.
    pub pushed: Arc<Mutex<(u16, String)>>,
    pub last_pushed: Arc<Mutex<(String, String)>>,
}

impl Provider {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let key = Arc::new(KeyPair::generate(KeySize::Rsa2048).unwrap());
        let provider = Self {
            discovery: Arc::new(Mutex::new(json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"),
                "userinfo_endpoint": format!("{issuer}/userinfo"),
                "jwks_uri": format!("{issuer}/keys"),
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }))),
            keys: Arc::new(Mutex::new(json!({ "keys": [jwk(&key, "k1")] }))),
            issuer,
            key,
            other_key: Arc::new(KeyPair::generate(KeySize::Rsa2048).unwrap()),
            nonce: Arc::default(),
            change: Arc::default(),
            calls: Arc::default(),
            pushed: Arc::new(Mutex::new((201, r#"{"request_uri":"urn:x:1","expires_in":60}"#.to_owned()))),
            last_pushed: Arc::default(),
        };
        let app = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(|State(p): State<Self>| async move { p.note("discovery", &p.discovery) }),
            )
            .route("/keys", get(|State(p): State<Self>| async move { p.note("keys", &p.keys) }))
            .route(
                "/token",
                post(|State(p): State<Self>, headers: HeaderMap, body: String| async move {
                    p.token((authorization(&headers), body))
                }),
            )
            .route("/par", post(Self::par))
            .fallback(|State(p): State<Self>| async move { p.calls.lock().unwrap().push("other".to_owned()) })
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        provider
    }

    fn note(&self, call: &str, document: &Mutex<Value>) -> Json<Value> {
        self.calls.lock().unwrap().push(call.to_owned());
        Json(document.lock().unwrap().clone())
    }

    async fn par(State(p): State<Self>, headers: HeaderMap, body: String) -> Response {
        p.calls.lock().unwrap().push("par".to_owned());
        *p.last_pushed.lock().unwrap() = (authorization(&headers), body);
        let (status, text) = p.pushed.lock().unwrap().clone();
        (StatusCode::from_u16(status).unwrap(), text).into_response()
    }

    pub fn calls(&self, call: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|made| *made == call).count()
    }

    fn token(&self, asked: (String, String)) -> Response {
        self.calls.lock().unwrap().push("token".to_owned());
        let seconds = now().seconds();
        let mut lie = Lie {
            claims: json!({
                "iss": self.issuer, "aud": "c", "sub": "subject-1", "exp": seconds + 300, "iat": seconds,
                "nonce": *self.nonce.lock().unwrap(), "preferred_username": "one-moved",
            })
            .as_object()
            .cloned()
            .unwrap(),
            header: json!({ "alg": "RS256", "typ": "JWT" }),
            answer: json!({ "access_token": "access", "token_type": "Bearer", "expires_in": 300 }),
            raw: None,
            key: Arc::clone(&self.key),
            kid: "k1",
            asked,
        };
        let change = self.change.lock().unwrap().clone();
        if let Some(change) = change {
            change(&mut lie);
        }
        lie.header["kid"] = json!(lie.kid);
        let token = lie.raw.clone().unwrap_or_else(|| sign(&lie.header, &Value::Object(lie.claims.clone()), &lie.key));
        match lie.answer {
            Value::Object(mut answer) => {
                answer.entry("id_token").or_insert(json!(token));
                answer.retain(|_, value| *value != json!("absent"));
                Json(Value::Object(answer)).into_response()
            }
            Value::String(text) => ([("content-type", "application/json")], text).into_response(),
            Value::Number(status) => {
                let status = StatusCode::from_u16(u16::try_from(status.as_u64().unwrap()).unwrap()).unwrap();
                (status, [("content-type", "text/html")], "<html>oops</html>").into_response()
            }
            Value::Bool(_) => (StatusCode::FOUND, [("location", format!("{}/stolen", self.issuer))]).into_response(),
            Value::Array(parts) => {
                let status = parts.get(1).and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
                (StatusCode::from_u16(status.unwrap_or(400)).unwrap(), Json(parts[0].clone())).into_response()
            }
            Value::Null => Json(Value::Null).into_response(),
        }
    }
}

fn authorization(headers: &HeaderMap) -> String {
    headers.get("authorization").map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

pub fn sign(header: &Value, claims: &Value, key: &KeyPair) -> String {
    sign_text(&format!("{}.{}", encode(header), encode(claims)), key)
}

fn sign_text(input: &str, key: &KeyPair) -> String {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&signature::RSA_PKCS1_SHA256, &unused(), input.as_bytes(), &mut signature).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// An argument that RSASSA-PKCS1-v1_5 does not use.
#[expect(clippy::disallowed_methods, reason = "it is not used")]
fn unused() -> SystemRandom {
    SystemRandom::new()
}

pub fn jwk(key: &KeyPair, kid: &str) -> Value {
    let public = key.public_key();
    let bytes = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
    json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
        "n": bytes(public.modulus().big_endian_without_leading_zero()),
        "e": bytes(public.exponent().big_endian_without_leading_zero()) })
}

async fn world() -> (World, Provider) {
    world_with("client_secret = \"s\"").await
}

/// A world with a biller at this provider, by these settings of its registration.
pub async fn world_with(settings: &str) -> (World, Provider) {
    let (world, provider) = (World::start().await, Provider::start().await);
    world
        .import_billers(&format!(
            "[[billers]]\nslug = \"hostile\"\nname = \"Hostile\"\nstate = \"active\"\n[billers.oidc]\nissuer = \"{}\"\nclient_id = \"c\"\n{settings}\n",
            provider.issuer
        ))
        .await;
    world.import_users("hostile", &["one-moved", "two-moved"]).await;
    (world, provider)
}

/// A sign-in as far as the answer to the callback; says whether it was let in.
pub async fn attempt(world: &World, provider: &Provider) -> (StatusCode, bool, String) {
    let mut browser = world.browser();
    let start = browser.get("/b/hostile").await;
    let Some(location) = start.headers.get("location") else { return (start.status, false, start.title().to_owned()) };
    let sent = url::Url::parse(location.to_str().unwrap()).unwrap();
    let get = |name: &str| sent.query_pairs().find(|(n, _)| n == name).unwrap().1.into_owned();
    *provider.nonce.lock().unwrap() = get("nonce");
    let answer = browser.get(&format!("/callback/hostile?code=code&state={}", get("state"))).await;
    let let_in = browser.cookies.contains_key("__Host-s");
    if !let_in {
        assert!(answer.body.contains("/b/hostile"), "no way on: {}", answer.body);
        assert_eq!(answer.reference().len(), 19);
    }
    (answer.status, let_in, answer.title().to_owned())
}

async fn with_change(change: impl Fn(&mut Lie) + Send + Sync + 'static) -> (StatusCode, bool, usize) {
    let (world, provider) = world().await;
    *provider.change.lock().unwrap() = Some(Arc::new(change));
    let (status, let_in, _) = attempt(&world, &provider).await;
    assert_eq!(provider.calls("other"), 0, "a call to where nobody should call");
    (status, let_in, provider.calls("token"))
}

macro_rules! lies {
    ($($name:ident => $change:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            let (status, let_in, calls) = with_change($change).await;
            assert!(!let_in, "let in");
            assert!(status == StatusCode::BAD_GATEWAY, "{status}");
            assert_eq!(calls, 1, "the code is sent once");
        })*
    };
}

macro_rules! honest {
    ($($name:ident => $change:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            let (status, let_in, _) = with_change($change).await;
            assert!(let_in && status == StatusCode::SEE_OTHER, "{status}");
        })*
    };
}

pub fn set(name: &'static str, value: impl Into<Value>) -> impl Fn(&mut Lie) + Send + Sync {
    let value = value.into();
    move |lie: &mut Lie| drop(lie.claims.insert(name.to_owned(), value.clone()))
}

fn unset(name: &'static str) -> impl Fn(&mut Lie) + Send + Sync {
    move |lie: &mut Lie| drop(lie.claims.remove(name))
}

fn header(name: &'static str, value: impl Into<Value>) -> impl Fn(&mut Lie) + Send + Sync {
    let value = value.into();
    move |lie: &mut Lie| lie.header[name] = value.clone()
}

pub fn says(value: Value) -> impl Fn(&mut Lie) + Send + Sync {
    move |lie: &mut Lie| lie.answer = value.clone()
}

fn answer(name: &'static str, value: impl Into<Value>) -> impl Fn(&mut Lie) + Send + Sync {
    let value = value.into();
    move |lie: &mut Lie| lie.answer[name] = value.clone()
}

honest! {
    a_plain_token_is_accepted => |_: &mut Lie| {};
    a_token_with_claims_nobody_asked_for_is_accepted => set("https://odd.example/x", json!({"a": [1, null]}));
    a_token_type_in_capitals_is_accepted => answer("token_type", "BEARER");
    an_answer_with_more_members_is_accepted => answer("scope", json!("openid profile"));
    a_refresh_token_is_passed_over => answer("refresh_token", "never asked for");
    an_audience_list_of_one_is_accepted => set("aud", json!(["c"]));
    an_own_azp_is_accepted => set("azp", "c");
    no_type_is_accepted => |lie: &mut Lie| drop(lie.header.as_object_mut().unwrap().remove("typ"));
    no_expires_in_is_accepted => answer("expires_in", "absent");
    a_fractional_auth_time_is_accepted => set("auth_time", json!(1_700_000_000.5));
    a_clock_that_is_half_a_minute_ahead_is_accepted => |lie: &mut Lie| {
        lie.claims.insert("iat".into(), json!(now().seconds() + 30));
        lie.claims.insert("nbf".into(), json!(now().seconds() + 30));
    };
    a_right_at_hash_is_accepted => |lie: &mut Lie| {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"access");
        lie.claims.insert("at_hash".into(), json!(URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16])));
    };
}

lies! {
    issuer_with_a_slash => |lie: &mut Lie| { let iss = format!("{}/", lie.claims["iss"].as_str().unwrap()); lie.claims.insert("iss".into(), json!(iss)); };
    issuer_of_another => set("iss", "http://127.0.0.1:1");
    issuer_missing => unset("iss");
    audience_of_another => set("aud", "c1");
    audience_missing => unset("aud");
    audience_empty => set("aud", json!([]));
    audience_with_a_stranger => set("aud", json!(["c", "stranger"]));
    azp_of_another => set("azp", "another");
    subject_missing => unset("sub");
    subject_empty => set("sub", "");
    subject_too_long => set("sub", "x".repeat(256));
    subject_with_nul => set("sub", "a\0b");
    subject_with_a_line_break => set("sub", "a\nb");
    subject_with_bidi => set("sub", "\u{202e}a");
    subject_a_number => set("sub", 7);
    expired => set("exp", now().seconds() - 3600);
    expiry_missing => unset("exp");
    expiry_in_ten_years => set("exp", now().seconds() + 315_360_000);
    expiry_beyond_all_time => set("exp", json!(1e300));
    issued_last_week => set("iat", now().seconds() - 604_800);
    issued_in_ten_years => set("iat", now().seconds() + 315_360_000);
    issued_never => unset("iat");
    not_before_tomorrow => set("nbf", now().seconds() + 86_400);
    nonce_of_another => set("nonce", "another");
    nonce_missing => unset("nonce");
    at_hash_wrong => set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA");
    type_of_an_access_token => header("typ", "at+jwt");
    type_of_a_logout_token => header("typ", "logout+jwt");
    critical_extension => header("crit", json!(["x"]));
    nested_content => header("cty", "JWT");
    algorithm_none => |lie: &mut Lie| {
        lie.raw = Some(format!("{}.{}.", encode(&json!({"alg":"none"})), encode(&Value::Object(lie.claims.clone()))));
    };
    algorithm_none_in_disguise => |lie: &mut Lie| {
        lie.raw = Some(format!("{}.{}.", encode(&json!({"alg":"NoNe"})), encode(&Value::Object(lie.claims.clone()))));
    };
    algorithm_of_the_client_secret => |lie: &mut Lie| {
        let input = format!("{}.{}", encode(&json!({"alg":"HS256"})), encode(&Value::Object(lie.claims.clone())));
        let tag = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"s"), input.as_bytes());
        lie.raw = Some(format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag)));
    };
    algorithm_of_the_public_key_as_secret => |lie: &mut Lie| {
        let input = format!("{}.{}", encode(&json!({"alg":"HS256"})), encode(&Value::Object(lie.claims.clone())));
        let der = lie.key.public_key().as_der().unwrap();
        let tag = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, der.as_ref()), input.as_bytes());
        lie.raw = Some(format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag)));
    };
    algorithm_that_is_not_pinned => |lie: &mut Lie| {
        let input = format!("{}.{}", encode(&json!({"alg":"RS512","kid":"k1"})), encode(&Value::Object(lie.claims.clone())));
        let mut signature = vec![0; lie.key.public_modulus_len()];
        lie.key.sign(&signature::RSA_PKCS1_SHA512, &unused(), input.as_bytes(), &mut signature).unwrap();
        lie.raw = Some(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)));
    };
    signature_of_nothing => |lie: &mut Lie| {
        lie.raw = Some(format!("{}.{}.AAAA", encode(&json!({"alg":"RS256","kid":"k1"})), encode(&Value::Object(lie.claims.clone()))));
    };
    subject_twice => |lie: &mut Lie| {
        let text = Value::Object(lie.claims.clone()).to_string().replacen('{', "{\"sub\":\"another\",", 1);
        lie.raw = Some(sign_text(&format!("{}.{}", encode(&json!({"alg":"RS256","kid":"k1"})), URL_SAFE_NO_PAD.encode(text)), &lie.key));
    };
    username_twice => |lie: &mut Lie| {
        let text = Value::Object(lie.claims.clone()).to_string().replacen('{', "{\"preferred_username\":\"two-moved\",", 1);
        lie.raw = Some(sign_text(&format!("{}.{}", encode(&json!({"alg":"RS256","kid":"k1"})), URL_SAFE_NO_PAD.encode(text)), &lie.key));
    };
    payload_is_a_list => |lie: &mut Lie| {
        lie.raw = Some(sign(&json!({"alg":"RS256","kid":"k1"}), &json!([]), &lie.key));
    };
    payload_is_deep => |lie: &mut Lie| {
        let text = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        lie.raw = Some(sign_text(&format!("{}.{}", encode(&json!({"alg":"RS256","kid":"k1"})), URL_SAFE_NO_PAD.encode(text)), &lie.key));
    };
    token_is_no_token => |lie: &mut Lie| lie.raw = Some("a.b".to_owned());
    answer_without_id_token => answer("id_token", "absent");
    answer_with_an_empty_id_token => answer("id_token", "");
    answer_without_access_token => answer("access_token", "absent");
    answer_with_a_line_break_in_the_access_token => answer("access_token", "a\nb");
    answer_with_an_empty_access_token => answer("access_token", "");
    answer_with_another_token_type => answer("token_type", "DPoP");
    answer_without_token_type => answer("token_type", "absent");
    answer_is_null => says(Value::Null);
    answer_is_cut_off => says(json!("{\"access_token\":\"a"));
    answer_is_html => says(json!("<html></html>"));
    answer_has_a_byte_order_mark => says(json!("\u{feff}{}"));
    answer_is_an_error_with_200 => says(json!("{\"error\":\"invalid_grant\"}"));
    answer_is_a_redirect => says(json!(true));
    answer_is_invalid_grant => says(json!([{"error": "invalid_grant"}]));
    answer_is_a_bad_request_as_403 => says(json!([{"error": "invalid_grant", "error_description": "no"}, 403]));
    answer_is_an_error_nobody_knows => says(json!([{"error": "hamster_escaped"}]));
    answer_is_an_error_that_is_no_error => says(json!([{"message": "no"}, 401]));
    answer_is_unauthorized_in_html => says(json!(401));
    answer_is_forbidden_in_html => says(json!(403));
    answer_is_too_many_requests_in_html => says(json!(429));
    answer_is_invalid_client => says(json!([{"error": "invalid_client"}]));
    answer_is_not_found_in_html => says(json!(404));
    answer_is_endless => |lie: &mut Lie| lie.answer["padding"] = json!("x".repeat(300 * 1024));
    claim_is_endless => |lie: &mut Lie| drop(lie.claims.insert("big".into(), json!("x".repeat(300 * 1024))));
}

#[tokio::test]
async fn a_server_error_at_the_token_endpoint_is_an_outage_and_not_repeated() {
    let (status, let_in, calls) = with_change(says(json!(503))).await;
    assert_eq!((status, let_in, calls), (StatusCode::SERVICE_UNAVAILABLE, false, 1));
}

#[tokio::test]
async fn refused_credentials_count_against_the_issuer_and_refused_codes_do_not() {
    let (world, provider) = world().await;
    let health = async || world.state.directory.named(&slug("hostile")).await.unwrap().unwrap().health.clone();
    *provider.change.lock().unwrap() = Some(Arc::new(says(json!([{"error": "invalid_grant"}]))));
    for _ in 0..4 {
        attempt(&world, &provider).await;
    }
    assert_eq!(health().await.failures, 0);
    *provider.change.lock().unwrap() = Some(Arc::new(says(json!([{"error": "invalid_client"}]))));
    attempt(&world, &provider).await;
    assert_eq!(health().await.failures, 1);
}

#[tokio::test]
async fn an_unknown_key_is_fetched_once_a_minute_at_most() {
    let (world, provider) = world().await;
    assert!(attempt(&world, &provider).await.1);
    assert_eq!(provider.calls("keys"), 1);
    *provider.change.lock().unwrap() = Some(Arc::new(|lie: &mut Lie| lie.kid = "unknown"));
    for _ in 0..10 {
        assert!(!attempt(&world, &provider).await.1);
    }
    assert_eq!(provider.calls("keys"), 2, "one early fetch for ten unknown keys");
    world.advance(std::time::Duration::from_secs(61)).await;
    // Rotated: the new key is found by one fetch, and the token of a moment ago is still good.
    let (new, old_clock) = (Arc::clone(&provider.other_key), now().seconds());
    *provider.keys.lock().unwrap() = json!({ "keys": [jwk(&provider.other_key, "k2")] });
    *provider.change.lock().unwrap() = Some(Arc::new(move |lie: &mut Lie| {
        lie.kid = "k2";
        lie.key = Arc::clone(&new);
        lie.claims.insert("iat".into(), json!(old_clock));
    }));
    assert!(attempt(&world, &provider).await.1, "one sign-in after the rotation");
    assert_eq!(provider.calls("keys"), 3);
}

#[tokio::test]
async fn keys_that_must_not_be_used_are_refused() {
    for (what, keys) in [
        ("none", json!({ "keys": [] })),
        ("no list", json!({})),
        ("symmetric", json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] })),
        ("weak", json!({ "keys": [{ "kty": "RSA", "kid": "k1", "n": "AQAB", "e": "AQAB" }] })),
        ("html", json!("<html>")),
    ] {
        let (world, provider) = world().await;
        *provider.keys.lock().unwrap() = keys;
        assert!(!attempt(&world, &provider).await.1, "{what}");
    }
    let (world, provider) = world().await;
    let twice = json!({ "keys": [jwk(&provider.key, "k1"), jwk(&provider.other_key, "k1")] });
    *provider.keys.lock().unwrap() = twice;
    assert!(!attempt(&world, &provider).await.1, "two keys of one id");
}

#[tokio::test]
async fn a_single_key_serves_tokens_without_a_key_id() {
    let (world, provider) = world().await;
    *provider.change.lock().unwrap() = Some(Arc::new(|lie: &mut Lie| {
        lie.raw = Some(sign(&json!({ "alg": "RS256" }), &Value::Object(lie.claims.clone()), &lie.key));
    }));
    assert!(attempt(&world, &provider).await.1);
}

#[tokio::test]
async fn a_discovery_document_that_lies_begins_nothing() {
    for (field, value) in [
        ("issuer", json!("http://127.0.0.1:1")),
        ("issuer", json!("SLASH")),
        ("token_endpoint", json!("http://127.0.0.1:1/token")),
        ("token_endpoint", json!("https://evil.example/token")),
        ("jwks_uri", json!("http://169.254.169.254/keys")),
        ("jwks_uri", json!("http://[fd00::1]/keys")),
        ("authorization_endpoint", json!("javascript:alert(1)")),
        ("authorization_endpoint", json!("https://evil.example/authorize")),
        ("end_session_endpoint", json!("https://evil.example/logout")),
        ("id_token_signing_alg_values_supported", json!(["none"])),
        ("id_token_signing_alg_values_supported", json!(["HS256"])),
        ("token_endpoint", json!(7)),
        ("jwks_uri", json!("DROP")),
    ] {
        let (world, provider) = world().await;
        {
            let mut discovery = provider.discovery.lock().unwrap();
            match value.as_str() {
                Some("SLASH") => discovery[field] = json!(format!("{}/", provider.issuer)),
                Some("DROP") => drop(discovery.as_object_mut().unwrap().remove(field)),
                _ => discovery[field] = value.clone(),
            }
        }
        let (status, let_in, _) = attempt(&world, &provider).await;
        assert!(!let_in && status == StatusCode::SERVICE_UNAVAILABLE, "{field} = {value}: {status}");
        assert_eq!(provider.calls("token") + provider.calls("other"), 0);
    }
}

#[tokio::test]
async fn documents_are_kept_for_a_day_while_the_issuer_is_away() {
    for (hours, status) in [(23, StatusCode::SEE_OTHER), (25, StatusCode::SERVICE_UNAVAILABLE)] {
        let world = World::start().await;
        let mut browser = world.browser();
        world.sign_in(&mut browser, "riverside-water", "one-moved").await;
        world.issuers.set_condition("riverside-water", secureauth_standin::Condition::Down);
        world.advance(std::time::Duration::from_secs(hours * 3600)).await;
        assert_eq!(browser.get("/b/riverside-water").await.status, status, "after {hours} hours");
    }
}

#[tokio::test]
async fn a_token_endpoint_that_fails_opens_the_breaker_though_its_documents_are_fine() {
    let (world, provider) = world().await;
    let health = async || world.state.directory.named(&slug("hostile")).await.unwrap().unwrap().health.clone();
    *provider.change.lock().unwrap() = Some(Arc::new(says(json!(503))));
    for _ in 0..3 {
        assert!(!health().await.is_down);
        attempt(&world, &provider).await;
        world.advance(std::time::Duration::from_secs(2)).await;
    }
    assert!(health().await.is_down, "three in a row");
    let biller = world.state.directory.named(&slug("hostile")).await.unwrap().unwrap();
    signpost::web::registrations::probe_and_note(&world.state, &biller).await;
    assert!(health().await.is_down, "documents that can be read say nothing of it");
    world.advance(std::time::Duration::from_secs(61)).await;
    signpost::web::registrations::probe_and_note(&world.state, &biller).await;
    assert!(!health().await.is_down, "after a while people may try again");
    *provider.change.lock().unwrap() = None;
}

#[tokio::test]
async fn an_issuer_in_use_that_has_gone_is_an_outage_within_a_minute_or_so() {
    let world = World::start().await;
    let mut browser = world.browser();
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    world.issuers.set_condition("riverside-water", secureauth_standin::Condition::Down);
    world.advance(std::time::Duration::from_secs(60)).await;
    for _ in 0..3 {
        assert!(browser.get("/b/riverside-water").await.headers.contains_key("location"), "by kept documents");
        world.advance(std::time::Duration::from_secs(4)).await;
    }
    let page = browser.post("/login", &[("username", "one-moved")]).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "row 8");
}
