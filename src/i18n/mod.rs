//! Customer messages from the catalogues in `locales/`, one per language (Project Fluent).
//!
//! The catalogues are compiled in, and a test checks that they are complete. If a message is missing anyway, the page shows
//! its key.

use std::fmt::Display;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::types::FluentNumber;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

use signpost_core::Locale;

pub const CATALOGUES: [(Locale, &str); 2] =
    [(Locale::English, include_str!("../../locales/en.ftl")), (Locale::Spanish, include_str!("../../locales/es.ftl"))];

static BUNDLES: LazyLock<Vec<(Locale, FluentBundle<FluentResource>)>> =
    LazyLock::new(|| CATALOGUES.map(|(locale, text)| (locale, build_bundle(locale, text))).into());

#[derive(Clone, Copy, Debug)]
pub struct Translator(Locale);

impl Translator {
    pub fn new(locale: Locale) -> Self {
        Self(locale)
    }

    pub fn locale(self) -> Locale {
        self.0
    }

    /// BCP 47.
    pub fn tag(self) -> &'static str {
        self.0.tag()
    }

    pub fn t(self, key: &str) -> String {
        self.format(key, None, None)
    }

    /// The `text` attribute of a message.
    pub fn t_text(self, key: &str) -> String {
        self.format(key, Some("text"), None)
    }

    pub fn t_with(self, key: &str, name: &str, value: impl Display) -> String {
        let mut arguments = FluentArgs::with_capacity(1);
        arguments.set(name, value.to_string());
        self.format(key, None, Some(&arguments))
    }

    /// A message with a `count` variable, in the plural form for that number.
    pub fn t_count(self, key: &str, count: impl Into<FluentNumber>) -> String {
        let mut arguments = FluentArgs::with_capacity(1);
        arguments.set("count", count.into());
        self.format(key, None, Some(&arguments))
    }

    pub fn t_with_args<'v, const N: usize>(self, key: &str, variables: [(&'v str, FluentValue<'v>); N]) -> String {
        self.format(key, None, Some(&variables.into_iter().collect()))
    }

    fn format(self, key: &str, attribute: Option<&str>, arguments: Option<&FluentArgs<'_>>) -> String {
        let bundle = BUNDLES.iter().find(|(locale, _)| *locale == self.0).map(|(_, bundle)| bundle);
        let found = bundle.and_then(|bundle| {
            let message = bundle.get_message(key)?;
            let pattern = match attribute {
                None => message.value()?,
                Some(name) => message.get_attribute(name)?.value(),
            };
            let mut errors = Vec::new();
            let formatted = bundle.format_pattern(pattern, arguments, &mut errors).into_owned();
            errors.is_empty().then_some(formatted)
        });
        found.unwrap_or_else(|| {
            tracing::error!(key, locale = self.tag(), "a message cannot be formatted");
            key.to_owned()
        })
    }
}

fn build_bundle(locale: Locale, text: &str) -> FluentBundle<FluentResource> {
    let mut bundle = FluentBundle::new_concurrent(locale.tag().parse().into_iter().collect());
    // Direction isolation marks would end up in copied addresses and names.
    bundle.set_use_isolating(false);
    let resource = FluentResource::try_new(text.to_owned()).unwrap_or_else(|(readable, _)| readable);
    bundle.add_resource_overriding(resource);
    bundle
}
