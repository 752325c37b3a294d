//! The named points of a job: before and after each call and each write. A process can be made to end at one of them, by
//! SIGKILL, to see that another goes on from there; not in release images.

/// Passes a point. Where `SIGNPOST_END_AT` names it, the process ends.
#[cfg(feature = "standin")]
#[expect(clippy::disallowed_methods, reason = "read where it is needed, and in no release")]
pub(super) fn pass(thing: &str, place: &str) {
    if std::env::var("SIGNPOST_END_AT").is_ok_and(|point| point == format!("{thing}.{place}")) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::thread::sleep(std::time::Duration::MAX);
    }
}

/// Passes a point.
#[cfg(not(feature = "standin"))]
pub(super) fn pass(_thing: &str, _place: &str) {}
