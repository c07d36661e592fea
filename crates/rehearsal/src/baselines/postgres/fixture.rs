//! What a measurement is about: seats, holds and wallets that no other one knows.

use std::ops::Range;

use tokio_postgres::Error;
use uuid::Uuid;

use crate::baselines::postgres::connection::{Connection, Hold, PRICE_MINOR, Payment, TOTAL_MINOR};

/// How many holds are prepared in one go. A rehearsal that is told to stop waits for one.
pub(super) const HOLDS_PER_FILL: u64 = 10_000;
/// What is in a wallet before the payment.
pub(super) const WALLET_MINOR: i64 = 100_000;

const FREE_SEATS: &str = "\
    INSERT INTO seats (performance_id, slot)
    SELECT $1, slot FROM generate_series($2::integer, $3::integer) AS slot";
const HOLDS: &str = "\
    INSERT INTO reservations (id, user_id, performance_id, total_minor, state, held_at, expires_at)
    SELECT id, fan, $3, $4, 'held', now(), now() + interval '1 day' FROM unnest($1::uuid[], $2::uuid[]) AS held (id, fan)";
const HELD_SEATS: &str = "\
    WITH held AS (
        SELECT id, ($3::integer + 2 * (place - 1) + seat)::integer AS slot
        FROM unnest($1::uuid[]) WITH ORDINALITY AS reservation (id, place), generate_series(0, 1) AS seat
    ), listed AS (
        INSERT INTO reservation_seats (reservation_id, slot, price_minor) SELECT id, slot, $4 FROM held
    )
    INSERT INTO seats (performance_id, slot, state, reservation_id) SELECT $2, slot, 'held', id FROM held";
const WALLETS: &str = "INSERT INTO wallets (user_id, balance_minor) SELECT fan, $2 FROM unnest($1::uuid[]) AS fan";

/// The ids of a measurement. They rise with the number of the call, as time-ordered ones do, so that calls that are near
/// in time share pages of the indexes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixture {
    number: u32,
}

/// What a fixture is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// Seats that can be held.
    FreeSeats,
    /// Seats that are held, and a wallet for each hold.
    HeldSeats,
}

impl Fixture {
    pub(super) fn new(number: u32) -> Self {
        Self { number }
    }

    pub(super) fn performance(self) -> Uuid {
        self.id(1, 0)
    }

    fn reservation(self, number: u64) -> Uuid {
        self.id(2, number)
    }

    fn fan(self, number: u64) -> Uuid {
        self.id(3, number)
    }

    /// The row of a commit.
    pub(super) fn row(self, number: u64) -> i64 {
        (i64::from(self.number) << 40) | i64::try_from(number).unwrap_or(i64::MAX)
    }

    /// A hold by one caller of the seats that were prepared for one of them.
    pub(super) fn hold(self, caller: u64, seats: u64) -> Hold {
        Hold {
            reservation: self.reservation(caller),
            fan: self.fan(caller),
            performance: self.performance(),
            slots: [slot(2 * seats), slot(2 * seats + 1)],
        }
    }

    /// The payment for a hold that was prepared.
    pub(super) fn payment(self, number: u64) -> Payment {
        Payment { id: self.id(4, number), reservation: self.reservation(number), fan: self.fan(number) }
    }

    fn id(self, kind: u32, number: u64) -> Uuid {
        Uuid::from_u128((u128::from(self.number) << 96) | (u128::from(kind) << 64) | u128::from(number))
    }
}

fn slot(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

impl Connection {
    /// Prepares what these holds or payments need.
    pub(super) async fn fill(&self, fixture: Fixture, fill: Fill, holds: Range<u64>) -> Result<(), Error> {
        let (client, performance) = (&self.client, fixture.performance());
        let first = slot(2 * holds.start);
        match fill {
            Fill::FreeSeats => {
                let last = slot((2 * holds.end).saturating_sub(1));
                client.execute(FREE_SEATS, &[&performance, &first, &last]).await?;
            }
            Fill::HeldSeats => {
                let ids: Vec<Uuid> = holds.clone().map(|number| fixture.reservation(number)).collect();
                let fans: Vec<Uuid> = holds.map(|number| fixture.fan(number)).collect();
                client.execute(HOLDS, &[&ids, &fans, &performance, &TOTAL_MINOR]).await?;
                client.execute(HELD_SEATS, &[&ids, &performance, &first, &PRICE_MINOR]).await?;
                client.execute(WALLETS, &[&fans, &WALLET_MINOR]).await?;
            }
        }
        Ok(())
    }

    /// Updates the statistics of the planner, and marks new rows as visible, as they would be in a database that lives.
    /// A table that is still empty is left out: the planner would remember that it is.
    pub(super) async fn settle(&self, fill: Fill) -> Result<(), Error> {
        let tables = match fill {
            Fill::FreeSeats => "seats",
            Fill::HeldSeats => "seats, reservations, reservation_seats, wallets",
        };
        self.client.batch_execute(&format!("VACUUM (ANALYZE) {tables}")).await
    }

    /// The settings that are off without which Postgres may forget what it confirmed.
    pub(super) async fn forgetful(&self) -> Result<Vec<&'static str>, Error> {
        let mut off = Vec::new();
        for setting in ["fsync", "synchronous_commit"] {
            let row = self.client.query_one(&format!("SHOW {setting}"), &[]).await?;
            if row.get::<_, &str>(0) == "off" {
                off.push(setting);
            }
        }
        Ok(off)
    }
}
