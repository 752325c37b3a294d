//! Simulations: a question, its answer, and the page that the customer would see. Nothing is executed, sent or counted; that
//! it was asked is kept.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::pages::{AnswerView, QuestionForm, SimulatePage};
use super::question::{self, Sealed};
use super::staff::Staff;
use super::{Console, forms, show, verdict};
use crate::audit::{Act, Action};
use crate::routing::{Answer, Question, QuestionError};
use crate::web::fields::Fields;
use crate::web::{Refusal, paths};
use signpost_core::decision::Decision;

/// One question.
pub(super) const SIMULATE: &str = "/simulate";

/// `POST /simulate`: seals the question into an address, which answers it.
pub(super) async fn submit(
    State(console): State<Console>,
    staff: Staff,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let fields = forms::read(&headers, &body)?;
    match question::read(&console, &fields) {
        (_, Some(question)) => {
            let sealed = Sealed { by: staff.person(), question };
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
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let Some(token) = fields.get("q") else {
        return page(&console, &staff, StatusCode::OK, question::empty(), None).await;
    };
    let sealed = Sealed::open(&console, token).ok_or_else(|| Refusal::from_status(StatusCode::BAD_REQUEST))?;
    console.allow(&staff)?;
    let act = Act::of(Action::SimulationAsked).with("question", question::in_words(&sealed.question));
    console.note(&staff, act, None).await?;
    let mut form = question::form(&sealed, token, &staff);
    match console.app.routing.ask(&sealed.question, None).await {
        Ok(answer) => {
            let answer = view(&console, &staff, &sealed.question, answer, token).await;
            page(&console, &staff, StatusCode::OK, form, Some(answer)).await
        }
        Err(QuestionError::Directory(error)) => Err(error.into()),
        Err(error) => {
            form.errors = vec![told(&error)].into();
            page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, form, None).await
        }
    }
}

/// The field's id, and what is wrong, in a sentence.
pub(super) fn told(error: &QuestionError) -> (String, String) {
    let field = match error.field() {
        Some("billers" | "issuers" | "rollouts") => "biller-1",
        Some(field) => field,
        None => "username",
    };
    let sentence = match error {
        QuestionError::UsernameMissing => "Enter the username that was typed at the shared sign-in page".to_owned(),
        // An address stays as it was written.
        QuestionError::NotServed(_) | QuestionError::NotAnAddress(_) => error.to_string(),
        other => {
            let text = other.to_string();
            let mut letters = text.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        }
    };
    (field.to_owned(), sentence)
}

async fn view(console: &Console, staff: &Staff, question: &Question, answer: Answer, token: &str) -> AnswerView {
    let verdict = verdict::view(&answer.routed.verdict, &answer.routed.billers);
    let would_change: Vec<String> = answer.would_change.iter().map(|what_if| what_if.says.clone()).collect();
    let link = console.absolute(&paths::with_query(SIMULATE, "q", token));
    let head = [
        ("Signpost simulation", format!("{} by {}", console.app.clock.now(), staff.name)),
        ("Question", question::in_words(question)),
    ];
    let text = verdict::text(&verdict, &head, &would_change, &[("Same question", link.clone())]);
    let instead = match answer.routed.verdict.decision {
        Decision::LegacyLogin => {
            "No page of ours: the browser goes on to the legacy login at once, with the username handed over."
        }
        _ => "No page of ours: the browser goes on to the biller's SecureAuth sign-in at once.",
    };
    let page = (console.preview)(console.app.clone(), answer).await;
    AnswerView { verdict, would_change, instead, page, text, link }
}

async fn page(
    console: &Console,
    staff: &Staff,
    status: StatusCode,
    form: QuestionForm,
    answer: Option<AnswerView>,
) -> Result<Response, Refusal> {
    let known = console.app.directory.billers().await.unwrap_or_else(|_| console.app.directory.last_known_billers());
    let billers = known.iter().map(|biller| (biller.slug.to_string(), biller.name.clone())).collect();
    show::page(console, Some(staff), status, |chrome| SimulatePage { chrome, form, billers, answer })
}
