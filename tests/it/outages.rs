//! Outages: announced and not, who asks a failing issuer, and people who do not come back.

use std::time::Duration;

use secureauth_standin::IssuerState;
use signpost::audit::Action;
use signpost::directory::{Biller, FAILURES_TO_OPEN, IssuerEndpoint, Maintenance};
use signpost::web::registrations;
use signpost_core::Timestamp;

use crate::harness::{World, each_database, now, slug};

async fn biller(world: &World, name: &str) -> std::sync::Arc<Biller> {
    world.state.directory.biller_by_slug(&slug(name)).await.unwrap().unwrap()
}

#[tokio::test]
async fn maintenance_page_shows_the_end_time() {
    each_database(|world| async move {
        let from = Timestamp::parse_rfc3339("2026-11-22T09:00:00Z").unwrap();
        let until = Timestamp::parse_rfc3339("2026-11-22T11:30:00Z").unwrap();
        let window = Maintenance { from, until, utc_offset_minutes: -300 };
        let change = |biller: &mut Biller| biller.maintenance = Some(window);
        world
            .state
            .directory
            .update_biller(&slug("riverside-water"), (&world.actor(), Action::MaintenanceUpdated), change)
            .await
            .unwrap();
        let mut browser = world.browser();
        assert_eq!(browser.get("/b/riverside-water").await.status, 303, "not yet");
        world.advance(Duration::from_secs(3600)).await;
        for answer in
            [browser.get("/b/riverside-water").await, browser.post("/login", &[("username", "one-moved")]).await]
        {
            assert_eq!(answer.status, 503);
            assert!(answer.body.contains("Sunday, November 22, 2026, 6:30 am (UTC−5)"), "{}", answer.body);
            assert!(answer.body.contains("+1 555 010 0101"), "the biller's support");
            assert_eq!(answer.header("retry-after"), "9000");
            match world.decision(&answer.reference()).await {
                signpost::audit::LookupResult::Recorded(entry) => {
                    assert_eq!(entry.details["verdict"]["rule"], "planned_maintenance");
                    assert_eq!(entry.kind, "row 8");
                }
                other => panic!("{other:?}"),
            }
        }
        browser.accept_language = "es";
        let spanish = browser.get("/b/riverside-water").await;
        let announcement = "a partir del domingo 22 de noviembre de 2026 a las 6:30 a.\u{a0}m. (UTC−5).";
        assert!(spanish.body.contains(announcement), "{}", spanish.body);
        assert_eq!(browser.post("/login", &[("username", "one-legacy")]).await.status, 303, "others are not concerned");
        world.advance(Duration::from_secs(9000)).await;
        assert_eq!(browser.get("/b/riverside-water").await.status, 303, "over");
    })
    .await;
}

#[tokio::test]
async fn one_instance_probes_a_failing_issuer() {
    each_database(|world| async move {
        let cedar = biller(&world, "cedar-county").await;
        let directory = &world.state.directory;
        let until = now().plus(Duration::from_secs(15));
        assert!(!directory.claim_probe(&cedar, now(), until).await.unwrap(), "nothing is against it");
        directory.record_issuer_failure(&cedar, IssuerEndpoint::Metadata, "timeout", now()).await.unwrap();
        let claims = futures_util::future::join_all((0..8).map(|_| directory.claim_probe(&cedar, now(), until))).await;
        assert_eq!(claims.into_iter().filter(|claimed| *claimed.as_ref().unwrap()).count(), 1);
        assert!(directory.claim_probe(&cedar, until, until.plus(Duration::from_secs(15))).await.unwrap(), "then anew");
    })
    .await;
}

#[tokio::test]
async fn probe_closes_the_circuit_of_a_recovered_issuer() {
    each_database(|world| async move {
        world.state.directory.billers().await.unwrap();
        registrations::probe_all(&world.state).await;
        assert!(biller(&world, "cedar-county").await.health.is_down);
        assert!(!biller(&world, "riverside-water").await.health.is_down);
        world.issuers.set_issuer_state("cedar-county", IssuerState::Up);
        registrations::probe_failing(&world.state).await;
        assert!(!biller(&world, "cedar-county").await.health.is_down);
    })
    .await;
}

#[tokio::test]
async fn half_open_token_endpoint_reopens_after_one_failure() {
    each_database(|world| async move {
        let directory = &world.state.directory;
        let at = |seconds| now().plus(Duration::from_secs(seconds));
        let river = biller(&world, "riverside-water").await;
        for _ in 0..FAILURES_TO_OPEN {
            directory.record_issuer_failure(&river, IssuerEndpoint::Token, "server_error", now()).await.unwrap();
        }
        let is_down = async || biller(&world, "riverside-water").await.health.is_down;
        assert!(is_down().await);
        directory.record_issuer_success(&river, IssuerEndpoint::Metadata, at(30)).await.unwrap();
        assert!(is_down().await, "documents say nothing of the token endpoint");
        directory.record_issuer_success(&river, IssuerEndpoint::Metadata, at(61)).await.unwrap();
        assert!(!is_down().await, "half open: people may try");
        directory.record_issuer_failure(&river, IssuerEndpoint::Token, "server_error", at(62)).await.unwrap();
        assert!(is_down().await, "one more failure is enough");
        directory.record_issuer_success(&river, IssuerEndpoint::Metadata, at(130)).await.unwrap();
        directory.record_issuer_success(&river, IssuerEndpoint::Token, at(131)).await.unwrap();
        assert_eq!(biller(&world, "riverside-water").await.health.failures, 0, "a sign-in clears it");
    })
    .await;
}

#[tokio::test]
async fn low_return_rate_raises_an_alarm_without_rerouting() {
    let world = World::start().await;
    for _ in 0..25 {
        assert_eq!(world.browser().get("/b/riverside-water").await.status, 303);
    }
    world.sign_in(&mut world.browser(), "maple-electric", "two-moved").await;
    let counts = world.state.returns.report();
    let river = counts[&slug("riverside-water")];
    assert_eq!((river.started, river.returned, river.is_alarming()), (25, 0, true));
    let maple = counts[&slug("maple-electric")];
    assert_eq!((maple.started, maple.returned, maple.is_alarming()), (1, 1, false));
    assert!(world.state.returns.report().is_empty(), "counted anew");
    assert_eq!(world.browser().get("/b/riverside-water").await.status, 303, "and everybody goes where they went");
}
