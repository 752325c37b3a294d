//! The readiness card, and how activation holds itself by it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::StatusCode;
use secureauth_standin::IssuerState;
use serde_json::{Value, json};
use signpost::access::Scope;
use signpost::provisioning::{CheckStatus, EnablementOptions, JobState};

use crate::billers_api::ApiClient;
use crate::harness::{World, each_database, now, slug};
use crate::hostile_provider::{Provider, ProviderResponse, respond_with, try_sign_in, world_with};

/// A biller's card: the level of each thing, and the advice.
async fn card(world: &World, biller: &str) -> Vec<(String, CheckStatus, String)> {
    let biller = world.state.directory.biller_by_slug(&slug(biller)).await.unwrap().unwrap();
    let card = world.state.provisioning.readiness(&biller).await.unwrap();
    assert_eq!(Some(card.status), card.checks.iter().map(|check| check.status).max());
    card.checks.into_iter().map(|check| (check.name.to_owned(), check.status, check.advice)).collect()
}

fn status(card: &[(String, CheckStatus, String)], name: &str) -> Option<CheckStatus> {
    card.iter().find(|line| line.0 == name).map(|line| line.1)
}

#[tokio::test]
async fn checks_report_status_and_advice() {
    let world = World::start().await;
    let well = card(&world, "maple-electric").await;
    assert!(well.iter().all(|line| line.1 == CheckStatus::Pass), "{well:?}");
    let names: Vec<_> = well.iter().map(|line| line.0.as_str()).collect();
    assert_eq!(
        names,
        [
            "issuer",
            "keys",
            "redirect_uri",
            "credentials",
            "claim",
            "clock",
            "users",
            "users_without_email",
            "contrast",
            "vanity_host"
        ]
    );

    assert_eq!(status(&card(&world, "cedar-county").await, "issuer"), Some(CheckStatus::Fail), "its issuer is down");
    assert_eq!(status(&card(&world, "oakdale-city").await, "issuer"), Some(CheckStatus::Warning), "it has none yet");
    let host = card(&world, "riverside-water").await;
    assert_eq!(status(&host, "vanity_host"), Some(CheckStatus::Warning), "no such name: {host:?}");
    let advice = &host.iter().find(|line| line.0 == "vanity_host").unwrap().2;
    assert!(advice.contains("point it at this service") && advice.contains("/b/riverside-water"), "{advice}");

    // A client that the issuer does not know, with our redirect URI.
    let oidc =
        format!("issuer = \"{}\"\nclient_id = \"nobody\"\nclient_secret = \"x\"", world.issuer("maple-electric"));
    world.import_billers(&format!("[[billers]]\nslug = \"maple-electric\"\n[billers.oidc]\n{oidc}\n")).await;
    let refused = card(&world, "maple-electric").await;
    assert_eq!(
        (status(&refused, "keys"), status(&refused, "redirect_uri")),
        (Some(CheckStatus::Pass), Some(CheckStatus::Fail))
    );
    let advice = &refused.iter().find(|line| line.0 == "redirect_uri").unwrap().2;
    assert!(advice.contains("http://localhost:8080/callback/maple-electric"), "what to register: {advice}");
}

#[tokio::test]
async fn user_counts_and_missing_emails_are_checked() {
    each_database(|world| async move {
        world.import_csv("pinehill-gas", "username,email\nann,\nbob,bob@mail.example\n").await.unwrap();
        let job = world
            .state
            .provisioning
            .start(&slug("pinehill-gas"), EnablementOptions::default(), &world.actor())
            .await
            .unwrap();
        world.state.provisioning.run_next_job().await.unwrap();
        assert_eq!(world.state.provisioning.job(&job.id).await.unwrap().unwrap().state, JobState::Active);
        let before = card(&world, "pinehill-gas").await;
        assert_eq!(
            (status(&before, "users"), status(&before, "users_without_email")),
            (Some(CheckStatus::Pass), Some(CheckStatus::Warning))
        );
        assert!(before.iter().any(|line| line.2.starts_with("1 user(s) have no mail address")), "{before:?}");
        world.import_users("pinehill-gas", &["one-more"]).await;
        assert_eq!(status(&card(&world, "pinehill-gas").await, "users"), Some(CheckStatus::Fail));
    })
    .await;
}

/// The organization exists before the biller is enabled, and its sign-in does not answer.
async fn sign_in_is_down(world: &World) {
    world.management().create_organization("pinehill-gas", "Pinehill Gas", "not ours").await.unwrap();
    world.issuers.set_issuer_state("pinehill-gas", IssuerState::Down);
}

#[tokio::test]
async fn activation_waits_while_a_check_fails() {
    each_database(|world| async move {
        let crm = ApiClient::new(&world, &[Scope::BillersRead, Scope::BillersWrite, Scope::CiamWrite], None).await;
        let place = "/api/v1/billers/pinehill-gas";
        sign_in_is_down(&world).await;
        let (_, job) = crm.send("PUT", &format!("{place}/ciam"), &json!({ "active": true })).await;
        let path = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
        world.state.provisioning.run_next_job().await.unwrap();
        let (_, held) = crm.get(&path).await;
        assert_eq!((&held["state"], &held["done"]), (&json!("running"), &held["total"]));
        let why = held["message"].as_str().unwrap();
        assert!(why.starts_with("Not activated yet. ") && why.contains("pinehill-gas cannot be used"), "{why}");
        assert_eq!(crm.get(place).await.1["ciam"]["status"], "enabling", "nobody is sent there yet");

        world.issuers.set_issuer_state("pinehill-gas", IssuerState::Up);
        world.advance(Duration::from_secs(3)).await;
        world.state.provisioning.run_next_job().await.unwrap();
        let (_, done) = crm.get(&path).await;
        assert_eq!(done["state"], "active", "{done}");
        let (_, card) = crm.get(&format!("{place}/readiness")).await;
        assert_eq!(card["status"], "pass", "{card}");

        let switched = crm.send("PUT", &format!("{place}/ciam"), &json!({ "active": false })).await;
        assert_eq!(switched.0, StatusCode::OK);
        let (_, card) = crm.get(&format!("{place}/readiness")).await;
        assert_eq!(card["status"], "warning", "what is switched off is no fault: {card}");
        assert!(card.to_string().contains("signpost resume pinehill-gas"), "{card}");
    })
    .await;
}

#[tokio::test]
async fn a_missing_dns_record_does_not_block_activation() {
    let world = World::start().await;
    world.import_billers("[[billers]]\nslug = \"pinehill-gas\"\nhosts = [\"pay.pinehill.invalid\"]\n").await;
    let job = world
        .state
        .provisioning
        .start(&slug("pinehill-gas"), EnablementOptions::default(), &world.actor())
        .await
        .unwrap();
    world.state.provisioning.run_next_job().await.unwrap();
    assert_eq!(world.state.provisioning.job(&job.id).await.unwrap().unwrap().state, JobState::Active);
    let host = card(&world, "pinehill-gas").await;
    assert_eq!(status(&host, "vanity_host"), Some(CheckStatus::Warning), "{host:?}");
}

#[tokio::test]
async fn a_waiting_job_can_be_cancelled() {
    let world = World::start().await;
    sign_in_is_down(&world).await;
    let before = world.issuers.snapshot();
    let job = world
        .state
        .provisioning
        .start(&slug("pinehill-gas"), EnablementOptions::default(), &world.actor())
        .await
        .unwrap();
    world.state.provisioning.run_next_job().await.unwrap();
    assert_eq!(world.state.provisioning.job(&job.id).await.unwrap().unwrap().state, JobState::Running);
    world.state.provisioning.cancel(&slug("pinehill-gas"), &world.actor()).await.unwrap();
    world.advance(Duration::from_secs(3)).await;
    world.state.provisioning.run_next_job().await.unwrap();
    assert_eq!(world.state.provisioning.job(&job.id).await.unwrap().unwrap().state, JobState::RolledBack);
    assert_eq!(world.issuers.snapshot(), before);
}

#[tokio::test]
async fn api_keys_read_readiness_of_their_own_billers_only() {
    let world = World::start().await;
    let one = ApiClient::new(&world, &[Scope::BillersRead], Some(&["maple-electric"])).await;
    let (status, card) = one.get("/api/v1/billers/maple-electric/readiness").await;
    assert_eq!((status, &card["biller"]), (StatusCode::OK, &Value::from("maple-electric")));
    assert_eq!(one.get("/api/v1/billers/clinic/readiness").await.0, StatusCode::NOT_FOUND);
}

/// What the readiness check says is what a sign-in meets, and names both values.
#[tokio::test]
async fn readiness_and_sign_ins_agree() {
    type Fault = fn(&Provider);
    const REFUSED: Fault = |provider| {
        *provider.change.lock().unwrap() = Some(Arc::new(respond_with(json!([{ "error": "invalid_client" }, 401]))));
    };
    let faults: [(&str, &str, Fault, &str, &[&str]); 7] = [
        ("nothing", "", |_| {}, "", &[]),
        ("secret", "", REFUSED, "credentials", &["client c", "secret"]),
        (
            "algorithm of the keys",
            "id_token_algs = [\"ES256\"]",
            |provider| {
                provider.discovery.lock().unwrap()["id_token_signing_alg_values_supported"] = json!(["RS256", "ES256"])
            },
            "keys",
            &["RS256", "ES256", "id_token_algs"],
        ),
        (
            "issuer",
            "",
            |provider| provider.discovery.lock().unwrap()["issuer"] = json!("https://other.example"),
            "issuer",
            &["https://other.example", "http://127.0.0.1:"],
        ),
        (
            "endpoint",
            "",
            |provider| provider.discovery.lock().unwrap()["token_endpoint"] = json!("https://other.example/token"),
            "issuer",
            &["discovery_endpoint_not_allowed", "extra_hosts"],
        ),
        ("keys", "", |provider| *provider.keys.lock().unwrap() = json!({ "keys": [{ "kty": "oct" }] }), "keys", &[]),
        ("documents", "", |provider| *provider.broken.lock().unwrap() = Some((500, "")), "issuer", &["server_error"]),
    ];
    for (what, settings, fault, failing, values) in faults {
        let (world, provider) = world_with(&format!("client_secret = \"s\"\n{settings}")).await;
        fault(&provider);
        let biller = world.state.directory.biller_by_slug(&slug("hostile")).await.unwrap().unwrap();
        let found = world.state.provisioning.provider_findings(&biller).await;
        let failed: Vec<_> = found.iter().filter(|finding| finding.status == CheckStatus::Fail).collect();
        let names: Vec<&str> = failed.iter().map(|finding| finding.name).collect();
        assert_eq!(names, if failing.is_empty() { vec![] } else { vec![failing] }, "{what}: {found:?}");
        for value in values {
            assert!(failed[0].advice.contains(value), "{what}: {}", failed[0].advice);
        }
        let (_, let_in, _) = try_sign_in(&world, &provider).await;
        assert_eq!(let_in, failed.is_empty(), "{what}");
    }
}

/// Clocks that differ are found before sign-ins fail.
#[tokio::test]
async fn clock_drift_is_a_warning_before_it_is_a_failure() {
    for (ahead, status, let_in, fault) in [
        (0, CheckStatus::Pass, true, None),
        (-90, CheckStatus::Warning, true, Some("clock_drift")),
        (-700, CheckStatus::Fail, false, Some("iat_too_old")),
        (90, CheckStatus::Fail, false, Some("iat_in_future")),
    ] {
        let (world, provider) = world_with("client_secret = \"s\"").await;
        // Ours differs by as much the other way.
        if ahead < 0 {
            world.advance(Duration::from_secs(u64::try_from(-ahead).unwrap())).await;
        }
        *provider.change.lock().unwrap() = Some(Arc::new(move |response: &mut ProviderResponse| {
            let seconds = now().seconds() + ahead.max(0);
            response.claims.insert("iat".into(), json!(seconds));
            response.claims.insert("exp".into(), json!(seconds + 3600));
        }));
        provider.ahead.store(ahead.max(0), Ordering::SeqCst);
        let find = async || world.state.directory.biller_by_slug(&slug("hostile")).await.unwrap().unwrap();
        let biller = find().await;
        let found = world.state.provisioning.provider_findings(&biller).await;
        let clock = found.iter().find(|finding| finding.name == "clock").unwrap();
        assert_eq!(clock.status, status, "{ahead}: {}", clock.advice);
        assert_eq!(try_sign_in(&world, &provider).await.1, let_in, "{ahead}");
        assert_eq!(find().await.health.fault.as_deref(), fault, "{ahead}");
        // A cache in between keeps the response, and its date.
        provider.age.store(86_400, Ordering::SeqCst);
        let found = world.state.provisioning.provider_findings(&biller).await;
        assert_eq!(found.iter().find(|finding| finding.name == "clock").unwrap().status, status, "{ahead}, cached");
    }
}
