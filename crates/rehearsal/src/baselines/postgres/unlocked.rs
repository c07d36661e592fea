//! Holds and payments that take no row locks: what was read is compared with what is there when it is written.

use futures::try_join;
use tokio_postgres::Error;
use uuid::Uuid;

use crate::baselines::postgres::connection::{Connection, Hold, PRICE_MINOR, Payment, TOTAL_MINOR, change, rows};
use crate::load::Outcome;

/// How often somebody may be faster before the fan is refused.
const TRIES_MAX: u64 = 10;

/// What became of a call, and how often it was tried again.
pub(super) type Tried = (Outcome, u64);

impl Connection {
    /// Holds seats, all or none, if nobody changed them since they were read. Three round trips a try.
    pub(super) async fn hold_unlocked(&mut self, hold: &Hold) -> Result<Tried, Error> {
        for again in 0..TRIES_MAX {
            if let Some(outcome) = self.try_hold(hold).await? {
                return Ok((outcome, again));
            }
        }
        Ok((Outcome::Refused("TOO_MANY_TRIES".to_owned()), TRIES_MAX))
    }

    /// Pays for a hold from the fan's wallet, if neither changed since they were read. Three round trips a try.
    pub(super) async fn pay_unlocked(&mut self, wanted: &Payment) -> Result<Tried, Error> {
        for again in 0..TRIES_MAX {
            if let Some(outcome) = self.try_pay(wanted).await? {
                return Ok((outcome, again));
            }
        }
        Ok((Outcome::Refused("TOO_MANY_TRIES".to_owned()), TRIES_MAX))
    }

    /// None if somebody was faster.
    async fn try_hold(&mut self, hold: &Hold) -> Result<Option<Outcome>, Error> {
        let Hold { reservation, fan, performance, slots } = hold;
        let slots = slots.as_slice();
        let (client, statements) = (&self.client, &self.statements);
        let seats = rows(client, &statements.read_seats, [performance, &slots]).await?;
        if seats.len() != slots.len() || !seats.iter().all(|seat| seat.get::<_, bool>(0)) {
            return Ok(Some(Outcome::Refused("SEATS_TAKEN".to_owned())));
        }
        let seen: Vec<i32> = seats.iter().map(|seat| seat.get(1)).collect();
        self.in_transaction = true;
        let ((), (), (), held) = try_join!(
            client.batch_execute("BEGIN"),
            change(client, &statements.reserve, [reservation, fan, performance, &TOTAL_MINOR]),
            change(client, &statements.reserve_seats, [reservation, &slots, &PRICE_MINOR]),
            rows(client, &statements.hold_seen_seats, [performance, &slots, reservation, &seen]),
        )?;
        self.end(held.len() == slots.len()).await
    }

    /// None if somebody was faster.
    async fn try_pay(&mut self, wanted: &Payment) -> Result<Option<Outcome>, Error> {
        let Payment { id, reservation, fan } = wanted;
        let (client, statements) = (&self.client, &self.statements);
        let (reserved, wallet) = try_join!(
            rows(client, &statements.read_reservation, [reservation]),
            rows(client, &statements.read_wallet, [fan]),
        )?;
        let Some(reserved) = reserved.first().filter(|row| row.get(0)) else {
            return Ok(Some(Outcome::Refused("RESERVATION_NOT_HELD".to_owned())));
        };
        let (performance, total, seen): (Uuid, i64, i32) = (reserved.get(1), reserved.get(2), reserved.get(3));
        let (balance, seen_wallet) = wallet.first().map_or((0, 0), |row| (row.get::<_, i64>(0), row.get::<_, i32>(1)));
        let left = balance - total;
        if left < 0 {
            return Ok(Some(Outcome::Refused("INSUFFICIENT_BALANCE".to_owned())));
        }
        self.in_transaction = true;
        let ((), debited, confirmed, (), (), ()) = try_join!(
            client.batch_execute("BEGIN"),
            rows(client, &statements.debit_seen, [fan, &left, &seen_wallet]),
            rows(client, &statements.confirm_seen, [reservation, &seen]),
            change(client, &statements.sell_seats, [&performance, reservation]),
            change(client, &statements.pay, [id, reservation, fan, &total]),
            change(client, &statements.enter, [id, fan, &performance, &total, &left]),
        )?;
        self.end(debited.len() == 1 && confirmed.len() == 1).await
    }

    /// Commits, or rolls back what somebody else was faster with.
    async fn end(&mut self, is_whole: bool) -> Result<Option<Outcome>, Error> {
        self.client.batch_execute(if is_whole { "COMMIT" } else { "ROLLBACK" }).await?;
        self.in_transaction = false;
        Ok(is_whole.then_some(Outcome::Success))
    }
}
