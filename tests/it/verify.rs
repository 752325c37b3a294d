//! `/auth/verify`: what a reverse proxy learns.

use http::{Request, StatusCode};
use signpost::sql;

use crate::harness::{TestResponse, World, each_database, slug};

const HEADERS: [&str; 4] = ["x-signpost-user", "x-signpost-biller", "x-signpost-subject", "x-signpost-auth-time"];

fn assert_no_identity_headers(answer: &TestResponse) {
    for name in HEADERS {
        assert!(answer.headers.get(name).is_none(), "{name}");
    }
}

#[tokio::test]
async fn verify_accepts_sessions_of_that_biller_only() {
    each_database(|world| async move {
        let mut browser = world.browser();
        world.sign_in(&mut browser, "riverside-water", "one-moved").await;
        let passed = browser.get("/auth/verify?biller=riverside-water").await;
        assert_eq!((passed.status, passed.body.as_str()), (StatusCode::OK, ""));
        assert_eq!((passed.header(HEADERS[0]), passed.header(HEADERS[1])), ("one-moved", "riverside-water"));
        assert!(!passed.header(HEADERS[2]).is_empty());
        passed.header(HEADERS[3]).parse::<i64>().unwrap();
        assert_eq!(passed.header("cache-control"), "no-store");
        for path in [
            "/auth/verify",
            "/auth/verify?biller=",
            "/auth/verify?biller=maple-electric",
            "/auth/verify?biller=nobody-here",
            "/auth/verify?biller=riverside-water&biller=riverside-water",
        ] {
            let refused = browser.get(path).await;
            assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path}");
            assert_no_identity_headers(&refused);
        }
        assert_eq!(world.browser().get("/auth/verify?biller=riverside-water").await.status, StatusCode::UNAUTHORIZED);
    })
    .await;
}

#[tokio::test]
async fn header_values_are_percent_encoded() {
    let world = World::start().await;
    let mut browser = world.browser();
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    let sql = sql!("UPDATE biller_session SET details = replace(details, 'one-moved', 'Zoë 100%')");
    world.state.db.run(sql, Vec::new()).await.unwrap();
    let passed = browser.get("/auth/verify?biller=riverside-water").await;
    assert_eq!(passed.header(HEADERS[0]), "Zo%C3%AB 100%25");
}

#[tokio::test]
async fn client_supplied_identity_headers_are_ignored() {
    let world = World::start().await;
    let mut request = Request::get("/auth/verify?biller=riverside-water").header("host", "signpost:8080");
    for name in HEADERS {
        request = request.header(name, "admin");
    }
    let refused = world.browser().send(request).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_no_identity_headers(&refused);
}

#[tokio::test]
async fn verify_can_redirect_to_sign_in() {
    let world = World::start().await;
    // As Traefik's forwardAuth asks: under its own name for us, with the first request in these headers.
    let asked = |uri: &str, query: &str| {
        Request::get(format!("/auth/verify?{query}"))
            .header("host", "signpost.internal:8080")
            .header("x-forwarded-method", "GET")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-uri", uri)
            .header("x-forwarded-for", "203.0.113.7")
    };
    for (uri, target) in [
        ("/bills/7?x=1", "http://localhost:8080/b/riverside-water?return_to=%2Fbills%2F7%3Fx%3D1"),
        ("/bills/7?x=%2f%2fevil.example", "http://localhost:8080/b/riverside-water?return_to=%2Fbills%2F7"),
        ("/admin", "http://localhost:8080/b/riverside-water"),
        ("//evil.example/bills", "http://localhost:8080/b/riverside-water"),
        ("https://evil.example/bills", "http://localhost:8080/b/riverside-water"),
    ] {
        let answer = world.browser().send(asked(uri, "biller=riverside-water&redirect=1")).await;
        assert_eq!((answer.status, answer.location().as_str()), (StatusCode::SEE_OTHER, target), "{uri}");
    }
    let unknown = world.browser().send(asked("/bills", "biller=nobody-here&redirect=1")).await;
    assert_eq!(unknown.status, StatusCode::UNAUTHORIZED);
    let mut browser = world.browser();
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    let passed = browser.send(asked("/bills/7", "biller=riverside-water&redirect=1")).await;
    assert_eq!((passed.status, passed.header(HEADERS[0])), (StatusCode::OK, "one-moved"));
}

#[tokio::test]
async fn sessions_end_by_biller_user_and_sid() {
    use signpost::sessions::SessionFilter;
    each_database(|world| async move {
        let riverside = world.state.directory.biller_by_slug(&slug("riverside-water")).await.unwrap().unwrap();
        let (mut one, mut two) = (world.browser(), world.browser());
        world.sign_in(&mut one, "riverside-water", "one-moved").await;
        world.sign_in(&mut two, "riverside-water", "two-moved").await;
        let status = async |browser: &mut crate::harness::Browser| {
            browser.get("/auth/verify?biller=riverside-water").await.status.as_u16()
        };
        let user = signpost_core::Username::parse("one-moved").unwrap();
        let user = world.state.directory.user_by_username(&riverside.id, &user).await.unwrap().unwrap();
        let sessions = &world.state.biller_sessions;
        assert_eq!(sessions.end(&riverside.id, SessionFilter::User(&user.id)).await.unwrap(), 1);
        assert_eq!((status(&mut one).await, status(&mut two).await), (401, 200));
        assert_eq!(sessions.end(&riverside.id, SessionFilter::All).await.unwrap(), 1);
        assert_eq!(status(&mut two).await, 401);
    })
    .await;
}

/// A row that another version has written, for example.
#[tokio::test]
async fn unreadable_session_is_not_a_session_without_a_name() {
    each_database(|world| async move {
        let mut browser = world.browser();
        world.sign_in(&mut browser, "riverside-water", "one-moved").await;
        world.state.db.run(sql!("UPDATE biller_session SET details = 'nonsense'"), Vec::new()).await.unwrap();
        world.state.biller_sessions.verified.clear();
        let answer = browser.get("/auth/verify?biller=riverside-water").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_no_identity_headers(&answer);
    })
    .await;
}
