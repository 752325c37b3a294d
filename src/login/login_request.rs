//! A request that waits for its routing decision.

use super::addresses;
use super::page_context::PageContext;
use crate::handoffs::FlowContext;
use crate::routing::RoutingRequest;
use crate::web::device::Device;
use crate::web::language::Language;
use signpost_core::decision::EntryPoint;
use signpost_core::{ReferenceCode, Slug};

/// A request, as routing and the pages need it.
#[derive(Clone, Debug)]
pub(super) struct LoginRequest {
    pub language: Language,
    pub routing: RoutingRequest,
    pub flow: FlowContext,
    pub device: Device,
}

impl LoginRequest {
    /// The username is that of the flow.
    pub(super) fn new(entry: EntryPoint, language: Language, flow: FlowContext, device: Device) -> Self {
        let routing = RoutingRequest { entry, name: flow.username(), remembered: Vec::new() };
        let flow = FlowContext { locale: Some(language.locale), ..flow };
        Self { language, routing, flow, device }
    }

    #[must_use]
    pub(super) fn with_reference(mut self, code: &ReferenceCode) -> Self {
        self.flow.reference = code.to_string();
        self
    }

    /// The link with which the customer starts this flow again at a biller.
    pub(super) fn sign_in_link(&self, pages: &PageContext, slug: &Slug) -> String {
        addresses::sign_in(&pages.keys, slug, &self.flow)
    }
}
