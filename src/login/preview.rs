//! The page that a simulated decision would show, for staff. The code is the one that makes it for customers.

use axum::extract::FromRef;
use http_body_util::BodyExt;

use super::decision_pages;
use super::decision_record::chosen_biller;
use super::login_request::LoginRequest;
use super::page_context::PageContext;
use crate::handoffs::FlowContext;
use crate::routing::SimulationResult;
use crate::state::AppState;
use crate::web::device::Device;
use crate::web::language::Language;
use crate::web::preview::Page;
use signpost_core::Clock;
use signpost_core::decision::Decision;

/// No decision has this reference code.
const REFERENCE: &str = "0000-0000-0000-0000";

/// See [`crate::web::preview::Preview`].
pub fn preview(state: &AppState, answer: SimulationResult) -> Page {
    // Pages show times: those of the simulated moment.
    let clock = Clock::manual(answer.routing_result.facts.now);
    let pages = PageContext { clock, ..PageContext::from_ref(state) };
    Box::pin(async move {
        let SimulationResult { routing_request, routing_result, return_to, locale, .. } = answer;
        let (decision, biller) = (routing_result.verdict.decision, chosen_biller(&routing_result));
        if decision == Decision::LegacyLogin || (decision == Decision::SecureauthLogin && biller.is_some()) {
            return None;
        }
        let flow = FlowContext {
            locale: Some(locale),
            name: routing_request.name.as_ref().map(|name| name.raw().to_owned()),
            return_to,
            reference: REFERENCE.to_owned(),
            ..FlowContext::default()
        };
        // The device of a new browser. The cookies of the response go nowhere.
        let device = Device::default();
        let request = LoginRequest { language: Language::fixed(locale), routing: routing_request, flow, device };
        let response = decision_pages::page(&pages, &request, &routing_result).ok()?;
        let body = response.into_body().collect().await.ok()?.to_bytes();
        String::from_utf8(body.to_vec()).ok()
    })
}
