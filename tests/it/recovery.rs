//! The ways back in: finding a biller by its name.

use http::StatusCode;
use signpost::audit::Action;
use signpost::directory::Biller;

use crate::handoffs;
use crate::harness::{TestResponse, World};

/// The value of a hidden or visible field.
fn field(page: &TestResponse, name: &str) -> String {
    let rest =
        page.body.split(&format!("name=\"{name}\"")).nth(1).unwrap_or_else(|| panic!("no {name}: {}", page.body));
    rest.split("value=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#34;", "\"").replace("&#38;", "&")
}

/// What the other system learns at the end of this redirect.
async fn redeem_handoff(world: &World, address: &str) -> serde_json::Value {
    handoffs::redeem(world, address.split("token=").nth(1).unwrap()).await.unwrap()
}

/// The names that a page lists as places to go to.
fn biller_links(page: &TestResponse) -> Vec<String> {
    let Some(list) = page.body.split("<ul class=\"biller-links\">").nth(1) else { return Vec::new() };
    let list = list.split("</ul>").next().unwrap();
    list.split("</a>")
        .filter_map(|item| item.rsplit_once('>'))
        .map(|(_, name)| name.to_owned())
        .filter(|name| !name.trim().is_empty())
        .collect()
}

#[tokio::test]
async fn chosen_biller_continues_with_the_typed_username() {
    let world = World::start().await;
    let mut browser = world.browser();
    let page = browser.post("/login", &[("username", "two-moved"), ("return_to", "pay")]).await;
    assert!(biller_links(&page).is_empty(), "row 5 names no biller");
    let token = field(&page, "t");
    assert!(!token.contains("two-moved"));

    let found = browser.get(&format!("/recover?q=name+of+mapel+electirc&t={token}")).await;
    assert_eq!((found.status, found.title()), (StatusCode::OK, "Is it one of these billers?"));
    assert_eq!(biller_links(&found)[0], "Maple Electric");
    assert_eq!(
        (field(&found, "q").as_str(), field(&found, "username").as_str()),
        ("name of mapel electirc", "two-moved")
    );
    let start = browser.get(&found.link("Maple Electric")).await;
    assert!(start.location().contains("login_hint=two-moved"), "{}", start.location());
    let callback = world.authenticate(&start.location(), "two-moved").await;
    let portal = browser.get(&callback).await.location();
    let told = redeem_handoff(&world, &portal).await;
    assert_eq!(told["return_to"], "/bills/pay");
}

#[tokio::test]
async fn legacy_biller_is_found_and_leads_to_the_legacy_login() {
    let world = World::start().await;
    let mut browser = world.browser();
    let failed = browser.post("/login", &[("username", "one-legacy")]).await;
    let told = redeem_handoff(&world, &failed.location()).await;
    let page = browser.get(told["recover_url"].as_str().unwrap()).await;
    assert_eq!(page.title(), "We couldn’t sign you in");
    let found = browser.get(&format!("/recover?q=oakdale&t={}", field(&page, "t"))).await;
    let next = browser.get(&found.link("Oakdale City")).await;
    let told = redeem_handoff(&world, &next.location()).await;
    assert_eq!((told["username"].as_str(), told["biller"].as_str()), (Some("one-legacy"), Some("oakdale-city")));
}

#[tokio::test]
async fn search_results_do_not_depend_on_the_username() {
    let world = World::start().await;
    // One query matches every biller, also the private one.
    for biller in world.state.directory.billers().await.unwrap().iter() {
        let rename = |biller: &mut Biller| biller.name = format!("Name of {}", biller.slug);
        let change = (&world.actor(), Action::BillerUpdated);
        world.state.directory.update_biller(&biller.slug, change, rename).await.unwrap();
    }
    let mut answers = std::collections::BTreeSet::new();
    for name in ["nobody", "two-moved", "patient", "one-legacy", "moved-and-legacy"] {
        let mut browser = world.browser();
        let page = browser.post("/login", &[("username", name)]).await;
        let token = match page.status {
            StatusCode::OK => field(&page, "t"),
            _ => {
                let told = redeem_handoff(&world, &page.location()).await;
                field(&browser.get(told["recover_url"].as_str().unwrap()).await, "t")
            }
        };
        answers.insert(biller_links(&browser.get(&format!("/recover?q=name+of&t={token}")).await));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    let found = answers.first().unwrap();
    assert_eq!(found.len(), signpost::directory::MAX_SEARCH_RESULTS);
    assert!(!found.iter().any(|name| name.contains("clinic")), "private: {found:?}");
    let clinic = world.browser().get("/recover?q=name+of+clinic").await;
    assert!(!biller_links(&clinic).iter().any(|name| name.contains("clinic")), "{:?}", biller_links(&clinic));
}

#[tokio::test]
async fn empty_and_unmatched_searches_offer_a_next_step() {
    let world = World::start().await;
    let mut browser = world.browser();
    let none = browser.get("/recover?q=%3Cb%3ETelephone%22&lang=es").await;
    assert_eq!((none.status, none.title()), (StatusCode::OK, "No encontramos ningún facturador con ese nombre"));
    assert!(none.body.contains("value=\"&#60;b&#62;Telephone&#34;\""), "kept: {}", none.body);
    assert!(biller_links(&none).is_empty());
    for next in ["name=\"q\"", "href=\"/reset", "action=\"/login\"", "href=\"#help\""] {
        assert!(none.body.contains(next), "{next}");
    }
    let empty = browser.get("/recover?q=+&lang=en").await;
    assert!(empty.body.contains("<title>Error: ") && empty.body.contains("<a href=\"#biller-name\">Enter your"));
    let long = browser.get(&format!("/recover?q={}", "water+".repeat(1000))).await;
    assert_eq!(long.status, StatusCode::OK);
}
