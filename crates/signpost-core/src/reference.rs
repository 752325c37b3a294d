//! Reference codes, which customers read to support over the telephone.
//!
//! A code has sixteen characters of Crockford's base 32, which has no I, L, O or U. It encrypts the time and the row of the
//! routing table, so support can read both even if the decision was never recorded.

use std::fmt;

use aws_lc_rs::{digest, hmac};

use super::{Random, Timestamp};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 2026-01-01T00:00:00Z. Codes count seconds from this time.
const EPOCH_SECONDS: i64 = 1_767_225_600;

/// What the customer saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeKind {
    /// The result of a decision of this row, 0 to 9.
    Row(u8),
    /// A page shown without a decision.
    Page,
    Error,
}

impl CodeKind {
    fn to_bits(self) -> u64 {
        match self {
            Self::Row(row) => u64::from(row.min(9)),
            Self::Page => 14,
            Self::Error => 15,
        }
    }

    fn from_bits(bits: u64) -> Option<Self> {
        match bits {
            0..=9 => u8::try_from(bits).ok().map(Self::Row),
            14 => Some(Self::Page),
            15 => Some(Self::Error),
            _ => None,
        }
    }
}

/// A reference code in its written form, `XXXX-XXXX-XXXX-XXXX`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReferenceCode(String);

impl ReferenceCode {
    /// Layout: 32 random bits, 36 encrypted bits of row and time, 12 checksum bits.
    pub fn new(key: &[u8; 32], kind: CodeKind, now: Timestamp, random: &Random) -> Self {
        let salt = u32::from_be_bytes(random.bytes());
        let seconds = u64::try_from(now.seconds() - EPOCH_SECONDS).unwrap_or(0) & 0xffff_ffff;
        let plain = (kind.to_bits() << 32) | seconds;
        let body = plain ^ keystream(key, salt);
        let bits = (u128::from(salt) << 48) | (u128::from(body) << 12) | u128::from(checksum(key, salt, plain));
        Self::from_bits(bits)
    }

    /// The code of a record with an id. The same id always gives the same code. Such a code does not belong to a decision.
    pub fn from_id(id: &[u8]) -> Self {
        let hash = digest::digest(&digest::SHA256, id);
        Self::from_bits(hash.as_ref()[..10].iter().fold(0, |bits, b| (bits << 8) | u128::from(*b)))
    }

    /// Accepts any case, hyphens and spaces, and reads O as 0 and I or L as 1.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bits: u128 = 0;
        let mut count = 0;
        for c in text.chars().filter(|c| !matches!(c, '-' | ' ')) {
            let c = match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let value = ALPHABET.iter().position(|a| char::from(*a) == c)?;
            bits = (bits << 5) | value as u128;
            count += 1;
            if count > 16 {
                return None;
            }
        }
        (count == 16).then(|| Self::from_bits(bits))
    }

    /// The content of the code. `None`: another installation created it, or it is mistyped.
    pub fn decode(&self, key: &[u8; 32]) -> Option<(CodeKind, Timestamp)> {
        let bits = self.bits();
        let salt = u32::try_from(bits >> 48).ok()?;
        let body = u64::try_from((bits >> 12) & 0xf_ffff_ffff).ok()?;
        let plain = body ^ keystream(key, salt);
        if u64::try_from(bits & 0xfff).ok()? != checksum(key, salt, plain) {
            return None;
        }
        let seconds = i64::try_from(plain & 0xffff_ffff).ok()? + EPOCH_SECONDS;
        Some((CodeKind::from_bits(plain >> 32)?, Timestamp::from_millis(seconds * 1000)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn from_bits(bits: u128) -> Self {
        let mut text = String::with_capacity(19);
        for position in (0..16).rev() {
            let value = (bits >> (position * 5)) & 31;
            text.push(char::from(ALPHABET[value as usize]));
            if position % 4 == 0 && position > 0 {
                text.push('-');
            }
        }
        Self(text)
    }

    fn bits(&self) -> u128 {
        self.0
            .bytes()
            .filter(|b| *b != b'-')
            .fold(0, |bits, b| (bits << 5) | ALPHABET.iter().position(|a| *a == b).unwrap_or(0) as u128)
    }
}

impl fmt::Display for ReferenceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn keystream(key: &[u8; 32], salt: u32) -> u64 {
    first_bits(key, &[b"row and time", &salt.to_be_bytes()[..]].concat()) >> 28
}

fn checksum(key: &[u8; 32], salt: u32, plain: u64) -> u64 {
    first_bits(key, &[b"check", &salt.to_be_bytes()[..], &plain.to_be_bytes()[..]].concat()) >> 52
}

fn first_bits(key: &[u8; 32], message: &[u8]) -> u64 {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    tag.as_ref()[..8].iter().fold(0, |bits, b| (bits << 8) | u64::from(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_survives_being_read_aloud() {
        let (key, random) = ([7; 32], Random::system());
        let now = Timestamp::parse_rfc3339("2026-11-22T08:00:00Z").unwrap();
        for kind in [CodeKind::Row(0), CodeKind::Row(9), CodeKind::Page, CodeKind::Error] {
            let code = ReferenceCode::new(&key, kind, now, &random);
            assert_eq!(code.as_str().len(), 19);
            let spoken = code.as_str().to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
            assert_eq!(ReferenceCode::parse(&spoken).as_ref(), Some(&code));
            assert_eq!(code.decode(&key), Some((kind, now)));
            assert_eq!(code.decode(&[8; 32]), None);
        }
    }

    #[test]
    fn most_typing_errors_are_detected() {
        let key = [7; 32];
        let now = Timestamp::from_millis(1_800_000_000_000);
        let code = ReferenceCode::new(&key, CodeKind::Row(4), now, &Random::system());
        let wrong = (0..16)
            .filter(|at| {
                let mut letters: Vec<u8> = code.as_str().bytes().filter(|b| *b != b'-').collect();
                letters[*at] = if letters[*at] == b'7' { b'8' } else { b'7' };
                let text = String::from_utf8(letters).unwrap();
                ReferenceCode::parse(&text).and_then(|c| c.decode(&key)).is_some()
            })
            .count();
        assert!(wrong <= 1, "{wrong} of 16 typing errors were not detected");
        assert_eq!(ReferenceCode::parse("short"), None);
        assert_eq!(ReferenceCode::parse("????-????-????-????"), None);
    }
}
