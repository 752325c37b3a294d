//! The first pass: checks the whole file before anything is written.

use std::collections::HashMap;
use std::path::Path;

use super::error::ImportError;
use super::file::Reader;
use super::format::Format;
use super::row::UserRow;
use super::types::{Options, Progress, ProgressSink};
use signpost_core::Username;
use signpost_core::text::hash64;

/// Further problems are counted only.
const MAX_REPORTED_PROBLEMS: usize = 100;

#[derive(Default)]
pub(super) struct Problems {
    rows: usize,
    count: usize,
    messages: Vec<String>,
}

impl Problems {
    pub(super) fn add_row(&mut self, line: u64, problems: impl IntoIterator<Item = String>) {
        let before = self.count;
        for problem in problems {
            self.count += 1;
            if self.count <= MAX_REPORTED_PROBLEMS {
                self.messages.push(format!("line {line}: {problem}"));
            }
        }
        self.rows += usize::from(self.count > before);
    }

    pub(super) fn into_result(self) -> Result<(), ImportError> {
        match self.count {
            0 => Ok(()),
            problems => Err(ImportError::Invalid { rows: self.rows, problems, messages: self.messages }),
        }
    }
}

/// What the check found.
pub(super) struct Checked {
    pub rows: u64,
    pub skipped_rows: u64,
    pub problems: Problems,
}

pub(super) fn check(
    path: &Path,
    format: &Format,
    options: Options,
    progress: ProgressSink<'_>,
) -> Result<Checked, ImportError> {
    let size = std::fs::metadata(path)?.len();
    let mut reader = Reader::open(path, format)?;
    if options.refuse_plain_passwords && reader.has_plain_passwords() {
        return Err(ImportError::Header("line 1: plaintext passwords are not allowed".to_owned()));
    }
    let mut problems = Problems::default();
    let mut seen = SeenUsernames::new();
    let mut rows = 0;
    loop {
        match reader.next() {
            Ok(None) => break,
            Ok(Some((line, raw))) => {
                rows += 1;
                match UserRow::parse(raw) {
                    Ok(row) => seen.insert(&row.key),
                    Err(invalid) => {
                        problems.add_row(line, invalid.problems);
                        invalid.key.iter().for_each(|key| seen.insert(key));
                    }
                }
                if rows % 5000 == 0 {
                    progress(Progress { phase: "checking", done: reader.position().min(size), total: size });
                }
            }
            Err(error) => {
                problems.add_row(error.line, [error.problem]);
                if error.is_fatal {
                    break;
                }
            }
        }
    }
    let skipped_rows = reader.skipped_rows();
    seen.report_duplicates(path, format, &mut problems)?;
    Ok(Checked { rows, skipped_rows, problems })
}

/// Finds duplicate usernames in constant memory, whatever the size of the file. A bit that is set already means "perhaps a
/// duplicate"; another pass over the file compares these few candidates.
struct SeenUsernames {
    bits: Vec<u64>,
    /// The lines of each candidate, by hash.
    candidates: HashMap<u64, Vec<u64>>,
}

/// 32 MiB. Of a million usernames, one in 268 is a candidate without being a duplicate.
const FILTER_BITS: u64 = 1 << 28;

impl SeenUsernames {
    fn new() -> Self {
        Self { bits: vec![0; usize::try_from(FILTER_BITS / 64).unwrap_or(0)], candidates: HashMap::new() }
    }

    fn insert(&mut self, username: &Username) {
        let hash = hash64(username.as_str().as_bytes());
        let bit = hash % FILTER_BITS;
        let (word, mask) = (usize::try_from(bit / 64).unwrap_or(0), 1 << (bit % 64));
        if self.bits[word] & mask != 0 {
            self.candidates.entry(hash).or_default();
        }
        self.bits[word] |= mask;
    }

    fn report_duplicates(mut self, path: &Path, format: &Format, problems: &mut Problems) -> Result<(), ImportError> {
        if self.candidates.is_empty() {
            return Ok(());
        }
        drop(std::mem::take(&mut self.bits));
        let mut reader = Reader::open(path, format)?;
        loop {
            match reader.next() {
                Ok(None) => return Ok(()),
                Ok(Some((line, raw))) => {
                    let Ok(username) = Username::parse(&raw.username) else { continue };
                    let Some(lines) = self.candidates.get_mut(&hash64(username.as_str().as_bytes())) else { continue };
                    if let Some(first) = lines.first() {
                        problems.add_row(line, [format!("username: the same username is in line {first} already")]);
                    }
                    lines.push(line);
                }
                Err(error) if error.is_fatal => return Ok(()),
                Err(_) => {}
            }
        }
    }
}
