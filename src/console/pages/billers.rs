//! The pages of billers.

use askama::Template;

use super::Chrome;
use signpost_core::FieldErrors;

/// A word with a colour: `good`, `warn`, `bad` or none.
#[derive(Clone, Debug)]
pub struct Badge {
    /// The word.
    pub word: String,
    /// The colour, which never says anything by itself.
    pub tone: &'static str,
}

/// A biller in the list.
#[derive(Clone, Debug)]
pub struct BillerSummary {
    /// Its slug.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// Its CIAM state.
    pub state: Badge,
    /// How its users sign in, once moved.
    pub mode: &'static str,
    /// Its identity provider.
    pub issuer: Badge,
    /// For whom it counts, and what holds it.
    pub notes: String,
}

/// All billers.
#[derive(Clone, Debug, Template)]
#[template(path = "console/billers.html")]
pub struct BillersPage {
    /// Around the content.
    pub chrome: Chrome,
    /// Billers, by slug.
    pub billers: Vec<BillerSummary>,
    /// The kill switch in force.
    pub kill: String,
    /// It stops something.
    pub is_kill_switch_active: bool,
    /// Pending approvals.
    pub pending: usize,
    /// The reader may change them.
    pub can_operate: bool,
}

/// One biller.
#[derive(Clone, Debug, Template)]
#[template(path = "console/biller.html")]
pub struct BillerPage {
    /// Around the content.
    pub chrome: Chrome,
    /// It, as in the list.
    pub biller: BillerSummary,
    /// Product > CIAM: a name, and what stands behind it.
    pub ciam: Vec<(&'static str, String)>,
    /// What can be done about it: label and address.
    pub ciam_action: Option<(&'static str, String)>,
    /// Its latest job.
    pub job: Option<JobView>,
    /// Its settings: a name, and what stands behind it.
    pub settings: Vec<(&'static str, String)>,
    /// It is held.
    pub is_paused: bool,
    /// Percentage of its rollout as it stands in the form.
    pub percent: String,
    /// Its activation date as it stands in the form.
    pub active_from: String,
    /// The impact of the rollout in the form.
    pub impact: Option<ImpactView>,
    /// What was just done.
    pub done: Option<&'static str>,
    /// What is wrong with a form: the field's id, and a sentence.
    pub errors: FieldErrors,
    /// The reader may change it.
    pub can_operate: bool,
}

/// The readiness card.
#[derive(Clone, Debug, Template)]
#[template(path = "console/readiness.html")]
pub struct ReadinessPage {
    /// Around the content.
    pub chrome: Chrome,
    /// The biller's slug.
    pub slug: String,
    /// The biller's name.
    pub name: String,
    /// The worst of the lines.
    pub status: Badge,
    /// How each thing stands: what, how, and what to do.
    pub checks: Vec<(String, Badge, String)>,
}

/// Confirms the enablement, suspension or resumption of a biller.
#[derive(Clone, Debug, Template)]
#[template(path = "console/ciam.html")]
pub struct CiamPage {
    /// Around the content.
    pub chrome: Chrome,
    /// The biller's slug.
    pub slug: String,
    /// The biller's name.
    pub name: String,
    /// What it is about: `enable`, `suspend` or `resume`.
    pub action: &'static str,
    /// What will happen.
    pub text: &'static str,
    /// The impact on all users.
    pub impact: ImpactView,
    /// What is wrong, if it was tried.
    pub error: Option<String>,
}

/// The impact of a change on all users.
#[derive(Clone, Debug, Default)]
pub struct ImpactView {
    /// In one line.
    pub line: String,
    /// How far it is, while it is counted.
    pub progress: Option<ProgressView>,
    /// URL to refresh the result; empty when it is final.
    pub refresh_url: String,
    /// Worth a second look.
    pub warnings: Vec<String>,
    /// From where, to where, how many, and some of them.
    pub transitions: Vec<(String, String, String, String)>,
}

/// A count that goes on.
#[derive(Clone, Debug)]
pub struct ProgressView {
    /// Its id.
    pub id: String,
    /// Usernames evaluated so far.
    pub done: u64,
    /// Usernames in all; 0: not known yet.
    pub total: u64,
    /// Both, in words.
    pub count: String,
}

/// A new biller.
#[derive(Clone, Debug, Template)]
#[template(path = "console/wizard.html")]
pub struct WizardPage {
    /// Around the content.
    pub chrome: Chrome,
    /// What was filled in.
    pub form: WizardForm,
    /// What is wrong: the field's id, and a sentence.
    pub errors: FieldErrors,
    /// Everything is right, and the biller will be enabled as well: what that means.
    pub confirm: Option<&'static str>,
    /// Billers can be enabled here.
    pub can_enable: bool,
}

/// The wizard's fields.
#[derive(Clone, Debug, Default)]
pub struct WizardForm {
    /// Name as customers know it.
    pub name: String,
    /// Permanent slug.
    pub slug: String,
    /// Hosts of its own.
    pub hosts: String,
    /// Support's telephone number.
    pub phone: String,
    /// Support's mail address.
    pub email: String,
    /// When support answers.
    pub hours: String,
    /// The box "CIAM (SSO/MFA) Authentication".
    pub ciam: bool,
    /// How users will sign in.
    pub mode: String,
    /// How passwords are carried over.
    pub passwords: String,
}

/// An enablement job.
#[derive(Clone, Debug, Template)]
#[template(path = "console/job.html")]
pub struct JobPage {
    /// Around the content.
    pub chrome: Chrome,
    /// The job.
    pub job: JobView,
    /// The biller's slug.
    pub slug: String,
    /// The biller's name.
    pub name: String,
    /// Provisioned resources: kind, id and state.
    pub steps: Vec<(String, String, &'static str)>,
    /// The reader may turn it back.
    pub can_cancel: bool,
}

/// A job, to be read.
#[derive(Clone, Debug)]
pub struct JobView {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub state: Badge,
    /// Nothing more will happen.
    pub is_final: bool,
    /// It did not end well.
    pub has_failed: bool,
    /// The message for people.
    pub message: String,
    /// Why it waits or was rolled back.
    pub problem: String,
    /// Users sent so far.
    pub done: i64,
    /// Users in all.
    pub total: i64,
    /// Both, in words.
    pub count: String,
    /// When it was asked for.
    pub started: String,
    /// When it ended.
    pub ended: String,
    /// The code that leads here.
    pub reference: String,
}

/// The kill switch.
#[derive(Clone, Debug, Template)]
#[template(path = "console/kill_switch.html")]
pub struct KillSwitchPage {
    /// Around the content.
    pub chrome: Chrome,
    /// What is in force.
    pub effective: String,
    /// Why the file of this instance cannot be understood.
    pub file_problem: Option<String>,
    /// What was set for every instance.
    pub set: String,
    /// Billers: slug and name.
    pub billers: Vec<(String, String)>,
    /// What is wrong with the form.
    pub errors: FieldErrors,
    /// The reader may set it.
    pub can_operate: bool,
    /// It was just set.
    pub was_set: bool,
}

/// Pending approvals.
#[derive(Clone, Debug, Template)]
#[template(path = "console/changes.html")]
pub struct ChangesPage {
    /// Around the content.
    pub chrome: Chrome,
    /// They, oldest first.
    pub changes: Vec<ChangeView>,
    /// What became of one that was decided.
    pub done: Option<&'static str>,
    /// The reader may decide.
    pub can_operate: bool,
}

/// A change that waits.
#[derive(Clone, Debug)]
pub struct ChangeView {
    /// Its id.
    pub id: String,
    /// The biller's slug.
    pub slug: String,
    /// What would change.
    pub summary: String,
    /// Who asked.
    pub requested_by: String,
    /// When.
    pub requested_at: String,
    /// The reader requested it, and may only withdraw it.
    pub is_own: bool,
}
