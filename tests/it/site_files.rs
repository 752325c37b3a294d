//! Files at fixed paths.

use http::{Request, StatusCode};

use crate::harness::World;

#[tokio::test]
async fn crawlers_and_browsers_find_their_files_on_every_host() {
    let world = World::start().await;
    for host in ["localhost:8080", "pay.riverside.example"] {
        let mut browser = world.browser();
        browser.host = host;
        let robots = browser.get("/robots.txt").await;
        assert_eq!((robots.status, &*robots.body), (StatusCode::OK, "User-agent: *\nDisallow: /\n"), "{host}");
        assert_eq!(robots.header("content-type"), "text/plain; charset=utf-8");
        // Browsers load it as an image, not by a navigation.
        let icon = browser.send(Request::get("/favicon.ico").header("sec-fetch-dest", "image")).await;
        assert_eq!((icon.status, icon.header("content-type")), (StatusCode::OK, "image/vnd.microsoft.icon"), "{host}");
        assert!(icon.body.contains("PNG"), "an image");
        for path in ["/apple-touch-icon.png", "/apple-touch-icon-precomposed.png"] {
            let icon = browser.send(Request::get(path).header("sec-fetch-dest", "image")).await;
            assert_eq!((icon.status, icon.header("content-type")), (StatusCode::OK, "image/png"), "{host}{path}");
            assert!(icon.body.contains("PNG"), "an image");
        }
    }
    let mut foreign = world.browser();
    foreign.host = "evil.example";
    assert_eq!(foreign.get("/robots.txt").await.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn security_txt_has_the_contacts_of_the_settings() {
    let world = World::start().await;
    let found = world.browser().get("/.well-known/security.txt").await;
    assert_eq!((found.status, found.header("content-type")), (StatusCode::OK, "text/plain; charset=utf-8"));
    assert_eq!(
        found.body,
        "Contact: mailto:security@example-pay.example\nContact: https://example-pay.example/security\n\
         Expires: 2027-06-30T00:00:00Z\nPolicy: https://example-pay.example/policy\nPreferred-Languages: en, es\n\
         Canonical: http://localhost:8080/.well-known/security.txt\n"
    );
    let mut config = (*world.state.config).clone();
    config.security_txt = signpost::config::SecurityTxt::default();
    let state = world.state.with(|services| services.config = config.into());
    let mut without = crate::harness::Browser::new(signpost::app::router(state));
    assert_eq!(without.get("/.well-known/security.txt").await.status, StatusCode::NOT_FOUND);
}
