//! CSV for spreadsheets (RFC 4180). Cells that a spreadsheet would evaluate as a formula are escaped.

use csv::{Terminator, WriterBuilder};

/// One record with its line break.
pub fn row<'c>(cells: impl IntoIterator<Item = &'c str>) -> String {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    // Writing to memory cannot fail.
    let _ = writer.write_record(cells.into_iter().map(escape_formula));
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn escape_formula(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
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
    }
}
