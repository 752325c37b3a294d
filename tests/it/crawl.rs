//! A visitor who follows everything that a page or another system offers: links, forms, redirects, hand-offs.

use std::collections::BTreeMap;

use http::Request;
use serde_json::Value;
use signpost_core::Purpose;
use url::Url;

use crate::handoffs::redeem;
use crate::harness::{Browser, GATEWAY, LEGACY, MIGRATED, PORTAL, TestResponse, World};

/// So many redirects of ours in a row are a loop.
const MAX_REDIRECTS: usize = 6;

/// Names and values of a form.
type Fields = Vec<(String, String)>;

/// What a browser can ask for, by full addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PageRequest {
    Get(Url),
    Post(Url, Fields),
}

impl PageRequest {
    pub(crate) fn get(address: &str) -> Self {
        Self::Get(Url::parse(GATEWAY).unwrap().join(address).unwrap())
    }

    pub(crate) fn url(&self) -> &Url {
        match self {
            Self::Get(url) | Self::Post(url, _) => url,
        }
    }

    /// Whether it is another system's; billers' hosts are ours.
    pub(crate) fn is_outside(&self) -> bool {
        self.url().host_str() == Some("127.0.0.1")
    }

    /// The biller that the address names.
    pub(crate) fn biller(&self) -> Option<String> {
        let mut parts = self.url().path_segments()?;
        matches!(parts.next()?, "b" | "callback" | "go").then(|| parts.next().map(str::to_owned))?
    }

    /// Query parameters and fields.
    fn values(&self) -> Fields {
        let mut values: Fields = self.url().query_pairs().into_owned().collect();
        if let Self::Post(_, fields) = self {
            values.extend(fields.iter().cloned());
        }
        values
    }

    /// The same with one value changed.
    fn with(&self, at: usize, changed: &str) -> Self {
        let mut pairs: Fields = self.url().query_pairs().into_owned().collect();
        let mut url = self.url().clone();
        let mut fields = match self {
            Self::Get(_) => Vec::new(),
            Self::Post(_, fields) => fields.clone(),
        };
        if let Some(pair) = pairs.get_mut(at) {
            pair.1 = changed.to_owned();
        } else {
            fields[at - pairs.len()].1 = changed.to_owned();
        }
        url.set_query(None);
        if !pairs.is_empty() {
            url.query_pairs_mut().extend_pairs(&pairs);
        }
        match self {
            Self::Get(_) => Self::Get(url),
            Self::Post(..) => Self::Post(url, fields),
        }
    }

    /// With each sealed token changed in a byte at several places, and cut off as mail programs do.
    pub(crate) fn tampered(&self) -> Vec<Self> {
        let mut changed = Vec::new();
        for (at, (_, value)) in self.values().iter().enumerate().filter(|(_, (_, value))| is_sealed(value)) {
            for place in [0, 2, value.len() / 2, value.len() - 2] {
                let mut bytes = value.clone().into_bytes();
                bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
                changed.push(self.with(at, &String::from_utf8(bytes).unwrap()));
            }
            changed.push(self.with(at, &value[..value.len() / 2]));
        }
        changed
    }

    /// What it is, without what differs each time: tokens as what they hold.
    pub(crate) fn shape(&self, world: &World) -> String {
        let values = self.values().into_iter().map(|(name, value)| {
            let shown = if is_sealed(&value) { content(world, self, &value) } else { value };
            format!("{name}={shown}")
        });
        let method = if matches!(self, Self::Get(_)) { "GET" } else { "POST" };
        let host = self.url().host_str().unwrap();
        format!("{method} {host}{} {}", self.url().path(), values.collect::<Vec<_>>().join(" "))
    }
}

pub(crate) fn is_sealed(value: &str) -> bool {
    value.len() > 60 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// What a token holds, but ids, times and codes.
fn content(world: &World, ask: &PageRequest, token: &str) -> String {
    let slug = ask.biller().unwrap_or_default();
    let contexts = [
        (Purpose::LoginHint, slug.as_str()),
        (Purpose::FormPostResponse, slug.as_str()),
        (Purpose::OAuthState, ""),
        (Purpose::Recovery, ""),
        (Purpose::ErrorPage, ""),
        (Purpose::Logout, ""),
        (Purpose::LegacyHandoff, ""),
    ];
    let opened = contexts.iter().find_map(|(purpose, context)| open(world, *purpose, context, token));
    let mut value = opened.unwrap_or_else(|| panic!("a token of no kind that is known here: {ask:?}"));
    // An error page is what it says, not when it said so.
    for part in ["", "/flow"] {
        if let Some(fields) = value.pointer_mut(part).and_then(Value::as_object_mut) {
            fields.retain(|name, _| {
                !matches!(name.as_str(), "id" | "at" | "reference" | "authorization_request_id" | "links")
            });
        }
    }
    value.to_string()
}

pub(crate) fn open(world: &World, purpose: Purpose, context: &str, token: &str) -> Option<Value> {
    world.state.keys.open(purpose, context, token).ok()
}

/// Where an address leads at last.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A page of ours, and its address.
    Page(Url, Box<TestResponse>),
    /// Another system.
    Outside(Url),
}

/// Asks, and follows the redirects that stay with us. Panics at a loop.
pub(crate) async fn follow(browser: &mut Browser, ask: &PageRequest) -> Outcome {
    follow_with_redirects(browser, ask).await.0
}

/// The same, with the addresses that redirects lead to.
pub(crate) async fn follow_with_redirects(browser: &mut Browser, ask: &PageRequest) -> (Outcome, Vec<Url>) {
    if ask.is_outside() {
        return (Outcome::Outside(ask.url().clone()), Vec::new());
    }
    let (mut url, mut answer) = (ask.url().clone(), send(browser, ask).await);
    let mut seen = vec![url.clone()];
    while answer.status.is_redirection() {
        url = url.join(&answer.location()).unwrap();
        if url.origin().ascii_serialization() != GATEWAY {
            return (Outcome::Outside(url), seen.split_off(1));
        }
        assert!(!seen.contains(&url) && seen.len() <= MAX_REDIRECTS, "a loop: {seen:?} {url}");
        seen.push(url.clone());
        answer = send(browser, &PageRequest::Get(url.clone())).await;
    }
    (Outcome::Page(url, Box::new(answer)), seen.split_off(1))
}

async fn send(browser: &mut Browser, ask: &PageRequest) -> TestResponse {
    let url = ask.url();
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    match ask {
        PageRequest::Get(_) => browser.send(Request::get(target).header("host", host)).await,
        PageRequest::Post(_, fields) => {
            let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            browser.post_raw(target, body.into_bytes()).await
        }
    }
}

/// A part of a page.
pub(crate) fn part<'p>(page: &'p TestResponse, name: &str) -> &'p str {
    let inside = page.body.split(&format!("<{name}")).nth(1).unwrap_or_default();
    inside.split(&format!("</{name}>")).next().unwrap()
}

/// Everything that can be clicked or sent in a part of a page. Text fields that are empty are filled with `typed`.
pub(crate) fn steps(base: &Url, html: &str, typed: &str) -> Vec<PageRequest> {
    let mut found = Vec::new();
    let mut form: Option<(Url, bool, Fields)> = None;
    for (name, attributes) in tags(html) {
        let attribute = |name: &str| attributes.get(name).cloned();
        match name.as_str() {
            "a" => {
                let href = attribute("href").unwrap();
                if !(href.starts_with('#') || href.starts_with("tel:") || href.starts_with("mailto:")) {
                    found.push(PageRequest::Get(base.join(&href).unwrap()));
                }
            }
            "form" => {
                let action = base.join(&attribute("action").unwrap()).unwrap();
                form = Some((action, attribute("method").as_deref() == Some("post"), Vec::new()));
            }
            "input" => {
                let Some((_, _, fields)) = &mut form else { panic!("an input outside of a form") };
                let mut value = attribute("value").unwrap_or_default();
                if value.is_empty() && attribute("type").as_deref() == Some("text") {
                    // A biller is searched for by its name, everything else is about the person.
                    let is_search = attribute("name").as_deref() == Some("q") && !typed.is_empty();
                    value = if is_search { "riverside" } else { typed }.to_owned();
                }
                fields.push((attribute("name").unwrap(), value));
            }
            "/form" => {
                let (mut action, is_post, fields) = form.take().unwrap();
                if !is_post {
                    action.set_query(None);
                    action.query_pairs_mut().extend_pairs(&fields);
                }
                found.push(if is_post { PageRequest::Post(action, fields) } else { PageRequest::Get(action) });
            }
            _ => {}
        }
    }
    found
}

/// What a page cannot do without: stylesheets and pictures.
pub(crate) fn resources(base: &Url, page: &TestResponse) -> Vec<PageRequest> {
    let wanted = tags(&page.body).into_iter().filter_map(|(name, attributes)| match name.as_str() {
        "link" => attributes.get("href").cloned(),
        "img" => attributes.get("src").cloned(),
        _ => None,
    });
    wanted.map(|address| PageRequest::Get(base.join(&address).unwrap())).collect()
}

fn tags(html: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let tags = html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap());
    tags.map(|tag| {
        let (name, mut rest) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        let mut attributes = BTreeMap::new();
        while let Some((name, after)) = rest.split_once("=\"") {
            let (value, after) = after.split_once('"').unwrap();
            let name = name.split_whitespace().last().unwrap().to_owned();
            attributes.insert(name, unescape(value));
            rest = after;
        }
        (name.to_owned(), attributes)
    })
    .collect()
}

fn unescape(text: &str) -> String {
    let pairs = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

/// What somebody who is handed over takes along, and where another system may send them next.
#[derive(Debug, Default)]
pub(crate) struct HandoffOutcome {
    pub biller: Option<String>,
    pub return_to: Option<String>,
    /// With the return target.
    pub back: Vec<PageRequest>,
    /// Addresses of a new visit.
    pub anew: Vec<PageRequest>,
}

/// Plays the other systems.
pub(crate) async fn play_handoff(world: &World, url: &Url, name: &str) -> HandoffOutcome {
    let parameter = |name: &str| url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned());
    let text = |value: &Value, field: &str| value[field].as_str().map(str::to_owned);
    let origin = url.origin().ascii_serialization();
    if origin == LEGACY || origin == PORTAL {
        let token = parameter("token").unwrap();
        let purpose = if origin == LEGACY { Purpose::LegacyHandoff } else { Purpose::PortalHandoff };
        let held = open(world, purpose, "", &token).unwrap();
        let biller = text(&held, "biller");
        let redeemed = redeem(world, &token).await;
        let recover = redeemed.and_then(|redeemed| text(&redeemed, "recover_url"));
        let anew = match (&biller, origin == PORTAL) {
            (Some(slug), true) => vec![PageRequest::get("/"), PageRequest::get(&format!("/logout?biller={slug}"))],
            _ => vec![PageRequest::get("/login")],
        };
        return HandoffOutcome {
            biller,
            return_to: text(&held, "return_to"),
            back: recover.iter().map(|address| PageRequest::get(address)).collect(),
            anew,
        };
    }
    assert_eq!(origin, world.issuer_base, "{url}");
    if let Some(back) = parameter("post_logout_redirect_uri") {
        let mut back = Url::parse(&back).unwrap();
        back.query_pairs_mut().append_pair("state", &parameter("state").unwrap());
        return HandoffOutcome { anew: vec![PageRequest::Get(back)], ..HandoffOutcome::default() };
    }
    let state = parameter("state").unwrap();
    let held = open(world, Purpose::OAuthState, "", &state).unwrap();
    let slug = text(&held, "slug").unwrap();
    let mut back = vec![PageRequest::get(&format!("/callback/{slug}?error=access_denied&state={state}"))];
    // Whom the issuer knows.
    if MIGRATED.contains(&slug.as_str()) && ["one-moved", "moved-and-legacy", "two-moved", "patient"].contains(&name) {
        back.push(PageRequest::get(&world.authenticate(url.as_str(), name).await));
    }
    HandoffOutcome { biller: Some(slug), return_to: text(&held["flow"], "return_to"), back, anew: Vec::new() }
}
