//! The share of each caller in the stores: how many of its calls use them at once. Others of the same caller wait for their turn,
//! so that nobody takes all connections of a pool, a batch, or the row of a wallet.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use encore_domain::identity::Caller;
use encore_domain::ids::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task_local;
use tokio::time::timeout;
use tonic::Status;

use crate::connections::{ConnectionLimits, network_of};
use crate::status::{Quota, rate_limited};

/// How long a call waits for its turn. After that a retry is better: the caller's other calls are slow.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How many calls of one caller wait for their turn. A caller has few at once, and a BFF without a token many.
const WAITING_MAX: usize = 64;

/// Whose share a call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ShareOf {
    /// A user, whatever connection the call came on.
    User(UserId),
    /// All calls without an access token from one network; none if their connections have no address.
    Network(Option<IpAddr>),
}

impl ShareOf {
    /// The share of a caller at an address.
    pub(crate) fn caller(caller: Option<Caller>, address: Option<IpAddr>) -> Self {
        caller.map_or_else(|| Self::Network(address.map(network_of)), |caller| Self::User(caller.user))
    }

    /// Runs a call with this share.
    pub(crate) fn scope<F: Future>(self, call: F) -> impl Future<Output = F::Output> {
        OF_CALL.scope(self, call)
    }

    /// The share of the call that runs.
    pub(crate) fn of_call() -> Self {
        OF_CALL.try_with(|of| *of).unwrap_or(Self::Network(None))
    }
}

task_local! {
    /// Whose share the call takes that runs. A layer sets it for the whole call, so no handler can forget it.
    static OF_CALL: ShareOf;
}

/// The shares of all callers. Clones share them.
#[derive(Clone)]
pub(crate) struct Shares {
    per_user: usize,
    per_network: usize,
    taken: Arc<Mutex<HashMap<ShareOf, Share>>>,
}

struct Share {
    turns: Arc<Semaphore>,
    /// Calls that have their turn or wait for it.
    calls: usize,
}

/// A call in its turn. The next of its caller begins when this is dropped.
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
    _in_line: InLine,
}

struct InLine {
    of: ShareOf,
    taken: Arc<Mutex<HashMap<ShareOf, Share>>>,
}

impl Shares {
    pub(crate) fn new(limits: &ConnectionLimits) -> Self {
        Self { per_user: limits.stores_per_user_max, per_network: limits.stores_per_address_max, taken: Arc::default() }
    }

    /// Waits for the turn of the call that runs.
    pub(crate) async fn turn_of_call(&self) -> Result<Turn, Status> {
        self.turn(ShareOf::of_call()).await
    }

    async fn turn(&self, of: ShareOf) -> Result<Turn, Status> {
        let (in_line, turns) = self.enter(of).ok_or_else(|| rate_limited(Quota::Stores))?;
        match timeout(WAIT_MAX, turns.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn { _permit: permit, _in_line: in_line }),
            Ok(Err(_)) | Err(_) => Err(rate_limited(Quota::Stores)),
        }
    }

    fn enter(&self, of: ShareOf) -> Option<(InLine, Arc<Semaphore>)> {
        let at_once = match of {
            ShareOf::User(_) => self.per_user,
            ShareOf::Network(_) => self.per_network,
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Share { turns: Arc::new(Semaphore::new(at_once)), calls: 0 };
        let share = taken.entry(of).or_insert_with(new);
        (share.calls < at_once + WAITING_MAX).then(|| {
            share.calls += 1;
            (InLine { of, taken: Arc::clone(&self.taken) }, Arc::clone(&share.turns))
        })
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = taken.get_mut(&self.of) {
            share.calls -= 1;
            if share.calls == 0 {
                taken.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tonic::Code;
    use uuid::Uuid;

    use super::*;

    const ONE: ShareOf = ShareOf::User(UserId(Uuid::from_u128(1)));
    const OTHER: ShareOf = ShareOf::User(UserId(Uuid::from_u128(2)));

    fn shares() -> Shares {
        Shares::new(&ConnectionLimits { stores_per_user_max: 2, ..ConnectionLimits::default() })
    }

    #[tokio::test]
    async fn a_caller_waits_for_its_own_calls_and_nobody_elses() {
        let shares = shares();
        let first = shares.turn(ONE).await.expect("a turn");
        let _second = shares.turn(ONE).await.expect("a turn");
        let mut third = Box::pin(shares.turn(ONE));
        assert!(third.as_mut().now_or_never().is_none(), "the share is taken");
        assert!(shares.turn(OTHER).now_or_never().is_some_and(|turn| turn.is_ok()), "another's is not");
        drop(first);
        assert!(third.now_or_never().is_some_and(|turn| turn.is_ok()));
    }

    #[tokio::test]
    async fn a_caller_with_too_many_calls_waiting_is_told_when_to_retry() {
        let shares = shares();
        let _running = [shares.turn(ONE).await.expect("a turn"), shares.turn(ONE).await.expect("a turn")];
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(shares.turn(ONE))).collect();
        assert!(waiting.iter_mut().all(|turn| turn.as_mut().now_or_never().is_none()));
        let refusal = shares.turn(ONE).await.err().expect("the line is full");
        assert_eq!(refusal.code(), Code::ResourceExhausted);
        waiting.pop();
        assert!(shares.turn(ONE).now_or_never().is_none(), "who goes away leaves a place");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_does_not_wait_forever() {
        let shares = shares();
        let _running = [shares.turn(ONE).await.expect("a turn"), shares.turn(ONE).await.expect("a turn")];
        assert_eq!(shares.turn(ONE).await.err().map(|refusal| refusal.code()), Some(Code::ResourceExhausted));
    }

    #[tokio::test]
    async fn a_share_that_nobody_uses_takes_no_memory() {
        let shares = shares();
        drop(shares.turn(ONE).await);
        assert!(shares.taken.lock().expect("no panic").is_empty());
    }
}
