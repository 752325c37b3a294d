//! The pages of simulations.

use askama::Template;

use super::Chrome;
use signpost_core::FieldErrors;

/// A verdict, to be read.
#[derive(Clone, Debug)]
pub struct VerdictView {
    /// Where to, in one line.
    pub line: String,
    /// Row of the routing table.
    pub row: u8,
    /// The rule that had the last word.
    pub rule: &'static str,
    /// Why.
    pub because: String,
    /// Every rule, in order.
    pub steps: Vec<StepView>,
}

/// One rule of a trace.
#[derive(Clone, Debug)]
pub struct StepView {
    /// Its name.
    pub rule: &'static str,
    /// What came of it: `hit`, `miss` or `not evaluated`.
    pub outcome: &'static str,
    /// Why.
    pub because: String,
    /// It decided.
    pub is_deciding: bool,
}

/// The form of a question, as it was filled in.
#[derive(Clone, Debug, Default)]
pub struct SimulationForm {
    /// The entry point.
    pub entry: String,
    /// The username typed.
    pub username: String,
    /// The question of a link whose username is kept without being shown; none when it is shown, or there is none.
    pub sealed_request: Option<String>,
    /// That username, masked.
    pub masked_username: String,
    /// As if billers were otherwise.
    pub rows: Vec<BillerOverride>,
    /// As if the directory were `up` or `down`.
    pub directory: String,
    /// As if the kill switch were this.
    pub kill_switch: String,
    /// As of this time, in UTC.
    pub at: String,
    /// As if the device remembered these billers.
    pub remembered: String,
    /// The language of the page.
    pub locale: String,
    /// What is wrong: the field's id, and a sentence.
    pub errors: FieldErrors,
}

/// As if a biller were otherwise.
#[derive(Clone, Debug, Default)]
pub struct BillerOverride {
    /// Which one.
    pub slug: String,
    /// In this state.
    pub state: String,
    /// Its identity provider being `up` or `down`.
    pub issuer: String,
    /// Rolled out to so many percent.
    pub percent: String,
}

impl SimulationForm {
    /// Whether anything is asked to be otherwise than it is.
    fn has_overrides(&self) -> bool {
        let texts = [&self.directory, &self.kill_switch, &self.at, &self.remembered];
        texts.iter().any(|text| !text.is_empty()) || self.rows.iter().any(|row| !row.slug.is_empty())
    }
}

/// An answer, to be read.
#[derive(Clone, Debug)]
pub struct AnswerView {
    /// The verdict.
    pub verdict: VerdictView,
    /// What would lead elsewhere, a sentence each.
    pub would_change: Vec<String>,
    /// What would happen in the browser, where no page is shown.
    pub instead: &'static str,
    /// The very page the customer would see.
    pub page: Option<String>,
    /// The whole of it as text, names masked.
    pub text: String,
    /// The address of the same question.
    pub link: String,
}

/// The form and result of a simulation.
#[derive(Clone, Debug, Template)]
#[template(path = "console/simulate.html")]
pub struct SimulatePage {
    /// Around the content.
    pub chrome: Chrome,
    /// The question.
    pub form: SimulationForm,
    /// Billers to choose from: slug and name.
    pub billers: Vec<(String, String)>,
    /// The answer, once asked.
    pub answer: Option<AnswerView>,
}

/// Many questions at once.
#[derive(Clone, Debug, Template)]
#[template(path = "console/batch.html")]
pub struct BatchPage {
    /// Around the content.
    pub chrome: Chrome,
    /// What was pasted.
    pub list: String,
    /// What is wrong with it.
    pub error: Option<String>,
    /// The answers, in order.
    pub answers: Vec<BatchRow>,
    /// At most so many questions.
    pub max_rows: usize,
}

/// One answer of many.
#[derive(Clone, Debug)]
pub struct BatchRow {
    /// Line of the list, from 1.
    pub line: usize,
    /// The username as it was given.
    pub username: String,
    /// The entry as it was given.
    pub entry: String,
    /// Where to; empty with an error.
    pub decision: String,
    /// The biller's slug.
    pub biller: String,
    /// Row of the routing table.
    pub row: String,
    /// Why.
    pub because: String,
    /// What is wrong with the question.
    pub error: String,
}
