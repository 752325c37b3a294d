//! Every page, rendered in every language.

use askama::Template;

use super::*;
use crate::i18n::Translator;
use crate::web::brand::{Brand, LogoImage};
use signpost_core::Locale;

fn chrome(locale: Locale) -> Chrome {
    let contact = Contact {
        name: "Example Pay".into(),
        phone: Some("+1 (555) 010-0100 ext. 4".into()),
        email: Some("help@example.com?bcc=x".into()),
        hours: Some(OperatorText { text: "Monday to Friday".into(), lang: None }),
        alternative_payment: Some(OperatorText { text: "Pay by <mail>.".into(), lang: Some("es") }),
    };
    let other_languages = Locale::ALL.into_iter().filter(|other| *other != locale);
    let form = Some(vec![("username".to_owned(), "a\"b".to_owned())]);
    let other_languages = other_languages.map(|other| OtherLanguage {
        i18n: Translator::new(other),
        address: format!("/login?lang={}", other.tag()),
        form: form.clone(),
    });
    Chrome {
        i18n: Translator::new(locale),
        other_languages: other_languages.collect(),
        company: "Example Pay".into(),
        stylesheet: "/static/signpost.css".into(),
        logo: "/static/logo.svg".into(),
        reference: "7KQM-2XWD-94TR-HN3P".into(),
        contact,
        biller: Some("Riverside <Water>".into()),
        brand: Brand {
            stylesheet: Some("/b/riverside-water/brand/colours.css".into()),
            logo: Some(LogoImage { url: "/b/riverside-water/brand/logo.png".into(), width: 160, height: 40 }),
        },
        help_url: "/help".into(),
    }
}

fn link(label: &str) -> Link {
    Link { label: label.into(), url: "/b/riverside-water".into() }
}

fn login(locale: Locale) -> LoginPage {
    LoginPage {
        chrome: chrome(locale),
        username: "ana".into(),
        error: None,
        return_to: Some("bills".into()),
        remember: true,
        suggestions: vec![link("Riverside <Water>")],
        forgotten: true,
        reset_url: "/reset".into(),
        links_url: Some("/recover/links".into()),
        recover_url: "/recover".into(),
        help_url: "/help".into(),
    }
}

fn recover(locale: Locale, reason: RecoveryReason) -> RecoverPage {
    let suggestions = vec![link("Riverside <Water>")];
    RecoverPage {
        chrome: chrome(locale),
        username: Some("ana".into()),
        return_to: Some("bills".into()),
        reason,
        suggestions,
        reset_url: "/reset".into(),
        links_url: Some("/recover/links".into()),
        search: Search { text: "river\"side".into(), results: vec![link("Maple <Electric>")], ..Search::default() },
    }
}

/// Every page, rendered, in every language.
fn samples() -> Vec<String> {
    Locale::ALL.into_iter().flat_map(samples_in).collect()
}

fn samples_in(locale: Locale) -> Vec<String> {
    let chrome = || chrome(locale);
    let login = || login(locale);
    let recover = |reason| recover(locale, reason);
    let biller = "Riverside <Water>".to_owned();
    let url = "/b/riverside-water".to_owned();
    let error = Some("Enter your username".to_owned());
    let notice = NoticePage {
        chrome: chrome(),
        biller: biller.clone(),
        address: "https://login.example.com/b/riverside-water".into(),
        continue_url: url.clone(),
        keeps_password: true,
        not_mine_url: "/recover".into(),
        is_short: false,
    };
    let reset = ResetPage {
        chrome: chrome(),
        username: "ana".into(),
        error: None,
        action: "/reset".into(),
        return_to: Some("bills".into()),
        back_url: "/login".into(),
        forgot_username_url: "/recover/links".into(),
    };
    let links = LinksPage {
        chrome: chrome(),
        username: "ana".into(),
        error: None,
        return_to: Some("bills".into()),
        back_url: "/login".into(),
    };
    let outage =
        OutagePage { chrome: chrome(), biller: biller.clone(), retry_url: url.clone(), until: None, pay: None };
    let until = Some("Saturday, November 28, 2026, 6:00 am (UTC)".to_owned());
    let portals = vec![link("Riverside <Water>"), link("Maple Electric")];
    let signed_in = vec![SignedInBiller { name: biller.clone(), slug: "riverside-water".into() }];
    let error_links = vec![link("Sign in"), link("Find my biller")];
    let pages: Vec<Box<dyn askama::DynTemplate>> = vec![
        Box::new(login()),
        Box::new(LoginPage { error: error.clone(), ..login() }),
        Box::new(NoticePage { keeps_password: false, ..notice.clone() }),
        Box::new(NoticePage { is_short: true, ..notice.clone() }),
        Box::new(notice),
        Box::new(recover(RecoveryReason::Requested)),
        Box::new(recover(RecoveryReason::SeveralBillers)),
        Box::new(recover(RecoveryReason::LegacyFailed)),
        Box::new(recover(RecoveryReason::UnknownBiller)),
        Box::new(recover(RecoveryReason::SearchResults)),
        Box::new(recover(RecoveryReason::NoSearchResults)),
        Box::new(ResetPage { error: error.clone(), ..reset.clone() }),
        Box::new(reset),
        Box::new(ResetSentPage {
            chrome: chrome(),
            legacy_reset_url: "https://pay.example/reset".into(),
            back: link("Riverside <Water>"),
        }),
        Box::new(ExternalPasswordPage { chrome: chrome(), biller: biller.clone(), sign_in_url: url.clone() }),
        Box::new(LinksPage { error, ..links.clone() }),
        Box::new(links),
        Box::new(LinksSentPage { chrome: chrome(), again_url: "/recover/links".into(), back_url: "/login".into() }),
        Box::new(HelpPage {
            chrome: chrome(),
            company: chrome().contact,
            links_url: None,
            reset_url: "/reset".into(),
            recover_url: "/recover".into(),
            back_url: "/login".into(),
        }),
        Box::new(OutagePage { until, ..outage.clone() }),
        Box::new(outage),
        Box::new(HoldPage { chrome: chrome(), biller: None, retry_url: url.clone(), pay: None }),
        Box::new(HoldPage {
            chrome: chrome(),
            biller: Some(biller.clone()),
            retry_url: url.clone(),
            pay: chrome().contact.alternative_payment,
        }),
        Box::new(ErrorPage { chrome: chrome(), title: "Not here".into(), text: "Go on.".into(), links: error_links }),
        Box::new(ChoosePage { chrome: chrome(), portals }),
        Box::new(LogoutPage { chrome: chrome(), billers: signed_in }),
        Box::new(SignedOutPage {
            chrome: chrome(),
            biller: None,
            sign_in_url: url.clone(),
            remaining: vec![biller.clone()],
        }),
        Box::new(SignedOutPage { chrome: chrome(), biller: Some(biller), sign_in_url: url, remaining: vec![] }),
    ];
    pages.iter().map(|page| page.dyn_render().unwrap_or_default()).collect()
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
        assert!(pages.iter().all(|page| !page.contains("<Water>")));
        let mut titles = pages.iter().map(|page| title(page)).collect::<Vec<_>>();
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
    assert!(recover(Locale::English, RecoveryReason::LegacyFailed).render()?.contains(hidden));
    Ok(())
}
