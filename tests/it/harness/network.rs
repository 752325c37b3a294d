//! Requests to the stand-ins and to running gateways over the network.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header;
use http_body_util::BodyExt;

#[expect(clippy::disallowed_methods, reason = "a client of the stand-ins")]
fn external_client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

pub(crate) async fn external_get(address: &str) -> (u16, String) {
    let response = external_client().get(address).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// A router that sends each request to a listener, for a [`super::Browser`] over the network.
pub(crate) fn forward(to: SocketAddr) -> Router {
    let client = external_client();
    Router::new().fallback(async move |request: Request| {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let sent = client.request(parts.method, format!("http://{to}{}", parts.uri)).headers(parts.headers).body(body);
        let received = sent.send().await.unwrap();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = received.status();
        response.headers_mut().clone_from(received.headers());
        *response.body_mut() = Body::from(received.bytes().await.unwrap());
        response
    })
}

/// Posts a form and returns the target of the redirect, if the response is one.
pub(crate) async fn external_post(address: &str, fields: &[(String, String)]) -> Option<String> {
    let response = external_client().post(address).form(fields).send().await.unwrap();
    response.headers().get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned())
}

/// Names and values of the hidden form fields of a page.
pub(crate) fn hidden_fields(html: &str) -> Vec<(String, String)> {
    let attribute = |tag: &str, name: &str| {
        let value = tag.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
        Some(
            value
                .replace("&quot;", "\"")
                .replace("&#39;", "'")
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&"),
        )
    };
    html.split("<input")
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap())
        .filter(|tag| tag.contains("\"hidden\""))
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
        .collect()
}
