//! Pages of the stand-ins: one layout, three themes, no scripts.

use std::fmt::Write;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::web::no_store;

pub(crate) struct Theme {
    /// Shown at the top of each page.
    pub site: &'static str,
    /// Custom properties and overrides for [`BASE_CSS`].
    pub css: &'static str,
}

/// SecureAuth's hosted pages.
pub(crate) const SECUREAUTH: Theme = Theme {
    site: "SecureAuth (stand-in)",
    css: ":root{--back:#eef4fb;--card:#fff;--ink:#14253d;--accent:#0b4f9e;--on-accent:#fff;--round:10px}\
        body{font-family:system-ui,sans-serif}",
};

/// The legacy portal.
pub(crate) const LEGACY: Theme = Theme {
    site: "Example Pay \u{2013} classic sign-in",
    css: ":root{--back:#d8d4c7;--card:#f5f2e7;--ink:#222;--accent:#4a4a42;--on-accent:#fff;--round:0}\
        body{font-family:Verdana,Tahoma,sans-serif;font-size:.9375rem}a{color:#00309c}",
};

/// The biller portal.
pub(crate) const PORTAL: Theme = Theme {
    site: "Example Pay billing portal",
    css: ":root{--back:#f0f7f2;--card:#fff;--ink:#17281f;--accent:#14633b;--on-accent:#fff;--round:4px}\
        body{font-family:Georgia,serif;font-size:1.0625rem}",
};

const BASE_CSS: &str = "*{box-sizing:border-box}\
    body{margin:0;line-height:1.5;background:var(--back);color:var(--ink);overflow-wrap:anywhere}\
    header{background:var(--accent);color:var(--on-accent);padding:.75rem 1rem;font-weight:bold}\
    main{max-width:28rem;margin:1rem auto;padding:1rem;background:var(--card);border-radius:var(--round)}\
    h1{font-size:1.5rem;line-height:1.25;margin:.25rem 0 1rem}\
    a{color:var(--accent)}\
    label{display:block;font-weight:bold;margin-top:1rem}\
    input{width:100%;font:inherit;min-height:2.75rem;padding:.5rem;color:#111;background:#fff;border:1px solid #666;\
    border-radius:var(--round)}\
    button{font:inherit;min-height:2.75rem;padding:.5rem 1.25rem;margin:1rem .5rem 0 0;color:var(--on-accent);\
    background:var(--accent);border:1px solid var(--accent);border-radius:var(--round);cursor:pointer}\
    button.second{color:var(--accent);background:#fff}\
    a.big{display:inline-block;padding:.6rem 0;font-size:1.125rem;font-weight:bold}\
    a:focus-visible,input:focus-visible,button:focus-visible{outline:3px solid #b35900;outline-offset:2px}\
    .notice{border-left:4px solid #8a1f11;padding:.5rem .75rem;color:#7a1a0e;background:#fdf1ef}\
    pre{white-space:pre-wrap;font:inherit}\
    .small{font-size:.875rem}\
    dt{font-weight:bold}dd{margin:0 0 .5rem}";

pub(crate) const STYLE_PATH: &str = "/style.css";

/// Escapes a text for HTML, including quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A page. `title` is text, `body` is HTML.
///
/// The content security policy has no `form-action`, because sign-in forms redirect to the gateway.
pub(crate) fn page(theme: &Theme, status: StatusCode, title: &str, body: &str) -> Response {
    let (title, site) = (escape(title), escape(theme.site));
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"{STYLE_PATH}\">\n</head>\n<body>\n\
         <header>{site}</header>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    );
    let mut response = no_store((status, Html(text)).into_response());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'",
        ),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

pub(crate) fn stylesheet(theme: &Theme) -> Response {
    let text = format!("{}\n{}\n", theme.css, BASE_CSS);
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")], text).into_response()
}

pub(crate) fn hidden_fields(fields: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in fields {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(value));
    }
    out
}

/// The fields of a sign-in form.
pub(crate) fn credential_fields(username: &str) -> String {
    format!(
        "{}<label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>\n",
        username_field(username)
    )
}

pub(crate) fn username_field(username: &str) -> String {
    format!(
        "<label for=\"username\">Username</label>\n<input id=\"username\" name=\"username\" value=\"{}\" \
         autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" required>\n",
        escape(username)
    )
}

/// An error message that screen readers announce.
pub(crate) fn notice(text: &str) -> String {
    format!("<p class=\"notice\" role=\"alert\">{}</p>\n", escape(text))
}
