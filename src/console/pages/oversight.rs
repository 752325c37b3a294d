//! Pages for health, users and the audit trail.

use askama::Template;

use super::{Badge, Chrome};
use signpost_core::FieldErrors;

/// Health of the service.
#[derive(Clone, Debug, Template)]
#[template(path = "console/health.html")]
pub struct HealthPage {
    /// Around the content.
    pub chrome: Chrome,
    /// As of when.
    pub at: String,
    /// What concerns all billers: what, how, and more about it.
    pub lines: Vec<(&'static str, Badge, String)>,
    /// Each biller.
    pub billers: Vec<HealthRow>,
}

/// Health of a biller.
#[derive(Clone, Debug)]
pub struct HealthRow {
    /// Its slug.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// Its CIAM state.
    pub state: &'static str,
    /// Its issuer.
    pub issuer: Badge,
    /// Calls to the issuer, and how long they took.
    pub calls: String,
    /// Sign-ins completed there.
    pub returns: Badge,
    /// Pending user changes.
    pub users: String,
    /// Share of sign-ins that still begin at an old address, of those 30 days.
    pub legacy_share: String,
    /// First sign-ins that went well.
    pub first_success: String,
    /// Resets in the first week.
    pub resets: String,
    /// Sign-ins of each day, as bars.
    pub bars: Vec<Bar>,
    /// The bars in words.
    pub chart_description: String,
}

/// A day as a bar, in units of the drawing.
#[derive(Clone, Debug)]
pub struct Bar {
    /// From the left.
    pub x: usize,
    /// Height of all sign-ins.
    pub all: u32,
    /// From the top.
    pub all_y: u32,
    /// Height of those from old addresses.
    pub old: u32,
    /// From the top.
    pub old_y: u32,
}

/// The audit trail.
#[derive(Clone, Debug, Template)]
#[template(path = "console/audit.html")]
pub struct AuditPage {
    /// Around the content.
    pub chrome: Chrome,
    /// What is asked for.
    pub filter: AuditFilter,
    /// Actions to choose from.
    pub actions: Vec<&'static str>,
    /// What was found, the newest first.
    pub events: Vec<AuditEventView>,
    /// Where older ones are.
    pub older: Option<String>,
    /// What is wrong with the filter.
    pub errors: FieldErrors,
}

/// What is asked for of the audit trail.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// By whom.
    pub actor: String,
    /// What.
    pub action: String,
    /// At which biller.
    pub biller: String,
    /// From when on, in UTC.
    pub since: String,
    /// Until when, in UTC.
    pub until: String,
}

/// An audit event as text.
#[derive(Clone, Debug)]
pub struct AuditEventView {
    /// When.
    pub at: String,
    /// By whom.
    pub who: String,
    /// `staff` and the role, `key`, `cli` or `system`.
    pub kind: String,
    /// What.
    pub action: String,
    /// At which biller.
    pub biller: String,
    /// About what.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// More about it, a line each.
    pub details: Vec<String>,
}

/// Looks up a user.
#[derive(Clone, Debug, Template)]
#[template(path = "console/users.html")]
pub struct UserSearchPage {
    /// Around the content.
    pub chrome: Chrome,
    /// The username as it was typed.
    pub username: String,
    /// The reason for the lookup.
    pub reason: String,
    /// Names are to be shown in clear.
    pub unmask: bool,
    /// The reader may see them so.
    pub can_unmask: bool,
    /// What is wrong: the field's id, and a sentence.
    pub errors: FieldErrors,
    /// Who was found; none: not asked yet.
    pub found: Option<Vec<UserView>>,
}

/// A user with the username. Several users can have the same one.
#[derive(Clone, Debug)]
pub struct UserView {
    /// Our id.
    pub id: String,
    /// Username, masked unless the role and reason allow it.
    pub username: String,
    /// Mail address, likewise.
    pub email: String,
    /// Status.
    pub status: &'static str,
    /// What the person has at each biller.
    pub memberships: Vec<MembershipView>,
}

/// A membership, with what SecureAuth noted of it.
#[derive(Clone, Debug)]
pub struct MembershipView {
    /// The biller's slug.
    pub slug: String,
    /// The biller's name.
    pub name: String,
    /// A change of the user is pending.
    pub is_pending: bool,
    /// Why there is no history.
    pub no_history: Option<String>,
    /// What SecureAuth noted, the newest first.
    pub history: Vec<SignInView>,
}

/// Something that SecureAuth noted.
#[derive(Clone, Debug)]
pub struct SignInView {
    /// When.
    pub at: String,
    /// What about, such as `login`.
    pub what: String,
    /// What came of it.
    pub outcome: Badge,
    /// Address and browser.
    pub from: String,
}
