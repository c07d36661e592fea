//! A connection of the pool, and the transactions on it.
//!
//! Statements that do not wait for each other's answers are sent together: the driver writes each when it is first polled,
//! and [`try_join!`] of the futures crate polls them in the order in which they are written here. Should one fail, Postgres
//! rolls back on the `COMMIT` behind it.

use std::time::Duration;

use futures::{FutureExt, try_join};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, Row, Statement};
use uuid::Uuid;

use crate::baselines::postgres::database;
use crate::baselines::postgres::statements::Statements;
use crate::load::Outcome;

/// How long a statement may run, lest a Postgres that hangs keep a rehearsal. The longest prepares 10,000 holds.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// What a seat costs.
pub(super) const PRICE_MINOR: i64 = 4_500;
/// How many seats a hold has.
pub(super) const SEATS_PER_HOLD: i64 = 2;
/// What a hold costs.
pub(super) const TOTAL_MINOR: i64 = PRICE_MINOR * SEATS_PER_HOLD;

/// Opens connections with everything prepared.
#[derive(Clone, Debug)]
pub(super) struct Manager {
    pub(super) config: Config,
}

/// A connection that has everything prepared.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) statements: Statements,
    /// Whether a transaction was begun and not ended; a call that failed or was given up leaves it so.
    pub(super) in_transaction: bool,
}

impl bb8::ManageConnection for Manager {
    type Connection = Connection;
    type Error = Error;

    async fn connect(&self) -> Result<Connection, Error> {
        let client = database::connect(&self.config).await?;
        client.batch_execute(&format!("SET statement_timeout = {}", STATEMENT_TIMEOUT.as_millis())).await?;
        let statements = Statements::prepare(&client).await?;
        Ok(Connection { client, statements, in_transaction: false })
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), Error> {
        connection.client.check_connection().await
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.client.is_closed() || connection.in_transaction
    }
}

/// What a fan wants to hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) reservation: Uuid,
    pub(super) fan: Uuid,
    pub(super) performance: Uuid,
    pub(super) slots: [i32; 2],
}

/// What a fan wants to pay for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payment {
    pub(super) id: Uuid,
    pub(super) reservation: Uuid,
    pub(super) fan: Uuid,
}

impl Connection {
    /// One row, one commit.
    pub(super) async fn commit_row(&mut self, row: i64) -> Result<Outcome, Error> {
        self.client.execute(&self.statements.commit_row, &[&row]).await?;
        Ok(Outcome::Success)
    }

    /// Holds seats, all or none, in two round trips.
    pub(super) async fn hold(&mut self, hold: &Hold) -> Result<Outcome, Error> {
        let Hold { reservation, fan, performance, slots } = hold;
        let slots = slots.as_slice();
        self.in_transaction = true;
        let (client, statements) = (&self.client, &self.statements);
        let ((), seats) =
            try_join!(client.batch_execute("BEGIN"), rows(client, &statements.lock_seats, [performance, &slots]))?;
        if seats.len() != slots.len() || !seats.iter().all(|seat| seat.get::<_, bool>(0)) {
            return Ok(self.refuse("SEATS_TAKEN"));
        }
        try_join!(
            change(client, &statements.reserve, [reservation, fan, performance, &TOTAL_MINOR]),
            change(client, &statements.reserve_seats, [reservation, &slots, &PRICE_MINOR]),
            change(client, &statements.hold_seats, [performance, &slots, reservation]),
            client.batch_execute("COMMIT"),
        )?;
        self.in_transaction = false;
        Ok(Outcome::Success)
    }

    /// Pays for a hold from the fan's wallet, in two round trips.
    pub(super) async fn pay(&mut self, wanted: &Payment) -> Result<Outcome, Error> {
        let Payment { id, reservation, fan } = wanted;
        self.in_transaction = true;
        let (client, statements) = (&self.client, &self.statements);
        let ((), reserved, wallet) = try_join!(
            client.batch_execute("BEGIN"),
            rows(client, &statements.lock_reservation, [reservation]),
            rows(client, &statements.lock_wallet, [fan]),
        )?;
        let Some(reserved) = reserved.first().filter(|row| row.get(0)) else {
            return Ok(self.refuse("RESERVATION_NOT_HELD"));
        };
        let (performance, total): (Uuid, i64) = (reserved.get(1), reserved.get(2));
        let balance = wallet.first().map_or(0, |row| row.get::<_, i64>(0)) - total;
        if balance < 0 {
            return Ok(self.refuse("INSUFFICIENT_BALANCE"));
        }
        try_join!(
            change(client, &statements.debit, [fan, &balance]),
            change(client, &statements.confirm, [reservation]),
            change(client, &statements.sell_seats, [&performance, reservation]),
            change(client, &statements.pay, [id, reservation, fan, &total]),
            change(client, &statements.enter, [id, fan, &performance, &total, &balance]),
            client.batch_execute("COMMIT"),
        )?;
        self.in_transaction = false;
        Ok(Outcome::Success)
    }

    /// Ends the transaction without waiting for Postgres to say so, as the driver's own transactions do when dropped:
    /// whoever uses the connection next is served after it.
    fn refuse(&mut self, reason: &str) -> Outcome {
        if self.client.batch_execute("ROLLBACK").now_or_never().is_none() {
            self.in_transaction = false;
        }
        Outcome::Refused(reason.to_owned())
    }
}

/// The rows that a statement finds. It owns its parameters, so that it can be named before it is polled.
pub(super) async fn rows<const N: usize>(
    client: &Client,
    statement: &Statement,
    parameters: [&(dyn ToSql + Sync); N],
) -> Result<Vec<Row>, Error> {
    client.query(statement, &parameters).await
}

/// What a statement changes; how many rows is known from the locks.
pub(super) async fn change<const N: usize>(
    client: &Client,
    statement: &Statement,
    parameters: [&(dyn ToSql + Sync); N],
) -> Result<(), Error> {
    client.execute(statement, &parameters).await.map(drop)
}
