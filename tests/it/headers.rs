//! Headers and cookies, on every route and status.

use http::{Method, Request, StatusCode};

use crate::harness::World;
use crate::routes::gateway_paths;
use signpost_core::routes::{self, Audience, ErrorFormat};

/// Paths besides those of the route table.
const MORE_PATHS: [&str; 7] = [
    "/b/oakdale-city",
    "/b/none",
    "/b/cedar-county",
    "/callback/none",
    "/nope",
    "/api/v1/nothing",
    "/old/login.aspx?biller=1",
];

#[tokio::test]
async fn every_response_has_security_headers() {
    let world = World::start().await;
    let mut statuses = std::collections::BTreeSet::new();
    let methods = [Method::GET, Method::POST, Method::HEAD, Method::PUT, Method::DELETE];
    let listed = gateway_paths().into_iter().map(|(_, path)| path);
    for path in listed.chain(MORE_PATHS.map(str::to_owned)) {
        for method in &methods {
            for body in ["username=one-moved", "%zz"] {
                let request = Request::builder()
                    .method(method)
                    .uri(&path)
                    .header("host", "localhost:8080")
                    .header("content-type", "application/x-www-form-urlencoded");
                let answer = world.browser().send_with(request, body.into()).await;
                statuses.insert(answer.status.as_u16());
                let what = format!("{method} {path}: {}", answer.status);
                let csp = answer.header("content-security-policy");
                assert!(csp.starts_with("default-src 'none'") && csp.contains("frame-ancestors 'none'"), "{what}");
                assert!(!csp.contains("script-src") && !csp.contains("unsafe"), "{what}");
                assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
                let is_page = answer.header("content-type").starts_with("text/html");
                let cache_control = match routes::find(&path).map(|route| route.audience) {
                    Some(Audience::Asset) if answer.status.is_success() => "public, max-age=31536000, immutable",
                    Some(Audience::Crawler) if answer.status.is_success() => "public, max-age=86400",
                    _ if is_page && method == Method::POST => "private, no-cache",
                    _ => "no-store",
                };
                assert_eq!(answer.header("cache-control"), cache_control, "{what}");
                assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{what}");
                assert!(["same-origin", "no-referrer"].contains(&answer.header("referrer-policy")), "{what}");
                assert!(answer.headers.get("server").is_none() && answer.headers.get("x-powered-by").is_none());
                assert!(!answer.status.is_server_error() || answer.status == StatusCode::SERVICE_UNAVAILABLE, "{what}");
                if is_page {
                    assert_eq!(answer.header("x-frame-options"), "DENY", "{what}");
                    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{what}");
                }
                if answer.status.is_client_error() {
                    let expected = match routes::error_format(&path) {
                        ErrorFormat::Problem => "application/problem+json",
                        ErrorFormat::Page => "text/html; charset=utf-8",
                    };
                    assert_eq!(answer.header("content-type"), expected, "{what}");
                }
                if method == Method::POST && answer.status.is_redirection() {
                    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{what}");
                }
            }
        }
    }
    for status in [200, 303, 400, 401, 404, 405, 503] {
        assert!(statuses.contains(&status), "no answer had the status {status}: {statuses:?}");
    }
}

#[tokio::test]
async fn cookies_have_the_host_prefix_and_attributes() {
    let world = World::start().await;
    let mut browser = world.browser();
    let start = browser.get("/b/riverside-water").await;
    let callback = world.authenticate(&start.location(), "one-moved").await;
    let done = browser.get(&callback).await;
    let out = browser.post("/logout", &[("biller", "riverside-water")]).await;
    let mut seen = 0;
    for answer in [start, done, out] {
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().unwrap();
            seen += 1;
            for part in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
                assert!(line.split("; ").any(|p| p == part), "{part} is missing: {line}");
            }
            assert!(line.starts_with("__Host-") && !line.contains("Domain") && line.len() < 1024, "{line}");
        }
    }
    assert!(seen >= 4, "{seen} cookie lines were seen");
}

#[tokio::test]
async fn form_action_lists_the_pages_own_targets() {
    let world = World::start().await;
    let mut browser = world.browser();
    let form_action = |answer: &crate::harness::TestResponse| {
        let csp = answer.header("content-security-policy").to_owned();
        csp.split("form-action ").nth(1).unwrap().split(';').next().unwrap().to_owned()
    };
    assert_eq!(form_action(&browser.get("/login").await), "'self' http://127.0.0.1:9992");
    assert_eq!(form_action(&browser.get("/reset").await), "'self'");
    assert_eq!(form_action(&browser.get("/help").await), "'none'");
    world.sign_in(&mut browser, "riverside-water", "one-moved").await;
    assert_eq!(form_action(&browser.get("/logout").await), format!("'self' {}", world.issuer_base));
}

#[tokio::test]
async fn static_files_are_immutable_and_the_login_page_is_light() {
    let world = World::start().await;
    let mut browser = world.browser();
    let page = browser.get("/login").await;
    let path = page.body.split("href=\"/static/").nth(1).unwrap().split('"').next().unwrap();
    let sheet = browser.get(&format!("/static/{path}")).await;
    assert_eq!(sheet.header("cache-control"), "public, max-age=31536000, immutable");
    assert!(page.body.len() + sheet.body.len() < 14 * 1024, "{} + {} bytes", page.body.len(), sheet.body.len());
    assert!(!page.body.contains("<script") && !page.body.contains("type=\"password\""));
}
