//! Hand-offs: who is coming and why, delivered once, to the right system.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use signpost::access::{Audience, NewApiKey, Scope};

use crate::harness::{World, each_database, slug};

async fn key(world: &World, audience: Option<Audience>, billers: Option<&str>, scopes: &[Scope]) -> String {
    let new = NewApiKey {
        name: "test".to_owned(),
        scopes: scopes.to_vec(),
        audience,
        billers: billers.map(|name| vec![slug(name)]),
        expires_at: None,
    };
    world.state.api_keys.create(&new, &world.actor()).await.unwrap()
}

async fn post(world: &World, key: Option<&str>, body: String) -> (StatusCode, Value) {
    let mut request = Request::post("/api/v1/handoffs/redeem").header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let answer = world.browser().send_with(request, Body::from(body)).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

pub(crate) async fn redeem_with(world: &World, key: &str, token: &str) -> Option<Value> {
    let (status, body) = post(world, Some(key), json!({ "token": token }).to_string()).await;
    match status {
        StatusCode::OK => Some(body),
        StatusCode::NOT_FOUND => None,
        other => panic!("{other}: {body}"),
    }
}

/// A key that may redeem everything.
pub(crate) async fn create_key(world: &World) -> String {
    key(world, None, None, &[Scope::HandoffRedeem]).await
}

pub(crate) async fn redeem(world: &World, token: &str) -> Option<Value> {
    let key = create_key(world).await;
    redeem_with(world, &key, token).await
}

async fn legacy_token(world: &World, name: &str) -> String {
    let answer = world.browser().post("/login", &[("username", name), ("return_to", "pay")]).await;
    answer.location().split("token=").nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn legacy_handoff_is_single_use() {
    each_database(|world| async move {
        let token = legacy_token(&world, " One-Legacy ").await;
        let handoff = redeem(&world, &token).await.unwrap();
        assert_eq!(handoff["kind"], "legacy");
        assert_eq!(handoff["username"], "One-Legacy", "as typed");
        assert_eq!(handoff["biller"], "oakdale-city");
        assert_eq!(handoff["return_to"], "/bills/pay");
        assert_eq!(handoff["locale"], "en");
        assert!(handoff.get("sub").is_none());
        assert_eq!(redeem(&world, &token).await, None, "twice");
        let unknown = redeem(&world, &legacy_token(&world, "nobody").await).await.unwrap();
        assert_eq!((&unknown["username"], &unknown["biller"]), (&json!("nobody"), &Value::Null));

        let recover = handoff["recover_url"].as_str().unwrap();
        let page = world.browser().get(recover).await;
        assert!(
            page.status == StatusCode::OK && page.body.contains("value=\"One-Legacy\""),
            "the username is typed once"
        );
        match world.decision(handoff["reference"].as_str().unwrap()).await {
            signpost::audit::LookupResult::Recorded(entry) => {
                assert_eq!(entry.kind, "row 3");
                assert_eq!(entry.details["verdict"]["row"], 3);
            }
            other => panic!("the hand-off's code leads to the decision: {other:?}"),
        }
    })
    .await;
}

#[tokio::test]
async fn concurrent_redemptions_have_one_winner() {
    each_database(|world| async move {
        let token = legacy_token(&world, "one-legacy").await;
        let key = key(&world, None, None, &[Scope::HandoffRedeem]).await;
        let tries = futures_util::future::join_all((0..8).map(|_| redeem_with(&world, &key, &token))).await;
        assert_eq!(tries.iter().filter(|handoff| handoff.is_some()).count(), 1);
    })
    .await;
}

#[tokio::test]
async fn expired_foreign_and_tampered_tokens_are_rejected() {
    let world = World::start().await;
    let portal_key = key(&world, Some(Audience::Portal), None, &[Scope::HandoffRedeem]).await;
    let legacy_key = key(&world, Some(Audience::Legacy), None, &[Scope::HandoffRedeem]).await;
    let other_biller = key(&world, None, Some("maple-electric"), &[Scope::HandoffRedeem]).await;
    let token = legacy_token(&world, "one-legacy").await;
    assert_eq!(redeem_with(&world, &portal_key, &token).await, None, "a portal cannot redeem the legacy portal's");
    assert_eq!(redeem_with(&world, &other_biller, &token).await, None, "nor can a key of another biller");
    for changed in [&token[1..], &token[..token.len() - 1], "", "x", &token.to_uppercase()] {
        assert_eq!(redeem(&world, changed).await, None);
    }
    world.advance(Duration::from_secs(119)).await;
    assert!(redeem_with(&world, &legacy_key, &token).await.is_some(), "refusals used nothing up");
    let token = legacy_token(&world, "one-legacy").await;
    world.advance(Duration::from_secs(120)).await;
    assert_eq!(redeem(&world, &token).await, None, "too old");
}

#[tokio::test]
async fn portal_handoff_requires_a_live_session() {
    let world = World::start().await;
    let mut browser = world.browser();
    let token = |address: String| address.split("token=").nth(1).unwrap().to_owned();
    let first = token(world.sign_in(&mut browser, "riverside-water", "one-moved").await);
    let handoff = redeem(&world, &first).await.unwrap();
    assert_eq!((handoff["kind"].as_str(), handoff["state"].is_null()), (Some("portal"), true));
    assert_eq!(handoff["amr"], json!(["pwd"]));
    assert!(handoff["sub"].as_str().is_some_and(|sub| !sub.contains("one-moved")));
    let legacy_key = key(&world, Some(Audience::Legacy), None, &[Scope::HandoffRedeem]).await;
    let second = token(browser.get("/go/riverside-water").await.location());
    assert_eq!(redeem_with(&world, &legacy_key, &second).await, None, "the legacy portal cannot redeem a portal's");
    browser.post("/logout", &[]).await;
    assert_eq!(redeem(&world, &second).await, None, "signed out meanwhile");
    let third = token(world.sign_in(&mut browser, "riverside-water", "one-moved").await);
    world.advance(Duration::from_secs(61)).await;
    assert_eq!(redeem(&world, &third).await, None, "too old");
}

#[tokio::test]
async fn redeem_requires_a_valid_key_and_body() {
    each_database(|world| async move {
        let good = key(&world, None, None, &[Scope::HandoffRedeem]).await;
        let narrow = key(&world, None, None, &[Scope::Simulate]).await;
        let body = || json!({ "token": "x" }).to_string();
        let status = |answer: (StatusCode, Value)| answer.0.as_u16();
        assert_eq!(status(post(&world, None, body()).await), 401);
        assert_eq!(status(post(&world, Some("nonsense"), body()).await), 401);
        assert_eq!(status(post(&world, Some(&good[..good.len() - 1]), body()).await), 401);
        assert_eq!(status(post(&world, Some(&narrow), body()).await), 403);
        assert_eq!(status(post(&world, Some(&good), body()).await), 404);
        for bad in [
            "",
            "{}",
            "[]",
            "null",
            "{\"token\":7}",
            "{\"token\":\"x\",\"more\":1}",
            "{\"token\":\"x\",\"token\":\"y\"}",
        ] {
            let (status, problem) = post(&world, Some(&good), bad.to_owned()).await;
            assert_eq!((status.as_u16(), &problem["status"]), (400, &json!(400)), "{bad}");
        }
        let listed = world.state.api_keys.list().await.unwrap();
        let id = good.split('_').nth(1).unwrap();
        assert!(listed.iter().any(|key| key.id == id && key.last_used_at.is_some()));
        assert!(world.state.api_keys.revoke(id, &world.actor()).await.unwrap());
        assert!(!world.state.api_keys.revoke(id, &world.actor()).await.unwrap(), "once");
        assert_eq!(status(post(&world, Some(&good), body()).await), 401, "revoked");
        let query =
            Request::post(format!("/api/v1/handoffs/redeem?key={narrow}")).header("content-type", "application/json");
        assert_eq!(world.browser().send_with(query, Body::from(body())).await.status, StatusCode::UNAUTHORIZED);
    })
    .await;
}

#[tokio::test]
async fn legacy_login_template_is_filled() {
    let world = World::start().await;
    let mut config = (*world.state.config).clone();
    config.legacy.login_url = None;
    config.legacy.login_template = Some("https://old.example/login?u={username}&n={return_to}".to_owned());
    let state = world.state.with(|services| services.config = std::sync::Arc::new(config));
    let world = World { router: signpost::app::router(state.clone()), state, ..world };
    for name in ["one-legacy", "nobody"] {
        let answer =
            world.browser().post("/login", &[("username", &format!("{name} &x=")), ("return_to", "pay")]).await;
        assert_eq!(answer.location(), format!("https://old.example/login?u={name}+%26x%3D&n=%2Fbills%2Fpay"));
    }
}
