//! How a text with columns is written: encoding, delimiter and line breaks. Detection reads the file once, not each row.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use csv::{ReaderBuilder, Terminator};

use super::encoding::{self, HOW_TO_EXPORT, TextEncoding};
use super::error::ImportError;

/// The header fits into these bytes.
const HEAD_BYTES: u64 = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    Comma,
    Semicolon,
    Tab,
}

impl Delimiter {
    const ALL: [Self; 3] = [Self::Comma, Self::Semicolon, Self::Tab];

    pub fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Comma => "commas",
            Self::Semicolon => "semicolons",
            Self::Tab => "tabs",
        })
    }
}

/// What was detected of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    pub encoding: TextEncoding,
    pub delimiter: Delimiter,
    /// The first line is `sep=` and the delimiter.
    pub has_hint: bool,
    /// As the header spells them, without empty ones at the end.
    pub columns: Vec<String>,
    /// Empty columns at the end of the header.
    pub empty_columns: usize,
    /// Lines end with a carriage return alone, as on old Macintosh computers.
    pub(super) has_bare_returns: bool,
}

impl Format {
    /// Returns the file's SHA-256 as well.
    pub(super) fn detect(path: &Path, is_column: impl Fn(&str) -> bool) -> Result<(String, Self), ImportError> {
        let (hash, encoding) = encoding::survey(path)?;
        let mut head = Vec::new();
        encoding.open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
        Ok((hash, Self::of_head(encoding, &String::from_utf8_lossy(&head), is_column)?))
    }

    /// Detects the format by the first lines. The delimiter is the one that yields most known column names.
    fn of_head(encoding: TextEncoding, head: &str, is_column: impl Fn(&str) -> bool) -> Result<Self, ImportError> {
        let has_bare_returns = head.contains('\r') && !head.contains('\n');
        let head = if has_bare_returns { head.replace('\r', "\n") } else { head.to_owned() };
        let hint = hinted_delimiter(head.lines().next().unwrap_or_default())?;
        let text = if hint.is_some() { head.split_once('\n').map_or("", |(_, rest)| rest) } else { &head };
        let known = |delimiter: &Delimiter| header(text, *delimiter).iter().filter(|name| is_column(name)).count();
        let mut delimiter = hint.unwrap_or(Delimiter::Comma);
        if hint.is_none() {
            // Of equal counts, the first one stays.
            for other in &Delimiter::ALL[1..] {
                if known(other) > known(&delimiter) {
                    delimiter = *other;
                }
            }
        }
        let mut columns = header(text, delimiter);
        let all = columns.len();
        while columns.last().is_some_and(String::is_empty) {
            columns.pop();
        }
        let empty_columns = all - columns.len();
        Ok(Self { encoding, delimiter, has_hint: hint.is_some(), columns, empty_columns, has_bare_returns })
    }

    /// Opens the file as UTF-8 with line feeds, after the hint. A line break is appended, so that each row ends with one.
    pub(super) fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let mut source = self.encoding.open(path)?;
        if self.has_bare_returns {
            source = Box::new(LineFeeds(source));
        }
        if self.has_hint {
            skip_line(&mut source)?;
        }
        Ok(Box::new(source.chain(&b"\n"[..])))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = if self.has_hint { " (as its first line says)" } else { "" };
        let (encoding, delimiter, count) = (self.encoding, self.delimiter, self.columns.len());
        write!(f, "{encoding}, separated by {delimiter}{hint}, {count} columns: {}", self.columns.join(", "))?;
        match self.empty_columns {
            0 => Ok(()),
            count => write!(f, "; {count} empty column(s) at the end ignored"),
        }
    }
}

/// Decodes a text in memory, without the hint. Its line breaks are line feeds.
///
/// # Errors
/// The encoding is not supported, or the text names another delimiter.
pub fn decode(bytes: &[u8], is_column: impl Fn(&str) -> bool) -> Result<(String, Format), ImportError> {
    let encoding = encoding::of_bytes(bytes)?;
    let text = encoding.decode(bytes).replace("\r\n", "\n").replace('\r', "\n");
    let format = Format::of_head(encoding, &text, is_column)?;
    Ok((text, format))
}

/// The names in the first line that is not blank.
fn header(text: &str, delimiter: Delimiter) -> Vec<String> {
    let mut reader = ReaderBuilder::new();
    let reader =
        reader.delimiter(delimiter.byte()).has_headers(false).flexible(true).terminator(Terminator::Any(b'\n'));
    let mut records = reader.from_reader(text.as_bytes()).into_records().filter_map(Result::ok);
    let is_blank = |record: &csv::StringRecord| record.iter().all(|cell| cell.trim().is_empty());
    let found = records.find(|record| !is_blank(record)).unwrap_or_default();
    found.iter().map(|cell| cell.trim().to_owned()).collect()
}

/// Spreadsheets read a first line such as `sep=;` as the delimiter.
fn hinted_delimiter(line: &str) -> Result<Option<Delimiter>, ImportError> {
    let line = line.trim_matches(['"', '\r', ' ']);
    let Some((name, delimiter)) = line.split_once('=') else { return Ok(None) };
    if !name.trim().eq_ignore_ascii_case("sep") {
        return Ok(None);
    }
    match Delimiter::ALL.into_iter().find(|known| delimiter.as_bytes().first() == Some(&known.byte())) {
        Some(known) => Ok(Some(known)),
        None => Err(ImportError::Format(format!(
            "line 1: the delimiter {delimiter:?} is not supported, only comma, semicolon and tab; {HOW_TO_EXPORT}"
        ))),
    }
}

fn skip_line(source: &mut impl Read) -> io::Result<()> {
    let mut byte = [0];
    while source.read(&mut byte)? == 1 && byte[0] != b'\n' {}
    Ok(())
}

/// Replaces carriage returns by line feeds.
struct LineFeeds<R>(R);

impl<R: Read> Read for LineFeeds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        buffer[..count].iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(text: &str) -> Format {
        decode(text.as_bytes(), |name| matches!(name, "username" | "email")).unwrap().1
    }

    #[test]
    fn delimiters_are_detected_by_the_header() {
        for (text, delimiter, columns) in [
            ("username,email\nx,a;b;c\n", Delimiter::Comma, 2),
            ("username;email\nx;a,b\n", Delimiter::Semicolon, 2),
            ("username\temail\n", Delimiter::Tab, 2),
            ("\"a,b\";username;email\n", Delimiter::Semicolon, 3),
            ("sep=;\r\nusername;email\r\n", Delimiter::Semicolon, 2),
            ("\"sep=\t\"\nusername\temail\n", Delimiter::Tab, 2),
            ("\n\nusername;email;;\n", Delimiter::Semicolon, 2),
            ("username;email\rx;y\r", Delimiter::Semicolon, 2),
            ("username\n", Delimiter::Comma, 1),
            ("", Delimiter::Comma, 0),
        ] {
            let format = detect(text);
            assert_eq!((format.delimiter, format.columns.len()), (delimiter, columns), "{text:?}");
        }
        assert_eq!(detect("username;email;;\n").empty_columns, 2);
        assert!(decode(b"sep=|\nusername|email\n", |_| true).is_err());
    }
}
