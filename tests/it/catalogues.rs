//! The catalogues: complete in every language, and all that the pages and the program ask for, no more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};
use signpost::words::{CATALOGUES, Words};
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
const MOMENT: [&str; 8] = ["weekday", "month", "day", "year", "hour", "minute", "half", "zone"];

#[test]
fn every_message_can_be_said_and_is_translated() {
    // What is the same word in both.
    let same = ["problem-prefix", "title-error"];
    for (key, variables) in english() {
        let said = CATALOGUES.map(|(locale, _)| {
            let words = Words::of(locale);
            match (key.split_once('.'), variables.first().map(String::as_str)) {
                (Some((key, "text")), None) => words.text(key),
                (None, None) => words.say(&key),
                (None, Some("count")) => words.count(&key, 2_usize),
                (None, Some(name)) if variables.len() == 1 => words.tell(&key, name, "<&>"),
                // Its own test tells more (login/day.rs).
                (None, _) if key == "moment" => words.fill(&key, MOMENT.map(|name| (name, "<&>".into()))),
                other => panic!("nothing says {key}: {other:?}"),
            }
        });
        assert!(said.iter().all(|said| !said.is_empty() && *said != key && !said.contains(['{', '$'])), "{said:?}");
        assert!(said.iter().all(|said| variables.is_empty() || said.contains(['2', '<'])), "{said:?}");
        assert!(said[0] != said[1] || same.contains(&key.as_str()), "{key} is not translated");
        assert!(!said.iter().any(|said| said.contains(['\'', '"', '\u{2068}'])), "straight quotes: {said:?}");
    }
}

#[test]
fn counts_take_the_form_that_the_number_wants() {
    let said = CATALOGUES
        .map(|(locale, _)| [1_usize, 2, 11, 1000].map(|count| Words::of(locale).count("logout-where", count)));
    assert_eq!(said[0][0], "You are signed in at one biller in this browser.");
    assert_eq!(said[1][2], "Tiene la sesión iniciada en 11 facturadores en este navegador.");
    assert!(said.iter().all(|said| said[3].contains("1000") && said[1].contains('2')), "{said:?}");
}

/// How messages are asked for in templates and in the program: `say("key"`, `tell("key", "variable"` and so on.
const ASKED: [(&str, &str); 4] = [("say(\"", ""), ("text(\"", ".text"), ("tell(\"", ""), ("count(\"", "")];
const FOLDERS: [&str; 4] = ["templates", "src/login", "src/mail", "src/web"];

#[test]
fn what_is_asked_for_is_there_with_its_variable() {
    let messages = english();
    let mut asked = 0;
    for (path, text) in files(&FOLDERS) {
        for (call, attribute) in ASKED {
            for rest in text.split(call).skip(1) {
                let mut quoted = rest.split('"');
                let key = format!("{}{attribute}", quoted.next().unwrap());
                let variable = match call {
                    "tell(\"" => Some(quoted.nth(1).unwrap().to_owned()),
                    "count(\"" => Some("count".to_owned()),
                    _ => None,
                };
                let wanted = messages.get(&key).unwrap_or_else(|| panic!("{}: there is no {key}", path.display()));
                assert_eq!(*wanted, variable.into_iter().collect(), "{}: variables of {key}", path.display());
                asked += 1;
            }
        }
    }
    assert!(asked > 100, "{asked} were found");
}

#[test]
fn keys_in_the_program_are_there_and_every_message_is_used() {
    let messages = english();
    let mut used = BTreeSet::new();
    for (path, text) in files(&FOLDERS) {
        let is_program = path.extension().is_some_and(|extension| extension == "rs");
        for literal in text.split('"').filter(|text| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')) {
            if messages.contains_key(literal) {
                used.insert(literal.to_owned());
                continue;
            }
            let is_key = ["error-", "go-", "recover-", "username-"].iter().any(|prefix| literal.starts_with(prefix));
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
