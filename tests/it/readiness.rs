//! The readiness card, and how activation holds itself by it.

use std::time::Duration;

use http::StatusCode;
use secureauth_standin::Condition;
use serde_json::{Value, json};
use signpost::access::Scope;
use signpost::enablement::{JobState, Level, Order};

use crate::billers_api::Machine;
use crate::harness::{World, each_database, slug};

/// A biller's card: the level of each thing, and the advice.
async fn card(world: &World, biller: &str) -> Vec<(String, Level, String)> {
    let biller = world.state.directory.named(&slug(biller)).await.unwrap().unwrap();
    let card = world.state.enablement.readiness(&biller).await.unwrap();
    assert_eq!(Some(card.level), card.lines.iter().map(|line| line.level).max());
    card.lines.into_iter().map(|line| (line.name.to_owned(), line.level, line.advice)).collect()
}

fn level(card: &[(String, Level, String)], name: &str) -> Option<Level> {
    card.iter().find(|line| line.0 == name).map(|line| line.1)
}

#[tokio::test]
async fn each_line_says_how_a_thing_stands() {
    let world = World::start().await;
    let well = card(&world, "maple-electric").await;
    assert!(well.iter().all(|line| line.1 == Level::Green), "{well:?}");
    let names: Vec<_> = well.iter().map(|line| line.0.as_str()).collect();
    assert_eq!(names, ["issuer", "keys", "redirect_uri", "users", "users_without_mail", "contrast", "vanity_host"]);

    assert_eq!(level(&card(&world, "cedar-county").await, "issuer"), Some(Level::Red), "its issuer is down");
    assert_eq!(level(&card(&world, "oakdale-city").await, "issuer"), Some(Level::Amber), "it has none yet");
    let host = card(&world, "riverside-water").await;
    assert_eq!(level(&host, "vanity_host"), Some(Level::Amber), "no such name: {host:?}");
    let advice = &host.iter().find(|line| line.0 == "vanity_host").unwrap().2;
    assert!(advice.contains("point it at this service") && advice.contains("/b/riverside-water"), "{advice}");

    // A client that the issuer does not know, with our redirect URI.
    let oidc =
        format!("issuer = \"{}\"\nclient_id = \"nobody\"\nclient_secret = \"x\"", world.issuer("maple-electric"));
    world.import_billers(&format!("[[billers]]\nslug = \"maple-electric\"\n[billers.oidc]\n{oidc}\n")).await;
    let refused = card(&world, "maple-electric").await;
    assert_eq!((level(&refused, "keys"), level(&refused, "redirect_uri")), (Some(Level::Green), Some(Level::Red)));
    let advice = &refused.iter().find(|line| line.0 == "redirect_uri").unwrap().2;
    assert!(advice.contains("http://localhost:8080/callback/maple-electric"), "what to register: {advice}");
}

#[tokio::test]
async fn users_are_compared_and_those_without_mail_counted() {
    each_database(|world| async move {
        world.import_csv("pinehill-gas", "username,email\nann,\nbob,bob@mail.example\n").await.unwrap();
        let job = world.state.enablement.start(&slug("pinehill-gas"), Order::default(), &world.by()).await.unwrap();
        world.state.enablement.work().await.unwrap();
        assert_eq!(world.state.enablement.job(&job.id).await.unwrap().unwrap().state, JobState::Active);
        let before = card(&world, "pinehill-gas").await;
        assert_eq!(
            (level(&before, "users"), level(&before, "users_without_mail")),
            (Some(Level::Green), Some(Level::Amber))
        );
        assert!(before.iter().any(|line| line.2.starts_with("1 user(s) have no mail address")), "{before:?}");
        world.import_users("pinehill-gas", &["one-more"]).await;
        assert_eq!(level(&card(&world, "pinehill-gas").await, "users"), Some(Level::Red));
    })
    .await;
}

/// The organization exists before the biller is enabled, and its sign-in does not answer.
async fn sign_in_is_down(world: &World) {
    world.management().create_organization("pinehill-gas", "Pinehill Gas", "not ours").await.unwrap();
    world.issuers.set_condition("pinehill-gas", Condition::Down);
}

#[tokio::test]
async fn activation_holds_itself_while_a_line_is_red() {
    each_database(|world| async move {
        let crm = Machine::new(&world, &[Scope::BillersRead, Scope::BillersWrite, Scope::CiamWrite], None).await;
        let place = "/api/v1/billers/pinehill-gas";
        sign_in_is_down(&world).await;
        let (_, job) = crm.send("PUT", &format!("{place}/ciam"), &json!({ "active": true })).await;
        let path = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
        world.state.enablement.work().await.unwrap();
        let (_, held) = crm.get(&path).await;
        assert_eq!((&held["state"], &held["done"]), (&json!("running"), &held["total"]));
        let why = held["message"].as_str().unwrap();
        assert!(why.starts_with("Not activated yet. ") && why.contains("pinehill-gas cannot be used"), "{why}");
        assert_eq!(crm.get(place).await.1["ciam"]["status"], "enabling", "nobody is sent there yet");

        world.issuers.set_condition("pinehill-gas", Condition::Up);
        world.advance(Duration::from_secs(3)).await;
        world.state.enablement.work().await.unwrap();
        let (_, done) = crm.get(&path).await;
        assert_eq!(done["state"], "active", "{done}");
        let (_, card) = crm.get(&format!("{place}/readiness")).await;
        assert_eq!(card["level"], "green", "{card}");

        let switched = crm.send("PUT", &format!("{place}/ciam"), &json!({ "active": false })).await;
        assert_eq!(switched.0, StatusCode::OK);
        let (_, card) = crm.get(&format!("{place}/readiness")).await;
        assert_eq!(card["level"], "amber", "what is switched off is no fault: {card}");
        assert!(card.to_string().contains("signpost resume pinehill-gas"), "{card}");
    })
    .await;
}

#[tokio::test]
async fn a_host_that_is_not_in_the_dns_yet_holds_nothing() {
    let world = World::start().await;
    world.import_billers("[[billers]]\nslug = \"pinehill-gas\"\nhosts = [\"pay.pinehill.invalid\"]\n").await;
    let job = world.state.enablement.start(&slug("pinehill-gas"), Order::default(), &world.by()).await.unwrap();
    world.state.enablement.work().await.unwrap();
    assert_eq!(world.state.enablement.job(&job.id).await.unwrap().unwrap().state, JobState::Active);
    let host = card(&world, "pinehill-gas").await;
    assert_eq!(level(&host, "vanity_host"), Some(Level::Amber), "{host:?}");
}

#[tokio::test]
async fn a_held_job_can_be_turned_back() {
    let world = World::start().await;
    sign_in_is_down(&world).await;
    let before = world.issuers.snapshot();
    let job = world.state.enablement.start(&slug("pinehill-gas"), Order::default(), &world.by()).await.unwrap();
    world.state.enablement.work().await.unwrap();
    assert_eq!(world.state.enablement.job(&job.id).await.unwrap().unwrap().state, JobState::Running);
    world.state.enablement.turn_back(&slug("pinehill-gas"), &world.by()).await.unwrap();
    world.advance(Duration::from_secs(3)).await;
    world.state.enablement.work().await.unwrap();
    assert_eq!(world.state.enablement.job(&job.id).await.unwrap().unwrap().state, JobState::RolledBack);
    assert_eq!(world.issuers.snapshot(), before);
}

#[tokio::test]
async fn a_key_sees_the_cards_of_its_billers_only() {
    let world = World::start().await;
    let one = Machine::new(&world, &[Scope::BillersRead], Some(&["maple-electric"])).await;
    let (status, card) = one.get("/api/v1/billers/maple-electric/readiness").await;
    assert_eq!((status, &card["biller"]), (StatusCode::OK, &Value::from("maple-electric")));
    assert_eq!(one.get("/api/v1/billers/clinic/readiness").await.0, StatusCode::NOT_FOUND);
}
