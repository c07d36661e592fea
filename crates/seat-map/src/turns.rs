//! Turns for choosing seats. When a hundred thousand callers come at once, they wait here, in order: not at the locks, where each would
//! time out and have cost its commands all the same, and not with seats that are locked and not claimed yet, which look sold to all
//! others.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::mutex::lock;

/// How many callers of one performance choose, lock and claim at once on an instance: enough to fill the batches in which claims are
/// committed, and few enough that all of them are claimed within some tens of milliseconds.
const AT_ONCE: usize = 256;
/// How long a caller waits for a turn. The API gives a use case 12 seconds: a caller who waits for longer has its answer from there, and
/// would be served for nothing, while others wait.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How long callers go on without the locks after these were unavailable, so that those who wait do not wait for each other's
/// time-outs.
const PASSED_OVER_FOR: Duration = Duration::from_secs(1);

/// The turns of a performance. Clones share them.
#[derive(Clone)]
pub(crate) struct Turns {
    permits: Arc<Semaphore>,
    unavailable_at: Arc<Mutex<Option<Instant>>>,
}

/// A caller did not get a turn in time.
#[derive(Debug)]
pub(crate) struct WaitedTooLong;

/// The turn of one caller. It ends when it is dropped.
pub(crate) struct Turn {
    turns: Turns,
    _permit: OwnedSemaphorePermit,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)), unavailable_at: Arc::default() }
    }

    /// Waits for a turn. None if the locks were unavailable a moment ago.
    pub(crate) async fn turn(&self) -> Result<Option<Turn>, WaitedTooLong> {
        if self.are_passed_over() {
            return Ok(None);
        }
        let acquired = timeout(WAIT_MAX, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = acquired.map_err(|_| WaitedTooLong)?;
        let permit = permit.ok().filter(|_| !self.are_passed_over());
        Ok(permit.map(|permit| Turn { turns: self.clone(), _permit: permit }))
    }

    fn are_passed_over(&self) -> bool {
        lock(&self.unavailable_at).is_some_and(|at| at.elapsed() < PASSED_OVER_FOR)
    }
}

impl Turn {
    /// Notes that the locks are unavailable.
    pub(crate) fn note_unavailable(&self) {
        *lock(&self.turns.unavailable_at) = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    async fn all_taken(turns: &Turns) -> Vec<Turn> {
        let mut taken = Vec::new();
        for _ in 0..AT_ONCE {
            taken.push(turns.turn().await.expect("in time").expect("a turn"));
        }
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_when_all_turns_are_taken_waits() {
        let turns = Turns::new();
        let mut taken = all_taken(&turns).await;
        assert!(turns.turn().now_or_never().is_none());
        taken.pop();
        assert!(turns.turn().await.is_ok_and(|turn| turn.is_some()));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_longer_than_the_api_would() {
        let turns = Turns::new();
        let taken = all_taken(&turns).await;
        assert!(turns.turn().await.is_err());
        drop(taken);
        assert!(turns.turn().await.is_ok_and(|turn| turn.is_some()));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_locks_that_are_unavailable() {
        let turns = Turns::new();
        let taken = all_taken(&turns).await;
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { turns.turn().await.is_ok_and(|turn| turn.is_some()) }
        });
        tokio::task::yield_now().await;
        taken[0].note_unavailable();
        assert!(turns.turn().await.is_ok_and(|turn| turn.is_none()));
        drop(taken);
        assert!(!waiting.await.expect("no panic"), "who waited goes on without the locks");
        tokio::time::advance(PASSED_OVER_FOR).await;
        assert!(turns.turn().await.is_ok_and(|turn| turn.is_some()));
    }
}
