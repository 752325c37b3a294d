//! Removes names from texts.

use serde_json::Value as Json;

/// What stands in place of a name.
const ERASED: &str = "[erased]";

/// Replaces whole words, without regard to case. `None`: the text has none of them.
pub(super) fn redact(text: &str, words: &[String]) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    let mut before = None;
    let mut is_changed = false;
    while let Some(first) = rest.chars().next() {
        let found = if before.is_none_or(|c| !continues_word(c)) {
            words.iter().filter_map(|word| length_at_start(rest, word)).max()
        } else {
            None
        };
        let length = found.unwrap_or(first.len_utf8());
        out.push_str(if found.is_some() { ERASED } else { &rest[..length] });
        is_changed |= found.is_some();
        before = rest[..length].chars().next_back();
        rest = &rest[length..];
    }
    is_changed.then_some(out)
}

/// The same in all texts of a JSON value. Returns whether it changed.
pub(super) fn redact_json(value: &mut Json, words: &[String]) -> bool {
    match value {
        Json::String(text) => match redact(text, words) {
            Some(redacted) => {
                *text = redacted;
                true
            }
            None => false,
        },
        Json::Array(items) => items.iter_mut().fold(false, |changed, item| redact_json(item, words) | changed),
        Json::Object(fields) => fields.values_mut().fold(false, |changed, item| redact_json(item, words) | changed),
        _ => false,
    }
}

/// A dot or a hyphen inside a word belongs to it, so that `ann` is not found in `ann@mail.example`.
fn continues_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '+')
}

/// The length in bytes of `word` at the start of `text`, if no longer word starts there.
fn length_at_start(text: &str, word: &str) -> Option<usize> {
    let mut expected = word.chars().flat_map(char::to_lowercase);
    let mut next = expected.next()?;
    let mut chars = text.char_indices().peekable();
    while let Some((_, c)) = chars.next() {
        for lower in c.to_lowercase() {
            if lower != next {
                return None;
            }
            match expected.next() {
                Some(following) => next = following,
                None => {
                    let after = chars.peek().map(|(at, c)| (*at, *c));
                    return match after {
                        Some((_, c)) if continues_word(c) => None,
                        Some((at, _)) => Some(at),
                        None => Some(text.len()),
                    };
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{redact, redact_json};

    #[test]
    fn whole_words_are_redacted() {
        let words = ["ann".to_owned(), "ann.lee@mail.example".to_owned(), "Bücher".to_owned()];
        for (text, expected) in [
            ("call from ANN, ticket 7", Some("call from [erased], ticket 7")),
            ("Ann.Lee@mail.example asked", Some("[erased] asked")),
            ("ann", Some("[erased]")),
            ("(ann) ann's", Some("([erased]) [erased]'s")),
            ("BÜCHER and bücher", Some("[erased] and [erased]")),
            ("annual joanne ann_2 ann@other.example", None),
            ("", None),
        ] {
            assert_eq!(redact(text, &words).as_deref(), expected, "{text}");
        }
        assert_eq!(redact("ann", &[String::new()]), None);
        let mut details = json!({ "a": ["ann", 1], "b": { "c": "annual" } });
        assert!(redact_json(&mut details, &words));
        assert_eq!(details, json!({ "a": ["[erased]", 1], "b": { "c": "annual" } }));
        assert!(!redact_json(&mut details, &words));
    }
}
