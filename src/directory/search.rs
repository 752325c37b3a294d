//! Finding a biller by its name as it stands on a bill: typing mistakes, accents and capitals do not matter.
//!
//! The answer stands on the names of billers alone, never on who asks: the same text finds the same billers in the same
//! order. Billers that are `private` are not found.

use std::sync::Arc;

use strsim::osa_distance;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::{Biller, Billers};

/// How many billers are shown at most.
pub const MAX_SEARCH_RESULTS: usize = 5;
/// How much of a text is looked at, in characters.
const MAX_QUERY_CHARS: usize = 100;
/// Below this a name is not like the text; 1 is the same name.
const SIMILARITY_THRESHOLD: f64 = 0.5;

/// A name as it is compared: words of letters and digits without accents, in one case.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FoldedName {
    words: Vec<String>,
    joined: String,
}

impl FoldedName {
    pub(super) fn new(text: &str) -> Self {
        // By way of the capitals, as in Unicode's case folding: they make `ss` of `ß`.
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

    /// How much a name is like what was typed, from 0 to 1. A bill says more than the name, and people type less: what
    /// counts most is the one of the two that is found in the other.
    fn similarity(&self, typed: &Self) -> f64 {
        let (of_typed, of_name) = (coverage(&typed.words, &self.words), coverage(&self.words, &typed.words));
        let by_words = 0.6 * of_typed.max(of_name) + 0.4 * of_typed.min(of_name);
        by_words.max(joined_similarity(&typed.joined, &self.joined))
    }
}

impl Billers {
    /// The billers with names like this text, the best first, [`MAX_SEARCH_RESULTS`] at most.
    pub fn search(&self, text: &str) -> Vec<Arc<Biller>> {
        let typed = FoldedName::new(text);
        let mut found: Vec<(f64, &FoldedName, &Arc<Biller>)> = self
            .with_names()
            .filter(|(biller, _)| !biller.settings.private)
            .map(|(biller, name)| (name.similarity(&typed), name, biller))
            .filter(|(similarity, ..)| *similarity >= SIMILARITY_THRESHOLD)
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.1, &a.2.slug).cmp(&(b.1, &b.2.slug))));
        found.into_iter().take(MAX_SEARCH_RESULTS).map(|(.., biller)| Arc::clone(biller)).collect()
    }
}

/// How much of these words is among the others, by length.
fn coverage(words: &[String], among: &[String]) -> f64 {
    let length = |word: &String| word.chars().map(|_| 1.0).sum::<f64>();
    let best = |word: &String| among.iter().map(|other| word_similarity(word, other)).fold(0.0, f64::max);
    let whole: f64 = words.iter().map(length).sum();
    if whole == 0.0 { 0.0 } else { words.iter().map(|word| length(word) * best(word)).sum::<f64>() / whole }
}

/// How much two words are alike, whichever of them was typed.
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

/// The same for names written together or apart, with a mistake in every fifth letter at most.
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

    use super::*;
    use crate::directory::{BillerSettings, IssuerStatus};
    use signpost_core::decision::CiamState;
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
        let biller = |(at, name): (usize, &str)| Biller {
            id: BillerId::from_stored(format!("id-{at}")),
            slug: Slug::parse(&format!("biller-{at}")).unwrap(),
            name: name.to_owned(),
            state: CiamState::Active,
            active_from: None,
            settings: BillerSettings { private: private == Some(name), ..BillerSettings::default() },
            hosts: Vec::new(),
            health: IssuerStatus::default(),
            pinned_iss: None,
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
