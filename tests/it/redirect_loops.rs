//! Round and round: a portal or a legacy site that sends people back at once, who are told so instead.

use std::time::Duration;

use http::StatusCode;
use signpost_core::Purpose;

use crate::crawl::{Outcome, PageRequest, follow, part, play_handoff, steps};
use crate::harness::{Browser, LEGACY, PORTAL, TestResponse, World};

/// More would not be patience but a loop.
const MAX_ROUNDS: usize = 5;

/// A browser whose other systems send it back at once to `address`; answers the page where that ends, and the rounds.
async fn run_loop(world: &World, browser: &mut Browser, address: &str, again: &str) -> (Box<TestResponse>, usize) {
    let mut ask = PageRequest::get(address);
    for rounds in 0..MAX_ROUNDS {
        loop {
            match follow(browser, &ask).await {
                Outcome::Page(_, page) => return (page, rounds),
                Outcome::Outside(url) if url.as_str().starts_with(&world.issuer_base) => {
                    // The session there is still good: nobody types anything.
                    ask = PageRequest::get(&world.authenticate(url.as_str(), "one-moved").await);
                }
                Outcome::Outside(url) => {
                    assert!(url.as_str().starts_with(LEGACY) || url.as_str().starts_with(PORTAL), "{url}");
                    break;
                }
            }
        }
        ask = PageRequest::get(again);
        world.advance(Duration::from_secs(2)).await;
    }
    panic!("from {address} by {again} it goes round for ever");
}

#[tokio::test]
async fn portal_redirect_loop_ends_at_an_error_page() {
    let world = World::start().await;
    for again in
        ["/b/riverside-water?state=x&return_to=pay", "/go/riverside-water?return_to=pay", "/login?return_to=pay"]
    {
        let mut browser = world.browser();
        let (page, rounds) = run_loop(&world, &mut browser, "/b/riverside-water?state=x&return_to=pay", again).await;
        assert_eq!((page.status, rounds), (StatusCode::BAD_REQUEST, 2), "{again}");
        assert_eq!(page.title(), "Riverside Water sent you back to us");
        assert!(page.body.contains("+1 555 010 0101"), "whom to ask: {}", page.body);
        match world.decision(&page.reference()).await {
            signpost::audit::LookupResult::Recorded(entry) => {
                assert_eq!(entry.details["reason"], "portal_redirect_loop")
            }
            other => panic!("{other:?}"),
        }
        // In Spanish it is the same page, however late.
        world.advance(Duration::from_secs(60)).await;
        let url = PageRequest::get(again).url().clone();
        let spanish = steps(&url, part(&page, "header"), "").pop().unwrap();
        let Outcome::Page(_, spanish) = follow(&mut browser, &spanish).await else { panic!("a page") };
        assert_eq!(spanish.title(), "Riverside Water le envió de vuelta aquí");
        assert_eq!(spanish.reference(), page.reference());
    }
}

#[tokio::test]
async fn clicking_retry_resets_the_redirect_loop() {
    let world = World::start().await;
    let mut browser = world.browser();
    let address = "/b/riverside-water?state=x&return_to=pay";
    let (page, _) = run_loop(&world, &mut browser, address, address).await;
    let again = steps(PageRequest::get(address).url(), part(&page, "main"), "").remove(0);
    let Outcome::Outside(issuer) = follow(&mut browser.clone(), &again).await else { panic!("on to the sign-in") };
    let state = issuer.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let held: serde_json::Value = world.state.keys.open(Purpose::OAuthState, "", &state).unwrap();
    assert_eq!((&held["flow"]["return_to"], &held["flow"]["portal_state"]), (&"/bills/pay".into(), &"x".into()));
    assert_eq!(browser.get("/b/maple-electric").await.status, StatusCode::SEE_OTHER, "another biller");
    assert_eq!(world.browser().get(address).await.status, StatusCode::SEE_OTHER, "another browser");
    browser.cookies.insert("__Host-h".to_owned(), "nonsense".to_owned());
    assert_eq!(browser.clone().get(address).await.status, StatusCode::SEE_OTHER, "what does not open counts nothing");
    let (_, rounds) = run_loop(&world, &mut browser, address, address).await;
    assert_eq!(rounds, 2);
    world.advance(Duration::from_secs(21)).await;
    assert_eq!(browser.get(address).await.status, StatusCode::SEE_OTHER, "later it may work");
}

#[tokio::test]
async fn legacy_redirect_loop_ends_at_an_error_page() {
    let world = World::start().await;
    for again in ["/b/oakdale-city?return_to=pay", "/old/login.aspx?biller=2"] {
        let mut browser = world.browser();
        let (page, rounds) = run_loop(&world, &mut browser, again, again).await;
        assert_eq!((page.status, rounds), (StatusCode::BAD_REQUEST, 2), "{again}");
        assert_eq!(page.title(), "The sign-in page of Oakdale City sent you back to us");
        let ways = steps(PageRequest::get(again).url(), part(&page, "main"), "");
        let Outcome::Outside(legacy) = follow(&mut browser, &ways[0]).await else { panic!("on to the sign-in") };
        let handed = play_handoff(&world, &legacy, "").await;
        assert_eq!(handed.biller.as_deref(), Some("oakdale-city"));
        assert_eq!(handed.return_to.is_some(), again.contains("pay"));
    }
    // A name that is typed is never a round.
    let mut browser = world.browser();
    for _ in 0..6 {
        assert_eq!(browser.post("/login", &[("username", "one-legacy")]).await.status, StatusCode::SEE_OTHER);
    }
    assert!(browser.cookies.is_empty(), "and nothing is kept of it");
}

#[tokio::test]
async fn browser_without_cookies_ends_at_an_error_page() {
    let world = World::start().await;
    let mut ask = PageRequest::get("/b/riverside-water?return_to=pay");
    for _ in 0..MAX_ROUNDS {
        match follow(&mut world.browser(), &ask).await {
            Outcome::Page(_, page) => {
                assert_eq!(page.title(), "Your browser did not keep this sign-in");
                return;
            }
            Outcome::Outside(url) => ask = PageRequest::get(&world.authenticate(url.as_str(), "one-moved").await),
        }
    }
    panic!("round for ever");
}
