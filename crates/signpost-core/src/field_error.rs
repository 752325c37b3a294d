//! Errors in the fields of an input: a file's row, a JSON body or a form.

use std::fmt;

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Dotted path, such as `oidc.issuer`.
    pub field: String,
    /// Completes a sentence that starts with the field, such as `must be an https URL`. In a form of the console, which shows it
    /// beside the field, it is a sentence of its own.
    pub message: String,
}

/// Everything that is wrong with an input, in the order it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    pub fn one(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self(vec![FieldError { field: field.into(), message: message.into() }])
    }

    /// The message of a field's first error.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    pub fn has(&self, field: &str) -> bool {
        self.of(field).is_some()
    }

    /// Adds an error.
    pub fn push(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldError { field: field.into(), message: message.into() });
    }

    /// The value, or none after its error was added.
    pub fn check<T, E: Into<String>>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|message| self.push(field, message)).ok()
    }

    /// Like [`Self::check`], for a field that is an object with fields of its own.
    pub fn check_object<T>(&mut self, field: &str, value: Result<T, Self>) -> Option<T> {
        value.map_err(|errors| self.extend(errors.under(field))).ok()
    }

    /// The errors of an object, as errors of the object that has it as a field.
    pub fn under(self, field: &str) -> Self {
        self.into_iter().map(|error| FieldError { field: format!("{field}.{}", error.field), ..error }).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, FieldError> {
        self.0.iter()
    }
}

impl IntoIterator for FieldErrors {
    type Item = FieldError;
    type IntoIter = std::vec::IntoIter<FieldError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Extend<FieldError> for FieldErrors {
    fn extend<I: IntoIterator<Item = FieldError>>(&mut self, errors: I) {
        self.0.extend(errors);
    }
}

impl FromIterator<FieldError> for FieldErrors {
    fn from_iter<I: IntoIterator<Item = FieldError>>(errors: I) -> Self {
        Self(errors.into_iter().collect())
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if at > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for FieldErrors {}
