//! Calls that arrive together are answered together.
//!
//! The first call leaves at once. Those that arrive while enough batches are under way gather, and leave together when one of
//! these has ended, so that nobody waits where nobody is busy, and what a transaction costs is shared where everybody is.

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

/// How many calls are answered together at most: enough to share the cost of a transaction, few enough that none of them
/// waits long for the others.
pub const BATCH_MAX: usize = 64;
/// How many calls wait for a batch of theirs; whoever comes on top of them is told that the store is busy. So many are
/// answered within the time that a call waits for a connection.
const WAITING_MAX: usize = 16_384;
/// How many batches are under way at once: while one is written to disk, another is worked on.
const UNDER_WAY_MAX: usize = 2;
/// The longest that a batch keeps others waiting behind it. One that takes longer, because it waits for a lock or a
/// connection, lets another leave beside it.
const HEADWAY_MAX: Duration = Duration::from_millis(5);

/// What may be gathered.
pub trait Batched: Send + 'static {
    /// Why it is asked. No batch has two of the same request.
    fn request(&self) -> &RequestKey;
}

type Work<Q, A> = Box<dyn Fn(Vec<Q>) -> BoxFuture<'static, Vec<A>> + Send + Sync>;

/// A place where calls gather. Clones share it.
pub struct Batcher<Q, A>(Arc<Shared<Q, A>>);

struct Shared<Q, A> {
    work: Work<Q, A>,
    queue: Mutex<Queue<Q, A>>,
}

struct Queue<Q, A> {
    waiting: VecDeque<Waiting<Q, A>>,
    under_way: usize,
}

struct Waiting<Q, A> {
    question: Q,
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
    /// `work` answers all questions of a batch, in their order.
    pub fn new(work: impl Fn(Vec<Q>) -> BoxFuture<'static, Vec<A>> + Send + Sync + 'static) -> Self {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), under_way: 0 });
        Self(Arc::new(Shared { work: Box::new(work), queue }))
    }

    /// Asks with others. The answer is worked out also if the caller leaves.
    pub async fn ask(&self, question: Q) -> Result<A, Unavailable> {
        let (caller, answer) = oneshot::channel();
        if self.0.join(Waiting { question, caller })? {
            Arc::clone(&self.0).depart();
        }
        answer.await.map_err(|_| Unavailable::of("postgres"))
    }
}

impl<Q: Batched, A: Send + 'static> Shared<Q, A> {
    fn queue(&self) -> MutexGuard<'_, Queue<Q, A>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a batch may leave for this call.
    fn join(&self, waiting: Waiting<Q, A>) -> Result<bool, Unavailable> {
        let mut queue = self.queue();
        if queue.waiting.len() >= WAITING_MAX {
            return Err(Unavailable::of("postgres"));
        }
        queue.waiting.push_back(waiting);
        let leaves = queue.under_way < UNDER_WAY_MAX;
        queue.under_way += usize::from(leaves);
        Ok(leaves)
    }

    /// Sends batches on their way, one after the other, for as long as anybody waits.
    fn depart(self: Arc<Self>) {
        tokio::spawn(self.run());
    }

    async fn run(self: Arc<Self>) {
        while let Some(batch) = self.next_batch() {
            let (questions, callers): (Vec<Q>, Vec<_>) =
                batch.into_iter().map(|waiting| (waiting.question, waiting.caller)).unzip();
            // On a task of its own: if it panics, its callers are told, and the next batch leaves.
            let mut working = pin!(tokio::spawn((self.work)(questions)));
            let in_time = timeout(HEADWAY_MAX, &mut working).await;
            let late = in_time.is_err();
            if late {
                Arc::clone(&self).depart();
            }
            let answers = match in_time {
                Ok(answers) => answers,
                Err(_) => working.await,
            };
            for (caller, answer) in callers.into_iter().zip(answers.unwrap_or_default()) {
                // Who has left is told nothing.
                let _ = caller.send(answer);
            }
            if late {
                return;
            }
        }
    }

    /// The calls that leave now, in the order in which they came. Another call of the same request waits for the next batch,
    /// where it finds what the first one did.
    fn next_batch(&self) -> Option<Vec<Waiting<Q, A>>> {
        let mut queue = self.queue();
        let looked_at = queue.waiting.len().min(BATCH_MAX);
        let (mut batch, mut twins, mut requests) = (Vec::with_capacity(looked_at), Vec::new(), HashSet::new());
        for waiting in queue.waiting.drain(..looked_at) {
            let RequestKey { user, id, .. } = *waiting.question.request();
            let of_batch = if requests.insert((user, id)) { &mut batch } else { &mut twins };
            of_batch.push(waiting);
        }
        for twin in twins.into_iter().rev() {
            queue.waiting.push_front(twin);
        }
        if batch.is_empty() {
            queue.under_way -= 1;
            return None;
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use encore_domain::ids::{RequestId, UserId};
    use encore_domain::request::{DIGEST_LEN, Fingerprint};
    use futures::future::join_all;
    use tokio::sync::Semaphore;
    use uuid::Uuid;

    use super::*;

    type Batches = Arc<Mutex<Vec<Vec<u128>>>>;

    impl Batched for (u128, RequestKey) {
        fn request(&self) -> &RequestKey {
            &self.1
        }
    }

    /// A question of a number, for a request of its own.
    fn ask(number: u128) -> (u128, RequestKey) {
        ask_for(number, number)
    }

    fn ask_for(number: u128, request: u128) -> (u128, RequestKey) {
        let id = RequestId(Uuid::from_u128(request));
        (
            number,
            RequestKey {
                user: UserId(Uuid::nil()),
                id,
                fingerprint: Fingerprint::new([0; DIGEST_LEN], [0; DIGEST_LEN]),
            },
        )
    }

    /// Answers each number with itself, when it is let. Notes the batches. Number 13 makes it panic.
    fn echo(gate: &Arc<Semaphore>) -> (Batcher<(u128, RequestKey), u128>, Batches) {
        let (gate, batches) = (Arc::clone(gate), Batches::default());
        let noted = Arc::clone(&batches);
        let batcher = Batcher::new(move |questions: Vec<(u128, RequestKey)>| {
            let numbers: Vec<u128> = questions.into_iter().map(|(number, _)| number).collect();
            noted.lock().expect("not poisoned").push(numbers.clone());
            let gate = Arc::clone(&gate);
            Box::pin(async move {
                gate.acquire().await.expect("nobody closes it").forget();
                assert!(!numbers.contains(&13), "this batch dies");
                numbers
            })
        });
        (batcher, batches)
    }

    fn pass_through() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))
    }

    async fn answers(
        batcher: &Batcher<(u128, RequestKey), u128>,
        questions: Vec<(u128, RequestKey)>,
    ) -> Vec<Option<u128>> {
        join_all(questions.into_iter().map(|question| batcher.ask(question)))
            .await
            .into_iter()
            .map(Result::ok)
            .collect()
    }

    fn sizes(batches: &Batches) -> Vec<usize> {
        batches.lock().expect("not poisoned").iter().map(Vec::len).collect()
    }

    #[tokio::test]
    async fn each_is_answered_by_itself_in_batches_of_a_bounded_size() {
        let (batcher, batches) = echo(&pass_through());
        let numbers = 100..100 + 2 * BATCH_MAX as u128 + 5;
        let asked = answers(&batcher, numbers.clone().map(ask).collect()).await;
        assert_eq!(asked, numbers.map(Some).collect::<Vec<_>>());
        assert_eq!(sizes(&batches), [BATCH_MAX, BATCH_MAX, 5]);
    }

    /// Waits until so many batches have left.
    async fn left(batches: &Batches, count: usize) {
        while sizes(batches).len() < count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_first_leaves_at_once_and_those_behind_leave_together() {
        let gate = Arc::new(Semaphore::new(0));
        let (batcher, batches) = echo(&gate);
        let ask_all = |numbers: std::ops::Range<u128>| {
            let batcher = batcher.clone();
            tokio::spawn(async move { answers(&batcher, numbers.map(ask).collect()).await })
        };
        let first = ask_all(1..2);
        left(&batches, 1).await;
        let second = ask_all(2..3);
        left(&batches, 2).await;
        let rest = ask_all(20..30);
        gate.add_permits(3);
        for asked in [first, second, rest] {
            assert!(asked.await.expect("asked").iter().all(Option::is_some));
        }
        assert_eq!(sizes(&batches), [1, 1, 10]);
    }

    #[tokio::test]
    async fn a_batch_that_takes_long_keeps_nobody_behind_it() {
        let gate = Arc::new(Semaphore::new(0));
        let (batcher, batches) = echo(&gate);
        let mut callers = Vec::new();
        for number in 0..2 * UNDER_WAY_MAX {
            let batcher = batcher.clone();
            callers.push(tokio::spawn(async move { batcher.ask(ask(20 + number as u128)).await }));
            // None of them ends, and yet each leaves.
            left(&batches, number + 1).await;
        }
        gate.add_permits(callers.len());
        for caller in callers {
            caller.await.expect("asked").expect("answered");
        }
    }

    #[tokio::test]
    async fn the_same_request_is_not_twice_in_a_batch() {
        let (batcher, batches) = echo(&pass_through());
        let asked = vec![ask_for(1, 7), ask_for(2, 8), ask_for(3, 7), ask_for(4, 7), ask_for(5, 9)];
        assert_eq!(answers(&batcher, asked).await, (1..=5).map(Some).collect::<Vec<_>>());
        assert_eq!(*batches.lock().expect("not poisoned"), [vec![1, 2, 5], vec![3], vec![4]]);
    }

    #[tokio::test]
    async fn a_batch_that_dies_tells_its_callers_and_lets_the_next_leave() {
        let (batcher, _) = echo(&pass_through());
        for _ in 0..=UNDER_WAY_MAX {
            assert_eq!(answers(&batcher, vec![ask(12), ask(13)]).await, [None, None]);
        }
        assert_eq!(answers(&batcher, vec![ask(14)]).await, [Some(14)]);
    }

    #[tokio::test]
    async fn who_comes_on_top_of_too_many_is_turned_away() {
        let (batcher, _) = echo(&pass_through());
        let asked = answers(&batcher, (100..101 + WAITING_MAX as u128).map(ask).collect()).await;
        assert_eq!(asked.iter().filter(|answer| answer.is_none()).count(), 1);
        assert_eq!(asked.last(), Some(&None), "the last one");
    }
}
