//! The page of reference codes.

use askama::Template;

use super::{Chrome, VerdictView};
use signpost_core::FieldErrors;

/// Looks a reference code up.
#[derive(Clone, Debug, Template)]
#[template(path = "console/decisions.html")]
pub struct DecisionsPage {
    /// Around the content.
    pub chrome: Chrome,
    /// The code as it was typed.
    pub code: String,
    /// Why it is looked up.
    pub reason: String,
    /// What is wrong: the field's id, and a sentence.
    pub errors: FieldErrors,
    /// What was found.
    pub found: Option<DecisionView>,
}

/// What a code leads to.
#[derive(Clone, Debug)]
pub struct DecisionView {
    /// The code as it is written.
    pub code: String,
    /// When, in UTC.
    pub at: String,
    /// What it is, in one line.
    pub line: String,
    /// Further lines: a name, and what stands behind it.
    pub lines: Vec<(&'static str, String)>,
    /// Where to go on: label and address.
    pub link: Option<(String, String)>,
    /// The decision, where the code is one's.
    pub verdict: Option<VerdictView>,
    /// The facts as they were: a name, and what stood behind it.
    pub facts: Vec<(&'static str, String)>,
    /// The billers among the facts.
    pub billers: Vec<BillerFacts>,
    /// What is recorded otherwise, as JSON.
    pub raw: Option<String>,
    /// As text for a ticket.
    pub text: String,
}

/// A biller among the facts.
#[derive(Clone, Debug)]
pub struct BillerFacts {
    /// Its slug.
    pub slug: String,
    /// What it is to this arrival: named by the address, or the username belongs to it.
    pub why: &'static str,
    /// Its CIAM state.
    pub state: &'static str,
    /// The rest, in words.
    pub description: String,
}
