//! No dead ends: whatever address Signpost ever emitted, at any age, in any browser, changed on its way, after Back or sent
//! twice, leads on to the same biller and return target. The addresses are found by crawling, and every route that customers
//! have must be among them.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use signpost::web::client::Peer;
use signpost_core::routes;
use url::Url;

use crate::crawl::{
    HandoffOutcome, Outcome, PageRequest, follow, follow_with_redirects, part, play_handoff, resources, steps,
};
use crate::harness::{Browser, MIGRATED, TestResponse, World};

const TARGET: &str = "/bills/pay";
const MAX_DEPTH: usize = 7;
const MAX_CLICKS: usize = 5;
/// Longer than a sign-in may take.
const ELEVEN_MINUTES: Duration = Duration::from_secs(11 * 60);

/// An address that was emitted, and what is known where it was.
#[derive(Clone)]
struct Emitted {
    ask: PageRequest,
    browser: Browser,
    /// The name that this person types.
    name: &'static str,
    /// The return target that must not get lost.
    return_to: Option<String>,
    /// Where it stood.
    on: String,
}

/// A world without limits for this machine, where one biller asks for languages of its own.
async fn world() -> World {
    let mut world = World::start().await;
    let loopback = SocketAddr::from(([127, 0, 0, 1], 1));
    world.router = world.router.layer(axum::Extension(Peer::Address(loopback)));
    world.issuers.set_issuer_state("cedar-county", secureauth_standin::IssuerState::Up);
    world
}

/// Every way in from outside.
fn entries(world: &World) -> Vec<Emitted> {
    let start = |address: &str, name| Emitted {
        ask: PageRequest::get(address),
        browser: world.browser(),
        name,
        return_to: address.contains("return_to=pay").then(|| TARGET.to_owned()),
        on: "an entry".to_owned(),
    };
    let mut entries = Vec::new();
    for name in ["nobody", "one-moved", "one-legacy", "moved-and-legacy", "two-moved", "two-legacy", "patient"] {
        entries.push(start("/login?return_to=pay", name));
    }
    for slug in MIGRATED.iter().chain(&["oakdale-city", "summit-telecom", "no-such-biller", "no_biller"]) {
        entries.push(start(&format!("/b/{slug}?return_to=pay&state=from-the-portal"), "one-moved"));
    }
    for address in [
        "/",
        "/B",
        "/b/Riverside-Water?return_to=pay",
        "/b/riverside-water/?return_to=pay",
        "/b/Oakdale-City/reset/?return_to=pay",
        "/login/?return_to=pay",
        "http://pay.riverside.example/any/thing?return_to=pay",
        "http://pay.oakdale.example/.well-known/change-password",
        "/.well-known/change-password",
        "/auth/verify?biller=riverside-water&redirect=1",
        "/signed-out",
        "/error",
        "/recover/links/sent",
        "/callback/riverside-water?code=stolen",
    ] {
        entries.push(start(address, "two-moved"));
    }
    for mapped in &world.state.config.legacy_paths {
        let query = mapped.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
        let mut entry = start(&format!("{}{query}", mapped.path), "one-moved");
        entry.return_to = mapped.return_to.is_some().then(|| TARGET.to_owned());
        entries.push(entry);
    }
    entries
}

/// Follows everything; answers all that was emitted, each as often as it differs.
async fn crawl(world: &World, entries: Vec<Emitted>) -> Vec<Emitted> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let mut waiting: Vec<(Emitted, usize)> = entries.into_iter().map(|entry| (entry, 0)).collect();
    while let Some((emitted, depth)) = waiting.pop() {
        let signed_in = emitted.browser.cookies.contains_key("__Host-s");
        let remembers = emitted.browser.cookies.contains_key("__Host-b");
        let shape = emitted.ask.shape(world);
        if !seen.insert((shape, signed_in, remembers, emitted.return_to.clone(), emitted.name)) {
            continue;
        }
        found.push(emitted.clone());
        let Emitted { ask, mut browser, name, return_to, on } = emitted;
        let label = format!("{} for {name}, from {on}", ask.shape(world));
        let before = browser.clone();
        let (outcome, on_the_way) = follow_with_redirects(&mut browser, &ask).await;
        let mut next = Vec::new();
        for url in on_the_way {
            let emitted = Emitted {
                ask: PageRequest::Get(url),
                browser: before.clone(),
                name,
                return_to: return_to.clone(),
                on: label.clone(),
            };
            waiting.push((emitted, depth + 1));
        }
        match outcome {
            Outcome::Outside(url) => {
                let HandoffOutcome { return_to: target, back, anew, .. } = play_handoff(world, &url, name).await;
                let is_handoff = !back.is_empty();
                assert!(
                    return_to.is_none() || !is_handoff || target == return_to,
                    "the return target is lost: {url} {label}"
                );
                next.extend(back.into_iter().map(|ask| (ask, return_to.clone())));
                next.extend(anew.into_iter().map(|ask| (ask, None)));
            }
            Outcome::Page(url, page) => {
                assert!(page.status.as_u16() < 500, "{label}: {} {}", page.status, page.title());
                let is_over = url.path() == "/logout" || url.path() == "/signed-out";
                let target = return_to.clone().filter(|_| !is_over);
                for part_of in ["header", "main"] {
                    let html = part(&page, part_of);
                    let html = html.split_once("</a>").filter(|_| part_of == "header").map_or(html, |(_, rest)| rest);
                    // Typed, and left empty.
                    for typed in [name, ""] {
                        next.extend(steps(&url, html, typed).into_iter().map(|ask| (ask, target.clone())));
                    }
                }
                next.extend(steps(&url, part(&page, "footer"), name).into_iter().map(|ask| (ask, None)));
            }
        }
        if depth < MAX_DEPTH {
            let next = next.into_iter().map(|(ask, return_to)| Emitted {
                ask,
                browser: browser.clone(),
                name,
                return_to,
                on: label.clone(),
            });
            waiting.extend(next.map(|emitted| (emitted, depth + 1)));
        }
    }
    found
}

/// What is in mails: addresses without any token, for a browser that knows nothing.
fn mailed_links(world: &World) -> Vec<Emitted> {
    let texts: Vec<String> = world.mailbox.mails().iter().map(|mail| mail.text()).collect();
    let words = texts.iter().flat_map(|text| text.split_whitespace()).filter(|word| word.starts_with("http"));
    let addresses: BTreeSet<&str> = words.collect();
    assert!(addresses.len() >= 3, "{addresses:?}");
    let browser = world.browser();
    let emitted = |address: &str| Emitted {
        ask: PageRequest::get(address),
        browser: browser.clone(),
        name: "two-moved",
        return_to: None,
        on: "a mail".to_owned(),
    };
    addresses.into_iter().map(emitted).collect()
}

/// Asks, and looks whether there is a way on: to this biller and return target, if they are known.
async fn assert_leads_on(
    world: &World,
    mut browser: Browser,
    ask: &PageRequest,
    name: &str,
    expected: Expected<'_>,
    how: &str,
) -> Browser {
    let outcome = follow(&mut browser, ask).await;
    let label = format!("{how}: {ask:?}");
    match &outcome {
        Outcome::Outside(_) => {}
        Outcome::Page(url, page) => {
            assert!(page.status.as_u16() < 500, "{label}: {} {}", page.status, page.title());
            assert!(page.body.contains("<h1>"), "{label}: {}", page.body);
            let ways = steps(url, part(page, "main"), name);
            assert!(!ways.is_empty(), "{label}: {} has no way on", page.title());
            for way in &ways {
                let at_end = follow(&mut browser.clone(), way).await;
                let fine = !matches!(&at_end, Outcome::Page(_, answer) if answer.status.as_u16() >= 400);
                assert!(fine, "{label}: from {:?} to {way:?} {at_end:?}", page.title());
            }
        }
    }
    if expected.biller.is_some() || expected.return_to.is_some() {
        assert!(
            reaches(world, browser.clone(), outcome, name, expected).await,
            "{label} does not lead to {:?} with {:?}",
            expected.biller,
            expected.return_to
        );
    }
    browser
}

#[derive(Clone, Copy)]
struct Expected<'a> {
    biller: Option<&'a str>,
    return_to: Option<&'a str>,
}

/// Whether somebody is handed over to the right place within a few clicks.
async fn reaches(world: &World, browser: Browser, outcome: Outcome, name: &str, expected: Expected<'_>) -> bool {
    let mut tried = BTreeSet::new();
    let mut waiting = VecDeque::from([(outcome, browser, 0)]);
    while let Some((outcome, browser, clicks)) = waiting.pop_front() {
        match outcome {
            Outcome::Outside(url) => {
                let HandoffOutcome { biller, return_to, .. } = play_handoff(world, &url, "").await;
                let right = expected.biller.is_none() || biller.as_deref() == expected.biller;
                if right && (expected.return_to.is_none() || return_to.as_deref() == expected.return_to) {
                    return true;
                }
            }
            Outcome::Page(url, page) if clicks < MAX_CLICKS => {
                for way in steps(&url, part(&page, "main"), name) {
                    if tried.insert(way.shape(world)) {
                        let mut browser = browser.clone();
                        let next = follow(&mut browser, &way).await;
                        waiting.push_back((next, browser, clicks + 1));
                    }
                }
            }
            Outcome::Page(..) => {}
        }
    }
    false
}

#[tokio::test]
async fn every_emitted_link_leads_to_its_destination() {
    let world = world().await;
    let mut emitted = crawl(&world, entries(&world)).await;
    world.run_queued_tasks().await;
    let mails = mailed_links(&world);
    emitted.extend(crawl(&world, mails).await);
    assert_every_route_was_visited(&emitted);

    let mut other = world.browser();
    world.sign_in(&mut other, "maple-electric", "two-moved").await;
    other.get("/b/oakdale-city").await;
    other.accept_language = "es";
    // Its own things go on at once; what counts hand-offs in a row is looked at elsewhere.
    world.advance(Duration::from_secs(60)).await;
    let mut addresses = BTreeSet::new();
    // In one language: which one it is changes no way.
    let plain = |ask: &PageRequest| ask.shape(&world).replace("\"es\"", "\"en\"").replace("lang=es", "lang=en");
    let ours = emitted.iter().filter(|emitted| !emitted.ask.is_outside());
    let unique = ours.filter(|emitted| addresses.insert((plain(&emitted.ask), emitted.return_to.clone())));
    let unique: Vec<&Emitted> = unique.collect();
    assert!(unique.len() > 300, "{} addresses were found", unique.len());
    for (age, days) in
        [("fresh", Duration::ZERO), ("late", ELEVEN_MINUTES), ("old", Duration::from_secs(400 * 24 * 3600))]
    {
        world.advance(days).await;
        for Emitted { ask, browser, name, return_to, on } in &unique {
            let biller = ask.biller().filter(|slug| !slug.starts_with("no"));
            let lower = biller.map(|slug| slug.to_lowercase());
            let expected = Expected { biller: lower.as_deref(), return_to: return_to.as_deref() };
            let how = |what: &str| format!("{what}, {age}, from {on}");
            let after = assert_leads_on(&world, browser.clone(), ask, name, expected, &how("the same browser")).await;
            if age == "old" {
                continue;
            }
            assert_leads_on(&world, world.browser(), ask, name, expected, &how("no cookies")).await;
            if age == "late" {
                continue;
            }
            assert_leads_on(&world, after, ask, name, expected, &how("again")).await;
            assert_leads_on(&world, other.clone(), ask, name, expected, &how("another browser")).await;
            let expected = Expected { return_to: None, ..expected };
            for changed in ask.tampered() {
                assert_leads_on(&world, browser.clone(), &changed, name, expected, &how("changed")).await;
            }
        }
    }
}

fn assert_every_route_was_visited(emitted: &[Emitted]) {
    let linked: Vec<_> = routes::gateway().iter().filter(|route| route.is_linked()).collect();
    assert!(linked.len() >= 18, "{} routes", linked.len());
    for route in linked {
        let is_visited = emitted.iter().any(|emitted| route.matches(emitted.ask.url().path()));
        assert!(is_visited, "no page or system leads to {}", route.path);
    }
}

#[tokio::test]
async fn page_resources_exist() {
    let world = world().await;
    let picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let look = format!("branding = {{ accent = \"#1d4e89\", accent_dark = \"#8fbdf0\", logo = \"{picture}\" }}");
    world.import_billers(&format!("[[billers]]\nslug = \"riverside-water\"\n{look}\n")).await;
    for path in ["/login", "/b/no-such-biller", "/b/riverside-water/reset", "/nope"] {
        let mut browser = world.browser();
        let Outcome::Page(url, page) = follow(&mut browser, &PageRequest::get(path)).await else {
            panic!("{path} is a page")
        };
        let expected = resources(&url, &page);
        assert!(expected.len() >= if path.contains("riverside") { 5 } else { 3 }, "{path}: {expected:?}");
        for ask in expected {
            let Outcome::Page(_, file) = follow(&mut browser, &ask).await else { panic!("{ask:?} is ours") };
            assert_eq!(file.status, StatusCode::OK, "{ask:?}");
        }
    }
}

#[tokio::test]
async fn two_tabs_keep_their_return_targets() {
    let world = world().await;
    for (older_first, slugs) in [(true, ["riverside-water"; 2]), (false, ["riverside-water", "maple-electric"])] {
        let mut browser = world.browser();
        let mut tabs = Vec::new();
        for (slug, target) in slugs.iter().zip(["/bills/first", "/bills/second"]) {
            let start = browser.get(&format!("/b/{slug}?return_to={target}")).await;
            tabs.push((target, world.authenticate(&start.location(), "two-moved").await));
        }
        if !older_first {
            tabs.reverse();
        }
        for (target, callback) in tabs {
            let Outcome::Outside(portal) = follow(&mut browser, &PageRequest::get(&callback)).await else {
                panic!("a portal")
            };
            let handed = play_handoff(&world, &portal, "").await;
            assert_eq!(handed.return_to.as_deref(), Some(target));
        }
    }
}

/// In trouble there is a page that says so; its way on leads to the same place once the trouble is over.
#[tokio::test]
async fn outages_keep_biller_username_and_return_target() {
    let mut world = world().await;
    let mut unavailable = Vec::new();
    let ask = |world: &World, address: &str| (PageRequest::get(address), world.browser());
    let form = |world: &World, name: &str| {
        let fields = [("username", name), ("return_to", "pay"), ("lang", "es")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        (PageRequest::Post(PageRequest::get("/login").url().clone(), fields), world.browser())
    };
    world.state.directory.billers().await.unwrap();
    world
        .state
        .directory
        .set_kill_switch(&signpost_core::decision::KillSwitchState::Hold, &world.actor())
        .await
        .unwrap();
    unavailable.push((ask(&world, "/b/riverside-water?return_to=pay"), Some("riverside-water")));
    unavailable.push((ask(&world, "/old/login.aspx?biller=2"), Some("oakdale-city")));
    unavailable.push((form(&world, "one-legacy"), None));
    let mut pages = pages_of(&mut unavailable).await;
    world
        .state
        .directory
        .set_kill_switch(&signpost_core::decision::KillSwitchState::Off, &world.actor())
        .await
        .unwrap();

    let down = secureauth_standin::IssuerState::Down;
    world.issuers.set_issuer_state("maple-electric", down);
    let mut unavailable = vec![(ask(&world, "/b/maple-electric?return_to=pay"), Some("maple-electric"))];
    pages.extend(pages_of(&mut unavailable).await);
    world.issuers.set_issuer_state("maple-electric", secureauth_standin::IssuerState::Up);
    world.advance(Duration::from_secs(60)).await;

    for (page, url, browser, biller) in pages {
        let ways = steps(&url, part(&page, "main"), "one-legacy");
        let mut browser = browser;
        let outcome = follow(&mut browser, &ways[0]).await;
        let return_to = (!url.path().contains("old")).then_some(TARGET);
        let expected = Expected { biller, return_to };
        assert!(reaches(&world, browser, outcome, "", expected).await, "{} leads to {biller:?}", page.title());
    }
    // With the database gone there is a page at every address, and a way on.
    let emitted = entries(&world);
    world.state.db.close().await;
    world.router = world.router.clone();
    for Emitted { ask, mut browser, .. } in emitted {
        if let Outcome::Page(url, page) = follow(&mut browser, &ask).await {
            let fine = page.status.as_u16() < 500 || page.status == StatusCode::SERVICE_UNAVAILABLE;
            assert!(fine && !steps(&url, part(&page, "main"), "x").is_empty(), "{ask:?}: {}", page.title());
        }
    }
}

type UnavailablePage = ((PageRequest, Browser), Option<&'static str>);

async fn pages_of(
    unavailable: &mut Vec<UnavailablePage>,
) -> Vec<(Box<TestResponse>, Url, Browser, Option<&'static str>)> {
    let mut pages = Vec::new();
    for ((ask, mut browser), biller) in unavailable.drain(..) {
        let Outcome::Page(url, page) = follow(&mut browser, &ask).await else { panic!("{ask:?} is in trouble") };
        assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{ask:?}: {}", page.title());
        pages.push((page, url, browser, biller));
    }
    pages
}

#[tokio::test]
async fn rate_limited_forms_keep_input_and_language() {
    // The router does not know the peer here, so it is no loopback client.
    let world = World::start().await;
    for (path, fields) in [("/login", "username"), ("/reset", "username"), ("/recover/links", "username")] {
        let mut browser = world.browser();
        let fields = [(fields, "two-moved"), ("return_to", "pay"), ("lang", "es")];
        let mut refused = browser.post(path, &fields).await;
        for _ in 0..20 {
            refused = browser.post(path, &fields).await;
        }
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{path}");
        assert!(refused.body.contains("<html lang=\"es\">"), "{path}: in the language of the form");
        let ways = steps(PageRequest::get(path).url(), part(&refused, "main"), "");
        let Outcome::Page(_, page) = follow(&mut browser, &ways[0]).await else { panic!("a page") };
        assert!(page.body.contains("value=\"two-moved\"") && page.body.contains(TARGET), "{path}: {}", page.body);
    }
}
