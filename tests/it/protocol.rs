//! What a biller's registration can ask of the protocol: client authentication, pushed requests, form post, wishes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::FromRef;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Browser, TestResponse, World, now, slug};
use signpost::audit::LookupResult;
use signpost::state::HealthReporter;
use signpost::telemetry::metrics::Snapshot;

use crate::hostile_provider::{
    Provider, ProviderResponse, answer_to_callback, jwk, respond_with, set, sign, try_sign_in, unset, world_with,
};

fn parse_form(text: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// What the token endpoint was asked with, of a sign-in that must go well.
async fn sign_in_and_capture(world: &World, provider: &Provider) -> (String, BTreeMap<String, String>) {
    let seen = Arc::new(std::sync::Mutex::new(None));
    let keep = Arc::clone(&seen);
    *provider.change.lock().unwrap() =
        Some(Arc::new(move |response: &mut ProviderResponse| *keep.lock().unwrap() = Some(response.request.clone())));
    assert!(try_sign_in(world, provider).await.1);
    let (header, body) = seen.lock().unwrap().take().unwrap();
    (header, parse_form(&body))
}

#[tokio::test]
async fn client_secret_basic_is_percent_encoded() {
    let (world, provider) = world_with("client_secret = \"a b+c:%~*é\"").await;
    let (header, form) = sign_in_and_capture(&world, &provider).await;
    let plain = STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(String::from_utf8(plain).unwrap(), "c:a%20b%2Bc%3A%25~%2A%C3%A9");
    assert_eq!(form.keys().collect::<Vec<_>>(), ["code", "code_verifier", "grant_type", "redirect_uri"]);
}

#[tokio::test]
async fn client_secret_post_is_sent_in_the_form_only() {
    let (world, provider) = world_with("client_secret = \"a b\"\ntoken_auth = \"client_secret_post\"").await;
    let (header, form) = sign_in_and_capture(&world, &provider).await;
    assert_eq!((header.as_str(), form["client_id"].as_str(), form["client_secret"].as_str()), ("", "c", "a b"));
}

#[tokio::test]
async fn private_key_jwt_verifies_with_the_published_key() {
    let (world, provider) = world_with("token_auth = \"private_key_jwt\"").await;
    let (header, form) = sign_in_and_capture(&world, &provider).await;
    assert_eq!(header, "");
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let parts: Vec<&str> = form["client_assertion"].split('.').collect();
    let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let claims = read(parts[1]);
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some("c"), Some("c")));
    assert_eq!(claims["aud"], json!(provider.issuer));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
    let published = world.browser().get("/.well-known/jwks.json").await;
    let keys: Value = serde_json::from_str(&published.body).unwrap();
    let key = &keys["keys"][0];
    assert_eq!(key["kid"], read(parts[0])["kid"]);
    assert!(key.get("d").is_none());
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], number("x"), number("y")].concat();
    aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED, point)
        .verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &URL_SAFE_NO_PAD.decode(parts[2]).unwrap())
        .unwrap();
    let (_, again) = sign_in_and_capture(&world, &provider).await;
    assert_ne!(again["client_assertion"], form["client_assertion"], "an assertion counts once");
}

#[tokio::test]
async fn the_second_secret_is_only_a_fallback() {
    let (world, provider) = world_with("client_secret = \"new\"\nsecond_client_secret = \"old\"").await;
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    *provider.change.lock().unwrap() = Some(Arc::new(move |response: &mut ProviderResponse| {
        if response.request.0 == format!("Basic {}", STANDARD.encode("c:new")) {
            count.fetch_add(1, Ordering::SeqCst);
            response.answer = json!([{ "error": "invalid_client" }, 401]);
        }
    }));
    assert!(try_sign_in(&world, &provider).await.1);
    assert_eq!((refused.load(Ordering::SeqCst), provider.calls("token")), (1, 2));
    *provider.change.lock().unwrap() = Some(Arc::new(respond_with(json!([{ "error": "invalid_grant" }]))));
    assert!(!try_sign_in(&world, &provider).await.1);
    assert_eq!(provider.calls("token"), 3, "a refused code is not sent again");
}

async fn world_with_par(settings: &str) -> (World, Provider) {
    let (world, provider) = world_with(settings).await;
    provider.discovery.lock().unwrap()["pushed_authorization_request_endpoint"] =
        json!(format!("{}/par", provider.issuer));
    (world, provider)
}

#[tokio::test]
async fn par_is_used_where_supported() {
    for settings in [
        "client_secret = \"s\"\nmax_age = 300\nacr_values = [\"gold\", \"silver\"]\nprompt = \"login\"",
        "token_auth = \"private_key_jwt\"",
    ] {
        let (world, provider) = world_with_par(settings).await;
        let start = world.browser().get("/b/hostile").await;
        assert_eq!(start.location(), format!("{}/authorize?client_id=c&request_uri=urn%3Ax%3A1", provider.issuer));
        let (header, body) = provider.last_pushed.lock().unwrap().clone();
        let pushed = parse_form(&body);
        for name in ["response_type", "redirect_uri", "scope", "state", "nonce", "code_challenge", "client_id"] {
            assert!(pushed.contains_key(name), "{name}");
        }
        if settings.contains("private_key_jwt") {
            assert!(header.is_empty() && pushed.contains_key("client_assertion"));
        } else {
            assert!(header.starts_with("Basic ") && !pushed.contains_key("client_assertion"));
            assert_eq!((pushed["max_age"].as_str(), pushed["prompt"].as_str()), ("300", "login"));
            assert_eq!(pushed["acr_values"], "gold silver");
        }
    }
}

#[tokio::test]
async fn par_errors_show_a_page_and_par_outages_fall_back() {
    for (status, text, fault) in [
        (400, r#"{"error":"invalid_request"}"#, "invalid_request"),
        (
            400,
            r#"{"error":"invalid_request","error_description":"redirect_uri is not registered"}"#,
            "invalid_redirect_uri",
        ),
        (400, r#"{"error":"unauthorized_client"}"#, "unauthorized_client"),
        (400, r#"{"error":"invalid_scope"}"#, "invalid_scope"),
        (401, r#"{"error":"invalid_client"}"#, "invalid_client"),
    ] {
        let (world, provider) = world_with_par("client_secret = \"s\"").await;
        *provider.pushed.lock().unwrap() = (status, text.to_owned());
        let page = world.browser().get("/b/hostile").await;
        assert_eq!((page.status, page.title()), (StatusCode::BAD_GATEWAY, "Signing in at Hostile is not working"));
        assert!(!page.body.contains("Try again") && page.headers.get("retry-after").is_none(), "{text}");
        assert_eq!(page.link("Get help signing in</a>"), "/help?biller=hostile", "only support can help");
        let metrics = world.state.metrics.encode(&Snapshot::default()).unwrap();
        for series in [
            format!("signpost_sign_ins_refused_total{{biller=\"hostile\",reason=\"{fault}\"}} 1\n"),
            format!("{{biller=\"hostile\",endpoint=\"pushed_authorization\",outcome=\"{fault}\"}} 1\n"),
        ] {
            assert!(metrics.contains(&series), "{series} in\n{metrics}");
        }
        let LookupResult::Recorded(entry) = world.decision(&page.reference()).await else { panic!("{text}") };
        assert_eq!(entry.details["reason"], fault);
        let biller = world.state.directory.biller_by_slug(&slug("hostile")).await.unwrap().unwrap();
        assert_eq!((biller.health.fault.as_deref(), biller.health.failures), (Some(fault), 0));
        let report = HealthReporter::from_ref(&world.state).report(None).await.unwrap();
        let report = report.billers.iter().find(|biller| biller.slug.as_str() == "hostile").unwrap();
        assert_eq!(report.setup_fault.as_ref().unwrap().reason, fault);
    }
    for (status, text, expected) in [
        (403, "<html>", StatusCode::BAD_GATEWAY),
        (413, "", StatusCode::BAD_GATEWAY),
        (201, "<html>", StatusCode::SERVICE_UNAVAILABLE),
        (201, "{}", StatusCode::SERVICE_UNAVAILABLE),
        (201, r#"{"request_uri":"urn:x:1","error":"x"}"#, StatusCode::SERVICE_UNAVAILABLE),
        (302, "", StatusCode::SERVICE_UNAVAILABLE),
        (429, "", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let (world, provider) = world_with_par("client_secret = \"s\"").await;
        *provider.pushed.lock().unwrap() = (status, text.to_owned());
        let page = world.browser().get("/b/hostile").await;
        assert_eq!(page.status, expected, "{status} {text}");
        assert!(page.body.contains("/b/hostile") || page.body.contains("/recover"), "a way on");
    }
    let (world, provider) = world_with_par("client_secret = \"s\"").await;
    *provider.pushed.lock().unwrap() = (503, String::new());
    assert!(world.browser().get("/b/hostile").await.location().contains("code_challenge="));
    let (world, provider) = world_with_par("client_secret = \"s\"").await;
    provider.discovery.lock().unwrap()["require_pushed_authorization_requests"] = json!(true);
    *provider.pushed.lock().unwrap() = (503, String::new());
    assert_eq!(world.browser().get("/b/hostile").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

/// The answer by form post, from another site: without our cookies.
async fn submit_form_post(browser: &mut Browser, address: &str) -> String {
    let (path, answer) = address.split_once('?').unwrap();
    let path = path.strip_prefix("http://localhost:8080").unwrap_or(path);
    let request = Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "cross-site")
        .header("origin", "http://127.0.0.1:1");
    let mut stranger = browser.clone();
    stranger.cookies.clear();
    let answer = stranger.send_with(request, axum::body::Body::from(answer.to_owned())).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert!(answer.headers.get("set-cookie").is_none());
    answer.location()
}

/// Riverside Water's provider answers by form post.
async fn use_form_post(world: &World) {
    let registration = format!(
        "[[billers]]\nslug = \"riverside-water\"\nname = \"Riverside Water\"\n[billers.oidc]\nissuer = \"{}\"\n\
         client_id = \"{}\"\nresponse_mode = \"form_post\"\n",
        world.issuer("riverside-water"),
        secureauth_standin::world::client_id("riverside-water"),
    );
    world.import_billers(&registration).await;
}

/// Many providers send the claims of a profile at UserInfo only.
#[tokio::test]
async fn claims_that_the_id_token_lacks_come_from_userinfo() {
    let (world, provider) = world_with("client_secret = \"s\"").await;
    *provider.change.lock().unwrap() = Some(Arc::new(unset("preferred_username")));
    let claims = |sub: &str| json!({ "sub": sub, "preferred_username": "one-moved" });
    let about = |aud: &str| {
        let mut claims = claims("subject-1");
        claims["iss"] = json!(provider.issuer);
        claims["aud"] = json!(aud);
        claims
    };
    let header = json!({ "alg": "RS256", "kid": "k1" });
    let signed = |claims: &Value, key| sign(&header, claims, key);
    let forged = signed(&about("c"), &provider.other_key);
    let unsigned =
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(about("c").to_string()));
    for (what, media_type, body, reason) in [
        ("plain", "application/json; charset=utf-8", claims("subject-1").to_string(), None),
        ("signed", "application/jwt", signed(&about("c"), &provider.key), None),
        ("signed without audience", "application/jwt", signed(&claims("subject-1"), &provider.key), None),
        ("of another user", "application/json", claims("subject-2").to_string(), Some("userinfo_subject_mismatch")),
        (
            "without subject",
            "application/json",
            "{\"preferred_username\":\"one-moved\"}".to_owned(),
            Some("userinfo_subject_mismatch"),
        ),
        ("signed by another", "application/jwt", forged, Some("invalid_signature")),
        ("not signed", "application/jwt", unsigned, Some("invalid_algorithm")),
        (
            "for another client",
            "application/jwt",
            signed(&about("d"), &provider.key),
            Some("userinfo_of_another_client"),
        ),
        ("html", "text/html", "<html>".to_owned(), Some("userinfo_malformed")),
        (
            "still without the claim",
            "application/json",
            "{\"sub\":\"subject-1\",\"name\":\"x\"}".to_owned(),
            Some("claim_missing"),
        ),
    ] {
        *provider.user_info.lock().unwrap() = (200, media_type, body);
        let before = provider.calls("userinfo");
        let mut browser = world.browser();
        let answer = answer_to_callback(&mut browser, &provider).await;
        assert_eq!(provider.calls("userinfo"), before + 1, "{what}");
        let Some(reason) = reason else {
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{what}: {}", answer.body);
            continue;
        };
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{what}");
        assert!(!browser.cookies.contains_key("__Host-s"), "{what}");
        let LookupResult::Recorded(entry) = world.decision(&answer.reference()).await else { panic!("{what}") };
        assert_eq!(entry.details["reason"], reason, "{what}");
    }
    let biller = world.state.directory.biller_by_slug(&slug("hostile")).await.unwrap().unwrap();
    assert_eq!((biller.health.fault.as_deref(), biller.health.failures), (Some("claim_missing"), 0));
    // The state changed once: a fault that lasts is not written again, and no instance reads the billers again.
    let revision = async || world.state.directory.billers().await.unwrap().revision();
    let before = revision().await;
    assert!(!try_sign_in(&world, &provider).await.1);
    assert_eq!(revision().await, before);
    // With the claim in the ID token there is no call.
    *provider.change.lock().unwrap() = None;
    let before = provider.calls("userinfo");
    assert!(try_sign_in(&world, &provider).await.1);
    assert_eq!(provider.calls("userinfo"), before);
    for status in [401, 403, 500, 503, 302] {
        *provider.change.lock().unwrap() = Some(Arc::new(unset("preferred_username")));
        *provider.user_info.lock().unwrap() = (status, "text/plain", String::new());
        assert!(!try_sign_in(&world, &provider).await.1, "{status}");
    }
}

/// Each fault has its word in the decision record: see docs/reference/diagnosis.md.
#[tokio::test]
async fn refused_sign_ins_have_their_reason_word() {
    type Fault = fn(&Provider);
    fn discovery(provider: &Provider, member: &str, value: Value) {
        provider.discovery.lock().unwrap()[member] = value;
    }
    fn token(provider: &Provider, change: impl Fn(&mut ProviderResponse) + Send + Sync + 'static) {
        *provider.change.lock().unwrap() = Some(Arc::new(change));
    }
    let faults: [(&str, Fault); 10] = [
        ("unsupported_grant_type", |p| token(p, respond_with(json!([{ "error": "unsupported_grant_type" }])))),
        ("discovery_algorithm_mismatch", |p| discovery(p, "id_token_signing_alg_values_supported", json!(["ES256"]))),
        ("discovery_no_token_endpoint", |p| discovery(p, "token_endpoint", Value::Null)),
        ("discovery_reserved_parameter", |p| {
            discovery(p, "authorization_endpoint", json!(format!("{}/authorize?state=x", p.issuer)));
        }),
        ("invalid_endpoint_url", |p| discovery(p, "authorization_endpoint", json!("javascript:alert(1)"))),
        ("private_address", |p| discovery(p, "jwks_uri", json!("http://10.0.0.1/keys"))),
        ("private_key_published", |p| {
            *p.keys.lock().unwrap() =
                json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "AA" }] });
        }),
        ("weak_key", |p| {
            let n = URL_SAFE_NO_PAD.encode([0xff; 128]);
            *p.keys.lock().unwrap() = json!({ "keys": [{ "kty": "RSA", "n": n, "e": "AQAB" }] });
        }),
        ("nbf_in_future", |p| token(p, set("nbf", now().seconds() + 3600))),
        ("throttled", |p| *p.throttle.lock().unwrap() = Some((429, None))),
    ];
    for (word, fault) in faults {
        let (world, provider) = world_with("client_secret = \"s\"").await;
        fault(&provider);
        let page = answer_to_callback(&mut world.browser(), &provider).await;
        let LookupResult::Recorded(entry) = world.decision(&page.reference()).await else { panic!("{word}") };
        assert_eq!(entry.details["reason"], word, "{}", page.title());
        let biller = world.state.directory.biller_by_slug(&slug("hostile")).await.unwrap().unwrap();
        assert_eq!(biller.health.fault.as_deref(), Some(word).filter(|word| *word != "throttled"));
        assert!(!biller.health.is_down, "{word}");
    }
}

/// Some providers have UserInfo on a host of its own. Sign-ins that need nothing from it work; the others never call it.
#[tokio::test]
async fn userinfo_on_another_host_is_not_called() {
    for endpoint in ["https://graph.other.example/userinfo", "http://10.0.0.1/userinfo", "javascript:alert(1)"] {
        let (world, provider) = world_with("client_secret = \"s\"").await;
        provider.discovery.lock().unwrap()["userinfo_endpoint"] = json!(endpoint);
        assert!(try_sign_in(&world, &provider).await.1, "{endpoint}");
        *provider.change.lock().unwrap() = Some(Arc::new(unset("preferred_username")));
        let page = answer_to_callback(&mut world.browser(), &provider).await;
        let LookupResult::Recorded(entry) = world.decision(&page.reference()).await else { panic!("{endpoint}") };
        assert_eq!(entry.details["reason"], "claim_missing", "{endpoint}");
    }
}

/// Errors of the authorization answer that only an operator can end.
#[tokio::test]
async fn setup_faults_in_the_authorization_answer_never_say_try_again() {
    for (error, title) in [
        ("unauthorized_client", "Signing in at Riverside Water is not working"),
        ("invalid_scope", "Signing in at Riverside Water is not working"),
        ("unsupported_response_type", "Signing in at Riverside Water is not working"),
        ("invalid_request", "Signing in at Riverside Water is not working"),
        ("temporarily_unavailable", "Sorry, there is a problem"),
    ] {
        let world = World::start().await;
        let mut browser = world.browser();
        let start = browser.get("/b/riverside-water").await;
        let state = parse_form(start.location().split_once('?').unwrap().1)["state"].clone();
        let iss: String = form_urlencoded::byte_serialize(world.issuer("riverside-water").as_bytes()).collect();
        let page = browser.get(&format!("/callback/riverside-water?state={state}&error={error}&iss={iss}")).await;
        assert_eq!(page.title(), title, "{error}");
        let LookupResult::Recorded(entry) = world.decision(&page.reference()).await else { panic!("{error}") };
        assert_eq!(entry.details["reason"], error);
        let biller = world.state.directory.biller_by_slug(&slug("riverside-water")).await.unwrap().unwrap();
        assert_eq!(biller.health.fault, None, "a browser could fake it");
    }
}

/// The stand-in answers by query; the form is ours to send.
async fn authenticate(world: &World, start: &TestResponse) -> String {
    world.authenticate(&start.location().replace("&response_mode=form_post", ""), "one-moved").await
}

/// Only the response mode that was asked for is accepted.
#[tokio::test]
async fn responses_in_another_mode_are_rejected() {
    for (settings, is_form_post) in [("", false), ("response_mode = \"form_post\"", true)] {
        for as_form in [false, true] {
            let (world, provider) = world_with(&format!("client_secret = \"s\"\n{settings}")).await;
            let mut browser = world.browser();
            let start = browser.get("/b/hostile").await;
            let sent = parse_form(start.location().split_once('?').unwrap().1);
            *provider.nonce.lock().unwrap() = sent["nonce"].clone();
            let answer = form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("code", "code"), ("state", sent["state"].as_str())])
                .finish();
            let mut address = format!("/callback/hostile?{answer}");
            if as_form {
                address = submit_form_post(&mut browser, &address).await;
            }
            let page = browser.get(&address).await;
            let expected = if as_form == is_form_post { StatusCode::SEE_OTHER } else { StatusCode::BAD_REQUEST };
            assert_eq!(page.status, expected, "{settings}, as a form: {as_form}");
            assert_eq!(provider.calls("token"), usize::from(as_form == is_form_post));
        }
    }
}

#[tokio::test]
async fn form_post_responses_keep_cookies_and_hide_the_code() {
    let world = World::start().await;
    use_form_post(&world).await;
    let mut browser = world.browser();
    let start = browser.get("/b/riverside-water").await;
    let callback = authenticate(&world, &start).await;
    let again = submit_form_post(&mut browser, &callback).await;
    let code = parse_form(callback.split_once('?').unwrap().1)["code"].clone();
    assert!(again.starts_with("/callback/riverside-water?response=") && !again.contains(&code));
    let elsewhere = again.replace("riverside-water", "maple-electric");
    assert_eq!(browser.clone().get(&elsewhere).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(browser.clone().get(&format!("{again}x")).await.status, StatusCode::BAD_REQUEST);
    assert!(browser.get(&again).await.location().starts_with(crate::harness::PORTAL));
    assert!(browser.get(&again).await.location().starts_with("/go/"), "a reload goes on");
    assert_eq!(world.browser().get(&again).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn form_posts_without_cookies_do_not_loop() {
    let world = World::start().await;
    use_form_post(&world).await;
    let mut browser = world.browser();
    let mut next = "/b/riverside-water".to_owned();
    let mut rounds = 0;
    let page = loop {
        browser.cookies.clear();
        let start = browser.get(&next).await;
        if start.status != StatusCode::SEE_OTHER {
            break start;
        }
        let callback = authenticate(&world, &start).await;
        let again = submit_form_post(&mut browser, &callback).await;
        browser.cookies.clear();
        let answer = browser.get(&again).await;
        if answer.status != StatusCode::SEE_OTHER {
            break answer;
        }
        next = answer.location();
        rounds += 1;
        assert!(rounds < 3, "a loop");
    };
    assert_eq!((page.status, page.title()), (StatusCode::BAD_REQUEST, "Your browser did not keep this sign-in"));
    for body in ["", "&", "error=access_denied", "code=a&state=b&state=b"] {
        let again = submit_form_post(&mut browser, &format!("/callback/riverside-water?{body}")).await;
        assert_eq!(browser.get(&again).await.status, StatusCode::BAD_REQUEST, "{body}");
    }
    for body in ["%zz".to_owned(), "code=%ff".to_owned(), format!("code={}", "a".repeat(9000))] {
        let request =
            Request::post("/callback/riverside-water").header("content-type", "application/x-www-form-urlencoded");
        let page = browser.send_with(request, axum::body::Body::from(body)).await;
        assert_eq!((page.status, page.link("Sign in</a>")), (StatusCode::BAD_REQUEST, "/b/riverside-water".to_owned()));
    }
}

#[tokio::test]
async fn max_age_and_acr_values_are_enforced() {
    type Claim = fn() -> Value;
    let cases: [(&str, Claim, bool); 7] = [
        ("max_age = 300", || json!(now().seconds() - 200), true),
        ("max_age = 300", || json!(now().seconds() as f64 - 200.5), true),
        ("max_age = 300", || json!(now().seconds() - 400), false),
        ("max_age = 300", || Value::Null, false),
        ("max_age = 300", || json!("yesterday"), false),
        ("acr_values = [\"gold\"]", || json!("gold"), true),
        ("acr_values = [\"gold\"]", || json!("bronze"), false),
    ];
    for (wish, value, good) in cases {
        let (world, provider) = world_with(&format!("client_secret = \"s\"\n{wish}")).await;
        let claim = if wish.starts_with("acr") { "acr" } else { "auth_time" };
        *provider.change.lock().unwrap() = Some(Arc::new(set(claim, value())));
        let (status, let_in, _) = try_sign_in(&world, &provider).await;
        let expected = if good { StatusCode::SEE_OTHER } else { StatusCode::BAD_GATEWAY };
        assert_eq!((let_in, status), (good, expected), "{wish} {}", value());
    }
}

#[tokio::test]
async fn authorization_params_are_sent() {
    let settings = "client_secret = \"s\"\nprompt = \"login\"\nmax_age = 0\nresponse_mode = \"form_post\"";
    let (world, _provider) = world_with(settings).await;
    let start = world.browser().get("/b/hostile").await.location();
    let sent = parse_form(start.split_once('?').unwrap().1);
    assert_eq!((sent["prompt"].as_str(), sent["max_age"].as_str()), ("login", "0"));
    assert_eq!(sent["response_mode"], "form_post");
}

#[tokio::test]
async fn iss_is_required_once_it_was_seen() {
    let (world, provider) = world_with("client_secret = \"s\"").await;
    let finish = async |with_iss: bool| {
        let mut browser = world.browser();
        let start = browser.get("/b/hostile").await.location();
        let sent = parse_form(start.split_once('?').unwrap().1);
        *provider.nonce.lock().unwrap() = sent["nonce"].clone();
        let iss = if with_iss { format!("&iss={}", provider.issuer) } else { String::new() };
        browser.get(&format!("/callback/hostile?code=code&state={}{iss}", sent["state"])).await.status
    };
    assert_eq!(finish(false).await, StatusCode::SEE_OTHER, "never seen");
    assert_eq!(finish(true).await, StatusCode::SEE_OTHER);
    assert_eq!(finish(false).await, StatusCode::BAD_REQUEST, "it was taken away");
    assert_eq!(finish(true).await, StatusCode::SEE_OTHER);
    let biller = world.state.directory.biller_by_slug(&slug("hostile")).await.unwrap().unwrap();
    assert_eq!(biller.pinned_iss.as_ref(), Some(&provider.issuer));
    world
        .import_billers(&format!(
            "[[billers]]\nslug = \"hostile\"\n[billers.oidc]\nissuer = \"{}\"\nclient_id = \"c\"\nclient_secret = \"s\"\n",
            provider.issuer
        ))
        .await;
    assert_eq!(finish(false).await, StatusCode::SEE_OTHER, "an operator registered it anew");
}

#[tokio::test]
async fn a_trailing_slash_of_the_issuer_is_preserved() {
    let (world, mut provider) = (World::start().await, Provider::start().await);
    provider.issuer.push('/');
    provider.discovery.lock().unwrap()["issuer"] = json!(provider.issuer);
    world
        .import_billers(&format!(
            "[[billers]]\nslug = \"hostile\"\nname = \"H\"\nstate = \"active\"\n[billers.oidc]\nissuer = \"{}\"\nclient_id = \"c\"\nclient_secret = \"s\"\n",
            provider.issuer
        ))
        .await;
    world.import_users("hostile", &["one-moved"]).await;
    let issuer = provider.issuer.clone();
    *provider.change.lock().unwrap() = Some(Arc::new(move |response: &mut ProviderResponse| {
        drop(response.claims.insert("iss".into(), json!(issuer)))
    }));
    assert!(try_sign_in(&world, &provider).await.1);
}

#[tokio::test]
async fn unknown_metadata_values_are_ignored() {
    let (world, provider) = world_with("client_secret = \"s\"").await;
    {
        let mut discovery = provider.discovery.lock().unwrap();
        discovery["id_token_signing_alg_values_supported"] = json!(["none", "Ed448", "EdDSA", "RS256", "odd"]);
        discovery["token_endpoint_auth_methods_supported"] = json!(["client_secret_basic", "odd", "tls_client_auth"]);
        discovery["response_modes_supported"] = json!(["query", "jwt", "odd"]);
        discovery["claims_supported"] = json!([]);
        discovery["odd"] = json!({ "a": [null] });
        let mut keys = provider.keys.lock().unwrap();
        let edwards =
            json!({ "kty": "OKP", "crv": "Ed25519", "kid": "e", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        let encryption = json!({ "kty": "RSA", "use": "enc", "kid": "k1", "n": "AQAB", "e": "AQAB" });
        let mut plain = jwk(&provider.key, "k1");
        plain.as_object_mut().unwrap().remove("use");
        plain.as_object_mut().unwrap().remove("alg");
        *keys = json!({ "keys": [edwards, encryption, plain] });
    }
    assert!(try_sign_in(&world, &provider).await.1);
}

#[tokio::test]
async fn provider_error_descriptions_are_never_displayed() {
    let world = World::start().await;
    for text in ["<script>alert(1)</script>", "a\r\nSet-Cookie: x=1", "\u{1b}[31mred", &"x".repeat(7000), "\u{202e}"] {
        let mut browser = world.browser();
        let start = browser.get("/b/riverside-water").await.location();
        let state = parse_form(start.split_once('?').unwrap().1)["state"].clone();
        let query: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("error", "access_denied")
            .append_pair("error_description", text)
            .append_pair("error_uri", "javascript:alert(1)")
            .append_pair("iss", &world.issuer("riverside-water"))
            .append_pair("state", &state)
            .finish();
        let page = browser.get(&format!("/callback/riverside-water?{query}")).await;
        assert_eq!((page.status, page.title()), (StatusCode::BAD_REQUEST, "You did not sign in"));
        assert!(!page.body.contains("alert") && !page.body.contains("xxxx") && !page.body.contains('\u{1b}'));
    }
}
