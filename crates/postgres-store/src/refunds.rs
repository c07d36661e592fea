use std::convert::Infallible;

use async_trait::async_trait;
use diesel::QueryResult;
use diesel_async::{AsyncConnection, AsyncPgConnection};
use encore_domain::booking::{Reservation, ReservationState};
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::PaymentId;
use encore_domain::payment::card::CardPayment;
use encore_domain::payment::refund::{CancelPlan, CancelRefusal, Cancellation, Cancelled, CancelledBy, Refund};
use encore_domain::ports::Refunds;
use encore_domain::request::{Applied, RequestKey};
use futures::try_join;

use crate::database::Database;
use crate::error::{TxError, unavailable};
use crate::hold_record::{as_recorded, record};
use crate::requests::{self, Operation, Remembered};
use crate::{audit_log, card_rows, claims, ledger, outbox, refund_rows, reservation_rows, wallet_rows};

/// [`Refunds`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresRefunds {
    database: Database,
}

impl PostgresRefunds {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_cancel(
        &self,
        plan: &CancelPlan,
        request: &RequestKey,
    ) -> Result<Applied<Cancelled>, TxError<RequestError<CancelRefusal>>> {
        let mut conn = self.database.connection().await?;
        let cancelling = conn.transaction(async |conn| {
            let operation = operation_of(&plan.by);
            let id = plan.refund.0;
            if let Some(known) = requests::remember(conn, operation, Some(request), id, Some(plan.at)).await? {
                return Ok(Applied::Before(recorded_answer(conn, known).await?));
            }
            // A payment by card is locked before its reservation, as everywhere.
            card_rows::lock_of(conn, plan.reservation.0).await?;
            let before = reservation_rows::lock(conn, plan.reservation.0).await?;
            let card = match before.payment {
                Some(payment) => card_rows::load(conn, payment.0, true).await?,
                None => None,
            };
            let Cancellation { reservation, refund, transfers } =
                plan.decide(&before, card.is_some()).map_err(TxError::refused)?;
            write_seats(conn, &before, &reservation, &refund).await?;
            refund_rows::insert(conn, &refund).await?;
            for transfer in transfers {
                let transfer = transfer.for_request(request.id);
                let balance_minor = wallet_rows::move_money(conn, &transfer).await?;
                ledger::record(conn, &[(&transfer, balance_minor)]).await?;
            }
            if let Some(card) = card.filter(|_| refund.amount().minor > 0) {
                give_back_to_card(conn, &card, &refund).await?;
            }
            requests::keep_answer(conn, request, record(&reservation)?).await?;
            let event = Event::SeatsCancelled { reservation: reservation.clone(), refund: refund.clone() };
            outbox::append(conn, &[event]).await?;
            let cancelled = Cancelled { reservation, refund };
            audit_log::note(conn, plan.act.as_ref().map(|act| act.cancelled(&cancelled))).await?;
            Ok(Applied::Now(cancelled))
        });
        cancelling.await
    }

    async fn try_find_cancelled(
        &self,
        request: &RequestKey,
    ) -> Result<Option<Cancelled>, TxError<RequestError<Infallible>>> {
        let mut conn = self.database.connection().await?;
        match requests::find(&conn, &[Operation::Cancel, Operation::CancelAsOperator], request).await? {
            Some(known) => Ok(Some(recorded_answer(&mut conn, known).await?)),
            None => Ok(None),
        }
    }
}

fn operation_of(by: &CancelledBy) -> Operation {
    match by {
        CancelledBy::Fan => Operation::Cancel,
        CancelledBy::Operator(..) => Operation::CancelAsOperator,
    }
}

/// Makes the refund a step of the payment, which a worker takes up at once.
async fn give_back_to_card(conn: &mut AsyncPgConnection, card: &CardPayment, refund: &Refund) -> QueryResult<()> {
    if let Some(attempt) = card.attempt() {
        card_rows::add_events(conn, attempt.id, attempt.events.len(), &[refund.requested()]).await?;
    }
    card_rows::reopen(conn, card.id.0, refund.at).await
}

/// Frees the cancelled seats. A cancelled reservation still lists those that it had last.
async fn write_seats(
    conn: &mut AsyncPgConnection,
    before: &Reservation,
    after: &Reservation,
    refund: &Refund,
) -> QueryResult<()> {
    if refund.is_whole {
        claims::delete(conn, &[before.id.0]).await?;
        reservation_rows::cancel(conn, before, after).await
    } else {
        try_join!(reservation_rows::cancel(conn, before, after), claims::give_back(conn, after, &refund.slots))?;
        Ok(())
    }
}

/// The answer to an earlier cancellation: the reservation as that call left it.
async fn recorded_answer(conn: &mut AsyncPgConnection, known: Remembered) -> QueryResult<Cancelled> {
    let refund = refund_rows::find(conn, known.result_id).await?;
    let cancelled = refund.reservation.ok_or(diesel::result::Error::NotFound)?;
    let now = reservation_rows::find(conn, cancelled.0).await?.ok_or(diesel::result::Error::NotFound)?;
    let left = match known.answer {
        Some(answer) => as_recorded(&now, answer)?,
        None => now.clone(),
    };
    let (state, cancelled_at) = if refund.is_whole {
        (ReservationState::Cancelled, Some(refund.at))
    } else {
        (ReservationState::Confirmed, None)
    };
    let reservation = Reservation { state, cancelled_at, settled_at: now.settled_at, payment: now.payment, ..left };
    Ok(Cancelled { reservation, refund })
}

#[async_trait]
impl Refunds for PostgresRefunds {
    async fn cancel(
        &self,
        plan: CancelPlan,
        request: RequestKey,
    ) -> Result<Applied<Cancelled>, RequestError<CancelRefusal>> {
        self.database.transact("refunds.cancel", || self.try_cancel(&plan, &request)).await
    }

    async fn find_cancelled(&self, request: RequestKey) -> Result<Option<Cancelled>, RequestError<Infallible>> {
        self.database.transact("refunds.find_cancelled", || self.try_find_cancelled(&request)).await
    }

    async fn of_payment(&self, payment: PaymentId) -> Result<Vec<Refund>, Unavailable> {
        let mut conn = self.database.connection().await?;
        refund_rows::of_payment(&mut conn, payment.0).await.map_err(unavailable)
    }
}
