//! Similarity of biller names: typing mistakes, accents and letter case do not matter.

use strsim::osa_distance;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The rest of a text is ignored.
const MAX_QUERY_CHARS: usize = 100;
/// The minimum similarity of a match; 1 is the same name.
pub(super) const SIMILARITY_THRESHOLD: f64 = 0.5;

/// A name prepared for comparison: words of letters and digits in lower case, without accents.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FoldedName {
    words: Vec<String>,
    joined: String,
}

impl FoldedName {
    pub(super) fn new(text: &str) -> Self {
        // Through upper case, as in Unicode's case folding, which turns `ß` into `ss`.
        let folded: String = text
            .chars()
            .take(MAX_QUERY_CHARS)
            .collect::<String>()
            .to_uppercase()
            .to_lowercase()
            .nfkd()
            .filter(|c| !is_combining_mark(*c) && !matches!(c, '\'' | '’'))
            .collect();
        let words: Vec<String> =
            folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        Self { joined: words.concat(), words }
    }

    /// The similarity of a name and a query, from 0 to 1. A query copied from a bill contains more than the name, a typed one
    /// less, so the better of the two coverages counts more.
    pub(super) fn similarity(&self, typed: &Self) -> f64 {
        let (of_typed, of_name) = (coverage(&typed.words, &self.words), coverage(&self.words, &typed.words));
        let by_words = 0.6 * of_typed.max(of_name) + 0.4 * of_typed.min(of_name);
        by_words.max(joined_similarity(&typed.joined, &self.joined))
    }
}

/// The share of these words, by length, that is among the others.
fn coverage(words: &[String], among: &[String]) -> f64 {
    let length = |word: &String| word.chars().map(|_| 1.0).sum::<f64>();
    let best = |word: &String| among.iter().map(|other| word_similarity(word, other)).fold(0.0, f64::max);
    let whole: f64 = words.iter().map(length).sum();
    if whole == 0.0 { 0.0 } else { words.iter().map(|word| length(word) * best(word)).sum::<f64>() / whole }
}

fn word_similarity(a: &str, b: &str) -> f64 {
    if a == b {
        return 1.0;
    }
    let (a_length, b_length) = (a.chars().count(), b.chars().count());
    if a_length.min(b_length) >= 3 && (a.starts_with(b) || b.starts_with(a)) {
        return 0.9;
    }
    let allowed = match a_length.max(b_length) {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    };
    if a_length.abs_diff(b_length) > allowed {
        return 0.0;
    }
    match osa_distance(a, b) {
        1 if allowed >= 1 => 0.75,
        2 if allowed >= 2 => 0.65,
        _ => 0.0,
    }
}

/// Compares names without spaces, with at most one mistake in five letters.
fn joined_similarity(a: &str, b: &str) -> f64 {
    let (a_length, b_length) = (a.chars().count(), b.chars().count());
    let longer = a_length.max(b_length);
    let allowed = longer / 5;
    if longer == 0 || a_length.abs_diff(b_length) > allowed {
        return 0.0;
    }
    let mistakes = osa_distance(a, b);
    if mistakes == 0 {
        1.0
    } else if mistakes <= allowed {
        0.8
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::super::{Biller, Billers, MAX_SEARCH_RESULTS};
    use super::*;
    use signpost_core::{BillerId, Slug};

    const NAMES: [&str; 9] = [
        "Riverside Water",
        "Maple Electric",
        "Oakdale City",
        "City of Springfield",
        "Springfield Power & Light",
        "Compañía de Agua de Peñón",
        "Straßenreinigung Köln",
        "St. Mary’s Gas",
        "Lakeview Water District",
    ];

    fn billers<'n>(names: impl IntoIterator<Item = &'n str>, private: Option<&str>) -> Billers {
        let biller = |(at, name): (usize, &str)| {
            let slug = Slug::parse(&format!("biller-{at}")).unwrap();
            let mut biller = Biller::new(BillerId::from_stored(format!("id-{at}")), slug);
            biller.name = name.to_owned();
            biller.settings.private = private == Some(name);
            biller
        };
        Billers::new(1, names.into_iter().enumerate().map(biller).collect(), None)
    }

    fn found(text: &str) -> Vec<String> {
        billers(NAMES, None).search(text).iter().map(|biller| biller.name.clone()).collect()
    }

    #[test]
    fn misspelled_and_partial_names_are_found() {
        for (typed, meant) in [
            ("riverside", "Riverside Water"),
            ("RIVERSIDE WATER DEPT, P.O. BOX 123, ANYTOWN", "Riverside Water"),
            ("Rivreside Watter", "Riverside Water"),
            ("riversidewater", "Riverside Water"),
            ("river side water", "Riverside Water"),
            ("mapel", "Maple Electric"),
            ("City of Oakdale", "Oakdale City"),
            ("springfield power", "Springfield Power & Light"),
            ("compania agua penon", "Compañía de Agua de Peñón"),
            ("STRASSENREINIGUNG", "Straßenreinigung Köln"),
            ("Saint Marys gas", "St. Mary’s Gas"),
            ("lakevie", "Lakeview Water District"),
        ] {
            assert_eq!(found(typed).first().map(String::as_str), Some(meant), "{typed}");
        }
        assert_eq!(found("springfield"), ["City of Springfield", "Springfield Power & Light"]);
        for nothing in ["", " ", "-", "%", "e", "telephone", "no such biller", "1=1--", "\u{301}"] {
            assert!(found(nothing).is_empty(), "{nothing:?}: {:?}", found(nothing));
        }
    }

    #[test]
    fn private_billers_are_hidden_and_results_are_limited() {
        assert!(billers(NAMES, Some("Riverside Water")).search("riverside").is_empty());
        let many = vec!["Riverside Water"; 50];
        assert_eq!(billers(many, None).search("riverside water").len(), MAX_SEARCH_RESULTS);
    }

    proptest! {
        #[test]
        fn exact_name_ranks_first_regardless_of_case_accents_and_normalization(at in 0..NAMES.len()) {
            let name = NAMES[at];
            let plain: String = name.nfd().filter(|c| !is_combining_mark(*c)).collect();
            for text in [name.to_uppercase(), name.to_lowercase(), name.nfd().collect(), plain] {
                let first = found(&text).into_iter().next();
                prop_assert_eq!(first.as_deref(), Some(name), "{}", text);
            }
        }

        #[test]
        fn one_typo_still_finds_the_name(
            words in prop::collection::vec("[a-zñéü]{4,10}", 1..4), at in any::<Index>(), with in "[a-z]", kind in 0..4,
        ) {
            let name = words.join(" ");
            let mut letters: Vec<char> = name.chars().collect();
            let letter = at.index(letters.len());
            match kind {
                0 => letters[letter] = with.chars().next().unwrap(),
                1 => letters.insert(letter, with.chars().next().unwrap()),
                2 => drop(letters.remove(letter)),
                _ if letter > 0 => letters.swap(letter - 1, letter),
                _ => {}
            }
            let mistyped: String = letters.into_iter().collect();
            let all = billers([name.as_str()].into_iter().chain(NAMES), None);
            let found: Vec<&str> = all.search(&mistyped).iter().map(|biller| biller.name.as_str()).map(|found| {
                if found == name { "it" } else { "another" }
            }).collect();
            prop_assert!(found.contains(&"it"), "{mistyped} does not find {name}");
        }

        #[test]
        fn results_are_limited_and_independent_of_storage_order(text in "\\PC{0,150}") {
            let here: Vec<String> = billers(NAMES, None).search(&text).iter().map(|b| b.name.clone()).collect();
            let there: Vec<String> =
                billers(NAMES.into_iter().rev(), None).search(&text).iter().map(|b| b.name.clone()).collect();
            prop_assert!(here.len() <= MAX_SEARCH_RESULTS);
            prop_assert_eq!(here, there);
        }
    }
}
