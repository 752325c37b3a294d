//! Errors of provisioning, for pages that show none themselves.

use http::StatusCode;

use crate::provisioning::ProvisioningError;
use crate::web::HttpError;

pub(super) fn http_error(error: ProvisioningError) -> HttpError {
    let status = match error {
        ProvisioningError::Directory(error) => return error.into(),
        ProvisioningError::BillerNotFound(_) => StatusCode::NOT_FOUND,
        ProvisioningError::Call(_) => StatusCode::BAD_GATEWAY,
        _ => StatusCode::CONFLICT,
    };
    let mut http_error = HttpError::from_status(status);
    http_error.detail = Some(error.to_string());
    http_error
}
