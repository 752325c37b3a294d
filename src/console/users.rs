//! Find a user: memberships, and sign-in events from SecureAuth. Names and addresses are masked
//! unless a role and a reason allow; every lookup has a reason and is audited.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::forms::Reason;
use super::pages::{Badge, MembershipView, SignInView, UserSearchPage, UserView};
use super::staff::Staff;
use super::{Console, respond};
use crate::audit::{Action, AuditEvent};
use crate::directory::{Biller, Billers, UserRecord};
use crate::provisioning::ProvisioningError;
use crate::secureauth::management::SecureAuthEvent;
use crate::web::HttpError;
use crate::web::extract::Form;
use signpost_core::text::mask;
use signpost_core::{FieldErrors, UserId, UsernameInput};

/// Lookups of users.
pub(super) const USERS: &str = "/users";

/// What was asked for.
#[derive(Default)]
struct UserQuery {
    username: String,
    reason: String,
    unmask: bool,
}

/// `GET /users`
pub(super) async fn form(State(console): State<Console>, staff: Staff) -> Result<Response, HttpError> {
    page(&console, &staff, StatusCode::OK, UserQuery::default(), FieldErrors::default(), None)
}

/// `POST /users`
pub(super) async fn look_up(
    State(console): State<Console>,
    staff: Staff,
    Form(fields): Form,
) -> Result<Response, HttpError> {
    let query = UserQuery {
        username: fields.get("username").unwrap_or_default().trim().to_owned(),
        reason: fields.get("reason").unwrap_or_default().to_owned(),
        unmask: fields.has("unmask") && staff.can_audit(),
    };
    let (name, reason) = (UsernameInput::parse(&query.username), Reason::parse(&fields));
    let mut errors = FieldErrors::default();
    if let Err(error) = &name {
        errors.push("username", format!("Invalid username: {error}"));
    }
    let reason = reason.map_err(|error| errors.extend([error]));
    let (Ok(name), Ok(reason)) = (name, reason) else {
        return page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, query, errors, None);
    };
    console.check_lookup_limit(&staff)?;
    let audit_event =
        AuditEvent::new(Action::UserLookedUp).with("username", mask(name.raw())).with("unmask", query.unmask);
    console.record(&staff, audit_event, Some(reason.as_str())).await?;
    let billers = console.app.directory.billers().await?;
    let mut found = Vec::new();
    if let Some(username) = name.username() {
        for user_record in console.app.directory.users_by_username(username).await? {
            found.push(view(&console, &billers, user_record, query.unmask).await?);
        }
    }
    page(&console, &staff, StatusCode::OK, query, FieldErrors::default(), Some(found))
}

async fn view(
    console: &Console,
    billers: &Billers,
    user_record: UserRecord,
    unmask: bool,
) -> Result<UserView, HttpError> {
    let mut memberships = Vec::new();
    for (biller, is_pending) in &user_record.billers {
        let Some(biller) = billers.by_id(biller) else { continue };
        let (history, no_history) = history(console, biller, &user_record.id).await?;
        memberships.push(MembershipView {
            slug: biller.slug.to_string(),
            name: biller.name.clone(),
            is_pending: *is_pending,
            no_history,
            history,
        });
    }
    let shown = |text: &str| if unmask { text.to_owned() } else { mask(text) };
    Ok(UserView {
        username: shown(&user_record.username),
        email: if user_record.email.is_empty() { "none".to_owned() } else { shown(&user_record.email) },
        status: user_record.status.as_str(),
        id: user_record.id.to_string(),
        memberships,
    })
}

/// What SecureAuth noted, or why there is nothing.
async fn history(
    console: &Console,
    biller: &Biller,
    user: &UserId,
) -> Result<(Vec<SignInView>, Option<String>), HttpError> {
    match console.app.provisioning.history(biller, user).await {
        Ok(events) => Ok((events.iter().map(event).collect(), None)),
        Err(ProvisioningError::NotConfigured | ProvisioningError::NotProvisioned(_)) => Ok((
            Vec::new(),
            Some("Signpost does not manage this user at SecureAuth, so no events are available.".to_owned()),
        )),
        Err(ProvisioningError::Directory(error)) => Err(error.into()),
        Err(error) => Ok((Vec::new(), Some(format!("SecureAuth did not respond: {error}")))),
    }
}

fn event(event: &SecureAuthEvent) -> SignInView {
    let text = |name: &str| event.metadata[name].as_str().unwrap_or_default().to_owned();
    let tone = match event.action.as_str() {
        "succeeded" => "good",
        "failed" => "bad",
        _ => "",
    };
    let from = [text("ip"), text("user_agent")].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    SignInView {
        at: event.timestamp.clone(),
        what: event.event_subject.clone(),
        outcome: Badge { word: event.action.clone(), tone },
        from: from.join(", "),
    }
}

fn page(
    console: &Console,
    staff: &Staff,
    status: StatusCode,
    query: UserQuery,
    errors: FieldErrors,
    found: Option<Vec<UserView>>,
) -> Result<Response, HttpError> {
    let UserQuery { username, reason, unmask } = query;
    let can_unmask = staff.can_audit();
    respond::page(console, Some(staff), status, |chrome| UserSearchPage {
        chrome,
        username,
        reason,
        unmask,
        can_unmask,
        errors,
        found,
    })
}
