//! The named points of a job: before and after each call and each write. A process can be made to end at one of them, by
//! SIGKILL, to see that another goes on from there; not in release images.

/// Passes a point. Where `SIGNPOST_FAILPOINT` names it, the process ends.
#[cfg(feature = "standin")]
#[expect(clippy::disallowed_methods, reason = "read where it is needed, and in no release")]
pub(super) fn hit(subject: &str, stage: &str) {
    if std::env::var("SIGNPOST_FAILPOINT").is_ok_and(|point| point == format!("{subject}.{stage}")) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::thread::sleep(std::time::Duration::MAX);
    }
}

/// Passes a point.
#[cfg(not(feature = "standin"))]
pub(super) fn hit(_subject: &str, _stage: &str) {}
