//! What travels with a browser: the flow context, the tokens that carry it, and handoffs, by which another system learns who
//! is coming and why.
//!
//! A token is sealed and needs no row until it is used. Single-use tokens are recorded in `consumed_token`.

mod consumed;
mod envelope;
mod flow;
mod issue;
mod redeem;

pub use consumed::{ConsumedTokens, TokenKind};
pub use envelope::Envelope;
pub use flow::FlowContext;
pub use issue::{Handoffs, legacy_origin, recover_url};
pub use redeem::{Identity, RedeemedHandoff};
