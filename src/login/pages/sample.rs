//! What the samples of pages are made of. Each page has its samples beside its struct, in the function `samples` of the file.

use askama::Template;

use super::chrome::{Chrome, Contact, Link, OperatorText, OtherLanguage, PageLinks};
use crate::handoffs::FlowContext;
use crate::i18n::Translator;
use crate::web::brand::{Brand, LogoImage};
use crate::web::paths;
use signpost_core::{KeyRing, Locale, Random, Slug};

/// Has to be escaped.
pub(super) const BILLER: &str = "Riverside <Water>";

/// A rendered page, and the name of its struct.
pub(super) struct Sample {
    pub page: &'static str,
    pub html: String,
}

pub(super) fn render<T: Template>(page: &T) -> Sample {
    let name = std::any::type_name::<T>().rsplit("::").next().unwrap_or_default();
    Sample { page: name, html: page.render().unwrap_or_default() }
}

fn slug() -> Slug {
    Slug::parse("riverside-water").unwrap()
}

pub(super) fn biller_path() -> String {
    paths::biller(&slug())
}

pub(super) fn link(label: &str) -> Link {
    Link { label: label.into(), url: biller_path() }
}

pub(super) fn chrome(locale: Locale) -> Chrome {
    let other_languages = Locale::ALL.into_iter().filter(|other| *other != locale);
    let form = Some(vec![("username".to_owned(), "a\"b".to_owned())]);
    let other_languages = other_languages.map(|other| OtherLanguage {
        i18n: Translator::new(other),
        address: paths::with_query(paths::LOGIN, "lang", other.tag()),
        form: form.clone(),
    });
    Chrome {
        i18n: Translator::new(locale),
        other_languages: other_languages.collect(),
        company: "Example Pay".into(),
        stylesheet: paths::static_file("signpost.css"),
        logo: paths::static_file("logo.svg"),
        reference: "7KQM-2XWD-94TR-HN3P".into(),
        contact: Contact {
            name: "Example Pay".into(),
            phone: Some("+1 (555) 010-0100 ext. 4".into()),
            email: Some("help@example.com?bcc=x".into()),
            hours: Some(OperatorText { text: "Monday to Friday".into(), lang: None }),
            alternative_payment: Some(OperatorText { text: "Pay by <mail>.".into(), lang: Some("es") }),
        },
        biller: Some(BILLER.into()),
        brand: Brand {
            stylesheet: Some(paths::brand_colours(&slug(), "1")),
            logo: Some(LogoImage { url: paths::brand_logo(&slug(), "1"), width: 160, height: 40 }),
        },
        help_url: paths::HELP.into(),
        links: links(Some(slug())),
    }
}

/// The links of a customer whose return target is `/bills`.
pub(super) fn links(biller: Option<Slug>) -> PageLinks {
    let key = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
    PageLinks {
        keys: KeyRing::from_base64([key], Random::system()).unwrap(),
        flow: FlowContext { return_to: Some("/bills".into()), ..FlowContext::default() },
        biller,
        can_send_mail: true,
    }
}
