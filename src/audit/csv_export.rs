//! CSV for spreadsheets (RFC 4180). Cells that a spreadsheet would evaluate as a formula are escaped.

use csv::{Terminator, WriterBuilder};

/// One record with its line break.
pub fn row<'c>(cells: impl IntoIterator<Item = &'c str>) -> String {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    // Writing to memory cannot fail.
    let _ = writer.write_record(cells.into_iter().map(escape_formula));
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// Puts an apostrophe before a formula, and before a text that looks escaped already, so that [`unescape_formula`] restores
/// every text.
fn escape_formula(text: &str) -> String {
    if is_formula(text.trim_start_matches('\'')) { format!("'{text}") } else { text.to_owned() }
}

/// A cell of a file that Signpost reads, without the apostrophe that an export puts before formulas.
pub fn unescape_formula(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if is_formula(rest.trim_start_matches('\'')) => rest,
        _ => cell,
    }
}

fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_formulas_are_escaped() {
        assert_eq!(row(["a", "b c", "", "d,e", "f\"g"]), "a,b c,,\"d,e\",\"f\"\"g\"\r\n");
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"] {
            assert_eq!(row([formula]), format!("'{formula}\r\n"));
        }
        assert_eq!(row(["=1,2"]), "\"'=1,2\"\r\n");
        for text in ["=1+1", "'=1", "''+1", "'", "'a", "O'Brien", "a=b", "", "-"] {
            assert_eq!(unescape_formula(&escape_formula(text)), text);
        }
    }
}
