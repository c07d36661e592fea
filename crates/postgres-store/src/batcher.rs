//! Batches concurrent calls (group commit).
//!
//! If few batches are running, a call starts a batch at once. Otherwise calls wait, and start together as one batch
//! when a running batch has ended. So a call does not wait on an idle store, and calls share the cost of a transaction
//! on a busy one.

use std::collections::{HashSet, VecDeque};
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

use crate::measure;

/// The most calls in a batch that writes: enough to share the cost of a transaction, and few enough that no call waits long for
/// the others.
pub const BATCH_MAX: usize = 64;
/// The most calls in a batch that only reads: a look-up costs a few microseconds, so that the round trip is most of a batch.
pub const READ_BATCH_MAX: usize = 512;
/// The most calls that wait for a batch. Further calls fail as unavailable. This many calls are answered within the
/// time that a call may wait for a connection.
const WAITING_MAX: usize = 16_384;
/// The most batches that run at once: while one waits for the disk, another is executed.
const RUNNING_MAX: usize = 2;
/// After this time a batch no longer counts as running, so that another can start. Such a batch waits for a lock or a
/// connection.
const SLOW_AFTER: Duration = Duration::from_millis(5);

/// A call that can be batched.
pub trait Batched: Send + 'static {
    /// The key of the call. A batch has at most one call with each key.
    fn key(&self) -> (Uuid, Uuid);
}

impl Batched for RequestKey {
    fn key(&self) -> (Uuid, Uuid) {
        (self.user.0, self.id.0)
    }
}

type Work<Q, A> = Box<dyn Fn(Vec<Q>) -> BoxFuture<'static, Vec<A>> + Send + Sync>;

/// Batches calls of one kind. Clones share the backlog.
pub struct Batcher<Q, A>(Arc<Shared<Q, A>>);

struct Shared<Q, A> {
    /// What the calls do, for metrics.
    name: &'static str,
    batch_max: usize,
    work: Work<Q, A>,
    backlog: Mutex<Backlog<Q, A>>,
}

struct Backlog<Q, A> {
    waiting: VecDeque<Waiting<Q, A>>,
    running: usize,
}

struct Waiting<Q, A> {
    call: Q,
    caller: oneshot::Sender<A>,
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
        work: impl Fn(Vec<Q>) -> BoxFuture<'static, Vec<A>> + Send + Sync + 'static,
    ) -> Self {
        let backlog = Mutex::new(Backlog { waiting: VecDeque::new(), running: 0 });
        Self(Arc::new(Shared { name, batch_max, work: Box::new(work), backlog }))
    }

    /// Submits a call and waits for its answer. The call is executed even if the returned future is dropped.
    pub async fn submit(&self, call: Q) -> Result<A, Unavailable> {
        let (caller, answer) = oneshot::channel();
        if self.0.join(Waiting { call, caller })? {
            Arc::clone(&self.0).spawn();
        }
        answer.await.map_err(|_| Unavailable::of("postgres"))
    }
}

impl<Q: Batched, A: Send + 'static> Shared<Q, A> {
    fn backlog(&self) -> MutexGuard<'_, Backlog<Q, A>> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call to the backlog. Returns whether the caller must start a batch.
    fn join(&self, waiting: Waiting<Q, A>) -> Result<bool, Unavailable> {
        let mut backlog = self.backlog();
        if backlog.waiting.len() >= WAITING_MAX {
            return Err(Unavailable::of("postgres"));
        }
        backlog.waiting.push_back(waiting);
        let starts = backlog.running < RUNNING_MAX;
        backlog.running += usize::from(starts);
        Ok(starts)
    }

    /// Runs batches in the background, one after the other, until no call waits.
    fn spawn(self: Arc<Self>) {
        tokio::spawn(self.run());
    }

    async fn run(self: Arc<Self>) {
        while let Some(batch) = self.next_batch() {
            let (calls, callers): (Vec<Q>, Vec<_>) =
                batch.into_iter().map(|waiting| (waiting.call, waiting.caller)).unzip();
            // The batch has its own task: if it panics, its callers receive an error, and the next batch starts.
            let working = measure::batch(self.name, calls.len(), (self.work)(calls));
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
            for (caller, answer) in callers.into_iter().zip(answers.unwrap_or_default()) {
                // Fails if the caller has dropped its future.
                let _ = caller.send(answer);
            }
            if late {
                return;
            }
        }
    }

    /// The calls of the next batch, in the order of arrival. A call with the key of another in the batch waits for the batch
    /// after it, where it finds the result.
    fn next_batch(&self) -> Option<Vec<Waiting<Q, A>>> {
        let mut backlog = self.backlog();
        let considered = backlog.waiting.len().min(self.batch_max);
        let (mut batch, mut repeats, mut keys) = (Vec::with_capacity(considered), Vec::new(), HashSet::new());
        for waiting in backlog.waiting.drain(..considered) {
            let of_batch = if keys.insert(waiting.call.key()) { &mut batch } else { &mut repeats };
            of_batch.push(waiting);
        }
        for repeat in repeats.into_iter().rev() {
            backlog.waiting.push_front(repeat);
        }
        if batch.is_empty() {
            backlog.running -= 1;
            return None;
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    type Batches = Arc<Mutex<Vec<Vec<u128>>>>;

    /// A call with a number and a key.
    struct Call(u128, u128);

    impl Batched for Call {
        fn key(&self) -> (Uuid, Uuid) {
            (Uuid::nil(), Uuid::from_u128(self.1))
        }
    }

    /// A call with a number, and a key of its own.
    fn call(number: u128) -> Call {
        Call(number, number)
    }

    /// A batcher that answers each number with itself, once it has a permit. It records its batches. Number 13 makes it panic.
    fn echo(permits: &Arc<Semaphore>) -> (Batcher<Call, u128>, Batches) {
        let (permits, batches) = (Arc::clone(permits), Batches::default());
        let recorded = Arc::clone(&batches);
        let batcher = Batcher::new("test", BATCH_MAX, move |calls: Vec<Call>| {
            let numbers: Vec<u128> = calls.into_iter().map(|Call(number, _)| number).collect();
            recorded.lock().expect("not poisoned").push(numbers.clone());
            let permits = Arc::clone(&permits);
            Box::pin(async move {
                permits.acquire().await.expect("the semaphore is open").forget();
                assert!(!numbers.contains(&13), "the batch panics");
                numbers
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
        let calls = vec![Call(1, 7), Call(2, 8), Call(3, 7), Call(4, 7), Call(5, 9)];
        assert_eq!(answers(&batcher, calls).await, (1..=5).map(Some).collect::<Vec<_>>());
        assert_eq!(*batches.lock().expect("not poisoned"), [vec![1, 2, 5], vec![3], vec![4]]);
    }

    #[tokio::test]
    async fn a_batch_that_panics_fails_its_calls_and_the_next_one_starts() {
        let (batcher, _) = echo(&unlimited());
        for _ in 0..=RUNNING_MAX {
            assert_eq!(answers(&batcher, vec![call(12), call(13)]).await, [None, None]);
        }
        assert_eq!(answers(&batcher, vec![call(14)]).await, [Some(14)]);
    }

    #[tokio::test]
    async fn a_call_beyond_the_maximum_is_refused() {
        let (batcher, _) = echo(&unlimited());
        let answers = answers(&batcher, (100..101 + WAITING_MAX as u128).map(call).collect()).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_none()).count(), 1);
        assert_eq!(answers.last(), Some(&None), "the last call");
    }
}
