//! The redirect URI: `/callback/{slug}` (OpenID Connect Core, section 3.1.2.5).
//!
//! The order matters. First the `state` and the request of this browser are opened. Then the request is consumed, and that is
//! committed. Only then is the response checked and its code sent. A crash in between costs the customer one more click.

use std::time::Instant;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::authorization_request::{self, AuthorizationRequest, FLOW_TIMEOUT, OAuthState};
use super::callback_error::{CallbackError, error_class, provider_failed, setup_fault};
use super::redirect_loop::{self, Destination};
use super::{addresses, signed_in};
use crate::access::Client;
use crate::audit::{self, Metric};
use crate::directory::{Biller, BindTo, IssuerEndpoint, OidcSettings, SubjectMatch, User, UserStatus, pin_subject};
use crate::handoffs::{Envelope, FlowContext, TokenKind};
use crate::secureauth::{self, ProviderError, Registration, SignIn};
use crate::sessions::{NewBillerSession, SessionDetails, SessionFilter};
use crate::state::AppState;
use crate::telemetry::traces::{self, NewSpan};
use crate::web::browser_session::BrowserSession;
use crate::web::client::ClientAddress;
use crate::web::device::Device;
use crate::web::extract::{BillerPath, is_form};
use crate::web::fetch_metadata::{is_prefetch, require_navigation};
use crate::web::fields::Fields;
use crate::web::language::Language;
use crate::web::{HttpError, cookies, paths, registrations};
use signpost_core::{Locale, Purpose, Slug, UserId, Username};

const MAX_CODE_LENGTH: usize = 4096;
/// Fits a code, our `state` and an issuer.
const MAX_RESPONSE_LENGTH: usize = 8 * 1024;
/// The query parameter with a sealed form.
const RESPONSE_PARAMETER: &str = "response";

/// A response that came by form post.
#[derive(Serialize, Deserialize)]
struct FormPostResponse {
    form: String,
}

/// `GET /callback/{slug}`
pub(super) async fn finish(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    session: BrowserSession,
    BillerPath(slug): BillerPath,
    RawQuery(query): RawQuery,
    ClientAddress(client): ClientAddress,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    if is_prefetch(&headers) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    require_navigation(&headers)?;
    let fail = |error: CallbackError| error.into_http_error(&state.keys, &slug, None);
    let (query, is_form_post) = open_form_post(&state, &slug, query.unwrap_or_default()).map_err(fail)?;
    let fields = parse_response(&query).map_err(fail)?;
    let oauth_state = OAuthState::open(&state.keys, fields.get("state").unwrap_or_default());
    let OAuthState { slug: issued_for, authorization_request_id: request_id, mut flow } =
        oauth_state.ok_or_else(|| fail(CallbackError::InvalidState))?;
    let request = authorization_request::find(&state.keys, &headers, &request_id);
    if request.is_none() {
        // The state may be a stranger's, whose username stays with the browser that typed it.
        flow.name = None;
    }
    let mut response = if issued_for == slug {
        let locale = language.or(flow.locale).locale;
        let callback = Callback {
            state: &state,
            locale,
            client,
            headers: &headers,
            session: &session,
            slug: &slug,
            fields: &fields,
            request_id: &request_id,
            flow: &flow,
            is_form_post,
        };
        let finished = match request {
            Some(request) => callback.finish(request).await,
            None => callback.without_request().await,
        };
        let sign_in = || addresses::sign_in(&state.keys, &slug, &flow);
        finished.map_err(|error| error.or_link("action-sign-in", sign_in)).into_response()
    } else {
        // The request is consumed, so that its code works nowhere else; but only for the browser that sent it.
        if request.is_some() {
            state.consumed_tokens().consume(TokenKind::AuthorizationRequest, &request_id).await?;
        }
        CallbackError::MixUp.into_http_error(&state.keys, &issued_for, Some(&flow)).into_response()
    };
    cookies::add(response.headers_mut(), [authorization_request::removal_cookie(&request_id)]);
    Ok(response)
}

/// `POST /callback/{slug}`: the response as a form (OAuth 2.0 Form Post Response Mode). A POST from another site does not
/// carry our `Lax` cookies, but the GET that a 303 makes of it does. So the form is sealed, and the browser brings it back
/// without a script and without the code in the address.
pub(super) async fn form_post(
    State(state): State<AppState>,
    BillerPath(slug): BillerPath,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HttpError> {
    let fail = |reason| CallbackError::InvalidResponse(reason).into_http_error(&state.keys, &slug, None);
    if !is_form(&headers) {
        return Err(HttpError::from_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    Fields::parse(&body).map_err(|_| fail("malformed_response"))?;
    let form = std::str::from_utf8(&body).map_err(|_| fail("malformed_response"))?.to_owned();
    if form.len() > MAX_RESPONSE_LENGTH {
        return Err(fail("response_too_large"));
    }
    let token = Envelope::new(&state.clock, &state.random, FormPostResponse { form });
    let sealed = state.keys.seal(Purpose::FormPostResponse, slug.as_str(), &token);
    Ok(Redirect::to(&paths::with_query(&paths::callback(&slug), RESPONSE_PARAMETER, &sealed)).into_response())
}

/// The form that [`form_post`] sealed, or the query as it is; and whether it was a form.
fn open_form_post(state: &AppState, slug: &Slug, query: String) -> Result<(String, bool), CallbackError> {
    let fields = Fields::parse(query.as_bytes()).unwrap_or_default();
    let Some(sealed) = fields.get(RESPONSE_PARAMETER) else { return Ok((query, false)) };
    let token = state.keys.open::<Envelope<FormPostResponse>>(Purpose::FormPostResponse, slug.as_str(), sealed);
    let token = token.ok().filter(|token| !token.is_expired(FLOW_TIMEOUT, state.clock.now()));
    token.map(|token| (token.content.form, true)).ok_or(CallbackError::InvalidResponse("invalid_sealed_response"))
}

fn parse_response(query: &str) -> Result<Fields, CallbackError> {
    let fields = Fields::parse(query.as_bytes()).map_err(|_| CallbackError::InvalidResponse("malformed_response"))?;
    if fields.has_duplicates(&["code", "state", "iss", "error", "error_description"]) {
        return Err(CallbackError::InvalidResponse("duplicate_parameter"));
    }
    if fields.has("id_token") || fields.has("access_token") {
        return Err(CallbackError::InvalidResponse("tokens_in_response"));
    }
    Ok(fields)
}

struct Callback<'a> {
    state: &'a AppState,
    locale: Locale,
    client: Client,
    headers: &'a HeaderMap,
    session: &'a BrowserSession,
    slug: &'a Slug,
    fields: &'a Fields,
    request_id: &'a str,
    flow: &'a FlowContext,
    is_form_post: bool,
}

impl Callback<'_> {
    async fn finish(&self, request: Envelope<AuthorizationRequest>) -> Result<Response, HttpError> {
        let state = self.state;
        state.returns.record_returned(self.slug);
        let biller = self.active_biller().await?.ok_or_else(|| self.fail(CallbackError::BillerNotActive))?;
        let Some((registration, oidc)) = registrations::for_biller(&state.keys, &state.config, &biller) else {
            if registrations::record_unreadable_secret(state, &biller).await {
                return Err(setup_fault(&state.keys, self.slug, self.flow, registrations::SECRET_UNREADABLE));
            }
            return Err(self.fail(CallbackError::BillerNotActive));
        };
        if request.is_expired(FLOW_TIMEOUT, state.clock.now()) || request.content.issuer != registration.issuer {
            return self.without_request().await;
        }
        if !state.consumed_tokens().consume(TokenKind::AuthorizationRequest, &request.id).await? {
            return self.already_used().await;
        }
        let code = self.check(&request.content).map_err(|error| self.fail(error))?;
        let redeemed = self.redeem(&biller, &registration, &request.content, code);
        let sign_in = traces::in_span(|| NewSpan::step("redeem code"), redeemed).await?;
        let resolved = self.resolve_user(&biller, oidc, &sign_in);
        let user = traces::in_span(|| NewSpan::step("resolve user"), resolved).await?;
        let user = user.map_err(|error| self.fail(error))?;
        let completed = self.complete(&biller, &registration, &user, sign_in);
        traces::in_span(|| NewSpan::step("start session"), completed).await
    }

    fn fail(&self, error: CallbackError) -> HttpError {
        error.into_http_error(&self.state.keys, self.slug, Some(self.flow))
    }

    /// All checks of the response that need no call. Returns the code.
    fn check(&self, request: &AuthorizationRequest) -> Result<&str, CallbackError> {
        let iss = self.fields.get("iss");
        let is_wrong = iss.is_some_and(|iss| iss != request.issuer) || (request.needs_iss && iss.is_none());
        if is_wrong || request.slug != *self.slug {
            // A browser can make this up, so it is no setup fault.
            let expected = (&*request.issuer, request.slug.as_str());
            tracing::info!(found = ?(iss, self.slug.as_str()), ?expected, "the response is of another issuer or biller");
            return Err(CallbackError::IssuerMismatch);
        }
        if request.form_post != self.is_form_post {
            return Err(CallbackError::InvalidResponse("response_mode_mismatch"));
        }
        if let Some(error) = self.fields.get("error") {
            return Err(CallbackError::AuthorizationError(error_class(error)));
        }
        let is_valid = |code: &&str| {
            (1..=MAX_CODE_LENGTH).contains(&code.len()) && code.bytes().all(|b| (0x20..0x7f).contains(&b))
        };
        self.fields.get("code").filter(is_valid).ok_or(CallbackError::InvalidResponse("code_missing"))
    }

    /// Redeems the code, and records whether the issuer answered.
    async fn redeem(
        &self,
        biller: &Biller,
        registration: &Registration,
        request: &AuthorizationRequest,
        code: &str,
    ) -> Result<SignIn, HttpError> {
        let state = self.state;
        let secrets = secureauth::AuthorizationSecrets { nonce: &request.nonce, pkce_verifier: &request.pkce_verifier };
        let started = Instant::now();
        let redeemed = state.providers.redeem(registration, &request.token_endpoint, secrets, code.to_owned()).await;
        let is_success = !redeemed.as_ref().is_err_and(ProviderError::is_issuer_failure);
        state.calls.record(self.slug, started.elapsed(), is_success);
        match redeemed {
            Ok(sign_in) => {
                registrations::record_issuer_success(state, biller, IssuerEndpoint::Token).await;
                self.record_fault(biller, registration, &sign_in).await;
                Ok(sign_in)
            }
            Err(error) => {
                registrations::record_issuer_failure(state, biller, IssuerEndpoint::Token, &error).await;
                Err(provider_failed(&state.keys, self.slug, self.flow, &error))
            }
        }
    }

    /// Records the setup fault that a valid ID token shows, or that there is none.
    async fn record_fault(&self, biller: &Biller, registration: &Registration, sign_in: &SignIn) {
        let is_missing = |name: &String| sign_in.claim(name).is_none();
        if registration.claims.iter().any(is_missing) {
            return registrations::record_setup_fault(self.state, biller, "claim_missing").await;
        }
        // Sign-ins still work, but will not when the clocks differ more.
        let Some(seconds) = sign_in.clock_drift else {
            return registrations::clear_setup_fault(self.state, biller).await;
        };
        let reason = "clock_drift";
        if biller.health.fault.as_deref() != Some(reason) {
            let (difference, side) = (seconds.abs(), if seconds > 0 { "ahead" } else { "behind" });
            let slug = &biller.slug;
            tracing::warn!(biller = %slug, reason, "the provider's clock is {difference} s {side} of ours: synchronize both");
        }
        registrations::record_setup_fault(self.state, biller, reason).await;
    }

    /// The biller, if it signs in users itself now.
    async fn active_biller(&self) -> Result<Option<std::sync::Arc<Biller>>, HttpError> {
        let now = self.state.clock.now();
        let found = self.state.directory.biller_by_slug(self.slug).await?;
        Ok(found.filter(|biller| self.state.routing.is_sign_in_enabled(biller, now)))
    }

    /// This browser has no such request, or it has expired. A customer who is signed in by now continues; others start again
    /// once.
    async fn without_request(&self) -> Result<Response, HttpError> {
        if self.is_signed_in().await? {
            return Ok(Redirect::to(&addresses::portal(&self.state.keys, self.slug, self.flow)).into_response());
        }
        // A used request leads to the same page in every browser. It is not consumed here: the browser that sent it may be on
        // its way.
        if self.state.consumed_tokens().contains(TokenKind::AuthorizationRequest, self.request_id).await? {
            return Err(self.fail(CallbackError::AlreadyUsed));
        }
        if self.flow.restarts > 0 {
            return Err(self.fail(CallbackError::RequestNotFound));
        }
        Ok(Redirect::to(&addresses::restart(&self.state.keys, self.slug, self.flow)).into_response())
    }

    /// The request was used before: a reload, or Back.
    async fn already_used(&self) -> Result<Response, HttpError> {
        if self.is_signed_in().await? {
            return Ok(Redirect::to(&addresses::portal(&self.state.keys, self.slug, self.flow)).into_response());
        }
        Err(self.fail(CallbackError::AlreadyUsed))
    }

    async fn is_signed_in(&self) -> Result<bool, HttpError> {
        let found = signed_in::signed_in(self.state, self.session).await?;
        Ok(found.iter().any(|(biller, _)| biller.slug == *self.slug))
    }

    /// Finds the member of this biller by the claim that the registration names.
    async fn resolve_user(
        &self,
        biller: &Biller,
        oidc: &OidcSettings,
        sign_in: &SignIn,
    ) -> Result<Result<User, CallbackError>, HttpError> {
        let directory = &self.state.directory;
        let Some(claim) = sign_in.claim(&oidc.bind_claim) else {
            tracing::warn!(
                biller = %biller.slug,
                claim = oidc.bind_claim,
                received = sign_in.claim_names().join(" "),
                "the claim that identifies users is missing"
            );
            return Ok(Err(CallbackError::ClaimMissing));
        };
        let found = match oidc.bind_to {
            BindTo::UserId => directory.user_by_id(&biller.id, &UserId::from_stored(claim.to_owned())).await?,
            BindTo::Username => match Username::parse(claim) {
                Ok(username) => directory.user_by_username(&biller.id, &username).await?,
                Err(_) => None,
            },
        };
        let Some(user) = found.filter(|user| user.status != UserStatus::Deleted) else {
            let (claim, reason) = (&oidc.bind_claim, "unknown_user");
            tracing::warn!(biller = %biller.slug, claim, reason, "the directory has no user for the claim of a sign-in");
            return Ok(Err(CallbackError::NotAMember("unknown_user")));
        };
        if user.status != UserStatus::Active {
            self.state.biller_sessions.end(&biller.id, SessionFilter::User(&user.id)).await?;
            return Ok(Err(CallbackError::UserNotActive));
        }
        Ok(Ok(user))
    }

    /// Signs the user in, unless another subject was pinned earlier, and redirects to the portal.
    async fn complete(
        &self,
        biller: &Biller,
        registration: &Registration,
        user: &User,
        sign_in: SignIn,
    ) -> Result<Response, HttpError> {
        let state = self.state;
        let details = SessionDetails {
            username: user.username.clone(),
            amr: sign_in.amr,
            sid: sign_in.sid,
            id_token: state.keys.seal(Purpose::Storage, "id_token", &sign_in.id_token),
        };
        let new = NewBillerSession {
            biller_id: &biller.id,
            user_id: &user.id,
            issuer: &registration.issuer,
            subject: &sign_in.subject,
            auth_time: sign_in.auth_time,
            details,
        };
        let now = state.clock.now();
        let mut tx = state.db.begin_shared().await?;
        let pinned = pin_subject(&mut tx, biller, &registration.issuer, (&user.id, &sign_in.subject), now).await?;
        if pinned == SubjectMatch::Different {
            tx.commit().await?;
            let reason = "subject_mismatch";
            tracing::warn!(biller = %biller.slug, reason, "the provider has another subject for a user than before");
            return Err(self.fail(CallbackError::NotAMember(reason)));
        }
        if pinned == SubjectMatch::Pinned {
            audit::count(&mut tx, &biller.slug, Metric::FirstSignIn, now).await?;
        }
        let username = Username::parse(&user.username);
        let name = username.as_ref().map_or(user.username.as_str(), Username::as_str);
        state.known_networks.record(&mut tx, self.client, name).await?;
        let (row, session_cookie) = self.session.sign_in(&mut tx, new).await?;
        tx.commit().await?;
        state.known_networks.remember(self.client, name);
        state.metrics.record_sign_in_completed(biller.slug.as_str());
        if self.fields.has("iss") {
            state.directory.pin_iss(biller, &registration.issuer).await?;
        }
        let flow = FlowContext { locale: Some(self.locale), biller: Some(self.slug.clone()), ..self.flow.clone() };
        let address = state.handoffs().portal_url(&row.id, biller.settings.portal_url.as_deref(), &flow);
        let mut response = Redirect::to(&address).into_response();
        let line = redirect_loop::record(&state.keys, now, self.headers, self.slug, Destination::Portal);
        let device = Device::from_headers(&state.keys, self.headers);
        cookies::add(response.headers_mut(), [session_cookie, line, device.record_sign_in(&state.keys, name)]);
        Ok(response)
    }
}
