//! What Postgres does without Encore: in a database of its own, with the same driver as Encore's and a pool of the same
//! size.

mod connection;
mod database;
mod fixture;
mod pool;
mod statements;
#[cfg(test)]
mod tests;
mod unlocked;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use bb8::RunError;
use tokio::time::timeout;
use tokio_postgres::Error;
use uuid::Uuid;

use crate::baselines::locks::RedisLocks;
use crate::baselines::postgres::connection::{Hold, Payment};
use crate::baselines::postgres::database::OwnDatabase;
use crate::baselines::postgres::fixture::{Fill, Fixture, HOLDS_PER_FILL};
use crate::baselines::postgres::pool::FairPool;
use crate::baselines::postgres::unlocked::Tried;
use crate::baselines::{BaselineError, Kind, Way};
use crate::load::drive::pass_on;
use crate::load::{Counted, Load, Outcome, Paced, Saturated};

/// How long it may take to make the database.
const CREATE_PATIENCE: Duration = Duration::from_secs(10);
/// How many holds or payments are prepared for each second of a measurement. One that runs out of them ends early.
const PREPARED_PER_SECOND: u64 = 10_000;
/// How many are prepared at most. By then a rate is known, and preparing them has taken some seconds.
const PREPARED_MAX: u64 = 200_000;
/// What all sentences about these baselines end with.
const FAVOUR: &str =
    "It talks to Postgres directly, with no gRPC, log-in, idempotency or events in between, which favours it.";

/// A database of the baselines' own, dropped by [`close`](Self::close) or with this value.
#[derive(Debug)]
pub struct PostgresBaselines {
    pool: FairPool,
    database: OwnDatabase,
    /// Settings by which Postgres may forget what it confirmed.
    forgetful: Vec<&'static str>,
    /// How many measurements were begun. Each has its own performance and ids.
    fixtures: AtomicU32,
    /// Where there are locks in Redis.
    locks: Option<RedisLocks>,
    tried_again: Arc<TriedAgain>,
}

/// How often those who lock nothing were late and tried again.
#[derive(Debug, Default)]
struct TriedAgain {
    hold: AtomicU64,
    pay: AtomicU64,
    contend: AtomicU64,
}

impl TriedAgain {
    /// Those of a baseline, if it tries again.
    fn of(&self, kind: Kind) -> Option<&AtomicU64> {
        match kind {
            Kind::Hold(Way::Optimistic) => Some(&self.hold),
            Kind::Pay(Way::Optimistic) => Some(&self.pay),
            Kind::Contend(Way::Optimistic, _) => Some(&self.contend),
            Kind::Hold(Way::ForUpdate | Way::RedisLock)
            | Kind::Pay(Way::ForUpdate | Way::RedisLock)
            | Kind::Contend(Way::ForUpdate | Way::RedisLock, _)
            | Kind::Transport
            | Kind::Redis
            | Kind::Commits => None,
        }
    }
}

impl PostgresBaselines {
    /// Makes the database on the server that this URL names, for a user who may do so, and opens all connections of the
    /// pool. Connections are not encrypted.
    pub async fn connect(url: &str, pool_size: u32) -> Result<Self, BaselineError> {
        let url = url.to_owned();
        // In a task of its own, so that whoever gives up waiting leaves no database behind that was just being made.
        let database = tokio::spawn(async move { timeout(CREATE_PATIENCE, OwnDatabase::create(&url)).await }).await;
        // It is never aborted, unless the whole runtime ends.
        let database = pass_on(database).and_then(Result::ok).ok_or(BaselineError::NoConnection)??;
        let pool = FairPool::connect(database.config(), pool_size).await?;
        let mut baselines = Self {
            pool,
            database,
            forgetful: Vec::new(),
            fixtures: AtomicU32::new(0),
            locks: None,
            tried_again: Arc::default(),
        };
        baselines.forgetful = baselines.pool.get().await?.forgetful().await?;
        Ok(baselines)
    }

    /// From now on it can also lock in this Redis.
    pub async fn lock_in_redis(&mut self, url: &str) -> Result<(), BaselineError> {
        self.locks = Some(RedisLocks::connect(url).await?);
        Ok(())
    }

    /// What a baseline does, in sentences; none for one that is not on Postgres, or that locks in Redis where there is none.
    pub fn about(&self, kind: Kind) -> Option<String> {
        if kind.is_under_redis_locks() && self.locks.is_none() {
            return None;
        }
        let what = match kind {
            Kind::Commits => "Inserts one row, durably".to_owned(),
            Kind::Hold(way) => format!("Holds two free seats, which nobody else wants, {}", how(way)),
            Kind::Pay(way) => {
                format!("Pays for a hold of two seats from a wallet, with two entries in the ledger, {}", how(way))
            }
            Kind::Contend(way, callers) => format!(
                "Holds the same two seats for {callers} callers at once, {}; all but one are refused, and waiting for a connection \
                 counts",
                how(way)
            ),
            Kind::Transport | Kind::Redis => return None,
        };
        let mut about = vec![format!("{what}, over a pool of {} connections.", self.pool.size()), FAVOUR.to_owned()];
        about.extend(self.tried_again.of(kind).map(|times| {
            format!(
                "In all slices somebody was faster {} times, and it was tried again.",
                times.load(Ordering::Relaxed)
            )
        }));
        about.extend(self.forgetful.iter().map(|setting| {
            format!("Here {setting} is off, so a confirmed write may be lost: these figures are too good.")
        }));
        Some(about.join(" "))
    }

    /// How many rows Postgres inserts, each committed by itself.
    pub async fn commits(&self, load: &Load, saturated: Saturated) -> Counted {
        let (pool, fixture) = (self.pool.clone(), self.next_fixture());
        let committing = load.closed_loop(saturated, move |number| {
            let pool = pool.clone();
            async move {
                let committing = async { Ok(pool.get().await?.commit_row(fixture.row(number)).await?) };
                outcome(committing.await)
            }
        });
        committing.await
    }

    /// How many holds of two seats there are, each for other seats.
    pub async fn hold(&self, way: Way, load: &Load, saturated: Saturated) -> Result<Counted, BaselineError> {
        let fixture = self.next_fixture();
        let calls_max = self.fill(load, fixture, prepared(saturated), Fill::FreeSeats).await?;
        let caller = self.caller(way, |tried_again| &tried_again.hold);
        let holding = load.closed_loop(Saturated { calls_max, ..saturated }, move |number| {
            let caller = caller.clone();
            async move { caller.hold(&fixture.hold(number, number)).await }
        });
        Ok(holding.await)
    }

    /// How many holds are paid for, each by another fan.
    pub async fn pay(&self, way: Way, load: &Load, saturated: Saturated) -> Result<Counted, BaselineError> {
        let fixture = self.next_fixture();
        let calls_max = self.fill(load, fixture, prepared(saturated), Fill::HeldSeats).await?;
        let caller = self.caller(way, |tried_again| &tried_again.pay);
        let paying = load.closed_loop(Saturated { calls_max, ..saturated }, move |number| {
            let caller = caller.clone();
            async move { caller.pay(&fixture.payment(number)).await }
        });
        Ok(paying.await)
    }

    /// How fast as many callers are answered who want the same two seats in the same instant. One gets them.
    pub async fn contend(&self, way: Way, load: &Load, callers: u64) -> Result<Counted, BaselineError> {
        let fixture = self.next_fixture();
        self.fill(load, fixture, 1, Fill::FreeSeats).await?;
        let caller = self.caller(way, |tried_again| &tried_again.contend);
        let contending = load.open_loop(Paced::at_once(callers), move |number| {
            let caller = caller.clone();
            async move { caller.hold(&fixture.hold(number, 0)).await }
        });
        Ok(contending.await)
    }

    /// Drops the database.
    pub async fn close(&self) -> Result<(), BaselineError> {
        Ok(self.database.drop_now().await?)
    }

    fn caller(&self, way: Way, tried_again: fn(&TriedAgain) -> &AtomicU64) -> PostgresCaller {
        let (pool, locks, all) = (self.pool.clone(), self.locks.clone(), Arc::clone(&self.tried_again));
        PostgresCaller { way, pool, locks, all, tried_again }
    }

    fn next_fixture(&self) -> Fixture {
        Fixture::new(self.fixtures.fetch_add(1, Ordering::Relaxed))
    }

    /// Prepares holds or payments, and says how many there are: fewer if the load is told to stop meanwhile.
    async fn fill(&self, load: &Load, fixture: Fixture, count: u64, fill: Fill) -> Result<u64, BaselineError> {
        let connection = self.pool.get().await?;
        let mut filled = 0;
        while filled < count && !load.stop.is_cancelled() {
            let end = count.min(filled + HOLDS_PER_FILL);
            connection.fill(fixture, fill, filled..end).await?;
            filled = end;
        }
        connection.settle(fill).await?;
        Ok(filled)
    }
}

/// Who holds and pays in one way.
#[derive(Clone)]
struct PostgresCaller {
    way: Way,
    pool: FairPool,
    locks: Option<RedisLocks>,
    all: Arc<TriedAgain>,
    tried_again: fn(&TriedAgain) -> &AtomicU64,
}

impl PostgresCaller {
    async fn hold(&self, wanted: &Hold) -> Outcome {
        match self.way {
            Way::ForUpdate => outcome(async { Ok(self.pool.get().await?.hold(wanted).await?) }.await),
            Way::Optimistic => self.hold_unlocked(wanted).await,
            Way::RedisLock => {
                let seats = wanted.slots.map(|slot| format!("seat:{}:{slot}", wanted.performance));
                self.locked(wanted.reservation, &seats, self.hold_unlocked(wanted)).await
            }
        }
    }

    async fn pay(&self, wanted: &Payment) -> Outcome {
        match self.way {
            Way::ForUpdate => outcome(async { Ok(self.pool.get().await?.pay(wanted).await?) }.await),
            Way::Optimistic => self.pay_unlocked(wanted).await,
            Way::RedisLock => {
                let both = [format!("reservation:{}", wanted.reservation), format!("wallet:{}", wanted.fan)];
                self.locked(wanted.id, &both, self.pay_unlocked(wanted)).await
            }
        }
    }

    async fn hold_unlocked(&self, wanted: &Hold) -> Outcome {
        self.count(async { Ok(self.pool.get().await?.hold_unlocked(wanted).await?) }.await)
    }

    async fn pay_unlocked(&self, wanted: &Payment) -> Outcome {
        self.count(async { Ok(self.pool.get().await?.pay_unlocked(wanted).await?) }.await)
    }

    fn count(&self, tried: Result<Tried, RunError<Error>>) -> Outcome {
        outcome(tried.map(|(outcome, again)| {
            (self.tried_again)(&self.all).fetch_add(again, Ordering::Relaxed);
            outcome
        }))
    }

    /// Does something under locks in Redis. Who does not get them is refused at once, before Postgres is asked.
    async fn locked(&self, owner: Uuid, things: &[String; 2], what: impl Future<Output = Outcome>) -> Outcome {
        let unreachable = || Outcome::Failed("Redis".to_owned());
        let Some(locks) = &self.locks else { return unreachable() };
        match locks.lock(owner, things).await {
            Ok(true) => {}
            Ok(false) => return Outcome::Refused("LOCKED".to_owned()),
            Err(_) => return unreachable(),
        }
        let done = what.await;
        // A lock that is not given up ends by itself.
        let _ = locks.unlock(owner, things).await;
        done
    }
}

/// How a way works, as the end of a sentence.
fn how(way: Way) -> &'static str {
    match way {
        Way::ForUpdate => "in a transaction of two round trips that locks the rows with SELECT … FOR UPDATE",
        Way::Optimistic => {
            "after a read without locks, in a transaction that changes the rows if their versions are still those that were read; if \
             not, it is tried again, up to ten times"
        }
        Way::RedisLock => {
            "under a lock in Redis for each thing (SET NX PX, given up by a script), around the transaction of the way `optimistic`; who \
             does not get the locks is refused at once. A lock that ends too early or is lost in a failover excludes nobody, so the \
             versions are compared all the same"
        }
    }
}

/// How many holds or payments a load may need.
fn prepared(saturated: Saturated) -> u64 {
    let millis = u64::try_from(saturated.lasts.as_millis()).unwrap_or(u64::MAX);
    let wanted = millis.saturating_mul(PREPARED_PER_SECOND) / 1_000;
    wanted.min(PREPARED_MAX).min(saturated.calls_max)
}

/// A failure is sorted by the code that Postgres gave it.
fn outcome(answer: Result<Outcome, RunError<Error>>) -> Outcome {
    answer.unwrap_or_else(|error| match error {
        RunError::User(error) => Outcome::Failed(error.code().map_or("Connection", |code| code.code()).to_owned()),
        RunError::TimedOut => Outcome::given_up(),
    })
}
