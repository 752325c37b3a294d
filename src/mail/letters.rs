//! What our mails say: as plain text and as HTML, from one text.

use askama::Template;

use super::Letter;
use crate::config::Config;
use crate::words::Words;
use signpost_core::Locale;

/// Where somebody signs in.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub biller: String,
    pub address: String,
    pub usernames: Vec<String>,
}

/// What both forms of a mail have in them.
struct Body<'a> {
    words: Words,
    title: String,
    before: Vec<String>,
    places: &'a [Place],
    after: Vec<String>,
    company: &'a str,
    contact: String,
}

#[derive(Template)]
#[template(path = "mail/letter.txt")]
struct Plain<'a>(&'a Body<'a>);

#[derive(Template)]
#[template(path = "mail/letter.html")]
struct Html<'a>(&'a Body<'a>);

/// The addresses at which somebody signs in, and their usernames there.
pub(super) fn links(config: &Config, to: &str, places: &[Place], locale: Locale) -> Letter {
    let (words, company) = (Words::of(locale), &config.help.company);
    let title = words.tell("mail-links", "company", company);
    let before = vec![words.tell("mail-links-asked", "company", company), words.say("mail-links-these")];
    let after = vec![words.say("mail-links-save"), words.say("mail-not-you")];
    write(config, to, Text { words, title, before, places, after })
}

/// For an address that nobody has.
pub(super) fn no_account(config: &Config, to: &str, locale: Locale) -> Letter {
    let (words, company) = (Words::of(locale), &config.help.company);
    let asked = words.tell("mail-links-asked", "company", company);
    let before = vec![format!("{asked} {}", words.say("mail-none-here")), words.say("mail-none-other")];
    let (title, after) = (words.tell("mail-none", "company", company), vec![words.say("mail-not-you")]);
    write(config, to, Text { words, title, before, places: &[], after })
}

/// For somebody whose password is not ours to reset.
pub(super) fn elsewhere(config: &Config, to: &str, biller: &str, address: &str, locale: Locale) -> Letter {
    let words = Words::of(locale);
    let place = Place { biller: biller.to_owned(), address: address.to_owned(), usernames: Vec::new() };
    let title = words.tell("reset-elsewhere", "biller", biller);
    let before = vec![
        words.tell("mail-reset-asked", "biller", biller),
        words.tell("mail-reset-elsewhere", "company", &config.help.company),
    ];
    let after = vec![words.say("mail-not-you-unchanged")];
    write(config, to, Text { words, title, before, places: &[place], after })
}

/// For a biller's contact: where its customers sign in from now on.
pub(super) fn login_address(config: &Config, to: &str, biller: &str, address: &str, locale: Locale) -> Letter {
    let words = Words::of(locale);
    let place = Place { biller: biller.to_owned(), address: address.to_owned(), usernames: Vec::new() };
    let title = words.tell("mail-moved", "biller", biller);
    let before = vec![words.tell("mail-moved-since", "company", &config.help.company)];
    let after = vec![words.say("mail-moved-hand-out"), words.say("mail-moved-old")];
    write(config, to, Text { words, title, before, places: &[place], after })
}

/// What is particular to a mail.
struct Text<'a> {
    words: Words,
    title: String,
    before: Vec<String>,
    places: &'a [Place],
    after: Vec<String>,
}

fn write(config: &Config, to: &str, text: Text<'_>) -> Letter {
    let help = &config.help;
    let Text { words, title, before, places, after } = text;
    let hours = help.hours.as_ref().and_then(|hours| hours.to(words.locale())).map(|(_, text)| text);
    let ways = [help.phone.as_deref(), help.email.as_deref(), hours];
    let contact = ways.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let body = Body { words, title, before, places, after, company: &help.company, contact };
    // Rendering writes to a text, which does not fail.
    let (text, html) = (Plain(&body).render().unwrap_or_default(), Html(&body).render().unwrap_or_default());
    Letter { to: to.to_owned(), subject: body.title, text, html }
}
