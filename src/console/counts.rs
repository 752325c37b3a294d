//! Counts of what changes would do. They go on in this process while pages come and go; each ends by itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::directory::DirectoryError;
use crate::routing::{Change, Impact, Progress};
use signpost_core::{BillerId, Clock, Random, Timestamp};

/// So many may be under way, those that wait for their turn among them.
const MOST: usize = 8;
/// So many of one person's.
const MOST_OF_ONE: usize = 3;
/// So many are kept, those that have ended among them.
const MOST_KEPT: usize = 32;
/// A result counts for so long: the directory's users change without notice.
const KEPT: Duration = Duration::from_secs(60);
/// A failure is told for so long, and then counted anew.
const FAILURE_KEPT: Duration = Duration::from_secs(5);
/// A directory of many millions is counted within this.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// What is counted, for whom.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    /// Who asks, as [`super::Staff::person`] has it.
    pub person: String,
    /// The biller.
    pub biller: BillerId,
    /// Its change.
    pub change: Change,
}

/// How a count stands.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// It goes on.
    Counting(Progress),
    /// It has ended at this moment, with a result or with why there is none.
    Ended(Timestamp, Result<Arc<Impact>, &'static str>),
}

impl Standing {
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Ended(..))
    }

    /// Whether it has ended so long ago that it says nothing any more.
    fn is_old(&self, now: Timestamp) -> bool {
        match self {
            Self::Counting(_) => false,
            Self::Ended(at, Ok(_)) => at.plus(KEPT) <= now,
            Self::Ended(at, Err(_)) => at.plus(FAILURE_KEPT) <= now,
        }
    }
}

/// A count: whoever holds this can watch it.
#[derive(Clone, Debug)]
pub(super) struct Count {
    /// Under this id it can be found by whoever asked.
    pub id: String,
    /// How it stands; closed without an end when this instance stops, or billers have changed.
    pub standing: watch::Receiver<Standing>,
    asked: Asked,
    revision: i64,
    task: AbortHandle,
}

/// Told how far a count is.
pub(super) type Tell = Box<dyn Fn(Progress) + Send + Sync>;

/// The counts of this instance.
#[derive(Debug)]
pub(super) struct Counts {
    kept: Mutex<Vec<Count>>,
    clock: Clock,
    random: Random,
    stopping: CancellationToken,
}

impl Counts {
    /// None yet; `stopping` ends those under way.
    pub(super) fn new(clock: Clock, random: Random, stopping: CancellationToken) -> Self {
        Self { kept: Mutex::default(), clock, random, stopping }
    }

    /// The count that is there for this question, with the billers of this revision, or else a new one by `work`; none while
    /// too many are under way.
    pub(super) fn of<W>(&self, asked: Asked, revision: i64, work: impl FnOnce(Tell) -> W) -> Option<Count>
    where
        W: Future<Output = Result<Impact, DirectoryError>> + Send + 'static,
    {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        kept.retain(|count| {
            let is_outdated = count.asked == asked && count.revision != revision;
            if is_outdated {
                count.task.abort();
            }
            !is_outdated && !count.standing.borrow().is_old(now)
        });
        if let Some(count) = kept.iter().find(|count| count.asked == asked) {
            return Some(count.clone());
        }
        let under_way = || kept.iter().filter(|count| !count.standing.borrow().has_ended());
        let own = under_way().filter(|count| count.asked.person == asked.person).count();
        if under_way().count() >= MOST || own >= MOST_OF_ONE {
            return None;
        }
        if kept.len() >= MOST_KEPT
            && let Some(oldest) = kept.iter().position(|count| count.standing.borrow().has_ended())
        {
            kept.remove(oldest);
        }
        let (told, standing) = watch::channel(Standing::Counting(Progress::default()));
        let told = Arc::new(told);
        let work = work(tell(Arc::clone(&told)));
        let (clock, stopping) = (self.clock.clone(), self.stopping.clone());
        let task = tokio::spawn(async move {
            tokio::select! {
                result = result(work) => drop(told.send_replace(Standing::Ended(clock.now(), result))),
                () = stopping.cancelled() => {}
            }
        });
        let count = Count { id: self.random.token::<9>(), standing, asked, revision, task: task.abort_handle() };
        kept.push(count.clone());
        Some(count)
    }

    /// A count of this person's.
    pub(super) fn find(&self, id: &str, person: &str) -> Option<Count> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|count| count.id == id && count.asked.person == person).cloned()
    }
}

/// Pages come from several parts of the directory at once: what is told only grows.
fn tell(told: Arc<watch::Sender<Standing>>) -> Tell {
    Box::new(move |progress| {
        told.send_if_modified(|standing| match standing {
            Standing::Counting(before) if *before != progress && before.done <= progress.done => {
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
    let counted = AbortOnDropHandle::new(tokio::spawn(work));
    match tokio::time::timeout(LONGEST, counted).await {
        Ok(Ok(Ok(impact))) => Ok(Arc::new(impact)),
        Ok(Ok(Err(error))) => {
            tracing::error!(error = %error, "what a change would do could not be counted");
            Err("the database failed")
        }
        Ok(Err(error)) => {
            tracing::error!(error = %error, "what a change would do could not be counted");
            Err("something went wrong in the console")
        }
        Err(_) => Err("it took longer than a quarter of an hour"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    struct Place {
        counts: Counts,
        clock: Clock,
        stopping: CancellationToken,
    }

    impl Place {
        fn new() -> Self {
            let (clock, stopping) = (Clock::manual(Timestamp::from_millis(0)), CancellationToken::new());
            let counts = Counts::new(clock.clone(), Random::system(), stopping.clone());
            Self { counts, clock, stopping }
        }

        /// A count that ends when it is told how.
        fn begin(&self, asked: &Asked, revision: i64) -> Option<(Count, oneshot::Sender<Impact>)> {
            let (end, ended) = oneshot::channel();
            let work = async move |tell: Tell| {
                tell(Progress { done: 1, total: 2 });
                ended.await.map_err(|_| DirectoryError::Corrupt("dropped".to_owned()))
            };
            Some((self.counts.of(asked.clone(), revision, work)?, end))
        }
    }

    fn asked(person: &str, percent: u8) -> Asked {
        let rollout = crate::routing::RolloutWish { allow: None, percent: Some(percent) };
        let change = Change { state: None, rollout: Some(rollout) };
        Asked { person: person.to_owned(), biller: BillerId::from_stored("b".to_owned()), change }
    }

    async fn end_of(count: &mut Count) -> Result<Arc<Impact>, &'static str> {
        match count.standing.wait_for(Standing::has_ended).await.unwrap().clone() {
            Standing::Ended(_, result) => result,
            Standing::Counting(_) => unreachable!(),
        }
    }

    #[tokio::test]
    async fn a_question_is_counted_once_until_it_is_old_or_something_changes() {
        let place = Place::new();
        let question = asked("ann", 10);
        let (mut first, end) = place.begin(&question, 1).unwrap();
        let told = |standing: &Standing| matches!(standing, Standing::Counting(Progress { done: 1, total: 2 }));
        first.standing.wait_for(told).await.unwrap();
        assert_eq!(place.begin(&question, 1).unwrap().0.id, first.id, "while it goes on");
        assert_ne!(place.begin(&asked("bob", 10), 1).unwrap().0.id, first.id, "another person's");
        assert!(place.counts.find(&first.id, "ann").is_some() && place.counts.find(&first.id, "bob").is_none());
        end.send(Impact { changed: 7, ..Impact::default() }).unwrap();
        assert_eq!(end_of(&mut first).await.unwrap().changed, 7);
        place.clock.advance(KEPT - Duration::from_millis(1));
        assert_eq!(place.begin(&question, 1).unwrap().0.id, first.id, "within a minute");
        place.clock.advance(Duration::from_millis(1));
        let (mut second, end) = place.begin(&question, 1).unwrap();
        assert_ne!(second.id, first.id, "after it");
        let (third, _end) = place.begin(&question, 2).unwrap();
        assert_ne!(third.id, second.id, "after a change of billers");
        assert!(second.standing.wait_for(Standing::has_ended).await.is_err(), "nobody wants it any more");
        assert!(end.is_closed());
    }

    #[tokio::test]
    async fn a_failure_and_a_panic_are_told_and_soon_tried_again() {
        let place = Place::new();
        let (mut failed, end) = place.begin(&asked("ann", 1), 1).unwrap();
        drop(end);
        assert_eq!(end_of(&mut failed).await, Err("the database failed"));
        let panics = async |_: Tell| panic!("on purpose");
        let mut panicked = place.counts.of(asked("ann", 2), 1, panics).unwrap();
        assert_eq!(end_of(&mut panicked).await, Err("something went wrong in the console"));
        assert_eq!(place.begin(&asked("ann", 1), 1).unwrap().0.id, failed.id, "told to whoever looks at once");
        place.clock.advance(FAILURE_KEPT);
        assert_ne!(place.begin(&asked("ann", 1), 1).unwrap().0.id, failed.id);
    }

    #[tokio::test]
    async fn there_are_only_so_many_and_a_stop_ends_them() {
        let place = Place::new();
        let mut own: Vec<_> = (0..3).map(|percent| place.begin(&asked("ann", percent), 1).unwrap()).collect();
        assert!(place.begin(&asked("ann", 3), 1).is_none(), "a fourth of one person's");
        assert!(place.begin(&asked("ann", 1), 1).is_some(), "one that is there");
        let others: Vec<_> = (0..5).map(|n| place.begin(&asked(&format!("person {n}"), 0), 1).unwrap()).collect();
        assert!(place.begin(&asked("bob", 0), 1).is_none(), "a ninth in all");
        let (mut first, end) = own.remove(0);
        end.send(Impact::default()).unwrap();
        end_of(&mut first).await.unwrap();
        assert!(place.begin(&asked("ann", 3), 1).is_some(), "there is room again");
        place.stopping.cancel();
        for (mut count, _end) in own.into_iter().chain(others) {
            assert!(count.standing.wait_for(Standing::has_ended).await.is_err());
        }
    }

    #[tokio::test]
    async fn results_that_are_kept_are_bounded() {
        let place = Place::new();
        for percent in 0..100 {
            let (mut count, end) = place.begin(&asked("ann", percent), 1).unwrap();
            end.send(Impact::default()).unwrap();
            end_of(&mut count).await.unwrap();
        }
        assert_eq!(place.counts.kept.lock().unwrap().len(), MOST_KEPT);
    }
}
