//! Back-channel logout (OpenID Connect Back-Channel Logout 1.0): what ends sessions, and what does not.

use std::sync::Arc;

use http::{Request, StatusCode};
use serde_json::{Map, Value, json};

use crate::harness::{Browser, TestResponse, World, now};
use crate::hostile_provider::{Provider, ProviderResponse, jwk, sign, try_sign_in, world_with};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn claims(provider: &Provider) -> Map<String, Value> {
    let seconds = now().seconds();
    let jti = format!("{seconds}-{}", random_id());
    json!({ "iss": provider.issuer, "aud": "c", "iat": seconds, "exp": seconds + 120, "jti": jti, "sub": "subject-1",
        "events": { EVENT: {} } })
    .as_object()
    .cloned()
    .unwrap()
}

fn random_id() -> String {
    signpost_core::Random::system().token::<8>()
}

fn header() -> Value {
    json!({ "alg": "RS256", "typ": "logout+jwt", "kid": "k1" })
}

async fn send(world: &World, body: String) -> TestResponse {
    let request =
        Request::post("/backchannel-logout/hostile").header("content-type", "application/x-www-form-urlencoded");
    world.browser().send_with(request, axum::body::Body::from(body)).await
}

async fn send_token(world: &World, provider: &Provider, change: impl FnOnce(&mut Map<String, Value>)) -> StatusCode {
    let mut claims = claims(provider);
    change(&mut claims);
    let token = sign(&header(), &Value::Object(claims), &provider.key);
    send(world, format!("logout_token={token}")).await.status
}

/// Somebody signed in at the provider's session `sid`.
async fn sign_in(world: &World, provider: &Provider, sid: Option<&'static str>) -> Browser {
    *provider.change.lock().unwrap() = Some(Arc::new(move |response: &mut ProviderResponse| {
        if let Some(sid) = sid {
            response.claims.insert("sid".into(), json!(sid));
        }
    }));
    let mut browser = world.browser();
    let start = browser.get("/b/hostile").await.location();
    let sent: std::collections::BTreeMap<String, String> =
        form_urlencoded::parse(start.split_once('?').unwrap().1.as_bytes()).into_owned().collect();
    *provider.nonce.lock().unwrap() = sent["nonce"].clone();
    let answer = browser.get(&format!("/callback/hostile?code=code&state={}", sent["state"])).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    browser
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.get("/auth/verify?biller=hostile").await.status == StatusCode::OK
}

#[tokio::test]
async fn a_token_without_sid_ends_all_sessions_of_the_subject() {
    let (world, provider) = world_with("client_secret = \"s\"").await;
    let mut browsers = Vec::new();
    for sid in [Some("a"), Some("b"), None] {
        browsers.push(sign_in(&world, &provider, sid).await);
    }
    let answer = {
        let token = sign(&header(), &Value::Object(claims(&provider)), &provider.key);
        send(&world, format!("logout_token={token}")).await
    };
    assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::OK, "no-store"));
    for browser in &mut browsers {
        assert!(!is_signed_in(browser).await);
    }
}

#[tokio::test]
async fn a_sid_ends_that_session_only() {
    let (world, provider) = world_with("client_secret = \"s\"").await;
    let (mut one, mut other) =
        (sign_in(&world, &provider, Some("one")).await, sign_in(&world, &provider, Some("other")).await);
    let stranger = send_token(&world, &provider, |claims| {
        claims.insert("sid".into(), json!("one"));
        claims.insert("sub".into(), json!("somebody else"));
    });
    assert_eq!(stranger.await, StatusCode::OK);
    assert!(is_signed_in(&mut one).await, "the sid is another subject's");
    let result = send_token(&world, &provider, |claims| {
        claims.insert("sid".into(), json!("one"));
        claims.remove("sub");
    });
    assert_eq!(result.await, StatusCode::OK);
    assert!(!is_signed_in(&mut one).await && is_signed_in(&mut other).await);
}

macro_rules! rejected {
    ($($name:ident => $change:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            let (world, provider) = world_with("client_secret = \"s\"").await;
            let mut browser = sign_in(&world, &provider, None).await;
            assert_eq!(send_token(&world, &provider, $change).await, StatusCode::BAD_REQUEST);
            assert!(is_signed_in(&mut browser).await, "nothing ended");
        })*
    };
}

type Claims = Map<String, Value>;

fn set(name: &'static str, value: impl Into<Value>) -> impl FnOnce(&mut Claims) {
    let value = value.into();
    move |claims: &mut Claims| drop(claims.insert(name.to_owned(), value))
}

fn unset(name: &'static str) -> impl FnOnce(&mut Claims) {
    move |claims: &mut Claims| drop(claims.remove(name))
}

rejected! {
    events_missing => unset("events");
    events_without_logout => set("events", json!({ "http://schemas.openid.net/event/other": {} }));
    event_not_an_object => set("events", json!({ EVENT: true }));
    nonce_present => set("nonce", "n");
    nonce_null => set("nonce", Value::Null);
    issuer_mismatch => set("iss", "http://127.0.0.1:1");
    issuer_missing => unset("iss");
    audience_mismatch => set("aud", "d");
    audience_missing => unset("aud");
    audience_empty => set("aud", json!([]));
    audience_with_a_stranger => set("aud", json!(["c", "stranger"]));
    issued_at_missing => unset("iat");
    issued_two_hours_ago => set("iat", now().seconds() - 7200);
    issued_in_the_future => set("iat", now().seconds() + 7200);
    expired => set("exp", now().seconds() - 120);
    expiry_not_a_number => set("exp", "soon");
    jti_missing => unset("jti");
    jti_empty => set("jti", "");
    subject_and_sid_missing => unset("sub");
    subject_not_a_string => set("sub", 7);
    sid_not_a_string => set("sid", json!(["one"]));
}

#[tokio::test]
async fn unusual_valid_tokens_are_accepted() {
    let (world, provider) = world_with("client_secret = \"s\"").await;
    let changes: [fn(&mut Claims); 5] = [
        |claims| drop(claims.remove("exp")),
        |claims| drop(claims.insert("aud".into(), json!(["c"]))),
        |claims| drop(claims.insert("iat".into(), json!(now().seconds() as f64 - 0.5))),
        |claims| drop(claims.insert("toe".into(), json!(now().seconds()))),
        |claims| drop(claims.insert("events".into(), json!({ EVENT: { "more": 1 }, "urn:other": {} }))),
    ];
    for change in changes {
        let mut browser = sign_in(&world, &provider, None).await;
        assert_eq!(send_token(&world, &provider, change).await, StatusCode::OK);
        assert!(!is_signed_in(&mut browser).await);
    }
    for kind in [json!("JWT"), json!("logout+jwt"), json!("LOGOUT+JWT"), Value::Null] {
        let mut header = json!({ "alg": "RS256" });
        if !kind.is_null() {
            header["typ"] = kind;
        }
        let token = sign(&header, &Value::Object(claims(&provider)), &provider.key);
        assert_eq!(send(&world, format!("logout_token={token}")).await.status, StatusCode::OK, "{header}");
    }
}

#[tokio::test]
async fn bad_signatures_types_and_replays_are_rejected() {
    let (world, provider) = world_with("client_secret = \"s\"").await;
    let mut browser = sign_in(&world, &provider, None).await;
    let good = sign(&header(), &Value::Object(claims(&provider)), &provider.key);
    let (input, _) = good.rsplit_once('.').unwrap();
    let sign_as = |header: Value| sign(&header, &Value::Object(claims(&provider)), &provider.key);
    for bad in [
        format!("{input}."),
        format!("{input}.AAAA"),
        sign_as(json!({ "alg": "none", "typ": "logout+jwt" })),
        sign_as(json!({ "alg": "HS256", "typ": "logout+jwt", "kid": "k1" })),
        sign_as(json!({ "alg": "RS512", "typ": "logout+jwt", "kid": "k1" })),
        sign_as(json!({ "typ": "logout+jwt", "kid": "k1" })),
        sign_as(json!({ "alg": "RS256", "typ": "at+jwt", "kid": "k1" })),
        sign_as(json!({ "alg": "RS256", "kid": "k1", "crit": ["x"], "x": 1 })),
        sign_as(json!({ "alg": "RS256", "kid": "unknown" })),
        sign(&header(), &Value::Object(claims(&provider)), &provider.other_key),
        sign(&header(), &json!([]), &provider.key),
        "not a token".to_owned(),
        String::new(),
        "a.b.c".to_owned(),
        format!("{good}.{good}"),
    ] {
        assert_eq!(send(&world, format!("logout_token={bad}")).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    for (body, status) in [
        (format!("logout_token={good}&logout_token={good}"), 400),
        ("other=1".to_owned(), 400),
        (String::new(), 400),
        (format!("logout_token={}", "a".repeat(1_000_000)), 413),
    ] {
        assert_eq!(send(&world, body).await.status.as_u16(), status);
    }
    assert_eq!(world.browser().get("/backchannel-logout/hostile").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(is_signed_in(&mut browser).await, "nothing ended");
    assert_eq!(send(&world, format!("logout_token={good}")).await.status, StatusCode::OK);
    let mut browser = sign_in(&world, &provider, None).await;
    assert_eq!(send(&world, format!("logout_token={good}")).await.status, StatusCode::BAD_REQUEST, "it counts once");
    assert!(is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn a_token_for_another_biller_is_rejected() {
    let (world, provider) = world_with("client_secret = \"s\"").await;
    let mut browser = sign_in(&world, &provider, None).await;
    let token = sign(&header(), &Value::Object(claims(&provider)), &provider.key);
    for slug in ["riverside-water", "oakdale-city", "nobody-here", "UPPER"] {
        let request = Request::post(format!("/backchannel-logout/{slug}"))
            .header("content-type", "application/x-www-form-urlencoded");
        let body = axum::body::Body::from(format!("logout_token={token}"));
        let status = world.browser().send_with(request, body).await.status;
        assert!(matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND), "{slug}: {status}");
    }
    assert!(is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn a_rotated_key_is_refetched() {
    let (world, provider) = world_with("client_secret = \"s\"").await;
    assert!(try_sign_in(&world, &provider).await.1);
    *provider.keys.lock().unwrap() = json!({ "keys": [jwk(&provider.other_key, "k2")] });
    let header = json!({ "alg": "RS256", "typ": "logout+jwt", "kid": "k2" });
    let token = sign(&header, &Value::Object(claims(&provider)), &provider.other_key);
    assert_eq!(send(&world, format!("logout_token={token}")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn token_that_cannot_be_checked_is_not_refused() {
    let (world, provider) = world_with("client_secret = \"s\"").await;
    for broken in [(500, ""), (404, ""), (200, "<html></html>")] {
        *provider.broken.lock().unwrap() = Some(broken);
        let token = sign(&header(), &Value::Object(claims(&provider)), &provider.key);
        let answer = send(&world, format!("logout_token={token}")).await;
        assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"), "{broken:?}");
        world.advance(std::time::Duration::from_secs(10)).await;
    }
    *provider.broken.lock().unwrap() = None;
    assert_eq!(send_token(&world, &provider, |_| ()).await, StatusCode::OK);
}
