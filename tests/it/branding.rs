//! How billers' pages look: their colours, which can be read, their logo, and what they write in their own words.

use http::{Request, StatusCode};
use serde_json::{Value, json};
use signpost::access::Scope;
use signpost::directory::import_billers;
use signpost_core::Colour;

use crate::billers_api::ApiClient;
use crate::harness::{World, each_database};

const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const PLACE: &str = "/api/v1/billers/riverside-water";

async fn crm(world: &World) -> ApiClient {
    ApiClient::new(world, &[Scope::BillersRead, Scope::BillersWrite], None).await
}

fn branding() -> Value {
    json!({ "branding": { "accent": "#1d4e89", "accent_dark": "#8fbdf0", "logo": PNG } })
}

/// The address in a page that looks like this.
fn address(page: &str, like: &str) -> Option<String> {
    page.split('"').find(|text| text.starts_with("/b/") && text.contains(like)).map(str::to_owned)
}

#[tokio::test]
async fn branding_applies_to_the_billers_own_pages_only() {
    each_database(|world| async move {
        let crm = crm(&world).await;
        let (status, made) = crm.send("PATCH", PLACE, &branding()).await;
        assert_eq!((status, &made["branding"]["accent"]), (StatusCode::OK, &json!("#1d4e89")), "{made}");
        assert!(!made.to_string().contains(PNG), "where it is, not all of it");

        let mut browser = world.browser();
        let notice = browser.post("/login", &[("username", "one-moved")]).await;
        let colours = address(&notice.body, "/brand/colours.").unwrap();
        let logo = address(&notice.body, "/brand/logo.").unwrap();
        assert_eq!(made["branding"]["logo"]["url"], json!(logo));
        for path in ["/b/riverside-water/reset", "/help?biller=riverside-water"] {
            assert!(browser.get(path).await.body.contains(&colours), "{path}");
        }
        for path in ["/login", "/recover?q=riverside", "/help", "/b/maple-electric/reset"] {
            assert_eq!(address(&browser.get(path).await.body, "/brand/"), None, "{path}");
        }
        let sheet = browser.get(&colours).await;
        assert_eq!(sheet.header("content-type"), "text/css; charset=utf-8");
        assert!(sheet.body.contains("--accent:#1d4e89") && sheet.body.contains("--accent:#8fbdf0"), "{}", sheet.body);
        let picture = browser.get(&logo).await;
        assert_eq!(picture.header("content-type"), "image/png");
        for answer in [&sheet, &picture] {
            assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert!(answer.headers.get("set-cookie").is_none() && answer.header("vary").is_empty());
        }
        let again = Request::get(&colours).header("if-none-match", format!("W/{}, \"x\"", sheet.header("etag")));
        let again = browser.send(again).await;
        assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
        let weight = notice.body.len() + sheet.body.len() + browser.get(&stylesheet(&notice.body)).await.body.len();
        assert!(weight <= 14 * 1024, "{weight} bytes, uncompressed");

        // Another colour is another address; the old one still answers, with what is there now.
        let change = json!({ "branding": { "accent": "#7a1fa2" } });
        assert_eq!(crm.send("PATCH", PLACE, &change).await.0, StatusCode::OK);
        let page = browser.get("/b/riverside-water/reset").await;
        assert_ne!(address(&page.body, "/brand/colours.").unwrap(), colours);
        assert_eq!(address(&page.body, "/brand/logo.").unwrap(), logo, "what is left out stays");
        let old = browser.get(&colours).await;
        assert!(old.body.contains("#7a1fa2") && old.header("cache-control") == "no-cache", "{}", old.body);
        assert_eq!(
            crm.send("PATCH", PLACE, &json!({ "branding": { "logo": "" } })).await.1["branding"]["logo"],
            json!(null)
        );
        assert_eq!(browser.get(&logo).await.status, StatusCode::NOT_FOUND);
        assert_eq!(crm.send("PATCH", PLACE, &json!({ "branding": {} })).await.1["branding"]["accent"], json!(null));
        assert_eq!(browser.get(&colours).await.status, StatusCode::NOT_FOUND);
        for path in ["/b/nobody/brand/colours.x.css", "/b/riverside-water/brand/x", "/b/UP/brand/logo.x.png"] {
            assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
        }
    })
    .await;
}

fn stylesheet(page: &str) -> String {
    page.split('"').find(|text| text.starts_with("/static/signpost")).unwrap().to_owned()
}

#[tokio::test]
async fn unreadable_colours_and_invalid_logos_are_rejected_with_advice() {
    let world = World::start().await;
    let crm = crm(&world).await;
    for (branding, pointer, says) in [
        (json!({ "accent": "#ffcc00", "accent_dark": "#8fbdf0" }), "#/branding/accent", "1.51:1 and need 4.5:1"),
        (json!({ "accent": "#1d4e89", "accent_dark": "#1d4e89" }), "#/branding/accent_dark", "would do"),
        (json!({ "accent": "#1d4e89" }), "#/branding/accent_dark", "dark pages"),
        (json!({ "accent": "red", "accent_dark": "#8fbdf0" }), "#/branding/accent", "#rrggbb"),
        (json!({ "logo": "PHN2Zy8+" }), "#/branding/logo", "PNG"),
        (json!({ "logo": { "file": "/etc/passwd" } }), "#/branding/logo", "base64"),
        (json!({ "colour": "#1d4e89" }), "#/branding/colour", "unknown field"),
    ] {
        let (status, problem) = crm.send("PATCH", PLACE, &json!({ "branding": branding })).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{branding}");
        let errors = problem["errors"].as_array().unwrap();
        let error = errors.iter().find(|error| error["pointer"] == pointer).unwrap_or_else(|| panic!("{problem}"));
        assert!(error["detail"].as_str().unwrap().contains(says), "{error}");
    }
    assert_eq!(crm.get(PLACE).await.1["branding"]["accent"], json!(null), "nothing was saved");
}

#[tokio::test]
async fn biller_file_can_reference_a_logo_file() {
    let world = World::start().await;
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, PNG).unwrap();
    let picture = world.folder.path().join("logo.png");
    std::fs::write(&picture, bytes).unwrap();
    let row = |file: &str| {
        format!(
            "[[billers]]\nslug = \"maple-electric\"\nbranding = {{ accent = \"#1d4e89\", accent_dark = \"#8fbdf0\", logo = {{ file = {file:?} }} }}\n"
        )
    };
    world.import_billers(&row(picture.to_str().unwrap())).await;
    let page = world.browser().get("/b/maple-electric/reset").await;
    assert!(address(&page.body, "/brand/logo.").is_some());
    let missing = import_billers::parse(&row("/nowhere/logo.png"), false).unwrap();
    assert!(!missing.is_empty(), "it is read when it is imported");
}

/// The grounds that colours are measured against are those of the stylesheet.
#[tokio::test]
async fn contrast_is_checked_against_the_stylesheet_colours() {
    let world = World::start().await;
    let page = world.browser().get("/login").await;
    let sheet = world.browser().get(&stylesheet(&page.body)).await.body;
    let (light, dark) = sheet.split_once("prefers-color-scheme: dark").unwrap();
    let ground = |css: &str, name: &str| -> Colour {
        let value = css.split(&format!("--{name}: ")).nth(1).unwrap().split(';').next().unwrap();
        let value = if value.len() == 4 {
            value.chars().flat_map(|c| if c == '#' { vec![c] } else { vec![c, c] }).collect()
        } else {
            value.to_owned()
        };
        value.parse().unwrap()
    };
    let crm = crm(&world).await;
    let refused = json!({ "branding": { "accent": "#fefefe", "accent_dark": "#010101" } });
    let body = crm.send("PATCH", PLACE, &refused).await.1.to_string();
    for (css, name) in [(light, "sheet"), (light, "tint"), (dark, "sheet"), (dark, "tint")] {
        let colour = ground(css, name);
        assert!(body.contains(&format!("({colour})")), "{name} is {colour}: {body}");
    }
}

#[tokio::test]
async fn biller_texts_in_another_language_carry_a_lang_attribute() {
    let world = World::start().await;
    let support = "support = { phone = \"+1 555 010 0142\", hours = { en = \"Weekdays\", es = \"Días laborables\" }, alternative_payment = \"By mail.\" }";
    world.import_billers(&format!("[[billers]]\nslug = \"cedar-county\"\n{support}\n")).await;
    let mut browser = world.browser();
    let english = browser.get("/b/cedar-county?lang=en").await;
    assert!(english.body.contains("<dd>Weekdays</dd>") && english.body.contains("<p>By mail.</p>"), "{}", english.body);
    let spanish = browser.get("/b/cedar-county?lang=es").await;
    assert!(spanish.body.contains("<dd>Días laborables</dd>"), "{}", spanish.body);
    assert_eq!(spanish.body.matches("<p lang=\"en\">By mail.</p>").count(), 1);
    assert_eq!(spanish.body.matches("By mail.").count(), 1, "said once");
    let help = browser.get("/help?biller=cedar-county").await;
    assert!(help.body.contains("<dd lang=\"en\">By mail.</dd>"), "{}", help.body);
    let stored = crm(&world).await.get("/api/v1/billers/cedar-county").await.1;
    assert_eq!(stored["support"]["alternative_payment"], json!("By mail."), "as it was written");
    assert_eq!(stored["support"]["hours"]["es"], json!("Días laborables"));
}
