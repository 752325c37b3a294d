//! What a change would do: the same as asking for each username before and after it.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::json;
use signpost::access::Scope;
use signpost::directory::import_billers;
use signpost::routing::{Impact, ProposedChange, SimulationRequest};
use signpost::sql;
use signpost_core::Rollout;
use signpost_core::decision::{CiamState, Decision};

use crate::billers_api::ApiClient;
use crate::harness::{World, each_database, slug};

const BILLERS: [&str; 6] =
    ["riverside-water", "maple-electric", "clinic", "oakdale-city", "pinehill-gas", "summit-telecom"];

/// A directory in which names belong to billers in every combination, some of them of deleted users or without legacy account.
async fn fill(world: &World) -> Vec<String> {
    let mut rows: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut names = Vec::new();
    for n in 0..130_usize {
        let name = format!("person{n:03}");
        for (place, biller) in BILLERS.iter().enumerate() {
            if (n >> place) & 1 == 1 {
                let status = if (n + place) % 17 == 0 { "deleted" } else { "active" };
                rows.entry(biller).or_default().push(format!("{name},{name}@mail.example,{status}"));
            }
        }
        names.push(name);
    }
    for (biller, rows) in rows {
        world.import_csv(biller, &format!("username,email,status\n{}\n", rows.join("\n"))).await.unwrap();
    }
    let fewer =
        sql!("UPDATE membership SET legacy_account = 0 WHERE username_key LIKE 'person%' AND username_key LIKE '%7'");
    world.state.db.run(fewer, vec![]).await.unwrap();
    names
}

type Counts = BTreeMap<((u8, Decision), (u8, Decision)), u64>;

fn counts(impact: &Impact) -> Counts {
    let place = |place: signpost::routing::Outcome| (place.row, place.decision);
    impact.transitions.iter().map(|one| ((place(one.from), place(one.to)), one.usernames)).collect()
}

/// The same by asking for each.
async fn simulate_each(world: &World, names: &[String], change: impl Fn(&mut SimulationRequest)) -> Counts {
    let mut counts = Counts::new();
    for name in names {
        let mut question = SimulationRequest { username: Some(name.clone()), ..SimulationRequest::default() };
        let before = world.state.routing.simulate(&question, None).await.unwrap().routing_result.verdict;
        change(&mut question);
        let after = world.state.routing.simulate(&question, None).await.unwrap().routing_result.verdict;
        let (from, to) = ((before.row, before.decision), (after.row, after.decision));
        if from != to {
            *counts.entry((from, to)).or_default() += 1;
        }
    }
    counts
}

#[tokio::test]
async fn impact_matches_simulating_every_user() {
    each_database(|world| async move {
        let names = fill(&world).await;
        let billers = world.state.directory.billers().await.unwrap();
        let impact = async |biller: &str, change: ProposedChange| {
            let after = change.apply_to(billers.by_slug(&slug(biller)).unwrap()).unwrap();
            let seen = std::sync::Mutex::new((0, 0));
            let on_progress = |progress: signpost::routing::Progress| *seen.lock().unwrap() = (progress.done, progress.total);
            let impact = world.state.routing.impact(&[after], &on_progress).await.unwrap();
            let (done, total) = seen.into_inner().unwrap();
            assert_eq!(done, total, "the end was told");
            impact
        };
        for biller in BILLERS {
            for state in [CiamState::Legacy, CiamState::Active, CiamState::Suspended] {
                let found = impact(biller, ProposedChange { state: Some(state), rollout: None }).await;
                let mut names = names.clone();
                names.extend(["one-moved", "moved-and-legacy", "two-moved", "Maple.User", "patient", "one-legacy", "two-legacy", "switched-off"].map(str::to_owned));
                let asked = simulate_each(&world, &names, |question| {
                    question.billers.insert(slug(biller), state);
                }).await;
                assert_eq!(counts(&found), asked, "{biller} {state:?}");
                assert_eq!(found.changed, asked.values().sum::<u64>());
            }
        }
        for wish in [
            Rollout { allow: None, percent: Some(30) },
            Rollout { allow: Some(vec!["PERSON001".into(), "person065".into()]), percent: None },
        ] {
            let change = ProposedChange { state: None, rollout: Some(wish.clone()) };
            let found = impact("riverside-water", change).await;
            let mut names = names.clone();
            names.extend(["one-moved", "moved-and-legacy", "two-moved"].map(str::to_owned));
            let asked = simulate_each(&world, &names, |question| {
                question.rollouts.insert(slug("riverside-water"), wish.clone());
            })
            .await;
            assert_eq!(counts(&found), asked, "{wish:?}");
            assert!(found.changed > 0);
        }
        // A file that changes several billers at once counts nobody twice.
        let file = "[[billers]]\nslug = \"riverside-water\"\nstate = \"suspended\"\n\
             [[billers]]\nslug = \"maple-electric\"\nstate = \"suspended\"\n[[billers]]\nslug = \"new-one\"\nname = \"N\"\n";
        let context = import_billers::ImportContext {
            keys: world.state.keys.clone(),
            actor: world.actor(),
            addresses: signpost::config::AddressPolicy::loopback(true),
            own_hosts: vec!["localhost:8080".to_owned()],
        };
        let rows = import_billers::parse(file, false).unwrap();
        let after = world.state.directory.preview_billers(rows, &context).await.unwrap();
        let found = world.state.routing.impact(&after, &|_| {}).await.unwrap();
        let mut names = names.clone();
        names.extend(["one-moved", "moved-and-legacy", "two-moved", "Maple.User"].map(str::to_owned));
        let asked = simulate_each(&world, &names, |question| {
            question.billers.insert(slug("riverside-water"), CiamState::Suspended);
            question.billers.insert(slug("maple-electric"), CiamState::Suspended);
        })
        .await;
        assert_eq!(counts(&found), asked);
        assert!(found.no_destination > 0 && found.ambiguous > 0);
        assert!(found.transitions.iter().all(|one| (1..=5).contains(&one.samples.len())));
        assert!(!serde_json::to_string(&found).unwrap().contains("person"), "samples are masked");
    })
    .await;
}

#[tokio::test]
async fn impact_is_available_in_the_api_and_the_cli() {
    let world = World::start().await;
    let machine = ApiClient::new(&world, &[Scope::Simulate], None).await;
    let ask = async |body| machine.send("POST", "/api/v1/impact", &body).await;
    let (status, impact) = ask(json!({ "biller": "riverside-water", "state": "suspended" })).await;
    assert_eq!(status, StatusCode::OK, "{impact}");
    assert_eq!((&impact["usernames"], &impact["changed"]), (&json!(3), &json!(3)));
    let ambiguous = impact["transitions"].as_array().unwrap().iter().find(|one| one["to"]["row"] == 6).unwrap();
    assert_eq!(
        (&ambiguous["from"]["row"], &ambiguous["usernames"], &ambiguous["samples"]),
        (&json!(4), &json!(1), &json!(["m***y"]))
    );
    assert_eq!(impact["ambiguous"], 1);
    assert_eq!(ask(json!({ "biller": "nobody-here", "state": "active" })).await.0, StatusCode::NOT_FOUND);
    assert_eq!(
        ask(json!({ "biller": "riverside-water", "rollout": { "percent": 101 } })).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(ask(json!({ "biller": "riverside-water", "sttae": "active" })).await.0, StatusCode::BAD_REQUEST);
    let narrow = ApiClient::new(&world, &[Scope::Simulate], Some(&["riverside-water"])).await;
    let refused =
        narrow.send("POST", "/api/v1/impact", &json!({ "biller": "riverside-water", "state": "active" })).await;
    assert_eq!(refused.0, StatusCode::FORBIDDEN);

    let (status, out, error) = world.command(&["impact", "suspend", "riverside-water", "--format", "json"]).await;
    assert_eq!(status, 0, "{error}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), impact);
    let (_, out, _) = world.command(&["impact", "enable", "oakdale-city"]).await;
    assert!(out.contains("3 of 3 usernames would get another destination"), "{out}");
    let (_, out, _) = world.command(&["impact", "rollout", "riverside-water=0"]).await;
    assert!(out.contains("row 2, SecureAuth, via the bookmark notice → row 3, the legacy login"), "{out}");
}

#[tokio::test]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn impact_requests_have_a_longer_timeout() {
    let world = World::on_postgres("").await.unwrap();
    let machine = ApiClient::new(&world, &[Scope::Simulate, Scope::IdentityRead], None).await;
    let held = world.lock_users().await;
    let change = json!({ "biller": "summit-telecom", "state": "active" });
    let mut counting = Box::pin(machine.send("POST", "/api/v1/impact", &change));
    let refused = tokio::select! {
        (status, answer) = &mut counting => panic!("{status} {answer}"),
        refused = machine.get("/identity/v1/users") => refused,
    };
    assert_eq!(refused.0, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.1);
    held.rollback().await.unwrap();
    let (status, impact) = counting.await;
    assert_eq!((status, &impact["usernames"]), (StatusCode::OK, &json!(1)), "{impact}");
}
