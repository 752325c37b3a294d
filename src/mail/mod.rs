//! Mail and password resets. A request adds one row to the task queue, the same for every user; a worker looks the user up
//! later. So the response and its time do not tell whether the user exists.

mod address;
mod context;
mod erasure;
mod links;
mod login_address;
mod messages;
mod queue;
mod requests;
mod reset;
mod task;
mod transport;
mod worker;

pub use context::{Deps, Mail};
pub use login_address::LoginAddressError;
pub use queue::{TaskBacklog, WaitingTask};

use task::{Email, QueuedTask, TaskError};
