//! The identity management API: users and memberships by machines.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Value, json};
use signpost::access::Scope;
use signpost::provisioning::{EnablementOptions, JobState};

use crate::billers_api::ApiClient;
use crate::harness::{World, each_database, slug};

const USERS: &str = "/identity/v1/users";
const TEAMS: &str = "/identity/v1/teams";
const BOTH: [Scope; 2] = [Scope::IdentityRead, Scope::IdentityWrite];

async fn hr(world: &World) -> ApiClient {
    ApiClient::new(world, &BOTH, None).await
}

async fn team(world: &World, biller: &str) -> String {
    world.state.directory.biller_by_slug(&slug(biller)).await.unwrap().unwrap().id.to_string()
}

/// Makes a user; answers the id.
async fn create_user(hr: &ApiClient, body: &Value) -> String {
    let (status, user) = hr.send("POST", USERS, body).await;
    assert_eq!(status, StatusCode::CREATED, "{user}");
    user["id"].as_str().unwrap().to_owned()
}

async fn create_named_user(hr: &ApiClient, name: &str, teams: &[&str]) -> String {
    let teams: Vec<Value> = teams.iter().map(|id| json!({ "id": id })).collect();
    create_user(hr, &json!({ "email": format!("{name}@mail.example"), "username": name, "teams": teams })).await
}

async fn members(hr: &ApiClient, team: &str) -> BTreeSet<String> {
    let (status, body) = hr.get(&format!("{TEAMS}/{team}/members?page_size=300")).await;
    assert_eq!((status, &body["links"]), (StatusCode::OK, &json!({})), "{body}");
    body["users"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect()
}

fn set_of(ids: &[&String]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).clone()).collect()
}

fn local(next: &Value) -> String {
    next.as_str().unwrap().strip_prefix("http://localhost:8080").unwrap().to_owned()
}

fn reason(answer: &Value) -> &str {
    answer["type"].as_str().unwrap_or_default().strip_prefix("urn:signpost:problem:").unwrap_or_default()
}

#[tokio::test]
async fn user_is_created_read_updated_and_deleted() {
    each_database(|world| async move {
        let hr = hr(&world).await;
        let oakdale = team(&world, "oakdale-city").await;
        let new = json!({ "email": "Ann@Mail.example", "name": "Ann van Dyk", "teams": [{ "id": oakdale }] });
        let answer = hr.send_with("POST", USERS, &new, None).await;
        let user: Value = serde_json::from_str(&answer.body).unwrap();
        let id = user["id"].as_str().unwrap();
        let place = format!("{USERS}/{id}");
        assert_eq!((answer.status, answer.header("location")), (StatusCode::CREATED, place.as_str()));
        let expected = json!({
            "id": id, "username": "Ann@Mail.example", "email": "Ann@Mail.example", "name": "Ann van Dyk",
            "status": "active", "attributes": {}, "pending": false,
            "teams": { "links": {}, "teams": [{ "id": oakdale, "name": "Oakdale City" }] },
            "created_at": "2026-11-22T08:00:00Z", "updated_at": "2026-11-22T08:00:00Z",
        });
        assert_eq!((&user, &hr.get(&place).await.1), (&expected, &expected), "made and read are the same");
        assert_eq!(hr.get(&place.replace("identity", "poolside")).await.1, expected, "the same at both mounts");
        let (_, found) = hr.get(&format!("{USERS}?email=ann%40mail.EXAMPLE&status=created,active")).await;
        assert_eq!(found, json!({ "users": [expected], "links": {} }));
        assert!(world.state.directory.biller_by_slug(&slug("oakdale-city")).await.unwrap().is_some());

        world.advance(std::time::Duration::from_secs(60)).await;
        let (status, changed) = hr.send("PATCH", &place, &json!({ "name": "Ann", "status_action": "suspend" })).await;
        assert_eq!(
            (status, &changed["name"], &changed["status"]),
            (StatusCode::OK, &json!("Ann"), &json!("suspended"))
        );
        assert_eq!((&changed["email"], &changed["updated_at"]), (&new["email"], &json!("2026-11-22T08:01:00Z")));
        let (_, back) = hr.send("PATCH", &place, &json!({ "status_action": "unsuspend" })).await;
        assert_eq!(back["status"], "active");

        for _ in 0..2 {
            assert_eq!(hr.send("DELETE", &place, &Value::Null).await.0, StatusCode::NO_CONTENT);
        }
        let (_, gone) = hr.get(&place).await;
        assert_eq!((&gone["status"], &gone["deleted_at"]), (&json!("deleted"), &json!("2026-11-22T08:01:00Z")));
        assert!(!members(&hr, &oakdale).await.contains(id));
        let (status, refused) = hr.send("PATCH", &place, &json!({ "name": "X" })).await;
        assert_eq!((status, reason(&refused)), (StatusCode::CONFLICT, "user_deleted"));
        let again = create_user(&hr, &new).await;
        assert_ne!(again, id, "who is deleted keeps neither name nor mail address");
    })
    .await;
}

#[tokio::test]
async fn usernames_and_emails_are_unique_per_biller() {
    each_database(|world| async move {
        let hr = hr(&world).await;
        let (oakdale, pinehill) = (team(&world, "oakdale-city").await, team(&world, "pinehill-gas").await);
        let first = create_named_user(&hr, "ann", &[&oakdale]).await;
        let elsewhere = create_named_user(&hr, "ann", &[&pinehill]).await;
        let before = members(&hr, &oakdale).await;
        let body = |name: &str, mail: &str| json!({ "email": mail, "username": name, "teams": [{ "id": pinehill }, { "id": oakdale }] });
        for (body, why) in
            [(body("ANN", "x@mail.example"), "username_taken"), (body("other", "ANN@mail.example"), "email_taken")]
        {
            let (status, refused) = hr.send("POST", USERS, &body).await;
            assert_eq!((status, reason(&refused)), (StatusCode::CONFLICT, why), "{refused}");
        }
        let bob = create_named_user(&hr, "bob", &[&oakdale]).await;
        let (status, refused) = hr.send("PATCH", &format!("{USERS}/{bob}"), &json!({ "email": "Ann@mail.example" })).await;
        assert_eq!((status, reason(&refused)), (StatusCode::CONFLICT, "email_taken"));
        assert_eq!(hr.get(&format!("{USERS}/{bob}")).await.1["email"], "bob@mail.example", "nothing was changed");
        for call in ["add", "set"] {
            let list = json!({ "user_ids": [bob, elsewhere] });
            let (status, refused) = hr.send("POST", &format!("{TEAMS}/{oakdale}/members/{call}"), &list).await;
            let clash = call == "set";
            if clash {
                // Those who leave give their names free first.
                assert_eq!((status, &refused), (StatusCode::OK, &json!({ "added": 1, "removed": before.len() })));
            } else {
                assert_eq!((status, reason(&refused)), (StatusCode::CONFLICT, "username_taken"));
                assert_eq!(refused["errors"][0]["pointer"], "#/user_ids/1");
                assert!(members(&hr, &oakdale).await.contains(&first), "nothing was changed");
            }
        }
        let list = json!({ "user_ids": [bob, first, elsewhere] });
        let (status, refused) = hr.send("POST", &format!("{TEAMS}/{oakdale}/members/set"), &list).await;
        assert_eq!((status, reason(&refused)), (StatusCode::CONFLICT, "username_taken"), "two of one name in one list");
        assert_eq!(members(&hr, &oakdale).await, set_of(&[&bob, &elsewhere]));
    })
    .await;
}

#[tokio::test]
async fn email_belongs_to_one_member_of_a_biller() {
    each_database(|world| async move {
        let hr = hr(&world).await;
        let oakdale = team(&world, "oakdale-city").await;
        let new = |name: &str| json!({ "email": "SAME@mail.example", "username": name });
        let (ann, bob) = (create_user(&hr, &new("ann")).await, create_user(&hr, &new("bob")).await);
        let call = async |call: &str, ids: &[&str]| {
            hr.send("POST", &format!("{TEAMS}/{oakdale}/members/{call}"), &json!({ "user_ids": ids })).await
        };
        let before = members(&hr, &oakdale).await;
        for which in ["add", "set"] {
            let (status, refused) = call(which, &[&ann, &bob]).await;
            assert_eq!((status, reason(&refused)), (StatusCode::CONFLICT, "email_taken"), "{which}");
            assert_eq!(refused["errors"][0]["pointer"], "#/user_ids/1");
            assert_eq!(members(&hr, &oakdale).await, before, "nothing was changed by {which}");
        }
        assert_eq!(call("add", &[&ann]).await.0, StatusCode::OK);
        assert_eq!(reason(&call("add", &[&bob]).await.1), "email_taken");
        assert_eq!(call("set", &[&bob]).await.0, StatusCode::OK, "who leaves gives it free first");

        // Files may hold what calls refuse; what is as it was is taken from everybody.
        world
            .import_csv("oakdale-city", "username,email\nfirst,twice@mail.example\nsecond,twice@mail.example\n")
            .await
            .unwrap();
        let (_, twins) = hr.get(&format!("{USERS}?email=twice%40mail.example")).await;
        let place = format!("{USERS}/{}", twins["users"][0]["id"].as_str().unwrap());
        let same = json!({ "email": "Twice@mail.example", "name": "First" });
        assert_eq!(hr.send("PATCH", &place, &same).await.0, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn user_teams_paginate_while_teams_are_added() {
    let world = World::start().await;
    let hr = ApiClient::new(&world, &[Scope::IdentityRead, Scope::IdentityWrite, Scope::BillersWrite], None).await;
    let mut teams = Vec::new();
    for number in 0..25 {
        let body = json!({ "slug": format!("many-{number:02}"), "name": format!("Many {number:02}") });
        let (status, made) = hr.send("POST", "/api/v1/billers", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        teams.push(made["id"].as_str().unwrap().to_owned());
    }
    let ann = create_named_user(&hr, "ann", &teams.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (_, user) = hr.get(&format!("{USERS}/{}", ann.to_uppercase())).await;
    assert_eq!(user["id"], ann.as_str(), "ids in either case");
    let mut seen: Vec<Value> = user["teams"]["teams"].as_array().unwrap().clone();
    // It stands before all of these.
    let early = team(&world, "cedar-county").await;
    hr.send("POST", &format!("{TEAMS}/{early}/members/add"), &json!({ "user_ids": [ann.to_uppercase()] })).await;
    let (status, rest) = hr.get(&local(&user["teams"]["links"]["next"])).await;
    assert_eq!((status, &rest["links"]), (StatusCode::OK, &json!({})), "{rest}");
    seen.extend(rest["teams"].as_array().unwrap().clone());
    let seen: Vec<&str> = seen.iter().map(|team| team["id"].as_str().unwrap()).collect();
    assert_eq!(seen, teams, "each once");
}

#[tokio::test]
async fn missing_field_is_reported() {
    let world = World::start().await;
    let hr = hr(&world).await;
    let oakdale = team(&world, "oakdale-city").await;
    for (path, field) in [(USERS.to_owned(), "#/email"), (format!("{TEAMS}/{oakdale}/members/set"), "#/user_ids")] {
        let (status, refused) = hr.send("POST", &path, &json!({})).await;
        assert_eq!((status, &refused["errors"][0]["pointer"]), (StatusCode::BAD_REQUEST, &json!(field)), "{refused}");
    }
}

#[tokio::test]
async fn members_are_added_removed_and_replaced() {
    each_database(|world| async move {
        let hr = hr(&world).await;
        let oakdale = team(&world, "oakdale-city").await;
        let (ann, bob) = (create_named_user(&hr, "ann", &[]).await, create_named_user(&hr, "bob", &[]).await);
        let call = async |call: &str, ids: &[&str]| {
            hr.send("POST", &format!("{TEAMS}/{oakdale}/members/{call}"), &json!({ "user_ids": ids })).await
        };
        assert_eq!(call("set", &[]).await.1, json!({ "added": 0, "removed": 3 }));
        assert_eq!(call("add", &[&ann, &bob, &ann]).await.1, json!({ "added": 2, "removed": 0 }));
        assert_eq!(call("add", &[&ann]).await, (StatusCode::OK, json!({ "added": 0, "removed": 0 })), "skipped");
        for (which, list) in [("remove", [&ann, "nobody"]), ("add", [&ann, "nobody"]), ("set", [&ann, "nobody"])] {
            let (status, refused) = call(which, &list).await;
            assert_eq!((status, &refused["errors"][0]["pointer"]), (StatusCode::NOT_FOUND, &json!("#/user_ids/1")));
            assert_eq!(members(&hr, &oakdale).await, set_of(&[&ann, &bob]), "nothing was changed by {which}");
        }
        assert_eq!(call("remove", &[&ann]).await.1, json!({ "added": 0, "removed": 1 }));
        assert_eq!(call("set", &[&ann]).await.1, json!({ "added": 1, "removed": 1 }));
        assert_eq!(call("set", &[&ann]).await.1, json!({ "added": 0, "removed": 0 }), "safe to repeat");
        let (_, page) = hr.get(&format!("{TEAMS}/{oakdale}/members?include_totals=true")).await;
        let user = json!({ "id": ann, "email": "ann@mail.example" });
        assert_eq!(page, json!({ "users": [user], "links": {}, "totals": { "items": 1, "pages": 1 } }));
        let (_, teams) = hr.get(&format!("{USERS}/{ann}/teams")).await;
        assert_eq!(teams, json!({ "teams": [{ "id": oakdale, "name": "Oakdale City" }], "links": {} }));
        hr.send("DELETE", &format!("{USERS}/{bob}"), &Value::Null).await;
        assert_eq!(reason(&call("add", &[&bob]).await.1), "user_deleted");
    })
    .await;
}

#[tokio::test]
async fn concurrent_member_sets_are_atomic() {
    set_concurrently(100).await;
}

#[tokio::test]
#[ignore = "takes long: for scripts/prove"]
#[expect(clippy::print_stdout, reason = "for the report")]
async fn concurrent_member_sets_are_atomic_a_thousand_times() {
    const ROUNDS: usize = 1000;
    set_concurrently(ROUNDS).await;
    println!("{ROUNDS} pairs of concurrent calls on each database");
}

async fn set_concurrently(rounds: usize) {
    each_database(|world| async move {
        let hr = hr(&world).await;
        let oakdale = team(&world, "oakdale-city").await;
        let mut ids = Vec::new();
        for number in 0..6 {
            ids.push(create_named_user(&hr, &format!("user{number}"), &[]).await);
        }
        let path = format!("{TEAMS}/{oakdale}/members/set");
        let (left, right) = (json!({ "user_ids": &ids[..4] }), json!({ "user_ids": &ids[2..] }));
        for _ in 0..rounds {
            let (one, other) = tokio::join!(hr.send("POST", &path, &left), hr.send("POST", &path, &right));
            assert_eq!((one.0, other.0), (StatusCode::OK, StatusCode::OK), "{one:?} {other:?}");
            let now = members(&hr, &oakdale).await;
            assert!([&ids[..4], &ids[2..]].iter().any(|list| now == list.iter().cloned().collect()), "{now:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn pagination_is_stable_while_rows_are_added() {
    each_database(|world| async move {
        let hr = hr(&world).await;
        let oakdale = team(&world, "oakdale-city").await;
        for number in 0..25 {
            create_named_user(&hr, &format!("old{number}"), &[&oakdale]).await;
        }
        for (list, rows) in [
            (format!("{USERS}?page_size=4&status=active"), "users"),
            (format!("{USERS}?page_size=4&team={oakdale}"), "users"),
            (format!("{TEAMS}/{oakdale}/members?page=1&page_size=4"), "users"),
            (format!("{TEAMS}?page_size=2"), "teams"),
        ] {
            let whole =
                hr.get(&list.replace("page_size=4", "page_size=300").replace("page_size=2", "page_size=300")).await.1;
            let ids = |body: &Value| -> Vec<String> {
                body[rows].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
            };
            let old: BTreeSet<String> = ids(&whole).into_iter().collect();
            let (mut seen, mut next, mut number) = (Vec::new(), list.clone(), 0);
            loop {
                let (status, page) = hr.get(&next).await;
                assert_eq!(status, StatusCode::OK, "{page}");
                seen.extend(ids(&page));
                let name = format!("new{}x{number}", old.len() + list.len());
                if rows == "users" {
                    create_named_user(&hr, &name, &[&oakdale]).await;
                }
                number += 1;
                match &page["links"]["next"] {
                    Value::Null => break,
                    link => next = local(link),
                }
                assert!(number < 100, "it ends");
            }
            assert_eq!(seen.len(), seen.iter().collect::<BTreeSet<_>>().len(), "no row twice: {list}");
            assert!(old.iter().all(|id| seen.contains(id)), "no old row is left out: {list}");
        }
        let (_, first) = hr.get(&format!("{TEAMS}/{oakdale}/members?page_size=5")).await;
        let (_, second) = hr.get(&format!("{TEAMS}/{oakdale}/members?page_size=5&page=2")).await;
        let (_, followed) = hr.get(&local(&first["links"]["next"])).await;
        assert_eq!(second["users"], followed["users"], "by number and by token");
    })
    .await;
}

#[tokio::test]
async fn totals_match_the_list() {
    each_database(|world| async move {
        let hr = hr(&world).await;
        let (oakdale, pinehill) = (team(&world, "oakdale-city").await, team(&world, "pinehill-gas").await);
        create_named_user(&hr, "both", &[&oakdale, &pinehill]).await;
        let gone = create_named_user(&hr, "gone", &[&oakdale]).await;
        hr.send("DELETE", &format!("{USERS}/{gone}"), &Value::Null).await;
        let asleep = create_named_user(&hr, "asleep", &[&pinehill]).await;
        hr.send("PATCH", &format!("{USERS}/{asleep}"), &json!({ "status_action": "suspend" })).await;
        let limited = ApiClient::new(&world, &BOTH, Some(&["oakdale-city", "pinehill-gas"])).await;
        for machine in [&hr, &limited] {
            for filter in [
                "status=active,created,suspended,deleted".to_owned(),
                "status=suspended".to_owned(),
                "status=suspended,deleted".to_owned(),
                format!("team={oakdale}"),
                format!("team={pinehill}&status=active"),
                "email=BOTH%40mail.example".to_owned(),
                "email=both%40mail.example&status=deleted".to_owned(),
            ] {
                let (_, all) = machine.get(&format!("{USERS}?page_size=300&{filter}")).await;
                let items = all["users"].as_array().unwrap().len();
                assert_eq!(all["totals"], Value::Null, "only where they are wanted");
                let (_, page) = machine.get(&format!("{USERS}?page_size=2&{filter}&include_totals=true")).await;
                assert_eq!(page["totals"], json!({ "items": items, "pages": items.div_ceil(2) }), "{filter}");
                if let Value::String(_) = &page["links"]["next"] {
                    let (_, next) = machine.get(&local(&page["links"]["next"])).await;
                    assert_eq!(next["totals"], page["totals"], "on every page");
                }
            }
        }
        let mut own = BTreeSet::new();
        for team in [&oakdale, &pinehill] {
            let (_, page) = hr.get(&format!("{USERS}?page_size=300&team={team}")).await;
            own.extend(page["users"].as_array().unwrap().iter().map(|user| user["id"].to_string()));
        }
        let (_, page) = limited.get(&format!("{USERS}?include_totals=true")).await;
        assert_eq!(page["totals"]["items"], own.len(), "each once, and nobody else's");
    })
    .await;
}

#[tokio::test]
async fn invalid_parameters_are_rejected() {
    let world = World::start().await;
    let hr = hr(&world).await;
    let oakdale = team(&world, "oakdale-city").await;
    let (_, page) = hr.get(&format!("{USERS}?page_size=1")).await;
    let next = local(&page["links"]["next"]);
    let token = next.split("start_token=").nth(1).unwrap().to_owned();
    let other = ApiClient::new(&world, &BOTH, None).await;
    assert_eq!(other.get(&next).await.0, StatusCode::BAD_REQUEST, "another key's token");
    for query in [
        "page_size=0",
        "page_size=-1",
        "page_size=301",
        "page_size=1000000000",
        "page_size=x",
        "page=0",
        "page=1e3",
        "page=18446744073709551615",
        "page_size=1&page_size=2",
        "sort=id;drop",
        "status=sleeping",
        "status=",
        "team=x",
        "include_totals=yes",
        "start_token=abcd",
        "email=%zz",
        "status=active,active,active,active,active",
        &format!("page=1&start_token={token}"),
        &format!("status=active&start_token={token}"),
        &format!("start_token={}", token.replace(&token[20..22], "__")),
    ] {
        let (status, refused) = hr.get(&format!("{USERS}?{query}")).await;
        assert_eq!((status, reason(&refused)), (StatusCode::BAD_REQUEST, "invalid_parameter"), "{query}: {refused}");
        assert!(refused["request_id"].as_str().is_some_and(|id| id.len() == 12), "{refused}");
    }
    let count = async || hr.get(&format!("{USERS}?page_size=300")).await.1["users"].as_array().unwrap().len();
    let before = count().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let many: Vec<Value> = (0..51).map(|_| json!({ "id": oakdale })).collect();
    for (body, expected) in [
        (r#"{"email":"a@b.example","status":"deleted"}"#, StatusCode::BAD_REQUEST),
        (r#"{"email":"a@b.example","tenant_id":"x"}"#, StatusCode::BAD_REQUEST),
        (r#"{"email":"a@b.example","email":"c@d.example"}"#, StatusCode::BAD_REQUEST),
        (r#"{"email":5}"#, StatusCode::BAD_REQUEST),
        (r#"{"email":null}"#, StatusCode::BAD_REQUEST),
        (r#"{"email":"a@b.example","name":null}"#, StatusCode::BAD_REQUEST),
        (r#"{"email":NaN}"#, StatusCode::BAD_REQUEST),
        (r#"{"email":1e400}"#, StatusCode::BAD_REQUEST),
        (deep.as_str(), StatusCode::BAD_REQUEST),
        ("", StatusCode::BAD_REQUEST),
        (r#"{"email":"nonsense"}"#, StatusCode::UNPROCESSABLE_ENTITY),
        (r#"{"email":"a@b.example","username":"\u0000"}"#, StatusCode::BAD_REQUEST),
        (&json!({ "email": "a@b.example", "teams": many }).to_string(), StatusCode::UNPROCESSABLE_ENTITY),
        (&json!({ "email": "a@b.example", "name": "x".repeat(9 << 20) }).to_string(), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let answer = hr.send_text("POST", USERS, body.to_owned(), None).await;
        let shown = &body[..body.len().min(80)];
        assert_eq!(answer.status, expected, "{shown}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{shown}");
    }
    assert_eq!(count().await, before, "nothing was written");
    for (teams, part) in [
        (json!([[oakdale]]), "#/teams/0"),
        (json!([{ "id": oakdale }, oakdale]), "#/teams/1"),
        (json!([5]), "#/teams/0"),
        (json!([null]), "#/teams/0"),
        (json!([{}]), "#/teams/0/id"),
        (json!([{ "id": 5 }]), "#/teams/0/id"),
        (json!([{ "id": [oakdale] }]), "#/teams/0/id"),
        (json!([{ "id": { "id": oakdale } }]), "#/teams/0/id"),
        (json!({ "id": oakdale }), "#/teams"),
        (json!(oakdale), "#/teams"),
    ] {
        let (status, refused) = hr.send("POST", USERS, &json!({ "email": "a@b.example", "teams": teams })).await;
        assert_eq!((status, reason(&refused)), (StatusCode::BAD_REQUEST, "malformed_request"), "{teams}: {refused}");
        assert_eq!(refused["errors"][0]["pointer"], part, "{teams}: {refused}");
    }
    for entry in [json!(["x"]), json!(5), json!({ "id": "x" }), Value::Null] {
        for call in ["set", "add", "remove"] {
            let body = json!({ "user_ids": ["x", entry] });
            let (status, refused) = hr.send("POST", &format!("{TEAMS}/{oakdale}/members/{call}"), &body).await;
            assert_eq!(
                (status, reason(&refused)),
                (StatusCode::BAD_REQUEST, "malformed_request"),
                "{entry}: {refused}"
            );
            assert_eq!(refused["errors"][0]["pointer"], "#/user_ids/1");
        }
    }
    assert_eq!(count().await, before, "nothing was written");
    for path in [
        "/identity/v1/nothing",
        "/poolside/v1/teams/x",
        "/identity/v2/users",
        "/identity/v1/Users",
        "/identity/v1//users",
    ] {
        let (status, refused) = hr.get(path).await;
        assert_eq!((status, reason(&refused)), (StatusCode::NOT_FOUND, "not_found"), "{path}");
    }
}

#[tokio::test]
async fn out_of_scope_ids_look_unknown() {
    let world = World::start().await;
    let all = hr(&world).await;
    let (own, foreign) = (team(&world, "oakdale-city").await, team(&world, "maple-electric").await);
    let limited = ApiClient::new(&world, &BOTH, Some(&["oakdale-city"])).await;
    let mine = create_named_user(&all, "mine", &[&own]).await;
    let theirs = create_named_user(&all, "theirs", &[&foreign]).await;
    let nobody = "01a00000-0000-7000-8000-000000000000";
    let routes = |user: &str, team: &str| -> Vec<(&str, String, Value)> {
        let mut routes = vec![
            ("GET", format!("{USERS}/{user}"), Value::Null),
            ("PATCH", format!("{USERS}/{user}"), json!({ "name": "X" })),
            ("DELETE", format!("{USERS}/{user}"), Value::Null),
            ("GET", format!("{USERS}/{user}/teams"), Value::Null),
            ("GET", format!("{USERS}?team={team}"), Value::Null),
            ("GET", format!("{TEAMS}/{team}/members"), Value::Null),
            ("POST", USERS.to_owned(), json!({ "email": "x@mail.example", "teams": [{ "id": own }, { "id": team }] })),
        ];
        for call in ["set", "add", "remove"] {
            routes.push(("POST", format!("{TEAMS}/{team}/members/{call}"), json!({ "user_ids": [mine] })));
            routes.push(("POST", format!("{TEAMS}/{own}/members/{call}"), json!({ "user_ids": [mine, user] })));
        }
        routes
    };
    for (one, other) in routes(&theirs, &foreign).into_iter().zip(routes(nobody, nobody)) {
        let mut answers = Vec::new();
        for (method, path, body) in [&one, &other] {
            let (status, mut answer) = limited.send(method, path, body).await;
            answer.as_object_mut().unwrap().remove("request_id");
            answers.push((status, answer));
        }
        assert_eq!(answers[0].0, StatusCode::NOT_FOUND, "{one:?} {answers:?}");
        assert_eq!(answers[0], answers[1], "{one:?}");
    }
    assert_eq!(members(&all, &foreign).await.len(), 3);
    assert_eq!(all.get(&format!("{USERS}/{theirs}")).await.1["status"], "active");
    assert!(members(&all, &own).await.contains(&mine));

    // Somebody of both billers: seen, without the other biller, and not changed.
    let shared = create_named_user(&all, "shared", &[&own, &foreign]).await;
    let (_, seen) = limited.get(&format!("{USERS}/{shared}")).await;
    assert_eq!(seen["teams"]["teams"], json!([{ "id": own, "name": "Oakdale City" }]));
    for (method, body) in [("PATCH", json!({ "name": "X" })), ("DELETE", Value::Null)] {
        let (status, refused) = limited.send(method, &format!("{USERS}/{shared}"), &body).await;
        assert_eq!((status, reason(&refused)), (StatusCode::FORBIDDEN, "biller_not_in_scope"));
    }
    let (_, teams) = limited.get(TEAMS).await;
    assert_eq!(teams["teams"].as_array().unwrap().len(), 1);
    let (_, users) = limited.get(&format!("{USERS}?page_size=300")).await;
    let users: Vec<_> = users["users"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap()).collect();
    assert!(users.contains(&shared.as_str()) && !users.contains(&theirs.as_str()));
    let homeless = limited.send("POST", USERS, &json!({ "email": "x@mail.example" })).await;
    assert_eq!(
        (homeless.0, &homeless.1["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("#/teams"))
    );
}

#[tokio::test]
async fn missing_invalid_and_insufficient_keys_are_rejected() {
    let world = World::start().await;
    let reader = ApiClient::new(&world, &[Scope::IdentityRead], None).await;
    let writer = ApiClient::new(&world, &[Scope::IdentityWrite], None).await;
    let new = json!({ "email": "x@mail.example" });
    assert_eq!(reader.send("POST", USERS, &new).await.0, StatusCode::FORBIDDEN);
    assert_eq!(writer.get(USERS).await.0, StatusCode::FORBIDDEN);
    let mut browser = world.browser();
    let missing = browser.get(USERS).await;
    assert_eq!((missing.status, missing.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Bearer"));
    assert_eq!(browser.get(&format!("{USERS}?api_key={}", reader.key())).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn idempotency_key_makes_requests_idempotent() {
    each_database(|world| async move {
        let hr = hr(&world).await;
        let oakdale = team(&world, "oakdale-city").await;
        let new = json!({ "email": "x@mail.example" });
        let all = futures_util::future::join_all((0..4).map(|_| hr.send_with("POST", USERS, &new, Some("k1")))).await;
        for answer in &all {
            assert_eq!((answer.status, &answer.body), (StatusCode::CREATED, &all[0].body));
        }
        let (_, found) = hr.get(&format!("{USERS}?email=x@mail.example")).await;
        assert_eq!(found["users"].as_array().unwrap().len(), 1);
        let id = found["users"][0]["id"].as_str().unwrap();
        let other = hr.send_with("POST", USERS, &json!({ "email": "y@mail.example" }), Some("k1")).await;
        assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", other.body);
        let path = format!("{TEAMS}/{oakdale}/members/add");
        for _ in 0..2 {
            let added = hr.send_with("POST", &path, &json!({ "user_ids": [id] }), Some("k2")).await;
            assert_eq!((added.status, added.body.as_str()), (StatusCode::OK, r#"{"added":1,"removed":0}"#));
        }
        let unknown = json!({ "user_ids": ["nobody"] });
        for _ in 0..2 {
            let refused = hr.send_with("POST", &path, &unknown, Some("k3")).await;
            assert_eq!(refused.status, StatusCode::NOT_FOUND, "what came to nothing may be tried again");
        }
    })
    .await;
}

#[tokio::test]
async fn changes_are_pending_until_they_reach_secureauth() {
    let world = World::start().await;
    let job = world
        .state
        .provisioning
        .start(&slug("pinehill-gas"), EnablementOptions::default(), &world.actor())
        .await
        .unwrap();
    world.state.provisioning.run_next_job().await.unwrap();
    assert_eq!(world.state.provisioning.job(&job.id).await.unwrap().unwrap().state, JobState::Active);
    let hr = hr(&world).await;
    let pinehill = team(&world, "pinehill-gas").await;
    let arrive = async || while world.state.provisioning.deliver().await.unwrap() > 0 {};
    let there = async || {
        let pools = world.issuers.snapshot()["users"].clone();
        let pool =
            pools.as_object().unwrap().iter().find(|(pool, _)| pool.starts_with("pinehill-gas")).unwrap().1.clone();
        serde_json::from_value::<Vec<String>>(pool).unwrap()
    };
    let (_, user) =
        hr.send("POST", USERS, &json!({ "email": "ann@mail.example", "teams": [{ "id": pinehill }] })).await;
    let id = user["id"].as_str().unwrap().to_owned();
    let place = format!("{USERS}/{id}");
    assert_eq!((&user["pending"], &hr.get(&place).await.1["pending"]), (&json!(true), &json!(true)));
    arrive().await;
    assert_eq!(hr.get(&place).await.1["pending"], false);
    assert!(there().await.contains(&id));
    hr.send("POST", &format!("{TEAMS}/{pinehill}/members/remove"), &json!({ "user_ids": [id] })).await;
    let left = hr.get(&place).await.1;
    assert_eq!((&left["pending"], &left["teams"]["teams"]), (&json!(true), &json!([])), "SecureAuth does not know yet");
    arrive().await;
    assert!(!there().await.contains(&id));
    assert_eq!(hr.get(&place).await.1["pending"], false);
}

#[tokio::test]
async fn nul_is_rejected_before_the_database() {
    each_database(|world| async move {
        let hr = hr(&world).await;
        let oakdale = team(&world, "oakdale-city").await;
        for path in [
            format!("{USERS}/%00"),
            format!("{USERS}?email=a%00b"),
            "/api/v1/jobs/%00".to_owned(),
            format!("{TEAMS}/%00/members"),
        ] {
            let (status, refused) = hr.get(&path).await;
            assert_eq!((status, reason(&refused)), (StatusCode::BAD_REQUEST, "bad_request"), "{path}");
        }
        let (status, refused) =
            hr.send("POST", &format!("{TEAMS}/{oakdale}/members/add"), &json!({ "user_ids": ["\0"] })).await;
        assert_eq!((status, reason(&refused)), (StatusCode::BAD_REQUEST, "malformed_request"));
    })
    .await;
}

#[tokio::test]
async fn merge_patch_is_json_and_null_clears_the_name() {
    let world = World::start().await;
    let key = ApiClient::new(&world, &[Scope::IdentityRead, Scope::IdentityWrite], None).await;
    let new = json!({ "email": "ann@mail.example", "name": "Ann Lee" });
    let (status, made) = key.send("POST", "/identity/v1/users", &new).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let place = format!("/identity/v1/users/{}", made["id"].as_str().unwrap());
    let patch = async |media: &str, body: &str| {
        let request = http::Request::patch(place.as_str())
            .header("authorization", format!("Bearer {}", key.key()))
            .header("content-type", media);
        world.browser().send_with(request, axum::body::Body::from(body.to_owned())).await
    };
    let cleared = patch("application/merge-patch+json; charset=utf-8", r#"{"name":null}"#).await;
    assert_eq!(cleared.status, StatusCode::OK, "{}", cleared.body);
    let cleared: Value = serde_json::from_str(&cleared.body).unwrap();
    assert!(cleared["name"].as_str().is_none_or(str::is_empty), "{cleared}");
    assert_eq!(patch("application/json", r#"{"email":null}"#).await.status, StatusCode::BAD_REQUEST, "it is required");
    assert_eq!(patch("text/plain", "{}").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
