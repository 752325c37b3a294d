//! A relying party of axum and openidconnect that promises nothing: no durable session, no audit, no limits.
//!
//! It listens on `LISTEN` and signs in at `ISSUER` with `CLIENT_ID` and `CLIENT_SECRET`. `DATABASE` is a SQLite file whose table
//! `username (name TEXT PRIMARY KEY, biller TEXT)` names the biller of each username.

use std::collections::HashMap;
use std::env::var;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::extract::{FromRef, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Form, Router};
use cookie::Cookie;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl,
    Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, reqwest,
};
use serde::Deserialize;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;

type Failure = Box<dyn Error + Send + Sync>;
type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;
type Shared<T> = Mutex<HashMap<String, T>>;

const STATE_COOKIE: &str = "state";
const SESSION_COOKIE: &str = "session";

struct Baseline {
    http: reqwest::Client,
    /// Discovered at the first sign-in, so that the provider may start later.
    client: OnceCell<Client>,
    issuer: IssuerUrl,
    client_id: ClientId,
    client_secret: ClientSecret,
    redirect_uri: RedirectUrl,
    pending: Shared<(Nonce, PkceCodeVerifier)>,
    subjects: Shared<String>,
}

#[derive(Clone, FromRef)]
struct App {
    baseline: Arc<Baseline>,
    directory: SqlitePool,
}

struct Failed(Failure);

impl<E: Into<Failure>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("{:?}", self.0)).into_response()
    }
}

fn locked<T>(map: &Shared<T>) -> std::sync::MutexGuard<'_, HashMap<String, T>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    Cookie::split_parse(cookies).flatten().find(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned())
}

fn set_cookie(name: &str, value: &str) -> [(header::HeaderName, String); 1] {
    [(header::SET_COOKIE, format!("{name}={value}; HttpOnly; SameSite=Lax; Path=/"))]
}

impl Baseline {
    async fn client(&self) -> Result<&Client, Failure> {
        let discover = || async {
            let metadata = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http).await?;
            let secret = Some(self.client_secret.clone());
            let client = CoreClient::from_provider_metadata(metadata, self.client_id.clone(), secret);
            Ok(client.set_redirect_uri(self.redirect_uri.clone()))
        };
        self.client.get_or_try_init(discover).await
    }
}

async fn start(State(app): State<Arc<Baseline>>) -> Result<Response, Failed> {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, nonce) = app
        .client()
        .await?
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scopes(["profile", "email"].map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(challenge)
        .url();
    locked(&app.pending).insert(state.secret().clone(), (nonce, verifier));
    Ok((set_cookie(STATE_COOKIE, state.secret()), Redirect::to(url.as_str())).into_response())
}

#[derive(Deserialize)]
struct Callback {
    code: String,
    state: String,
}

async fn callback(
    State(app): State<Arc<Baseline>>,
    headers: HeaderMap,
    Query(answer): Query<Callback>,
) -> Result<Response, Failed> {
    if cookie(&headers, STATE_COOKIE).as_ref() != Some(&answer.state) {
        return Err("the state is of another browser".into());
    }
    let (nonce, verifier) = locked(&app.pending).remove(&answer.state).ok_or("the state is unknown")?;
    let client = app.client().await?;
    let exchange = client.exchange_code(AuthorizationCode::new(answer.code))?.set_pkce_verifier(verifier);
    let tokens = exchange.request_async(&app.http).await?;
    let id_token = tokens.extra_fields().id_token().ok_or("no ID token")?;
    let claims = id_token.claims(&client.id_token_verifier(), &nonce)?;
    let session = CsrfToken::new_random().into_secret();
    locked(&app.subjects).insert(session.clone(), claims.subject().to_string());
    Ok((set_cookie(SESSION_COOKIE, &session), Redirect::to("/")).into_response())
}

fn subject(app: &Baseline, headers: &HeaderMap) -> Option<String> {
    locked(&app.subjects).get(&cookie(headers, SESSION_COOKIE)?).cloned()
}

async fn home(State(app): State<Arc<Baseline>>, headers: HeaderMap) -> Response {
    match subject(&app, &headers) {
        Some(subject) => Html(format!("<h1>Hello {subject}</h1>")).into_response(),
        None => Redirect::to("/start").into_response(),
    }
}

async fn verify(State(app): State<Arc<Baseline>>, headers: HeaderMap) -> StatusCode {
    if subject(&app, &headers).is_some() { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    unknown: Option<String>,
}

async fn login() -> Result<Html<String>, Failed> {
    Ok(Html(LoginPage { unknown: None }.render()?))
}

#[derive(Deserialize)]
struct Login {
    username: String,
}

async fn look_up(State(directory): State<SqlitePool>, Form(login): Form<Login>) -> Result<Response, Failed> {
    let statement = sqlx::query_scalar("SELECT biller FROM username WHERE name = $1");
    let biller: Option<String> = statement.bind(&login.username).fetch_optional(&directory).await?;
    Ok(match biller {
        Some(biller) => Redirect::to(&format!("/start?biller={biller}")).into_response(),
        None => Html(LoginPage { unknown: Some(login.username) }.render()?).into_response(),
    })
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let listen = var("LISTEN")?;
    let directory = SqliteConnectOptions::new().filename(var("DATABASE")?);
    let directory = SqlitePoolOptions::new().test_before_acquire(false).connect_with(directory).await?;
    let baseline = Baseline {
        http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?,
        client: OnceCell::new(),
        issuer: IssuerUrl::new(var("ISSUER")?)?,
        client_id: ClientId::new(var("CLIENT_ID")?),
        client_secret: ClientSecret::new(var("CLIENT_SECRET")?),
        redirect_uri: RedirectUrl::new(format!("http://{listen}/callback"))?,
        pending: Shared::default(),
        subjects: Shared::default(),
    };
    let app = Router::new()
        .route("/", get(home))
        .route("/start", get(start))
        .route("/callback", get(callback))
        .route("/login", get(login).post(look_up))
        .route("/auth/verify", get(verify))
        .with_state(App { baseline: Arc::new(baseline), directory });
    axum::serve(TcpListener::bind(listen).await?, app).await?;
    Ok(())
}
