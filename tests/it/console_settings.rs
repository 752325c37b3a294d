//! A biller's settings at the console: ours, its look, and those that SecureAuth keeps.

use http::{Request, StatusCode};
use secureauth_standin::{Fault, Rule};
use signpost::audit::{Wanted, acts};
use signpost::secureauth::management::{PasswordPolicy, PoolChange};

use crate::console::{Office, ended};
use crate::harness::{Answer, Browser, hidden_fields, slug};

/// A form as a browser fills it in, with some fields typed anew, and perhaps a file.
pub async fn save(browser: &mut Browser, place: &str, typed: &[(&str, &str)]) -> Answer {
    let page = browser.get(place).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    send(browser, place, &as_shown(&page.body, typed), None).await
}

fn as_shown(page: &str, typed: &[(&str, &str)]) -> Vec<(String, String)> {
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

async fn send(browser: &mut Browser, place: &str, fields: &[(String, String)], logo: Option<&[u8]>) -> Answer {
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
async fn settings_are_saved_whole_and_customers_see_them_with_the_next_request() {
    for office in Office::on_each_database().await {
        let mut browser = office.sign_in("operator").await;
        let unchanged = save(&mut browser, OAKDALE, &[]).await;
        assert_eq!(unchanged.location(), "/billers/oakdale-city?done=settings");
        let kept = acts(&office.world.state.db, &Wanted::default(), None, 1000).await.unwrap();
        assert!(kept.iter().all(|act| act.action != "biller.changed"), "what is as it was is no change");

        let typed = [
            ("name", "Oakdale & Sons"),
            ("phone", "+1 555 010 0123"),
            ("hours_en", "Weekdays"),
            ("hours_es", "Días laborables"),
            ("other_en", "At any counter"),
            ("contact_email", "it@oakdale.example"),
            ("outage_policy", "proceed"),
            ("private", "on"),
            ("accent", "#0b5d57"),
            ("accent_dark", "#7dd3c5"),
        ];
        let saved = save(&mut browser, OAKDALE, &typed).await;
        assert_eq!(saved.location(), "/billers/oakdale-city?done=settings", "{}", saved.body);
        let biller = office.world.state.directory.named(&slug("oakdale-city")).await.unwrap().unwrap();
        assert_eq!((biller.name.as_str(), biller.settings.private), ("Oakdale & Sons", true));
        assert_eq!(biller.settings.contact_email.as_deref(), Some("it@oakdale.example"));
        let form = browser.get(OAKDALE).await;
        for (name, value) in typed {
            let fields = as_shown(&form.body, &[]);
            assert!(fields.iter().any(|(known, now)| known == name && now == value), "{name}: {fields:?}");
        }
        let kept = acts(&office.world.state.db, &Wanted::default(), None, 1000).await.unwrap();
        let act = kept.iter().find(|act| act.action == "biller.changed").unwrap();
        assert_eq!((act.actor.name.as_str(), act.biller.as_deref()), ("operator", Some("oakdale-city")));
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_and_nothing_of_it_is_saved_or_lost() {
    for office in Office::on_each_database().await {
        let mut browser = office.sign_in("operator").await;
        let typed = [("name", ""), ("accent", "#ffcc00"), ("accent_dark", "#7dd3c5"), ("phone", "+1 555 010 0177")];
        let wrong = save(&mut browser, OAKDALE, &typed).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        for expected in ["href=\"#name\"", "href=\"#accent\"", "need 4.5:1", "would do", "value=\"+1 555 010 0177\""] {
            assert!(wrong.body.contains(expected), "{expected}: {}", wrong.body);
        }
        assert!(!browser.get("/billers/oakdale-city").await.body.contains("0177"));

        let mine = browser.get(OAKDALE).await;
        let fields = as_shown(&mine.body, &[("phone", "+1 555 010 0178")]);
        save(&mut browser, OAKDALE, &[("email", "help@oakdale.example")]).await;
        let late = send(&mut browser, OAKDALE, &fields, None).await;
        assert_eq!(late.status, StatusCode::CONFLICT, "somebody else was faster");
        assert!(late.body.contains("help@oakdale.example") && !late.body.contains("0178"), "{}", late.body);

        let svg = send(&mut browser, OAKDALE, &as_shown(&late.body, &[]), Some(b"<svg/>")).await;
        assert_eq!(svg.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(svg.body.contains("href=\"#logo\"") && svg.body.contains("not a whole PNG"), "{}", svg.body);
    }
}

#[tokio::test]
async fn a_logo_is_taken_shown_and_taken_away() {
    use base64::Engine;
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let png = base64::engine::general_purpose::STANDARD.decode(png).unwrap();
    for office in Office::on_each_database().await {
        let mut browser = office.sign_in("operator").await;
        let fields = as_shown(&browser.get(OAKDALE).await.body, &[]);
        let saved = send(&mut browser, OAKDALE, &fields, Some(&png)).await;
        assert_eq!(saved.location(), "/billers/oakdale-city?done=settings", "{}", saved.body);
        let page = browser.get(OAKDALE).await;
        let address = page.body.split("class=\"logo\" src=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        assert_eq!(browser.get(&address).await.header("content-type"), "image/png");
        save(&mut browser, OAKDALE, &[("phone", "1")]).await;
        assert!(browser.get(OAKDALE).await.body.contains(&address), "it stays where no other is chosen");
        save(&mut browser, OAKDALE, &[("no_logo", "on")]).await;
        assert!(!browser.get(OAKDALE).await.body.contains("class=\"logo\""));
    }
}

#[tokio::test]
async fn an_issuer_is_changed_by_two_persons_and_keeps_its_secret() {
    for office in Office::on_each_database().await {
        let (mut asker, mut second) = (office.sign_in("operator").await, office.sign_in("second").await);
        let place = "/billers/riverside-water/settings";
        let secret = |biller: &signpost::directory::Biller| {
            let sealed = biller.settings.oidc.as_ref().unwrap().client_secret.clone().unwrap();
            let purpose = signpost_core::Purpose::Storage;
            office.world.state.keys.open::<String>(purpose, biller.id.as_str(), &sealed).unwrap()
        };
        let read = async || office.world.state.directory.named(&slug("riverside-water")).await.unwrap().unwrap();
        let before = read().await;
        let saved = save(&mut asker, place, &[("client_id", "another-client"), ("phone", "+1 555 010 0142")]).await;
        assert_eq!(saved.location(), "/billers/riverside-water?done=waits");
        let waiting = read().await;
        assert_eq!(waiting.settings.support.phone.as_deref(), Some("+1 555 010 0142"), "the rest is done");
        let client = |biller: &signpost::directory::Biller| biller.settings.oidc.as_ref().unwrap().client_id.clone();
        assert_eq!(client(&waiting), client(&before));
        let page = second.get("/changes").await;
        let id = page.body.split("action=\"/changes/").nth(1).unwrap().split('"').next().unwrap().to_owned();
        second.post(&format!("/changes/{id}"), &[("decide", "confirm")]).await;
        let after = read().await;
        assert_eq!((client(&after).as_str(), secret(&after)), ("another-client", secret(&before)));
        let typed = [("client_secret", "a \"new\" secret ")];
        assert_eq!(save(&mut asker, place, &typed).await.location(), "/billers/riverside-water?done=settings");
        assert_eq!(secret(&*read().await), "a \"new\" secret ");
        assert!(!asker.get(place).await.body.contains("new\" secret"), "never shown");
    }
}

const KEPT: &str = "/billers/pinehill-gas/secureauth";

#[tokio::test]
async fn drift_at_secureauth_is_shown_and_brought_in_line() {
    for office in Office::on_each_database().await {
        let (mut browser, mut support) = (office.sign_in("operator").await, office.sign_in("support").await);
        let legacy = browser.get(KEPT).await;
        assert!(legacy.body.contains("was not moved by Signpost"), "{}", legacy.body);
        let job =
            browser.post("/billers/pinehill-gas/ciam", &[("what", "enable"), ("mode", "password")]).await.location();
        ended(&office, &mut browser, &job).await;
        let page = support.get(KEPT).await;
        assert!(page.body.contains("in line") && !page.body.contains("How it is to be"), "{}", page.body);

        let pools = office.world.issuers.snapshot()["pools"].clone();
        let mut pools = pools.as_array().unwrap().iter().map(|id| id.as_str().unwrap());
        let pool = pools.find(|id| id.starts_with("pinehill-gas-")).unwrap();
        let management = office.world.management();
        let policy = PasswordPolicy { min_length: Some(6), digits: Some(1), ..PasswordPolicy::default() };
        let theirs = PoolChange { name: "Pinehill", mechanisms: Some((&["otp", "password"], &[])), policy };
        management.change_pool(pool, &theirs).await.unwrap();
        let page = support.get(KEPT).await;
        let line = |page: &Answer, name: &str| {
            let rest = page.body.split(&format!("<th scope=\"row\">{name}</th>")).nth(1).unwrap();
            rest.split("</tr>").next().unwrap().to_owned()
        };
        assert!(line(&page, "Name of the pool").contains("Pinehill</td>"), "{}", page.body);
        assert!(line(&page, "Means of signing in").contains("otp, password</td>"));
        for name in ["Name of the pool", "Means of signing in"] {
            assert!(line(&page, name).contains("badge warn"), "{name}");
        }
        let digits = line(&page, "Passwords: digits at least");
        assert!(digits.contains("left to SecureAuth") && !digits.contains("badge warn"), "{digits}");

        office.world.issuers.faults().add(Rule::new("PUT", "/pools/", Fault::status(422)).times(1));
        let refused = browser.post(KEPT, &[("do", "bring")]).await;
        assert_eq!(refused.status, StatusCode::BAD_GATEWAY);
        assert!(refused.body.contains("Nothing was brought there"), "{}", refused.body);
        assert_eq!(browser.post(KEPT, &[("do", "bring")]).await.location(), format!("{KEPT}?done=brought"));
        let page = browser.get(KEPT).await;
        assert!(page.body.contains("in line"), "{}", page.body);
        assert!(
            line(&page, "Passwords: digits at least").contains(">1</td>"),
            "what is left to SecureAuth stays: {}",
            page.body
        );
    }
}

#[tokio::test]
async fn a_password_policy_and_a_second_factor_are_kept_here_and_brought_there() {
    for office in Office::on_each_database().await {
        let mut browser = office.sign_in("operator").await;
        let job = browser.post("/billers/pinehill-gas/ciam", &[("what", "enable")]).await.location();
        ended(&office, &mut browser, &job).await;
        let wrong = [("do", "save"), ("mode", "mfa"), ("min_length", "many"), ("digits", "65")];
        let wrong = browser.post(KEPT, &wrong).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        for expected in ["href=\"#min_length\"", "href=\"#digits\"", "value=\"many\""] {
            assert!(wrong.body.contains(expected), "{expected}: {}", wrong.body);
        }
        let wanted = [("do", "save"), ("mode", "mfa"), ("min_length", "12"), ("strength", "very_strong")];
        assert_eq!(browser.post(KEPT, &wanted).await.location(), format!("{KEPT}?done=saved"));
        let page = browser.get(KEPT).await;
        assert!(page.body.contains("in line") && page.body.contains("email_otp, totp"), "{}", page.body);
        assert!(page.body.contains("value=\"12\"") && page.body.contains("very strong"), "{}", page.body);
        assert!(browser.get("/billers/pinehill-gas").await.body.contains("password and a second factor"));
        let kept = acts(&office.world.state.db, &Wanted::default(), None, 1000).await.unwrap();
        assert!(kept.iter().any(|act| act.action == "settings.brought"), "{kept:?}");
    }
}
