//! What the stand-in is built from.

/// A user of an organization.
#[derive(Clone, Debug)]
pub struct IdpUser {
    /// Matched without regard to case.
    pub username: String,
    pub name: String,
    pub email: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerState {
    Up,
    /// Every path of the organization answers 503.
    Down,
    /// Discovery works; the authorization endpoint answers with an error page.
    Deactivated,
}

/// An organization: an issuer with one client and its users.
#[derive(Clone)]
pub struct Organization {
    /// Also its path segment.
    pub id: String,
    /// Shown on the sign-in page.
    pub name: String,
    /// The state at the start.
    pub state: IssuerState,
    pub client_id: String,
    pub client_secret: String,
    /// Compared exactly.
    pub redirect_uris: Vec<String>,
    /// Compared exactly.
    pub post_logout_redirect_uris: Vec<String>,
    pub users: Vec<IdpUser>,
}

/// A tenant with its organizations.
#[derive(Clone)]
pub struct SecureAuth {
    /// First path segment of every issuer.
    pub tenant: String,
    /// PHC string of the password that all users of `organizations` share.
    pub password_hash: String,
    pub organizations: Vec<Organization>,
    /// Without it there is no management API.
    pub api: Option<ApiClients>,
}

/// Service clients of the management API. A workspace without a client is not enabled, like a new one at the vendor.
#[derive(Clone, Debug, Default)]
pub struct ApiClients {
    /// For `/api/system` and `/api/identity/{tenant}/system`.
    pub system: Option<ServiceClient>,
    /// For `/api/admin` and `/api/identity/{tenant}/admin`.
    pub admin: Option<ServiceClient>,
}

/// A client of the client credentials grant.
#[derive(Clone, Debug)]
pub struct ServiceClient {
    pub id: String,
    pub secret: String,
}
