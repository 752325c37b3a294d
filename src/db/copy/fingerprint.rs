//! The content of a table as a number of rows and a hash.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use crate::db::row::Value;

/// Two tables with the same rows have the same fingerprint, in whatever order the rows are read: databases sort texts in
/// different ways. The hash is the sum of the SHA-256 hashes of all rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    pub rows: u64,
    sum: [u128; 2],
}

impl Fingerprint {
    /// Adds a row.
    pub(super) fn add(&mut self, row: &[Value]) {
        let mut hash = Context::new(&SHA256);
        for value in row {
            // The kind and the length keep values apart.
            match value {
                Value::Text(text) | Value::OptText(Some(text)) => {
                    hash.update(b"t");
                    hash.update(&(text.len() as u64).to_le_bytes());
                    hash.update(text.as_bytes());
                }
                Value::Int(number) | Value::OptInt(Some(number)) => {
                    hash.update(b"i");
                    hash.update(&number.to_le_bytes());
                }
                Value::OptText(None) | Value::OptInt(None) => hash.update(b"n"),
            }
        }
        let hash = hash.finish();
        for (sum, half) in self.sum.iter_mut().zip(hash.as_ref().chunks_exact(16)) {
            let half = half.iter().fold(0, |number, byte| (number << 8) | u128::from(*byte));
            *sum = sum.wrapping_add(half);
        }
        self.rows += 1;
    }

    /// The hash in hexadecimal digits.
    pub fn hash(&self) -> String {
        let [high, low] = self.sum;
        format!("{high:032x}{low:032x}")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows with the hash {}", self.rows, self.hash())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values;

    fn of(rows: &[Vec<Value>]) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        rows.iter().for_each(|row| fingerprint.add(row));
        fingerprint
    }

    #[test]
    fn rows_count_in_any_order() {
        let (one, two) = (values!["a", 1_i64], values!["b", 2_i64]);
        assert_eq!(of(&[one.clone(), two.clone()]), of(&[two, one]));
    }

    #[test]
    fn every_difference_shows() {
        let rows = [
            values!["a", "b"],
            values!["ab", ""],
            values!["", "ab"],
            values!["a", None::<String>],
            values![None::<String>, "a"],
            values!["a", 0_i64],
            values!["a", 1_i64],
            values!["a", None::<i64>],
            values!["a"],
        ];
        let all: std::collections::BTreeSet<String> =
            rows.iter().map(|row| of(std::slice::from_ref(row)).hash()).collect();
        assert_eq!(all.len(), rows.len() - 1, "only nulls of different columns are equal");
        let (changed, same) = (values!["a", 2_i64], values!["a", 1_i64]);
        assert_ne!(of(&[same.clone(), changed]), of(&[same.clone(), same]));
    }
}
