//! Who works here, and what each may do.

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;

use crate::audit::Actor;
use crate::config::StaffRoles;
use crate::web::HttpError;

/// A role of staff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Simulates, looks decisions up, reads billers.
    Support,
    /// All of that, and changes billers.
    Operator,
    /// Reads everything, the audit trail included, and changes nothing.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Support, Self::Operator, Self::Auditor];

    /// The role as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Support => "support",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }

    /// The roles that values of the provider's claim give.
    pub fn from_claim(values: &[&str], roles: &StaffRoles) -> Vec<Self> {
        let mapped = |role: &Self| match role {
            Self::Support => &roles.support,
            Self::Operator => &roles.operator,
            Self::Auditor => &roles.auditor,
        };
        let has = |role: &Self| mapped(role).iter().any(|value| values.contains(&value.as_str()));
        Self::ALL.into_iter().filter(has).collect()
    }
}

/// A signed-in staff member.
#[derive(Clone, Debug)]
pub struct Staff {
    /// Who it is, at the staff's issuer: what the audit trail and the rule of two persons stand on.
    pub subject: String,
    /// Name for people.
    pub name: String,
    /// At least one.
    pub roles: Vec<Role>,
}

impl Staff {
    /// Whether this person may change billers.
    pub fn can_operate(&self) -> bool {
        self.roles.contains(&Role::Operator)
    }

    /// Whether this person may read the audit trail, and names in clear for a reason.
    pub fn can_audit(&self) -> bool {
        self.roles.iter().any(|role| matches!(role, Role::Operator | Role::Auditor))
    }

    /// The roles as people read them.
    pub fn role_names(&self) -> String {
        self.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// As the audit trail has this person.
    pub fn actor(&self) -> Actor {
        Actor::Staff { sub: self.subject.clone(), name: self.name.clone(), role: self.role_names() }
    }

    /// The identity that approvals compare. The name is not part of it: a provider may let people
    /// change theirs.
    pub fn identity(&self) -> String {
        self.actor().identity()
    }
}

/// Present behind the guard.
impl<S: Send + Sync> FromRequestParts<S> for Staff {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HttpError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| HttpError::from_status(StatusCode::UNAUTHORIZED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claim_values_map_to_configured_roles() {
        let roles = StaffRoles { operator: vec!["signpost-ops".into(), "sre".into()], ..StaffRoles::default() };
        assert_eq!(Role::from_claim(&["support", "sre"], &roles), [Role::Support, Role::Operator]);
        assert_eq!(Role::from_claim(&["operator", "Support", ""], &roles), [], "only what is mapped, exactly");
    }
}
