//! The browser comes back from the identity provider: `/callback/{slug}` (OpenID Connect Core, section 3.1.2.5).
//!
//! The order matters: everything that can be checked without a call is checked first; the attempt is marked as used and
//! that is committed; only then is the code sent, once. A crash in between costs the person one more click, never more.

use std::time::Instant;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderValue, StatusCode, header};
use tower_sessions::Session;

use super::callback_error::{CallbackError, error_class, provider_failed};
use super::flow::{AuthorizationRequest, FLOW_TIMEOUT, LoginFlow, OAuthState};
use super::{lookup, redirect_loop, start};
use crate::audit::{self, Metric};
use crate::directory::{Biller, BindTo, IssuerEndpoint, OidcSettings, SubjectMatch, User, UserStatus};
use crate::secureauth::{self, ProviderError, Registration, SignIn};
use crate::state::AppState;
use crate::web::biller_sessions::{BillerSessions, NewBillerSession, SessionDetails, SessionFilter};
use crate::web::fields::Fields;
use crate::web::handoffs::{self, HandoffPayload};
use crate::web::language::Language;
use crate::web::{HttpError, cookies, paths, registrations};
use signpost_core::{Locale, Purpose, Slug, Timestamp, UserId, Username};

const MAX_CODE_LENGTH: usize = 4096;
/// No answer is longer: a code, our state, and an issuer.
const MAX_RESPONSE_LENGTH: usize = 8 * 1024;
/// The query parameter with a sealed answer.
const RESPONSE_PARAMETER: &str = "response";

/// `GET /callback/{slug}`
pub(super) async fn finish(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    session: Session,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    if start::is_prefetch(&headers) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let slug = Slug::parse(&slug).map_err(|_| HttpError::from_status(StatusCode::NOT_FOUND))?;
    let query = open_sealed_response(&state, &slug, query.unwrap_or_default())
        .map_err(|error| error.into_http_error(&state, &slug, None))?;
    let fields = parse_response(&query).map_err(|error| error.into_http_error(&state, &slug, None))?;
    let sealed = fields.get("state").unwrap_or_default();
    let Ok(OAuthState { slug: issued_for, flow }) = state.keys.open(Purpose::OAuthState, "", sealed) else {
        return Err(CallbackError::InvalidState.into_http_error(&state, &slug, None));
    };
    let mut response = if issued_for == slug {
        let locale = language.or(flow.locale).locale;
        let callback =
            Callback { state: &state, locale, headers: &headers, session: &session, slug: &slug, fields: &fields };
        let finished = callback.finish(&flow).await;
        finished.map_err(|error| error.or_link("action-sign-in", || flow.link(&state, &slug))).into_response()
    } else {
        // The attempt is burnt, so that its code cannot be tried elsewhere; but only by the browser whose it is.
        if AuthorizationRequest::find(&state, &headers, &flow.authorization_request_id).is_some() {
            handoffs::consume_token(&state, "authorization_request", &flow.authorization_request_id).await?;
        }
        CallbackError::MixUp.into_http_error(&state, &issued_for, Some(&flow)).into_response()
    };
    if let Ok(removal) = HeaderValue::from_str(&AuthorizationRequest::removal_cookie(&flow.authorization_request_id)) {
        response.headers_mut().append(header::SET_COOKIE, removal);
    }
    Ok(response)
}

/// `POST /callback/{slug}`: the answer as a form (OAuth 2.0 Form Post Response Mode). Our `Lax` cookies do not travel with a
/// POST from another site, but they do with the GET that a 303 makes of it: so the answer is sealed, and the browser brings
/// it back by itself, without a script and without the code in the address.
pub(super) async fn form_post(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HttpError> {
    let slug = Slug::parse(&slug).map_err(|_| HttpError::from_status(StatusCode::NOT_FOUND))?;
    let fail = |reason| CallbackError::InvalidResponse(reason).into_http_error(&state, &slug, None);
    match lookup::read_form(&headers, &body) {
        Err(error) if error.status == StatusCode::BAD_REQUEST => return Err(fail("malformed_response")),
        other => other?,
    };
    let form = std::str::from_utf8(&body).map_err(|_| fail("malformed_response"))?;
    if form.len() > MAX_RESPONSE_LENGTH {
        return Err(fail("response_too_large"));
    }
    let sealed = state.keys.seal(Purpose::FormPostResponse, slug.as_str(), &(state.clock.now(), form));
    Ok(Redirect::to(&paths::with_query(&paths::callback(&slug), RESPONSE_PARAMETER, &sealed)).into_response())
}

/// The answer that [`form_post`] sealed a moment ago, or the query as it is.
fn open_sealed_response(state: &AppState, slug: &Slug, query: String) -> Result<String, CallbackError> {
    let fields = Fields::parse(query.as_bytes()).unwrap_or_default();
    let Some(sealed) = fields.get(RESPONSE_PARAMETER) else { return Ok(query) };
    let opened = state.keys.open::<(Timestamp, String)>(Purpose::FormPostResponse, slug.as_str(), sealed);
    let fresh = opened.ok().filter(|(at, _)| at.plus(FLOW_TIMEOUT) > state.clock.now());
    fresh.map(|(_, form)| form).ok_or(CallbackError::InvalidResponse("invalid_sealed_response"))
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
    headers: &'a HeaderMap,
    session: &'a Session,
    slug: &'a Slug,
    fields: &'a Fields,
}

impl Callback<'_> {
    async fn finish(&self, flow: &LoginFlow) -> Result<Response, HttpError> {
        let state = self.state;
        let fail = |error: CallbackError| error.into_http_error(state, self.slug, Some(flow));
        let Some(request) = AuthorizationRequest::find(state, self.headers, &flow.authorization_request_id) else {
            return self.without_request(flow).await;
        };
        state.returns.record_returned(self.slug);
        let biller = self.active_biller().await?.ok_or_else(|| fail(CallbackError::BillerNotActive))?;
        let Some((registration, oidc)) = registrations::for_biller(state, &biller) else {
            return Err(fail(CallbackError::BillerNotActive));
        };
        if request.has_expired(state.clock.now()) || request.issuer != registration.issuer {
            return self.without_request(flow).await;
        }
        if !handoffs::consume_token(state, "authorization_request", &request.id).await? {
            return self.already_used(flow).await;
        }
        let code = self.check(&request).map_err(fail)?;
        let sign_in = self.redeem(&biller, &registration, &request, code, flow).await?;
        let user = self.resolve_user(&biller, oidc, &registration, &sign_in).await?.map_err(fail)?;
        self.complete(&biller, &registration, &user, sign_in, flow).await
    }

    /// Everything about the answer that can be checked without a call; the code, if all is well.
    fn check(&self, request: &AuthorizationRequest) -> Result<&str, CallbackError> {
        let iss = self.fields.get("iss");
        let wrong = iss.is_some_and(|iss| iss != request.issuer) || (request.needs_iss && iss.is_none());
        if wrong || request.slug != *self.slug {
            return Err(CallbackError::IssuerMismatch);
        }
        if let Some(error) = self.fields.get("error") {
            return Err(CallbackError::AuthorizationError(error_class(error)));
        }
        let plain = |code: &&str| {
            (1..=MAX_CODE_LENGTH).contains(&code.len()) && code.bytes().all(|b| (0x20..0x7f).contains(&b))
        };
        self.fields.get("code").filter(plain).ok_or(CallbackError::InvalidResponse("code_missing"))
    }

    /// Sends the code, and writes down how the issuer did.
    async fn redeem(
        &self,
        biller: &Biller,
        registration: &Registration,
        request: &AuthorizationRequest,
        code: &str,
        flow: &LoginFlow,
    ) -> Result<SignIn, HttpError> {
        let state = self.state;
        let secrets = secureauth::AuthorizationSecrets { nonce: &request.nonce, pkce_verifier: &request.verifier };
        let began = Instant::now();
        let redeemed = state.providers.redeem(registration, secrets, code.to_owned()).await;
        let is_good = !redeemed.as_ref().is_err_and(ProviderError::is_issuer_failure);
        state.calls.record(self.slug, began.elapsed(), is_good);
        match redeemed {
            Ok(sign_in) => {
                registrations::record_issuer_success(state, biller, IssuerEndpoint::Token).await;
                Ok(sign_in)
            }
            Err(error) => {
                registrations::record_issuer_failure(state, biller, IssuerEndpoint::Token, &error).await;
                Err(provider_failed(state, self.slug, flow, &error))
            }
        }
    }

    /// The biller, if it signs people in itself at this moment.
    async fn active_biller(&self) -> Result<Option<std::sync::Arc<Biller>>, HttpError> {
        let now = self.state.clock.now();
        let found = self.state.directory.biller_by_slug(self.slug).await?;
        Ok(found.filter(|biller| self.state.routing.is_sign_in_enabled(biller, now)))
    }

    /// No attempt of this browser, or too old a one: somebody signed in meanwhile goes on, others start again once.
    async fn without_request(&self, flow: &LoginFlow) -> Result<Response, HttpError> {
        if self.is_signed_in().await {
            return Ok(Redirect::to(&flow.go(self.state, self.slug)).into_response());
        }
        // Whoever has used it before gets the same page in this browser and in any other. It is not used up here: the
        // browser whose attempt it is may be on its way.
        if handoffs::is_token_consumed(self.state, "authorization_request", &flow.authorization_request_id).await? {
            return Err(CallbackError::AlreadyUsed.into_http_error(self.state, self.slug, Some(flow)));
        }
        if flow.restarts > 0 {
            return Err(CallbackError::RequestNotFound.into_http_error(self.state, self.slug, Some(flow)));
        }
        Ok(Redirect::to(&flow.restart(self.state, self.slug)).into_response())
    }

    /// The attempt was used before: a reload, or Back.
    async fn already_used(&self, flow: &LoginFlow) -> Result<Response, HttpError> {
        if self.is_signed_in().await {
            return Ok(Redirect::to(&flow.go(self.state, self.slug)).into_response());
        }
        Err(CallbackError::AlreadyUsed.into_http_error(self.state, self.slug, Some(flow)))
    }

    async fn is_signed_in(&self) -> bool {
        lookup::signed_in(self.state, self.session).await.iter().any(|(biller, _)| biller.slug == *self.slug)
    }

    /// Which member of this biller it is, by the claim the registration names, and by the subject pinned earlier.
    async fn resolve_user(
        &self,
        biller: &Biller,
        oidc: &OidcSettings,
        registration: &Registration,
        sign_in: &SignIn,
    ) -> Result<Result<User, CallbackError>, HttpError> {
        let directory = &self.state.directory;
        let Some(claim) = sign_in.claim(&oidc.bind_claim) else {
            return Ok(Err(CallbackError::NotAMember("claim_missing")));
        };
        let found = match oidc.bind_to {
            BindTo::UserId => directory.user_by_id(&biller.id, &UserId::from_stored(claim.to_owned())).await?,
            BindTo::Username => match Username::parse(claim) {
                Ok(username) => directory.user_by_username(&biller.id, &username).await?,
                Err(_) => None,
            },
        };
        let Some(user) = found.filter(|user| user.status != UserStatus::Deleted) else {
            return Ok(Err(CallbackError::NotAMember("unknown_user")));
        };
        if user.status != UserStatus::Active {
            let sessions = BillerSessions::new(self.state);
            sessions.end(&biller.id, SessionFilter::User(&user.id)).await?;
            return Ok(Err(CallbackError::UserNotActive));
        }
        let now = self.state.clock.now();
        let pinned = directory.pin_subject(biller, &registration.issuer, &user.id, &sign_in.subject, now).await?;
        if pinned == SubjectMatch::Pinned {
            audit::increment(&self.state.db, &biller.slug, Metric::FirstSignIn, now).await;
        }
        Ok(if pinned == SubjectMatch::Different {
            Err(CallbackError::NotAMember("subject_mismatch"))
        } else {
            Ok(user)
        })
    }

    /// Signs the user in and hands over to the portal.
    async fn complete(
        &self,
        biller: &Biller,
        registration: &Registration,
        user: &User,
        sign_in: SignIn,
        flow: &LoginFlow,
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
            user,
            issuer: &registration.issuer,
            subject: &sign_in.subject,
            auth_time: sign_in.auth_time,
            details,
        };
        let sessions = BillerSessions::new(state);
        let row = sessions.sign_in(self.session, new).await?;
        if self.fields.has("iss") {
            state.directory.pin_iss(biller, &registration.issuer).await?;
        }
        let payload = HandoffPayload {
            locale: self.locale,
            name: None,
            biller: Some(self.slug.clone()),
            return_to: flow.return_to.clone(),
            code: flow.code.clone(),
        };
        let own_portal = biller.settings.portal_url.as_deref();
        let portal_state = flow.portal_state.clone();
        let address = handoffs::portal_url(state, &row, self.slug, own_portal, &payload, portal_state);
        let mut response = Redirect::to(&address).into_response();
        cookies::add(
            response.headers_mut(),
            [redirect_loop::record(state, self.headers, self.slug, redirect_loop::Destination::Portal)],
        );
        Ok(response)
    }
}
