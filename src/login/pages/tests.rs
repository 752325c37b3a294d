//! Every page, rendered in every language.

use askama::Template;

use super::sample::Sample;
use super::sign_in::login_sample as login;
use super::{LoginPage, RecoveryReason, logout, recovery, reset, sample, sign_in, unavailable};
use crate::web::paths;
use signpost_core::Locale;

fn samples_in(locale: Locale) -> Vec<Sample> {
    let files = [sign_in::samples, recovery::samples, reset::samples, unavailable::samples, logout::samples];
    files.into_iter().flat_map(|samples| samples(locale)).collect()
}

/// Every page, rendered, in every language.
fn samples() -> Vec<String> {
    Locale::ALL.into_iter().flat_map(samples_in).map(|sample| sample.html).collect()
}

/// Every struct with a template in this folder.
fn structs() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/login/pages");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for page in source.split("\n#[template(").skip(1) {
            let name = page.split_once("pub struct ").unwrap().1;
            names.push(name.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned());
        }
    }
    names
}

#[test]
fn every_page_has_a_sample() {
    let samples = samples_in(Locale::English);
    let structs = structs();
    assert!(structs.len() > 12, "{structs:?}");
    for name in structs {
        assert!(samples.iter().any(|sample| sample.page == name), "{name} has no sample beside it");
    }
    assert!(samples.iter().all(|sample| !sample.html.is_empty()));
}

#[test]
fn links_take_the_flow_along() {
    let mut chrome = sample::chrome(Locale::English);
    assert_eq!(chrome.to_sign_in(), "/b/riverside-water?return_to=%2Fbills");
    assert!(chrome.to_reset().starts_with("/b/riverside-water/reset?t="));
    assert!(chrome.to(paths::RECOVER).starts_with("/recover?t="));
    assert!(chrome.to_email_links().is_some_and(|url| url.starts_with("/recover/links?t=")));
    chrome.links = sample::links(None);
    assert!(chrome.to_sign_in().starts_with("/login?t="));
    assert!(chrome.to_reset().starts_with("/reset?t="));
    chrome.links.flow.return_to = None;
    chrome.links.can_send_mail = false;
    assert_eq!((chrome.to_sign_in().as_str(), chrome.to_email_links()), ("/login", None));
}

fn title(page: &str) -> &str {
    page.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).map_or("", |(title, _)| title)
}

#[test]
fn pages_comply_with_the_content_security_policy() {
    for page in samples() {
        for forbidden in ["<script", "<style", " style=", " onclick=", "http-equiv", "type=\"password\""] {
            assert!(!page.contains(forbidden), "{forbidden} in {}", title(&page));
        }
    }
}

#[test]
fn pages_have_one_heading_help_and_a_reference_code() {
    for page in samples() {
        assert_eq!(page.matches("<h1>").count(), 1, "{}", title(&page));
        assert!(page.contains("<main id=\"main\""), "{}", title(&page));
        assert!(page.contains("<code>7KQM-2XWD-94TR-HN3P</code>"), "{}", title(&page));
        assert!(page.contains("href=\"tel:+15550100100\""), "{}", title(&page));
        assert!(page.contains("href=\"mailto:help@example.com%3Fbcc=x\""), "{}", title(&page));
    }
}

#[test]
fn names_are_escaped_and_titles_are_unique() {
    for pages in Locale::ALL.map(samples_in) {
        assert!(pages.iter().all(|page| !page.html.contains("<Water>")));
        let mut titles = pages.iter().map(|page| title(&page.html)).collect::<Vec<_>>();
        titles.sort_unstable();
        titles.dedup();
        // The notice has two samples with one title.
        assert_eq!(titles.len(), pages.len() - 1, "{titles:?}");
    }
}

#[test]
fn error_summary_links_to_the_field_and_keeps_the_input() -> Result<(), askama::Error> {
    let page =
        LoginPage { username: "a\"b".into(), error: Some("Enter it".into()), ..login(Locale::English) }.render()?;
    assert!(title(&page).starts_with("Error: Sign in"));
    assert!(page.contains("<a href=\"#username\">Enter it</a>"));
    assert!(page.contains("value=\"a&#34;b\""));
    assert!(page.contains("aria-invalid=\"true\""));
    assert!(!login(Locale::English).render()?.contains("aria-invalid"));
    Ok(())
}

#[test]
fn language_switch_keeps_the_form() -> Result<(), askama::Error> {
    for locale in Locale::ALL {
        let mut page = login(locale);
        assert!(page.render()?.contains(&format!("<html lang=\"{}\">", locale.tag())));
        for other in page.chrome.other_languages.clone() {
            let (tag, name) = (other.i18n.tag(), other.i18n.t("language"));
            let button = format!("<button lang=\"{tag}\">{name}</button>");
            let html = page.render()?;
            assert!(html.contains(&format!("method=\"post\" action=\"/login?lang={tag}\"")));
            assert!(html.contains("<input type=\"hidden\" name=\"username\" value=\"a&#34;b\">"));
            assert!(html.contains(&button));
        }
        for other in &mut page.chrome.other_languages {
            other.form = None;
        }
        assert!(page.render()?.contains(" hreflang=\""));
    }
    Ok(())
}

#[test]
fn forms_keep_return_to() -> Result<(), askama::Error> {
    let hidden = "<input type=\"hidden\" name=\"return_to\" value=\"bills\">";
    assert!(login(Locale::English).render()?.contains(hidden));
    assert!(recovery::recover_sample(Locale::English, RecoveryReason::LegacyFailed).render()?.contains(hidden));
    Ok(())
}
