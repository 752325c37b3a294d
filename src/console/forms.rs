//! Fields that several forms have.

use crate::web::fields::Fields;
use signpost_core::FieldError;

/// Why staff look something up: 3 to 200 characters, for the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason(String);

impl Reason {
    /// The field `reason` of a form, or the error to show at it.
    pub(super) fn parse(fields: &Fields) -> Result<Self, FieldError> {
        let text = fields.get("reason").unwrap_or_default().trim();
        let is_valid = (3..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        let error =
            || FieldError { field: "reason".to_owned(), message: "Enter a reason of 3 to 200 characters".to_owned() };
        is_valid.then(|| Self(text.to_owned())).ok_or_else(error)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_trimmed_and_says_something() {
        let parse = |body: &str| Reason::parse(&Fields::parse(body.as_bytes()).unwrap());
        assert_eq!(parse("reason=+ticket+17+").unwrap().as_str(), "ticket 17");
        let (short, long, line) = ("reason=ab", format!("reason={}", "x".repeat(201)), "reason=one%0Atwo");
        for body in ["", short, long.as_str(), line] {
            assert_eq!(parse(body).unwrap_err().field, "reason", "{body}");
        }
    }
}
