//! What a change would do, in the console: a page waits for a moment only, and the count goes on behind it.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use signpost::audit::{Action, EventFilter, list_events};
use signpost::sql;

use crate::console::ConsoleHarness;
use crate::harness::{Browser, TestResponse, World};

const CIAM: &str = "/billers/oakdale-city/ciam";
const ROLLOUT: &str = "/billers/summit-telecom/rollout?percent=10&active_from=";
const RESULT: &str = "Of 3 usernames at this biller, 3 would have a new destination";

/// How often it was written down that somebody asked.
async fn preview_count(world: &World) -> usize {
    let asked = EventFilter { action: Some(Action::ImpactPreviewed), ..EventFilter::default() };
    list_events(&world.state.db, &asked, None, 100).await.unwrap().len()
}

/// Where the page follows the count.
fn events_of(page: &TestResponse) -> String {
    let address = page.body.split("data-events=\"").nth(1).and_then(|rest| rest.split('"').next());
    address.unwrap_or_else(|| panic!("it is not being counted: {}", page.body)).to_owned()
}

struct Events(Body);

impl Events {
    async fn open(browser: &Browser, address: &str) -> Self {
        let answer = browser.send_streaming(Request::get(address), Body::empty()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self(answer.into_body())
    }

    /// The next one; none: it has ended.
    async fn next(&mut self) -> Option<Value> {
        let frame = self.0.frame().await?.unwrap().into_data().unwrap();
        let text = std::str::from_utf8(&frame).unwrap();
        Some(serde_json::from_str(text.strip_prefix("data: ").unwrap()).unwrap())
    }
}

#[tokio::test]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn page_does_not_block_on_a_long_preview() {
    let harness = ConsoleHarness::on_postgres().await.unwrap();
    let mut browser = harness.sign_in("operator").await;
    let held = harness.world.lock_users().await;
    let page = browser.get(CIAM).await;
    assert_eq!(page.status, StatusCode::OK);
    for shown in
        ["0 of 3 usernames evaluated</label>", "max=\"3\" value=\"0\"></progress>", "<button>Enable CIAM</button>"]
    {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    assert_eq!(page.link("Refresh"), CIAM);
    let place = events_of(&page);
    let mut events = Events::open(&browser, &place).await;
    let so_far = events.next().await.unwrap();
    assert_eq!((&so_far["final"], &so_far["done"], &so_far["total"]), (&json!(false), &json!(0), &json!(3)));
    assert_eq!(so_far["count"], "0 of 3 usernames evaluated");
    assert_eq!(events_of(&browser.get(CIAM).await), place, "a second look is at the same count");
    let mut other = browser.clone();
    other.cookies = harness.sign_in("second").await.cookies;
    assert_eq!(other.get(&place).await.status, StatusCode::NOT_FOUND, "it is another person's");
    held.rollback().await.unwrap();
    while let Some(event) = events.next().await {
        if event["final"] == true {
            assert!(events.next().await.is_none(), "nothing comes after the end");
            break;
        }
    }
    assert!(browser.get(CIAM).await.body.contains(RESULT));
    assert_eq!(preview_count(&harness.world).await, 1);
}

#[tokio::test]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn controls_work_during_a_preview_and_restart_it() {
    let harness = ConsoleHarness::on_postgres().await.unwrap();
    let mut browser = harness.sign_in("operator").await;
    let held = harness.world.lock_users().await;
    let page = browser.get(ROLLOUT).await;
    let place = events_of(&page);
    assert_eq!(page.link("Refresh"), ROLLOUT);
    let mut events = Events::open(&browser, &place).await;
    let set = browser.post("/billers/summit-telecom/rollout", &[("percent", "0"), ("active_from", "")]).await;
    assert_eq!(set.location(), "/billers/summit-telecom?done=rollout");
    let again = events_of(&browser.get(ROLLOUT).await);
    assert_ne!(again, place, "billers are others now");
    while let Some(event) = events.next().await {
        assert_eq!(event["final"], false, "the former count leads to nothing");
    }
    assert_eq!(browser.get(&place).await.status, StatusCode::NOT_FOUND);
    held.rollback().await.unwrap();
    let ended = browser.get(&again).await;
    assert!(ended.body.contains("\"final\":true"), "{}", ended.body);
    assert!(!browser.get(ROLLOUT).await.body.contains("<progress"));
}

#[tokio::test]
async fn results_are_cached_for_a_minute_until_billers_change() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.sign_in("operator").await;
        for _ in 0..2 {
            let page = browser.get(CIAM).await;
            assert!(page.body.contains(RESULT) && !page.body.contains("Refresh"), "{}", page.body);
            assert_eq!(preview_count(&harness.world).await, 1, "counted once, noted once");
        }
        browser.get(ROLLOUT).await;
        assert_eq!(preview_count(&harness.world).await, 2, "another question");
        harness.world.import_users("oakdale-city", &["late"]).await;
        harness.world.advance(Duration::from_secs(59)).await;
        assert!(browser.get(CIAM).await.body.contains(RESULT), "not yet");
        harness.world.advance(Duration::from_secs(1)).await;
        assert!(browser.get(CIAM).await.body.contains("Of 4 usernames"), "a minute later");
        assert_eq!(preview_count(&harness.world).await, 3);
        browser.post("/billers/oakdale-city/pause", &[("pause", "yes")]).await;
        let held = browser.get(CIAM).await;
        assert!(held.body.contains("Of 4 usernames at this biller, 0 would have"), "it is held: {}", held.body);
        assert_eq!(preview_count(&harness.world).await, 4);
    }
}

#[tokio::test]
async fn failed_previews_are_reported_and_can_be_retried() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.sign_in("operator").await;
        let db = &harness.world.state.db;
        db.run(sql!("ALTER TABLE membership RENAME TO away"), vec![]).await.unwrap();
        let failed = browser.get(CIAM).await;
        assert_eq!(failed.status, StatusCode::OK);
        assert!(failed.body.contains("Preview failed: the database is unavailable."), "{}", failed.body);
        assert!(failed.body.contains("<button>Enable CIAM</button>") && failed.link("Refresh") == CIAM);
        db.run(sql!("ALTER TABLE away RENAME TO membership"), vec![]).await.unwrap();
        harness.world.advance(Duration::from_secs(5)).await;
        assert!(browser.get(CIAM).await.body.contains(RESULT));
        assert_eq!(preview_count(&harness.world).await, 2, "each attempt");
    }
}
