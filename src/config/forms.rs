//! The form that a setting expects, in words for operators.

use toml::Value;

use super::listen;

/// Parts of serde's messages, with the form that is expected. The first match counts.
const FORMS: [(&str, &str); 18] = [
    ("expected a boolean", "true or false (also yes, no, on, off, 1, 0)"),
    ("whole number of seconds", "a whole number of seconds, or a duration such as \"30s\""),
    ("whole number of minutes", "a whole number of minutes, or a duration such as \"30m\""),
    ("whole number of hours", "a whole number of hours, or a duration such as \"12h\""),
    ("whole number of days", "a whole number of days, or a duration such as \"90d\""),
    ("expected u16", "a whole number from 0 to 65535"),
    ("expected u32", "a whole number"),
    ("expected u64", "a whole number"),
    ("expected usize", "a whole number"),
    ("or a Unix socket", listen::ADDRESS_FORM),
    ("permissions in octal", listen::MODE_FORM),
    ("socket address", "an IP address and a port such as \"127.0.0.1:8080\""),
    ("URL", "a URL such as \"https://login.example.com\""),
    ("empty host", "a URL such as \"https://login.example.com\""),
    ("invalid port number", "a URL such as \"https://login.example.com:8443\""),
    ("domain name", "a URL such as \"https://login.example.com\""),
    ("expected a sequence", "a list of texts; in the environment, values separated by commas"),
    ("expected a string", "a text"),
];

/// Puts the form and the value into a problem that begins with the key.
pub(super) fn explain(problem: String, value: Option<&str>) -> String {
    let Some((path, sentence)) = problem.split_once(": ") else { return problem };
    let Some((_, form)) = FORMS.iter().find(|(part, _)| sentence.contains(part)) else { return problem };
    let not = value.map(|value| format!(", not {value}")).unwrap_or_default();
    format!("{path}: expected {form}{not}")
}

/// A value as an operator wrote it. `None` for lists and tables.
pub(super) fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(format!("{text:?}")),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Datetime(time) => Some(time.to_string()),
        Value::Array(_) | Value::Table(_) => None,
    }
}
