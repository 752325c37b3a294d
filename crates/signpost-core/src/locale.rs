//! The languages of the customer pages, and language negotiation.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Locale {
    /// The fallback.
    #[default]
    #[serde(rename = "en")]
    English,
    #[serde(rename = "es")]
    Spanish,
}

impl Locale {
    pub const ALL: [Self; 2] = [Self::English, Self::Spanish];

    /// The BCP 47 tag. All tags have the same length, so that the length of a sealed token does not reveal the language.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }

    /// The language of a BCP 47 tag. The region is ignored: `es-MX` is Spanish.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let language = tag.split('-').next().unwrap_or_default();
        Self::ALL.into_iter().find(|locale| locale.tag().eq_ignore_ascii_case(language))
    }

    /// The supported language that an `Accept-Language` header prefers (RFC 9110, section 12.5.4). Invalid ranges are
    /// ignored.
    pub fn from_accept_language(header: &str) -> Option<Self> {
        let ranges: Vec<(&str, f32)> = header.split(',').filter_map(parse_range).collect();
        let quality = |locale: Self| {
            let named = ranges.iter().filter(|(tag, _)| Self::from_tag(tag) == Some(locale));
            let any = ranges.iter().filter(|(tag, _)| *tag == "*");
            named.map(|(_, quality)| *quality).reduce(f32::max).or_else(|| any.map(|(_, quality)| *quality).next())
        };
        // Of two languages with equal quality, the one named first wins.
        let named = ranges.iter().filter_map(|(tag, _)| Self::from_tag(tag));
        let mut best: Option<(Self, f32)> = None;
        for locale in named.chain(Self::ALL) {
            let Some(quality) = quality(locale).filter(|quality| *quality > 0.0) else { continue };
            if best.is_none_or(|(_, so_far)| quality > so_far) {
                best = Some((locale, quality));
            }
        }
        best.map(|(locale, _)| locale)
    }
}

/// A language range and its quality, 1 by default (RFC 9110, section 12.4.2).
fn parse_range(text: &str) -> Option<(&str, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let tag = parts.next().filter(|tag| !tag.is_empty())?;
    let Some(weight) = parts.next() else { return Some((tag, 1.0)) };
    let (name, value) = weight.split_once('=')?;
    let digits = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let quality = value.parse::<f32>().ok().filter(|quality| digits && (0.0..=1.0).contains(quality))?;
    (name.eq_ignore_ascii_case("q") && parts.next().is_none()).then_some((tag, quality))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_locale_is_selected() {
        let (en, es) = (Some(Locale::English), Some(Locale::Spanish));
        for (header, expected) in [
            ("es", es),
            ("ES-mx", es),
            ("es-419,es;q=0.9,en;q=0.8", es),
            ("en-US,en;q=0.9,es;q=0.8", en),
            ("en;q=0.3, es;q=0.7", es),
            ("fr-CA, fr;q=0.9, es;q=0.2", es),
            ("fr, pt-BR;q=0.9, en;q=0.1, es;q=0.1", en),
            ("es, en", es),
            ("en, es", en),
            ("en;q=0, *", es),
            ("es;q=0.001, *;q=0.5", en),
            ("*", en),
            ("fr, *;q=0.1", en),
            ("es;q=0", None),
            ("*;q=0", None),
            ("fr, de", None),
            ("", None),
            // Invalid ranges are ignored. The others still count.
            ("es;q=2, en;q=0.1", en),
            ("es;q=nan, es;q=inf, es;q=-1, es;q=1e0, es;q, en;q=0.1", en),
            (";;,=,;q=1, es ; q=0.5", es),
            ("español, est, e", None),
            ("es;q=1;level=1, en;q=0.1", en),
        ] {
            assert_eq!(Locale::from_accept_language(header), expected, "{header:?}");
        }
    }

    #[test]
    fn all_tags_have_equal_length() {
        assert!(Locale::ALL.iter().all(|locale| locale.tag().len() == 2));
        assert!(Locale::ALL.iter().all(|locale| Locale::from_tag(locale.tag()) == Some(*locale)));
    }
}
