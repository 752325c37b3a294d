//! How billers, jobs and queues do, and how each biller's move goes.

use axum::extract::FromRef;
use http::StatusCode;
use serde_json::json;
use signpost::access::Scope;
use signpost::audit::Action;
use signpost::directory::{Biller, DirectoryError, FAILURES_TO_OPEN, IssuerEndpoint};
use signpost::state::{HealthReporter, ServiceHealth};

use crate::billers_api::ApiClient;
use crate::harness::{World, each_database, now, slug};

const HEALTH: &str = "/api/v1/health";

async fn report(world: &World) -> Result<ServiceHealth, DirectoryError> {
    HealthReporter::from_ref(&world.state).report(None).await
}

#[tokio::test]
async fn migration_statistics_are_reported_per_biller() {
    each_database(|world| async move {
        let active = |biller: &mut Biller| biller.active_from = Some(now());
        let actor = world.actor();
        world
            .state
            .directory
            .update_biller(&slug("riverside-water"), (&actor, Action::RolloutUpdated), active)
            .await
            .unwrap();
        // By the shared address: notice, then the biller's sign-in.
        let mut browser = world.browser();
        let notice = browser.post("/login", &[("username", "one-moved")]).await;
        let start = browser.get(&notice.link("Continue to ")).await;
        let callback = world.authenticate(&start.location(), "one-moved").await;
        assert_eq!(browser.get(&callback).await.status, StatusCode::SEE_OTHER);
        // By the biller's own address, three times; one of them is nobody's there.
        for name in ["one-moved", "two-moved"] {
            world.sign_in(&mut world.browser(), "riverside-water", name).await;
        }
        let mut browser = world.browser();
        let start = browser.get("/b/riverside-water").await;
        let callback = world.authenticate(&start.location(), "stranger").await;
        assert!(browser.get(&callback).await.status.is_client_error());
        // A new password, by the worker.
        world.import_billers("[[billers]]\nslug = \"maple-electric\"\nactive_from = \"2026-11-20T00:00:00Z\"\n").await;
        world.state.decisions.flush().await;

        let auditor = ApiClient::new(&world, &[Scope::AuditRead], None).await;
        let (status, health) = auditor.get(HEALTH).await;
        assert_eq!(status, StatusCode::OK, "{health}");
        let of = |name: &str| health["billers"].as_array().unwrap().iter().find(|one| one["slug"] == name).unwrap();
        let score = &of("riverside-water")["migration_stats"];
        assert_eq!(
            (&score["sign_ins"], &score["via_legacy_addresses"], &score["legacy_share"]),
            (&json!(4), &json!(1), &json!(0.25))
        );
        assert_eq!((&score["first_sign_ins"], &score["failed"]), (&json!(2), &json!(1)));
        assert!((score["first_sign_in_success_rate"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!(score["days"][0]["day"], "2026-11-22");
        assert_eq!(
            (&score["password_resets_in_first_week"], &of("oakdale-city")["migration_stats"]["legacy_share"]),
            (&json!(0), &json!(null))
        );
        let calls = &of("riverside-water")["calls"];
        assert!(calls["calls"].as_u64().unwrap() >= 4 && calls["failed"] == 0, "{calls}");
        assert_eq!(of("riverside-water")["returns"], json!({ "started": 4, "returned": 4, "alarm": false }));
    })
    .await;
}

#[tokio::test]
async fn circuit_breakers_queues_and_directory_integrity_are_reported() {
    each_database(|world| async move {
        let cedar = world.state.directory.biller_by_slug(&slug("cedar-county")).await.unwrap().unwrap();
        for _ in 0..FAILURES_TO_OPEN {
            world
                .state
                .directory
                .record_issuer_failure(&cedar, IssuerEndpoint::Metadata, "timeout", now())
                .await
                .unwrap();
        }
        let health = report(&world).await.unwrap();
        let issuer =
            |of: &str| health.billers.iter().find(|one| one.slug == slug(of)).and_then(|one| one.issuer.as_ref());
        let cedar = issuer("cedar-county").unwrap();
        assert_eq!((cedar.open, cedar.reason.as_str(), cedar.since), (true, "timeout", Some(now())));
        assert!(issuer("oakdale-city").is_none(), "a biller without an issuer has none that could be up");
        assert_eq!(health.jobs["queued"], 0);
        let integrity = health.integrity.unwrap();
        assert_eq!((integrity.usernames, integrity.samples), (1, vec!["t***y".to_owned()]));
        // Somebody whose biller is suspended besides a legacy one breaks it as well; it is looked at once a minute.
        world.import_users("summit-telecom", &["one-legacy"]).await;
        assert_eq!(report(&world).await.unwrap().integrity.unwrap().usernames, 1);
        world.clock.advance(std::time::Duration::from_secs(61));
        assert_eq!(report(&world).await.unwrap().integrity.unwrap().usernames, 2);

        world.browser().post("/reset", &[("username", "one-moved")]).await;
        assert_eq!(report(&world).await.unwrap().queued_tasks.pending, 1);

        let narrow = ApiClient::new(&world, &[Scope::AuditRead], Some(&["oakdale-city"])).await;
        let (_, seen) = narrow.get(HEALTH).await;
        assert_eq!(seen["billers"].as_array().unwrap().len(), 1);
        assert_eq!(
            (&seen["integrity"], &seen["jobs"], &seen["queued_tasks"]["pending"]),
            (&json!(null), &json!({}), &json!(0))
        );
        let other = ApiClient::new(&world, &[Scope::BillersRead], None).await;
        assert_eq!(other.get(HEALTH).await.0, StatusCode::FORBIDDEN);
    })
    .await;
}
