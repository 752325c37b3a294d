//! A browser that calls a router directly, and its responses.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::GATEWAY;

/// A browser with cookies. It does not follow redirects, so that a test sees each response.
#[derive(Clone)]
pub(crate) struct Browser {
    router: Router,
    /// The `Host` header.
    pub host: &'static str,
    /// The `Accept-Language` header.
    pub accept_language: &'static str,
    pub cookies: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct TestResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl TestResponse {
    pub(crate) fn location(&self) -> String {
        let location = self.headers.get(header::LOCATION);
        let location = location.unwrap_or_else(|| panic!("no Location: {} {}", self.status, self.body));
        location.to_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn title(&self) -> &str {
        self.body.split("<h1>").nth(1).and_then(|rest| rest.split("</h1>").next()).unwrap_or_default()
    }

    /// The reference code on the page.
    pub(crate) fn reference(&self) -> String {
        let code = self.body.split("<code>").nth(1).and_then(|rest| rest.split("</code>").next());
        code.unwrap_or_else(|| panic!("no reference code: {}", self.body)).to_owned()
    }

    /// The target of the link with this text.
    pub(crate) fn link(&self, text: &str) -> String {
        let before = self.body.split(text).next().unwrap();
        let href = before.rsplit("href=\"").next().unwrap().split('"').next().unwrap();
        href.replace("&amp;", "&").replace("&#38;", "&")
    }
}

impl Browser {
    pub(crate) fn new(router: Router) -> Self {
        Self { router, host: "localhost:8080", accept_language: "", cookies: BTreeMap::new() }
    }

    pub(crate) async fn get(&mut self, address: &str) -> TestResponse {
        self.send(Request::get(path_and_query(address))).await
    }

    pub(crate) async fn post(&mut self, address: &str, fields: &[(&str, &str)]) -> TestResponse {
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.post_raw(address, body.into_bytes()).await
    }

    pub(crate) async fn post_raw(&mut self, address: &str, body: Vec<u8>) -> TestResponse {
        let request = Request::post(path_and_query(address))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        self.send_with(request, Body::from(body)).await
    }

    pub(crate) async fn send(&mut self, request: http::request::Builder) -> TestResponse {
        self.send_with(request, Body::empty()).await
    }

    pub(crate) async fn send_with(&mut self, request: http::request::Builder, body: Body) -> TestResponse {
        let response = self.send_streaming(request, body).await;
        let (parts, body) = response.into_parts();
        for line in parts.headers.get_all(header::SET_COOKIE) {
            self.store_cookie(line.to_str().unwrap());
        }
        let bytes = body.collect().await.unwrap().to_bytes();
        TestResponse {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Returns as soon as the response begins, for event streams. Ignores cookies of the response.
    pub(crate) async fn send_streaming(&self, mut request: http::request::Builder, body: Body) -> http::Response<Body> {
        if request.headers_ref().is_some_and(|headers| !headers.contains_key(header::HOST)) {
            request = request.header(header::HOST, self.host);
        }
        if !self.accept_language.is_empty() {
            request = request.header(header::ACCEPT_LANGUAGE, self.accept_language);
        }
        if !self.cookies.is_empty() {
            let line: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, line.join("; "));
        }
        self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap()
    }

    fn store_cookie(&mut self, line: &str) {
        let mut parts = line.split("; ");
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).unwrap();
        if value.is_empty() || parts.any(|part| part == "Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// Path and query of an address. Requests to the gateway do not use the network.
fn path_and_query(address: &str) -> String {
    address.strip_prefix(GATEWAY).unwrap_or(address).to_owned()
}
