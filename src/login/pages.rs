//! The pages customers see: one struct a page, each with its template in `templates/login` (or `templates/error`). Handlers fill
//! them in, the wording lives in the templates. No page has a script or an inline style, as the content security policy allows neither.

use askama::Template;

use crate::i18n::Translator;
use crate::web::brand::Brand;
use signpost_core::{Locale, LocalizedText};

/// Whom to ask, and how: the company's people, or one biller's.
#[derive(Clone, Debug)]
pub struct Contact {
    /// The company or biller.
    pub name: String,
    /// Phone number, as it should be read.
    pub phone: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// When somebody answers, such as "Monday to Friday, 8 am to 6 pm".
    pub hours: Option<OperatorText>,
    /// How to pay without signing in, in a sentence or two.
    pub alternative_payment: Option<OperatorText>,
}

/// What operators wrote themselves.
#[derive(Clone, Debug)]
pub struct OperatorText {
    /// It.
    pub text: String,
    /// Its language, where that is another than the page's (WCAG 2.2, success criterion 3.1.2).
    pub lang: Option<&'static str>,
}

impl OperatorText {
    /// For a page in this language.
    #[must_use]
    pub fn in_locale(text: Option<&LocalizedText>, locale: Locale) -> Option<Self> {
        let (language, text) = text?.resolve(locale)?;
        Some(Self { text: text.to_owned(), lang: (language != locale).then(|| language.tag()) })
    }
}

impl Contact {
    /// Is there anything to list besides the name?
    #[must_use]
    pub fn has_details(&self) -> bool {
        self.phone.is_some() || self.email.is_some() || self.hours.is_some() || self.alternative_payment.is_some()
    }

    /// The phone number as a `tel:` link has it: digits and a leading plus, without what follows a word ("ext. 12").
    #[must_use]
    pub fn tel(&self) -> String {
        let number = self.phone.as_deref().unwrap_or_default();
        let number = number.split(char::is_alphabetic).next().unwrap_or_default();
        let digits = number.chars().filter(char::is_ascii_digit).collect::<String>();
        if number.trim_start().starts_with('+') { format!("+{digits}") } else { digits }
    }

    /// The mail address as a `mailto:` link has it, so that nothing in it can be read as a header field.
    #[must_use]
    pub fn mailto(&self) -> String {
        let address = self.email.as_deref().unwrap_or_default();
        address.replace('%', "%25").replace('?', "%3F").replace('&', "%26").replace('#', "%23").replace(' ', "%20")
    }
}

/// A way on: where it leads, and what it says.
#[derive(Clone, Debug)]
pub struct Link {
    /// What the link says.
    pub label: String,
    /// Where it leads.
    pub url: String,
}

/// The same page in another language.
#[derive(Clone, Debug)]
pub struct OtherLanguage {
    /// The language.
    pub i18n: Translator,
    /// Where it is.
    pub address: String,
    /// The fields of the form that must be sent there; none when a link will do.
    pub form: Option<Vec<(String, String)>>,
}

/// What every page has around its content.
#[derive(Clone, Debug)]
pub struct Chrome {
    /// The words of the page.
    pub i18n: Translator,
    /// The page in other languages.
    pub other_languages: Vec<OtherLanguage>,
    /// Name of the bill-payment company.
    pub company: String,
    /// URL of the stylesheet.
    pub stylesheet: String,
    /// URL of the logo.
    pub logo: String,
    /// Reference code, `XXXX-XXXX-XXXX-XXXX`.
    pub reference: String,
    /// Whom to ask; the biller's people when the page is about one.
    pub contact: Contact,
    /// The biller the page is about, if it is about one.
    pub biller: Option<String>,
    /// That biller's look.
    pub brand: Brand,
    /// Where help is.
    pub help_url: String,
}

/// Asks for the username, and for nothing else.
#[derive(Clone, Debug, Template)]
#[template(path = "login/login.html")]
pub struct LoginPage {
    /// Around the content.
    pub chrome: Chrome,
    /// What was typed before; never cleared on an error.
    pub username: String,
    /// What is wrong with it, in a sentence.
    pub error: Option<String>,
    /// Where to go after signing in.
    pub return_to: Option<String>,
    /// Where a password is reset.
    pub reset_url: String,
    /// Where usernames and sign-in links are told by mail, if mails can be sent.
    pub links_url: Option<String>,
    /// Where the ways back in are.
    pub recover_url: String,
    /// Where help is.
    pub help_url: String,
    /// The person asked this device to remember the biller.
    pub remember: bool,
    /// Billers remembered on this device; may be empty.
    pub suggestions: Vec<Link>,
    /// This device was just made to forget its billers.
    pub forgotten: bool,
}

/// Tells somebody who came by the shared address that the biller has an address of its own (row 2).
#[derive(Clone, Debug, Template)]
#[template(path = "login/notice.html")]
pub struct NoticePage {
    /// Around the content.
    pub chrome: Chrome,
    /// Name of the biller.
    pub biller: String,
    /// The stable address to save, in full.
    pub address: String,
    /// Where Continue leads.
    pub continue_url: String,
    /// Does the old password still work, or will a new one be asked for?
    pub keeps_password: bool,
    /// Where "This isn't my biller" leads.
    pub not_mine_url: String,
    /// This device has seen it often enough: a line will do.
    pub is_short: bool,
}

/// "I still can't sign in": the same page for everybody, known or not.
#[derive(Clone, Debug, Template)]
#[template(path = "login/recover.html")]
pub struct RecoverPage {
    /// Around the content.
    pub chrome: Chrome,
    /// The username typed so far.
    pub username: Option<String>,
    /// Where to go after signing in.
    pub return_to: Option<String>,
    /// What led here.
    pub reason: RecoveryReason,
    /// Billers remembered on this device; may be empty.
    pub suggestions: Vec<Link>,
    /// Where the password is reset, with the name already typed.
    pub reset_url: String,
    /// Where sign-in links are asked for, if mails can be sent.
    pub links_url: Option<String>,
    /// The search for a biller by name.
    pub search: Search,
}

/// The search for a biller by its name.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// What was typed; never cleared.
    pub text: String,
    /// What is wrong with it, in a sentence.
    pub error: Option<String>,
    /// The billers with names like it, the best first.
    pub results: Vec<Link>,
    /// What the page knows of the person, sealed, to be sent along.
    pub token: String,
    /// The person asked this device to remember the biller.
    pub remember: bool,
}

impl RecoverPage {
    /// Whether the person is known to have several billers.
    fn is_several(&self) -> bool {
        self.reason == RecoveryReason::SeveralBillers
    }

    /// Key of the heading, whose text says what this is.
    fn heading(&self) -> &'static str {
        match self.reason {
            RecoveryReason::Requested => "recover-requested",
            RecoveryReason::SeveralBillers => "recover-choose-biller",
            RecoveryReason::LegacyFailed => "recover-legacy-failed",
            RecoveryReason::UnknownBiller => "recover-unknown-biller",
            RecoveryReason::SearchResults => "recover-search-results",
            RecoveryReason::NoSearchResults => "recover-no-search-results",
        }
    }
}

/// What led to the recovery page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryReason {
    /// The person asked for it.
    Requested,
    /// Only the person can say which biller is meant (row 5).
    SeveralBillers,
    /// The legacy portal refused the sign-in.
    LegacyFailed,
    /// The address named no biller that we know.
    UnknownBiller,
    /// The person searched, and there are billers with such names.
    SearchResults,
    /// The person searched, and there is none.
    NoSearchResults,
}

/// Asks whose password is to be reset.
#[derive(Clone, Debug, Template)]
#[template(path = "login/reset.html")]
pub struct ResetPage {
    /// Around the content.
    pub chrome: Chrome,
    /// What was typed before.
    pub username: String,
    /// What is wrong with it, in a sentence.
    pub error: Option<String>,
    /// Where the form is sent.
    pub action: String,
    /// Where to go after signing in.
    pub return_to: Option<String>,
    /// Where one signs in.
    pub back_url: String,
    /// Where usernames are told by mail, or how else to learn one's own.
    pub forgot_username_url: String,
}

/// Says where the password of a biller's people is kept, as it is not kept here.
#[derive(Clone, Debug, Template)]
#[template(path = "login/reset_external.html")]
pub struct ExternalPasswordPage {
    /// Around the content.
    pub chrome: Chrome,
    /// Name of the biller.
    pub biller: String,
    /// Where one signs in.
    pub sign_in_url: String,
}

/// Asks whose sign-in links are to be mailed.
#[derive(Clone, Debug, Template)]
#[template(path = "login/links.html")]
pub struct LinksPage {
    /// Around the content.
    pub chrome: Chrome,
    /// What was typed before.
    pub username: String,
    /// What is wrong with it, in a sentence.
    pub error: Option<String>,
    /// Where to go after signing in.
    pub return_to: Option<String>,
    /// Where one signs in.
    pub back_url: String,
}

/// Says that a mail may be on its way: the same for everybody.
#[derive(Clone, Debug, Template)]
#[template(path = "login/links_sent.html")]
pub struct LinksSentPage {
    /// Around the content.
    pub chrome: Chrome,
    /// Where another address can be tried.
    pub again_url: String,
    /// Where one signs in.
    pub back_url: String,
}

/// What to do next about the password: the same for every username.
#[derive(Clone, Debug, Template)]
#[template(path = "login/reset_sent.html")]
pub struct ResetSentPage {
    /// Around the content.
    pub chrome: Chrome,
    /// Where the legacy portal resets passwords.
    pub legacy_reset_url: String,
    /// Whose sign-in to go back to.
    pub back: Link,
}

/// Answers and contacts.
#[derive(Clone, Debug, Template)]
#[template(path = "login/help.html")]
pub struct HelpPage {
    /// Around the content.
    pub chrome: Chrome,
    /// The company's own people, also when the page is about a biller.
    pub company: Contact,
    /// Where sign-in links are asked for, if mails can be sent.
    pub links_url: Option<String>,
    /// Where a password is reset.
    pub reset_url: String,
    /// Where the ways back in are.
    pub recover_url: String,
    /// Where one signs in.
    pub back_url: String,
}

/// The biller's issuer does not answer (row 8).
#[derive(Clone, Debug, Template)]
#[template(path = "login/outage.html")]
pub struct OutagePage {
    /// Around the content.
    pub chrome: Chrome,
    /// Name of the biller.
    pub biller: String,
    /// Where trying again leads.
    pub retry_url: String,
    /// Until when the issuer was announced to be away, if it was.
    pub until: Option<String>,
    /// How to pay without signing in; the contacts do not say it again.
    pub pay: Option<OperatorText>,
}

/// Signing in is paused, for one biller or for all.
#[derive(Clone, Debug, Template)]
#[template(path = "login/hold.html")]
pub struct HoldPage {
    /// Around the content.
    pub chrome: Chrome,
    /// Name of the biller, unless all are paused.
    pub biller: Option<String>,
    /// Where trying again leads.
    pub retry_url: String,
    /// How to pay without signing in; the contacts do not say it again.
    pub pay: Option<OperatorText>,
}

/// Something went wrong: what, and how to go on.
#[derive(Clone, Debug, Template)]
#[template(path = "error/error.html")]
pub struct ErrorPage {
    /// Around the content.
    pub chrome: Chrome,
    /// What happened, as a heading.
    pub title: String,
    /// What it means.
    pub text: String,
    /// Ways on; the first is the main one.
    pub links: Vec<Link>,
}

/// Signed in at several billers: which portal to go on to?
#[derive(Clone, Debug, Template)]
#[template(path = "login/choose.html")]
pub struct ChoosePage {
    /// Around the content.
    pub chrome: Chrome,
    /// The portals, by name of the biller.
    pub portals: Vec<Link>,
}

/// Asks before signing out.
#[derive(Clone, Debug, Template)]
#[template(path = "login/logout.html")]
pub struct LogoutPage {
    /// Around the content.
    pub chrome: Chrome,
    /// Where the person is signed in; may be empty.
    pub billers: Vec<SignedInBiller>,
}

/// A biller somebody is signed in at.
#[derive(Clone, Debug)]
pub struct SignedInBiller {
    /// Name of the biller.
    pub name: String,
    /// Its slug, as `/logout` wants it.
    pub slug: String,
}

/// Says that signing out worked, and where one is still signed in.
#[derive(Clone, Debug, Template)]
#[template(path = "login/signed_out.html")]
pub struct SignedOutPage {
    /// Around the content.
    pub chrome: Chrome,
    /// Name of the biller one signed out of.
    pub biller: Option<String>,
    /// Where to sign in again.
    pub sign_in_url: String,
    /// Names of the billers one is still signed in at.
    pub remaining: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::brand::LogoImage;

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
            Box::new(ErrorPage {
                chrome: chrome(),
                title: "Not here".into(),
                text: "Go on.".into(),
                links: error_links,
            }),
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
}
