//! Counts of what changes would do. They go on in this process while pages come and go; each ends by itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::directory::DirectoryError;
use crate::routing::{Impact, Progress, ProposedChange};
use signpost_core::{BillerId, Clock, Random, Timestamp};

/// So many may be under way, those that wait for their turn among them.
const MAX_RUNNING: usize = 8;
/// So many of one person's.
const MAX_RUNNING_PER_PERSON: usize = 3;
/// So many are kept, those that have ended among them.
const MAX_STORED: usize = 32;
/// A result counts for so long: the directory's users change without notice.
const RESULT_TTL: Duration = Duration::from_secs(60);
/// How long a failure is shown before the next request counts again.
const FAILURE_TTL: Duration = Duration::from_secs(5);
/// A directory of many millions is counted within this.
const JOB_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// What is counted, for whom.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ImpactQuery {
    /// Who asks, as [`super::Staff::identity`] has it.
    pub person: String,
    /// The biller.
    pub biller: BillerId,
    /// Its change.
    pub change: ProposedChange,
}

/// How a count stands.
#[derive(Clone, Debug)]
pub(super) enum JobStatus {
    /// It goes on.
    Running(Progress),
    /// It has ended at this moment, with a result or with why there is none.
    Ended(Timestamp, Result<Arc<Impact>, &'static str>),
}

impl JobStatus {
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Ended(..))
    }

    /// Whether it has ended so long ago that it says nothing any more.
    fn is_expired(&self, now: Timestamp) -> bool {
        match self {
            JobStatus::Running(_) => false,
            Self::Ended(at, Ok(_)) => at.plus(RESULT_TTL) <= now,
            Self::Ended(at, Err(_)) => at.plus(FAILURE_TTL) <= now,
        }
    }
}

/// A handle to watch a count.
#[derive(Clone, Debug)]
pub(super) struct ImpactJob {
    /// The id under which the requester finds it.
    pub id: String,
    /// How it stands; closed without an end when this instance stops, or billers have changed.
    pub status: watch::Receiver<JobStatus>,
    query: ImpactQuery,
    revision: i64,
    task: AbortHandle,
}

/// Receives the progress of a count.
pub(super) type ProgressSink = Box<dyn Fn(Progress) + Send + Sync>;

/// The counts of this instance.
#[derive(Debug)]
pub(super) struct ImpactJobs {
    jobs: Mutex<Vec<ImpactJob>>,
    clock: Clock,
    random: Random,
    stopping: CancellationToken,
}

impl ImpactJobs {
    /// None yet; `stopping` ends those under way.
    pub(super) fn new(clock: Clock, random: Random, stopping: CancellationToken) -> Self {
        Self { jobs: Mutex::default(), clock, random, stopping }
    }

    /// The count that is there for this question, with the billers of this revision, or else a new one by `work`; none while
    /// too many are under way.
    pub(super) fn get_or_start<W>(
        &self,
        query: ImpactQuery,
        revision: i64,
        work: impl FnOnce(ProgressSink) -> W,
    ) -> Option<ImpactJob>
    where
        W: Future<Output = Result<Impact, DirectoryError>> + Send + 'static,
    {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        jobs.retain(|count| {
            let is_outdated = count.query == query && count.revision != revision;
            if is_outdated {
                count.task.abort();
            }
            !is_outdated && !count.status.borrow().is_expired(now)
        });
        if let Some(count) = jobs.iter().find(|count| count.query == query) {
            return Some(count.clone());
        }
        let under_way = || jobs.iter().filter(|count| !count.status.borrow().has_ended());
        let own = under_way().filter(|count| count.query.person == query.person).count();
        if under_way().count() >= MAX_RUNNING || own >= MAX_RUNNING_PER_PERSON {
            return None;
        }
        if jobs.len() >= MAX_STORED
            && let Some(oldest) = jobs.iter().position(|count| count.status.borrow().has_ended())
        {
            jobs.remove(oldest);
        }
        let (sender, status) = watch::channel(JobStatus::Running(Progress::default()));
        let sender = Arc::new(sender);
        let work = work(progress_sink(Arc::clone(&sender)));
        let (clock, stopping) = (self.clock.clone(), self.stopping.clone());
        let counted = async move {
            tokio::select! {
                result = result(work) => drop(sender.send_replace(JobStatus::Ended(clock.now(), result))),
                () = stopping.cancelled() => {}
            }
        };
        let task = tokio::spawn(counted.in_current_span());
        let count = ImpactJob { id: self.random.token::<9>(), status, query, revision, task: task.abort_handle() };
        jobs.push(count.clone());
        Some(count)
    }

    /// A count of this person's.
    pub(super) fn find(&self, id: &str, person: &str) -> Option<ImpactJob> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.iter().find(|count| count.id == id && count.query.person == person).cloned()
    }
}

/// Progress comes from several parts of the directory at once. It only grows.
fn progress_sink(sender: Arc<watch::Sender<JobStatus>>) -> ProgressSink {
    Box::new(move |progress| {
        sender.send_if_modified(|status| match status {
            JobStatus::Running(before) if *before != progress && before.done <= progress.done => {
                *before = progress;
                true
            }
            _ => false,
        });
    })
}

/// The result, or why there is none.
async fn result<W>(work: W) -> Result<Arc<Impact>, &'static str>
where
    W: Future<Output = Result<Impact, DirectoryError>> + Send + 'static,
{
    // In a task of its own, so that a panic is an end as well.
    let counted = AbortOnDropHandle::new(tokio::spawn(work.in_current_span()));
    match tokio::time::timeout(JOB_TIMEOUT, counted).await {
        Ok(Ok(Ok(impact))) => Ok(Arc::new(impact)),
        Ok(Ok(Err(error))) => {
            tracing::error!(error = %error, "what a change would do could not be counted");
            Err("the database is unavailable")
        }
        Ok(Err(error)) => {
            tracing::error!(error = %error, "what a change would do could not be counted");
            Err("an internal error occurred")
        }
        Err(_) => Err("the count exceeded 15 minutes"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    struct Fixture {
        counts: ImpactJobs,
        clock: Clock,
        stopping: CancellationToken,
    }

    impl Fixture {
        fn new() -> Self {
            let (clock, stopping) = (Clock::manual(Timestamp::from_millis(0)), CancellationToken::new());
            let counts = ImpactJobs::new(clock.clone(), Random::system(), stopping.clone());
            Self { counts, clock, stopping }
        }

        /// A count that ends on a signal.
        fn begin(&self, query: &ImpactQuery, revision: i64) -> Option<(ImpactJob, oneshot::Sender<Impact>)> {
            let (end, ended) = oneshot::channel();
            let work = async move |progress_sink: ProgressSink| {
                progress_sink(Progress { done: 1, total: 2 });
                ended.await.map_err(|_| DirectoryError::Corrupt("dropped".to_owned()))
            };
            Some((self.counts.get_or_start(query.clone(), revision, work)?, end))
        }
    }

    fn query(person: &str, percent: u8) -> ImpactQuery {
        let rollout = signpost_core::Rollout { allow: None, percent: Some(percent) };
        let change = ProposedChange { state: None, rollout: Some(rollout) };
        ImpactQuery { person: person.to_owned(), biller: BillerId::from_stored("b".to_owned()), change }
    }

    async fn end_of(count: &mut ImpactJob) -> Result<Arc<Impact>, &'static str> {
        match count.status.wait_for(JobStatus::has_ended).await.unwrap().clone() {
            JobStatus::Ended(_, result) => result,
            JobStatus::Running(_) => unreachable!(),
        }
    }

    #[tokio::test]
    async fn results_are_reused_until_they_expire_or_billers_change() {
        let fixture = Fixture::new();
        let question = query("ann", 10);
        let (mut first, end) = fixture.begin(&question, 1).unwrap();
        let sender = |status: &JobStatus| matches!(status, JobStatus::Running(Progress { done: 1, total: 2 }));
        first.status.wait_for(sender).await.unwrap();
        assert_eq!(fixture.begin(&question, 1).unwrap().0.id, first.id, "while it goes on");
        assert_ne!(fixture.begin(&query("bob", 10), 1).unwrap().0.id, first.id, "another person's");
        assert!(fixture.counts.find(&first.id, "ann").is_some() && fixture.counts.find(&first.id, "bob").is_none());
        end.send(Impact { changed: 7, ..Impact::default() }).unwrap();
        assert_eq!(end_of(&mut first).await.unwrap().changed, 7);
        fixture.clock.advance(RESULT_TTL - Duration::from_millis(1));
        assert_eq!(fixture.begin(&question, 1).unwrap().0.id, first.id, "within a minute");
        fixture.clock.advance(Duration::from_millis(1));
        let (mut second, end) = fixture.begin(&question, 1).unwrap();
        assert_ne!(second.id, first.id, "after it");
        let (third, _end) = fixture.begin(&question, 2).unwrap();
        assert_ne!(third.id, second.id, "after a change of billers");
        assert!(second.status.wait_for(JobStatus::has_ended).await.is_err(), "no one waits for it");
        assert!(end.is_closed());
    }

    #[tokio::test]
    async fn failures_and_panics_are_reported_and_retried() {
        let fixture = Fixture::new();
        let (mut failed, end) = fixture.begin(&query("ann", 1), 1).unwrap();
        drop(end);
        assert_eq!(end_of(&mut failed).await, Err("the database is unavailable"));
        let panics = async |_: ProgressSink| panic!("on purpose");
        let mut panicked = fixture.counts.get_or_start(query("ann", 2), 1, panics).unwrap();
        assert_eq!(end_of(&mut panicked).await, Err("an internal error occurred"));
        assert_eq!(
            fixture.begin(&query("ann", 1), 1).unwrap().0.id,
            failed.id,
            "the failure is shown to the next request"
        );
        fixture.clock.advance(FAILURE_TTL);
        assert_ne!(fixture.begin(&query("ann", 1), 1).unwrap().0.id, failed.id);
    }

    #[tokio::test]
    async fn running_jobs_are_limited_and_cancelled_on_shutdown() {
        let fixture = Fixture::new();
        let mut own: Vec<_> = (0..3).map(|percent| fixture.begin(&query("ann", percent), 1).unwrap()).collect();
        assert!(fixture.begin(&query("ann", 3), 1).is_none(), "a fourth of one person's");
        assert!(fixture.begin(&query("ann", 1), 1).is_some(), "one that is there");
        let others: Vec<_> = (0..5).map(|n| fixture.begin(&query(&format!("person {n}"), 0), 1).unwrap()).collect();
        assert!(fixture.begin(&query("bob", 0), 1).is_none(), "a ninth in all");
        let (mut first, end) = own.remove(0);
        end.send(Impact::default()).unwrap();
        end_of(&mut first).await.unwrap();
        assert!(fixture.begin(&query("ann", 3), 1).is_some(), "there is room again");
        fixture.stopping.cancel();
        for (mut count, _end) in own.into_iter().chain(others) {
            assert!(count.status.wait_for(JobStatus::has_ended).await.is_err());
        }
    }

    #[tokio::test]
    async fn stored_results_are_bounded() {
        let fixture = Fixture::new();
        for percent in 0..100 {
            let (mut count, end) = fixture.begin(&query("ann", percent), 1).unwrap();
            end.send(Impact::default()).unwrap();
            end_of(&mut count).await.unwrap();
        }
        assert_eq!(fixture.counts.jobs.lock().unwrap().len(), MAX_STORED);
    }
}
