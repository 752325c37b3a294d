//! The words of docs/glossary.md: discouraged ones appear nowhere that a reader, caller or operator looks.

use std::path::{Path, PathBuf};

use regex::Regex;

const GLOSSARY: &str = include_str!("../../docs/glossary.md");
/// Everything that people read, save what is generated from it.
const PLACES: [&str; 10] = [
    "src",
    "crates",
    "templates",
    "locales/en.ftl",
    "docs",
    "migrations",
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "signpost.example.toml",
];
const EXTENSIONS: [&str; 8] = ["rs", "html", "ftl", "md", "sql", "toml", "json", "txt"];

/// The cells of a table of the glossary, below a heading; code marks and escaped bars are resolved.
fn table(heading: &str) -> Vec<Vec<String>> {
    let section = GLOSSARY.split(heading).nth(1).unwrap_or_else(|| panic!("the glossary has no {heading}"));
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| {
        let row = row.trim_matches('|').replace("\\|", "\u{0}");
        row.split('|').map(|cell| cell.trim().trim_matches('`').replace('\u{0}', "|")).collect()
    };
    rows.map(cells).collect()
}

fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.is_dir() || EXTENSIONS.iter().any(|e| path.extension().is_some_and(|x| x == *e)))
        .flat_map(|path| files(&path))
        .collect()
}

#[test]
fn discouraged_words_appear_nowhere() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let words: Vec<(Regex, String)> = table("## Discouraged words")
        .into_iter()
        .map(|row| (Regex::new(&format!("(?i){}", row[0])).unwrap(), row[1].clone()))
        .collect();
    assert!(words.len() > 20, "the list was found");
    let exceptions = table("### Exceptions");
    for row in &exceptions {
        assert!(root.join(&row[0]).exists(), "the exception for {} names no file", row[0]);
        assert!(row[2].len() > 10, "the exception for {} has no reason", row[0]);
    }
    let mut found = Vec::new();
    let mut used = vec![false; exceptions.len()];
    for file in PLACES.iter().flat_map(|place| files(&root.join(place))) {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        let text = std::fs::read_to_string(&file).unwrap();
        for (at, line) in text.lines().enumerate() {
            for (word, instead) in words.iter().filter(|(word, _)| word.is_match(line)) {
                let pattern = &word.as_str()["(?i)".len()..];
                let exception =
                    exceptions.iter().position(|row| row[0] == name && (row[1] == "*" || row[1] == pattern));
                match exception {
                    Some(index) => used[index] = true,
                    None => {
                        found.push(format!("{name}:{}: {} -> {instead}", at + 1, word.find(line).unwrap().as_str()))
                    }
                }
            }
        }
    }
    let unused = exceptions.iter().zip(&used).filter(|(_, used)| !**used).map(|(row, _)| row[0].as_str());
    let unused: Vec<&str> = unused.collect();
    assert!(unused.is_empty(), "exceptions that nothing needs: {unused:?}");
    assert!(found.is_empty(), "{} discouraged words (docs/glossary.md):\n{}", found.len(), found.join("\n"));
}
