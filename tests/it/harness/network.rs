//! Requests to the stand-ins over the network.

use http::header;

#[expect(clippy::disallowed_methods, reason = "a client of the stand-ins")]
fn external_client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

pub(crate) async fn external_get(address: &str) -> (u16, String) {
    let response = external_client().get(address).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
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
