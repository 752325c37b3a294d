//! Simulations: a question, its answer, and the page that the customer would see. Nothing is executed, sent or counted; that
//! it was asked is kept.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::pages::{AnswerView, SimulatePage, SimulationForm};
use super::simulation_form::{self, SealedRequest};
use super::staff::Staff;
use super::{Console, respond, verdict};
use crate::audit::{Action, AuditEvent};
use crate::routing::{SimulationError, SimulationRequest, SimulationResult};
use crate::web::extract::{Form, Query};
use crate::web::{HttpError, paths};
use signpost_core::FieldError;
use signpost_core::decision::Decision;

/// One question.
pub(super) const SIMULATE: &str = "/simulate";

/// `POST /simulate`: seals the question into an address, which answers it.
pub(super) async fn submit(
    State(console): State<Console>,
    staff: Staff,
    Form(fields): Form,
) -> Result<Response, HttpError> {
    match simulation_form::read(&console, &fields) {
        (_, Some(question)) => {
            let sealed = SealedRequest { requested_by: staff.identity(), question };
            let address = paths::with_query(SIMULATE, "q", &sealed.seal(&console));
            Ok(Redirect::to(&address).into_response())
        }
        (form, None) => page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, form, None).await,
    }
}

/// `GET /simulate`, with `?q=` the answer to a question.
pub(super) async fn show(
    State(console): State<Console>,
    staff: Staff,
    Query(fields): Query,
) -> Result<Response, HttpError> {
    let Some(token) = fields.get("q") else {
        return page(&console, &staff, StatusCode::OK, simulation_form::empty_form(), None).await;
    };
    let sealed = SealedRequest::open(&console, token).ok_or_else(|| HttpError::from_status(StatusCode::BAD_REQUEST))?;
    console.check_lookup_limit(&staff)?;
    let event = AuditEvent::new(Action::SimulationRun).with("question", simulation_form::describe(&sealed.question));
    console.record(&staff, event, None).await?;
    let mut form = simulation_form::form(&sealed, token, &staff);
    match console.app.routing.simulate(&sealed.question, None).await {
        Ok(answer) => {
            let answer = view(&console, &staff, &sealed.question, answer, token).await;
            page(&console, &staff, StatusCode::OK, form, Some(answer)).await
        }
        Err(SimulationError::Directory(error)) => Err(error.into()),
        Err(error) => {
            form.errors = [form_error(&error)].into_iter().collect();
            page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, form, None).await
        }
    }
}

/// The field's id, and what is wrong, in a sentence.
pub(super) fn form_error(error: &SimulationError) -> FieldError {
    let field = match error.field() {
        Some("billers" | "issuers" | "rollouts") => "biller-1",
        Some(field) => field,
        None => "username",
    };
    let sentence = match error {
        SimulationError::UsernameMissing => "Enter a username for the shared sign-in page".to_owned(),
        // An address stays as it was written.
        SimulationError::NotServed(_) | SimulationError::NotAnAddress(_) => error.to_string(),
        other => {
            let text = other.to_string();
            let mut letters = text.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        }
    };
    FieldError { field: field.to_owned(), message: sentence }
}

async fn view(
    console: &Console,
    staff: &Staff,
    question: &SimulationRequest,
    answer: SimulationResult,
    token: &str,
) -> AnswerView {
    let verdict = verdict::view(&answer.routing_result.verdict, &answer.routing_result.billers);
    let would_change: Vec<String> =
        answer.would_change.iter().map(|counterfactual| counterfactual.description.clone()).collect();
    let link = console.absolute(&paths::with_query(SIMULATE, "q", token));
    let head = [
        ("Signpost simulation", format!("{} by {}", console.app.clock.now(), staff.name)),
        ("Question", simulation_form::describe(question)),
    ];
    let text = verdict::text(&verdict, &head, &would_change, &[("Link", link.clone())]);
    let instead = match answer.routing_result.verdict.decision {
        Decision::LegacyLogin => {
            "No page is shown. The browser continues directly to the legacy login with the username."
        }
        _ => "No page is shown. The browser continues directly to the biller's SecureAuth sign-in.",
    };
    let page = (console.preview)(&console.app, answer).await;
    AnswerView { verdict, would_change, instead, page, text, link }
}

async fn page(
    console: &Console,
    staff: &Staff,
    status: StatusCode,
    form: SimulationForm,
    answer: Option<AnswerView>,
) -> Result<Response, HttpError> {
    let known = console.app.directory.billers().await.unwrap_or_else(|_| console.app.directory.last_known_billers());
    let billers = known.iter().map(|biller| (biller.slug.to_string(), biller.name.clone())).collect();
    respond::page(console, Some(staff), status, |chrome| SimulatePage { chrome, form, billers, answer })
}
