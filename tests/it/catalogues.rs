//! The catalogues: complete in every language, and all that the pages and the program ask for, no more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};
use signpost::i18n::{CATALOGUES, Translator};
use signpost_core::Locale;

/// Variables of each message; of its attributes under `key.attribute`.
type Messages = BTreeMap<String, BTreeSet<String>>;

fn messages(text: &str) -> Messages {
    let resource = fluent_syntax::parser::parse(text).map_err(|(_, errors)| errors).unwrap();
    let mut found = Messages::new();
    for entry in &resource.body {
        match entry {
            Entry::Message(message) => {
                let key = message.id.name;
                let mut add = |key: String, pattern: &Pattern<&str>| {
                    assert!(found.insert(key.clone(), variables(pattern)).is_none(), "{key} is there twice");
                };
                add(key.to_owned(), message.value.as_ref().unwrap());
                for attribute in &message.attributes {
                    add(format!("{key}.{}", attribute.id.name), &attribute.value);
                }
            }
            Entry::Comment(_) | Entry::GroupComment(_) | Entry::ResourceComment(_) => {}
            other => panic!("{other:?}"),
        }
    }
    found
}

fn variables(pattern: &Pattern<&str>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for element in &pattern.elements {
        let PatternElement::Placeable { expression } = element else { continue };
        let (inline, variants) = match expression {
            Expression::Inline(inline) => (inline, &[][..]),
            Expression::Select { selector, variants } => (selector, variants.as_slice()),
        };
        match inline {
            InlineExpression::VariableReference { id } => found.insert(id.name.to_owned()),
            other => panic!("{other:?}"),
        };
        found.extend(variants.iter().flat_map(|variant| variables(&variant.value)));
    }
    found
}

fn english() -> Messages {
    messages(CATALOGUES[0].1)
}

#[test]
fn every_language_has_the_same_messages_with_the_same_variables() {
    assert_eq!(CATALOGUES.map(|(locale, _)| locale), Locale::ALL);
    for (locale, text) in CATALOGUES {
        assert_eq!(messages(text), english(), "{}", locale.tag());
    }
}

/// Variables of the message that has several.
const DATE_TIME_VARIABLES: [&str; 8] = ["weekday", "month", "day", "year", "hour", "minute", "period", "zone"];

#[test]
fn every_message_formats_and_is_translated() {
    // What is the same word in both.
    let same = ["form-error-prefix", "title-error"];
    for (key, variables) in english() {
        let formatted = CATALOGUES.map(|(locale, _)| {
            let i18n = Translator::new(locale);
            match (key.split_once('.'), variables.first().map(String::as_str)) {
                (Some((key, "text")), None) => i18n.t_text(key),
                (None, None) => i18n.t(&key),
                (None, Some("count")) => i18n.t_count(&key, 2_usize),
                (None, Some(name)) if variables.len() == 1 => i18n.t_with(&key, name, "<&>"),
                // Its own test tells more (login/date_time.rs).
                (None, _) if key == "date-time" => {
                    i18n.t_with_args(&key, DATE_TIME_VARIABLES.map(|name| (name, "<&>".into())))
                }
                other => panic!("nothing says {key}: {other:?}"),
            }
        });
        assert!(
            formatted
                .iter()
                .all(|formatted| !formatted.is_empty() && *formatted != key && !formatted.contains(['{', '$'])),
            "{formatted:?}"
        );
        assert!(
            formatted.iter().all(|formatted| variables.is_empty() || formatted.contains(['2', '<'])),
            "{formatted:?}"
        );
        assert!(formatted[0] != formatted[1] || same.contains(&key.as_str()), "{key} is not translated");
        assert!(
            !formatted.iter().any(|formatted| formatted.contains(['\'', '"', '\u{2068}'])),
            "straight quotes: {formatted:?}"
        );
    }
}

#[test]
fn plural_forms_match_the_count() {
    let formatted = CATALOGUES.map(|(locale, _)| {
        [1_usize, 2, 11, 1000].map(|count| Translator::new(locale).t_count("logout-session-count", count))
    });
    assert_eq!(formatted[0][0], "You are signed in to one biller in this browser.");
    assert_eq!(formatted[1][2], "Tiene la sesión iniciada en 11 facturadores en este navegador.");
    assert!(
        formatted.iter().all(|formatted| formatted[3].contains("1000") && formatted[1].contains('2')),
        "{formatted:?}"
    );
}

/// How messages are asked for in templates and in the program: `.t("key"`, `.t_with("key", "variable"` and so on.
const CALLS: [(&str, &str); 4] = [(".t(\"", ""), (".t_text(\"", ".text"), (".t_with(\"", ""), (".t_count(\"", "")];
const FOLDERS: [&str; 4] = ["templates", "src/login", "src/mail", "src/web"];

#[test]
fn every_call_matches_a_message_and_its_variables() {
    let messages = english();
    let mut call_count = 0;
    for (path, text) in files(&FOLDERS) {
        for (call, attribute) in CALLS {
            for rest in text.split(call).skip(1) {
                let mut quoted = rest.split('"');
                let key = format!("{}{attribute}", quoted.next().unwrap());
                let variable = match call {
                    ".t_with(\"" => Some(quoted.nth(1).unwrap().to_owned()),
                    ".t_count(\"" => Some("count".to_owned()),
                    _ => None,
                };
                let expected = messages.get(&key).unwrap_or_else(|| panic!("{}: there is no {key}", path.display()));
                assert_eq!(*expected, variable.into_iter().collect(), "{}: variables of {key}", path.display());
                call_count += 1;
            }
        }
    }
    assert!(call_count > 100, "{call_count} were found");
}

#[test]
fn every_key_exists_and_every_message_is_used() {
    let messages = english();
    let mut used = BTreeSet::new();
    for (path, text) in files(&FOLDERS) {
        let is_program = path.extension().is_some_and(|extension| extension == "rs");
        for literal in text.split('"').filter(|text| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')) {
            if messages.contains_key(literal) {
                used.insert(literal.to_owned());
                continue;
            }
            let is_key =
                ["error-", "action-", "recover-", "username-"].iter().any(|prefix| literal.starts_with(prefix));
            assert!(!(is_program && is_key), "{}: there is no {literal}", path.display());
        }
    }
    for key in messages.keys() {
        let key = key.split('.').next().unwrap();
        assert!(used.contains(key), "nobody says {key}");
    }
    // Refusals and headings of recovery are shown with their texts.
    for key in used.iter().filter(|key| key.starts_with("error-")) {
        assert!(messages.contains_key(&format!("{key}.text")), "{key} has no text");
    }
}

fn files(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut folders): (Vec<_>, Vec<_>) = (vec![], folders.iter().map(|name| root.join(name)).collect());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}
