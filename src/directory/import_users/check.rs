//! The whole file is looked at once before anything is written.

use std::collections::HashMap;
use std::path::Path;

use secrecy::ExposeSecret;

use super::file::{Reader, UserRow};
use super::{ImportError, Options, Progress, ProgressSink, passwords};
use crate::directory::UserStatus;
use signpost_core::Username;
use signpost_core::text::hash64;

/// Problems told one by one; the rest are counted.
const MAX_REPORTED_PROBLEMS: usize = 100;
/// Roles of one user, and bytes of one role.
const MAX_ROLES: usize = 50;
const MAX_ROLE_BYTES: usize = 100;

#[derive(Default)]
struct Problems {
    rows: usize,
    count: usize,
    messages: Vec<String>,
}

impl Problems {
    fn add_row(&mut self, line: u64, problems: impl IntoIterator<Item = String>) {
        let before = self.count;
        for problem in problems {
            self.count += 1;
            if self.count <= MAX_REPORTED_PROBLEMS {
                self.messages.push(format!("line {line}: {problem}"));
            }
        }
        self.rows += usize::from(self.count > before);
    }
}

/// Reads the whole file; answers how many rows it has.
pub(super) fn check(path: &Path, options: Options, progress: ProgressSink<'_>) -> Result<u64, ImportError> {
    let size = std::fs::metadata(path)?.len();
    let mut reader = Reader::open(path)?;
    if options.refuse_plain_passwords && reader.has_plain_passwords() {
        return Err(ImportError::Header("line 1: passwords in clear are refused".to_owned()));
    }
    let mut problems = Problems::default();
    let mut seen = SeenUsernames::new();
    let mut rows = 0;
    loop {
        match reader.next() {
            Ok(None) => break,
            Ok(Some((line, row))) => {
                rows += 1;
                problems.add_row(line, check_row(&row, &mut seen));
                if rows % 5000 == 0 {
                    progress(Progress { phase: "checking", done: reader.position(), total: size });
                }
            }
            Err(error) => {
                problems.add_row(error.line, [error.what]);
                if error.fatal {
                    break;
                }
            }
        }
    }
    seen.report_duplicates(path, &mut problems)?;
    if problems.count > 0 {
        return Err(ImportError::Invalid {
            rows: problems.rows,
            problems: problems.count,
            messages: problems.messages,
        });
    }
    Ok(rows)
}

/// Usernames that may have come before, in memory of one size whatever the file's: a set bit says "perhaps", and those few
/// are compared in a second reading.
struct SeenUsernames {
    bits: Vec<u64>,
    candidates: HashMap<u64, Vec<u64>>,
}

/// 2^28 bits, 32 MiB: of a million names one in 268 is read a second time for nothing.
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

    fn report_duplicates(mut self, path: &Path, problems: &mut Problems) -> Result<(), ImportError> {
        if self.candidates.is_empty() {
            return Ok(());
        }
        drop(std::mem::take(&mut self.bits));
        let mut reader = Reader::open(path)?;
        loop {
            match reader.next() {
                Ok(None) => return Ok(()),
                Ok(Some((line, row))) => {
                    let Ok(username) = Username::parse(&row.username) else { continue };
                    let Some(lines) = self.candidates.get_mut(&hash64(username.as_str().as_bytes())) else { continue };
                    if let Some(first) = lines.first() {
                        let duplicate = format!("the username stands in line {first} already");
                        problems.add_row(line, [duplicate]);
                    }
                    lines.push(line);
                }
                Err(error) if error.fatal => return Ok(()),
                Err(_) => {}
            }
        }
    }
}

fn check_row(row: &UserRow, seen: &mut SeenUsernames) -> Vec<String> {
    let mut problems = Vec::new();
    match Username::parse(&row.username) {
        Ok(username) => seen.insert(&username),
        Err(error) => problems.push(format!("username: {error}")),
    }
    if !row.email.is_empty() && !is_mail_address(&row.email) {
        problems.push("email: not a mail address".to_owned());
    }
    for (name, value) in [("first_name", &row.first_name), ("last_name", &row.last_name)] {
        if value.len() > 200 || value.chars().any(char::is_control) {
            problems.push(format!("{name}: at most 200 bytes, no control characters"));
        }
    }
    if read_status(&row.status).is_none() {
        problems.push(format!("status: {:?} is not one of created, active, suspended, deleted", row.status));
    }
    match roles(&row.roles) {
        Some(roles) if roles.len() <= MAX_ROLES && roles.iter().all(|role| role.len() <= MAX_ROLE_BYTES) => {}
        _ => problems.push(format!(
            "roles: a list with commas, or a JSON list of texts; at most {MAX_ROLES} of {MAX_ROLE_BYTES} bytes"
        )),
    }
    if row.password.as_ref().is_some_and(|password| password.expose_secret().len() > passwords::MAX_PASSWORD_BYTES) {
        problems.push(format!("credentials.password: at most {} bytes", passwords::MAX_PASSWORD_BYTES));
    }
    if row.password.is_some() && !row.password_hash.is_empty() {
        problems.push("a password and a password_hash: only one of them can count".to_owned());
    }
    if !row.password_hash.is_empty() && !passwords::is_hash(&row.password_hash) {
        problems.push("password_hash: neither a PHC string nor bcrypt".to_owned());
    }
    problems
}

/// Whether it looks like a mail address.
pub fn is_mail_address(email: &str) -> bool {
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>' | ',' | ';' | '"');
    email.len() <= 254
        && email.chars().all(plain)
        && email
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.') && !domain.contains('@'))
}

pub(super) fn read_status(text: &str) -> Option<UserStatus> {
    match text {
        "" => Some(UserStatus::Active),
        text => UserStatus::parse(text),
    }
}

/// Roles: separated by commas, semicolons or bars, or a JSON list; none when it is neither.
pub(super) fn roles(text: &str) -> Option<Vec<String>> {
    if text.starts_with('[') {
        return serde_json::from_str(text).ok();
    }
    if text.chars().any(char::is_control) {
        return None;
    }
    let parts = text.split([',', ';', '|']).map(str::trim).filter(|role| !role.is_empty());
    Some(parts.map(str::to_owned).collect())
}
