//! Browser sessions: what is stored, how long they live, and that nothing brings an ended one back.

use std::time::Duration;

use signpost::sessions::{Lifetime, SessionKind, Sessions};
use signpost::sql;
use signpost::web::session_store::TowerSessions;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::SessionStore;

use crate::harness::{World, each_database};

fn record() -> Record {
    let mut data = std::collections::HashMap::new();
    data.insert("browser_session_id".to_owned(), serde_json::json!("v1"));
    Record { id: Id::default(), data, expiry_date: time::OffsetDateTime::UNIX_EPOCH }
}

fn store(world: &World) -> TowerSessions {
    let config = &world.state.config;
    TowerSessions(Sessions::new(world.state.db.clone(), world.clock.clone(), SessionKind::Customer, &config.sessions))
}

#[tokio::test]
async fn ended_session_cannot_be_revived() {
    each_database(|world| async move {
        let store = store(&world);
        let mut session = record();
        store.create(&mut session).await.unwrap();
        assert!(store.load(&session.id).await.unwrap().is_some());
        store.save(&session).await.unwrap();
        store.delete(&session.id).await.unwrap();
        assert!(store.load(&session.id).await.unwrap().is_none());
        assert!(store.save(&session).await.is_err(), "a request that began before must not bring it back");
        assert!(store.load(&session.id).await.unwrap().is_none());
        let unknown = record();
        assert!(store.save(&unknown).await.is_err(), "an id that was never ours is not adopted");
    })
    .await;
}

#[tokio::test]
async fn session_ids_are_stored_hashed() {
    let world = World::start().await;
    let mut session = record();
    store(&world).create(&mut session).await.unwrap();
    let rows = world.state.db.all(sql!("SELECT id_hash FROM session"), Vec::new()).await.unwrap();
    let kept = rows[0].text("id_hash").unwrap();
    assert_eq!(kept.len(), 43);
    assert!(!kept.contains(&session.id.to_string()));
}

#[tokio::test]
async fn session_of_one_kind_is_unknown_to_the_other() {
    each_database(|world| async move {
        let (db, clock, config) = (&world.state.db, &world.clock, &world.state.config);
        let customers = Sessions::new(db.clone(), clock.clone(), SessionKind::Customer, &config.sessions);
        let staff = Sessions::new(db.clone(), clock.clone(), SessionKind::Staff, &config.console);
        assert!(customers.create("a", "owner", "{}").await.unwrap());
        assert!(staff.load("a").await.unwrap().is_none());
        assert!(!staff.save("a", "owner", "{}").await.unwrap());
        staff.end("a").await.unwrap();
        assert_eq!(staff.latest_of("owner").await.unwrap(), None);
        staff.replace(Some("a"), "b", "owner", "{}").await.unwrap();
        assert!(customers.load("b").await.unwrap().is_none());
        assert!(customers.load("a").await.unwrap().is_some(), "only its own kind ends it");
        staff.replace(Some("b"), "c", "owner", r#"{"name":"Ann"}"#).await.unwrap();
        assert!(staff.load("b").await.unwrap().is_none());
        assert_eq!(staff.latest_of("owner").await.unwrap().as_deref(), Some(r#"{"name":"Ann"}"#));
    })
    .await;
}

#[tokio::test]
async fn sweep_deletes_old_sessions_and_keeps_live_ones() {
    each_database(|world| async move {
        let (db, clock, config) = (&world.state.db, &world.clock, &world.state.config);
        let mut browser = world.browser();
        world.sign_in(&mut browser, "riverside-water", "one-moved").await;
        let month = Lifetime { idle: Duration::from_secs(30 * 86_400), absolute: Duration::from_secs(60 * 86_400) };
        let customers = Sessions::new(db.clone(), clock.clone(), SessionKind::Customer, &config.sessions);
        let staff = Sessions::new(db.clone(), clock.clone(), SessionKind::Staff, month);
        for n in 0..600 {
            customers.create(&format!("old {n}"), "", "{}").await.unwrap();
        }
        staff.create("long", "ann", "{}").await.unwrap();
        world.advance(Duration::from_secs(8 * 86_400)).await;
        customers.create("new", "", "{}").await.unwrap();
        for _ in 0..2 {
            customers.sweep().await.unwrap();
            staff.sweep().await.unwrap();
            world.state.biller_sessions.sweep().await.unwrap();
        }
        let count = async |sql| db.all(sql, Vec::new()).await.unwrap()[0].int("count").unwrap();
        assert_eq!(count(sql!("SELECT count(*) AS count FROM session WHERE kind = 'customer'")).await, 1);
        assert_eq!(count(sql!("SELECT count(*) AS count FROM biller_session")).await, 0);
        assert!(staff.load("long").await.unwrap().is_some(), "a session that may be idle for a month is not swept");
    })
    .await;
}

#[tokio::test]
async fn session_id_collision_creates_a_new_id() {
    each_database(|world| async move {
        let store = store(&world);
        let (mut first, mut second) = (record(), record());
        second.id = first.id;
        store.create(&mut first).await.unwrap();
        store.create(&mut second).await.unwrap();
        assert_ne!(first.id, second.id);
    })
    .await;
}

#[tokio::test]
async fn sessions_expire_by_idle_and_absolute_timeout() {
    each_database(|world| async move {
        let store = store(&world);
        let mut idle = record();
        store.create(&mut idle).await.unwrap();
        world.advance(Duration::from_secs(29 * 60)).await;
        assert!(store.load(&idle.id).await.unwrap().is_some(), "a load is a request");
        world.advance(Duration::from_secs(29 * 60)).await;
        assert!(store.load(&idle.id).await.unwrap().is_some());
        world.advance(Duration::from_secs(31 * 60)).await;
        assert!(store.load(&idle.id).await.unwrap().is_none(), "half an hour without one");
        let mut busy = record();
        store.create(&mut busy).await.unwrap();
        for _ in 0..71 {
            world.advance(Duration::from_secs(10 * 60)).await;
            assert!(store.load(&busy.id).await.unwrap().is_some());
        }
        world.advance(Duration::from_secs(11 * 60)).await;
        assert!(store.load(&busy.id).await.unwrap().is_none(), "twelve hours in all");
    })
    .await;
}

#[tokio::test]
async fn sign_in_rotates_the_session_id() {
    let world = World::start().await;
    let mut browser = world.browser();
    browser.cookies.insert("__Host-s".to_owned(), Id::default().to_string());
    let planted = browser.cookies["__Host-s"].clone();
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    let first = browser.cookies["__Host-s"].clone();
    assert_ne!(planted, first, "a planted id is not adopted");
    world.sign_in(&mut browser, "maple-electric", "two-moved").await;
    let second = browser.cookies["__Host-s"].clone();
    assert_ne!(first, second);
    let mut old = world.browser();
    old.cookies.insert("__Host-s".to_owned(), first);
    assert_eq!(old.get("/").await.title(), "Sign in", "the id from before is worth nothing");
    assert!(browser.get("/").await.body.contains("/go/riverside-water"), "and both sign-ins are kept");
}

#[tokio::test]
async fn starting_a_sign_in_creates_no_session() {
    let world = World::start().await;
    for _ in 0..50 {
        world.browser().get("/b/riverside-water").await;
    }
    for count in [
        sql!("SELECT count(*) AS count FROM session"),
        sql!("SELECT count(*) AS count FROM biller_session"),
        sql!("SELECT count(*) AS count FROM consumed_token"),
    ] {
        let rows = world.state.db.all(count, Vec::new()).await.unwrap();
        assert_eq!(rows[0].int("count").unwrap(), 0, "{count:?}");
    }
}

#[tokio::test]
async fn sign_in_at_another_biller_does_not_extend_the_session() {
    let world = World::start().await;
    let mut browser = world.browser();
    world.sign_in(&mut browser, "riverside-water", "two-moved").await;
    for _ in 0..22 {
        world.advance(Duration::from_secs(29 * 60)).await;
        browser.get("/").await;
    }
    world.sign_in(&mut browser, "maple-electric", "two-moved").await;
    for _ in 0..4 {
        world.advance(Duration::from_secs(29 * 60)).await;
        browser.get("/").await;
    }
    assert_eq!(
        browser.get("/").await.location(),
        "/go/maple-electric",
        "twelve hours after its own sign-in the first has ended"
    );
}

#[tokio::test]
async fn slow_response_does_not_remove_the_session_cookie() {
    let world = World::start().await;
    let mut browser = world.browser();
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    let mut slow = browser.clone();
    world.sign_in(&mut browser, "maple-electric", "two-moved").await;
    let answer = slow.get("/login").await;
    assert!(answer.headers.get("set-cookie").is_none(), "{:?}", answer.headers);
}

#[tokio::test]
async fn concurrent_sign_ins_leave_one_session_per_biller() {
    each_database(|world| async move {
        let mut browser = world.browser();
        world.sign_in(&mut browser, "maple-electric", "two-moved").await;
        let mut callbacks = Vec::new();
        for _ in 0..4 {
            let start = browser.get("/b/riverside-water").await;
            callbacks.push(world.authenticate(&start.location(), "two-moved").await);
        }
        let finished = callbacks.into_iter().map(|callback| {
            let mut tab = browser.clone();
            async move { tab.get(&callback).await.status.as_u16() }
        });
        let statuses = futures_util::future::join_all(finished).await;
        assert_eq!(statuses, [303; 4], "each tab gets to its portal");
        let doubled = sql!(
            "SELECT browser_session_id FROM biller_session WHERE ended_at IS NULL \
             GROUP BY browser_session_id, biller_id HAVING count(*) > 1"
        );
        assert!(world.state.db.all(doubled, Vec::new()).await.unwrap().is_empty());
    })
    .await;
}
