//! The portal's pages.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use crate::handoff::HandoffPayload;
use crate::html::{PORTAL, escape, notice, page};
use signpost_core::Timestamp;

pub(super) fn billers(billers: &[(String, String)]) -> Response {
    let link = |(slug, name): &(String, String)| {
        format!("<li><a href=\"/start/{}\">Sign in to {}</a></li>\n", escape(slug), escape(name))
    };
    let list: String = billers.iter().map(link).collect();
    let body = format!("<p>You are not signed in. Choose whom you want to pay.</p>\n<ul>\n{list}</ul>\n");
    page(&PORTAL, StatusCode::OK, "Pay your bills", &body)
}

pub(super) fn signed_in(biller_name: &str, session: &HandoffPayload) -> Response {
    let facts = [
        ("Biller", "biller", session.biller.clone()),
        ("Return target", "return-to", session.return_to.clone()),
        ("Signed in at", "auth-time", session.auth_time.as_ref().map(format_time)),
        ("Means", "amr", session.amr.as_ref().map(|amr| amr.join(" "))),
        ("Subject", "sub", session.sub.clone()),
        ("Issuer", "iss", session.iss.clone()),
    ];
    let fact = |(label, id, value): (&str, &str, Option<String>)| {
        let value = value.filter(|value| !value.is_empty())?;
        Some(format!("<dt>{label}</dt><dd id=\"{id}\">{}</dd>\n", escape(&value)))
    };
    let facts: String = facts.into_iter().filter_map(fact).collect();
    let body = format!(
        "<p>Signed in as <strong id=\"username\">{}</strong></p>\n<dl>\n{facts}</dl>\n\
         <form method=\"post\" action=\"/signout\"><button>Sign out</button></form>\n",
        escape(username(session))
    );
    page(&PORTAL, StatusCode::OK, &format!("Welcome to {biller_name}"), &body)
}

/// The confirmation of a handoff that this browser did not request.
pub(super) fn confirm(biller_name: &str, handoff: &HandoffPayload, key: &str) -> Response {
    let title = format!("You are about to enter {biller_name} as {}", username(handoff));
    let body = format!(
        "<p>You were sent here from a sign-in page, not from this portal. If you did not just sign in, or this is not you, close \
         this page.</p>\n\
         <form method=\"post\" action=\"/confirm\"><input type=\"hidden\" name=\"handoff\" value=\"{}\">\
         <button>Continue</button></form>\n",
        escape(key)
    );
    page(&PORTAL, StatusCode::OK, &title, &body)
}

pub(super) fn invalid_token(restart_url: &str) -> Response {
    let body = format!(
        "<p>Nothing is wrong with your account.</p>\n<p><a class=\"big\" href=\"{}\">Sign in again</a></p>\n",
        escape(restart_url)
    );
    page(&PORTAL, StatusCode::OK, "This sign-in link was already used or is too old", &body)
}

pub(super) fn unreachable(restart_url: &str) -> Response {
    let body = format!(
        "{}<p><a class=\"big\" href=\"{}\">Sign in again</a></p>\n",
        notice("We could not finish signing you in. Reload this page, or start again."),
        escape(restart_url)
    );
    page(&PORTAL, StatusCode::SERVICE_UNAVAILABLE, "Signing in is not possible at the moment", &body)
}

fn username(handoff: &HandoffPayload) -> &str {
    handoff.username.as_deref().unwrap_or_default()
}

/// The gateway sends seconds since the epoch or text.
fn format_time(value: &Value) -> String {
    match value {
        Value::Number(seconds) => match seconds.as_i64().and_then(|seconds| seconds.checked_mul(1000)) {
            Some(millis) => Timestamp::from_millis(millis).to_string(),
            None => seconds.to_string(),
        },
        Value::String(text) => text.clone(),
        _ => String::new(),
    }
}
