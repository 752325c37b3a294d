//! Browser sessions: what is stored, how long they live, and that nothing brings an ended one back.

use std::time::Duration;

use signpost::sessions::{Lifetime, SessionKind, Sessions};
use signpost::sql;

use crate::harness::{World, each_database};

fn staff(world: &World) -> Sessions {
    let lifetime = &world.state.config.sessions;
    Sessions::new(world.state.db.clone(), world.clock.clone(), SessionKind::Staff, lifetime)
}

#[tokio::test]
async fn ended_session_cannot_be_revived() {
    each_database(|world| async move {
        let mut browser = world.browser();
        world.sign_in(&mut browser, "riverside-water", "one-moved").await;
        let mut other_tab = browser.clone();
        let start = other_tab.get("/b/maple-electric").await;
        let callback = world.authenticate(&start.location(), "two-moved").await;
        let signed_out = browser.post("/logout", &[]).await;
        assert_eq!(signed_out.status.as_u16(), 303);
        // The tab still has the cookie, and signs in at another biller.
        assert_eq!(other_tab.get(&callback).await.status.as_u16(), 303);
        let ended = other_tab.get("/go/riverside-water").await;
        assert!(ended.location().starts_with("/b/riverside-water"), "{}", ended.location());
    })
    .await;
}

#[tokio::test]
async fn session_ids_are_stored_hashed() {
    let world = World::start().await;
    let mut browser = world.browser();
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    let rows = world.state.db.all(sql!("SELECT id_hash FROM session"), Vec::new()).await.unwrap();
    let kept = rows[0].text("id_hash").unwrap();
    assert_eq!(kept.len(), 43);
    assert!(!kept.contains(&browser.cookies["__Host-s"]));
}

#[tokio::test]
async fn session_of_one_kind_is_unknown_to_the_other() {
    each_database(|world| async move {
        let (db, clock, config) = (&world.state.db, &world.clock, &world.state.config);
        let customers = Sessions::new(db.clone(), clock.clone(), SessionKind::Customer, &config.sessions);
        let staff = Sessions::new(db.clone(), clock.clone(), SessionKind::Staff, &config.console);
        customers.replace(None, "a", "owner", "{}").await.unwrap();
        assert!(staff.load("a").await.unwrap().is_none());
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
            customers.replace(None, &format!("old {n}"), "", "{}").await.unwrap();
        }
        staff.replace(None, "long", "ann", "{}").await.unwrap();
        world.advance(Duration::from_secs(8 * 86_400)).await;
        customers.replace(None, "new", "", "{}").await.unwrap();
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
async fn sessions_expire_by_idle_and_absolute_timeout() {
    each_database(|world| async move {
        let sessions = staff(&world);
        sessions.replace(None, "idle", "ann", "{}").await.unwrap();
        world.advance(Duration::from_secs(29 * 60)).await;
        assert!(sessions.load("idle").await.unwrap().is_some(), "a load is a request");
        world.advance(Duration::from_secs(29 * 60)).await;
        assert!(sessions.load("idle").await.unwrap().is_some());
        world.advance(Duration::from_secs(31 * 60)).await;
        assert!(sessions.load("idle").await.unwrap().is_none(), "half an hour without one");
        sessions.replace(None, "busy", "ann", "{}").await.unwrap();
        for _ in 0..71 {
            world.advance(Duration::from_secs(10 * 60)).await;
            assert!(sessions.load("busy").await.unwrap().is_some());
        }
        world.advance(Duration::from_secs(11 * 60)).await;
        assert!(sessions.load("busy").await.unwrap().is_none(), "twelve hours in all");
    })
    .await;
}

#[tokio::test]
async fn customers_sessions_expire_by_idle_timeout() {
    each_database(|world| async move {
        let mut browser = world.browser();
        world.sign_in(&mut browser, "riverside-water", "one-moved").await;
        for _ in 0..3 {
            world.advance(Duration::from_secs(29 * 60)).await;
            assert_eq!(browser.get("/").await.location(), "/go/riverside-water", "a request keeps it alive");
        }
        world.advance(Duration::from_secs(31 * 60)).await;
        assert_eq!(browser.get("/").await.title(), "Sign in", "half an hour without one");
        world.sign_in(&mut browser, "maple-electric", "two-moved").await;
        assert_eq!(browser.get("/").await.location(), "/go/maple-electric", "an expired session is not continued");
    })
    .await;
}

#[tokio::test]
async fn sign_in_rotates_the_session_id() {
    let world = World::start().await;
    let mut browser = world.browser();
    browser.cookies.insert("__Host-s".to_owned(), "planted-session-id".to_owned());
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
async fn sign_in_is_written_all_or_nothing() {
    each_database(|world| async move {
        let mut browser = world.browser();
        let start = browser.get("/b/riverside-water").await;
        let callback = world.authenticate(&start.location(), "one-moved").await;
        let db = &world.state.db;
        // The last statement of the sign-in fails.
        db.run(sql!("ALTER TABLE biller_session RENAME COLUMN details TO gone"), Vec::new()).await.unwrap();
        let answer = browser.get(&callback).await;
        assert!(answer.status.is_server_error(), "{}", answer.status);
        assert!(!browser.cookies.contains_key("__Host-s"), "no cookie of a session that is not there");
        for count in [
            sql!("SELECT count(*) AS count FROM session"),
            sql!("SELECT count(*) AS count FROM subject_pin"),
            sql!("SELECT count(*) AS count FROM daily_stats WHERE metric = 'first_sign_in'"),
        ] {
            let rows = db.all(count, Vec::new()).await.unwrap();
            assert_eq!(rows[0].int("count").unwrap(), 0, "{count:?}");
        }
    })
    .await;
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
