//! Forgotten passwords: one page for everybody, and after it the work where the password lives.

use std::collections::BTreeSet;
use std::time::Duration;

use http::{Request, StatusCode};
use secureauth_standin::{Fault, FaultRule};
use serde_json::json;
use signpost::access::{ExhaustedLimits, RateLimits};
use signpost::config::Config;
use signpost::handoffs::FlowContext;
use signpost::provisioning::{CiamMode, EnablementOptions, JobState};
use signpost_core::decision::KillSwitchState;

use crate::harness::{GATEWAY, LEGACY, TestResponse, World, each_database, slug};

async fn reset(world: &World, path: &str, name: &str) -> TestResponse {
    let answer = world.browser().post(path, &[("username", name)]).await;
    assert_eq!(answer.status, StatusCode::OK, "{name}: {}", answer.title());
    world.run_queued_tasks().await;
    answer
}

/// Moves a biller to SecureAuth, as an operator would.
async fn enable(world: &World, biller: &str, mode: CiamMode) {
    let job = world
        .state
        .provisioning
        .start(&slug(biller), EnablementOptions { mode, ..EnablementOptions::default() }, &world.actor())
        .await
        .unwrap();
    for _ in 0..40 {
        world.state.provisioning.run_next_job().await.unwrap();
        let job = world.state.provisioning.job(&job.id).await.unwrap().unwrap();
        if job.state.is_final() {
            assert_eq!(job.state, JobState::Active, "{}", job.message);
            return;
        }
        world.advance(Duration::from_secs(3)).await;
    }
    panic!("the job does not end");
}

#[tokio::test]
async fn resets_are_requested_from_secureauth() {
    each_database(|world| async move {
        enable(&world, "pinehill-gas", CiamMode::Password).await;
        reset(&world, "/b/pinehill-gas/reset", " Two-Legacy ").await;
        let [mail] = &world.issuers.mails()[..] else { panic!("{:?}", world.issuers.mails()) };
        assert_eq!((mail.to.as_str(), mail.organization.as_deref()), ("two-legacy@mail.example", Some("pinehill-gas")));
        assert!(mail.pool.starts_with("pinehill-gas-"), "{}", mail.pool);
        // Row 4 now: a legacy biller and a moved one. The page leads to the legacy reset, SecureAuth mails for the other.
        let page = reset(&world, "/reset", "two-legacy").await;
        assert_eq!(world.issuers.mails().len(), 2);
        assert!(page.body.contains(&format!("{LEGACY}/reset?token=")));
        assert!(world.mailbox.mails().is_empty(), "no mail of ours");

        let before = world.issuers.api_calls().len();
        for name in ["nobody", "one-legacy", "switched-off"] {
            reset(&world, "/reset", name).await;
            reset(&world, "/b/pinehill-gas/reset", name).await;
        }
        world.state.directory.set_kill_switch(&KillSwitchState::AllLegacy, &world.actor()).await.unwrap();
        reset(&world, "/reset", "two-legacy").await;
        assert_eq!(world.issuers.api_calls().len(), before, "nobody else is asked about");
        assert!(world.mailbox.mails().is_empty());
    })
    .await;
}

#[tokio::test]
async fn users_in_external_pools_are_reset_by_identifier() {
    let world = World::start().await;
    enable(&world, "pinehill-gas", CiamMode::Password).await;
    reset(&world, "/b/pinehill-gas/reset", "two-legacy").await;
    let pool = world.issuers.mails()[0].pool.clone();
    let home = format!("secureauth = {{ organization = \"others\", pool = \"{pool}\" }}");
    world.import_billers(&format!("[[billers]]\nslug = \"clinic\"\n{home}\n")).await;
    world.import_csv("clinic", "username,email\nTwo-Legacy,two-legacy@mail.example\n").await.unwrap();
    reset(&world, "/b/clinic/reset", "two-legacy").await;
    let mails = world.issuers.mails();
    assert_eq!((mails.len(), mails[1].organization.as_deref()), (2, Some("others")));
    assert_eq!(mails[1].user, mails[0].user, "whatever the id is there");
}

#[tokio::test]
async fn users_of_several_billers_get_links_instead_of_a_reset() {
    each_database(|world| async move {
        world.import_users("pinehill-gas", &["two-moved"]).await;
        enable(&world, "pinehill-gas", CiamMode::Password).await;
        let before = world.issuers.api_calls().len();
        reset(&world, "/reset", "two-moved").await;
        let [mail] = &world.mailbox.mails()[..] else { panic!("one mail") };
        assert!(mail.text().contains(&format!("{GATEWAY}/b/pinehill-gas")) && mail.text().contains("pay.riverside"));
        assert_eq!(world.issuers.api_calls().len(), before);
        reset(&world, "/b/pinehill-gas/reset", "two-moved").await;
        assert_eq!(world.issuers.mails().len(), 1, "once the biller is chosen");
    })
    .await;
}

#[tokio::test]
async fn passwords_kept_elsewhere_are_not_reset() {
    each_database(|world| async move {
        enable(&world, "pinehill-gas", CiamMode::Sso).await;
        let before = world.issuers.api_calls().len();
        reset(&world, "/b/pinehill-gas/reset", "two-legacy").await;
        let [mail] = &world.mailbox.mails()[..] else { panic!("one mail") };
        assert_eq!(mail.subject(), "Your password for Pinehill Gas");
        assert!(mail.text().contains(&format!("{GATEWAY}/b/pinehill-gas")));
        assert_eq!(world.issuers.api_calls().len(), before, "a reset must not make a password");
        world.import_billers("[[billers]]\nslug = \"clinic\"\nsecureauth = { sso = true }\n").await;
        let page = world.browser().get("/b/clinic/reset").await;
        assert_eq!(page.title(), "Your password for The clinic");
        assert!(!page.body.contains("<form"), "there is nothing to reset here");
    })
    .await;
}

#[tokio::test]
async fn resets_are_retried_during_an_outage() {
    let world = World::start().await;
    enable(&world, "pinehill-gas", CiamMode::Password).await;
    // No token, no call: that is known at once.
    world.issuers.faults().expire_tokens();
    world.issuers.faults().add(FaultRule::new("POST", "/oauth2/token", Fault::status(503)));
    reset(&world, "/b/pinehill-gas/reset", "two-legacy").await;
    assert!(world.issuers.mails().is_empty());
    world.issuers.faults().clear();
    world.advance(Duration::from_secs(60)).await;
    world.run_queued_tasks().await;
    assert_eq!(world.issuers.mails().len(), 1);
}

/// Known and unknown, of every row, long and odd.
fn names() -> [String; 9] {
    let long = "x".repeat(254);
    let names = ["nobody", "one-legacy", "moved-and-legacy", "two-legacy", "one-moved", "two-moved", "patient", &long];
    let mut names = names.map(str::to_owned).to_vec();
    names.push("smile 😀".to_owned());
    names.try_into().unwrap()
}

const PAGES: [&str; 4] = ["/reset", "/b/oakdale-city/reset", "/b/riverside-water/reset", "/recover/links"];

#[tokio::test]
async fn reset_pages_do_not_reveal_accounts() {
    let world = World::start().await;
    for languages in ["en", "es"] {
        for path in PAGES {
            let mut shapes = BTreeSet::new();
            for name in names() {
                // Each from an hour of its own.
                let mut browser = with_fresh_limits(&world).browser();
                browser.accept_language = languages;
                shapes.insert(normalised_response(&browser.post(path, &[("username", &name)]).await));
            }
            assert_eq!(shapes.len(), 1, "{path} {languages}: {shapes:#?}");
            let body = &shapes.first().unwrap().2;
            assert!(body.contains(&format!("<html lang=\"{languages}\">")), "{body}");
        }
        let mut shapes = BTreeSet::new();
        for name in names() {
            let token = FlowContext { name: Some(name.clone()), failed: true, ..FlowContext::default() };
            let mut browser = world.browser();
            browser.accept_language = languages;
            let mut answer = browser.get(&world.state.handoffs().recover_url(&token)).await;
            answer.body = answer.body.replace(&format!("value=\"{name}\""), "value=\"\"");
            let (status, mut headers, body) = normalised_response(&answer);
            // Names of different lengths.
            headers.retain(|line| !line.starts_with("content-length"));
            shapes.insert((status, headers, without_tokens(&body)));
        }
        assert_eq!(shapes.len(), 1, "/recover {languages}: {shapes:#?}");
    }
}

#[tokio::test]
async fn rate_limited_responses_do_not_reveal_accounts() {
    let world = World::start().await;
    let mut config = (*world.state.config).clone();
    config.limits.lookups_per_address_per_minute = 1000;
    config.mail.per_client_per_hour = 5;
    let by_client = with_limits(&world, &config);
    config.limits.lookups_per_username_per_hour = 3;
    config.mail.per_client_per_hour = 1000;
    let by_name = with_limits(&world, &config);
    for _ in 0..5 {
        assert_eq!(by_client.browser().post("/reset", &[("username", "anybody")]).await.status, StatusCode::OK);
    }
    for name in names() {
        for _ in 0..3 {
            assert_eq!(by_name.browser().post("/recover/links", &[("username", &name)]).await.status, StatusCode::OK);
        }
    }
    for languages in ["en", "es"] {
        for path in PAGES {
            let mut shapes = BTreeSet::new();
            for (name, world) in names().iter().flat_map(|name| [(name.clone(), &by_client), (name.clone(), &by_name)])
            {
                let mut browser = world.browser();
                browser.accept_language = languages;
                let answer = browser.post(path, &[("username", &name)]).await;
                assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{path} {name}");
                assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| (1..=3600).contains(&seconds)));
                let (status, mut headers, body) = normalised_response(&answer);
                // It depends on the time, and on the limit.
                headers.retain(|line| !line.starts_with("retry-after"));
                shapes.insert((status, headers, body));
            }
            assert_eq!(shapes.len(), 1, "{path} {languages}: {shapes:#?}");
        }
    }
    // An address that has had its share of mails gets the same response.
    let mut shapes = BTreeSet::new();
    let free = with_fresh_limits(&world);
    for _ in 0..5 {
        for name in ["one-moved", "nobody@mail.example", "nobody"] {
            shapes.insert(normalised_response(&free.browser().post("/recover/links", &[("username", name)]).await));
        }
        free.run_queued_tasks().await;
    }
    assert_eq!(shapes.len(), 1, "{shapes:#?}");
}

/// The same gateway to a client that has asked for nothing yet.
fn with_fresh_limits(world: &World) -> World {
    with_limits(world, &world.state.config)
}

fn with_limits(world: &World, config: &Config) -> World {
    let limits = std::sync::Arc::new(RateLimits::new(&config.limits, &config.mail));
    let state = world.state.with(|services| {
        services.exhausted_limits = ExhaustedLimits::new(services.db.clone(), services.clock.clone(), &services.keys);
        services.limits = limits;
    });
    World { router: signpost::app::router(state.clone()), state, ..world.clone() }
}

/// Everything but the reference code, the request's id and the bytes of what is sealed.
fn normalised_response(answer: &TestResponse) -> (u16, Vec<String>, String) {
    assert!(answer.headers.get("set-cookie").is_none());
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id")
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    let mut body = answer.body.replace(&answer.reference(), "CODE");
    for start in ["?token=", "?t="] {
        for rest in answer.body.split(start).skip(1) {
            let token = rest.split(['"', '&']).next().unwrap();
            body = body.replace(token, &format!("{} bytes", token.len()));
        }
    }
    (answer.status.as_u16(), headers, body)
}

/// The name that was typed travels in links of the page; how long it is, everybody knows who typed it.
fn without_tokens(body: &str) -> String {
    // In links, and in the form that searches.
    ["?t=", "name=\"t\" value=\""].iter().fold(body.to_owned(), |body, before| {
        let mut parts = body.split(before);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            out.push_str(before);
            out.push_str(&part[part.find('"').unwrap_or(0)..]);
        }
        out
    })
}

#[tokio::test]
async fn the_change_password_url_works_on_every_host() {
    let world = World::start().await;
    let mut browser = world.browser();
    let well_known = "/.well-known/change-password";
    assert_eq!(browser.get(well_known).await.location(), "/reset");
    for path in [well_known, "/reset"] {
        let answer = browser.send(Request::get(path).header("host", "pay.riverside.example")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert_eq!(answer.location(), format!("{GATEWAY}/b/riverside-water/reset"));
    }
    // Browsers ask for this one to learn whether the other can be believed (W3C, section 2.2).
    let none = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200";
    for host in ["pay.riverside.example", "localhost:8080"] {
        assert_eq!(browser.send(Request::get(none).header("host", host)).await.status, StatusCode::NOT_FOUND, "{host}");
    }
    let page = browser.get("/b/riverside-water/reset").await;
    assert!(
        page.body.contains("action=\"/b/riverside-water/reset\"") && page.body.contains("href=\"/b/riverside-water\"")
    );
    let done = browser.post("/b/riverside-water/reset", &[("username", "one-moved")]).await;
    assert_eq!(done.link("Back to Riverside Water"), "/b/riverside-water", "back to that biller's sign-in");
    assert_eq!(browser.get("/b/Riverside-Water/reset").await.location(), "/b/riverside-water/reset");
    for (path, status) in [("/b/nobody-here/reset", 404), ("/b/no_slug/reset", 404)] {
        assert_eq!(browser.get(path).await.status.as_u16(), status, "{path}");
    }
    let refused = browser.post("/b/riverside-water/reset", &[("username", " ")]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let payload = crate::handoffs::redeem(&world, &token_of(&done)).await.unwrap();
    assert_eq!((&payload["kind"], &payload["username"]), (&json!("legacy_reset"), &json!("one-moved")));
}

fn token_of(answer: &TestResponse) -> String {
    answer.body.split("/reset?token=").nth(1).unwrap().split('"').next().unwrap().to_owned()
}
