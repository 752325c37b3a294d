//! Errors of the identity management API, and what an API key has access to.

use http::StatusCode;

use crate::access::ApiKey;
use crate::api::problem::{not_found, problem, validation_failed};
use crate::directory::{Billers, IdentityError};
use crate::web::HttpError;
use crate::web::error::FieldError;
use signpost_core::BillerId;

/// The billers that a key is limited to; none: no limit.
pub(super) fn biller_scope(key: &ApiKey, billers: &Billers) -> Option<Vec<BillerId>> {
    let slugs = key.billers.as_ref()?;
    Some(slugs.iter().filter_map(|slug| billers.by_slug(slug)).map(|biller| biller.id.clone()).collect())
}

/// An error that one field of the body causes.
pub(super) fn with_field_error(pointer: String, detail: &str, error: HttpError) -> HttpError {
    HttpError { fields: [FieldError::new(pointer, detail)].into(), ..error }
}

/// `list` is the field of the body that the index in an error counts in.
pub(super) fn http_error(error: IdentityError, list: Option<&str>) -> HttpError {
    let conflict = |code, detail| problem(StatusCode::CONFLICT, code, detail);
    let at = |index: usize, detail: &str, error: HttpError| match list {
        Some(list) => with_field_error(format!("#/{list}/{index}"), detail, error),
        None => error,
    };
    let field_or = |index: usize, field: &str| match list {
        Some(list) => format!("#/{list}/{index}"),
        None => format!("#/{field}"),
    };
    match error {
        IdentityError::UserNotFound(index) => at(index, "no such user exists", not_found()),
        IdentityError::OutOfScope => {
            let detail = "The user also belongs to billers that the API key has no access to.";
            problem(StatusCode::FORBIDDEN, "biller_not_in_scope", detail)
        }
        IdentityError::Deleted(index) => {
            let error = conflict("user_deleted", "A deleted user cannot be updated and cannot be a member.");
            at(index, "the user is deleted", error)
        }
        IdentityError::UsernameTaken(index) => {
            let error = conflict("username_taken", "Another member of a biller has the username. Nothing was changed.");
            with_field_error(field_or(index, "username"), "another member of the biller has the username", error)
        }
        IdentityError::EmailTaken(index) => {
            let error =
                conflict("email_taken", "Another member of a biller has the mail address. Nothing was changed.");
            with_field_error(field_or(index, "email"), "another member of the biller has the mail address", error)
        }
        IdentityError::InvalidUsername(why) => validation_failed([("username", why)]),
        IdentityError::Db(error) => error.into(),
    }
}
