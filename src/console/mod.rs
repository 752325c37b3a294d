//! Pages for staff, on a separate listener: explaining decisions and enabling billers. It never imports `login`:
//! what a customer would see is shown by a function handed in.

mod actor;
mod audit;
mod batch;
mod billers;
mod ciam;
mod controls;
mod decisions;
mod errors;
mod extract;
mod facts;
mod forms;
mod guard;
mod health;
mod impact;
mod impact_jobs;
mod jobs;
mod keys;
pub mod pages;
mod provisioning_error;
mod respond;
pub mod routes;
mod secureauth;
mod session;
mod settings;
mod sign_in;
mod simulate;
mod simulation_form;
mod staff;
mod users;
mod verdict;
mod wizard;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;
use tower_http::timeout::TimeoutLayer;
use url::Url;

use self::impact_jobs::ImpactJobs;
use self::staff::Staff;
use crate::access::StaffLimits;
use crate::config;
use crate::directory::import_billers::ImportContext;
use crate::secureauth::{AuthorizationParams, ClientAuth, Registration};
use crate::sessions::{SessionKind, Sessions};
use crate::state::AppState;
use crate::web::preview::Preview;
use crate::web::routes::Routes;
use crate::web::{HttpError, assets, brand, layers, paths, session_cookie};

/// No form is longer, a pasted list of questions included.
pub const MAX_BODY: usize = 256 * 1024;

/// The readiness card asks other systems, one after the other.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// What the console's handlers hold.
#[derive(Clone, Debug)]
pub struct Console {
    /// What all handlers hold.
    pub app: AppState,
    public_url: Arc<Url>,
    sessions: Sessions,
    limits: Arc<StaffLimits>,
    preview: Preview,
    impact_jobs: Arc<ImpactJobs>,
}

impl Console {
    /// By the settings; none where they name no listener for it. `preview` makes customers' pages.
    pub fn new(app: &AppState, preview: Preview) -> Option<Self> {
        let settings = &app.config.console;
        settings.listen?;
        let public_url = Arc::new(settings.public_url.clone()?);
        let limits = Arc::new(StaffLimits::new(settings));
        let impact_jobs = Arc::new(ImpactJobs::new(app.clock.clone(), app.random.clone(), app.shutdown.clone()));
        let sessions = staff_sessions(app);
        Some(Self { app: app.clone(), public_url, sessions, limits, preview, impact_jobs })
    }

    /// Takes the place of another one under other settings: counts of changes go on, and those of limits that are the same.
    #[must_use]
    pub fn continuing(self, previous: &Self) -> Self {
        let of_limits = |console: &Self| (console.settings().lookups_per_minute, console.settings().lookups_per_day);
        let limits = if of_limits(&self) == of_limits(previous) {
            Arc::clone(&previous.limits)
        } else {
            Arc::clone(&self.limits)
        };
        Self { impact_jobs: Arc::clone(&previous.impact_jobs), limits, ..self }
    }

    fn settings(&self) -> &config::Console {
        &self.app.config.console
    }

    /// Our registration at the staff's issuer; none while its secret cannot be read.
    fn registration(&self) -> Option<Registration> {
        let settings = self.settings();
        let secret = settings.client_secret.as_ref()?.reveal();
        let secret = secret.inspect_err(|problem| tracing::error!(problem, "console.client_secret")).ok()?;
        Some(Registration {
            biller: None,
            issuer: settings.issuer.clone(),
            client_id: settings.client_id.clone(),
            auth: vec![ClientAuth::Basic(secret)],
            redirect_uri: self.public_url.join(sign_in::CALLBACK).ok()?,
            scopes: settings.scopes.clone(),
            id_token_algs: vec!["RS256".to_owned()],
            extra_hosts: Vec::new(),
            // A session here is short; one at the issuer may be long, and is not to prolong ours by itself.
            authorization_params: AuthorizationParams {
                prompt: Some("login".to_owned()),
                ..AuthorizationParams::default()
            },
            claims: vec![settings.role_claim.clone()],
        })
    }

    /// Counts one lookup of this person.
    fn check_lookup_limit(&self, staff: &Staff) -> Result<(), HttpError> {
        self.limits.check_lookup(&staff.identity()).map_err(|limit| HttpError::rate_limited(limit.retry_after))
    }

    /// Counts one list of questions.
    fn check_batch_limit(&self, staff: &Staff) -> Result<(), HttpError> {
        self.limits.check_batch(&staff.identity()).map_err(|limit| HttpError::rate_limited(limit.retry_after))
    }

    /// What billers are checked and written with.
    fn import_context(&self, staff: &Staff) -> ImportContext {
        ImportContext {
            keys: self.app.keys.clone(),
            addresses: self.app.config.oidc.address_policy(),
            actor: self.actor_context(staff),
            own_hosts: crate::routing::own_hosts(&self.app.config),
        }
    }

    /// An address of ours in full.
    fn absolute(&self, path: &str) -> String {
        self.public_url.join(path).map_or_else(|_| self.public_url.to_string(), String::from)
    }
}

/// Sessions of staff, by the settings.
pub fn staff_sessions(app: &AppState) -> Sessions {
    Sessions::new(app.db.clone(), app.clock.clone(), SessionKind::Staff, &app.config.console)
}

/// Everything that staff can ask for.
pub fn router(console: &Console) -> Router {
    let table = routes::all();
    let inside = Routes::new(table)
        .route(wizard::WIZARD, get(wizard::form).post(wizard::submit))
        .route(routes::CIAM, get(ciam::form).post(ciam::submit))
        .route(routes::PAUSE, post(controls::pause))
        .route(routes::ROLLOUT, get(controls::preview_rollout).post(controls::rollout))
        .route(routes::IMPACT_EVENTS, get(impact::events))
        .route(routes::SETTINGS, get(settings::form).post(settings::save))
        .route(routes::CANCEL_JOB, post(jobs::cancel))
        .route(routes::NEW_KEY, post(keys::create))
        .route(routes::REVOKE_KEY, post(keys::revoke))
        .route(routes::SET_KILL_SWITCH, post(controls::set_kill_switch))
        .route(routes::CHANGE, post(controls::decide))
        .route(audit::AUDIT, get(audit::page))
        .route(routes::AUDIT_EXPORT, post(audit::export))
        .route(paths::ROOT, get(sign_in::home))
        .route(simulate::SIMULATE, get(simulate::show).post(simulate::submit))
        .route(routes::BATCH, get(batch::form).post(batch::submit))
        .route(decisions::DECISIONS, get(decisions::form).post(decisions::look_up))
        .route(users::USERS, get(users::form).post(users::look_up))
        .route(routes::BILLERS, get(billers::list))
        .route(routes::BILLER, get(billers::show))
        .route(routes::READINESS, get(billers::readiness))
        .route(routes::SECUREAUTH, get(secureauth::show).post(secureauth::submit))
        .route(routes::JOB, get(jobs::page))
        .route(routes::JOB_EVENTS, get(jobs::events))
        .route(controls::KILL_SWITCH, get(controls::kill_switch))
        .route(controls::CHANGES, get(controls::changes))
        .route(health::HEALTH, get(health::page))
        .route(keys::KEYS, get(keys::list))
        .into_router()
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(middleware::from_fn_with_state(console.clone(), guard::require_session));
    Routes::new(table)
        .route(sign_in::SIGN_IN, get(sign_in::begin))
        .route(sign_in::CALLBACK, get(sign_in::finish))
        .route(sign_in::SIGN_OUT, post(sign_in::sign_out))
        .route(paths::STATIC, get(assets::get_for_console))
        .route(paths::BRAND, get(biller_brand))
        .merge(inside)
        .into_router()
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CsrfLayer::new())
        .layer(middleware::from_fn(session_cookie::require_single))
        .layer(middleware::from_fn_with_state(console.clone(), require_own_host))
        .layer(middleware::from_fn(layers::local_path))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn_with_state(console.clone(), errors::render))
        .with_state(console.clone())
}

/// A biller's colours and logo, on customers' pages as staff are shown them.
async fn biller_brand(
    State(console): State<Console>,
    file: Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    brand::get(State(console.app.directory.clone()), file, headers).await
}

/// The console's own host only: a customer's address shows nothing of it.
async fn require_own_host(State(console): State<Console>, mut request: Request, next: Next) -> Response {
    let url = &console.public_url;
    let own = url.host_str().unwrap_or_default();
    let own = url.port().map_or_else(|| own.to_owned(), |port| format!("{own}:{port}"));
    if layers::requested_host(&request, url.scheme()).as_ref() != Some(&own) {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    }
    // What follows compares origins with it.
    if let Ok(canonical) = own.parse() {
        request.headers_mut().insert(header::HOST, canonical);
    }
    next.run(request).await
}
