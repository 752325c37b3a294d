//! What customers read: the catalogues in `locales/`, one a language (Project Fluent).
//!
//! Both are built into the program, and a test holds them complete, so a message that is missing is a mistake of ours: its
//! key is shown, which is better than no page.

use std::fmt::Display;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::types::FluentNumber;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

use signpost_core::Locale;

/// The catalogues as they stand in `locales/`.
pub const CATALOGUES: [(Locale, &str); 2] =
    [(Locale::English, include_str!("../../locales/en.ftl")), (Locale::Spanish, include_str!("../../locales/es.ftl"))];

static BUNDLES: LazyLock<Vec<(Locale, FluentBundle<FluentResource>)>> =
    LazyLock::new(|| CATALOGUES.map(|(locale, text)| (locale, build_bundle(locale, text))).into());

/// The words of one language.
#[derive(Clone, Copy, Debug)]
pub struct Translator(Locale);

impl Translator {
    /// In this language.
    pub fn new(locale: Locale) -> Self {
        Self(locale)
    }

    /// The language.
    pub fn locale(self) -> Locale {
        self.0
    }

    /// The language's tag (BCP 47).
    pub fn tag(self) -> &'static str {
        self.0.tag()
    }

    /// A message.
    pub fn t(self, key: &str) -> String {
        self.format(key, None, None)
    }

    /// What explains a message: its attribute `text`.
    pub fn t_text(self, key: &str) -> String {
        self.format(key, Some("text"), None)
    }

    /// A message with a variable.
    pub fn t_with(self, key: &str, name: &str, value: impl Display) -> String {
        let mut arguments = FluentArgs::with_capacity(1);
        arguments.set(name, value.to_string());
        self.format(key, None, Some(&arguments))
    }

    /// A message with a `count`, in the form that the number wants.
    pub fn t_count(self, key: &str, count: impl Into<FluentNumber>) -> String {
        let mut arguments = FluentArgs::with_capacity(1);
        arguments.set("count", count.into());
        self.format(key, None, Some(&arguments))
    }

    /// A message with several variables; numbers in the form that they want.
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
    // The marks that isolate a variable's direction would be part of addresses and names that are copied.
    bundle.set_use_isolating(false);
    let resource = FluentResource::try_new(text.to_owned()).unwrap_or_else(|(readable, _)| readable);
    bundle.add_resource_overriding(resource);
    bundle
}
