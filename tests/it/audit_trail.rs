//! Who did what, and what happened: the audit trail and the decision log, as machines read them.

use http::{Request, StatusCode};
use serde_json::{Value, json};
use signpost::access::{NewApiKey, Scope};
use signpost::audit::{Action, Actor, EventFilter, StoredEvent, list_events};
use signpost::provisioning::EnablementOptions;
use signpost::sessions::SessionFilter;
use signpost::sql;
use signpost_core::UserId;
use signpost_core::decision::KillSwitchState;

use crate::billers_api::ApiClient;
use crate::harness::{TestResponse, World, each_database, slug};

const AUDIT: &str = "/api/v1/audit";

async fn trail(world: &World) -> Vec<StoredEvent> {
    list_events(&world.state.db, &EventFilter::default(), None, 1000).await.unwrap()
}

/// The audit events that are not in `before`, in order.
async fn since(world: &World, before: &[StoredEvent]) -> Vec<StoredEvent> {
    let mut new = trail(world).await;
    new.retain(|event| !before.contains(event));
    new
}

/// Checks that each step records one audit event.
struct NewEvents<'w> {
    world: &'w World,
    before: Vec<StoredEvent>,
}

impl<'w> NewEvents<'w> {
    async fn watch(world: &'w World) -> Self {
        Self { world, before: trail(world).await }
    }

    /// The one event since the last call.
    async fn one(&mut self, action: &str, biller: Option<&str>) -> StoredEvent {
        let new = since(self.world, &self.before).await;
        let [event] = &new[..] else { panic!("{action}: {new:?}") };
        assert_eq!((event.action.as_str(), event.biller.as_deref()), (action, biller));
        self.before.push(event.clone());
        event.clone()
    }

    async fn none(&self, because: &str) {
        assert_eq!(since(self.world, &self.before).await, [], "{because}");
    }
}

async fn assert_trail_lacks(world: &World, secrets: &[&str]) {
    let all = serde_json::to_string(&trail(world).await).unwrap();
    for secret in secrets {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn biller_changes_and_approvals_record_audit_events_without_secrets() {
    each_database(|world| async move {
        let crm = ApiClient::for_person(&world, "crm", &[Scope::BillersRead, Scope::BillersWrite]).await;
        let mut events = NewEvents::watch(&world).await;
        let billers = "/api/v1/billers";
        let created = crm.send("POST", billers, &json!({ "slug": "lakeside-power", "name": "Lakeside" })).await;
        assert_eq!(created.0, StatusCode::CREATED);
        let event = events.one("biller.created", Some("lakeside-power")).await;
        assert_eq!((event.actor.kind.as_str(), event.actor.name.as_str()), ("key", "own"));

        let change = json!({ "name": "Lakeside Power", "rollout": { "allow": ["first-user"] }, "private": true });
        assert_eq!(crm.send("PATCH", &format!("{billers}/lakeside-power"), &change).await.0, StatusCode::OK);
        let event = events.one("biller.updated", Some("lakeside-power")).await;
        assert_eq!(
            event.details["changes"],
            json!({ "name": ["Lakeside", "Lakeside Power"], "private": [false, true], "rollout_allow": "changed" })
        );

        let oidc =
            json!({ "oidc": { "issuer": "https://elsewhere.example", "client_id": "c", "client_secret": "s3cret" } });
        assert_eq!(crm.send("PATCH", &format!("{billers}/riverside-water"), &oidc).await.0, StatusCode::OK);
        let event = events.one("change.requested", Some("riverside-water")).await;
        world.state.directory.decide_change(&event.subject.unwrap(), true, &world.actor()).await.unwrap();
        let event = events.one("change.approved", Some("riverside-water")).await;
        assert_eq!((event.actor.kind.as_str(), event.actor.id.as_str()), ("cli", "tester"));
        assert_eq!(event.details["changes"], json!({ "oidc": "changed" }));
        assert_trail_lacks(&world, &["s3cret", "first-user", "client_secret"]).await;
    })
    .await;
}

#[tokio::test]
async fn kill_switch_records_an_audit_event() {
    each_database(|world| async move {
        let mut events = NewEvents::watch(&world).await;
        world.state.directory.set_kill_switch(&KillSwitchState::Hold, &world.actor()).await.unwrap();
        assert_eq!(events.one("kill_switch.set", None).await.details, json!({ "value": "hold" }));
    })
    .await;
}

#[tokio::test]
async fn enablement_records_audit_events_and_joining_a_job_records_none() {
    each_database(|world| async move {
        let (provisioning, oakdale) = (&world.state.provisioning, slug("oakdale-city"));
        let mut events = NewEvents::watch(&world).await;
        provisioning.start(&oakdale, EnablementOptions::default(), &world.actor()).await.unwrap();
        events.one("ciam.enablement_started", Some("oakdale-city")).await;
        provisioning.start(&oakdale, EnablementOptions::default(), &world.actor()).await.unwrap();
        events.none("the job is running already").await;
        provisioning.cancel(&oakdale, &world.actor()).await.unwrap();
        events.one("ciam.enablement_cancelled", Some("oakdale-city")).await;
        while provisioning.run_next_job().await.unwrap() {}
        assert_eq!(events.one("ciam.rolled_back", Some("oakdale-city")).await.actor.kind, "system");
    })
    .await;
}

#[tokio::test]
async fn suspension_and_resumption_record_one_audit_event_each() {
    each_database(|world| async move {
        let (provisioning, maple) = (&world.state.provisioning, slug("maple-electric"));
        let mut events = NewEvents::watch(&world).await;
        provisioning.suspend(&maple, &world.actor()).await.unwrap();
        let event = events.one("ciam.suspended", Some("maple-electric")).await;
        assert_eq!(event.details["changes"], json!({ "state": ["active", "suspended"] }));
        provisioning.suspend(&maple, &world.actor()).await.unwrap();
        events.none("the biller is suspended already").await;
        provisioning.resume(&maple, &world.actor()).await.unwrap();
        events.one("ciam.resumed", Some("maple-electric")).await;
    })
    .await;
}

#[tokio::test]
async fn user_changes_record_audit_events_without_personal_data() {
    each_database(|world| async move {
        let state = &world.state;
        let crm = ApiClient::new(&world, &[Scope::IdentityWrite, Scope::IdentityRead], None).await;
        let mut events = NewEvents::watch(&world).await;
        let teams = state.directory.billers().await.unwrap();
        let team = teams.by_slug(&slug("pinehill-gas")).unwrap();
        let user = json!({ "email": "new@mail.example", "teams": [{ "id": team.id }] });
        let (_, user) = crm.send("POST", "/identity/v1/users", &user).await;
        let user = user["id"].as_str().unwrap().to_owned();
        assert_eq!(events.one("user.created", Some("pinehill-gas")).await.subject.as_deref(), Some(user.as_str()));
        let path = format!("/identity/v1/users/{user}");
        assert_eq!(crm.send("PATCH", &path, &json!({ "status_action": "suspend" })).await.0, StatusCode::OK);
        let event = events.one("user.updated", Some("pinehill-gas")).await;
        assert_eq!(event.details, json!({ "fields": ["status"], "status": "suspended" }));
        let list = json!({ "user_ids": [user] });
        crm.send("POST", &format!("/identity/v1/teams/{}/members/set", team.id), &list).await;
        let event = events.one("members.updated", Some("pinehill-gas")).await;
        assert_eq!(event.details, json!({ "change": "set", "added": 0, "removed": 1 }));

        let riverside = teams.by_slug(&slug("riverside-water")).unwrap();
        let user = UserId::from_stored(user);
        state
            .biller_sessions
            .end_audited((&riverside.id, &riverside.slug), SessionFilter::User(&user), &world.actor())
            .await
            .unwrap();
        events.one("sessions.revoked", Some("riverside-water")).await;
        world.import_users("pinehill-gas", &["ann"]).await;
        assert_eq!(events.one("users.imported", Some("pinehill-gas")).await.details["rows"], 1);
        assert_trail_lacks(&world, &["new@mail.example"]).await;
    })
    .await;
}

#[tokio::test]
async fn failed_changes_record_no_audit_event() {
    each_database(|world| async move {
        let crm = ApiClient::new(&world, &[Scope::BillersWrite, Scope::IdentityWrite, Scope::IdentityRead], None).await;
        let before = trail(&world).await;
        let taken = json!({ "slug": "oakdale-city", "name": "Again" });
        assert_eq!(crm.send("POST", "/api/v1/billers", &taken).await.0, StatusCode::CONFLICT);
        let billers = world.state.directory.billers().await.unwrap();
        let team = &billers.by_slug(&slug("oakdale-city")).unwrap().id;
        let user = json!({ "email": "x@mail.example", "username": "ONE-legacy", "teams": [{ "id": team }] });
        assert_eq!(crm.send("POST", "/identity/v1/users", &user).await.0, StatusCode::CONFLICT);
        let wrong = world.state.provisioning.suspend(&slug("oakdale-city"), &world.actor()).await;
        assert!(wrong.is_err(), "it is legacy");
        assert_eq!(since(&world, &before).await, []);
    })
    .await;
}

#[tokio::test]
async fn the_audit_api_paginates_filters_and_exports() {
    each_database(|world| async move {
        let formula = NewApiKey {
            name: "=HYPERLINK(\"http://evil.example\")".into(),
            scopes: vec![Scope::Simulate],
            audience: None,
            billers: None,
            expires_at: None,
        };
        world.state.api_keys.create(&formula, &world.actor()).await.unwrap();
        for n in 0..5 {
            world.clock.advance(std::time::Duration::from_secs(1));
            let order = if n % 2 == 0 { "maple-electric=legacy" } else { "off" };
            world.state.directory.set_kill_switch(&order.parse().unwrap(), &world.actor()).await.unwrap();
        }
        let auditor = ApiClient::new(&world, &[Scope::AuditRead], None).await;
        let all = trail(&world).await;
        let mut seen = Vec::new();
        let mut next = format!("{AUDIT}?page_size=3");
        loop {
            let (status, page) = auditor.get(&next).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            seen.extend(
                page["events"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()),
            );
            // What is added meanwhile neither hides nor doubles an old one.
            world.clock.advance(std::time::Duration::from_secs(1));
            world.state.directory.set_kill_switch(&KillSwitchState::Off, &world.actor()).await.unwrap();
            let Some(link) = page["links"]["next"].as_str() else { break };
            next = link.strip_prefix(crate::harness::GATEWAY).unwrap().to_owned();
        }
        assert_eq!(seen, all.iter().map(|event| event.id.clone()).collect::<Vec<_>>());

        let count = async |filter: &str| {
            let (status, page) = auditor.get(&format!("{AUDIT}?page_size=300&{filter}&include_totals=true")).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            let items = page["events"].as_array().unwrap().len();
            assert_eq!(page["totals"]["items"], items, "{filter}");
            items
        };
        assert_eq!(count("biller=maple-electric&action=kill_switch.set").await, 3);
        assert_eq!(count("actor=tester&action=key.created").await, 2);
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

        let narrow = ApiClient::new(&world, &[Scope::AuditRead], Some(&["maple-electric"])).await;
        let (_, page) = narrow.get(&format!("{AUDIT}?page_size=300")).await;
        assert!(page["events"].as_array().unwrap().iter().all(|event| event["biller"] == "maple-electric"));
        assert!(!page["events"].as_array().unwrap().is_empty());
        let (_, first) = narrow.get(&format!("{AUDIT}?page_size=1&include_totals=true")).await;
        assert_eq!(first["totals"]["items"], page["events"].as_array().unwrap().len(), "of its own biller");
        for biller in ["oakdale-city", "nowhere-water"] {
            assert_eq!(narrow.get(&format!("{AUDIT}?biller={biller}")).await.0, StatusCode::NOT_FOUND);
        }
        let other = ApiClient::new(&world, &[Scope::BillersRead], None).await;
        assert_eq!(other.get(AUDIT).await.0, StatusCode::FORBIDDEN);
    })
    .await;
}

async fn raw(world: &World, key: &str, path: &str) -> TestResponse {
    world.browser().send(Request::get(path).header("authorization", format!("Bearer {key}"))).await
}

#[tokio::test]
async fn a_reference_code_leads_to_its_decision_record() {
    each_database(|world| async move {
        let mut browser = world.browser();
        let code = browser.post("/login", &[("username", "One-Moved")]).await.reference();
        let support = ApiClient::new(&world, &[Scope::DecisionsRead], None).await;
        let look = async |machine: &ApiClient, code: &str| {
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
            (&found["code"], &found["response"], &found["biller"], &found["username_mask"], &found["at"]),
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
        let revision = json!({ "billers": billers.revision(), "settings": world.state.config.fingerprint(),
            "program": env!("CARGO_PKG_VERSION") });
        assert_eq!(found["revision"], revision);

        let filter = EventFilter { action: Some(Action::CodeLookedUp), ..EventFilter::default() };
        let [event] = &list_events(&world.state.db, &filter, None, 10).await.unwrap()[..] else { panic!("one act") };
        assert_eq!((event.reason.as_deref(), event.subject.as_deref()), (Some("ticket 4711"), Some(code.as_str())));

        // A key of some billers sees what concerns these alone; everything else is as a code that is not ours.
        let both = browser.post("/login", &[("username", "moved-and-legacy")]).await;
        let token = both.location();
        let narrow = ApiClient::new(&world, &[Scope::DecisionsRead], Some(&["riverside-water"])).await;
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
        world.state.db.run(sql!("DELETE FROM decision_log"), vec![]).await.unwrap();
        let (status, found) = look(&support, lost.as_str()).await;
        assert_eq!((status, &found["kind"], &found["recorded"]), (StatusCode::OK, &json!("row 2"), &json!(false)));
        assert_eq!(look(&narrow, &code).await.0, StatusCode::NOT_FOUND);
    })
    .await;
}

/// The code that travels in a hand-off.
async fn code_of(world: &World, location: &str) -> String {
    let portal = ApiClient::new(world, &[Scope::HandoffRedeem], None).await;
    let token =
        url::Url::parse(location).unwrap().query_pairs().find(|(name, _)| name == "token").unwrap().1.into_owned();
    let (status, redeemed) = portal.send("POST", "/api/v1/handoffs/redeem", &json!({ "token": token })).await;
    assert_eq!(status, StatusCode::OK, "{redeemed}");
    redeemed["reference"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn look_ups_are_rate_limited_and_always_audited() {
    let world = World::start().await;
    let limit = world.state.config.limits.decision_lookups_per_minute;
    let support = ApiClient::new(&world, &[Scope::DecisionsRead], None).await;
    let look = async || support.get("/api/v1/decisions/0000-0000-0000-0000?reason=x").await.0;
    for _ in 0..limit {
        assert_eq!(look().await, StatusCode::NOT_FOUND);
    }
    assert_eq!(look().await, StatusCode::TOO_MANY_REQUESTS);
    let filter = EventFilter { action: Some(Action::CodeLookedUp), ..EventFilter::default() };
    assert_eq!(
        list_events(&world.state.db, &filter, None, 100).await.unwrap().len(),
        limit as usize,
        "also when nothing was found"
    );
}

#[tokio::test]
async fn the_cli_is_audited_and_lists_audit_events() {
    let world = World::start().await;
    let code = world.browser().post("/login", &[("username", "one-moved")]).await.reference();
    world.state.decisions.flush().await;
    for command in [
        &["pause", "oakdale-city"][..],
        &["rollout", "riverside-water", "--percent", "25"],
        &["keys", "create", "--name", "k", "--scope", "simulate"],
        &["decision", &code, "--reason", "ticket 4711"],
    ] {
        let (status, _, error) = world.command(command).await;
        assert_eq!(status, 0, "{error}");
    }
    let (status, out, _) = world.command(&["audit", "--actor", "cli", "--format", "jsonl"]).await;
    assert_eq!(status, 0);
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let account = events[0]["actor"]["id"].as_str().unwrap().to_owned();
    let done: Vec<&str> = events
        .iter()
        .filter(|event| event["actor"]["id"] == *account)
        .map(|event| event["action"].as_str().unwrap())
        .collect();
    assert_eq!(done, ["code.looked_up", "key.created", "rollout.updated", "biller.paused"]);
    assert_eq!(events[2]["details"]["changes"], json!({ "rollout_percent": [null, 25] }));
    let (_, out, _) = world.command(&["audit", "--action", "code.looked_up"]).await;
    assert!(out.contains(&format!("about {code}  because ticket 4711")), "{out}");
    let (status, _, error) = world.command(&["audit", "--action", "nonsense"]).await;
    assert!(status != 0 && error.contains("biller.created"), "{error}");
    let name = Actor::Cli { user: account }.identity();
    assert!(name.starts_with("user "));
}
