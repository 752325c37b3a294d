//! What a device keeps for us: billers by choice, and how often the notice was shown.

use http::{HeaderMap, Request, StatusCode, header};
use signpost::web::device::{Device, FULL_NOTICE_COUNT, MAX_REMEMBERED_BILLERS};

use crate::harness::{Browser, TestResponse, World};

const BILLERS: &str = "__Host-b";
const RIVERSIDE: &str = "Riverside Water";

/// Types a name, asks to be remembered, and goes on from the notice.
async fn remember(browser: &mut Browser, name: &str) -> TestResponse {
    let notice = browser.post("/login", &[("username", name), ("remember", "yes")]).await;
    browser.get(&notice.link("Continue to ")).await
}

#[tokio::test]
async fn remembered_biller_is_opt_in_and_suggested_first() {
    let world = World::start().await;
    let mut browser = world.browser();
    let notice = browser.post("/login", &[("username", "one-moved")]).await;
    browser.get(&notice.link("Continue to ")).await;
    assert!(!browser.cookies.contains_key(BILLERS), "nobody asked for it");

    let start = remember(&mut browser, "one-moved").await;
    assert_eq!(start.status, StatusCode::SEE_OTHER);
    let cookie = browser.cookies[BILLERS].clone();
    for secret in ["riverside", "one-moved"] {
        assert!(!cookie.contains(secret));
    }
    let login = browser.get("/login?return_to=pay").await;
    let start = browser.get(&login.link(&format!("Continue to {RIVERSIDE}"))).await;
    assert!(start.location().starts_with(&world.issuer("riverside-water")), "{}", start.location());
    assert!(!start.location().contains("login_hint"), "no username was kept");
    assert!(login.body.contains("name=\"username\""), "another way is on the same page");

    let gone = browser.post("/forget", &[("return_to", "pay")]).await;
    assert_eq!((gone.status, gone.location().as_str()), (StatusCode::SEE_OTHER, "/login?forgotten&return_to=pay"));
    assert!([BILLERS, "__Host-n"].iter().all(|name| !browser.cookies.contains_key(*name)), "{:?}", browser.cookies);
    let login = browser.get(&gone.location()).await;
    assert!(login.body.contains("role=\"status\"") && !login.body.contains(RIVERSIDE));
    assert!(login.body.contains("name=\"return_to\" value=\"pay\""));
}

#[tokio::test]
async fn several_remembered_billers_are_suggested() {
    let world = World::start().await;
    let mut browser = world.browser();
    remember(&mut browser, "one-moved").await;
    remember(&mut browser, "Maple.User").await;
    let login = browser.get("/login").await;
    let list = login.body.split("<ul class=\"biller-links\"").nth(1).unwrap();
    let maple = list.find("Maple Electric").unwrap();
    assert!(maple < list.find(RIVERSIDE).unwrap(), "the last used first");
    let recovery = browser.post("/login", &[("username", "two-moved")]).await;
    let start = browser.get(&recovery.link(RIVERSIDE)).await;
    assert!(start.location().contains("login_hint=two-moved"), "{}", start.location());
    assert!(browser.get("/recover").await.body.contains(RIVERSIDE));
}

#[tokio::test]
async fn remembering_reveals_nothing_about_a_username() {
    let world = World::start().await;
    let mut shapes = std::collections::BTreeSet::new();
    for name in ["nobody", "one-legacy", "moved-and-legacy", "two-legacy", "patient"] {
        let mut browser = world.browser();
        let answer = browser.post("/login", &[("username", name), ("remember", "yes")]).await;
        shapes.insert((answer.status.as_u16(), answer.location().len(), browser.cookies.len(), answer.body));
    }
    assert_eq!(shapes.len(), 1, "{shapes:?}");
    assert_eq!(shapes.first().unwrap().2, 0, "no cookie");
}

#[tokio::test]
async fn cross_site_requests_and_forged_cookies_remember_nothing() {
    let world = World::start().await;
    let mut browser = world.browser();
    let notice = browser.post("/login", &[("username", "one-moved"), ("remember", "yes")]).await;
    let link = notice.link("Continue to ");
    browser.send(Request::get(link.as_str()).header("sec-fetch-site", "cross-site")).await;
    assert!(!browser.cookies.contains_key(BILLERS));
    remember(&mut browser, "one-moved").await;
    let good = browser.cookies[BILLERS].clone();
    let notices = browser.cookies["__Host-n"].clone();
    for forged in ["", "x", &good[1..], &format!("{good}A"), &notices, "[\"riverside-water\"]"] {
        browser.cookies.insert(BILLERS.to_owned(), forged.to_owned());
        let login = browser.get("/login").await;
        assert_eq!(login.status, StatusCode::OK);
        assert!(!login.body.contains(RIVERSIDE), "{forged}");
    }
}

#[tokio::test]
async fn remembered_billers_are_capped() {
    let world = World::start().await;
    let all = world.state.directory.billers().await.unwrap();
    let mut headers = HeaderMap::new();
    for biller in all.iter() {
        let line = Device::from_headers(&world.state.keys, &headers).remember(&world.state.keys, biller);
        assert!(line.len() < 1024, "{line}");
        headers.insert(header::COOKIE, line.split(';').next().unwrap().parse().unwrap());
    }
    let kept: Vec<String> = Device::from_headers(&world.state.keys, &headers)
        .billers(&all)
        .iter()
        .map(|biller| biller.slug.to_string())
        .collect();
    let mut last: Vec<String> = all.iter().map(|biller| biller.slug.to_string()).collect();
    last.reverse();
    assert_eq!(kept, last[..MAX_REMEMBERED_BILLERS]);
}

#[tokio::test]
async fn notice_is_shortened_after_three_times() {
    let world = World::start().await;
    let mut browser = world.browser();
    for time in 1..=FULL_NOTICE_COUNT + 2 {
        let notice = browser.post("/login", &[("username", "one-moved")]).await;
        let is_full = notice.title() == format!("{RIVERSIDE} has a new sign-in page");
        assert_eq!(is_full, time <= FULL_NOTICE_COUNT, "time {time}: {}", notice.title());
        assert!(notice.body.contains("http://pay.riverside.example<"), "the address is always there");
        assert!(notice.link("Continue to ").starts_with("/b/riverside-water?h="));
    }
}
