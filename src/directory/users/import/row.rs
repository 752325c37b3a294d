//! Parses and checks one row of a user file.

use secrecy::{ExposeSecret, SecretString};

use super::file::RawRow;
use super::passwords;
use crate::directory::users::user::UserStatus;
use signpost_core::Username;

const MAX_NAME_BYTES: usize = 200;
const MAX_EMAIL_BYTES: usize = 254;
const MAX_ROLES: usize = 50;
const MAX_ROLE_BYTES: usize = 100;

/// A valid row.
pub(super) struct UserRow {
    /// As the file spells it.
    pub username: String,
    pub key: Username,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub status: UserStatus,
    pub roles: Vec<String>,
    pub password: Option<SecretString>,
    pub password_hash: Option<String>,
}

pub(super) struct InvalidRow {
    /// The username, if it is valid.
    pub key: Option<Username>,
    pub problems: Vec<String>,
}

impl UserRow {
    /// Both passes over the file parse rows by this function.
    pub(super) fn parse(raw: RawRow) -> Result<Self, InvalidRow> {
        let key = Username::parse(&raw.username);
        let (status, roles) = (parse_status(&raw.status), parse_roles(&raw.roles));
        let mut problems = Vec::new();
        if let Err(error) = &key {
            problems.push(format!("username: {error}"));
        }
        if let Some(problem) = spreadsheet_damage(&raw.username) {
            problems.push(format!("username: {problem}"));
        }
        if status.is_none() {
            problems.push(format!("status: {:?} is not one of created, active, suspended, deleted", raw.status));
        }
        if roles.is_none() {
            problems.push(format!(
                "roles: use a list separated by commas or a JSON list of texts, at most {MAX_ROLES} roles of \
                 {MAX_ROLE_BYTES} bytes"
            ));
        }
        check_texts(&raw, &mut problems);
        check_passwords(&raw, &mut problems);
        match (key, status, roles) {
            (Ok(key), Some(status), Some(roles)) if problems.is_empty() => {
                let RawRow { username, email, first_name, last_name, password, password_hash, .. } = raw;
                let password_hash = (!password_hash.is_empty()).then_some(password_hash);
                Ok(Self { username, key, email, first_name, last_name, status, roles, password, password_hash })
            }
            (key, ..) => Err(InvalidRow { key: key.ok(), problems }),
        }
    }
}

fn check_texts(raw: &RawRow, problems: &mut Vec<String>) {
    if !raw.email.is_empty() && !is_mail_address(&raw.email) {
        problems.push("email: not a mail address".to_owned());
    }
    for (name, value) in [("first_name", &raw.first_name), ("last_name", &raw.last_name)] {
        if value.len() > MAX_NAME_BYTES || value.chars().any(char::is_control) {
            problems.push(format!("{name}: at most {MAX_NAME_BYTES} bytes, no control characters"));
        }
        if is_spreadsheet_error(value) {
            problems.push(format!("{name}: {value} is an error of a spreadsheet; correct the cell and export again"));
        }
    }
}

/// What a spreadsheet did to a username: a long number became a rounded one such as `1.23457E+11`, or a cell had an error.
fn spreadsheet_damage(text: &str) -> Option<String> {
    let is_number =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b','));
    let parts = text.split_once(['E', 'e']).filter(|(mantissa, _)| is_number(mantissa));
    let exponent = parts.and_then(|(_, exponent)| exponent.strip_prefix(['+', '-']));
    if exponent.is_some_and(|digits| (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())) {
        return Some(format!(
            "{text} is a number that a spreadsheet rounded; format the column as text and export again"
        ));
    }
    is_spreadsheet_error(text)
        .then(|| format!("{text} is an error of a spreadsheet; correct the cell and export again"))
}

fn is_spreadsheet_error(text: &str) -> bool {
    text.starts_with('#') && matches!(text, "#N/A" | "#NAME?" | "#VALUE!" | "#REF!" | "#DIV/0!" | "#NUM!" | "#NULL!")
}

fn check_passwords(raw: &RawRow, problems: &mut Vec<String>) {
    let hash = &raw.password_hash;
    if raw.password.as_ref().is_some_and(|password| password.expose_secret().len() > passwords::MAX_PASSWORD_BYTES) {
        problems.push(format!("credentials.password: at most {} bytes", passwords::MAX_PASSWORD_BYTES));
    }
    if raw.password.is_some() && !hash.is_empty() {
        problems.push("give only one of credentials.password and password_hash".to_owned());
    }
    if !hash.is_empty() && !passwords::is_hash(hash) {
        problems.push("password_hash: neither a PHC string nor bcrypt".to_owned());
    }
}

/// Whether a text looks like an email address.
pub fn is_mail_address(email: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>' | ',' | ';' | '"');
    email.len() <= MAX_EMAIL_BYTES
        && email.chars().all(is_plain)
        && email
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.') && !domain.contains('@'))
}

/// An empty status means active.
fn parse_status(text: &str) -> Option<UserStatus> {
    if text.is_empty() { Some(UserStatus::Active) } else { UserStatus::parse(text) }
}

/// Roles are separated by commas, semicolons or bars, or they are a JSON list.
fn parse_roles(text: &str) -> Option<Vec<String>> {
    let roles: Vec<String> = if text.starts_with('[') {
        serde_json::from_str(text).ok()?
    } else if text.chars().any(char::is_control) {
        return None;
    } else {
        text.split([',', ';', '|']).map(str::trim).filter(|role| !role.is_empty()).map(str::to_owned).collect()
    };
    let is_small = roles.len() <= MAX_ROLES && roles.iter().all(|role| role.len() <= MAX_ROLE_BYTES);
    is_small.then_some(roles)
}
