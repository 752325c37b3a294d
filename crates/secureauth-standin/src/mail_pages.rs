//! `/mail`: the received mails.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::html::{LEGACY, escape, notice, page};
use super::mailbox::{Mailbox, ReceivedMail};
use super::web::no_store;

pub(crate) fn routes(mailbox: Mailbox) -> Router {
    Router::new()
        .route("/mail", get(list))
        .route("/mail/{number}", get(detail))
        .route("/mail/{number}/html", get(html))
        .with_state(mailbox)
}

async fn list(State(mailbox): State<Mailbox>) -> Response {
    let line = |mail: &ReceivedMail| {
        let (number, subject, to) = (mail.number, escape(&mail.subject()), escape(&mail.to.join(", ")));
        format!("<li><a href=\"/mail/{number}\">{subject}</a><br><span class=\"small\">to {to}</span></li>\n")
    };
    let lines: String = mailbox.mails().iter().rev().map(line).collect();
    let body = if lines.is_empty() { "<p>No mail yet.</p>\n".to_owned() } else { format!("<ul>\n{lines}</ul>\n") };
    page(&LEGACY, StatusCode::OK, "Mail (nothing leaves this machine)", &body)
}

async fn detail(State(mailbox): State<Mailbox>, Path(number): Path<usize>) -> Response {
    let Some(mail) = mailbox.mail(number) else { return missing() };
    let body = format!(
        "<dl><dt>From</dt><dd>{}</dd><dt>To</dt><dd>{}</dd></dl>\n<pre>{}</pre>\n\
         <p><a href=\"/mail/{number}/html\">As HTML</a></p>\n<p><a href=\"/mail\">All mail</a></p>\n",
        escape(&mail.from),
        escape(&mail.to.join(", ")),
        linkify(&mail.text()),
    );
    page(&LEGACY, StatusCode::OK, &mail.subject(), &body)
}

/// The HTML part in a sandbox: no scripts, forms or loads, and its own origin.
async fn html(State(mailbox): State<Mailbox>, Path(number): Path<usize>) -> Response {
    let Some(mail) = mailbox.mail(number) else { return missing() };
    let mut response = no_store(Html(mail.html()).into_response());
    let policy = HeaderValue::from_static("sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn missing() -> Response {
    page(&LEGACY, StatusCode::NOT_FOUND, "No such mail", &notice("It does not exist, or newer mails have replaced it."))
}

/// Escapes a text and links its web addresses.
fn linkify(text: &str) -> String {
    let part = |part: &str| {
        let (word, space) = part.split_at(part.trim_end().len());
        let escaped = escape(word);
        let is_address = word.starts_with("http://") || word.starts_with("https://");
        let escaped = if is_address { format!("<a href=\"{escaped}\">{escaped}</a>") } else { escaped };
        format!("{escaped}{space}")
    };
    text.split_inclusive(char::is_whitespace).map(part).collect()
}
