//! Previews of customers' pages for staff. `login` makes the pages and `console` shows them; neither imports the other, so the
//! composition root passes the function.

use std::pin::Pin;

use crate::routing::SimulationResult;
use crate::state::AppState;

/// The HTML of a page.
pub type Page = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// Makes the page that a simulated decision would show a customer; none if the browser would be redirected. It records,
/// sends and counts nothing.
pub type Preview = fn(&AppState, SimulationResult) -> Page;
