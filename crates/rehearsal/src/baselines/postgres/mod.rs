//! What Postgres does without Encore: in a database of its own, with the same driver as Encore's and a pool of the same
//! size.

mod connection;
mod database;
mod fixture;
mod pool;
mod statements;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bb8::RunError;
use tokio::time::timeout;
use tokio_postgres::Error;

use crate::baselines::postgres::database::OwnDatabase;
use crate::baselines::postgres::fixture::{Fill, Fixture, HOLDS_PER_FILL};
use crate::baselines::postgres::pool::FairPool;
use crate::baselines::{BaselineError, Kind};
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
        let mut baselines = Self { pool, database, forgetful: Vec::new(), fixtures: AtomicU32::new(0) };
        baselines.forgetful = baselines.pool.get().await?.forgetful().await?;
        Ok(baselines)
    }

    /// What a baseline does, in sentences; none for one that is not on Postgres.
    pub fn about(&self, kind: Kind) -> Option<String> {
        let what = match kind {
            Kind::Commits => "Inserts one row, durably".to_owned(),
            Kind::HoldForUpdate => {
                "Holds two free seats, which nobody else wants, in a transaction of two round trips that locks their \
                                    rows with SELECT … FOR UPDATE"
                    .to_owned()
            }
            Kind::PayForUpdate => {
                "Pays for a hold of two seats from a wallet, with two entries in the ledger, in a transaction of two \
                                   round trips that locks reservation and wallet with SELECT … FOR UPDATE"
                    .to_owned()
            }
            Kind::ContendForUpdate(callers) => format!(
                "Holds the same two seats for {callers} callers at once, in a transaction that locks their rows with SELECT … FOR \
                 UPDATE; all but one are refused, and waiting for a connection counts"
            ),
            Kind::Transport | Kind::Redis => return None,
        };
        let mut about = vec![format!("{what}, over a pool of {} connections.", self.pool.size()), FAVOUR.to_owned()];
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
    pub async fn hold(&self, load: &Load, saturated: Saturated) -> Result<Counted, BaselineError> {
        let fixture = self.next_fixture();
        let calls_max = self.fill(load, fixture, prepared(saturated), Fill::FreeSeats).await?;
        let pool = self.pool.clone();
        let holding = load.closed_loop(Saturated { calls_max, ..saturated }, move |number| {
            let pool = pool.clone();
            async move { hold(&pool, fixture, number, number).await }
        });
        Ok(holding.await)
    }

    /// How many holds are paid for, each by another fan.
    pub async fn pay(&self, load: &Load, saturated: Saturated) -> Result<Counted, BaselineError> {
        let fixture = self.next_fixture();
        let calls_max = self.fill(load, fixture, prepared(saturated), Fill::HeldSeats).await?;
        let pool = self.pool.clone();
        let paying = load.closed_loop(Saturated { calls_max, ..saturated }, move |number| {
            let pool = pool.clone();
            async move {
                let paying = async { Ok(pool.get().await?.pay(&fixture.payment(number)).await?) };
                outcome(paying.await)
            }
        });
        Ok(paying.await)
    }

    /// How fast as many callers are answered who want the same two seats in the same instant. One gets them.
    pub async fn contend(&self, load: &Load, callers: u64) -> Result<Counted, BaselineError> {
        let fixture = self.next_fixture();
        self.fill(load, fixture, 1, Fill::FreeSeats).await?;
        let pool = self.pool.clone();
        let contending = load.open_loop(Paced::at_once(callers), move |number| {
            let pool = pool.clone();
            async move { hold(&pool, fixture, number, 0).await }
        });
        Ok(contending.await)
    }

    /// Drops the database.
    pub async fn close(&self) -> Result<(), BaselineError> {
        Ok(self.database.drop_now().await?)
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

/// Holds the seats of one hold of the fixture in the name of another.
async fn hold(pool: &FairPool, fixture: Fixture, caller: u64, seats: u64) -> Outcome {
    let holding = async { Ok(pool.get().await?.hold(&fixture.hold(caller, seats)).await?) };
    outcome(holding.await)
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
