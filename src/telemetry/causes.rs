//! The causes of an error.

use std::error::Error;
use std::io;
use std::iter::successors;

/// The error and its causes, the innermost last. An I/O error hides the error that it wraps from `source`.
pub fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    successors(Some(error), |&error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

/// What the innermost cause says, such as "Connection refused (os error 111)".
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    causes(error).last().unwrap_or(error).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the call failed")]
    struct Outer(#[source] io::Error);

    #[test]
    fn causes_inside_an_io_error_are_found() {
        let error = Outer(io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused)));
        assert_eq!(root_cause(&error), "connection refused");
        assert_eq!(causes(&error).count(), 3);
    }
}
