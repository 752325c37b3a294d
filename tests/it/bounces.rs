//! Round and round: a portal or a legacy site that sends people back at once, who are told so instead.

use std::time::Duration;

use http::StatusCode;
use signpost_core::Purpose;

use crate::crawl::{Ask, Outcome, follow, hand_over, part, steps};
use crate::harness::{Answer, Browser, LEGACY, PORTAL, World};

/// More would not be patience but a loop.
const MOST_ROUNDS: usize = 5;

/// A browser whose other systems send it back at once to `address`; answers the page where that ends, and the rounds.
async fn round(world: &World, browser: &mut Browser, address: &str, again: &str) -> (Box<Answer>, usize) {
    let mut ask = Ask::get(address);
    for rounds in 0..MOST_ROUNDS {
        loop {
            match follow(browser, &ask).await {
                Outcome::Page(_, page) => return (page, rounds),
                Outcome::Outside(url) if url.as_str().starts_with(&world.issuer_base) => {
                    // The session there is still good: nobody types anything.
                    ask = Ask::get(&world.authenticate(url.as_str(), "one-moved").await);
                }
                Outcome::Outside(url) => {
                    assert!(url.as_str().starts_with(LEGACY) || url.as_str().starts_with(PORTAL), "{url}");
                    break;
                }
            }
        }
        ask = Ask::get(again);
        world.advance(Duration::from_secs(2)).await;
    }
    panic!("from {address} by {again} it goes round for ever");
}

#[tokio::test]
async fn a_portal_that_sends_people_back_is_named_instead_of_tried_for_ever() {
    let world = World::start().await;
    for again in
        ["/b/riverside-water?state=x&return_to=pay", "/go/riverside-water?return_to=pay", "/login?return_to=pay"]
    {
        let mut browser = world.browser();
        let (page, rounds) = round(&world, &mut browser, "/b/riverside-water?state=x&return_to=pay", again).await;
        assert_eq!((page.status, rounds), (StatusCode::BAD_REQUEST, 2), "{again}");
        assert_eq!(page.title(), "Name of riverside-water sent you back to us");
        assert!(page.body.contains("+1 555 010 0101"), "whom to ask: {}", page.body);
        match world.decision(&page.reference()).await {
            signpost::audit::Found::Entry(entry) => assert_eq!(entry.details["reason"], "sent_back"),
            other => panic!("{other:?}"),
        }
        // In Spanish it is the same page, however late.
        world.advance(Duration::from_secs(60)).await;
        let url = Ask::get(again).url().clone();
        let spanish = steps(&url, part(&page, "header"), "").pop().unwrap();
        let Outcome::Page(_, spanish) = follow(&mut browser, &spanish).await else { panic!("a page") };
        assert_eq!(spanish.title(), "Volvió aquí desde el sitio de Name of riverside-water");
        assert_eq!(spanish.reference(), page.reference());
    }
}

#[tokio::test]
async fn whoever_clicks_goes_on_and_nobody_else_is_concerned() {
    let world = World::start().await;
    let mut browser = world.browser();
    let address = "/b/riverside-water?state=x&return_to=pay";
    let (page, _) = round(&world, &mut browser, address, address).await;
    let again = steps(Ask::get(address).url(), part(&page, "main"), "").remove(0);
    let Outcome::Outside(issuer) = follow(&mut browser.clone(), &again).await else { panic!("on to the sign-in") };
    let state = issuer.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let held: serde_json::Value = world.state.keys.open(Purpose::Flow, "", &state).unwrap();
    assert_eq!((&held["journey"]["return_to"], &held["journey"]["portal_state"]), (&"/bills/pay".into(), &"x".into()));
    assert_eq!(browser.get("/b/maple-electric").await.status, StatusCode::SEE_OTHER, "another biller");
    assert_eq!(world.browser().get(address).await.status, StatusCode::SEE_OTHER, "another browser");
    browser.cookies.insert("__Host-h".to_owned(), "nonsense".to_owned());
    assert_eq!(browser.clone().get(address).await.status, StatusCode::SEE_OTHER, "what does not open counts nothing");
    let (_, rounds) = round(&world, &mut browser, address, address).await;
    assert_eq!(rounds, 2);
    world.advance(Duration::from_secs(21)).await;
    assert_eq!(browser.get(address).await.status, StatusCode::SEE_OTHER, "later it may work");
}

#[tokio::test]
async fn a_legacy_site_that_sends_people_back_is_one_round_too_many_as_well() {
    let world = World::start().await;
    for again in ["/b/oakdale-city?return_to=pay", "/old/login.aspx?biller=2"] {
        let mut browser = world.browser();
        let (page, rounds) = round(&world, &mut browser, again, again).await;
        assert_eq!((page.status, rounds), (StatusCode::BAD_REQUEST, 2), "{again}");
        assert_eq!(page.title(), "The sign-in page of Name of oakdale-city sent you back to us");
        let ways = steps(Ask::get(again).url(), part(&page, "main"), "");
        let Outcome::Outside(legacy) = follow(&mut browser, &ways[0]).await else { panic!("on to the sign-in") };
        let handed = hand_over(&world, &legacy, "").await;
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
async fn a_browser_without_cookies_ends_at_a_page_as_well() {
    let world = World::start().await;
    let mut ask = Ask::get("/b/riverside-water?return_to=pay");
    for _ in 0..MOST_ROUNDS {
        match follow(&mut world.browser(), &ask).await {
            Outcome::Page(_, page) => {
                assert_eq!(page.title(), "Your browser did not keep this sign-in");
                return;
            }
            Outcome::Outside(url) => ask = Ask::get(&world.authenticate(url.as_str(), "one-moved").await),
        }
    }
    panic!("round for ever");
}
