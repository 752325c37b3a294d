//! Somebody by username: where they are customers, and what SecureAuth noted of their sign-ins. Names and addresses are masked
//! unless a role and a reason allow; every look-up has a reason and is kept.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use http::StatusCode;

use super::pages::{AccountView, Badge, PeoplePage, PersonView, SignInView};
use super::staff::Staff;
use super::{Console, forms, show};
use crate::audit::{Act, Action};
use crate::directory::{Biller, Billers, Person};
use crate::enablement::EnableError;
use crate::secureauth::management::AuditEvent;
use crate::web::Refusal;
use signpost_core::text::mask;
use signpost_core::{TypedName, UserId};

/// Look-ups of people.
pub(super) const PEOPLE: &str = "/people";

/// What was asked for.
#[derive(Default)]
struct Asked {
    username: String,
    reason: String,
    in_clear: bool,
}

/// `GET /people`
pub(super) async fn form(State(console): State<Console>, staff: Staff) -> Result<Response, Refusal> {
    page(&console, &staff, StatusCode::OK, Asked::default(), Vec::new(), None)
}

/// `POST /people`
pub(super) async fn look_up(
    State(console): State<Console>,
    staff: Staff,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let fields = forms::read(&headers, &body)?;
    let asked = Asked {
        username: fields.get("username").unwrap_or_default().trim().to_owned(),
        reason: fields.get("reason").unwrap_or_default().to_owned(),
        in_clear: fields.has("in_clear") && staff.oversees(),
    };
    let (name, reason) = (TypedName::parse(&asked.username), forms::reason(&fields));
    let mut errors = Vec::new();
    if let Err(error) = &name {
        errors.push(("username".to_owned(), format!("This is no username: {error}")));
    }
    if reason.is_none() {
        errors.push(("reason".to_owned(), "Enter the reason of this look-up, in 3 to 200 characters".to_owned()));
    }
    let (Ok(name), Some(reason)) = (name, reason) else {
        return page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, asked, errors, None);
    };
    console.allow(&staff)?;
    let act = Act::of(Action::PersonLookedUp).with("username", mask(name.typed())).with("in_clear", asked.in_clear);
    console.note(&staff, act, Some(&reason)).await?;
    let billers = console.app.directory.billers().await?;
    let mut found = Vec::new();
    if let Some(username) = name.username() {
        for person in console.app.directory.people_named(username).await? {
            found.push(view(&console, &billers, person, asked.in_clear).await?);
        }
    }
    page(&console, &staff, StatusCode::OK, asked, Vec::new(), Some(found))
}

async fn view(console: &Console, billers: &Billers, person: Person, in_clear: bool) -> Result<PersonView, Refusal> {
    let mut accounts = Vec::new();
    for (biller, is_pending) in &person.billers {
        let Some(biller) = billers.by_id(biller) else { continue };
        let (history, no_history) = history(console, biller, &person.id).await?;
        accounts.push(AccountView {
            slug: biller.slug.to_string(),
            name: biller.name.clone(),
            is_pending: *is_pending,
            no_history,
            history,
        });
    }
    let shown = |text: &str| if in_clear { text.to_owned() } else { mask(text) };
    Ok(PersonView {
        username: shown(&person.username),
        email: if person.email.is_empty() { "none".to_owned() } else { shown(&person.email) },
        status: person.status.as_str(),
        id: person.id.to_string(),
        accounts,
    })
}

/// What SecureAuth noted, or why there is nothing.
async fn history(
    console: &Console,
    biller: &Biller,
    user: &UserId,
) -> Result<(Vec<SignInView>, Option<String>), Refusal> {
    match console.app.enablement.history(biller, user).await {
        Ok(events) => Ok((events.iter().map(event).collect(), None)),
        Err(EnableError::NotConfigured | EnableError::NoPool(_)) => {
            Ok((Vec::new(), Some("Not kept at SecureAuth by Signpost: no history from there.".to_owned())))
        }
        Err(EnableError::Directory(error)) => Err(error.into()),
        Err(error) => Ok((Vec::new(), Some(format!("SecureAuth does not tell now: {error}")))),
    }
}

fn event(event: &AuditEvent) -> SignInView {
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
    asked: Asked,
    errors: Vec<(String, String)>,
    found: Option<Vec<PersonView>>,
) -> Result<Response, Refusal> {
    let Asked { username, reason, in_clear } = asked;
    let (may_see, errors) = (staff.oversees(), errors.into());
    show::page(console, Some(staff), status, |chrome| PeoplePage {
        chrome,
        username,
        reason,
        in_clear,
        may_see,
        errors,
        found,
    })
}
