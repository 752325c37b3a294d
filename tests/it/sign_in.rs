//! Signing in at a biller and coming back: the whole way, and every way it can go wrong in the browser's hands.

use std::time::Duration;

use http::{Request, StatusCode};
use signpost::sql;

use crate::harness::{PORTAL, World, each_database};

fn query(address: &str) -> std::collections::BTreeMap<String, String> {
    url::Url::parse(address).unwrap().query_pairs().into_owned().collect()
}

#[tokio::test]
async fn sign_in_from_notice_to_portal() {
    each_database(|world| async move {
        let mut browser = world.browser();
        let notice = browser.post("/login", &[("username", "One-Moved"), ("return_to", "pay")]).await;
        let start = browser.get(&notice.link("Continue to")).await;
        let sent = query(&start.location());
        assert_eq!(sent["login_hint"], "One-Moved", "typed once, passed on as typed");
        assert_eq!((sent["response_type"].as_str(), sent["code_challenge_method"].as_str()), ("code", "S256"));
        assert!(sent["state"].len() > 20 && sent["nonce"].len() >= 32);
        let callback = world.authenticate(&start.location(), "one-moved").await;
        assert!(callback.starts_with("http://localhost:8080/callback/riverside-water?"));
        let before = browser.cookies.clone();
        let done = browser.get(&callback).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER);
        assert!(done.location().starts_with(&format!("{PORTAL}/handoff?token=")));
        assert!(browser.cookies.contains_key("__Host-s"), "signed in");
        assert!(before.keys().any(|name| name.starts_with("__Host-t-")));
        assert!(!browser.cookies.keys().any(|name| name.starts_with("__Host-t-")), "the attempt's cookie is gone");
        assert!(browser.get("/").await.location().starts_with("/go/riverside-water"), "signed in: on to the portal");
        assert!(browser.get("/go/riverside-water").await.location().starts_with(PORTAL));
    })
    .await;
}

#[tokio::test]
async fn reloading_the_callback_does_not_redeem_the_code_twice() {
    let world = World::start().await;
    let mut browser = world.browser();
    let start = browser.get("/b/riverside-water").await;
    let callback = world.authenticate(&start.location(), "one-moved").await;
    let mut other = browser.clone();
    assert_eq!(browser.get(&callback).await.status, StatusCode::SEE_OTHER);
    let tokens = || world.issuers.requests().iter().filter(|request| request.contains("/oauth2/token")).count();
    assert_eq!(tokens(), 1);
    let on = browser.get(&callback).await.location();
    assert!(on.starts_with("/go/riverside-water?h="), "the same browser just goes on");
    let replay = other.get(&callback).await;
    assert_eq!((replay.status, replay.title()), (StatusCode::BAD_REQUEST, "This sign-in was already used"));
    assert!(replay.link("Sign in</a>").starts_with("/b/riverside-water?h="), "with a way to the same biller");
    assert_eq!(tokens(), 1, "the code was sent once");
}

#[tokio::test]
async fn concurrent_callbacks_create_one_session() {
    each_database(|world| async move {
        let mut browser = world.browser();
        let start = browser.get("/b/riverside-water").await;
        let callback = world.authenticate(&start.location(), "one-moved").await;
        let tries = (0..8).map(|_| {
            let (mut browser, callback) = (browser.clone(), callback.clone());
            tokio::spawn(async move { browser.get(&callback).await.status.as_u16() })
        });
        let mut statuses = Vec::new();
        for attempt in tries.collect::<Vec<_>>() {
            statuses.push(attempt.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 400, 400, 400, 400, 400, 400, 400]);
    })
    .await;
}

#[tokio::test]
async fn expired_authorization_request_restarts_once() {
    let world = World::start().await;
    let mut browser = world.browser();
    let notice = browser.post("/login", &[("username", "one-moved"), ("return_to", "pay")]).await;
    let start = browser.get(&notice.link("Continue to")).await;
    let callback = world.authenticate(&start.location(), "one-moved").await;
    world.advance(Duration::from_secs(10 * 60 + 1)).await;
    let again = browser.get(&callback).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert!(again.location().starts_with("/b/riverside-water?h="), "{}", again.location());
    let restarted = browser.get(&again.location()).await;
    assert_eq!(query(&restarted.location())["login_hint"], "one-moved", "nothing is typed twice");
    let second = world.authenticate(&restarted.location(), "one-moved").await;
    assert!(browser.get(&second).await.location().starts_with(PORTAL));
}

#[tokio::test]
async fn missing_cookies_restart_once_then_show_an_error() {
    let world = World::start().await;
    let start = world.browser().get("/b/riverside-water").await;
    let callback = world.authenticate(&start.location(), "one-moved").await;
    let again = world.browser().get(&callback).await;
    let restarted = world.browser().get(&again.location()).await;
    let second = world.authenticate(&restarted.location(), "one-moved").await;
    let page = world.browser().get(&second).await;
    assert_eq!((page.status, page.title()), (StatusCode::BAD_REQUEST, "Your browser did not keep this sign-in"));
    assert!(page.link("Sign in</a>").starts_with("/b/riverside-water?h="));
}

/// A state that a stranger sends to another browser does not carry the stranger's username along.
#[tokio::test]
async fn foreign_state_reveals_no_username() {
    let world = World::start().await;
    let mut browser = world.browser();
    let notice = browser.post("/login", &[("username", "one-moved")]).await;
    let start = browser.get(&notice.link("Continue to")).await;
    let state = query(&start.location())["state"].clone();
    for answer in ["code=x", "error=access_denied", "iss=https%3A%2F%2Fevil.example&code=x"] {
        let mut victim = world.browser();
        let answer = victim.get(&format!("/callback/riverside-water?state={state}&{answer}")).await;
        let next = if answer.status == StatusCode::SEE_OTHER { answer.location() } else { answer.link("Sign in</a>") };
        let sent = victim.get(&next).await;
        assert!(!query(&sent.location()).contains_key("login_hint"), "{}", sent.location());
    }
    let elsewhere = world.browser().get(&format!("/callback/maple-electric?state={state}&code=x")).await;
    let sent = world.browser().get(&elsewhere.link("Sign in</a>")).await;
    assert!(!query(&sent.location()).contains_key("login_hint"), "{}", sent.location());
}

/// Only a top-level navigation starts a sign-in or goes on with one.
#[tokio::test]
async fn frames_images_and_scripts_start_nothing() {
    let world = World::start().await;
    for destination in ["iframe", "frame", "embed", "object", "image", "script", "style", "empty", "worker"] {
        let fetch = |request: http::request::Builder| request.header("sec-fetch-dest", destination);
        let mut browser = world.browser();
        for path in [
            "/b/riverside-water",
            "/go/riverside-water",
            "/callback/riverside-water?code=x&state=x",
            "/Portal/Riverside/Login.aspx",
        ] {
            let answer = browser.send(fetch(Request::get(path))).await;
            assert!(!answer.status.is_redirection() && !answer.status.is_success(), "{destination} {path}");
            assert!(browser.cookies.is_empty(), "{destination} {path}");
        }
        let form = Request::post("/login").header("content-type", "application/x-www-form-urlencoded");
        let form = fetch(form.header("sec-fetch-site", "same-origin"));
        let answer = browser.send_with(form, axum::body::Body::from("username=one-moved")).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{destination}");
    }
    world.state.decisions.flush().await;
    let rows = world.state.db.all(signpost::sql!("SELECT code FROM decision_log"), vec![]).await.unwrap();
    assert!(rows.is_empty(), "nothing was decided");
    let page = world.browser().send(Request::get("/b/riverside-water").header("sec-fetch-dest", "document")).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn repeated_session_cookies_are_rejected() {
    let world = World::start().await;
    let mut browser = world.browser();
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    let own = browser.cookies["__Host-s"].clone();
    for cookies in [format!("__Host-s={own}; __Host-s={own}"), format!("__Host-s={own}; __Host-s=x")] {
        for path in ["/login", "/auth/verify", "/logout"] {
            let request = Request::get(path).header("cookie", &cookies);
            assert_eq!(world.browser().send(request).await.status, StatusCode::BAD_REQUEST, "{path}");
        }
    }
}

#[tokio::test]
async fn portal_state_and_return_to_are_preserved() {
    let world = World::start().await;
    let mut browser = world.browser();
    let start = browser.get("/b/riverside-water?state=from-the-portal&return_to=/bills/7").await;
    let callback = world.authenticate(&start.location(), "one-moved").await;
    let handoff = browser.get(&callback).await.location();
    let redeemed = crate::handoffs::redeem(&world, &query(&handoff)["token"]).await.unwrap();
    assert_eq!(redeemed["state"], "from-the-portal");
    assert_eq!(redeemed["return_to"], "/bills/7");
    assert_eq!(redeemed["username"], "one-moved");
    assert_eq!(redeemed["biller"], "riverside-water");
    assert_eq!(redeemed["iss"], world.issuer("riverside-water"));
}

#[tokio::test]
async fn tampered_callbacks_are_rejected_before_any_call() {
    let world = World::start().await;
    let mut browser = world.browser();
    let start = browser.get("/b/riverside-water").await;
    let callback = world.authenticate(&start.location(), "one-moved").await;
    let path = callback.split('?').next().unwrap();
    let parameters = query(&callback);
    let (code, state, iss) = (&parameters["code"], &parameters["state"], &parameters["iss"]);
    let calls = |world: &World| world.issuers.requests().len();
    let before = calls(&world);
    for bad in [
        String::new(),
        "&".to_owned(),
        "%zz=1".to_owned(),
        "code=%ff".to_owned(),
        format!("code={code}"),
        format!("code={code}&state={state}x&iss={iss}"),
        format!("code={code}&code=other&state={state}&iss={iss}"),
        format!("code={code}&state={state}&state={state}&iss={iss}"),
        format!("code={code}&state={state}&iss={iss}&iss={iss}"),
        format!("code={code}&state={state}&iss={iss}&id_token=x"),
        format!("code={code}&state={state}&iss={iss}&access_token=x"),
        format!("code={code};state={state}"),
    ] {
        let answer = browser.clone().get(&format!("{path}?{bad}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
        assert!(answer.body.contains("/b/riverside-water"), "{bad}: no way on");
        assert_eq!(answer.reference().len(), 19);
    }
    for method in ["HEAD", "PUT", "OPTIONS"] {
        let request = Request::builder().method(method).uri(callback.strip_prefix("http://localhost:8080").unwrap());
        assert_eq!(browser.clone().send(request).await.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    let prefetch =
        Request::get(callback.strip_prefix("http://localhost:8080").unwrap()).header("sec-purpose", "prefetch");
    assert_eq!(browser.clone().send(prefetch).await.status, StatusCode::NO_CONTENT);
    assert_eq!(calls(&world), before, "nobody was called");
    assert!(browser.get(&callback).await.location().starts_with(PORTAL), "and the sign-in still works");
}

#[tokio::test]
async fn wrong_or_missing_iss_is_rejected() {
    let world = World::start().await;
    for change in [|iss: &str| format!("&iss={iss}1"), |iss: &str| format!("&iss={iss}/"), |_: &str| String::new()] {
        let mut browser = world.browser();
        let start = browser.get("/b/riverside-water").await;
        let callback = world.authenticate(&start.location(), "one-moved").await;
        let parameters = query(&callback);
        let tokens = world.issuers.requests().iter().filter(|r| r.contains("/oauth2/token")).count();
        let iss = change(&parameters["iss"]);
        let path = format!("/callback/riverside-water?code={}&state={}{iss}", parameters["code"], parameters["state"]);
        let answer = browser.get(&path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(!browser.cookies.contains_key("__Host-s"));
        assert_eq!(world.issuers.requests().iter().filter(|r| r.contains("/oauth2/token")).count(), tokens);
    }
}

#[tokio::test]
async fn mix_up_of_billers_is_rejected() {
    let world = World::start().await;
    let mut browser = world.browser();
    let start = browser.get("/b/riverside-water").await;
    let callback = world.authenticate(&start.location(), "two-moved").await;
    let crossed = callback.replace("/callback/riverside-water", "/callback/maple-electric");
    let answer = browser.clone().get(&crossed).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body.contains("/b/riverside-water"), "the way on leads to the biller that was meant");
    assert_eq!(browser.get(&callback).await.status, StatusCode::BAD_REQUEST, "the attempt is burnt");
    assert!(!world.issuers.requests().iter().any(|request| request.contains("/oauth2/token")));
}

#[tokio::test]
async fn foreign_callback_does_not_consume_the_request() {
    let world = World::start().await;
    let mut browser = world.browser();
    let start = browser.get("/b/riverside-water").await;
    let callback = world.authenticate(&start.location(), "one-moved").await;
    world.browser().get(&callback).await;
    world.browser().get(&callback.replace("/callback/riverside-water", "/callback/maple-electric")).await;
    assert!(browser.get(&callback).await.location().starts_with(PORTAL));
    let page = world.browser().get(&callback).await;
    assert_eq!(page.title(), "This sign-in was already used");
}

#[tokio::test]
async fn each_tab_ends_at_its_own_biller() {
    let world = World::start().await;
    let mut browser = world.browser();
    let first = browser.get("/b/riverside-water").await.location();
    let second = browser.get("/b/maple-electric").await.location();
    let third = browser.get("/b/riverside-water").await.location();
    let third = world.authenticate(&third, "one-moved").await;
    let second = world.authenticate(&second, "two-moved").await;
    let first = world.authenticate(&first, "two-moved").await;
    for callback in [&third, &second, &first] {
        assert!(browser.get(callback).await.location().starts_with(PORTAL));
    }
    let page = browser.get("/").await;
    assert_eq!(page.status, StatusCode::OK, "signed in at two: choose");
    assert!(page.body.contains("/go/riverside-water") && page.body.contains("/go/maple-electric"));
    assert_eq!(browser.get("/login?other").await.title(), "Sign in");
}

#[tokio::test]
async fn pending_authorization_requests_are_capped_at_five() {
    let world = World::start().await;
    let mut browser = world.browser();
    let mut starts = Vec::new();
    for _ in 0..12 {
        starts.push(browser.get("/b/riverside-water").await.location());
        world.advance(Duration::from_secs(1)).await;
    }
    assert_eq!(browser.cookies.len(), 5);
    let callback = world.authenticate(&starts[7], "one-moved").await;
    assert!(browser.get(&callback).await.location().starts_with(PORTAL));
}

#[tokio::test]
async fn provider_errors_show_our_own_messages() {
    let world = World::start().await;
    for (error, status, title) in [
        ("access_denied", 400, "You did not sign in"),
        ("login_required", 400, "Please sign in again"),
        ("temporarily_unavailable", 503, "Sorry, there is a problem"),
        ("server_error", 503, "Sorry, there is a problem"),
        ("<script>alert(1)</script>", 400, "Signing in did not work"),
    ] {
        let mut browser = world.browser();
        let start = browser.get("/b/riverside-water").await;
        let sent = query(&start.location());
        let error: String = form_urlencoded::byte_serialize(error.as_bytes()).collect();
        let iss = world.issuer("riverside-water");
        let path = format!(
            "/callback/riverside-water?error={error}&error_description=%3Cscript%3E&state={}&iss={iss}",
            sent["state"]
        );
        let answer = browser.get(&path).await;
        assert_eq!((answer.status.as_u16(), answer.title()), (status, title));
        assert!(!answer.body.contains("<script"));
        assert_eq!(browser.get(&path).await.status, StatusCode::BAD_REQUEST, "the attempt is used up");
    }
}

#[tokio::test]
async fn only_active_members_can_sign_in() {
    each_database(|world| async move {
        for (biller, person, status) in [("riverside-water", "stranger", 403), ("maple-electric", "one-moved", 403)] {
            let mut browser = world.browser();
            let start = browser.get(&format!("/b/{biller}")).await;
            let callback = world.authenticate(&start.location(), person).await;
            assert_eq!(browser.get(&callback).await.status.as_u16(), status, "{person} at {biller}");
            assert!(!browser.cookies.contains_key("__Host-s"));
        }
        let mut browser = world.browser();
        world.sign_in(&mut browser, "riverside-water", "one-moved").await;
        for status in ["suspended", "created", "deleted"] {
            world
                .import_csv(
                    "riverside-water",
                    &format!("username,email,status\none-moved,one-moved@mail.example,{status}\n"),
                )
                .await
                .unwrap();
            let mut again = world.browser();
            let start = again.get("/b/riverside-water").await;
            let callback = world.authenticate(&start.location(), "one-moved").await;
            assert_eq!(again.get(&callback).await.status, StatusCode::FORBIDDEN, "{status}");
        }
        assert_eq!(browser.get("/").await.status, StatusCode::OK, "the session of a suspended user has ended");
    })
    .await;
}

#[tokio::test]
async fn suspending_a_biller_stops_sign_ins_in_progress() {
    let world = World::start().await;
    let mut browser = world.browser();
    let start = browser.get("/b/riverside-water").await;
    let callback = world.authenticate(&start.location(), "one-moved").await;
    let mut signed_in = world.browser();
    world.sign_in(&mut signed_in, "riverside-water", "two-moved").await;
    world
        .import_billers("[[billers]]\nslug = \"riverside-water\"\nname = \"Riverside\"\nstate = \"suspended\"\n")
        .await;
    let answer = browser.get(&callback).await;
    assert_eq!(
        (answer.status, answer.title()),
        (StatusCode::BAD_REQUEST, "This sign-in page is not in use at the moment")
    );
    assert_eq!(signed_in.get("/").await.title(), "Sign in", "and sessions there count no more");
}

#[tokio::test]
async fn subject_is_pinned_to_its_user() {
    each_database(|world| async move {
        let mut browser = world.browser();
        world.sign_in(&mut browser, "riverside-water", "one-moved").await;
        world.sign_in(&mut browser, "riverside-water", "one-moved").await;
        let biller =
            world.state.directory.biller_by_slug(&crate::harness::slug("riverside-water")).await.unwrap().unwrap();
        let username = signpost_core::Username::parse("one-moved").unwrap();
        let user = world.state.directory.user_by_username(&biller.id, &username).await.unwrap().unwrap();
        let issuer = world.issuer("riverside-water");
        let mut tx = world.state.db.begin().await.unwrap();
        let other = (&user.id, "another");
        let pinned =
            signpost::directory::pin_subject(&mut tx, &biller, &issuer, other, world.clock.now()).await.unwrap();
        assert_eq!(pinned, signpost::directory::SubjectMatch::Different);
    })
    .await;
}

#[tokio::test]
async fn key_rotation_does_not_break_sign_ins_in_progress() {
    let world = World::start().await;
    let mut browser = world.browser();
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    let start = browser.get("/b/riverside-water").await;
    let callback = world.authenticate(&start.location(), "one-moved").await;
    world.issuers.rotate_key("riverside-water");
    assert!(browser.get(&callback).await.location().starts_with(PORTAL));
}

#[tokio::test]
async fn logout_ends_one_biller_session_and_the_idp_session() {
    each_database(|world| async move {
        let mut browser = world.browser();
        world.sign_in(&mut browser, "riverside-water", "two-moved").await;
        world.sign_in(&mut browser, "maple-electric", "two-moved").await;
        assert!(browser.get("/logout").await.body.contains("Maple Electric"));
        let old = browser.clone();
        let out = browser.post("/logout", &[("biller", "riverside-water")]).await;
        let sent = query(&out.location());
        assert!(out.location().starts_with(&format!("{}/oidc/logout?", world.issuer("riverside-water"))));
        assert!(
            sent["id_token_hint"].split('.').count() == 3
                && sent["post_logout_redirect_uri"] == "http://localhost:8080/signed-out"
        );
        let page = browser.get(&format!("/signed-out?state={}", sent["state"])).await;
        assert!(page.body.contains("Riverside Water") && page.body.contains("Maple Electric"), "still signed in there");
        assert_eq!(browser.get("/").await.location(), "/go/maple-electric");
        browser.post("/logout", &[]).await;
        for mut browser in [browser, old] {
            assert_eq!(browser.get("/").await.title(), "Sign in", "the cookie is worth nothing any more");
        }
    })
    .await;
}

#[tokio::test]
async fn logout_requires_confirmation() {
    let world = World::start().await;
    let mut browser = world.browser();
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    browser.get("/logout?biller=riverside-water").await;
    assert!(browser.get("/").await.location().starts_with("/go/"));
    for state in ["", "x", "https://evil.example", "//evil.example"] {
        let page = browser.get(&format!("/signed-out?state={state}")).await;
        assert_eq!(page.status, StatusCode::OK);
        // The way to another language keeps the query, under our own address.
        assert!(!page.body.replace(&format!("href=\"?state={state}&"), "").contains("evil.example"), "{}", page.body);
    }
}

#[tokio::test]
async fn tampered_links_still_lead_to_the_biller() {
    let world = World::start().await;
    let mut browser = world.browser();
    let notice = browser.post("/login", &[("username", "one-moved")]).await;
    let link = notice.link("Continue to");
    let cut = &link[..link.len() - 3];
    let page = browser.get(cut).await;
    assert_eq!(
        (page.status, page.link("Continue to sign in").as_str()),
        (StatusCode::BAD_REQUEST, "/b/riverside-water")
    );
    let moved = link.replace("riverside-water", "maple-electric");
    assert_eq!(browser.get(&moved).await.status, StatusCode::BAD_REQUEST, "a hint is good for its biller only");
}

#[tokio::test]
async fn reload_and_second_sign_in_keep_return_to() {
    let world = World::start().await;
    let mut browser = world.browser();
    let start = browser.get("/b/riverside-water?return_to=pay&state=ours").await;
    let callback = world.authenticate(&start.location(), "one-moved").await;
    browser.get(&callback).await;
    let go = browser.get(&callback).await.location();
    let again = browser.get(&go).await.location();
    let payload = crate::handoffs::redeem(&world, &query(&again)["token"]).await.unwrap();
    assert_eq!((payload["return_to"].as_str(), payload["state"].as_str()), (Some("/bills/pay"), Some("ours")));
    let go = browser.get("/login?return_to=pay").await.location();
    let handoff = browser.get(&go).await.location();
    let payload = crate::handoffs::redeem(&world, &query(&handoff)["token"]).await.unwrap();
    assert_eq!(payload["return_to"], "/bills/pay");
    assert!(
        world.browser().get("/go/riverside-water?return_to=pay").await.location().starts_with("/b/riverside-water?h=")
    );
}

#[tokio::test]
async fn restart_counter_resets_after_a_click() {
    let world = World::start().await;
    let mut browser = world.browser();
    let mut link = "/b/riverside-water".to_owned();
    for _ in 0..3 {
        // Somebody who takes eleven minutes, comes back, and clicks on "Sign in" again.
        let start = browser.get(&link).await;
        let callback = world.authenticate(&start.location(), "one-moved").await;
        world.advance(Duration::from_secs(11 * 60)).await;
        let again = browser.get(&callback).await;
        assert_eq!(again.status, StatusCode::SEE_OTHER, "begun again once by itself");
        let restarted = browser.get(&again.location()).await;
        let second = world.authenticate(&restarted.location(), "one-moved").await;
        world.advance(Duration::from_secs(11 * 60)).await;
        let page = browser.get(&second).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "and not for ever");
        link = page.link("Sign in</a>");
    }
}

#[tokio::test]
async fn logout_works_while_sign_in_is_paused() {
    each_database(|world| async move {
        let mut browser = world.browser();
        world.sign_in(&mut browser, "riverside-water", "one-moved").await;
        let text = |state: &str| {
            format!(
                "[[billers]]\nslug = \"riverside-water\"\nname = \"R\"\nstate = \"{state}\"\n[billers.oidc]\nissuer = \"{}\"\nclient_id = \"signpost-riverside-water\"\nclient_secret = \"demo-client-secret-of-riverside-water\"\n",
                world.issuer("riverside-water")
            )
        };
        world.import_billers(&text("suspended")).await;
        assert!(browser.get("/logout").await.body.contains("value=\"riverside-water\""));
        browser.post("/logout", &[("biller", "riverside-water")]).await;
        world.import_billers(&text("active")).await;
        assert_eq!(browser.get("/").await.title(), "Sign in", "it was ended, not hidden");
        world.sign_in(&mut browser, "riverside-water", "one-moved").await;
        world.state.db.close().await;
        let answer = browser.post("/logout", &[("biller", "riverside-water")]).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "not: you are signed out");
    })
    .await;
}

#[tokio::test]
async fn pausing_a_biller_disables_its_sessions() {
    let world = World::start().await;
    let mut browser = world.browser();
    let handoff = world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    world
        .import_billers("[[billers]]\nslug = \"riverside-water\"\nname = \"R\"\nstate = \"legacy\"\npaused = true\n")
        .await;
    assert_eq!(browser.get("/").await.title(), "Sign in");
    assert_eq!(crate::handoffs::redeem(&world, &query(&handoff)["token"]).await, None);
    let page = browser.get("/b/riverside-water?return_to=pay").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.body.contains("/b/riverside-water?h="), "trying again keeps the return target");
}

#[tokio::test]
async fn notice_does_not_send_users_without_legacy_account_to_legacy() {
    let world = World::start().await;
    let mut browser = world.browser();
    world
        .state
        .db
        .run(sql!("UPDATE membership SET legacy_account = 0 WHERE username_key = 'one-moved'"), Vec::new())
        .await
        .unwrap();
    let notice = browser.post("/login", &[("username", "one-moved")]).await;
    world.import_billers("[[billers]]\nslug = \"riverside-water\"\nname = \"R\"\nstate = \"suspended\"\n").await;
    let page = browser.get(&notice.link("Continue to")).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "the hold page");
    assert!(
        browser.get("/b/riverside-water").await.location().contains("/login?token="),
        "others have legacy accounts"
    );
}
