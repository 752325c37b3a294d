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

use super::flow::{Attempt, Journey, LIFE, Travelling};
use super::refused::{Refused, class_of, provider_failed};
use super::{bounce, lookup, start};
use crate::audit::{self, Score};
use crate::directory::{Biller, BindTo, Call, OidcSettings, SubjectMatch, User, UserStatus};
use crate::secureauth::{self, ProviderError, Registration, SignIn};
use crate::state::AppState;
use crate::web::fields::Fields;
use crate::web::handoffs::{self, Luggage};
use crate::web::language::Language;
use crate::web::visits::{Details, Ending, NewSession, Visits};
use crate::web::{Refusal, cookies, paths, registrations};
use signpost_core::{Locale, Purpose, Slug, Timestamp, UserId, Username};

const MAX_CODE: usize = 4096;
/// No answer is longer: a code, our state, and an issuer.
const MAX_ANSWER: usize = 8 * 1024;
/// The query parameter with a sealed answer.
const ANSWER: &str = "answer";

/// `GET /callback/{slug}`
pub(super) async fn finish(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    session: Session,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if start::is_prefetch(&headers) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let slug = Slug::parse(&slug).map_err(|_| Refusal::from_status(StatusCode::NOT_FOUND))?;
    let query =
        unsealed(&state, &slug, query.unwrap_or_default()).map_err(|refused| refused.page(&state, &slug, None))?;
    let fields = read(&query).map_err(|refused| refused.page(&state, &slug, None))?;
    let sealed = fields.get("state").unwrap_or_default();
    let Ok(Travelling { slug: issued_for, journey }) = state.keys.open(Purpose::Flow, "", sealed) else {
        return Err(Refused::BadState.page(&state, &slug, None));
    };
    let mut response = if issued_for == slug {
        let locale = language.or(journey.locale).locale;
        let arrived =
            Arrived { state: &state, locale, headers: &headers, session: &session, slug: &slug, fields: &fields };
        let finished = arrived.finish(&journey).await;
        finished.map_err(|refusal| refusal.or_next("go-sign-in", || journey.link(&state, &slug))).into_response()
    } else {
        // The attempt is burnt, so that its code cannot be tried elsewhere; but only by the browser whose it is.
        if Attempt::find(&state, &headers, &journey.attempt).is_some() {
            handoffs::use_once(&state, "attempt", &journey.attempt).await?;
        }
        Refused::MixUp.page(&state, &issued_for, Some(&journey)).into_response()
    };
    if let Ok(removal) = HeaderValue::from_str(&Attempt::removal(&journey.attempt)) {
        response.headers_mut().append(header::SET_COOKIE, removal);
    }
    Ok(response)
}

/// `POST /callback/{slug}`: the answer as a form (OAuth 2.0 Form Post Response Mode). Our `Lax` cookies do not travel with a
/// POST from another site, but they do with the GET that a 303 makes of it: so the answer is sealed, and the browser brings
/// it back by itself, without a script and without the code in the address.
pub(super) async fn take_form_post(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let slug = Slug::parse(&slug).map_err(|_| Refusal::from_status(StatusCode::NOT_FOUND))?;
    let refuse = |reason| Refused::BadResponse(reason).page(&state, &slug, None);
    match lookup::read_form(&headers, &body) {
        Err(refusal) if refusal.status == StatusCode::BAD_REQUEST => return Err(refuse("not_readable")),
        other => other?,
    };
    let form = std::str::from_utf8(&body).map_err(|_| refuse("not_readable"))?;
    if form.len() > MAX_ANSWER {
        return Err(refuse("too_long"));
    }
    let sealed = state.keys.seal(Purpose::Answer, slug.as_str(), &(state.clock.now(), form));
    Ok(Redirect::to(&paths::with_query(&format!("/callback/{slug}"), ANSWER, &sealed)).into_response())
}

/// The answer that [`take_form_post`] sealed a moment ago, or the query as it is.
fn unsealed(state: &AppState, slug: &Slug, query: String) -> Result<String, Refused> {
    let fields = Fields::parse(query.as_bytes()).unwrap_or_default();
    let Some(sealed) = fields.get(ANSWER) else { return Ok(query) };
    let opened = state.keys.open::<(Timestamp, String)>(Purpose::Answer, slug.as_str(), sealed);
    let fresh = opened.ok().filter(|(at, _)| at.plus(LIFE) > state.clock.now());
    fresh.map(|(_, form)| form).ok_or(Refused::BadResponse("bad_answer"))
}

fn read(query: &str) -> Result<Fields, Refused> {
    let fields = Fields::parse(query.as_bytes()).map_err(|_| Refused::BadResponse("not_readable"))?;
    if fields.any_twice(&["code", "state", "iss", "error", "error_description"]) {
        return Err(Refused::BadResponse("duplicate_parameter"));
    }
    if fields.has("id_token") || fields.has("access_token") {
        return Err(Refused::BadResponse("tokens_in_response"));
    }
    Ok(fields)
}

struct Arrived<'a> {
    state: &'a AppState,
    locale: Locale,
    headers: &'a HeaderMap,
    session: &'a Session,
    slug: &'a Slug,
    fields: &'a Fields,
}

impl Arrived<'_> {
    async fn finish(&self, journey: &Journey) -> Result<Response, Refusal> {
        let state = self.state;
        let refuse = |refused: Refused| refused.page(state, self.slug, Some(journey));
        let Some(attempt) = Attempt::find(state, self.headers, &journey.attempt) else {
            return self.without_attempt(journey).await;
        };
        state.returns.returned(self.slug);
        let biller = self.active_biller().await?.ok_or_else(|| refuse(Refused::NotActive))?;
        let Some((registration, oidc)) = registrations::of(state, &biller) else {
            return Err(refuse(Refused::NotActive));
        };
        if attempt.has_expired(state.clock.now()) || attempt.issuer != registration.issuer {
            return self.without_attempt(journey).await;
        }
        if !handoffs::use_once(state, "attempt", &attempt.id).await? {
            return self.again(journey).await;
        }
        let code = self.check(&attempt).map_err(refuse)?;
        let sign_in = self.redeem(&biller, &registration, &attempt, code, journey).await?;
        let user = self.bind(&biller, oidc, &registration, &sign_in).await?.map_err(refuse)?;
        self.enter(&biller, &registration, &user, sign_in, journey).await
    }

    /// Everything about the answer that can be checked without a call; the code, if all is well.
    fn check(&self, attempt: &Attempt) -> Result<&str, Refused> {
        let iss = self.fields.get("iss");
        let wrong = iss.is_some_and(|iss| iss != attempt.issuer) || (attempt.needs_iss && iss.is_none());
        if wrong || attempt.slug != *self.slug {
            return Err(Refused::Iss);
        }
        if let Some(error) = self.fields.get("error") {
            return Err(Refused::ProviderSays(class_of(error)));
        }
        let plain =
            |code: &&str| (1..=MAX_CODE).contains(&code.len()) && code.bytes().all(|b| (0x20..0x7f).contains(&b));
        self.fields.get("code").filter(plain).ok_or(Refused::BadResponse("no_code"))
    }

    /// Sends the code, and writes down how the issuer did.
    async fn redeem(
        &self,
        biller: &Biller,
        registration: &Registration,
        attempt: &Attempt,
        code: &str,
        journey: &Journey,
    ) -> Result<SignIn, Refusal> {
        let state = self.state;
        let secrets = secureauth::Attempt { nonce: &attempt.nonce, verifier: &attempt.verifier };
        let began = Instant::now();
        let redeemed = state.providers.redeem(registration, secrets, code.to_owned()).await;
        let is_good = !redeemed.as_ref().is_err_and(ProviderError::counts_against_issuer);
        state.calls.took(self.slug, began.elapsed(), is_good);
        match redeemed {
            Ok(sign_in) => {
                registrations::note_answer(state, biller, Call::Token).await;
                Ok(sign_in)
            }
            Err(error) => {
                registrations::note_failure(state, biller, Call::Token, &error).await;
                Err(provider_failed(state, self.slug, journey, &error))
            }
        }
    }

    /// The biller, if it signs people in itself at this moment.
    async fn active_biller(&self) -> Result<Option<std::sync::Arc<Biller>>, Refusal> {
        let now = self.state.clock.now();
        let found = self.state.directory.named(self.slug).await?;
        Ok(found.filter(|biller| self.state.routing.signs_in(biller, now)))
    }

    /// No attempt of this browser, or too old a one: somebody signed in meanwhile goes on, others start again once.
    async fn without_attempt(&self, journey: &Journey) -> Result<Response, Refusal> {
        if self.is_signed_in().await {
            return Ok(Redirect::to(&journey.go(self.state, self.slug)).into_response());
        }
        // Whoever has used it before gets the same page in this browser and in any other. It is not used up here: the
        // browser whose attempt it is may be on its way.
        if handoffs::was_used(self.state, "attempt", &journey.attempt).await? {
            return Err(Refused::UsedBefore.page(self.state, self.slug, Some(journey)));
        }
        if journey.restarts > 0 {
            return Err(Refused::NoAttempt.page(self.state, self.slug, Some(journey)));
        }
        Ok(Redirect::to(&journey.restart(self.state, self.slug)).into_response())
    }

    /// The attempt was used before: a reload, or Back.
    async fn again(&self, journey: &Journey) -> Result<Response, Refusal> {
        if self.is_signed_in().await {
            return Ok(Redirect::to(&journey.go(self.state, self.slug)).into_response());
        }
        Err(Refused::UsedBefore.page(self.state, self.slug, Some(journey)))
    }

    async fn is_signed_in(&self) -> bool {
        lookup::signed_in(self.state, self.session).await.iter().any(|(biller, _)| biller.slug == *self.slug)
    }

    /// Which member of this biller it is, by the claim the registration names, and by the subject pinned earlier.
    async fn bind(
        &self,
        biller: &Biller,
        oidc: &OidcSettings,
        registration: &Registration,
        sign_in: &SignIn,
    ) -> Result<Result<User, Refused>, Refusal> {
        let directory = &self.state.directory;
        let Some(claim) = sign_in.claim(&oidc.bind_claim) else { return Ok(Err(Refused::NotAMember("claim_missing"))) };
        let found = match oidc.bind_to {
            BindTo::UserId => directory.user_by_id(&biller.id, &UserId::from_stored(claim.to_owned())).await?,
            BindTo::Username => match Username::parse(claim) {
                Ok(username) => directory.user_by_username(&biller.id, &username).await?,
                Err(_) => None,
            },
        };
        let Some(user) = found.filter(|user| user.status != UserStatus::Deleted) else {
            return Ok(Err(Refused::NotAMember("unknown_user")));
        };
        if user.status != UserStatus::Active {
            let visits = Visits::of(self.state);
            visits.end(&biller.id, Ending::User(&user.id)).await?;
            return Ok(Err(Refused::UserNotActive));
        }
        let now = self.state.clock.now();
        let pinned = directory.pin_subject(biller, &registration.issuer, &user.id, &sign_in.subject, now).await?;
        if pinned == SubjectMatch::Pinned {
            audit::score(&self.state.db, &biller.slug, Score::FirstSignIn, now).await;
        }
        Ok(if pinned == SubjectMatch::Different { Err(Refused::NotAMember("another_subject")) } else { Ok(user) })
    }

    /// Signs the user in and hands over to the portal.
    async fn enter(
        &self,
        biller: &Biller,
        registration: &Registration,
        user: &User,
        sign_in: SignIn,
        journey: &Journey,
    ) -> Result<Response, Refusal> {
        let state = self.state;
        let details = Details {
            username: user.username.clone(),
            amr: sign_in.amr,
            sid: sign_in.sid,
            id_token: state.keys.seal(Purpose::Storage, "id_token", &sign_in.id_token),
        };
        let new = NewSession {
            biller_id: &biller.id,
            user,
            issuer: &registration.issuer,
            subject: &sign_in.subject,
            auth_time: sign_in.auth_time,
            details,
        };
        let visits = Visits::of(state);
        let row = visits.sign_in(self.session, new).await?;
        if self.fields.has("iss") {
            state.directory.pin_iss(biller, &registration.issuer).await?;
        }
        let luggage = Luggage {
            locale: self.locale,
            name: None,
            biller: Some(self.slug.clone()),
            return_to: journey.return_to.clone(),
            code: journey.code.clone(),
        };
        let own_portal = biller.settings.portal_url.as_deref();
        let portal_state = journey.portal_state.clone();
        let address = handoffs::portal(state, &row, self.slug, own_portal, &luggage, portal_state);
        let mut response = Redirect::to(&address).into_response();
        cookies::add(response.headers_mut(), [bounce::count(state, self.headers, self.slug, bounce::To::Portal)]);
        Ok(response)
    }
}
