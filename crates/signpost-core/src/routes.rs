//! The route table of the gateway: what is served at each path, to whom, and with which credentials. Routers, error formats,
//! reserved paths, the list for operators and the tests all read it.

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::paths;
use crate::scope::Scope;

/// A path and what is served there.
#[derive(Clone, Debug)]
pub struct Route {
    /// As the router writes it, with parameters in braces.
    pub path: Cow<'static, str>,
    /// GET includes HEAD.
    pub methods: Vec<(Method, Authentication)>,
    pub audience: Audience,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// Who sends requests to a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Customers, with a browser.
    Customer,
    /// A page, for its stylesheets and images.
    Asset,
    /// Crawlers, browsers and security researchers, at fixed paths.
    Crawler,
    /// A reverse proxy, on behalf of a customer.
    Proxy,
    /// An identity provider.
    Provider,
    /// Machine clients of `/api/v1`, and the people who write them.
    Api,
    /// Clients of the identity management API.
    Identity,
    /// Staff, at the console.
    Staff,
    /// Orchestrators, load balancers and Prometheus, at the management listener.
    Monitoring,
    /// An operator of the machine, at the management listener.
    Operator,
}

/// What a request has to present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    None,
    /// A session cookie. Without one, customers and staff are sent to sign in; proxies get 401.
    Session,
    /// A logout token that the issuer signed.
    LogoutToken,
    /// An API key with this scope.
    ApiKey(Scope),
}

/// How a route answers errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorFormat {
    /// An HTML page, in the customer's language.
    Page,
    /// A problem document (RFC 9457).
    Problem,
}

impl Method {
    pub const ALL: [Self; 5] = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl Audience {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Asset => "asset",
            Self::Crawler => "crawler",
            Self::Proxy => "proxy",
            Self::Provider => "provider",
            Self::Api => "api",
            Self::Identity => "identity",
            Self::Staff => "staff",
            Self::Monitoring => "monitoring",
            Self::Operator => "operator",
        }
    }
}

impl ErrorFormat {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Problem => "problem",
        }
    }
}

impl Authentication {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Session => "session",
            Self::LogoutToken => "logout token",
            Self::ApiKey(scope) => scope.as_str(),
        }
    }
}

impl Route {
    pub fn new(path: &'static str, audience: Audience, methods: &[(Method, Authentication)]) -> Self {
        Self { path: path.into(), methods: methods.to_vec(), audience }
    }

    pub fn error_format(&self) -> ErrorFormat {
        match self.audience {
            Audience::Customer | Audience::Asset | Audience::Crawler | Audience::Staff => ErrorFormat::Page,
            Audience::Proxy
            | Audience::Provider
            | Audience::Api
            | Audience::Identity
            | Audience::Monitoring
            | Audience::Operator => ErrorFormat::Problem,
        }
    }

    /// Whether links, forms or redirects lead a customer's browser here.
    pub fn is_linked(&self) -> bool {
        matches!(self.audience, Audience::Customer | Audience::Proxy)
    }

    pub fn has_parameters(&self) -> bool {
        self.path.contains('{')
    }

    pub fn authentication(&self, method: Method) -> Option<Authentication> {
        self.methods.iter().find(|(own, _)| *own == method).map(|(_, authentication)| *authentication)
    }

    /// Whether a request's path leads here.
    pub fn matches(&self, path: &str) -> bool {
        let (mut own, mut theirs) = (self.path.split('/'), path.split('/'));
        loop {
            match (own.next(), theirs.next()) {
                (None, None) => return true,
                (Some(own), Some(theirs)) if own == theirs || (own.starts_with('{') && !theirs.is_empty()) => {}
                _ => return false,
            }
        }
    }

    /// The first segment of the path, which no legacy path may use.
    fn first_segment(&self) -> &str {
        first_segment(&self.path)
    }
}

fn first_segment(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

/// The routes of the gateway.
pub fn gateway() -> &'static [Route] {
    &GATEWAY
}

/// The routes of the management listener.
pub fn management() -> &'static [Route] {
    static MANAGEMENT: LazyLock<Vec<Route>> = LazyLock::new(|| {
        let probe = |path| Route::new(path, Audience::Monitoring, &[(Method::Get, Authentication::None)]);
        let reload = Route::new(paths::RELOAD, Audience::Operator, &[(Method::Post, Authentication::None)]);
        [paths::LIVEZ, paths::READYZ, paths::METRICS].map(probe).into_iter().chain([reload]).collect()
    });
    &MANAGEMENT
}

/// The gateway's route for a request's path.
pub fn find(path: &str) -> Option<&'static Route> {
    gateway().iter().find(|route| route.matches(path))
}

/// Whether a path, or a path above it, is the gateway's own, so that no legacy path may be mapped there.
pub fn is_reserved(path: &str) -> bool {
    let first = first_segment(path);
    path == paths::ROOT || (!first.is_empty() && gateway().iter().any(|route| route.first_segment() == first))
}

/// How to answer an error at a path. Where no route matches, the routes with the same first segment decide, if they agree.
pub fn error_format(path: &str) -> ErrorFormat {
    if let Some(route) = find(path) {
        return route.error_format();
    }
    let mut neighbours = gateway().iter().filter(|route| route.first_segment() == first_segment(path)).peekable();
    let is_problem =
        neighbours.peek().is_some() && neighbours.all(|route| route.error_format() == ErrorFormat::Problem);
    if is_problem { ErrorFormat::Problem } else { ErrorFormat::Page }
}

static GATEWAY: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let mut routes = customer_routes();
    routes.extend(integration_routes());
    routes.extend(api_routes());
    routes.extend([paths::IDENTITY, paths::POOLSIDE].into_iter().flat_map(identity_routes));
    routes
});

fn customer_routes() -> Vec<Route> {
    use Method::{Get, Post};
    let page = |path, methods: &[Method]| {
        let methods: Vec<_> = methods.iter().map(|method| (*method, Authentication::None)).collect();
        Route::new(path, Audience::Customer, &methods)
    };
    vec![
        page(paths::ROOT, &[Get]),
        page(paths::LOGIN, &[Get, Post]),
        page(paths::FORGET, &[Post]),
        page(paths::BILLER, &[Get]),
        Route::new(paths::GO, Audience::Customer, &[(Get, Authentication::Session)]),
        page(paths::CALLBACK, &[Get, Post]),
        page(paths::LOGOUT, &[Get, Post]),
        page(paths::SIGNED_OUT, &[Get]),
        page(paths::RECOVER, &[Get]),
        page(paths::LINKS, &[Get, Post]),
        page(paths::LINKS_SENT, &[Get]),
        page(paths::RESET, &[Get, Post]),
        page(paths::BILLER_RESET, &[Get, Post]),
        page(paths::RESET_SENT, &[Get]),
        page(paths::WELL_KNOWN_CHANGE_PASSWORD, &[Get]),
        page(paths::ERROR, &[Get]),
        page(paths::HELP, &[Get]),
    ]
}

/// What pages load, and what proxies and identity providers use.
fn integration_routes() -> Vec<Route> {
    use Method::{Get, Post};
    vec![
        Route::new(paths::BRAND, Audience::Asset, &[(Get, Authentication::None)]),
        Route::new(paths::STATIC, Audience::Asset, &[(Get, Authentication::None)]),
        Route::new(paths::ROBOTS, Audience::Crawler, &[(Get, Authentication::None)]),
        Route::new(paths::FAVICON, Audience::Crawler, &[(Get, Authentication::None)]),
        Route::new(paths::TOUCH_ICON, Audience::Crawler, &[(Get, Authentication::None)]),
        Route::new(paths::PRECOMPOSED_TOUCH_ICON, Audience::Crawler, &[(Get, Authentication::None)]),
        Route::new(paths::SECURITY_TXT, Audience::Crawler, &[(Get, Authentication::None)]),
        Route::new(paths::VERIFY, Audience::Proxy, &[(Get, Authentication::Session)]),
        Route::new(paths::BACKCHANNEL_LOGOUT, Audience::Provider, &[(Post, Authentication::LogoutToken)]),
        Route::new(paths::JWKS, Audience::Provider, &[(Get, Authentication::None)]),
    ]
}

fn with_scopes(path: impl Into<Cow<'static, str>>, audience: Audience, scopes: &[(Method, Scope)]) -> Route {
    let methods = scopes.iter().map(|(method, scope)| (*method, Authentication::ApiKey(*scope))).collect();
    Route { path: path.into(), methods, audience }
}

fn api_routes() -> Vec<Route> {
    use Method::{Delete, Get, Patch, Post, Put};
    let api = |path: &'static str, scopes: &[(Method, Scope)]| with_scopes(path, Audience::Api, scopes);
    vec![
        Route::new(paths::API_DOCS, Audience::Api, &[(Get, Authentication::None)]),
        Route::new(paths::OPENAPI, Audience::Api, &[(Get, Authentication::None)]),
        api(paths::BILLERS, &[(Get, Scope::BillersRead), (Post, Scope::BillersWrite)]),
        api(paths::BILLER_BY_SLUG, &[(Get, Scope::BillersRead), (Patch, Scope::BillersWrite)]),
        api(paths::READINESS, &[(Get, Scope::BillersRead)]),
        api(paths::LOGIN_URL_EMAIL, &[(Post, Scope::BillersWrite)]),
        api(paths::CIAM, &[(Put, Scope::CiamWrite)]),
        api(paths::CHANGES, &[(Get, Scope::BillersRead)]),
        api(paths::CHANGE, &[(Post, Scope::BillersWrite)]),
        api(paths::JOB, &[(Get, Scope::BillersRead)]),
        api(paths::JOB_EVENTS, &[(Get, Scope::BillersRead)]),
        api(paths::KILL_SWITCH, &[(Get, Scope::BillersRead), (Put, Scope::BillersWrite)]),
        api(paths::REDEEM, &[(Post, Scope::HandoffRedeem)]),
        api(paths::CHANGE_PASSWORD, &[(Post, Scope::IdentityWrite)]),
        api(paths::RESET_REQUEST, &[(Post, Scope::IdentityWrite)]),
        api(paths::SIMULATIONS, &[(Post, Scope::Simulate)]),
        api(paths::IMPACT, &[(Post, Scope::Simulate)]),
        api(paths::DECISION, &[(Get, Scope::DecisionsRead)]),
        api(paths::AUDIT, &[(Get, Scope::AuditRead)]),
        api(paths::HEALTH, &[(Get, Scope::AuditRead)]),
        api(paths::API_KEYS, &[(Get, Scope::KeysWrite), (Post, Scope::KeysWrite)]),
        api(paths::API_KEY, &[(Delete, Scope::KeysWrite)]),
    ]
}

fn identity_routes(mount: &str) -> Vec<Route> {
    use Method::{Delete, Get, Patch, Post};
    use paths::identity;
    const READ: Scope = Scope::IdentityRead;
    const WRITE: Scope = Scope::IdentityWrite;
    let route =
        |path: &str, scopes: &[(Method, Scope)]| with_scopes(format!("{mount}{path}"), Audience::Identity, scopes);
    vec![
        route(identity::USERS, &[(Get, READ), (Post, WRITE)]),
        route(identity::USER, &[(Get, READ), (Patch, WRITE), (Delete, WRITE)]),
        route(identity::USER_TEAMS, &[(Get, READ)]),
        route(identity::TEAMS, &[(Get, READ)]),
        route(identity::MEMBERS, &[(Get, READ)]),
        route(identity::SET_MEMBERS, &[(Post, WRITE)]),
        route(identity::ADD_MEMBERS, &[(Post, WRITE)]),
        route(identity::REMOVE_MEMBERS, &[(Post, WRITE)]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_route() {
        for (at, route) in gateway().iter().enumerate() {
            assert!(!route.methods.is_empty(), "{}", route.path);
            let twin = gateway()[at + 1..].iter().find(|other| other.path == route.path);
            assert!(twin.is_none(), "{} has two routes", route.path);
            let sample = route.path.replace(['{', '}'], "");
            assert_eq!(find(&sample).map(|found| &found.path), Some(&route.path), "{sample}");
        }
    }

    #[test]
    fn parameters_match_one_segment() {
        let found = |path| find(path).map(|route| route.path.as_ref());
        assert_eq!(found("/b/riverside-water"), Some(paths::BILLER));
        assert_eq!(found("/b/riverside-water/reset"), Some(paths::BILLER_RESET));
        for other in ["/b", "/b/", "/b/a/b", "/login/", "/old.aspx", ""] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn own_paths_and_paths_below_them_are_reserved() {
        for own in
            ["/", "/login", "/login/x", "/b/x", "/forget", "/error", "/identity/v1/users", "/poolside/v1", "/api"]
        {
            assert!(is_reserved(own), "{own}");
        }
        for free in ["/old.aspx", "/paybill", "/loginpage", "/bills/pay"] {
            assert!(!is_reserved(free), "{free}");
        }
    }

    #[test]
    fn machines_get_problem_documents_and_people_get_pages() {
        for path in [
            "/api/v1/billers",
            "/api/v1/nothing",
            "/identity/v1/x",
            "/poolside/v1/users",
            "/auth/verify",
            "/auth/x",
            "/backchannel-logout/x",
            "/.well-known/jwks.json",
        ] {
            assert_eq!(error_format(path), ErrorFormat::Problem, "{path}");
        }
        for path in ["/", "/login", "/nope", "/b/x", "/callback/x", "/static/x", "/.well-known/nothing", "/apis"] {
            assert_eq!(error_format(path), ErrorFormat::Page, "{path}");
        }
    }
}
