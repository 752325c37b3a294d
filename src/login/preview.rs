//! What a decision would show, for staff: made by the code that makes it for customers.

use axum::http::HeaderMap;
use http_body_util::BodyExt;

use super::follow::{self, RequestContext};
use crate::routing::SimulationResult;
use crate::state::AppState;
use crate::web::language::Language;
use crate::web::preview::Page;
use signpost_core::decision::Decision;
use signpost_core::{Clock, ReferenceCode};

/// No decision has this code.
const CODE: &str = "0000-0000-0000-0000";

/// The page of an answer; none where the browser would be sent elsewhere at once. See [`crate::web::preview::Preview`].
pub fn preview(state: AppState, answer: SimulationResult) -> Page {
    Box::pin(async move {
        let (decision, biller) =
            (answer.routing_result.verdict.decision, follow::chosen_biller(&answer.routing_result));
        if decision == Decision::LegacyLogin || (decision == Decision::SecureauthLogin && biller.is_some()) {
            return None;
        }
        // Pages tell times: those of the question's moment.
        let state = state.with(|services| services.clock = Clock::manual(answer.routing_result.facts.now));
        let context =
            RequestContext { return_to: answer.return_to, ..RequestContext::new(Language::fixed(answer.locale)) };
        let code = ReferenceCode::parse(CODE)?;
        // A browser that was never here, and whose cookies stay as they are: what the answer sets goes nowhere.
        let headers = HeaderMap::new();
        let response =
            follow::page(&state, &headers, &answer.routing_request, &answer.routing_result, context, &code).ok()?;
        let body = response.into_body().collect().await.ok()?.to_bytes();
        String::from_utf8(body.to_vec()).ok()
    })
}
