//! The columns of a user file, under several names.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Username,
    Email,
    FirstName,
    LastName,
    Status,
    Roles,
    Password,
    PasswordHash,
}

/// Column names in lower case: our own, and those of SecureAuth's user files.
const COLUMNS: [(&str, Column); 12] = [
    ("username", Column::Username),
    ("identifiers.uid", Column::Username),
    ("email", Column::Email),
    ("first_name", Column::FirstName),
    ("payload.first_name", Column::FirstName),
    ("last_name", Column::LastName),
    ("payload.last_name", Column::LastName),
    ("status", Column::Status),
    ("roles", Column::Roles),
    ("metadata.roles", Column::Roles),
    ("credentials.password", Column::Password),
    ("password_hash", Column::PasswordHash),
];

impl Column {
    pub(super) fn named(name: &str) -> Option<Self> {
        COLUMNS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, column)| *column)
    }
}

/// The columns of a header, or what is wrong with it. Cells at its end may be empty.
pub(super) fn parse_header(names: &[String]) -> Result<Vec<Column>, String> {
    let known = || COLUMNS.map(|(name, _)| name).join(", ");
    if names.is_empty() {
        return Err(format!("the column names are missing; known columns are {}", known()));
    }
    let (mut columns, mut unknown) = (Vec::new(), Vec::new());
    for name in names {
        match Column::named(name) {
            Some(column) if columns.contains(&column) => {
                return Err(format!("the column {name} appears twice, perhaps under two names"));
            }
            Some(column) => columns.push(column),
            None => unknown.push(format!("{name:?}")),
        }
    }
    if !unknown.is_empty() {
        return Err(format!(
            "unknown column: {}. Columns are separated by commas, semicolons or tabs; known columns are {}",
            unknown.join(", "),
            known()
        ));
    }
    for (needed, name) in [(Column::Username, "username (or identifiers.Uid)"), (Column::Email, "email")] {
        if !columns.contains(&needed) {
            return Err(format!("the column {name} is missing"));
        }
    }
    Ok(columns)
}
