//! Mail texts, rendered as plain text and as HTML from the same content.

use askama::Template;

use super::Email;
use crate::config::Config;
use crate::i18n::Translator;
use signpost_core::Locale;

/// A sign-in page, and the usernames that work there.
#[derive(Clone, Debug)]
pub(super) struct SignInPage {
    pub biller: String,
    pub url: String,
    pub usernames: Vec<String>,
}

/// The content of both templates.
struct Body<'a> {
    i18n: Translator,
    title: String,
    intro: Vec<String>,
    pages: &'a [SignInPage],
    outro: Vec<String>,
    company: &'a str,
    contact: String,
}

#[derive(Template)]
#[template(path = "mail/message.txt")]
struct Plain<'a>(&'a Body<'a>);

#[derive(Template)]
#[template(path = "mail/message.html")]
struct Html<'a>(&'a Body<'a>);

pub(super) fn sign_in_links(config: &Config, to: &str, pages: &[SignInPage], locale: Locale) -> Email {
    let (i18n, company) = (Translator::new(locale), &config.help.company);
    let title = i18n.t_with("mail-links", "company", company);
    let intro = vec![i18n.t_with("mail-links-reason", "company", company), i18n.t("mail-links-list")];
    let outro = vec![i18n.t("mail-links-save"), i18n.t("mail-not-requested")];
    render(config, to, Content { i18n, title, intro, pages, outro })
}

/// For an address that no user has.
pub(super) fn no_account(config: &Config, to: &str, locale: Locale) -> Email {
    let (i18n, company) = (Translator::new(locale), &config.help.company);
    let requested = i18n.t_with("mail-links-reason", "company", company);
    let intro = vec![format!("{requested} {}", i18n.t("mail-no-account-text")), i18n.t("mail-no-account-help")];
    let (title, outro) = (i18n.t_with("mail-no-account", "company", company), vec![i18n.t("mail-not-requested")]);
    render(config, to, Content { i18n, title, intro, pages: &[], outro })
}

/// For a user whose password Signpost cannot reset.
pub(super) fn reset_elsewhere(config: &Config, to: &str, biller: &str, url: &str, locale: Locale) -> Email {
    let i18n = Translator::new(locale);
    let page = SignInPage { biller: biller.to_owned(), url: url.to_owned(), usernames: Vec::new() };
    let title = i18n.t_with("reset-external", "biller", biller);
    let intro = vec![
        i18n.t_with("mail-reset-reason", "biller", biller),
        i18n.t_with("mail-reset-external", "company", &config.help.company),
    ];
    let outro = vec![i18n.t("mail-not-requested-unchanged")];
    render(config, to, Content { i18n, title, intro, pages: &[page], outro })
}

/// For a biller's contact: where its customers sign in.
pub(super) fn login_address(config: &Config, to: &str, biller: &str, url: &str, locale: Locale) -> Email {
    let i18n = Translator::new(locale);
    let page = SignInPage { biller: biller.to_owned(), url: url.to_owned(), usernames: Vec::new() };
    let title = i18n.t_with("mail-login-address", "biller", biller);
    let intro = vec![i18n.t_with("mail-login-address-how", "company", &config.help.company)];
    let outro = vec![i18n.t("mail-login-address-publish"), i18n.t("mail-login-address-legacy")];
    render(config, to, Content { i18n, title, intro, pages: &[page], outro })
}

struct Content<'a> {
    i18n: Translator,
    title: String,
    intro: Vec<String>,
    pages: &'a [SignInPage],
    outro: Vec<String>,
}

fn render(config: &Config, to: &str, content: Content<'_>) -> Email {
    let help = &config.help;
    let Content { i18n, title, intro, pages, outro } = content;
    let hours = help.hours.as_ref().and_then(|hours| hours.resolve(i18n.locale())).map(|(_, text)| text);
    let contacts = [help.phone.as_deref(), help.email.as_deref(), hours];
    let contact = contacts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let body = Body { i18n, title, intro, pages, outro, company: &help.company, contact };
    // Rendering writes to a String, which does not fail.
    let (text, html) = (Plain(&body).render().unwrap_or_default(), Html(&body).render().unwrap_or_default());
    Email { to: to.to_owned(), subject: body.title, text, html }
}
