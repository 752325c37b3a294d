//! Showing staff what a customer would see. The pages belong to `login`, the question comes from `console`, and neither knows
//! the other: the composition root hands the function over.

use std::pin::Pin;

use crate::routing::SimulationResult;
use crate::state::AppState;

/// A page as HTML, some time from now.
pub type Page = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// Makes the very page that an answer would show a customer; none where the browser would be sent elsewhere at once. Nothing
/// is recorded, sent or counted.
pub type Preview = fn(AppState, SimulationResult) -> Page;
