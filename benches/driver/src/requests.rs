//! The operations that are measured.

use crate::Party;
use crate::http::{Client, Cookies, Message};
use crate::provider::{Provider, parameters};

type Outcome = Result<(), String>;

/// How many redirects a relying party may send before it reaches the provider or its page.
const MAX_REDIRECTS: usize = 5;

/// An authorization request that reached the provider.
pub struct Started {
    cookies: Cookies,
    query: String,
}

/// Where a redirect leads on the same host.
fn local_path(location: &str, host: &str) -> Option<String> {
    if location.starts_with('/') {
        return Some(location.to_owned());
    }
    let (found, path) = location.strip_prefix("http://")?.split_once('/')?;
    (found == host).then(|| format!("/{path}"))
}

fn get(client: &mut Client, path: &str, cookies: &mut Cookies) -> Result<Message, String> {
    client.send(&format!("GET {path}"), cookies, "", None).map_err(|error| format!("GET {path}: {error}"))
}

fn refused(what: &str, response: &Message) -> String {
    let body: String = response.body.chars().take(200).collect();
    format!("{what}: {} {} {body}", response.status(), response.header("location").unwrap_or_default())
}

/// Follows the start of a sign-in to the provider's authorization endpoint.
pub fn start(client: &mut Client, path: &str, issuer: &str) -> Result<Started, String> {
    let (mut cookies, mut path) = (Cookies::new(), path.to_owned());
    for _ in 0..MAX_REDIRECTS {
        let response = get(client, &path, &mut cookies)?;
        let location = response.header("location").unwrap_or_default();
        if let Some(request) = location.strip_prefix(issuer) {
            let query = request.split_once('?').map_or("", |(_, query)| query).to_owned();
            return Ok(Started { cookies, query });
        }
        path = local_path(location, &client.host).ok_or_else(|| refused("start", &response))?;
    }
    Err("start: too many redirects".to_owned())
}

/// A sign-in to its end: a page of the relying party, or a handoff that the portal redeems with its API key.
pub fn sign_in(client: &mut Client, party: &Party, provider: &Provider) -> Result<Cookies, String> {
    let Started { mut cookies, query } = start(client, &party.start, &provider.issuer)?;
    let request = parameters(&query);
    let callback = request.get("redirect_uri").and_then(|uri| local_path(uri, &client.host));
    let callback = callback.ok_or_else(|| format!("the redirect URI is not at {}", client.host))?;
    let mut answer = form_urlencoded::Serializer::new(String::new());
    answer.append_pair("code", &provider.authorize(&request));
    answer.append_pair("state", request.get("state").map_or("", String::as_str));
    let mut path = format!("{callback}?{}", answer.finish());
    for _ in 0..MAX_REDIRECTS {
        let response = get(client, &path, &mut cookies)?;
        if response.status() == 200 {
            return Ok(cookies);
        }
        let location = response.header("location").unwrap_or_default();
        if let (Some(key), Some((_, query))) = (&party.portal_key, location.split_once('?'))
            && let Some(token) = parameters(query).get("token")
        {
            redeem(client, token, key)?;
            return Ok(cookies);
        }
        path = local_path(location, &client.host).ok_or_else(|| refused("callback", &response))?;
    }
    Err("callback: too many redirects".to_owned())
}

fn redeem(client: &mut Client, token: &str, key: &str) -> Outcome {
    let body = serde_json::json!({ "token": token }).to_string();
    let more = format!("Content-Type: application/json\r\nAuthorization: Bearer {key}\r\n");
    let response = client.send("POST /api/v1/handoffs/redeem", &mut Cookies::new(), &more, Some(&body));
    let response = response.map_err(|error| format!("redeem: {error}"))?;
    if response.status() == 200 { Ok(()) } else { Err(refused("redeem", &response)) }
}

/// A page that needs no sign-in, or one of a signed-in browser.
pub fn page(client: &mut Client, path: &str, cookies: &Cookies) -> Outcome {
    let response = get(client, path, &mut cookies.clone())?;
    if response.status() < 300 { Ok(()) } else { Err(refused(path, &response)) }
}

/// The login form with a username.
pub fn look_up(client: &mut Client, path: &str, username: &str) -> Outcome {
    let body = format!("username={username}");
    let more = "Content-Type: application/x-www-form-urlencoded\r\n";
    let response = client.send(&format!("POST {path}"), &mut Cookies::new(), more, Some(&body));
    let response = response.map_err(|error| format!("POST {path}: {error}"))?;
    if response.status() < 400 { Ok(()) } else { Err(refused(path, &response)) }
}
