//! An identity provider that lies, in every way that the library beneath does not see by itself and in the usual ones.
//! Refused means: no session, a page with a way on, and one call to the token endpoint at most.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{self, KeyPair as _};
use axum::extract::State;
use axum::middleware::map_response_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use signpost::provisioning::CheckStatus;
use signpost::sql;
use signpost::telemetry::metrics::Snapshot;

use crate::harness::{Browser, PROPAGATION_TIMEOUT, TestResponse, World, now, slug, wait_for};
use crate::logs::Captured;

pub(crate) type Change = Arc<dyn Fn(&mut ProviderResponse) + Send + Sync>;

/// What the provider is about to say; a change makes it a lie.
pub(crate) struct ProviderResponse {
    pub claims: Map<String, Value>,
    pub header: Value,
    pub answer: Value,
    /// The token, once it is signed.
    pub raw: Option<String>,
    pub key: Arc<KeyPair>,
    pub kid: &'static str,
    /// What the client sent: the Authorization header, and the form.
    pub request: (String, String),
}

/// A status, and the value of `Retry-After`.
pub(crate) type Throttle = (u16, Option<&'static str>);

#[derive(Clone)]
pub(crate) struct Provider {
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
    /// The token endpoint's status and `Retry-After` while it is overloaded.
    pub throttle: Arc<Mutex<Option<Throttle>>>,
    /// Seconds that its clock is ahead, by the `Date` of its responses.
    pub ahead: Arc<AtomicI64>,
    /// Seconds that a cache has kept its responses.
    pub age: Arc<AtomicI64>,
    /// What UserInfo answers: status, media type and body.
    pub user_info: Arc<Mutex<(u16, &'static str, String)>>,
    /// What it serves instead of its documents: a status and a body.
    pub broken: Arc<Mutex<Option<(u16, &'static str)>>>,
    /// A document that has each of its members twice.
    pub repeats: Arc<Mutex<Option<&'static str>>>,
}

impl Provider {
    pub(crate) async fn start() -> Self {
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
            throttle: Arc::default(),
            user_info: Arc::new(Mutex::new((401, "text/plain", String::new()))),
            broken: Arc::default(),
            repeats: Arc::default(),
            ahead: Arc::default(),
            age: Arc::default(),
        };
        let app = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(|State(p): State<Self>| async move { p.serve_document("discovery", &p.discovery) }),
            )
            .route("/keys", get(|State(p): State<Self>| async move { p.serve_document("keys", &p.keys) }))
            .route(
                "/token",
                post(|State(p): State<Self>, headers: HeaderMap, body: String| async move {
                    p.token((authorization(&headers), body))
                }),
            )
            .route("/par", post(Self::par))
            .route("/userinfo", get(Self::serve_user_info))
            .fallback(|State(p): State<Self>| async move { p.calls.lock().unwrap().push("other".to_owned()) })
            .layer(map_response_with_state(provider.clone(), async |State(p): State<Self>, mut response: Response| {
                let age = p.age.load(Ordering::SeqCst);
                let seconds = now().seconds() + p.ahead.load(Ordering::SeqCst) - age;
                let since = std::time::Duration::from_secs(u64::try_from(seconds).unwrap());
                let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + since);
                response.headers_mut().insert("date", date.parse().unwrap());
                response.headers_mut().insert("age", age.into());
                response
            }))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        provider
    }

    fn serve_document(&self, call: &str, document: &Mutex<Value>) -> Response {
        self.calls.lock().unwrap().push(call.to_owned());
        match *self.broken.lock().unwrap() {
            Some((status, body)) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
            None if *self.repeats.lock().unwrap() == Some(call) => {
                let text = document.lock().unwrap().to_string();
                format!("{},{}", text.trim_end_matches('}'), text.trim_start_matches('{')).into_response()
            }
            None => Json(document.lock().unwrap().clone()).into_response(),
        }
    }

    async fn par(State(p): State<Self>, headers: HeaderMap, body: String) -> Response {
        p.calls.lock().unwrap().push("par".to_owned());
        *p.last_pushed.lock().unwrap() = (authorization(&headers), body);
        let (status, text) = p.pushed.lock().unwrap().clone();
        (StatusCode::from_u16(status).unwrap(), text).into_response()
    }

    async fn serve_user_info(State(p): State<Self>, headers: HeaderMap) -> Response {
        p.calls.lock().unwrap().push("userinfo".to_owned());
        assert_eq!(authorization(&headers), "Bearer access");
        let (status, media_type, body) = p.user_info.lock().unwrap().clone();
        (StatusCode::from_u16(status).unwrap(), [("content-type", media_type)], body).into_response()
    }

    pub(crate) fn calls(&self, call: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|made| *made == call).count()
    }

    fn token(&self, request: (String, String)) -> Response {
        self.calls.lock().unwrap().push("token".to_owned());
        if let Some((status, hint)) = *self.throttle.lock().unwrap() {
            let hint = hint.map(|seconds| [("retry-after", seconds)]);
            let status = StatusCode::from_u16(status).unwrap();
            return hint.map_or_else(|| status.into_response(), |hint| (status, hint).into_response());
        }
        let seconds = now().seconds();
        let mut response = ProviderResponse {
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
            request,
        };
        let change = self.change.lock().unwrap().clone();
        if let Some(change) = change {
            change(&mut response);
        }
        let is_made_up =
            !form_urlencoded::parse(response.request.1.as_bytes()).any(|field| field == ("code".into(), "code".into()));
        if is_made_up && response.answer.is_object() {
            return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
        }
        response.header["kid"] = json!(response.kid);
        let token = response
            .raw
            .clone()
            .unwrap_or_else(|| sign(&response.header, &Value::Object(response.claims.clone()), &response.key));
        match response.answer {
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

pub(crate) fn sign(header: &Value, claims: &Value, key: &KeyPair) -> String {
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

pub(crate) fn jwk(key: &KeyPair, kid: &str) -> Value {
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
pub(crate) async fn world_with(settings: &str) -> (World, Provider) {
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

/// The answer to the callback, or to the start if that leads nowhere.
pub(crate) async fn answer_to_callback(browser: &mut Browser, provider: &Provider) -> TestResponse {
    let start = browser.get("/b/hostile").await;
    if !start.headers.contains_key("location") {
        return start;
    }
    let state = sent_state(provider, &start);
    browser.get(&format!("/callback/hostile?code=code&state={state}")).await
}

/// The `state` of an authorization request, whose nonce the provider remembers.
fn sent_state(provider: &Provider, start: &TestResponse) -> String {
    let sent = url::Url::parse(&start.location()).unwrap();
    let get = |name: &str| sent.query_pairs().find(|(n, _)| n == name).unwrap().1.into_owned();
    *provider.nonce.lock().unwrap() = get("nonce");
    get("state")
}

/// A sign-in as far as the answer to the callback; says whether it was let in.
pub(crate) async fn try_sign_in(world: &World, provider: &Provider) -> (StatusCode, bool, String) {
    let mut browser = world.browser();
    let answer = answer_to_callback(&mut browser, provider).await;
    if answer.status == StatusCode::SERVICE_UNAVAILABLE && provider.calls("token") == 0 {
        return (answer.status, false, answer.title().to_owned());
    }
    let let_in = browser.cookies.contains_key("__Host-s");
    if !let_in {
        let is_way_on = |link: &&str| answer.body.contains(*link);
        assert!(["/b/hostile", "/recover"].iter().any(is_way_on), "no way on: {}", answer.body);
        assert_eq!(answer.reference().len(), 19);
    }
    (answer.status, let_in, answer.title().to_owned())
}

async fn sign_in_with(change: impl Fn(&mut ProviderResponse) + Send + Sync + 'static) -> (StatusCode, bool, usize) {
    let (world, provider) = world().await;
    *provider.change.lock().unwrap() = Some(Arc::new(change));
    let (status, let_in, _) = try_sign_in(&world, &provider).await;
    assert_eq!(provider.calls("other"), 0, "a call to where nobody should call");
    (status, let_in, provider.calls("token"))
}

macro_rules! rejected {
    ($($name:ident => $change:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            let (status, let_in, calls) = sign_in_with($change).await;
            assert!(!let_in, "let in");
            assert!(status == StatusCode::BAD_GATEWAY, "{status}");
            assert_eq!(calls, 1, "the code is sent once");
        })*
    };
}

macro_rules! accepted {
    ($($name:ident => $change:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            let (status, let_in, _) = sign_in_with($change).await;
            assert!(let_in && status == StatusCode::SEE_OTHER, "{status}");
        })*
    };
}

pub(crate) fn set(name: &'static str, value: impl Into<Value>) -> impl Fn(&mut ProviderResponse) + Send + Sync {
    let value = value.into();
    move |response: &mut ProviderResponse| drop(response.claims.insert(name.to_owned(), value.clone()))
}

pub(crate) fn unset(name: &'static str) -> impl Fn(&mut ProviderResponse) + Send + Sync {
    move |response: &mut ProviderResponse| drop(response.claims.remove(name))
}

fn header(name: &'static str, value: impl Into<Value>) -> impl Fn(&mut ProviderResponse) + Send + Sync {
    let value = value.into();
    move |response: &mut ProviderResponse| response.header[name] = value.clone()
}

pub(crate) fn respond_with(value: Value) -> impl Fn(&mut ProviderResponse) + Send + Sync {
    move |response: &mut ProviderResponse| response.answer = value.clone()
}

fn answer(name: &'static str, value: impl Into<Value>) -> impl Fn(&mut ProviderResponse) + Send + Sync {
    let value = value.into();
    move |response: &mut ProviderResponse| response.answer[name] = value.clone()
}

/// The body that the provider would send.
fn body_of(response: &ProviderResponse) -> String {
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": response.kid });
    let mut body = response.answer.clone();
    body["id_token"] = json!(sign(&header, &Value::Object(response.claims.clone()), &response.key));
    body.to_string()
}

fn after_response(more: &'static str) -> impl Fn(&mut ProviderResponse) + Send + Sync {
    move |response: &mut ProviderResponse| response.answer = json!(format!("{}{more}", body_of(response)))
}

accepted! {
    a_response_with_a_line_break_after_it_is_accepted => after_response("\r\n");
    a_minimal_token_is_accepted => |_: &mut ProviderResponse| {};
    a_token_with_unknown_claims_is_accepted => set("https://odd.example/x", json!({"a": [1, null]}));
    a_token_type_in_capitals_is_accepted => answer("token_type", "BEARER");
    a_response_with_extra_members_is_accepted => answer("scope", json!("openid profile"));
    a_refresh_token_is_ignored => answer("refresh_token", "never asked for");
    an_audience_list_of_one_is_accepted => set("aud", json!(["c"]));
    an_own_azp_is_accepted => set("azp", "c");
    a_missing_typ_is_accepted => |response: &mut ProviderResponse| drop(response.header.as_object_mut().unwrap().remove("typ"));
    a_missing_expires_in_is_accepted => answer("expires_in", "absent");
    a_fractional_auth_time_is_accepted => set("auth_time", json!(1_700_000_000.5));
    a_clock_that_is_half_a_minute_ahead_is_accepted => |response: &mut ProviderResponse| {
        response.claims.insert("iat".into(), json!(now().seconds() + 30));
        response.claims.insert("nbf".into(), json!(now().seconds() + 30));
    };
    a_correct_at_hash_is_accepted => |response: &mut ProviderResponse| {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"access");
        response.claims.insert("at_hash".into(), json!(URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16])));
    };
}

rejected! {
    issuer_with_a_trailing_slash => |response: &mut ProviderResponse| { let iss = format!("{}/", response.claims["iss"].as_str().unwrap()); response.claims.insert("iss".into(), json!(iss)); };
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
    expiry_out_of_range => set("exp", json!(1e300));
    issued_last_week => set("iat", now().seconds() - 604_800);
    issued_in_ten_years => set("iat", now().seconds() + 315_360_000);
    issued_at_missing => unset("iat");
    issued_in_two_minutes => set("iat", now().seconds() + 120);
    authenticated_in_two_minutes => set("auth_time", now().seconds() + 120);
    authenticated_at_no_time => set("auth_time", "now");
    not_before_tomorrow => set("nbf", now().seconds() + 86_400);
    nonce_of_another => set("nonce", "another");
    nonce_missing => unset("nonce");
    at_hash_wrong => set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA");
    type_of_an_access_token => header("typ", "at+jwt");
    type_of_a_logout_token => header("typ", "logout+jwt");
    critical_extension => header("crit", json!(["x"]));
    nested_content => header("cty", "JWT");
    algorithm_none => |response: &mut ProviderResponse| {
        response.raw = Some(format!("{}.{}.", encode(&json!({"alg":"none"})), encode(&Value::Object(response.claims.clone()))));
    };
    algorithm_none_in_mixed_case => |response: &mut ProviderResponse| {
        response.raw = Some(format!("{}.{}.", encode(&json!({"alg":"NoNe"})), encode(&Value::Object(response.claims.clone()))));
    };
    algorithm_of_the_client_secret => |response: &mut ProviderResponse| {
        let input = format!("{}.{}", encode(&json!({"alg":"HS256"})), encode(&Value::Object(response.claims.clone())));
        let tag = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"s"), input.as_bytes());
        response.raw = Some(format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag)));
    };
    algorithm_of_the_public_key_as_secret => |response: &mut ProviderResponse| {
        let input = format!("{}.{}", encode(&json!({"alg":"HS256"})), encode(&Value::Object(response.claims.clone())));
        let der = response.key.public_key().as_der().unwrap();
        let tag = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, der.as_ref()), input.as_bytes());
        response.raw = Some(format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag)));
    };
    algorithm_that_is_not_pinned => |response: &mut ProviderResponse| {
        let input = format!("{}.{}", encode(&json!({"alg":"RS512","kid":"k1"})), encode(&Value::Object(response.claims.clone())));
        let mut signature = vec![0; response.key.public_modulus_len()];
        response.key.sign(&signature::RSA_PKCS1_SHA512, &unused(), input.as_bytes(), &mut signature).unwrap();
        response.raw = Some(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)));
    };
    signature_truncated => |response: &mut ProviderResponse| {
        response.raw = Some(format!("{}.{}.AAAA", encode(&json!({"alg":"RS256","kid":"k1"})), encode(&Value::Object(response.claims.clone()))));
    };
    subject_duplicated => |response: &mut ProviderResponse| {
        let text = Value::Object(response.claims.clone()).to_string().replacen('{', "{\"sub\":\"another\",", 1);
        response.raw = Some(sign_text(&format!("{}.{}", encode(&json!({"alg":"RS256","kid":"k1"})), URL_SAFE_NO_PAD.encode(text)), &response.key));
    };
    username_duplicated => |response: &mut ProviderResponse| {
        let text = Value::Object(response.claims.clone()).to_string().replacen('{', "{\"preferred_username\":\"two-moved\",", 1);
        response.raw = Some(sign_text(&format!("{}.{}", encode(&json!({"alg":"RS256","kid":"k1"})), URL_SAFE_NO_PAD.encode(text)), &response.key));
    };
    unregistered_claim_duplicated => |response: &mut ProviderResponse| {
        let text = Value::Object(response.claims.clone()).to_string().replacen('{', "{\"tenant\":1,\"tenant\":2,", 1);
        response.raw = Some(sign_text(&format!("{}.{}", encode(&json!({"alg":"RS256","kid":"k1"})), URL_SAFE_NO_PAD.encode(text)), &response.key));
    };
    payload_is_a_list => |response: &mut ProviderResponse| {
        response.raw = Some(sign(&json!({"alg":"RS256","kid":"k1"}), &json!([]), &response.key));
    };
    payload_is_deeply_nested => |response: &mut ProviderResponse| {
        let text = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        response.raw = Some(sign_text(&format!("{}.{}", encode(&json!({"alg":"RS256","kid":"k1"})), URL_SAFE_NO_PAD.encode(text)), &response.key));
    };
    token_is_malformed => |response: &mut ProviderResponse| response.raw = Some("a.b".to_owned());
    response_without_id_token => answer("id_token", "absent");
    response_with_an_empty_id_token => answer("id_token", "");
    response_without_access_token => answer("access_token", "absent");
    response_with_a_line_break_in_the_access_token => answer("access_token", "a\nb");
    response_with_an_empty_access_token => answer("access_token", "");
    response_with_another_token_type => answer("token_type", "DPoP");
    response_without_token_type => answer("token_type", "absent");
    response_is_null => respond_with(Value::Null);
    response_with_an_error_beside_tokens => answer("error", "invalid_grant");
    response_with_data_after_it => after_response("{}");
    response_with_text_after_it => after_response("</html>");
    response_with_a_repeated_member => |response: &mut ProviderResponse| {
        response.answer = json!(body_of(response).replacen('{', "{\"token_type\":\"Bearer\",", 1));
    };
    response_is_truncated => respond_with(json!("{\"access_token\":\"a"));
    response_is_html => respond_with(json!("<html></html>"));
    response_has_a_byte_order_mark => respond_with(json!("\u{feff}{}"));
    response_is_an_error_with_200 => respond_with(json!("{\"error\":\"invalid_grant\"}"));
    response_is_a_redirect => respond_with(json!(true));
    response_is_invalid_grant => respond_with(json!([{"error": "invalid_grant"}]));
    response_is_invalid_grant_as_403 => respond_with(json!([{"error": "invalid_grant", "error_description": "no"}, 403]));
    response_is_an_unknown_error => respond_with(json!([{"error": "hamster_escaped"}]));
    response_is_a_malformed_error => respond_with(json!([{"message": "no"}, 401]));
    response_is_unauthorized_in_html => respond_with(json!(401));
    response_is_forbidden_in_html => respond_with(json!(403));
    response_is_invalid_client => respond_with(json!([{"error": "invalid_client"}]));
    response_is_not_found_in_html => respond_with(json!(404));
    response_is_too_large => |response: &mut ProviderResponse| response.answer["padding"] = json!("x".repeat(300 * 1024));
    claim_is_too_large => |response: &mut ProviderResponse| drop(response.claims.insert("big".into(), json!("x".repeat(300 * 1024))));
}

#[tokio::test]
async fn a_token_endpoint_5xx_is_an_outage_and_is_not_retried() {
    let (status, let_in, calls) = sign_in_with(respond_with(json!(503))).await;
    assert_eq!((status, let_in, calls), (StatusCode::SERVICE_UNAVAILABLE, false, 1));
}

#[tokio::test]
async fn overload_asks_customers_to_return_and_429_is_no_outage() {
    for (status, hint, seconds, failures) in [
        (429, None, "5", 0),
        (429, Some("17"), "17", 0),
        (429, Some("86400"), "120", 0),
        (429, Some("soon"), "5", 0),
        (503, Some("9999"), "120", 1),
    ] {
        let (world, provider) = world().await;
        *provider.throttle.lock().unwrap() = Some((status, hint));
        let mut browser = world.browser();
        let answer = answer_to_callback(&mut browser, &provider).await;
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (StatusCode::SERVICE_UNAVAILABLE, seconds),
            "{hint:?}"
        );
        let biller = world.state.directory.biller_by_slug(&slug("hostile")).await.unwrap().unwrap();
        assert_eq!(biller.health.failures, failures, "{status}");
    }
}

#[tokio::test]
async fn invalid_client_is_a_setup_fault_and_invalid_grant_is_not() {
    let (world, provider) = world().await;
    let health = async || world.state.directory.biller_by_slug(&slug("hostile")).await.unwrap().unwrap().health.clone();
    *provider.change.lock().unwrap() = Some(Arc::new(respond_with(json!([{"error": "invalid_grant"}]))));
    for _ in 0..4 {
        try_sign_in(&world, &provider).await;
    }
    assert_eq!(health().await.failures, 0);
    *provider.change.lock().unwrap() = Some(Arc::new(respond_with(json!([{"error": "invalid_client"}]))));
    try_sign_in(&world, &provider).await;
    let found = health().await;
    assert_eq!((found.failures, found.fault.as_deref()), (0, Some("invalid_client")), "a setup fault, no outage");
    let metrics = world.state.metrics.encode(&Snapshot::default()).unwrap();
    for (reason, count) in [("invalid_grant", 4), ("invalid_client", 1)] {
        for series in [
            format!("signpost_sign_ins_refused_total{{biller=\"hostile\",reason=\"{reason}\"}} {count}\n"),
            format!("{{biller=\"hostile\",endpoint=\"token\",outcome=\"{reason}\"}} {count}\n"),
        ] {
            assert!(metrics.contains(&series), "{series} in\n{metrics}");
        }
    }
    *provider.change.lock().unwrap() = None;
    assert!(try_sign_in(&world, &provider).await.1);
    assert_eq!(health().await.fault, None, "cleared by a sign-in that succeeds");
}

#[tokio::test]
async fn unknown_key_ids_refetch_the_jwks_once_a_minute() {
    let (world, provider) = world().await;
    assert!(try_sign_in(&world, &provider).await.1);
    assert_eq!(provider.calls("keys"), 1);
    *provider.change.lock().unwrap() = Some(Arc::new(|response: &mut ProviderResponse| response.kid = "unknown"));
    for _ in 0..10 {
        assert!(!try_sign_in(&world, &provider).await.1);
    }
    assert_eq!(provider.calls("keys"), 2, "one early fetch for ten unknown keys");
    world.advance(std::time::Duration::from_secs(301)).await;
    // Rotated: the new key is found by one fetch, and the token of a moment ago is still good.
    let (new, old_clock) = (Arc::clone(&provider.other_key), now().seconds());
    *provider.keys.lock().unwrap() = json!({ "keys": [jwk(&provider.other_key, "k2")] });
    *provider.change.lock().unwrap() = Some(Arc::new(move |response: &mut ProviderResponse| {
        response.kid = "k2";
        response.key = Arc::clone(&new);
        response.claims.insert("iat".into(), json!(old_clock));
    }));
    assert!(try_sign_in(&world, &provider).await.1, "one sign-in after the rotation");
    assert_eq!(provider.calls("keys"), 3);
}

#[tokio::test]
async fn unusable_keys_are_rejected() {
    for (what, keys) in [
        ("none", json!({ "keys": [] })),
        ("no list", json!({})),
        ("symmetric", json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] })),
        ("weak", json!({ "keys": [{ "kty": "RSA", "kid": "k1", "n": "AQAB", "e": "AQAB" }] })),
        ("html", json!("<html>")),
    ] {
        let (world, provider) = world().await;
        *provider.keys.lock().unwrap() = keys;
        assert!(!try_sign_in(&world, &provider).await.1, "{what}");
    }
    let (world, provider) = world().await;
    let twice = json!({ "keys": [jwk(&provider.key, "k1"), jwk(&provider.other_key, "k1")] });
    *provider.keys.lock().unwrap() = twice;
    assert!(!try_sign_in(&world, &provider).await.1, "two keys of one id");
}

/// One bad key does not disable the good ones.
#[tokio::test]
async fn unusable_keys_are_skipped() {
    let weak = || KeyPair::generate(KeySize::Rsa2048).map(|key| jwk(&key, "weak")).unwrap();
    let changed = |change: fn(&mut Value)| {
        let mut key = weak();
        change(&mut key);
        key
    };
    for (what, bad) in [
        ("1024 bits", changed(|key| key["n"] = json!(URL_SAFE_NO_PAD.encode([0xff; 128])))),
        ("no modulus", changed(|key| drop(key.as_object_mut().unwrap().remove("n")))),
        ("bad base64", changed(|key| key["n"] = json!("!!!"))),
        ("unknown type", json!({ "kty": "AKP", "kid": "pq", "pub": "AAAA" })),
        ("unknown curve", json!({ "kty": "EC", "crv": "P-999", "x": "AA", "y": "AA" })),
        ("no type", json!({ "kid": "odd" })),
        ("no object", json!("key")),
        ("another use", changed(|key| key["use"] = json!("tls"))),
        ("no operation", changed(|key| key["key_ops"] = json!(["encrypt"]))),
        ("operations as text", changed(|key| key["key_ops"] = json!("verify"))),
    ] {
        let (world, provider) = world().await;
        *provider.keys.lock().unwrap() = json!({ "keys": [bad, jwk(&provider.key, "k1")] });
        assert!(try_sign_in(&world, &provider).await.1, "{what}");
        *provider.keys.lock().unwrap() = json!({ "keys": [bad] });
        world.advance(std::time::Duration::from_secs(301)).await;
        assert!(!try_sign_in(&world, &provider).await.1, "{what}, alone");
    }
    for operation in ["sign", "verify"] {
        let (world, provider) = world().await;
        let mut key = jwk(&provider.key, "k1");
        key["key_ops"] = json!([operation]);
        *provider.keys.lock().unwrap() = json!({ "keys": [key] });
        assert_eq!(try_sign_in(&world, &provider).await.1, operation == "verify", "{operation}");
    }
}

#[tokio::test]
async fn ed25519_tokens_verify_where_they_are_allowed() {
    let pair = signature::Ed25519KeyPair::generate().unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key());
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k1", "alg": "EdDSA", "use": "sig", "x": x });
    let pair = Arc::new(pair);
    for (algs, let_in) in [("[\"EdDSA\"]", true), ("[\"RS256\"]", false)] {
        let (world, provider) = world_with(&format!("client_secret = \"s\"\nid_token_algs = {algs}")).await;
        provider.discovery.lock().unwrap()["id_token_signing_alg_values_supported"] = json!(["RS256", "EdDSA"]);
        *provider.keys.lock().unwrap() = json!({ "keys": [key] });
        let pair = Arc::clone(&pair);
        *provider.change.lock().unwrap() = Some(Arc::new(move |response: &mut ProviderResponse| {
            let header = json!({ "alg": "EdDSA", "kid": "k1" });
            let input = format!("{}.{}", encode(&header), encode(&Value::Object(response.claims.clone())));
            let signature = URL_SAFE_NO_PAD.encode(pair.sign(input.as_bytes()));
            response.raw = Some(format!("{input}.{signature}"));
        }));
        assert_eq!(try_sign_in(&world, &provider).await.1, let_in, "{algs}");
    }
}

#[tokio::test]
async fn endpoint_parameters_are_kept_unless_they_are_ours() {
    for (query, accepted) in [
        ("tenant=7", true),
        ("tenant=7&policy=b2c", true),
        ("client_id=evil", false),
        ("redirect_uri=https%3A%2F%2Fevil.example", false),
        ("request_uri=urn%3Ax", false),
        ("%73tate=x", false),
        ("tenant=7&tenant=8", false),
    ] {
        let (world, provider) = world().await;
        provider.discovery.lock().unwrap()["authorization_endpoint"] =
            json!(format!("{}/authorize?{query}", provider.issuer));
        let start = world.browser().get("/b/hostile").await;
        assert_eq!(start.status == StatusCode::SEE_OTHER, accepted, "{query}");
        if accepted {
            assert!(start.location().starts_with(&format!("{}/authorize?{query}&", provider.issuer)), "{query}");
        }
    }
}

/// Documents that cannot be read say nothing about those of a moment ago.
#[tokio::test]
async fn unreadable_documents_leave_the_cached_ones_in_use() {
    for (status, body) in [(404, ""), (401, ""), (403, "no"), (500, ""), (200, "<html></html>"), (200, ""), (204, "")] {
        let (world, provider) = world().await;
        assert!(try_sign_in(&world, &provider).await.1);
        *provider.broken.lock().unwrap() = Some((status, body));
        for _ in 0..4 {
            world.advance(std::time::Duration::from_secs(61)).await;
            assert!(try_sign_in(&world, &provider).await.1, "{status} {body}");
        }
        for _ in 0..4 {
            world.advance(std::time::Duration::from_secs(61)).await;
            let start = world.browser().get("/b/hostile").await;
            assert!(start.headers.contains_key("location"), "{status} {body}: no sign-in starts");
            signpost::web::registrations::probe_failing(&world.state).await;
        }
        let biller = world.state.directory.biller_by_slug(&slug("hostile")).await.unwrap().unwrap();
        assert_eq!((biller.health.failures, biller.health.is_down), (0, false), "{status} {body}: it answers");
        world.advance(std::time::Duration::from_secs(25 * 3600)).await;
        let start = world.browser().get("/b/hostile").await;
        assert!(!start.headers.contains_key("location"), "{status} {body}, after a day");
    }
}

#[tokio::test]
async fn client_secret_that_no_key_opens_is_a_setup_fault() {
    let (world, provider) = world().await;
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let ring = signpost_core::KeyRing::from_base64([key], signpost_core::Random::system()).unwrap();
    world.state.keys.replace(&ring);
    let start = world.browser().get("/b/hostile").await;
    assert_eq!((start.status, provider.calls("token")), (StatusCode::BAD_GATEWAY, 0));
    let biller = world.state.directory.biller_by_slug(&slug("hostile")).await.unwrap().unwrap();
    assert_eq!((biller.health.fault.as_deref(), biller.health.is_down), (Some("client_secret_unreadable"), false));
}

/// A document that changes while the customer is away does not divert the code.
#[tokio::test]
async fn the_code_goes_to_the_token_endpoint_of_the_request() {
    let (world, provider) = world().await;
    let mut browser = world.browser();
    let start = browser.get("/b/hostile").await;
    let state = sent_state(&provider, &start);
    provider.discovery.lock().unwrap()["token_endpoint"] = json!(format!("{}/elsewhere", provider.issuer));
    world.advance(std::time::Duration::from_secs(120)).await;
    let answer = browser.get(&format!("/callback/hostile?code=code&state={state}")).await;
    assert_eq!((answer.status, provider.calls("token"), provider.calls("other")), (StatusCode::SEE_OTHER, 1, 0));
}

#[tokio::test]
async fn tokens_without_kid_use_the_only_key() {
    let (world, provider) = world().await;
    *provider.change.lock().unwrap() = Some(Arc::new(|response: &mut ProviderResponse| {
        response.raw = Some(sign(&json!({ "alg": "RS256" }), &Value::Object(response.claims.clone()), &response.key));
    }));
    assert!(try_sign_in(&world, &provider).await.1);
}

#[tokio::test]
async fn invalid_discovery_documents_are_rejected() {
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
        let (status, let_in, _) = try_sign_in(&world, &provider).await;
        // A document that cannot be read is an outage, one that contradicts the registration a setup fault.
        let is_unreadable = value == json!(7) || value == json!("DROP");
        let expected = if is_unreadable { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY };
        assert_eq!((let_in, status), (false, expected), "{field} = {value}");
        assert_eq!(provider.calls("token") + provider.calls("other"), 0);
    }
}

#[tokio::test]
async fn documents_with_repeated_members_are_rejected() {
    let captured = Captured::default();
    let _guard = captured.subscribe("off,signpost=warn");
    for (document, reason) in [("discovery", "discovery_malformed"), ("keys", "jwks_malformed")] {
        let (world, provider) = world().await;
        captured.clear();
        *provider.repeats.lock().unwrap() = Some(document);
        let (status, let_in, _) = try_sign_in(&world, &provider).await;
        assert_eq!((let_in, status), (false, StatusCode::SERVICE_UNAVAILABLE), "{document}");
        assert!(captured.text().contains(&format!("reason=\"{reason}\"")), "{document}: {}", captured.text());
    }
}

/// A change of the token or of the discovery document, settings of the registration, and what the log must name.
type NamedRefusal = (&'static str, fn(&Provider), [&'static str; 2]);

#[tokio::test]
async fn refusals_name_both_values() {
    let captured = Captured::default();
    let _guard = captured.subscribe("off,signpost=warn");
    fn claim(provider: &Provider, name: &'static str, value: impl Into<Value> + 'static) {
        *provider.change.lock().unwrap() = Some(Arc::new(set(name, value)));
    }
    fn document(provider: &Provider, name: &str, value: Value) {
        provider.discovery.lock().unwrap()[name] = value;
    }
    let cases: [NamedRefusal; 9] = [
        ("", |p| claim(p, "azp", "stranger"), ["azp is \"stranger\"", "the client id is \"c\""]),
        ("", |p| claim(p, "aud", "stranger"), ["stranger", "`c`"]),
        ("", |p| claim(p, "iss", "http://127.0.0.1:1"), ["http://127.0.0.1:1", "ISSUER"]),
        ("", |p| claim(p, "iat", 4_000_000_000_i64), ["iat is 4000000000", "our clock says "]),
        ("acr_values = [\"gold\"]", |p| claim(p, "acr", "tin"), ["acr is \"tin\"", "oidc.acr_values are [\"gold\"]"]),
        ("max_age = 5", |p| claim(p, "auth_time", 9), ["auth_time is 9", "oidc.max_age is 5"]),
        (
            "",
            |p| document(p, "token_endpoint", json!("https://evil.example/token")),
            ["the endpoint is https://evil.example/token", "oidc.issuer is ISSUER"],
        ),
        (
            "",
            |p| document(p, "issuer", json!("http://127.0.0.1:1")),
            ["issuer is \"http://127.0.0.1:1\"", "oidc.issuer is \"ISSUER\""],
        ),
        (
            "id_token_algs = [\"ES256\"]",
            |p| document(p, "id_token_signing_alg_values_supported", json!(["RS256"])),
            ["is [\"RS256\"]", "oidc.id_token_algs is [\"ES256\"]"],
        ),
    ];
    for (settings, change, expected) in cases {
        let (world, provider) = world_with(&format!("client_secret = \"s\"\n{settings}")).await;
        captured.clear();
        change(&provider);
        let (_, let_in, _) = try_sign_in(&world, &provider).await;
        assert!(!let_in, "{expected:?}");
        let log = captured.text().replace("\\\"", "\"");
        for part in expected {
            assert!(log.contains(&part.replace("ISSUER", &provider.issuer)), "{part} in {log}");
        }
    }
}

#[tokio::test]
async fn end_session_endpoint_with_reserved_parameters_is_not_used() {
    let captured = Captured::default();
    let _guard = captured.subscribe("off,signpost=warn");
    for (query, is_used) in [
        ("id_token_hint=x", false),
        ("post_logout_redirect_uri=https%3A%2F%2Fevil.example%2F", false),
        ("state=x", false),
        ("client_id=other", false),
        ("tenant=7&tenant=8", false),
        ("tenant=7", true),
        ("", true),
    ] {
        let (world, provider) = world_with("client_secret = \"s\"").await;
        let endpoint = format!("{}/logout?{query}", provider.issuer);
        provider.discovery.lock().unwrap()["end_session_endpoint"] = json!(endpoint);
        captured.clear();
        let mut browser = world.browser();
        let answer = answer_to_callback(&mut browser, &provider).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{query}: {}", answer.body);
        assert!(browser.cookies.contains_key("__Host-s"), "{query}");
        browser.get("/logout").await;
        let target = browser.post("/logout", &[("biller", "hostile")]).await.location();
        let expected = if is_used { provider.issuer.as_str() } else { "/signed-out" };
        assert!(target.starts_with(expected), "{query}: {target}");
        if !is_used {
            let page = browser.get(&target).await;
            assert!(page.body.contains("The sign-in page of Hostile did not confirm the sign-out."), "{}", page.body);
        }
        let log = captured.text();
        let warnings = log.matches("customers are not signed out at the provider").count();
        assert_eq!(warnings, usize::from(!is_used), "{query}: {log}");
        let biller = world.state.directory.biller_by_slug(&slug("hostile")).await.unwrap().unwrap();
        assert_eq!(biller.health.fault, None, "{query}");
        let card = world.state.provisioning.readiness(&biller).await.unwrap();
        let issuer = card.checks.iter().find(|check| check.name == "issuer").unwrap();
        assert_eq!(issuer.status, CheckStatus::Pass, "{query}");
        let logout = card.checks.iter().find(|check| check.name == "logout");
        assert_eq!(logout.map(|check| check.status), (!is_used).then_some(CheckStatus::Warning), "{query}");
        assert!(logout.is_none_or(|check| check.advice.contains(&endpoint)), "{query}: {logout:?}");
    }
}

#[tokio::test]
async fn cached_metadata_is_used_for_a_day_during_an_outage() {
    for (hours, status) in [(23, StatusCode::SEE_OTHER), (25, StatusCode::SERVICE_UNAVAILABLE)] {
        let world = World::start().await;
        let mut browser = world.browser();
        world.sign_in(&mut browser, "riverside-water", "one-moved").await;
        world.issuers.set_issuer_state("riverside-water", secureauth_standin::IssuerState::Down);
        world.advance(std::time::Duration::from_secs(hours * 3600)).await;
        assert_eq!(browser.get("/b/riverside-water").await.status, status, "after {hours} hours");
    }
}

#[tokio::test]
async fn token_endpoint_failures_open_the_circuit_breaker() {
    let (world, provider) = world().await;
    let health = async || world.state.directory.biller_by_slug(&slug("hostile")).await.unwrap().unwrap().health.clone();
    *provider.change.lock().unwrap() = Some(Arc::new(respond_with(json!(503))));
    for _ in 0..3 {
        assert!(!health().await.is_down);
        try_sign_in(&world, &provider).await;
        world.advance(std::time::Duration::from_secs(2)).await;
    }
    assert!(health().await.is_down, "three in a row");
    let biller = world.state.directory.biller_by_slug(&slug("hostile")).await.unwrap().unwrap();
    signpost::web::registrations::probe_and_record(&world.state, &biller).await;
    assert!(health().await.is_down, "documents that can be read say nothing of it");
    world.advance(std::time::Duration::from_secs(61)).await;
    signpost::web::registrations::probe_and_record(&world.state, &biller).await;
    assert!(!health().await.is_down, "after a while people may try again");
    *provider.change.lock().unwrap() = None;
}

#[tokio::test]
async fn documents_are_refreshed_while_the_cached_ones_are_used() {
    let (world, provider) = world().await;
    assert!(try_sign_in(&world, &provider).await.1);
    world.advance(std::time::Duration::from_secs(61)).await;
    provider.discovery.lock().unwrap()["authorization_endpoint"] = json!(format!("{}/elsewhere", provider.issuer));
    let old = world.browser().get("/b/hostile").await.location();
    assert!(old.contains("/authorize?"), "this sign-in does not wait: {old}");
    wait_for(PROPAGATION_TIMEOUT, "the new document", || async {
        world.browser().get("/b/hostile").await.location().contains("/elsewhere?").then_some(())
    })
    .await;
    assert_eq!(provider.calls("discovery"), 2);
    provider.discovery.lock().unwrap()["authorization_endpoint"] = json!(format!("{}/authorize", provider.issuer));
    world.advance(std::time::Duration::from_secs(301)).await;
    let fresh = world.browser().get("/b/hostile").await.location();
    assert!(fresh.contains("/authorize?"), "an old document is read again first: {fresh}");
}

#[tokio::test]
async fn an_unreachable_issuer_is_detected_within_a_minute() {
    let world = World::start().await;
    let mut browser = world.browser();
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    world.issuers.set_issuer_state("riverside-water", secureauth_standin::IssuerState::Down);
    world.advance(std::time::Duration::from_secs(60)).await;
    for failures in 1..=3 {
        assert!(browser.get("/b/riverside-water").await.headers.contains_key("location"), "by kept documents");
        wait_for(PROPAGATION_TIMEOUT, "the failed refresh", || async {
            // The snapshot has the first failure only.
            let row = world.state.db.one(sql!("SELECT max(failures) AS failures FROM issuer_health"), vec![]).await;
            (row.unwrap().unwrap().opt_int("failures").unwrap() >= Some(failures)).then_some(())
        })
        .await;
        world.advance(std::time::Duration::from_secs(4)).await;
    }
    let page = browser.post("/login", &[("username", "one-moved")]).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "row 8");
}
