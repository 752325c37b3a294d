//! Failpoints: named places before and after each call and each write of a job, and between the steps of a copy. Tests kill a
//! process at one of them and check that another one resumes the work. Release images have none.

/// The failpoint at which this process kills itself. The default is none.
#[derive(Clone, Debug, Default)]
pub struct Failpoints {
    #[cfg(feature = "standin")]
    kill_at: Option<String>,
}

impl Failpoints {
    /// `name` is `subject.stage`, such as `pool.created`.
    #[cfg(feature = "standin")]
    pub fn kill_at(name: String) -> Self {
        Self { kill_at: Some(name) }
    }

    #[cfg(feature = "standin")]
    pub(crate) fn hit(&self, subject: &str, stage: &str) {
        if self.kill_at.as_ref().is_some_and(|name| *name == format!("{subject}.{stage}")) {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            // The signal may arrive a moment later.
            loop {
                std::thread::park();
            }
        }
    }

    #[cfg(not(feature = "standin"))]
    pub(crate) fn hit(&self, _subject: &str, _stage: &str) {}
}
