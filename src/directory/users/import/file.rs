//! Reads the rows of a user file.

use std::io::Read;
use std::path::Path;

use csv::{StringRecord, Terminator};
use secrecy::SecretString;

use super::columns::{self, Column};
use super::encoding::TextEncoding;
use super::error::ImportError;
use super::format::Format;
use crate::audit::csv_export::unescape_formula;

const BUFFER_BYTES: usize = 256 * 1024;

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
    csv: csv::Reader<Box<dyn Read + Send>>,
    columns: Vec<Column>,
    record: StringRecord,
    /// Lines before the first one that `csv` reads.
    lines_before: u64,
    bytes_per_unit: u64,
    skipped_rows: u64,
}

/// Detects how the file is written. Returns its SHA-256 as well, by which an interrupted import is resumed.
pub(super) fn detect(path: &Path) -> Result<(String, Format), ImportError> {
    Format::detect(path, |name| Column::named(name).is_some())
}

impl Reader {
    pub(super) fn open(path: &Path, format: &Format) -> Result<Self, ImportError> {
        let csv = csv::ReaderBuilder::new()
            .delimiter(format.delimiter.byte())
            .has_headers(false)
            .flexible(true)
            // A carriage return before the line feed stays in the last value, and lines are counted right.
            .terminator(Terminator::Any(b'\n'))
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(format.open(path)?);
        let is_utf16 = matches!(format.encoding, TextEncoding::Utf16Le | TextEncoding::Utf16Be);
        let mut reader = Self {
            csv,
            columns: Vec::new(),
            record: StringRecord::new(),
            lines_before: u64::from(format.has_hint),
            bytes_per_unit: if is_utf16 { 2 } else { 1 },
            skipped_rows: 0,
        };
        let line = reader.read().map_err(|error| refuse_header(error.line, &error.problem))?.unwrap_or(1);
        reader.skipped_rows = 0;
        reader.columns = columns::parse_header(&format.columns).map_err(|problem| refuse_header(line, &problem))?;
        Ok(reader)
    }

    pub(super) fn has_plain_passwords(&self) -> bool {
        self.columns.contains(&Column::Password)
    }

    /// The next row with its line. After an error that is not fatal, the next row can be read.
    pub(super) fn next(&mut self) -> Result<Option<(u64, RawRow)>, RowError> {
        let Some(line) = self.read()? else { return Ok(None) };
        let expected = self.columns.len();
        // Spreadsheets write empty columns at the end.
        let has_values_after = self.cells().skip(expected).any(|cell| !cell.trim().is_empty());
        if self.record.len() < expected || has_values_after {
            let found = self.record.len();
            return Err(RowError::row(line, format!("{found} values for {expected} columns")));
        }
        let text = self.record.as_slice();
        if !text.is_ascii() && text.contains('\u{fffd}') {
            let problem =
                "the character U+FFFD stands for a letter that an earlier conversion lost; export the file again";
            return Err(RowError::row(line, problem.to_owned()));
        }
        let mut row = RawRow::default();
        for (column, value) in self.columns.iter().zip(self.cells()) {
            let text = value.trim();
            match column {
                Column::Username => row.username = unescape_formula(text).to_owned(),
                Column::Email => row.email = unescape_formula(text).to_owned(),
                Column::FirstName => row.first_name = unescape_formula(text).to_owned(),
                Column::LastName => row.last_name = unescape_formula(text).to_owned(),
                Column::Status => row.status = text.to_owned(),
                Column::Roles => row.roles = text.to_owned(),
                // Not trimmed: spaces belong to a password.
                Column::Password => row.password = (!value.is_empty()).then(|| SecretString::from(value.to_owned())),
                Column::PasswordHash => row.password_hash = text.to_owned(),
            }
        }
        Ok(Some((line, row)))
    }

    /// Reads the next record with a value and returns its line. Records without any are counted.
    fn read(&mut self) -> Result<Option<u64>, RowError> {
        loop {
            let before = self.csv.position().line() + self.lines_before;
            let more = self.csv.read_record(&mut self.record).map_err(|error| RowError::new(before, &error))?;
            if !more {
                return Ok(None);
            }
            if self.cells().any(|cell| !cell.trim().is_empty()) {
                let inside = self.record.as_slice().bytes().filter(|byte| *byte == b'\n').count() as u64;
                let end = self.csv.position().line() + self.lines_before;
                // The line break at its end is read.
                return Ok(Some(end.saturating_sub(inside + 1)));
            }
            self.skipped_rows += u64::from(self.record.len() > 1);
        }
    }

    fn cells(&self) -> impl Iterator<Item = &str> {
        let last = self.record.len().saturating_sub(1);
        let cells = self.record.iter().enumerate();
        cells.map(move |(at, cell)| if at == last { cell.strip_suffix('\r').unwrap_or(cell) } else { cell })
    }

    pub(super) fn skip(&mut self, rows: usize) -> Result<(), ImportError> {
        for _ in 0..rows {
            self.next()?;
        }
        Ok(())
    }

    /// Rows of delimiters only.
    pub(super) fn skipped_rows(&self) -> u64 {
        self.skipped_rows
    }

    /// In bytes of the file, roughly.
    pub(super) fn position(&self) -> u64 {
        self.csv.position().byte() * self.bytes_per_unit
    }
}

fn refuse_header(line: u64, problem: &str) -> ImportError {
    ImportError::Header(format!("line {line}: {problem}"))
}

#[derive(Debug)]
pub(super) struct RowError {
    pub line: u64,
    pub problem: String,
    /// No further row can be read.
    pub is_fatal: bool,
}

impl RowError {
    fn row(line: u64, problem: String) -> Self {
        Self { line, problem, is_fatal: false }
    }

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
