//! The character encoding of a user file: UTF-8, UTF-16 or Windows-1252, which spreadsheets write.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use encoding_rs_io::DecodeReaderBytesBuilder;

use super::error::ImportError;

/// How to get a file that can be read, for error messages.
pub(super) const HOW_TO_EXPORT: &str = "export it as CSV in UTF-8: in Excel, File > Save As > \"CSV UTF-8 (Comma delimited)\"; in LibreOffice, \
     Save As > \"Text CSV\" with the character set \"Unicode (UTF-8)\"";
const BUFFER_BYTES: usize = 256 * 1024;
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextEncoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    Windows1252,
}

impl fmt::Display for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le => "UTF-16 (little-endian)",
            Self::Utf16Be => "UTF-16 (big-endian)",
            Self::Windows1252 => "Windows-1252",
        })
    }
}

impl TextEncoding {
    fn label(self) -> &'static Encoding {
        match self {
            Self::Utf8 => UTF_8,
            Self::Utf16Le => UTF_16LE,
            Self::Utf16Be => UTF_16BE,
            Self::Windows1252 => WINDOWS_1252,
        }
    }

    /// Decodes bytes from the start of a text. Invalid sequences become U+FFFD. A byte order mark is dropped.
    pub(super) fn decode(self, bytes: &[u8]) -> String {
        self.label().decode_with_bom_removal(bytes).0.into_owned()
    }

    /// Opens a file as UTF-8 without a byte order mark.
    pub(super) fn open(self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(path)?;
        if self != Self::Utf8 {
            let buffer = vec![0; BUFFER_BYTES];
            let mut builder = DecodeReaderBytesBuilder::new();
            return Ok(Box::new(builder.encoding(Some(self.label())).build_with_buffer(file, buffer)?));
        }
        let mut mark = Vec::new();
        file.by_ref().take(UTF8_MARK.len() as u64).read_to_end(&mut mark)?;
        if mark != UTF8_MARK {
            file.seek(SeekFrom::Start(0))?;
        }
        Ok(Box::new(file))
    }
}

/// Reads a whole file once. Returns its SHA-256, by which an interrupted import is resumed, and its encoding.
pub(super) fn survey(path: &Path) -> Result<(String, TextEncoding), ImportError> {
    let mut file = File::open(path)?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut carried, mut is_utf8, mut utf16) = (0, true, None);
    let mut is_start = true;
    loop {
        let count = file.read(&mut buffer[carried..])?;
        let bytes = &buffer[..carried + count];
        if std::mem::take(&mut is_start) {
            utf16 = utf16_or_refusal(bytes)?;
        }
        context.update(&bytes[carried..]);
        if count == 0 {
            break;
        }
        carried = 0;
        if is_utf8
            && utf16.is_none()
            && let Err(error) = std::str::from_utf8(bytes)
        {
            // A character that the next bytes may complete.
            let rest = error.valid_up_to()..bytes.len();
            is_utf8 = error.error_len().is_none();
            if is_utf8 {
                carried = rest.len();
                buffer.copy_within(rest, 0);
            }
        }
    }
    let hash = URL_SAFE_NO_PAD.encode(context.finish());
    let encoding = match utf16 {
        Some(utf16) => utf16,
        None if is_utf8 && carried == 0 => TextEncoding::Utf8,
        None => windows_1252(File::open(path)?)?,
    };
    Ok((hash, encoding))
}

/// The encoding of a text that is in memory.
pub(super) fn of_bytes(bytes: &[u8]) -> Result<TextEncoding, ImportError> {
    match utf16_or_refusal(bytes)? {
        Some(utf16) => Ok(utf16),
        None if std::str::from_utf8(bytes).is_ok() => Ok(TextEncoding::Utf8),
        None => windows_1252(bytes),
    }
}

/// Recognizes UTF-16, with or without a byte order mark, by the first bytes of a file. Files that are not text are refused.
fn utf16_or_refusal(start: &[u8]) -> Result<Option<TextEncoding>, ImportError> {
    let refuse = |what: &str| Err(ImportError::Format(format!("{what}; {HOW_TO_EXPORT}")));
    match start {
        [b'P', b'K', 3 | 5, 4 | 6, ..] => refuse("the file is an Excel workbook (.xlsx) or another ZIP archive"),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => refuse("the file is an old Excel workbook (.xls)"),
        [b'%', b'P', b'D', b'F', ..] => refuse("the file is a PDF document"),
        [0x1f, 0x8b, ..] => refuse("the file is compressed (gzip); decompress it first"),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => refuse("the file is UTF-32, which is not supported"),
        [0xff, 0xfe, ..] => Ok(Some(TextEncoding::Utf16Le)),
        [0xfe, 0xff, ..] => Ok(Some(TextEncoding::Utf16Be)),
        // The first column names are ASCII letters.
        [1..=0xff, 0, 1..=0xff, 0, ..] => Ok(Some(TextEncoding::Utf16Le)),
        [0, 1..=0xff, 0, 1..=0xff, ..] => Ok(Some(TextEncoding::Utf16Be)),
        _ => Ok(None),
    }
}

/// Accepts text that is not UTF-8 as Windows-1252 unless a byte speaks against it. Every other encoding with one byte per
/// character would be read as wrong letters.
fn windows_1252(mut source: impl Read) -> Result<TextEncoding, ImportError> {
    let (mut line, mut before, mut accented) = (1, 0, 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            return Ok(TextEncoding::Windows1252);
        }
        for &byte in &buffer[..count] {
            accented = if byte >= 0xc0 { accented + 1 } else { 0 };
            // Western languages have no three accented letters in a row. Other alphabets do.
            if !fits_windows_1252(before, byte) || accented > 2 {
                return Err(ImportError::Format(format!(
                    "line {line} fits neither UTF-8 nor UTF-16 nor Windows-1252 (byte 0x{byte:02X}); {HOW_TO_EXPORT}"
                )));
            }
            line += u64::from(byte == b'\n');
            before = byte;
        }
    }
}

fn fits_windows_1252(before: u8, byte: u8) -> bool {
    match byte {
        b'\t' | b'\n' | b'\r' => true,
        0..0x20 | 0x7f => false,
        // A lead byte and a continuation byte: some lines are UTF-8, others are not.
        0x80..0xc0 if before >= 0xc2 => false,
        // Euro sign, ellipsis, quotation marks, dashes, and the lower-case letters š, œ and ž.
        0x80 | 0x85 | 0x91..=0x94 | 0x96 | 0x97 | 0x9a | 0x9c | 0x9e => true,
        // The upper-case letters Š, Œ, Ž and Ÿ. Mac Roman has é, å, ê and ü here.
        0x8a | 0x8c | 0x8e | 0x9f => !before.is_ascii_lowercase(),
        0x81..0xa0 => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_recognized_by_their_bytes() {
        let utf16 = |text: &str, order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        for (bytes, expected) in [
            (b"username\nJos\xc3\xa9".to_vec(), TextEncoding::Utf8),
            (b"\xef\xbb\xbfusername\n".to_vec(), TextEncoding::Utf8),
            (b"username\nJos\xe9,O\x92Brien,\x8a\xed".to_vec(), TextEncoding::Windows1252),
            (utf16("\u{feff}username", u16::to_le_bytes), TextEncoding::Utf16Le),
            (utf16("username", u16::to_le_bytes), TextEncoding::Utf16Le),
            (utf16("\u{feff}username", u16::to_be_bytes), TextEncoding::Utf16Be),
            (utf16("username", u16::to_be_bytes), TextEncoding::Utf16Be),
            (Vec::new(), TextEncoding::Utf8),
        ] {
            assert_eq!(of_bytes(&bytes).unwrap(), expected, "{bytes:?}");
            assert!(!expected.decode(&bytes).starts_with('\u{feff}'), "{bytes:?}");
        }
        for (bytes, says) in [
            (&b"PK\x03\x04rest"[..], ".xlsx"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".xls)"),
            (b"\xff\xfe\0\0u\0\0\0", "UTF-32"),
            (b"name\nJos\x8e\n", "line 2 fits neither"),
            (b"name\nJos\xc3\xa9\nJos\xe9\n", "line 2 fits neither"),
            (b"name\n\xc8\xe2\xe0\xed\n", "line 2 fits neither"),
            (b"name\n\x83\x65\x83\x58\x83\x67", "line 2 fits neither"),
        ] {
            let error = of_bytes(bytes).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("CSV UTF-8"), "{error}");
        }
    }
}
