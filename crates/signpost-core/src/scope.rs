//! Scopes of API keys, as values and as types.

macro_rules! scopes {
    ($($variant:ident $name:literal $doc:literal;)*) => {
        /// What an API key allows its holder to do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Scope { $(#[doc = $doc] $variant,)* }

        impl Scope {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The scope as clients and settings write it, such as `billers:read`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        $(
            #[doc = $doc]
            #[derive(Clone, Copy, Debug)]
            pub struct $variant;

            impl RequiredScope for $variant {
                const SCOPE: Scope = Scope::$variant;
            }
        )*
    };
}

/// A scope as a type, so that a handler's signature states which scope it requires.
pub trait RequiredScope {
    const SCOPE: Scope;
}

scopes! {
    Simulate "simulate" "Run simulations and preview the impact of changes.";
    DecisionsRead "decisions:read" "Look up decision records by reference code.";
    BillersRead "billers:read" "Read billers, jobs and pending changes.";
    BillersWrite "billers:write" "Create and update billers.";
    CiamWrite "ciam:write" "Enable, suspend and resume billers.";
    HandoffRedeem "handoff:redeem" "Redeem handoff tokens.";
    IdentityRead "identity:read" "Read users and memberships.";
    IdentityWrite "identity:write" "Create, update and delete users and memberships.";
    AuditRead "audit:read" "Read the audit trail and service health.";
    KeysWrite "keys:write" "Create, list and revoke API keys.";
}

impl Scope {
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.as_str() == text)
    }
}
