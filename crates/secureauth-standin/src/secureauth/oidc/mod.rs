//! The hosted pages and the OpenID Connect endpoints of an organization.

mod authorize_request;
mod claims;
mod new_password;
mod sign_in;

pub(crate) mod authorize;
pub(crate) mod discovery;
pub(crate) mod logout;
pub(crate) mod pages;
pub(crate) mod token;
