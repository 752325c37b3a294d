//! Questions: answered by the decision that sign-ins stand on, without doing anything.

use http::StatusCode;
use serde_json::{Value, json};
use signpost::access::Scope;

use crate::billers_api::ApiClient;
use crate::harness::{World, each_database};

const SIMULATIONS: &str = "/api/v1/simulations";

async fn simulation_client(world: &World, billers: Option<&[&str]>) -> ApiClient {
    ApiClient::new(world, &[Scope::Simulate], billers).await
}

#[tokio::test]
async fn a_simulation_returns_the_decision_and_its_counterfactuals() {
    each_database(|world| async move {
        let client = simulation_client(&world, None).await;
        let ask = async |question: Value| client.send("POST", SIMULATIONS, &question).await;
        let (status, answer) = ask(json!({ "username": "One-Moved" })).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(
            (&answer["decision"], &answer["row"], &answer["biller"], &answer["rule"]),
            (&json!("bookmark_notice"), &json!(2), &json!("riverside-water"), &json!("single_migrated"))
        );
        assert_eq!(answer["trace"].as_array().unwrap().len(), signpost_core::decision::RULES.len());
        let says: Vec<&str> =
            answer["would_change"].as_array().unwrap().iter().map(|one| one["description"].as_str().unwrap()).collect();
        let suspended = "if riverside-water were suspended: the legacy login (riverside-water), row 3";
        assert!(says.contains(&suspended), "{says:?}");

        for (question, decision, row) in [
            (json!({ "username": "one-moved", "billers": { "riverside-water": "suspended" } }), "legacy_login", 3),
            (json!({ "username": "one-moved", "issuers": { "riverside-water": "down" } }), "outage_page", 8),
            (json!({ "username": "one-moved", "rollouts": { "riverside-water": { "percent": 0 } } }), "legacy_login", 3),
            (
                json!({ "username": "one-moved", "rollouts": { "riverside-water": { "percent": 0, "allow": ["ONE-moved"] } } }),
                "bookmark_notice",
                2,
            ),
            (json!({ "username": "one-moved", "directory": "down" }), "legacy_login", 9),
            (json!({ "username": "one-moved", "kill_switch": "riverside-water=legacy" }), "legacy_login", 0),
            (json!({ "username": "two-moved", "remembered": ["maple-electric"], "locale": "es" }), "recovery", 5),
            (json!({ "entry": "https://pay.riverside.example/" }), "secureauth_login", 7),
            (json!({ "entry": "/old/login.aspx?biller=1", "at": "2026-11-22T08:00:00Z" }), "bookmark_notice", 7),
        ] {
            let (status, answer) = ask(question.clone()).await;
            assert_eq!((status, &answer["decision"], &answer["row"]), (StatusCode::OK, &json!(decision), &json!(row)), "{question}");
        }
    })
    .await;
}

#[tokio::test]
async fn invalid_simulations_name_the_field() {
    let world = World::start().await;
    let client = simulation_client(&world, None).await;
    for (question, field) in [
        (json!({}), "#/username"),
        (json!({ "username": " " }), "#/username"),
        (json!({ "username": "x", "entry": "https://elsewhere.example/" }), "#/entry"),
        (json!({ "username": "x", "billers": { "nobody-here": "active" } }), "#/billers"),
        (json!({ "username": "x", "issuers": { "nobody-here": "up" } }), "#/issuers"),
        (json!({ "username": "x", "remembered": ["nobody-here"] }), "#/remembered"),
        (json!({ "username": "x", "kill_switch": "nobody-here=legacy" }), "#/kill_switch"),
        (json!({ "username": "x", "rollouts": { "riverside-water": { "percent": 101 } } }), "#/rollouts"),
    ] {
        let (status, problem) = client.send("POST", SIMULATIONS, &question).await;
        assert_eq!(
            (status, &problem["errors"][0]["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)),
            "{question}: {problem}"
        );
    }
    for question in [
        json!({ "username": "x", "at": "tomorrow" }),
        json!({ "username": "x", "kill_switch": "sideways" }),
        json!({ "username": "x", "execute": true }),
        json!({ "username": "x", "billers": { "riverside-water": "asleep" } }),
    ] {
        assert_eq!(client.send("POST", SIMULATIONS, &question).await.0, StatusCode::BAD_REQUEST, "{question}");
    }
    let other = ApiClient::new(&world, &[Scope::BillersRead], None).await;
    assert_eq!(other.send("POST", SIMULATIONS, &json!({ "username": "x" })).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn billers_out_of_scope_look_like_unknown_billers() {
    let world = World::start().await;
    world.import_billers("[[billers]]\nslug = \"oakdale-city\"\npaused = false\n").await;
    let client = simulation_client(&world, Some(&["riverside-water", "oakdale-city"])).await;
    let ask = async |question: Value| client.send("POST", SIMULATIONS, &question).await;
    assert_eq!(ask(json!({ "username": "one-moved" })).await.1["row"], 2);
    assert_eq!(ask(json!({ "username": "moved-and-legacy" })).await.1["row"], 4);
    let nobody = ask(json!({ "username": "nobody-at-all" })).await;
    // At other billers only, at others as well, at a private one, at one whose issuer is down.
    for name in ["Maple.User", "two-moved", "two-legacy", "patient", "issuer-down"] {
        assert_eq!(ask(json!({ "username": name })).await, nobody, "{name}");
    }
    world.state.directory.set_kill_switch(&"maple-electric=legacy".parse().unwrap(), &world.actor()).await.unwrap();
    assert_eq!(ask(json!({ "username": "Maple.User" })).await, nobody, "nor by an order");
    let unknown = ask(json!({ "entry": "/b/no-such-biller" })).await;
    let foreign = ask(json!({ "entry": "/b/maple-electric" })).await;
    assert_eq!(foreign.0, StatusCode::OK);
    assert_eq!(foreign.1.to_string().replace("maple-electric", "no-such-biller"), unknown.1.to_string());
    for question in [
        json!({ "username": "x", "billers": { "SLUG": "active" } }),
        json!({ "username": "x", "issuers": { "SLUG": "down" } }),
        json!({ "username": "x", "rollouts": { "SLUG": {} } }),
        json!({ "username": "x", "remembered": ["SLUG"] }),
        json!({ "username": "x", "kill_switch": "SLUG=legacy" }),
    ] {
        let about = async |slug: &str| {
            let question: Value = serde_json::from_str(&question.to_string().replace("SLUG", slug)).unwrap();
            let (status, mut answer) = ask(question).await;
            answer.as_object_mut().unwrap().remove("request_id");
            (status, answer.to_string().replace(slug, "SLUG"))
        };
        assert_eq!(about("maple-electric").await, about("no-such-biller").await, "{question}");
    }
    let narrow = simulation_client(&world, Some(&["maple-electric"])).await;
    let (status, problem) =
        narrow.send("POST", SIMULATIONS, &json!({ "entry": "http://pay.riverside.example/" })).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("#/entry")));
}

#[tokio::test]
async fn simulations_have_no_side_effects() {
    each_database(|world| async move {
        let names = ["one-moved", "one-legacy", "moved-and-legacy", "two-moved", "two-legacy", "patient", "nobody"];
        let question = |n: usize| match n % 10 {
            8 => json!({ "entry": "/b/maple-electric", "issuers": { "maple-electric": "down" } }),
            9 => json!({ "username": "issuer-down", "billers": { "cedar-county": "suspended" } }),
            m => json!({ "username": names[m % 7], "kill_switch": if m == 7 { "hold" } else { "off" } }),
        };
        let client = simulation_client(&world, None).await;
        client.send("POST", SIMULATIONS, &question(0)).await;
        let before = world.dump_tables().await;
        let calls = (world.issuers.requests().len(), world.issuers.api_calls().len(), world.mailbox.mails().len());
        for n in 0..1000 {
            let asked = serde_json::from_value(question(n)).unwrap();
            world.state.routing.simulate(&asked, None).await.unwrap();
            if n % 25 == 0 {
                let (status, answer) = client.send("POST", SIMULATIONS, &question(n)).await;
                assert_eq!(status, StatusCode::OK, "{answer}");
            }
        }
        world.state.decisions.flush().await;
        world.run_queued_tasks().await;
        let after = world.dump_tables().await;
        assert!(after.len() > 15, "all tables were looked at");
        for (table, rows) in after {
            let before = &before[&table];
            if table == "audit_event" {
                assert_eq!(rows.len(), before.len() + 40, "an act for each that was asked by a key");
                continue;
            }
            assert_eq!(*before, rows, "{table}");
        }
        let now = (world.issuers.requests().len(), world.issuers.api_calls().len(), world.mailbox.mails().len());
        assert_eq!(calls, now);
    })
    .await;
}

#[tokio::test]
async fn simulations_are_rate_limited_per_key() {
    let world = World::start().await;
    let (one, other) = (simulation_client(&world, None).await, simulation_client(&world, None).await);
    let ask = async |client: &ApiClient| client.send("POST", SIMULATIONS, &json!({ "username": "x" })).await.0;
    for _ in 0..world.state.config.limits.simulations_per_minute {
        assert_eq!(ask(&one).await, StatusCode::OK);
    }
    assert_eq!((ask(&one).await, ask(&other).await), (StatusCode::TOO_MANY_REQUESTS, StatusCode::OK));
}
