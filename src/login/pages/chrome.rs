//! The parts that all pages share.

use crate::handoffs::FlowContext;
use crate::i18n::Translator;
use crate::login::addresses;
use crate::web::brand::Brand;
use crate::web::paths;
use signpost_core::{KeyRing, Locale, LocalizedText, Slug};

/// How to reach the support of the company or of one biller.
#[derive(Clone, Debug)]
pub struct Contact {
    pub name: String,
    /// As people read it, such as "+1 (555) 010-0100 ext. 4".
    pub phone: Option<String>,
    pub email: Option<String>,
    /// Opening hours, such as "Monday to Friday, 8 am to 6 pm".
    pub hours: Option<OperatorText>,
    /// How to pay without signing in.
    pub alternative_payment: Option<OperatorText>,
}

/// Text that operators wrote in the settings.
#[derive(Clone, Debug)]
pub struct OperatorText {
    pub text: String,
    /// The language of the text, if it is not the language of the page (WCAG 2.2, success criterion 3.1.2).
    pub lang: Option<&'static str>,
}

impl OperatorText {
    /// The text for a page in this language, in another language if there is none in this one.
    #[must_use]
    pub fn in_locale(text: Option<&LocalizedText>, locale: Locale) -> Option<Self> {
        let (language, text) = text?.resolve(locale)?;
        Some(Self { text: text.to_owned(), lang: (language != locale).then(|| language.tag()) })
    }
}

impl Contact {
    /// Whether there is anything besides the name.
    #[must_use]
    pub fn has_details(&self) -> bool {
        self.phone.is_some() || self.email.is_some() || self.hours.is_some() || self.alternative_payment.is_some()
    }

    /// The phone number for a `tel:` link: digits and a leading plus, without an extension ("ext. 12").
    #[must_use]
    pub fn tel(&self) -> String {
        let number = self.phone.as_deref().unwrap_or_default();
        let number = number.split(char::is_alphabetic).next().unwrap_or_default();
        let digits = number.chars().filter(char::is_ascii_digit).collect::<String>();
        if number.trim_start().starts_with('+') { format!("+{digits}") } else { digits }
    }

    /// The mail address for a `mailto:` link, escaped so that nothing in it reads as a header field.
    #[must_use]
    pub fn mailto(&self) -> String {
        let address = self.email.as_deref().unwrap_or_default();
        address.replace('%', "%25").replace('?', "%3F").replace('&', "%26").replace('#', "%23").replace(' ', "%20")
    }
}

#[derive(Clone, Debug)]
pub struct Link {
    pub label: String,
    pub url: String,
}

/// The same page in another language.
#[derive(Clone, Debug)]
pub struct OtherLanguage {
    pub i18n: Translator,
    pub address: String,
    /// The fields of the form to submit there; none if a link is enough.
    pub form: Option<Vec<(String, String)>>,
}

/// What the links of a page are made from: the browser's flow, which they take along.
#[derive(Clone, Debug)]
pub struct PageLinks {
    pub keys: KeyRing,
    pub flow: FlowContext,
    /// The biller that the page is about.
    pub biller: Option<Slug>,
    /// A mail server is configured.
    pub can_send_mail: bool,
}

/// The parts that all pages share: header, language switch, contact, reference code.
#[derive(Clone, Debug)]
pub struct Chrome {
    pub i18n: Translator,
    pub other_languages: Vec<OtherLanguage>,
    pub company: String,
    pub stylesheet: String,
    pub logo: String,
    /// `XXXX-XXXX-XXXX-XXXX`
    pub reference: String,
    /// The biller's support if the page is about a biller, else the company's.
    pub contact: Contact,
    /// Name of the biller that the page is about.
    pub biller: Option<String>,
    pub brand: Brand,
    /// The link to the help page below the contact. The help page has none.
    pub help_url: String,
    pub links: PageLinks,
}

impl Chrome {
    /// The address of a page of ours, with the flow.
    #[must_use]
    pub fn to(&self, path: &str) -> String {
        addresses::page(&self.links.keys, path, &self.links.flow)
    }

    /// The sign-in of the biller that the page is about, or the shared login page.
    #[must_use]
    pub fn to_sign_in(&self) -> String {
        match &self.links.biller {
            Some(slug) => addresses::plain_sign_in(slug, self.links.flow.return_to.as_deref()),
            None => self.to(paths::LOGIN),
        }
    }

    /// The password reset of the biller that the page is about, or that of any username.
    #[must_use]
    pub fn to_reset(&self) -> String {
        self.links.biller.as_ref().map_or_else(|| self.to(paths::RESET), |slug| self.to(&paths::biller_reset(slug)))
    }

    /// The form for sign-in links by mail; none if we cannot send mail.
    #[must_use]
    pub fn to_email_links(&self) -> Option<String> {
        self.links.can_send_mail.then(|| self.to(paths::LINKS))
    }
}
