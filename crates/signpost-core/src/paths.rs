//! Paths and addresses that modules below the web layer need as well.

/// Help for customers who cannot sign in.
pub const RECOVER: &str = "/recover";
pub const HELP: &str = "/help";

/// A path or address with one more query parameter.
pub fn with_query(address: &str, name: &str, value: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let joint = match address.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{address}{joint}{name}={encoded}")
}
