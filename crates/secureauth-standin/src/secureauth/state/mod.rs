//! Everything the stand-in stores, in memory.

pub(crate) mod account;
pub(crate) mod api;
pub(crate) mod faults;
pub(crate) mod grants;
pub(crate) mod issuer;
pub(crate) mod journal;
pub(crate) mod keys;
pub(crate) mod mail;
pub(crate) mod objects;
pub(crate) mod records;
pub(crate) mod standin;
