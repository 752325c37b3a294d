//! Who did what, and what happened: the audit trail and the decision log, as machines read them.

use http::{Request, StatusCode};
use serde_json::{Value, json};
use signpost::access::{NewKey, Scope};
use signpost::audit::{Action, Actor, StoredAct, Wanted, acts};
use signpost::enablement::Order;
use signpost::web::visits::{Ending, Visits};
use signpost_core::UserId;
use signpost_core::decision::Kill;

use crate::billers_api::Machine;
use crate::harness::{Answer, World, each_database, slug};

const AUDIT: &str = "/api/v1/audit";

async fn trail(world: &World) -> Vec<StoredAct> {
    acts(&world.state.db, &Wanted::default(), None, 1000).await.unwrap()
}

/// What was done since, in order, by this actor.
async fn since(world: &World, before: &[StoredAct]) -> Vec<StoredAct> {
    let mut new = trail(world).await;
    new.retain(|act| !before.contains(act));
    new
}

#[tokio::test]
async fn every_change_leaves_an_act_that_says_who_and_what() {
    each_database(|world| async move {
        let state = &world.state;
        let scopes =
            [Scope::BillersRead, Scope::BillersWrite, Scope::CiamWrite, Scope::IdentityWrite, Scope::IdentityRead];
        let crm = Machine::new(&world, &scopes, None).await;
        let one = async |action: &str, biller: Option<&str>, before: &[StoredAct]| {
            let new = since(&world, before).await;
            let [act] = &new[..] else { panic!("{action}: {new:?}") };
            assert_eq!((act.action.as_str(), act.biller.as_deref()), (action, biller));
            act.clone()
        };
        let mut before = trail(&world).await;
        let billers = "/api/v1/billers";
        let made = crm.send("POST", billers, &json!({ "slug": "lakeside-power", "name": "Lakeside" })).await;
        assert_eq!(made.0, StatusCode::CREATED);
        let act = one("biller.made", Some("lakeside-power"), &before).await;
        assert_eq!((act.actor.kind.as_str(), act.actor.name.as_str()), ("key", "crm"));

        before = trail(&world).await;
        let change = json!({ "name": "Lakeside Power", "rollout": { "allow": ["first-user"] }, "private": true });
        assert_eq!(crm.send("PATCH", &format!("{billers}/lakeside-power"), &change).await.0, StatusCode::OK);
        let act = one("biller.changed", Some("lakeside-power"), &before).await;
        assert_eq!(
            act.details["changes"],
            json!({ "name": ["Lakeside", "Lakeside Power"], "private": [false, true], "rollout_allow": "changed" })
        );

        before = trail(&world).await;
        let moved =
            json!({ "oidc": { "issuer": "https://elsewhere.example", "client_id": "c", "client_secret": "s3cret" } });
        assert_eq!(crm.send("PATCH", &format!("{billers}/riverside-water"), &moved).await.0, StatusCode::OK);
        let act = one("change.proposed", Some("riverside-water"), &before).await;
        before = trail(&world).await;
        state.directory.decide_change(&act.subject.unwrap(), true, &world.by()).await.unwrap();
        let act = one("change.confirmed", Some("riverside-water"), &before).await;
        assert_eq!((act.actor.kind.as_str(), act.actor.id.as_str()), ("cli", "tester"));
        assert_eq!(act.details["changes"], json!({ "oidc": "changed" }));

        before = trail(&world).await;
        state.directory.set_kill_switch(&Kill::Hold, &world.by()).await.unwrap();
        assert_eq!(one("kill_switch.set", None, &before).await.details, json!({ "order": "hold" }));
        state.directory.set_kill_switch(&Kill::Off, &world.by()).await.unwrap();

        before = trail(&world).await;
        state.enablement.start(&slug("oakdale-city"), Order::default(), &world.by()).await.unwrap();
        one("ciam.started", Some("oakdale-city"), &before).await;
        before = trail(&world).await;
        state.enablement.start(&slug("oakdale-city"), Order::default(), &world.by()).await.unwrap();
        assert_eq!(since(&world, &before).await, [], "joined");
        state.enablement.turn_back(&slug("oakdale-city"), &world.by()).await.unwrap();
        one("ciam.turned_back", Some("oakdale-city"), &before).await;
        before = trail(&world).await;
        while state.enablement.work().await.unwrap() {}
        assert_eq!(one("ciam.undone", Some("oakdale-city"), &before).await.actor.kind, "system");

        before = trail(&world).await;
        state.enablement.suspend(&slug("maple-electric"), &world.by()).await.unwrap();
        let act = one("ciam.suspended", Some("maple-electric"), &before).await;
        assert_eq!(act.details["changes"], json!({ "state": ["active", "suspended"] }));
        before = trail(&world).await;
        state.enablement.suspend(&slug("maple-electric"), &world.by()).await.unwrap();
        assert_eq!(since(&world, &before).await, [], "it was already");
        state.enablement.resume(&slug("maple-electric"), &world.by()).await.unwrap();
        one("ciam.resumed", Some("maple-electric"), &before).await;

        before = trail(&world).await;
        let teams = state.directory.billers().await.unwrap();
        let team = teams.by_slug(&slug("pinehill-gas")).unwrap();
        let user = json!({ "email": "new@mail.example", "teams": [{ "id": team.id }] });
        let (_, user) = crm.send("POST", "/identity/v1/users", &user).await;
        let user = user["id"].as_str().unwrap().to_owned();
        assert_eq!(one("user.made", Some("pinehill-gas"), &before).await.subject.as_deref(), Some(user.as_str()));
        before = trail(&world).await;
        let path = format!("/identity/v1/users/{user}");
        assert_eq!(crm.send("PATCH", &path, &json!({ "status_action": "suspend" })).await.0, StatusCode::OK);
        let act = one("user.changed", Some("pinehill-gas"), &before).await;
        assert_eq!(act.details, json!({ "fields": ["status"], "status": "suspended" }));
        before = trail(&world).await;
        let list = json!({ "user_ids": [user] });
        crm.send("POST", &format!("/identity/v1/teams/{}/members/set", team.id), &list).await;
        let act = one("members.changed", Some("pinehill-gas"), &before).await;
        assert_eq!(act.details, json!({ "change": "set", "added": 0, "removed": 1 }));

        before = trail(&world).await;
        let riverside = teams.by_slug(&slug("riverside-water")).unwrap();
        let user = UserId::from_stored(user);
        Visits::of(state).end_by(riverside, Ending::User(&user), &world.by()).await.unwrap();
        one("sessions.ended", Some("riverside-water"), &before).await;
        before = trail(&world).await;
        world.import_users("pinehill-gas", &["ann"]).await;
        assert_eq!(one("users.imported", Some("pinehill-gas"), &before).await.details["rows"], 1);
        let all = serde_json::to_string(&trail(&world).await).unwrap();
        for secret in ["s3cret", "first-user", "new@mail.example", "client_secret"] {
            assert!(!all.contains(secret), "{secret}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_comes_to_nothing_leaves_no_act() {
    each_database(|world| async move {
        let crm = Machine::new(&world, &[Scope::BillersWrite, Scope::IdentityWrite, Scope::IdentityRead], None).await;
        let before = trail(&world).await;
        let taken = json!({ "slug": "oakdale-city", "name": "Again" });
        assert_eq!(crm.send("POST", "/api/v1/billers", &taken).await.0, StatusCode::CONFLICT);
        let billers = world.state.directory.billers().await.unwrap();
        let team = &billers.by_slug(&slug("oakdale-city")).unwrap().id;
        let user = json!({ "email": "x@mail.example", "username": "ONE-legacy", "teams": [{ "id": team }] });
        assert_eq!(crm.send("POST", "/identity/v1/users", &user).await.0, StatusCode::CONFLICT);
        let wrong = world.state.enablement.suspend(&slug("oakdale-city"), &world.by()).await;
        assert!(wrong.is_err(), "it is legacy");
        assert_eq!(since(&world, &before).await, []);
    })
    .await;
}

#[tokio::test]
async fn machines_read_the_trail_by_pages_and_write_it_out() {
    each_database(|world| async move {
        let formula = NewKey {
            name: "=HYPERLINK(\"http://evil.example\")".into(),
            scopes: vec![Scope::Simulate],
            audience: None,
            billers: None,
            expires_at: None,
        };
        world.state.api_keys.create(&formula, &world.by()).await.unwrap();
        for n in 0..5 {
            world.clock.advance(std::time::Duration::from_secs(1));
            let order = if n % 2 == 0 { "maple-electric=legacy" } else { "off" };
            world.state.directory.set_kill_switch(&order.parse().unwrap(), &world.by()).await.unwrap();
        }
        let auditor = Machine::new(&world, &[Scope::AuditRead], None).await;
        let all = trail(&world).await;
        let mut seen = Vec::new();
        let mut next = format!("{AUDIT}?page_size=3");
        loop {
            let (status, page) = auditor.get(&next).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            seen.extend(page["acts"].as_array().unwrap().iter().map(|act| act["id"].as_str().unwrap().to_owned()));
            // What is added meanwhile neither hides nor doubles an old one.
            world.clock.advance(std::time::Duration::from_secs(1));
            world.state.directory.set_kill_switch(&Kill::Off, &world.by()).await.unwrap();
            let Some(link) = page["links"]["next"].as_str() else { break };
            next = link.strip_prefix(crate::harness::GATEWAY).unwrap().to_owned();
        }
        assert_eq!(seen, all.iter().map(|act| act.id.clone()).collect::<Vec<_>>());

        let count = async |filter: &str| {
            let (status, page) = auditor.get(&format!("{AUDIT}?page_size=300&{filter}&include_totals=true")).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            let items = page["acts"].as_array().unwrap().len();
            assert_eq!(page["totals"]["items"], items, "{filter}");
            items
        };
        assert_eq!(count("biller=maple-electric&action=kill_switch.set").await, 3);
        assert_eq!(count("actor=tester&action=key.made").await, 2);
        assert!(count("actor=cli").await > count("actor=system").await);
        assert_eq!(count("until=2026-11-22T08:00:01Z&action=kill_switch.set").await, 0);
        assert_eq!(count("since=2026-11-22T08:00:05Z&biller=maple-electric").await, 1);
        for wrong in ["action=nonsense", "since=yesterday", "format=xml", "biller=*", "sort=id", "start_token=x"] {
            assert_eq!(auditor.get(&format!("{AUDIT}?{wrong}")).await.0, StatusCode::BAD_REQUEST, "{wrong}");
        }

        let csv = raw(&world, auditor.key(), &format!("{AUDIT}?format=csv")).await;
        assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
        assert!(csv.body.starts_with("at,actor_kind,actor_id,"), "{}", csv.body);
        let rows = csv::Reader::from_reader(csv.body.as_bytes()).records().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(rows.len(), trail(&world).await.len());
        assert!(rows.iter().flat_map(|row| row.iter()).all(|cell| !cell.starts_with(['=', '+', '-', '@'])));
        let lines = raw(&world, auditor.key(), &format!("{AUDIT}?format=jsonl&actor=tester")).await;
        assert!(lines.body.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["actor"]["id"] == "tester"));

        let narrow = Machine::new(&world, &[Scope::AuditRead], Some(&["maple-electric"])).await;
        let (_, page) = narrow.get(&format!("{AUDIT}?page_size=300")).await;
        assert!(page["acts"].as_array().unwrap().iter().all(|act| act["biller"] == "maple-electric"));
        assert!(!page["acts"].as_array().unwrap().is_empty());
        let (_, first) = narrow.get(&format!("{AUDIT}?page_size=1&include_totals=true")).await;
        assert_eq!(first["totals"]["items"], page["acts"].as_array().unwrap().len(), "of its own biller");
        for biller in ["oakdale-city", "nowhere-water"] {
            assert_eq!(narrow.get(&format!("{AUDIT}?biller={biller}")).await.0, StatusCode::NOT_FOUND);
        }
        let other = Machine::new(&world, &[Scope::BillersRead], None).await;
        assert_eq!(other.get(AUDIT).await.0, StatusCode::FORBIDDEN);
    })
    .await;
}

async fn raw(world: &World, key: &str, path: &str) -> Answer {
    world.browser().send(Request::get(path).header("authorization", format!("Bearer {key}"))).await
}

#[tokio::test]
async fn a_reference_code_leads_to_the_decision_the_facts_and_what_was_shown() {
    each_database(|world| async move {
        let mut browser = world.browser();
        let code = browser.post("/login", &[("username", "One-Moved")]).await.reference();
        let support = Machine::new(&world, &[Scope::DecisionsRead], None).await;
        let look = async |machine: &Machine, code: &str| {
            machine.get(&format!("/api/v1/decisions/{}?reason=ticket+4711", code.replace(' ', "%20"))).await
        };
        assert_eq!(
            support.get(&format!("/api/v1/decisions/{code}")).await.0,
            StatusCode::BAD_REQUEST,
            "without a reason"
        );
        let (status, found) = look(&support, &code.to_lowercase().replace('-', " ")).await;
        assert_eq!(status, StatusCode::OK, "{found}");
        assert_eq!(
            (&found["code"], &found["shown"], &found["biller"], &found["name_mask"], &found["at"]),
            (
                &json!(code),
                &json!("bookmark notice"),
                &json!("riverside-water"),
                &json!("O***d"),
                &json!("2026-11-22T08:00:00Z")
            )
        );
        assert_eq!(found["verdict"]["row"], 2);
        assert_eq!(found["facts"]["directory"]["read"]["memberships"][0]["biller"]["state"], "active");
        let facts = serde_json::from_value(found["facts"].clone()).unwrap();
        assert_eq!(json!(signpost_core::decision::decide(&facts)), found["verdict"], "it can be decided again");
        let billers = world.state.directory.billers().await.unwrap();
        let revision = json!({ "billers": billers.revision(), "settings": world.state.config.fingerprint() });
        assert_eq!(found["revision"], revision);

        let wanted = Wanted { action: Some(Action::CodeLookedUp), ..Wanted::default() };
        let [act] = &acts(&world.state.db, &wanted, None, 10).await.unwrap()[..] else { panic!("one act") };
        assert_eq!((act.reason.as_deref(), act.subject.as_deref()), (Some("ticket 4711"), Some(code.as_str())));

        // A key of some billers sees what concerns these alone; everything else is as a code that is not ours.
        let both = browser.post("/login", &[("username", "moved-and-legacy")]).await;
        let token = both.location();
        let narrow = Machine::new(&world, &[Scope::DecisionsRead], Some(&["riverside-water"])).await;
        assert_eq!(look(&narrow, &code).await.0, StatusCode::OK);
        let unknown = look(&narrow, "0000-0000-0000-0000").await;
        assert_eq!(unknown.0, StatusCode::NOT_FOUND);
        let foreign = code_of(&world, &token).await;
        assert_eq!(look(&support, &foreign).await.1["verdict"]["row"], 4);
        let without_id = |(status, mut body): (StatusCode, Value)| {
            body.as_object_mut().unwrap().remove("request_id");
            (status, body)
        };
        assert_eq!(without_id(look(&narrow, &foreign).await), without_id(unknown));

        let lost = signpost_core::ReferenceCode::parse(&code).unwrap();
        world.state.db.run("DELETE FROM decision_log", vec![]).await.unwrap();
        let (status, found) = look(&support, lost.as_str()).await;
        assert_eq!((status, &found["kind"], &found["recorded"]), (StatusCode::OK, &json!("row 2"), &json!(false)));
        assert_eq!(look(&narrow, &code).await.0, StatusCode::NOT_FOUND);
    })
    .await;
}

/// The code that travels in a hand-off.
async fn code_of(world: &World, location: &str) -> String {
    let portal = Machine::new(world, &[Scope::HandoffRedeem], None).await;
    let token =
        url::Url::parse(location).unwrap().query_pairs().find(|(name, _)| name == "token").unwrap().1.into_owned();
    let (status, redeemed) = portal.send("POST", "/api/v1/handoffs/redeem", &json!({ "token": token })).await;
    assert_eq!(status, StatusCode::OK, "{redeemed}");
    redeemed["reference"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn look_ups_are_limited_by_key_and_written_down_whatever_they_find() {
    let world = World::start().await;
    let limit = world.state.config.limits.codes_per_minute;
    let support = Machine::new(&world, &[Scope::DecisionsRead], None).await;
    let look = async || support.get("/api/v1/decisions/0000-0000-0000-0000?reason=x").await.0;
    for _ in 0..limit {
        assert_eq!(look().await, StatusCode::NOT_FOUND);
    }
    assert_eq!(look().await, StatusCode::TOO_MANY_REQUESTS);
    let wanted = Wanted { action: Some(Action::CodeLookedUp), ..Wanted::default() };
    assert_eq!(
        acts(&world.state.db, &wanted, None, 100).await.unwrap().len(),
        limit as usize,
        "also when nothing was found"
    );
}

#[tokio::test]
async fn the_command_line_is_on_the_trail_and_shows_it() {
    let world = World::start().await;
    let code = world.browser().post("/login", &[("username", "one-moved")]).await.reference();
    world.state.decisions.flush().await;
    for command in [
        &["hold", "oakdale-city"][..],
        &["rollout", "riverside-water", "--percent", "25"],
        &["keys", "create", "--name", "k", "--scope", "simulate"],
        &["decision", &code, "--reason", "ticket 4711"],
    ] {
        let (status, _, error) = world.command(command).await;
        assert_eq!(status, 0, "{error}");
    }
    let (status, out, _) = world.command(&["audit", "--actor", "cli", "--format", "jsonl"]).await;
    assert_eq!(status, 0);
    let acts: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let account = acts[0]["actor"]["id"].as_str().unwrap().to_owned();
    let done: Vec<&str> =
        acts.iter().filter(|act| act["actor"]["id"] == *account).map(|act| act["action"].as_str().unwrap()).collect();
    assert_eq!(done, ["code.looked_up", "key.made", "rollout.changed", "biller.held"]);
    assert_eq!(acts[2]["details"]["changes"], json!({ "rollout_percent": [null, 25] }));
    let (_, out, _) = world.command(&["audit", "--action", "code.looked_up"]).await;
    assert!(out.contains(&format!("about {code}  because ticket 4711")), "{out}");
    let (status, _, error) = world.command(&["audit", "--action", "nonsense"]).await;
    assert!(status != 0 && error.contains("biller.made"), "{error}");
    let name = Actor::Cli { user: account }.person();
    assert!(name.starts_with("user "));
}
