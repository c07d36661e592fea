//! The order in which passwords are hashed. A hash takes a core for tens of milliseconds, and anybody may ask for one, so turns go
//! round: from address to address, and within an address from account to account. Who asks for much waits for itself.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How many callers may wait per hash at once: about four seconds of work, after which most callers have timed out.
const WAITING_PER_TURN_MAX: usize = 64;

type Address = Option<IpAddr>;

/// Gives out turns. Clones share them.
#[derive(Clone)]
pub(super) struct HashingTurns(Arc<Mutex<Turns>>);

struct Turns {
    free: usize,
    waiting_max: usize,
    waiting: usize,
    next_id: u64,
    /// The addresses that wait, in the order of their next turns.
    order: VecDeque<Address>,
    by_address: HashMap<Address, OfAddress>,
}

/// The callers from one address that wait.
#[derive(Default)]
struct OfAddress {
    waiting: usize,
    /// The accounts that wait, in the order of their next turns.
    order: VecDeque<String>,
    by_account: HashMap<String, VecDeque<Waiting>>,
}

struct Waiting {
    id: u64,
    call: oneshot::Sender<Turn>,
}

/// A turn. The next caller's begins when this is dropped.
pub(super) struct Turn(Option<HashingTurns>);

/// As many callers wait as may, and this one had more waiting than others.
#[derive(Debug)]
pub(super) struct TooManyWaiting;

/// A place in the order, which is left when this is dropped.
struct WaitingCall {
    turns: HashingTurns,
    address: Address,
    account: String,
    id: u64,
}

impl HashingTurns {
    /// So many turns at once (at least one).
    pub(super) fn new(at_once: usize) -> Self {
        let free = at_once.max(1);
        Self(Arc::new(Mutex::new(Turns {
            free,
            waiting_max: free.saturating_mul(WAITING_PER_TURN_MAX),
            waiting: 0,
            next_id: 0,
            order: VecDeque::new(),
            by_address: HashMap::new(),
        })))
    }

    /// Waits for a turn. When too many wait, the last of whoever has the most waiting gives way.
    pub(super) async fn turn(&self, address: Address, account: &str) -> Result<Turn, TooManyWaiting> {
        let (place, called) = {
            let mut turns = self.lock();
            if turns.free > 0 && turns.waiting == 0 {
                turns.free -= 1;
                return Ok(Turn(Some(self.clone())));
            }
            if turns.waiting >= turns.waiting_max && !turns.gives_way(address, account) {
                return Err(TooManyWaiting);
            }
            let (call, called) = oneshot::channel();
            let id = turns.enter(address, account, call);
            (WaitingCall { turns: self.clone(), address, account: account.to_owned(), id }, called)
        };
        let turn = called.await.map_err(|_| TooManyWaiting);
        drop(place);
        turn
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a turn on to the next who waits.
    fn pass_on(&self) {
        loop {
            let next = {
                let mut turns = self.lock();
                let next = turns.pop();
                if next.is_none() {
                    turns.free += 1;
                }
                next
            };
            let Some(next) = next else { return };
            match next.call.send(Turn(Some(self.clone()))) {
                Ok(()) => return,
                // The caller has gone. Its turn must not come back here when it is dropped.
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

impl Turns {
    fn enter(&mut self, address: Address, account: &str, call: oneshot::Sender<Turn>) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.waiting += 1;
        let of_address = self.by_address.entry(address).or_default();
        if of_address.waiting == 0 {
            self.order.push_back(address);
        }
        of_address.waiting += 1;
        if !of_address.by_account.contains_key(account) {
            of_address.order.push_back(account.to_owned());
        }
        of_address.by_account.entry(account.to_owned()).or_default().push_back(Waiting { id, call });
        id
    }

    /// The caller whose turn is next.
    fn pop(&mut self) -> Option<Waiting> {
        let address = self.order.pop_front()?;
        let of_address = self.by_address.get_mut(&address)?;
        let account = of_address.order.pop_front()?;
        let next = of_address.by_account.get_mut(&account).and_then(VecDeque::pop_front);
        self.order.push_back(address);
        of_address.order.push_back(account.clone());
        if next.is_some() {
            self.waiting -= 1;
            of_address.waiting -= 1;
        }
        self.forget_empty(address, &account);
        next
    }

    /// Makes place for a caller, if somebody else has more waiting. Who gives way is told so.
    fn gives_way(&mut self, address: Address, account: &str) -> bool {
        let waiting_of = |of: &OfAddress, account: &str| of.by_account.get(account).map_or(0, VecDeque::len);
        let own = self.by_address.get(&address);
        let (own_waiting, own_of_account) = own.map_or((0, 0), |of| (of.waiting, waiting_of(of, account)));
        let Some((busiest, of)) = self.by_address.iter().max_by_key(|(_, of)| of.waiting) else { return false };
        let Some(longest) = of.order.iter().max_by_key(|account| waiting_of(of, account)) else { return false };
        let gives_way = if of.waiting > own_waiting + 1 {
            true
        } else {
            *busiest == address && waiting_of(of, longest) > own_of_account + 1
        };
        let (busiest, longest) = (*busiest, longest.clone());
        if gives_way {
            let last = self.by_address.get_mut(&busiest).and_then(|of| of.by_account.get_mut(&longest)?.back());
            if let Some(id) = last.map(|last| last.id) {
                self.remove(busiest, &longest, id);
            }
        }
        gives_way
    }

    fn remove(&mut self, address: Address, account: &str, id: u64) {
        let Some(of_address) = self.by_address.get_mut(&address) else { return };
        let Some(waiting) = of_address.by_account.get_mut(account) else { return };
        let before = waiting.len();
        waiting.retain(|it| it.id != id);
        let removed = before - waiting.len();
        self.waiting -= removed;
        of_address.waiting -= removed;
        self.forget_empty(address, account);
    }

    fn forget_empty(&mut self, address: Address, account: &str) {
        let Some(of_address) = self.by_address.get_mut(&address) else { return };
        if of_address.by_account.get(account).is_some_and(VecDeque::is_empty) {
            of_address.by_account.remove(account);
            of_address.order.retain(|it| it != account);
        }
        if of_address.waiting == 0 {
            self.by_address.remove(&address);
            self.order.retain(|it| *it != address);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

impl Drop for WaitingCall {
    fn drop(&mut self) {
        self.turns.lock().remove(self.address, &self.account, self.id);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::*;

    type Waiter = BoxFuture<'static, Result<Turn, TooManyWaiting>>;

    #[expect(clippy::unnecessary_wraps, reason = "callers may have no address")]
    fn address(last: u8) -> Address {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    fn waiter(turns: &HashingTurns, from: u8, account: &str) -> Waiter {
        let (turns, account) = (turns.clone(), account.to_owned());
        let mut waiter: Waiter = Box::pin(async move { turns.turn(address(from), &account).await });
        assert!(waiter.as_mut().now_or_never().is_none(), "it waits");
        waiter
    }

    fn assert_nobody_waits(turns: &HashingTurns) {
        let turns = turns.lock();
        assert_eq!((turns.free, turns.waiting, turns.by_address.len(), turns.order.len()), (1, 0, 0, 0));
    }

    /// Which waiters have had their turns, in order, when the running turn ends and each turn ends at once.
    async fn served(running: Turn, waiters: Vec<(&'static str, Waiter)>) -> Vec<&'static str> {
        let order = Arc::new(Mutex::new(Vec::new()));
        let all = futures::future::join_all(waiters.into_iter().map(|(name, waiter)| {
            let order = Arc::clone(&order);
            async move {
                let turn = waiter.await.expect("a turn");
                order.lock().expect("no panic").push(name);
                drop(turn);
            }
        }));
        drop(running);
        all.await;

        order.lock().expect("no panic").clone()
    }

    #[tokio::test]
    async fn turns_go_from_address_to_address_and_from_account_to_account() {
        let turns = HashingTurns::new(1);
        let running = turns.turn(address(9), "x").await.expect("free");
        let mut waiters: Vec<_> = (0..5).map(|_| ("flood", waiter(&turns, 1, "operator"))).collect();
        waiters.push(("same address", waiter(&turns, 1, "honest")));
        waiters.push(("other address", waiter(&turns, 2, "honest")));
        let order = served(running, waiters).await;
        assert_eq!(order[..4], ["flood", "other address", "same address", "flood"]);
        assert_eq!(order.len(), 7);
        assert_nobody_waits(&turns);
    }

    #[tokio::test]
    async fn who_has_the_most_waiting_gives_way_when_too_many_wait() {
        let turns = HashingTurns::new(1);
        let running = turns.turn(address(9), "x").await.expect("free");
        let mut flood: Vec<_> = (0..WAITING_PER_TURN_MAX).map(|_| waiter(&turns, 1, "operator")).collect();
        let one_more = turns.turn(address(1), "operator").now_or_never();
        assert!(one_more.is_some_and(|turn| turn.is_err()), "nobody else has more");
        let honest = [waiter(&turns, 2, "honest"), waiter(&turns, 1, "honest")];
        let gave_way = flood.split_off(WAITING_PER_TURN_MAX - 2);
        assert!(gave_way.into_iter().all(|waiter| waiter.now_or_never().is_some_and(|turn| turn.is_err())));
        let mut waiters: Vec<_> = flood.into_iter().map(|waiter| ("flood", waiter)).collect();
        waiters.extend(honest.map(|waiter| ("honest", waiter)));
        let order = served(running, waiters).await;
        assert_eq!(order[1..3], ["honest", "honest"], "after one turn of the flood each has had one");
        assert_eq!(order.len(), WAITING_PER_TURN_MAX);
    }

    #[tokio::test]
    async fn who_goes_away_leaves_the_place_and_passes_the_turn_on() {
        let turns = HashingTurns::new(1);
        let running = turns.turn(address(9), "x").await.expect("free");
        let gone = waiter(&turns, 1, "gone");
        let mut late = waiter(&turns, 1, "late");
        drop(gone);
        assert_eq!(turns.lock().waiting, 1);
        drop(running);
        // The turn was given to a caller who goes away without having looked.
        drop(late.as_mut().now_or_never().expect("its turn"));
        let unseen = turns.turn(address(1), "x").await.expect("free");
        let never_polled_again = waiter(&turns, 2, "y");
        drop(unseen);
        drop(never_polled_again);
        assert_nobody_waits(&turns);
    }
}
