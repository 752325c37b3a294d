//! Everything stored about a person: found once, then exported or erased. docs/guides/personal-data.md lists it for operators.

mod collect;
mod erase;
mod export;
mod redact;

pub use collect::{PersonalData, Subject, collect};
pub use erase::{erase, erase_deleted_users};
pub use export::to_json;
