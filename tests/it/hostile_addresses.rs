//! No address that a request names leads to another host: as a path or a parameter, on every listener.

use http::Request;
use signpost::app::management_router;
use url::Url;

use crate::console::ConsoleHarness;
use crate::harness::{Browser, TestResponse};

const PARAMETERS: [&str; 8] = ["next", "return_to", "state", "h", "t", "lang", "redirect", "iss"];
const PATHS: [&str; 11] = [
    "/",
    "/login",
    "/recover",
    "/reset",
    "/b/riverside-water",
    "/b/RIVERSIDE-WATER",
    "/go/riverside-water",
    "/logout",
    "/sign-in",
    "/callback",
    "/simulate",
];

/// Every address that a response emits: redirects, refreshes, links, forms and resources.
fn emitted(response: &TestResponse) -> Vec<String> {
    let mut found: Vec<String> = vec![response.header("location"), response.header("refresh")]
        .into_iter()
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
        .collect();
    for attribute in ["href=\"", "action=\"", "src=\"", "formaction=\"", "data-events=\"", "data-page=\"", "; url="] {
        let values = response.body.split(attribute).skip(1).filter_map(|rest| rest.split('"').next());
        found.extend(values.map(|value| value.replace("&#38;", "&").replace("&amp;", "&").replace("&#x2F;", "/")));
    }
    found
}

/// Paths that browsers and proxies may read in different ways.
fn hostile_paths() -> Vec<String> {
    let corpus = include_str!("../corpus/redirects.txt").lines().filter(|line| line.starts_with('/'));
    let more = [
        "//evil.example/phish",
        "/%2fevil.example/phish",
        "/%2F/evil.example",
        "/%5cevil.example",
        "/%5Cevil.example",
        "/%252fevil.example",
        "/%255cevil.example",
        "//evil.example/login",
        "//evil.example//b/riverside-water",
        "///",
    ];
    corpus.chain(more).map(str::to_owned).collect()
}

fn check(base: &str, asked: &str, response: &TestResponse) {
    let base = Url::parse(base).unwrap();
    for address in emitted(response) {
        for decoded in
            [address.clone(), percent_encoding::percent_decode_str(&address).decode_utf8_lossy().into_owned()]
        {
            // What stays a query does not choose the host.
            let decoded = if decoded == address { decoded } else { decoded.split('?').next().unwrap().to_owned() };
            let Ok(url) = base.join(&decoded) else { continue };
            let host = url.host_str().unwrap_or_default();
            let is_known = matches!(host, "localhost" | "127.0.0.1" | "pay.riverside.example") || url.scheme() == "tel";
            let is_known = is_known || (url.scheme() == "mailto" && !decoded.contains("evil"));
            assert!(is_known, "{asked:?} is answered with {address:?}, which leads to {url}");
        }
    }
}

async fn ask(browser: &mut Browser, base: &str, address: &str) -> Option<TestResponse> {
    let address: http::Uri = address.parse().ok()?;
    let mut last = None;
    for site in ["cross-site", "same-origin", "none"] {
        let request = Request::get(address.clone()).header("sec-fetch-site", site);
        let response = browser.send(request).await;
        check(base, &address.to_string(), &response);
        last = Some(response);
    }
    last
}

#[tokio::test]
async fn no_request_makes_a_page_or_redirect_lead_elsewhere() {
    let harness = ConsoleHarness::open().await;
    let listeners = [
        ("http://localhost:8080", vec![harness.world.browser()]),
        ("http://localhost:8084", vec![harness.browser(), harness.sign_in("operator").await]),
        ("http://localhost:8086", vec![Browser::new(management_router(harness.world.state.clone()))]),
    ];
    for (base, browsers) in listeners {
        for mut browser in browsers {
            for path in hostile_paths() {
                let Some(response) = ask(&mut browser, base, &path).await else { continue };
                if path.starts_with("//") || path.to_ascii_lowercase().contains("%5c") {
                    assert_eq!(response.status.as_u16(), 404, "{base}{path}");
                }
            }
            for path in PATHS {
                for line in include_str!("../corpus/redirects.txt").lines() {
                    let value: String = form_urlencoded::byte_serialize(line.as_bytes()).collect();
                    let query: Vec<String> = PARAMETERS.iter().map(|name| format!("{name}={value}")).collect();
                    ask(&mut browser, base, &format!("{path}?{}", query.join("&"))).await;
                }
            }
        }
    }
}
