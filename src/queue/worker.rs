//! The loop of every worker.

use std::fmt::Display;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::db::is_logged_text;
use crate::telemetry::Condition;

/// How often an idle worker looks for work.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Calls `step` until `stop` is cancelled; the step that is running then finishes first. `step` returns whether it found work.
/// An idle worker polls again after `POLL_INTERVAL`, or at once after `wake`.
/// Workers of one queue share `failing`, so that one of them logs that the queue cannot be read.
pub async fn run_worker<F, E>(
    (queue, failing): (&'static str, &Condition),
    stop: &CancellationToken,
    wake: &Notify,
    step: impl Fn() -> F,
) where
    F: Future<Output = Result<bool, E>>,
    E: Display,
{
    while !stop.is_cancelled() {
        let done = step().await;
        if done.is_ok()
            && let Some(lasted) = failing.ends()
        {
            tracing::info!(queue, seconds = lasted.as_secs(), "the queue can be read again");
        }
        match done {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) if is_logged_text(&error.to_string()) || !failing.begins() => {}
            Err(error) => {
                tracing::warn!(error = %error, queue, "the queue cannot be read; the worker tries again");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            () = wake.notified() => {}
            () = stop.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_worker_polls_again_and_finishes_its_step_before_it_stops() {
        let (stop, wake, calls) = (CancellationToken::new(), Notify::new(), AtomicUsize::new(0));
        let (started, finished) = (tokio::time::Instant::now(), AtomicUsize::new(0));
        let step = || async {
            match calls.fetch_add(1, Ordering::Relaxed) {
                // Work was found: the next step follows at once.
                0 => Ok(true),
                1 => Err("the database is down"),
                2 => {
                    assert!(started.elapsed() >= POLL_INTERVAL);
                    wake.notify_one();
                    Ok(false)
                }
                _ => {
                    stop.cancel();
                    tokio::task::yield_now().await;
                    finished.fetch_add(1, Ordering::Relaxed);
                    Ok(true)
                }
            }
        };
        run_worker(("test", &Condition::new()), &stop, &wake, step).await;
        assert_eq!((calls.load(Ordering::Relaxed), finished.load(Ordering::Relaxed)), (4, 1));
    }
}
