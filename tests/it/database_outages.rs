//! The database is away, and comes back.

use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::json;
use signpost::access::{NewApiKey, Scope};
use signpost::app::management_router;
use signpost::audit::LogEntry;
use signpost::db::Db;
use signpost_core::reference::CodeKind;

use crate::harness::{Browser, LEGACY, Outage, PROPAGATION_TIMEOUT, TestResponse, World, each_database, wait_for};

const VERIFY: &str = "/auth/verify?biller=riverside-water";
/// Far less than the time that a request waits for a connection.
const FAST: Duration = Duration::from_millis(500);

async fn redeem(world: &World, key: &str, token: &str) -> TestResponse {
    let request = Request::post("/api/v1/handoffs/redeem")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {key}"));
    world.browser().send_with(request, Body::from(json!({ "token": token }).to_string())).await
}

async fn handoff_key(world: &World) -> String {
    let new = NewApiKey {
        name: "legacy".to_owned(),
        scopes: vec![Scope::HandoffRedeem],
        audience: None,
        billers: None,
        expires_at: None,
    };
    let key = world.state.api_keys.create(&new, &world.actor()).await.unwrap();
    world.state.api_keys.refresh_offline_keys().await.unwrap();
    key
}

async fn signed_in(world: &World) -> Browser {
    let mut browser = world.browser();
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    assert_eq!(browser.get(VERIFY).await.status, StatusCode::OK);
    browser
}

fn token(response: &TestResponse) -> String {
    response.location().split("token=").nth(1).unwrap().to_owned()
}

async fn is_away(db: &Db) -> Option<()> {
    let error = db.one(signpost::sql!("SELECT 1 AS value"), Vec::new()).await.err()?;
    error.to_string().contains("the database is away: Connection refused").then_some(())
}

/// A caller that flushes the decision log, such as the shutdown, does not wait for the database to come back.
#[tokio::test]
async fn flush_of_a_long_decision_log_returns_during_an_outage() {
    let Some((world, mut proxy)) = World::behind_proxy("").await else { return };
    proxy.stop().await;
    wait_for(Duration::from_secs(10), "the database is away", || is_away(&world.state.db)).await;
    for _ in 0..2_000 {
        world.state.decisions.record(CodeKind::Error, LogEntry { response: "a page", ..LogEntry::default() });
    }
    let flush = || tokio::time::timeout(Duration::from_secs(20), world.state.decisions.flush());
    for _ in 0..3 {
        flush().await.expect("the flush returns");
    }
    proxy.resume().await;
    let db = &world.state.db;
    let count = async || {
        let row = db.one(signpost::sql!("SELECT count(*) AS total FROM decision_log"), vec![]).await.ok().flatten()?;
        (row.int("total").unwrap() == 2_000).then_some(())
    };
    wait_for(Duration::from_secs(20), "nothing is lost", count).await;
}

#[tokio::test]
async fn verify_says_that_it_does_not_know() {
    each_database(|world| async move {
        let mut known = signed_in(&world).await;
        let mut other = world.browser();
        world.sign_in(&mut other, "riverside-water", "two-moved").await;
        world.state.db.close().await;
        let answer = other.get(VERIFY).await;
        assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"));
        assert!(answer.headers.get("x-signpost-user").is_none());
        let answer = known.get(VERIFY).await;
        assert_eq!((answer.status, answer.header("x-signpost-user")), (StatusCode::OK, "one-moved"));
        assert_eq!(known.get("/auth/verify?biller=maple-electric").await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(world.browser().get(VERIFY).await.status, StatusCode::UNAUTHORIZED, "without a session");
        world.advance(Duration::from_secs(60)).await;
        assert_eq!(known.get(VERIFY).await.status, StatusCode::SERVICE_UNAVAILABLE, "the grace is over");
        // Other answers that need the database say so as well.
        assert_eq!(known.get("/go/riverside-water").await.status, StatusCode::SERVICE_UNAVAILABLE);
        let mut vanity = world.browser();
        vanity.host = "pay.new-biller.example";
        wait_for(PROPAGATION_TIMEOUT, "a 503, because an unknown host may be a new one", || async {
            (vanity.clone().get("/").await.status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
        })
        .await;
        vanity.host = "pay.riverside.example";
        assert_eq!(vanity.get("/").await.status, StatusCode::SEE_OTHER);
    })
    .await;
}

#[tokio::test]
async fn ended_sessions_have_no_grace() {
    let world = World::start().await;
    let mut browser = signed_in(&world).await;
    let cookies = browser.cookies.clone();
    let signed_out = browser.post("/logout", &[("biller", "riverside-water")]).await;
    assert!(signed_out.status.is_redirection(), "{}", signed_out.body);
    world.state.db.close().await;
    browser.cookies = cookies;
    assert_eq!(browser.get(VERIFY).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn customers_reach_the_legacy_login_during_an_outage() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kill-switch");
    let settings = format!("[routing]\nkill_switch_file = \"{}\"\n", file.display());
    let (world, mut proxy) = World::behind_proxy(&settings).await.unwrap();
    let key = handoff_key(&world).await;
    world.import_billers("[[billers]]\nslug = \"maple-electric\"\nlegacy_accounts = false\n").await;
    let mut browser = signed_in(&world).await;
    let before = token(&world.browser().post("/login", &[("username", "one-legacy")]).await);
    assert_eq!(redeem(&world, &key, &before).await.status, StatusCode::OK);

    proxy.stop().await;
    wait_for(Duration::from_secs(20), "the circuit breaker", || is_away(&world.state.db)).await;
    let started = Instant::now();
    assert_eq!(browser.get(VERIFY).await.status, StatusCode::OK, "verified moments ago");
    let login = world.browser().post("/login", &[("username", "one-legacy")]).await;
    assert_eq!(login.status, StatusCode::SEE_OTHER);
    let answer = redeem(&world, &key, &token(&login)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(answer.body.contains("one-legacy"), "{}", answer.body);
    assert_eq!(redeem(&world, &key, &token(&login)).await.status, StatusCode::NOT_FOUND, "single use");
    assert_eq!(redeem(&world, &key, &before).await.status, StatusCode::NOT_FOUND, "used before the outage");
    let unknown = format!("{}x", &key[..key.len() - 1]);
    assert_eq!(redeem(&world, &unknown, &token(&login)).await.status, StatusCode::UNAUTHORIZED);
    let page = world.browser().get("/b/maple-electric").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "a biller without legacy accounts");
    assert!(page.body.contains("href="), "a way on");
    assert_eq!(world.browser().get("/b/riverside-water").await.status, StatusCode::SEE_OTHER);
    std::fs::write(&file, "hold\n").unwrap();
    let held = world.browser().post("/login", &[("username", "one-legacy")]).await;
    assert_eq!(held.status, StatusCode::SERVICE_UNAVAILABLE, "the kill switch file");
    std::fs::remove_file(&file).unwrap();
    assert!(started.elapsed() < FAST * 8, "{:?} for ten requests", started.elapsed());

    proxy.resume().await;
    wait_for(Duration::from_secs(5), "the database", || async {
        (browser.clone().get("/go/riverside-water").await.status == StatusCode::SEE_OTHER).then_some(())
    })
    .await;
    world.state.consumed_tokens.persist().await.unwrap();
    let stored = signpost::sql!("SELECT count(*) AS value FROM consumed_token WHERE kind = 'handoff'");
    let row = world.state.db.one(stored, Vec::new()).await.unwrap().unwrap();
    assert_eq!(row.int("value").unwrap(), 2, "other instances know what was used in the outage");
}

#[tokio::test]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn short_outage_costs_only_a_wait() {
    let (world, mut proxy) = World::behind_proxy("").await.unwrap();
    let mut browser = signed_in(&world).await;
    proxy.stop().await;
    let waiting = tokio::spawn(async move { browser.get("/go/riverside-water").await.status });
    tokio::task::yield_now().await;
    proxy.resume().await;
    assert_eq!(waiting.await.unwrap(), StatusCode::SEE_OTHER);
}

/// A proxy that stays while its server is away accepts connections and closes them.
#[tokio::test]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn short_outage_behind_a_proxy_costs_only_a_wait() {
    let (world, mut proxy) = World::behind_proxy("").await.unwrap();
    for outage in [Outage::Close, Outage::AnswerNonsense] {
        let mut browser = signed_in(&world).await;
        let mut refused = proxy.accept_without_server(outage).await;
        let waiting = tokio::spawn(async move { browser.get("/go/riverside-water").await.status });
        refused.recv().await.expect("a connection was accepted");
        proxy.resume().await;
        assert_eq!(waiting.await.unwrap(), StatusCode::SEE_OTHER, "{outage:?}");
    }
}

/// As with a commit that waits for a synchronous standby: the server is there, and does not respond.
#[tokio::test]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn customers_get_a_page_while_a_write_waits() {
    let world = World::on_postgres("").await.unwrap();
    let mut browser = world.browser();
    let start = browser.get("/b/riverside-water").await;
    let callback = world.authenticate(&start.location(), "one-moved").await;
    let lock = world.lock_table("session").await;
    let page = browser.get(&callback).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.body.contains("href="), "a way on: {}", page.body);
    lock.rollback().await.unwrap();
    signed_in(&world).await;
}

/// A primary that was demoted, or a full disk of its own.
#[tokio::test]
#[cfg_attr(not(test_postgres), ignore = "SIGNPOST_TEST_POSTGRES is not set")]
async fn customers_are_routed_without_a_database_that_refuses_writes() {
    let world = World::on_postgres("").await.unwrap();
    let mut browser = signed_in(&world).await;
    let start = world.browser().get("/b/riverside-water").await;
    assert!(start.location().starts_with(&world.issuer("riverside-water")), "{}", start.location());
    set_read_only(&world, true).await;
    let write = signpost::sql!("DELETE FROM consumed_token WHERE kind = 'fault'");
    world.state.db.run(write, vec![]).await.unwrap_err();

    let ready = Browser::new(management_router(world.state.clone())).get("/readyz").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE, "{}", ready.body);
    assert!(ready.body.contains(r#""status":"read_only""#), "{}", ready.body);
    assert!(ready.body.contains("writes are refused: it is read-only"), "{}", ready.body);
    let start = world.browser().get("/b/riverside-water").await;
    assert!(start.location().starts_with(LEGACY), "a sign-in could not be completed: {}", start.location());
    assert_eq!(browser.get(VERIFY).await.status, StatusCode::OK, "what is signed in stays signed in");

    set_read_only(&world, false).await;
    world.wait_for_writes().await;
    assert_eq!(Browser::new(management_router(world.state.clone())).get("/readyz").await.status, StatusCode::OK);
    signed_in(&world).await;
}

/// As an administrator does it: for new connections, and by ending the others.
async fn set_read_only(world: &World, is_read_only: bool) {
    let Db::Postgres(postgres) = &world.state.db else { panic!("on PostgreSQL only") };
    let options = (*postgres.pool.connect_options()).clone();
    let database = options.get_database().unwrap().to_owned();
    let server = sqlx::PgPool::connect_with(options.database("postgres")).await.unwrap();
    let alter = format!("ALTER DATABASE \"{database}\" SET default_transaction_read_only = {is_read_only}");
    sqlx::query(sqlx::AssertSqlSafe(alter)).execute(&server).await.unwrap();
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1";
    sqlx::query(end).bind(database).execute(&server).await.unwrap();
}
