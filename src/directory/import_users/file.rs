//! Reading a file of users: comma or tab, and the names that columns have in the wild.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use csv::StringRecord;
use secrecy::SecretString;

use super::ImportError;

/// What a column holds.
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

/// Names of columns, in lower case: ours, and those of the user files that exist.
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

/// A row of the file, as it stands there, without white space around the values.
#[derive(Clone, Debug, Default)]
pub(super) struct UserRow {
    pub username: String,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub status: String,
    pub roles: String,
    pub password: Option<SecretString>,
    pub password_hash: String,
}

/// Reads rows one by one.
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
                    return Err(refuse(format!("the column {name} is there twice, perhaps under two names")));
                }
                Some((_, column)) => columns.push(*column),
                None => unknown.push(format!("{name:?}")),
            }
        }
        let known = || COLUMNS.map(|(name, _)| name).join(", ");
        if headers.is_empty() {
            return Err(refuse(format!("the names of the columns are missing; known are {}", known())));
        }
        if !unknown.is_empty() {
            let what = unknown.join(", ");
            return Err(refuse(format!(
                "not a column: {what}. Columns are separated by commas or tabs; known are {}",
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

    /// Whether passwords stand in the file in clear.
    pub(super) fn has_plain_passwords(&self) -> bool {
        self.columns.contains(&Column::Password)
    }

    /// The next row with its line; none at the end. A row that cannot be read is an error of its own: the next one may be
    /// good again.
    pub(super) fn next(&mut self) -> Result<Option<(u64, UserRow)>, RowError> {
        let before = self.csv.position().line();
        let more = self.csv.read_record(&mut self.record).map_err(|error| RowError::new(before, &error))?;
        if !more {
            return Ok(None);
        }
        let line = self.record.position().map_or(before, csv::Position::line);
        if self.record.len() != self.columns.len() {
            let (found, expected) = (self.record.len(), self.columns.len());
            return Err(RowError { line, what: format!("{found} values, but {expected} columns"), fatal: false });
        }
        let mut row = UserRow::default();
        for (column, value) in self.columns.iter().zip(&self.record) {
            let text = value.trim().to_owned();
            match column {
                Column::Username => row.username = text,
                Column::Email => row.email = text,
                Column::FirstName => row.first_name = text,
                Column::LastName => row.last_name = text,
                Column::Status => row.status = text,
                Column::Roles => row.roles = text,
                // As it is: white space belongs to a password.
                Column::Password => row.password = (!value.is_empty()).then(|| SecretString::from(value.to_owned())),
                Column::PasswordHash => row.password_hash = text,
            }
        }
        Ok(Some((line, row)))
    }

    /// Passes over rows that were written before.
    pub(super) fn skip(&mut self, rows: usize) -> Result<(), ImportError> {
        for _ in 0..rows {
            self.next()?;
        }
        Ok(())
    }

    /// How far the file has been read, in bytes.
    pub(super) fn position(&self) -> u64 {
        self.csv.position().byte()
    }
}

/// A row that cannot be read.
#[derive(Debug)]
pub(super) struct RowError {
    pub line: u64,
    pub what: String,
    /// Nothing more can be read.
    pub fatal: bool,
}

impl RowError {
    fn new(line: u64, error: &csv::Error) -> Self {
        let what = match error.kind() {
            csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
            _ => error.to_string(),
        };
        Self { line, what, fatal: error.is_io_error() }
    }
}

impl From<RowError> for ImportError {
    /// After the check: the file was changed meanwhile.
    fn from(error: RowError) -> Self {
        Self::File(std::io::Error::other(format!("line {}: {}", error.line, error.what)))
    }
}

/// A tab, where the first line has one; else a comma.
fn delimiter(path: &Path) -> Result<u8, ImportError> {
    let mut start = [0; 4096];
    let count = File::open(path)?.read(&mut start)?;
    let line = start[..count].split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(if line.contains(&b'\t') { b'\t' } else { b',' })
}

/// SHA-256 of the file: the same file goes on where it stopped.
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
