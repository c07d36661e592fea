//! Batches concurrent calls (group commit).
//!
//! If few batches are running, a call starts a batch at once. Otherwise calls wait, and start together as one batch
//! when a running batch has ended. So a call does not wait on an idle store, and calls share the cost of a transaction
//! on a busy one.

mod backlog;

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::request::RequestKey;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use self::backlog::{Backlog, Waiting};
use crate::measure;

/// The most calls in a batch that writes: enough to share the cost of a transaction, and few enough that no call waits long for
/// the others.
pub const BATCH_MAX: usize = 64;
/// The most calls in a batch that only reads: a look-up costs a few microseconds, so that the round trip is most of a batch.
pub const READ_BATCH_MAX: usize = 512;
/// After this time a batch no longer counts as running, so that another can start. Such a batch waits for a lock or a
/// connection.
const SLOW_AFTER: Duration = Duration::from_millis(5);

/// A call that can be batched.
pub trait Batched: Clone + Send + Sync + 'static {
    /// The key of the call. A batch has at most one call with each key.
    fn key(&self) -> Option<(Uuid, Uuid)>;

    /// Whose row the call locks, where many calls may want the same row at once. The calls of one owner are in one running batch
    /// at most, so that they take one connection.
    fn owner(&self) -> Option<Uuid> {
        None
    }
}

impl Batched for RequestKey {
    /// Looking a request up twice does no harm.
    fn key(&self) -> Option<(Uuid, Uuid)> {
        None
    }
}

/// A batch failed because of one of its calls. Each is tried again alone, so that the others do not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoiled;

type Work<Q, A> = Box<dyn Fn(Arc<[Q]>) -> BoxFuture<'static, Result<Vec<A>, Spoiled>> + Send + Sync>;

/// Batches calls of one kind. Clones share the backlog.
pub struct Batcher<Q, A>(Arc<Shared<Q, A>>);

struct Shared<Q, A> {
    /// What the calls do, for metrics.
    name: &'static str,
    batch_max: usize,
    work: Work<Q, A>,
    backlog: Mutex<Backlog<Q, A>>,
}

impl<Q, A> Clone for Batcher<Q, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Q, A> fmt::Debug for Batcher<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").finish_non_exhaustive()
    }
}

impl<Q: Batched, A: Send + 'static> Batcher<Q, A> {
    /// `work` returns the answers to all calls of a batch, in their order. A batch has at most `batch_max` calls. `name` says what
    /// the calls do, for metrics.
    pub fn new(
        name: &'static str,
        batch_max: usize,
        work: impl Fn(Arc<[Q]>) -> BoxFuture<'static, Result<Vec<A>, Spoiled>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared { name, batch_max, work: Box::new(work), backlog: Mutex::default() }))
    }

    /// Submits a call and waits for its answer. The call is executed even if the returned future is dropped.
    pub async fn submit(&self, call: Q) -> Result<A, Unavailable> {
        let (caller, answer) = oneshot::channel();
        let starts = self.0.backlog().join(Waiting { call, caller, alone: false });
        if starts.ok_or_else(|| Unavailable::of("postgres"))? {
            Arc::clone(&self.0).spawn();
        }
        answer.await.map_err(|_| Unavailable::of("postgres"))
    }
}

impl<Q: Batched, A: Send + 'static> Shared<Q, A> {
    fn backlog(&self) -> MutexGuard<'_, Backlog<Q, A>> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs batches in the background, one after the other, until no call waits.
    fn spawn(self: Arc<Self>) {
        tokio::spawn(self.run());
    }

    async fn run(self: Arc<Self>) {
        while let Some(batch) = self.next_batch() {
            let (calls, callers): (Vec<Q>, Vec<_>) =
                batch.into_iter().map(|waiting| (waiting.call, waiting.caller)).unzip();
            let calls: Arc<[Q]> = calls.into();
            // The batch has its own task: if it panics, the next batch starts.
            let working = measure::batch(self.name, calls.len(), (self.work)(Arc::clone(&calls)));
            let mut working = pin!(tokio::spawn(working));
            let in_time = timeout(SLOW_AFTER, &mut working).await;
            let late = in_time.is_err();
            if late {
                Arc::clone(&self).spawn();
            }
            let answers = match in_time {
                Ok(answers) => answers,
                Err(_) => working.await,
            };
            let again = self.answer(&calls, callers, answers.unwrap_or(Err(Spoiled)));
            if !self.backlog().end_batch(&calls, again, late) {
                return;
            }
        }
    }

    fn next_batch(&self) -> Option<Vec<Waiting<Q, A>>> {
        self.backlog().next_batch(self.batch_max)
    }

    /// Answers the callers of a batch. Returns the calls that are to be tried again. The caller of a call that failed alone
    /// receives an error.
    fn answer(
        &self,
        calls: &[Q],
        callers: Vec<oneshot::Sender<A>>,
        answers: Result<Vec<A>, Spoiled>,
    ) -> Vec<Waiting<Q, A>> {
        match answers {
            Ok(answers) => {
                for (caller, answer) in callers.into_iter().zip(answers) {
                    // Fails if the caller has dropped its future.
                    let _ = caller.send(answer);
                }
                Vec::new()
            }
            Err(Spoiled) if calls.len() > 1 => {
                tracing::warn!(batch = self.name, calls = calls.len(), "a batch failed; trying its calls one by one");
                measure::batch_split(self.name);
                let waiting = |(call, caller): (&Q, _)| Waiting { call: call.clone(), caller, alone: true };
                calls.iter().zip(callers).map(waiting).collect()
            }
            Err(Spoiled) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::backlog::{RUNNING_MAX, WAITING_MAX};
    use super::*;

    type Batches = Arc<Mutex<Vec<Vec<u128>>>>;

    /// A call with a number and a key, and maybe of an owner.
    #[derive(Clone, Copy)]
    struct Call(u128, u128, Option<u128>);

    impl Batched for Call {
        fn key(&self) -> Option<(Uuid, Uuid)> {
            Some((Uuid::nil(), Uuid::from_u128(self.1)))
        }

        fn owner(&self) -> Option<Uuid> {
            self.2.map(Uuid::from_u128)
        }
    }

    /// A call with a number, and a key of its own.
    fn call(number: u128) -> Call {
        Call(number, number, None)
    }

    /// The same of an owner.
    fn call_of(owner: u128, number: u128) -> Call {
        Call(number, number, Some(owner))
    }

    /// A batcher that answers each number with itself, once it has a permit. It records its batches. Number 13 makes it panic,
    /// and number 14 spoils it.
    fn echo(permits: &Arc<Semaphore>) -> (Batcher<Call, u128>, Batches) {
        let (permits, batches) = (Arc::clone(permits), Batches::default());
        let recorded = Arc::clone(&batches);
        let batcher = Batcher::new("test", BATCH_MAX, move |calls: Arc<[Call]>| {
            let numbers: Vec<u128> = calls.iter().map(|call| call.0).collect();
            recorded.lock().expect("not poisoned").push(numbers.clone());
            let permits = Arc::clone(&permits);
            Box::pin(async move {
                permits.acquire().await.expect("the semaphore is open").forget();
                assert!(!numbers.contains(&13), "the batch panics");
                if numbers.contains(&14) { Err(Spoiled) } else { Ok(numbers) }
            })
        });
        (batcher, batches)
    }

    fn unlimited() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))
    }

    async fn answers(batcher: &Batcher<Call, u128>, calls: Vec<Call>) -> Vec<Option<u128>> {
        join_all(calls.into_iter().map(|call| batcher.submit(call))).await.into_iter().map(Result::ok).collect()
    }

    fn sizes(batches: &Batches) -> Vec<usize> {
        batches.lock().expect("not poisoned").iter().map(Vec::len).collect()
    }

    #[tokio::test]
    async fn each_call_gets_its_own_answer_from_batches_of_bounded_size() {
        let (batcher, batches) = echo(&unlimited());
        let numbers = 100..100 + 2 * BATCH_MAX as u128 + 5;
        let answers = answers(&batcher, numbers.clone().map(call).collect()).await;
        assert_eq!(answers, numbers.map(Some).collect::<Vec<_>>());
        assert_eq!(sizes(&batches), [BATCH_MAX, BATCH_MAX, 5]);
    }

    /// Waits until this many batches have started.
    async fn wait_for_batches(batches: &Batches, count: usize) {
        while sizes(batches).len() < count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_first_call_starts_at_once_and_the_waiting_calls_start_together() {
        let permits = Arc::new(Semaphore::new(0));
        let (batcher, batches) = echo(&permits);
        let submit_all = |numbers: std::ops::Range<u128>| {
            let batcher = batcher.clone();
            tokio::spawn(async move { answers(&batcher, numbers.map(call).collect()).await })
        };
        let first = submit_all(1..2);
        wait_for_batches(&batches, 1).await;
        let second = submit_all(2..3);
        wait_for_batches(&batches, 2).await;
        let rest = submit_all(20..30);
        permits.add_permits(3);
        for submitted in [first, second, rest] {
            assert!(submitted.await.expect("the task does not panic").iter().all(Option::is_some));
        }
        assert_eq!(sizes(&batches), [1, 1, 10]);
    }

    #[tokio::test]
    async fn a_slow_batch_does_not_block_the_next_one() {
        let permits = Arc::new(Semaphore::new(0));
        let (batcher, batches) = echo(&permits);
        let mut callers = Vec::new();
        for number in 0..2 * RUNNING_MAX {
            let batcher = batcher.clone();
            callers.push(tokio::spawn(async move { batcher.submit(call(20 + number as u128)).await }));
            // No batch ends, but each one starts.
            wait_for_batches(&batches, number + 1).await;
        }
        permits.add_permits(callers.len());
        for caller in callers {
            caller.await.expect("the task does not panic").expect("an answer");
        }
    }

    #[tokio::test]
    async fn a_batch_has_each_key_at_most_once() {
        let (batcher, batches) = echo(&unlimited());
        let calls = [(1, 7), (2, 8), (3, 7), (4, 7), (5, 9)].map(|(number, key)| Call(number, key, None)).to_vec();
        assert_eq!(answers(&batcher, calls).await, (1..=5).map(Some).collect::<Vec<_>>());
        assert_eq!(*batches.lock().expect("not poisoned"), [vec![1, 2, 5], vec![3], vec![4]]);
    }

    #[tokio::test]
    async fn a_call_that_makes_its_batch_fail_fails_alone() {
        let (batcher, batches) = echo(&unlimited());
        for bad in [13, 14].repeat(RUNNING_MAX + 1) {
            let calls = [11, bad, 12].map(call).to_vec();
            assert_eq!(answers(&batcher, calls).await, [Some(11), None, Some(12)]);
            let mut recorded = std::mem::take(&mut *batches.lock().expect("not poisoned"));
            assert_eq!(recorded.remove(0), [11, bad, 12]);
            recorded.sort_unstable();
            assert_eq!(recorded, [[11], [12], [bad]], "each alone");
        }
        assert_eq!(answers(&batcher, vec![call(15)]).await, [Some(15)]);
    }

    #[tokio::test]
    async fn the_calls_of_an_owner_are_in_one_running_batch_and_delay_nobody_else() {
        let permits = Arc::new(Semaphore::new(0));
        let (batcher, batches) = echo(&permits);
        let submit = |calls: Vec<Call>| {
            let batcher = batcher.clone();
            tokio::spawn(async move { answers(&batcher, calls).await })
        };
        let first = submit(vec![call_of(1, 20), call_of(1, 21)]);
        wait_for_batches(&batches, 1).await;
        // Late or not, the batch of this owner runs.
        let same_owner = submit((22..30).map(|number| call_of(1, number)).collect());
        let others = submit(vec![call_of(2, 40), call(50)]);
        wait_for_batches(&batches, 2).await;
        tokio::time::sleep(2 * SLOW_AFTER).await;
        assert_eq!(*batches.lock().expect("not poisoned"), [vec![20, 21], vec![40, 50]]);
        permits.add_permits(2);
        for submitted in [first, others] {
            assert!(submitted.await.expect("the task does not panic").iter().all(Option::is_some));
        }
        wait_for_batches(&batches, 3).await;
        assert_eq!(batches.lock().expect("not poisoned")[2], (22..30).collect::<Vec<_>>(), "in their order");
        permits.add_permits(1);
        assert!(same_owner.await.expect("the task does not panic").iter().all(Option::is_some));
    }

    #[tokio::test]
    async fn a_call_beyond_the_maximum_is_refused() {
        let (batcher, _) = echo(&unlimited());
        let answers = answers(&batcher, (100..101 + WAITING_MAX as u128).map(call).collect()).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_none()).count(), 1);
        assert_eq!(answers.last(), Some(&None), "the last call");
    }
}
