//! A biller's settings at the console: ours, its look, and those that SecureAuth keeps.

use http::{Request, StatusCode};
use secureauth_standin::{Fault, FaultRule};
use signpost::audit::{EventFilter, list_events};
use signpost::secureauth::management::{PasswordPolicy, PoolSettings};

use crate::console::{ConsoleHarness, wait_for_job};
use crate::harness::{Browser, TestResponse, hidden_fields, slug};

/// A form as a browser fills it in, with some fields typed anew, and perhaps a file.
pub(crate) async fn save(browser: &mut Browser, place: &str, typed: &[(&str, &str)]) -> TestResponse {
    let page = browser.get(place).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    send(browser, place, &form_fields(&page.body, typed), None).await
}

fn form_fields(page: &str, typed: &[(&str, &str)]) -> Vec<(String, String)> {
    let attribute = |tag: &str, name: &str| {
        let found = tag.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
        Some(found.replace("&#38;", "&").replace("&#34;", "\"").replace("&#39;", "'"))
    };
    let mut fields = hidden_fields(page);
    for tag in page.split("<input ").skip(1).map(|tag| tag.split('>').next().unwrap()) {
        let (name, kind) = (attribute(tag, "name").unwrap_or_default(), attribute(tag, "type").unwrap_or_default());
        match kind.as_str() {
            "text" => fields.push((name, attribute(tag, "value").unwrap_or_default())),
            "checkbox" if tag.contains(" checked") => fields.push((name, "on".to_owned())),
            _ => {}
        }
    }
    for select in page.split("<select ").skip(1).map(|select| select.split("</select>").next().unwrap()) {
        let chosen = select.split("<option ").skip(1).find(|option| option.contains(" selected"));
        let chosen = chosen.or_else(|| select.split("<option ").nth(1)).unwrap();
        fields.push((attribute(select, "name").unwrap(), attribute(chosen, "value").unwrap()));
    }
    for (name, value) in typed {
        fields.retain(|(known, _)| known != name);
        fields.push(((*name).to_owned(), (*value).to_owned()));
    }
    fields
}

async fn send(browser: &mut Browser, place: &str, fields: &[(String, String)], logo: Option<&[u8]>) -> TestResponse {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--X\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(part.into_bytes());
    }
    if let Some(logo) = logo {
        let head = "--X\r\ncontent-disposition: form-data; name=\"logo\"; filename=\"logo.png\"\r\n\r\n";
        body.extend([head.as_bytes(), logo, b"\r\n"].concat());
    }
    body.extend(b"--X--\r\n");
    let request = Request::post(place)
        .header("content-type", "multipart/form-data; boundary=X")
        .header("sec-fetch-site", "same-origin");
    browser.send_with(request, body.into()).await
}

const OAKDALE: &str = "/billers/oakdale-city/settings";

#[tokio::test]
async fn settings_are_saved_atomically_and_apply_to_the_next_request() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.sign_in("operator").await;
        let unchanged = save(&mut browser, OAKDALE, &[]).await;
        assert_eq!(unchanged.location(), "/billers/oakdale-city?done=settings");
        let kept = list_events(&harness.world.state.db, &EventFilter::default(), None, 1000).await.unwrap();
        assert!(kept.iter().all(|event| event.action != "biller.updated"), "what is as it was is no change");

        let typed = [
            ("name", "Oakdale & Sons"),
            ("phone", "+1 555 010 0123"),
            ("hours_en", "Weekdays"),
            ("hours_es", "Días laborables"),
            ("alternative_payment_en", "At any counter"),
            ("contact_email", "it@oakdale.example"),
            ("outage_policy", "proceed"),
            ("private", "on"),
            ("accent", "#0b5d57"),
            ("accent_dark", "#7dd3c5"),
        ];
        let saved = save(&mut browser, OAKDALE, &typed).await;
        assert_eq!(saved.location(), "/billers/oakdale-city?done=settings", "{}", saved.body);
        let biller = harness.world.state.directory.biller_by_slug(&slug("oakdale-city")).await.unwrap().unwrap();
        assert_eq!((biller.name.as_str(), biller.settings.private), ("Oakdale & Sons", true));
        assert_eq!(biller.settings.contact_email.as_deref(), Some("it@oakdale.example"));
        let form = browser.get(OAKDALE).await;
        for (name, value) in typed {
            let fields = form_fields(&form.body, &[]);
            assert!(fields.iter().any(|(known, now)| known == name && now == value), "{name}: {fields:?}");
        }
        let kept = list_events(&harness.world.state.db, &EventFilter::default(), None, 1000).await.unwrap();
        let event = kept.iter().find(|event| event.action == "biller.updated").unwrap();
        assert_eq!((event.actor.name.as_str(), event.biller.as_deref()), ("operator", Some("oakdale-city")));
    }
}

#[tokio::test]
async fn invalid_settings_are_reported_and_input_is_preserved() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.sign_in("operator").await;
        let typed = [("name", ""), ("accent", "#ffcc00"), ("accent_dark", "#7dd3c5"), ("phone", "+1 555 010 0177")];
        let wrong = save(&mut browser, OAKDALE, &typed).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        for expected in ["href=\"#name\"", "href=\"#accent\"", "need 4.5:1", "would do", "value=\"+1 555 010 0177\""] {
            assert!(wrong.body.contains(expected), "{expected}: {}", wrong.body);
        }
        assert!(!browser.get("/billers/oakdale-city").await.body.contains("0177"));

        let mine = browser.get(OAKDALE).await;
        let fields = form_fields(&mine.body, &[("phone", "+1 555 010 0178")]);
        save(&mut browser, OAKDALE, &[("email", "help@oakdale.example")]).await;
        let late = send(&mut browser, OAKDALE, &fields, None).await;
        assert_eq!(late.status, StatusCode::CONFLICT, "somebody else was faster");
        assert!(late.body.contains("help@oakdale.example") && !late.body.contains("0178"), "{}", late.body);

        let svg = send(&mut browser, OAKDALE, &form_fields(&late.body, &[]), Some(b"<svg/>")).await;
        assert_eq!(svg.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(svg.body.contains("href=\"#logo\"") && svg.body.contains("not a whole PNG"), "{}", svg.body);
    }
}

#[tokio::test]
async fn logo_is_uploaded_shown_and_removed() {
    use base64::Engine;
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let png = base64::engine::general_purpose::STANDARD.decode(png).unwrap();
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.sign_in("operator").await;
        let fields = form_fields(&browser.get(OAKDALE).await.body, &[]);
        let saved = send(&mut browser, OAKDALE, &fields, Some(&png)).await;
        assert_eq!(saved.location(), "/billers/oakdale-city?done=settings", "{}", saved.body);
        let page = browser.get(OAKDALE).await;
        let address = page.body.split("class=\"logo\" src=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        assert_eq!(browser.get(&address).await.header("content-type"), "image/png");
        save(&mut browser, OAKDALE, &[("phone", "1")]).await;
        assert!(browser.get(OAKDALE).await.body.contains(&address), "it stays where no other is chosen");
        save(&mut browser, OAKDALE, &[("remove_logo", "on")]).await;
        assert!(!browser.get(OAKDALE).await.body.contains("class=\"logo\""));
    }
}

#[tokio::test]
async fn issuer_change_needs_approval_and_preserves_the_secret() {
    for harness in ConsoleHarness::on_each_database().await {
        let (mut asker, mut second) = (harness.sign_in("operator").await, harness.sign_in("second").await);
        let place = "/billers/riverside-water/settings";
        let secret = |biller: &signpost::directory::Biller| {
            let sealed = biller.client_secrets.current.clone().unwrap();
            let purpose = signpost_core::Purpose::Storage;
            harness.world.state.keys.open::<String>(purpose, biller.id.as_str(), &sealed).unwrap()
        };
        let read =
            async || harness.world.state.directory.biller_by_slug(&slug("riverside-water")).await.unwrap().unwrap();
        let before = read().await;
        let saved = save(&mut asker, place, &[("client_id", "another-client"), ("phone", "+1 555 010 0142")]).await;
        assert_eq!(saved.location(), "/billers/riverside-water?done=pending");
        let waiting = read().await;
        assert_eq!(waiting.settings.support.phone.as_deref(), Some("+1 555 010 0142"), "the rest is done");
        let client = |biller: &signpost::directory::Biller| biller.settings.oidc.as_ref().unwrap().client_id.clone();
        assert_eq!(client(&waiting), client(&before));
        let page = second.get("/changes").await;
        let id = page.body.split("action=\"/changes/").nth(1).unwrap().split('"').next().unwrap().to_owned();
        second.post(&format!("/changes/{id}"), &[("decision", "approve")]).await;
        let after = read().await;
        assert_eq!((client(&after).as_str(), secret(&after)), ("another-client", secret(&before)));
        let typed = [("client_secret", "a \"new\" secret ")];
        assert_eq!(save(&mut asker, place, &typed).await.location(), "/billers/riverside-water?done=settings");
        assert_eq!(secret(&*read().await), "a \"new\" secret ");
        assert!(!asker.get(place).await.body.contains("new\" secret"), "never shown");
    }
}

const SECUREAUTH: &str = "/billers/pinehill-gas/secureauth";

#[tokio::test]
async fn drift_is_shown_and_synced() {
    for harness in ConsoleHarness::on_each_database().await {
        let (mut browser, mut support) = (harness.sign_in("operator").await, harness.sign_in("support").await);
        let legacy = browser.get(SECUREAUTH).await;
        assert!(legacy.body.contains("was not enabled by Signpost"), "{}", legacy.body);
        let job =
            browser.post("/billers/pinehill-gas/ciam", &[("action", "enable"), ("mode", "password")]).await.location();
        wait_for_job(&harness, &mut browser, &job).await;
        let page = support.get(SECUREAUTH).await;
        assert!(page.body.contains("in sync") && !page.body.contains("Desired settings"), "{}", page.body);

        let pools = harness.world.issuers.snapshot()["pools"].clone();
        let mut pools = pools.as_array().unwrap().iter().map(|id| id.as_str().unwrap());
        let pool = pools.find(|id| id.starts_with("pinehill-gas-")).unwrap();
        let management = harness.world.management();
        let policy = PasswordPolicy { min_length: Some(6), digits: Some(1), ..PasswordPolicy::default() };
        let theirs = PoolSettings { name: "Pinehill", mechanisms: Some((&["otp", "password"], &[])), policy };
        management.update_pool(pool, &theirs).await.unwrap();
        let page = support.get(SECUREAUTH).await;
        let line = |page: &TestResponse, name: &str| {
            let rest = page.body.split(&format!("<th scope=\"row\">{name}</th>")).nth(1).unwrap();
            rest.split("</tr>").next().unwrap().to_owned()
        };
        assert!(line(&page, "Name of the pool").contains("Pinehill</td>"), "{}", page.body);
        assert!(line(&page, "Authentication methods").contains("otp, password</td>"));
        for name in ["Name of the pool", "Authentication methods"] {
            assert!(line(&page, name).contains("badge warn"), "{name}");
        }
        let digits = line(&page, "Passwords: digits at least");
        assert!(digits.contains("SecureAuth default") && !digits.contains("badge warn"), "{digits}");

        harness.world.issuers.faults().add(FaultRule::new("PUT", "/pools/", Fault::status(422)).times(1));
        let refused = browser.post(SECUREAUTH, &[("action", "sync")]).await;
        assert_eq!(refused.status, StatusCode::BAD_GATEWAY);
        assert!(refused.body.contains("Settings not synced"), "{}", refused.body);
        assert_eq!(
            browser.post(SECUREAUTH, &[("action", "sync")]).await.location(),
            format!("{SECUREAUTH}?done=synced")
        );
        let page = browser.get(SECUREAUTH).await;
        assert!(page.body.contains("in sync"), "{}", page.body);
        assert!(
            line(&page, "Passwords: digits at least").contains(">1</td>"),
            "what is left to SecureAuth stays: {}",
            page.body
        );
    }
}

#[tokio::test]
async fn password_policy_and_mfa_are_saved_and_synced() {
    for harness in ConsoleHarness::on_each_database().await {
        let mut browser = harness.sign_in("operator").await;
        let job = browser.post("/billers/pinehill-gas/ciam", &[("action", "enable")]).await.location();
        wait_for_job(&harness, &mut browser, &job).await;
        let wrong = [("action", "save"), ("mode", "mfa"), ("min_length", "many"), ("digits", "65")];
        let wrong = browser.post(SECUREAUTH, &wrong).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        for expected in ["href=\"#min_length\"", "href=\"#digits\"", "value=\"many\""] {
            assert!(wrong.body.contains(expected), "{expected}: {}", wrong.body);
        }
        let wanted = [("action", "save"), ("mode", "mfa"), ("min_length", "12"), ("strength", "very_strong")];
        assert_eq!(browser.post(SECUREAUTH, &wanted).await.location(), format!("{SECUREAUTH}?done=saved"));
        let page = browser.get(SECUREAUTH).await;
        assert!(page.body.contains("in sync") && page.body.contains("email_otp, totp"), "{}", page.body);
        assert!(page.body.contains("value=\"12\"") && page.body.contains("very strong"), "{}", page.body);
        assert!(browser.get("/billers/pinehill-gas").await.body.contains("password and second factor"));
        let kept = list_events(&harness.world.state.db, &EventFilter::default(), None, 1000).await.unwrap();
        assert!(kept.iter().any(|event| event.action == "settings.synced"), "{kept:?}");
    }
}
