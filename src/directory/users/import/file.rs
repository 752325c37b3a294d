//! Reads a user file: columns separated by commas or tabs, under several names.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use csv::StringRecord;
use secrecy::SecretString;

use super::types::ImportError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Username,
    Email,
    FirstName,
    LastName,
    Status,
    Roles,
    Password,
    PasswordHash,
}

/// Column names in lower case: our own, and those of SecureAuth's user files.
const COLUMNS: [(&str, Column); 12] = [
    ("username", Column::Username),
    ("identifiers.uid", Column::Username),
    ("email", Column::Email),
    ("first_name", Column::FirstName),
    ("payload.first_name", Column::FirstName),
    ("last_name", Column::LastName),
    ("payload.last_name", Column::LastName),
    ("status", Column::Status),
    ("roles", Column::Roles),
    ("metadata.roles", Column::Roles),
    ("credentials.password", Column::Password),
    ("password_hash", Column::PasswordHash),
];

/// The values of a row, trimmed except the password, and not checked.
#[derive(Default)]
pub(super) struct RawRow {
    pub username: String,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub status: String,
    pub roles: String,
    pub password: Option<SecretString>,
    pub password_hash: String,
}

pub(super) struct Reader {
    csv: csv::Reader<BufReader<File>>,
    columns: Vec<Column>,
    record: StringRecord,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let refuse = |problem: String| ImportError::Header(format!("line 1: {problem}"));
        let delimiter = delimiter(path)?;
        let file = BufReader::with_capacity(256 * 1024, File::open(path)?);
        let mut csv = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(file);
        let headers = csv.headers().map_err(|error| refuse(error.to_string()))?.clone();
        let mut columns = Vec::new();
        let mut unknown = Vec::new();
        for header in &headers {
            let name = header.trim_start_matches('\u{feff}').trim();
            match COLUMNS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)) {
                Some((_, column)) if columns.contains(column) => {
                    return Err(refuse(format!("the column {name} appears twice, perhaps under two names")));
                }
                Some((_, column)) => columns.push(*column),
                None => unknown.push(format!("{name:?}")),
            }
        }
        let known = || COLUMNS.map(|(name, _)| name).join(", ");
        if headers.is_empty() {
            return Err(refuse(format!("the column names are missing; known columns are {}", known())));
        }
        if !unknown.is_empty() {
            let what = unknown.join(", ");
            return Err(refuse(format!(
                "unknown column: {what}. Columns are separated by commas or tabs; known columns are {}",
                known()
            )));
        }
        for (needed, name) in [(Column::Username, "username (or identifiers.Uid)"), (Column::Email, "email")] {
            if !columns.contains(&needed) {
                return Err(refuse(format!("the column {name} is missing")));
            }
        }
        Ok(Self { csv, columns, record: StringRecord::new() })
    }

    pub(super) fn has_plain_passwords(&self) -> bool {
        self.columns.contains(&Column::Password)
    }

    /// The next row with its line. After an error that is not fatal, the next row can be read.
    pub(super) fn next(&mut self) -> Result<Option<(u64, RawRow)>, RowError> {
        let before = self.csv.position().line();
        let more = self.csv.read_record(&mut self.record).map_err(|error| RowError::new(before, &error))?;
        if !more {
            return Ok(None);
        }
        let line = self.record.position().map_or(before, csv::Position::line);
        if self.record.len() != self.columns.len() {
            let (found, expected) = (self.record.len(), self.columns.len());
            return Err(RowError { line, problem: format!("{found} values for {expected} columns"), is_fatal: false });
        }
        let mut row = RawRow::default();
        for (column, value) in self.columns.iter().zip(&self.record) {
            let text = value.trim().to_owned();
            match column {
                Column::Username => row.username = text,
                Column::Email => row.email = text,
                Column::FirstName => row.first_name = text,
                Column::LastName => row.last_name = text,
                Column::Status => row.status = text,
                Column::Roles => row.roles = text,
                // Not trimmed: spaces belong to a password.
                Column::Password => row.password = (!value.is_empty()).then(|| SecretString::from(value.to_owned())),
                Column::PasswordHash => row.password_hash = text,
            }
        }
        Ok(Some((line, row)))
    }

    pub(super) fn skip(&mut self, rows: usize) -> Result<(), ImportError> {
        for _ in 0..rows {
            self.next()?;
        }
        Ok(())
    }

    /// In bytes.
    pub(super) fn position(&self) -> u64 {
        self.csv.position().byte()
    }
}

#[derive(Debug)]
pub(super) struct RowError {
    pub line: u64,
    pub problem: String,
    /// No further row can be read.
    pub is_fatal: bool,
}

impl RowError {
    fn new(line: u64, error: &csv::Error) -> Self {
        let problem = match error.kind() {
            csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
            _ => error.to_string(),
        };
        Self { line, problem, is_fatal: error.is_io_error() }
    }
}

impl From<RowError> for ImportError {
    /// The check has read this row before.
    fn from(error: RowError) -> Self {
        Self::Changed(format!("line {}: {}", error.line, error.problem))
    }
}

/// A tab if the first line has one, otherwise a comma.
fn delimiter(path: &Path) -> Result<u8, ImportError> {
    let mut start = [0; 4096];
    let count = File::open(path)?.read(&mut start)?;
    let line = start[..count].split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(if line.contains(&b'\t') { b'\t' } else { b',' })
}

/// SHA-256 of the file, by which an interrupted import is resumed.
pub(super) fn hash(path: &Path) -> Result<String, ImportError> {
    let mut file = File::open(path)?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(URL_SAFE_NO_PAD.encode(context.finish())),
            count => context.update(&buffer[..count]),
        }
    }
}
