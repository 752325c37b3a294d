//! The pages staff see: one struct a page, each with its template in `templates/console`. English only.

mod billers;
mod decisions;
mod keys;
mod oversight;
mod settings;
mod simulate;

use askama::Template;

pub use billers::{
    Badge, BillerPage, BillerSummary, BillersPage, ChangeView, ChangesPage, CiamPage, ImpactView, JobPage, JobView,
    KillSwitchPage, ProgressView, ReadinessPage, WizardForm, WizardPage,
};
pub use decisions::{BillerFacts, DecisionView, DecisionsPage};
pub use keys::{KeyForm, KeyView, KeysPage};
pub use oversight::{
    AuditEventView, AuditFilter, AuditPage, Bar, HealthPage, HealthRow, MembershipView, SignInView, UserSearchPage,
    UserView,
};
pub use settings::{FormValues, SecureauthPage, SettingsPage};
pub use simulate::{
    AnswerView, BatchPage, BatchRow, BillerOverride, SimulatePage, SimulationForm, StepView, VerdictView,
};

use super::staff::Staff;
use signpost_core::paths::LocalAddress;

/// What every page has around its content.
#[derive(Clone, Debug)]
pub struct Chrome {
    /// URL of the stylesheet.
    pub stylesheet: String,
    /// URL of the script.
    pub script: String,
    /// URL of the logo.
    pub logo: String,
    /// Name of the bill-payment company.
    pub company: String,
    /// Who is signed in.
    pub staff: Option<Staff>,
}

/// Asks to sign in.
#[derive(Clone, Debug, Template)]
#[template(path = "console/sign_in.html")]
pub struct SignInPage {
    /// Around the content.
    pub chrome: Chrome,
    /// Where signing in begins.
    pub sign_in: String,
    /// There was a session, and it has ended.
    pub has_expired_session: bool,
}

/// Goes on by itself at once (WCAG 2.2, technique H76), by a step that the session's cookie travels with.
#[derive(Clone, Debug, Template)]
#[template(path = "console/continue.html")]
pub struct ContinuePage {
    /// Around the content.
    pub chrome: Chrome,
    /// Where to.
    pub to: LocalAddress,
}

/// Signed in at the provider, but without a role here.
#[derive(Clone, Debug, Template)]
#[template(path = "console/no_role.html")]
pub struct NoRolePage {
    /// Around the content.
    pub chrome: Chrome,
    /// Who it is.
    pub name: String,
    /// The roles there are.
    pub roles: [&'static str; 3],
}

/// Says that signing out worked.
#[derive(Clone, Debug, Template)]
#[template(path = "console/signed_out.html")]
pub struct SignedOutPage {
    /// Around the content.
    pub chrome: Chrome,
}

/// Something was refused or went wrong.
#[derive(Clone, Debug, Template)]
#[template(path = "console/error.html")]
pub struct ErrorPage {
    /// Around the content.
    pub chrome: Chrome,
    /// What happened, as a heading.
    pub title: &'static str,
    /// What it means.
    pub text: &'static str,
    /// Details, if there are any.
    pub detail: Option<String>,
}
