//! API keys, made and ended by keys.

use http::StatusCode;
use serde_json::{Value, json};
use signpost::access::Scope;

use crate::billers_api::ApiClient;
use crate::harness::{World, each_database};

const KEYS: &str = "/api/v1/keys";

async fn with_key(world: &World, key: &str, path: &str) -> StatusCode {
    let request = http::Request::get(path).header("authorization", format!("Bearer {key}"));
    world.browser().send(request).await.status
}

#[tokio::test]
async fn api_key_cannot_create_keys_with_more_permissions() {
    each_database(|world| async move {
        let root = ApiClient::new(&world, Scope::ALL, None).await;
        let (status, made) = root
            .send("POST", KEYS, &json!({ "name": "crm", "scopes": ["billers:read", "keys:write"], "billers": ["oakdale-city"] }))
            .await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let key = made["key"].as_str().unwrap().to_owned();
        assert!(key.starts_with(&format!("sp_{}_", made["id"].as_str().unwrap())));
        assert_eq!(with_key(&world, &key, "/api/v1/billers/oakdale-city").await, StatusCode::OK);
        assert_eq!(with_key(&world, &key, "/api/v1/billers/maple-electric").await, StatusCode::NOT_FOUND);
        let (_, list) = root.get(KEYS).await;
        assert!(!list.to_string().contains(&key), "shown once");
        assert_eq!(list["keys"].as_array().unwrap().len(), 2);

        let narrow = ApiClient::of(&world, &key);
        for (more, status) in [
            (json!({ "scopes": ["billers:read"], "billers": ["oakdale-city"] }), 201),
            (json!({ "scopes": ["billers:write"], "billers": ["oakdale-city"] }), 403),
            (json!({ "scopes": ["billers:read"], "billers": ["oakdale-city", "maple-electric"] }), 422),
            (json!({ "scopes": ["billers:read"] }), 403),
            (json!({ "scopes": ["billers:read"], "billers": [] }), 422),
            (json!({ "scopes": [], "billers": ["oakdale-city"] }), 422),
            (json!({ "scopes": ["everything"], "billers": ["oakdale-city"] }), 422),
            (json!({ "scopes": ["billers:read"], "billers": ["oakdale-city"], "expires_at": "2020-01-01T00:00:00Z" }), 422),
            (json!({ "scopes": ["billers:read"], "billers": ["oakdale-city"], "hash": "x" }), 400),
        ] {
            let mut body = more.clone();
            body["name"] = json!("another");
            assert_eq!(narrow.send("POST", KEYS, &body).await.0.as_u16(), status, "{more}");
        }
        let own: Vec<String> = ids(&narrow.get(KEYS).await.1);
        assert_eq!(own.len(), 2, "itself, and the one it made");
        let all = ids(&root.get(KEYS).await.1);
        let foreign = all.iter().find(|id| !own.contains(id)).unwrap();
        let unknown = narrow.send("DELETE", &format!("{KEYS}/000000000000"), &json!(null)).await;
        let refused = narrow.send("DELETE", &format!("{KEYS}/{foreign}"), &json!(null)).await;
        assert_eq!((refused.0, &refused.1["detail"]), (unknown.0, &unknown.1["detail"]));
        assert_eq!(root.send("DELETE", &format!("{KEYS}/{}", made["id"].as_str().unwrap()), &json!(null)).await.0, 204);
        assert_eq!(with_key(&world, &key, "/api/v1/billers/oakdale-city").await, StatusCode::UNAUTHORIZED);
    })
    .await;
}

fn ids(list: &Value) -> Vec<String> {
    list["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn created_key_cannot_outlive_its_creator_and_creation_is_idempotent() {
    let world = World::start().await;
    let root = ApiClient::new(&world, Scope::ALL, None).await;
    let until = json!({ "name": "till", "scopes": ["keys:write", "simulate"], "expires_at": "2026-12-01T00:00:00Z" });
    let made = root.send_with("POST", KEYS, &until, Some("one")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let again = root.send_with("POST", KEYS, &until, Some("one")).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "not shown again");
    assert_eq!(ids(&root.get(KEYS).await.1).len(), 2);
    let made: Value = serde_json::from_str(&made.body).unwrap();
    let till = ApiClient::of(&world, made["key"].as_str().unwrap());
    let new = |end: Option<&str>| json!({ "name": "n", "scopes": ["simulate"], "expires_at": end });
    assert_eq!(till.send("POST", KEYS, &new(None)).await.0, StatusCode::FORBIDDEN);
    assert_eq!(till.send("POST", KEYS, &new(Some("2026-12-01T00:00:01Z"))).await.0, StatusCode::FORBIDDEN);
    assert_eq!(till.send("POST", KEYS, &new(Some("2026-11-30T00:00:00Z"))).await.0, StatusCode::CREATED);
    world.clock.advance(std::time::Duration::from_secs(10 * 24 * 3600));
    assert_eq!(till.get(KEYS).await.0, StatusCode::UNAUTHORIZED, "it has ended");
    let rows = world.dump_tables().await;
    let secret = made["key"].as_str().unwrap().rsplit('_').next().unwrap();
    assert!(!rows.values().flatten().any(|row| row.contains(secret)), "nowhere in the database");
}

#[tokio::test]
async fn one_person_never_approves_their_own_change() {
    each_database(|world| async move {
        let place = "/api/v1/billers/riverside-water";
        let root = ApiClient::new(&world, Scope::ALL, None).await;
        let all = json!({ "name": "child", "scopes": ["billers:read", "billers:write", "keys:write"] });
        let create = async |parent: &ApiClient| {
            let (status, made) = parent.send("POST", KEYS, &all).await;
            assert_eq!(status, StatusCode::CREATED, "{made}");
            ApiClient::of(&world, made["key"].as_str().unwrap())
        };
        let child = create(&root).await;
        let (sibling, grandchild) = (create(&root).await, create(&child).await);
        let family = [&root, &child, &sibling, &grandchild];
        for requester in family {
            for change in [json!({ "portal_url": "https://evil.example/in" }), json!({ "hosts": ["pay.evil.example"] })]
            {
                let before = requester.get(place).await.1;
                let (status, changed) = requester.send("PATCH", place, &change).await;
                assert_eq!(status, StatusCode::OK, "{changed}");
                assert_eq!(
                    (&changed["portal_url"], &changed["hosts"]),
                    (&before["portal_url"], &before["hosts"]),
                    "nothing changes yet"
                );
                let pending = &changed["pending_changes"][0];
                assert!(pending["summary"].as_str().unwrap().contains("evil.example"), "{pending}");
                let decide = format!("/api/v1/changes/{}", pending["id"].as_str().unwrap());
                for approver in family {
                    let (status, refused) = approver.send("POST", &decide, &json!({ "approve": true })).await;
                    assert_eq!(
                        (status, &refused["type"]),
                        (StatusCode::FORBIDDEN, &json!("urn:signpost:problem:requester_cannot_approve"))
                    );
                }
                assert_eq!(
                    grandchild.send("POST", &decide, &json!({ "approve": false })).await.0,
                    StatusCode::NO_CONTENT
                );
            }
        }
        let another = ApiClient::for_person(&world, "ann", Scope::ALL).await;
        assert_eq!(request_and_approve(&child, &another).await.0, StatusCode::NO_CONTENT);
        let approved = format!("https://portal.example/{}", &another.key()[3..15]);
        assert_eq!(root.get(place).await.1["portal_url"], approved);
    })
    .await;
}

const PLACE: &str = "/api/v1/billers/riverside-water";

/// Requests a change, which must be pending, and returns the path that decides it.
async fn request(requester: &ApiClient, portal: &str) -> String {
    let (_, changed) = requester.send("PATCH", PLACE, &json!({ "portal_url": portal })).await;
    format!("/api/v1/changes/{}", changed["pending_changes"][0]["id"].as_str().unwrap())
}

async fn request_and_approve(requester: &ApiClient, approver: &ApiClient) -> (StatusCode, Value) {
    let decide = request(requester, &format!("https://portal.example/{}", &approver.key()[3..15])).await;
    let answer = approver.send("POST", &decide, &json!({ "approve": true })).await;
    if answer.0 != StatusCode::NO_CONTENT {
        let withdrawn = requester.send("POST", &decide, &json!({ "approve": false })).await;
        assert_eq!(withdrawn.0, StatusCode::NO_CONTENT);
    }
    answer
}

#[tokio::test]
async fn keys_of_the_command_line_count_as_one_and_keys_for_people_as_their_people() {
    each_database(|world| async move {
        let (one, two) =
            (ApiClient::new(&world, Scope::ALL, None).await, ApiClient::new(&world, Scope::ALL, None).await);
        let ann = ApiClient::for_person(&world, "ann", Scope::ALL).await;
        let again = ApiClient::for_person(&world, "Ann", Scope::ALL).await;
        let bob = ApiClient::for_person(&world, "bob", Scope::ALL).await;
        for (requester, approver, principal) in [(&one, &two, "local command line"), (&ann, &again, "person ann")] {
            let (status, refused) = request_and_approve(requester, approver).await;
            assert_eq!(
                (status, &refused["type"]),
                (StatusCode::FORBIDDEN, &json!("urn:signpost:problem:requester_cannot_approve"))
            );
            let detail = refused["detail"].as_str().unwrap();
            for named in [requester.key(), approver.key()].map(|key| format!("key {}", &key[3..15])) {
                assert!(detail.contains(&named), "{detail}");
            }
            let next = "signpost keys create --for NAME";
            assert!(detail.contains(&format!("both act for {principal};")) && detail.contains(next), "{detail}");
        }
        for (requester, approver) in [(&one, &ann), (&ann, &bob), (&bob, &two)] {
            assert_eq!(request_and_approve(requester, approver).await.0, StatusCode::NO_CONTENT);
        }
    })
    .await;
}

#[tokio::test]
async fn key_approves_only_changes_requested_after_its_creation() {
    each_database(|world| async move {
        let asker = ApiClient::for_person(&world, "ann", Scope::ALL).await;
        let bob = ApiClient::for_person(&world, "bob", Scope::ALL).await;
        let decide = request(&asker, "https://portal.example/first").await;
        let requested_at = world.clock.now();
        world.clock.advance(std::time::Duration::from_secs(1));
        let created_at = world.clock.now();
        let carol = ApiClient::for_person(&world, "carol", Scope::ALL).await;
        let (_, made) =
            bob.send("POST", KEYS, &json!({ "name": "child", "scopes": ["billers:read", "billers:write"] })).await;
        let child = ApiClient::of(&world, made["key"].as_str().unwrap());
        for newer in [&carol, &child] {
            let (status, refused) = newer.send("POST", &decide, &json!({ "approve": true })).await;
            assert_eq!(
                (status, &refused["type"]),
                (StatusCode::FORBIDDEN, &json!("urn:signpost:problem:api_key_newer_than_change"))
            );
            let detail = refused["detail"].as_str().unwrap();
            assert!(detail.contains(&format!("requested at {requested_at}")), "{detail}");
            assert!(detail.contains("older key"), "{detail}");
        }
        let (_, refused) = carol.send("POST", &decide, &json!({ "approve": true })).await;
        assert!(refused["detail"].as_str().unwrap().contains(&format!("created at {created_at}")), "{refused}");
        assert_eq!(bob.send("POST", &decide, &json!({ "approve": true })).await.0, StatusCode::NO_CONTENT);
        world.clock.advance(std::time::Duration::from_secs(1));
        let decide = request(&asker, "https://portal.example/second").await;
        assert_eq!(child.send("POST", &decide, &json!({ "approve": true })).await.0, StatusCode::NO_CONTENT);
    })
    .await;
}
