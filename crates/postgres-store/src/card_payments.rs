use std::convert::Infallible;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::booking::{Reservation, ReservationState};
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::{PaymentId, RequestId};
use encore_domain::payment::card::{ATTEMPTS_MAX, CardPayment, Purpose};
use encore_domain::payment::card_change::{CardChange, CardContext, CardEffects, Change, SeatsChange, TakeUp, decide};
use encore_domain::payment::card_plan::CardPlan;
use encore_domain::payment::{PayRefusal, check_payable};
use encore_domain::ports::CardPayments;
use encore_domain::queue::EndReason;
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use encore_domain::wallet::{TransferKind, WalletEntry};
use uuid::Uuid;

use crate::database::Database;
use crate::ended_tokens::PayingFan;
use crate::error::{TxError, unavailable};
use crate::payment_rows::NewPayment;
use crate::requests::{self, Operation};
use crate::schema::payment_attempts;
use crate::statement::{Cached, sql};
use crate::{
    card_rows, claims, ended_tokens, ledger, outbox, payment_rows, refund_rows, reservation_rows, wallet_rows,
};

/// [`CardPayments`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresCardPayments {
    database: Database,
}

/// The payment whose attempt was begun, and the hold that it keeps, if the call began it.
type StartAnswer = Applied<(CardPayment, Option<Reservation>)>;

impl PostgresCardPayments {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_start(
        &self,
        plan: &CardPlan,
        request: &RequestKey,
    ) -> Result<StartAnswer, TxError<RequestError<PayRefusal>>> {
        let mut conn = self.database.connection().await?;
        let starting = conn.transaction(async |conn| {
            let (operation, result) = (Operation::PayByCard, plan.attempt.0);
            if let Some(known) = requests::remember(conn, operation, Some(request), result, Some(plan.at)).await? {
                let card = of_attempt(conn, known.result_id).await?.ok_or(diesel::result::Error::NotFound)?;
                return Ok(Applied::Before((card, None)));
            }
            let (card, paying) = match plan.purpose {
                Purpose::TopUp => (plan.first(plan.attempt(plan.at, request.id)), None),
                Purpose::Seats { reservation, .. } => begin(conn, plan, request.id, reservation.0).await?,
            };
            if card.attempts.len() == 1 {
                card_rows::insert(conn, &card, plan.lease_until).await?;
            } else {
                card_rows::set_due(conn, card.id.0, Some(plan.lease_until), true, true, plan.at).await?;
            }
            if let Some(attempt) = card.attempt() {
                card_rows::add_attempt(conn, &card, attempt).await?;
            }
            if let Some(hold) = &paying {
                let event = Event::HoldChanged { hold: hold.clone(), released: Vec::new(), at: plan.at };
                outbox::append(conn, &[event]).await?;
            }
            Ok(Applied::Now((card, paying)))
        });
        starting.await
    }

    async fn try_find_started(
        &self,
        request: &RequestKey,
    ) -> Result<Option<CardPayment>, TxError<RequestError<Infallible>>> {
        let mut conn = self.database.connection().await?;
        match requests::find(&conn, &[Operation::PayByCard], request).await? {
            Some(known) => Ok(of_attempt(&mut conn, known.result_id).await?),
            None => Ok(None),
        }
    }

    async fn try_take_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<CardPayment>, TxError<Unavailable>> {
        const TAKE: &str = "
            WITH due AS (
                SELECT id FROM card_payments WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
            )
            UPDATE card_payments SET due_at = $3, leased_until = $3, hinted_at = NULL, tries = tries + 1
            FROM due WHERE card_payments.id = due.id
            RETURNING card_payments.id";
        #[derive(QueryableByName)]
        struct Taken {
            #[diesel(sql_type = SqlUuid)]
            id: Uuid,
        }
        let mut conn = self.database.connection().await?;
        let query = sql(TAKE)
            .bind::<Timestamptz, _>(now)
            .bind::<BigInt, _>(i64::from(limit))
            .bind::<Timestamptz, _>(lease_until);
        let taken: Vec<Taken> = Cached(query).load(&mut conn).await?;
        let mut cards = Vec::with_capacity(taken.len());
        for Taken { id } in taken {
            match card_rows::load(&mut conn, id, false).await {
                Ok(card) => cards.extend(card),
                // One that nobody can read must not stop the others.
                Err(error @ diesel::result::Error::DeserializationError(_)) => {
                    tracing::error!(
                        alarm = "card_payment_unreadable",
                        payment = %id, %error, "a card payment cannot be read; skipped"
                    );
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(cards)
    }

    async fn try_apply(
        &self,
        id: PaymentId,
        change: &CardChange,
        take_up: TakeUp,
    ) -> Result<(CardPayment, CardEffects), TxError<Unavailable>> {
        let mut conn = self.database.connection().await?;
        let applying = conn.transaction(async |conn| {
            let has_another_hold = look_for_another_hold(conn, id, change).await?;
            let card = card_rows::load(conn, id.0, true).await?.ok_or(diesel::result::Error::NotFound)?;
            let reservation = match card.purpose {
                Purpose::Seats { reservation, .. } => Some(reservation_rows::lock(conn, reservation.0).await?),
                Purpose::TopUp => None,
            };
            // The claims decide who has a seat, so an expired reservation gets them before anything is decided.
            let is_late = change.what == Change::Confirm && card.latest().may_confirm();
            let expired = reservation.as_ref().filter(|it| is_late && it.state == ReservationState::Expired);
            let seats_are_free = match expired {
                Some(expired) => claims::claim_again(conn, expired).await?,
                None => false,
            };
            let balance = wallet_rows::lock(conn, card.user, card.amount.currency).await?;
            let context = CardContext {
                reservation: reservation.as_ref(),
                seats_are_free,
                has_another_hold,
                fits_wallet: balance.minor <= card.amount.currency.balance_max_minor() - card.amount.minor,
            };
            let effects = decide(&card, context, change);
            if seats_are_free && !matches!(effects.seats, Some(SeatsChange::SoldAgain(_))) {
                claims::delete(conn, &expired.iter().map(|it| it.id.0).collect::<Vec<_>>()).await?;
            }
            write(conn, &card, &effects).await?;
            let mut after = card;
            if let Some(attempt) = after.attempts.last_mut() {
                attempt.events.extend(effects.events.iter().cloned());
            }
            after.refunds.extend(effects.refund.clone());
            let due = after.due_after(take_up.at(), change.at);
            let (is_leased, is_new) = (matches!(take_up, TakeUp::Leased(_)), !effects.events.is_empty());
            match (take_up, due) {
                (TakeUp::Hinted, None) => {}
                (TakeUp::Hinted, Some(_)) => card_rows::reopen(conn, id.0, change.at).await?,
                _ => card_rows::set_due(conn, id.0, due, is_leased, is_new, change.at).await?,
            }
            Ok((after, effects))
        });
        applying.await
    }
}

/// Locks a live hold for a new attempt. The payment of earlier attempts is locked before the hold, as everywhere.
async fn begin(
    conn: &mut AsyncPgConnection,
    plan: &CardPlan,
    request: RequestId,
    reservation: Uuid,
) -> Result<(CardPayment, Option<Reservation>), TxError<RequestError<PayRefusal>>> {
    let before = card_rows::lock_of(conn, reservation).await?;
    let hold = reservation_rows::lock(conn, reservation).await?;
    check_payable(&hold, plan.at).map_err(TxError::refused)?;
    if hold.revision != plan.revision {
        return Err(TxError::refused(PayRefusal::HoldChanged));
    }
    let attempt = plan.attempt(hold.expires_at, request);
    let paying = plan.paying(&hold, &attempt);
    let card = match before {
        None => plan.first(attempt),
        Some(before) if before.attempts.len() >= ATTEMPTS_MAX => {
            return Err(TxError::refused(PayRefusal::TooManyAttempts { attempts: before.attempts.len() }));
        }
        Some(mut before) => {
            before.attempts.push(attempt);
            CardPayment { amount: plan.amount, tries: 0, ..before }
        }
    };
    reservation_rows::move_paying(conn, &hold, &paying).await?;
    Ok((card, Some(paying)))
}

/// The payment of an attempt.
async fn of_attempt(conn: &mut AsyncPgConnection, attempt: Uuid) -> QueryResult<Option<CardPayment>> {
    let payment = payment_attempts::table.find(attempt).select(payment_attempts::payment_id);
    let payment: Option<Uuid> = payment.first(conn).await.optional()?;
    match payment {
        Some(payment) => card_rows::load(conn, payment, false).await,
        None => Ok(None),
    }
}

/// Whether the fan has another hold, if a confirmation may end the fan's queue token. The lock of the fan is taken before all others.
async fn look_for_another_hold(conn: &mut AsyncPgConnection, id: PaymentId, change: &CardChange) -> QueryResult<bool> {
    if change.what != Change::Confirm {
        return Ok(false);
    }
    let Some(card) = card_rows::load(conn, id.0, false).await? else { return Ok(false) };
    let has_token = card.attempt().is_some_and(|attempt| attempt.token.is_some());
    match card.purpose {
        Purpose::Seats { reservation, performance } if has_token => {
            let fan = PayingFan { user: card.user, performance, reservation, at: change.at };
            let others = ended_tokens::lock_and_look_for_other_holds(conn, &[fan]).await?;
            Ok(others.iter().any(|holds| !holds.is_empty()))
        }
        Purpose::Seats { .. } | Purpose::TopUp => Ok(false),
    }
}

/// Writes what was decided. The outbox is last.
async fn write(conn: &mut AsyncPgConnection, card: &CardPayment, effects: &CardEffects) -> QueryResult<()> {
    if let Some(attempt) = card.attempt() {
        card_rows::add_events(conn, attempt.id, attempt.events.len(), &effects.events).await?;
    }
    if let Some(payment) = &effects.paid {
        let ended_token = effects.ended_token.as_ref();
        payment_rows::insert(conn, &[NewPayment { payment, ended_token, balance_after_minor: None }]).await?;
        let tokens: Vec<_> = effects.ended_token.iter().collect();
        ended_tokens::insert(conn, &tokens, EndReason::Used).await?;
    }
    if let Some(refund) = &effects.refund {
        refund_rows::insert(conn, refund).await?;
    }
    if let Some(seats) = &effects.seats {
        write_seats(conn, seats).await?;
    }
    let mut events = Vec::new();
    for transfer in &effects.transfers {
        let balance_minor = wallet_rows::move_money(conn, transfer).await?;
        ledger::record(conn, &[(transfer, balance_minor)]).await?;
        if transfer.kind == TransferKind::TopUp {
            let entry = WalletEntry::of(transfer, balance_minor);
            events.push(Event::WalletToppedUp { user: transfer.user, entry });
        }
    }
    events.extend(effects.event());
    events.extend(effects.payment_events(card));
    outbox::append(conn, &events).await
}

async fn write_seats(conn: &mut AsyncPgConnection, seats: &SeatsChange) -> QueryResult<()> {
    match seats {
        SeatsChange::HeldAgain(hold) => reservation_rows::hold_again(conn, hold).await,
        SeatsChange::Expired(expired) => {
            claims::delete(conn, &[expired.id.0]).await?;
            reservation_rows::end_paying(conn, expired).await
        }
        SeatsChange::Sold(sold) | SeatsChange::SoldAgain(sold) => reservation_rows::end_paying(conn, sold).await,
        SeatsChange::Cancelled(cancelled) => {
            claims::delete(conn, &[cancelled.id.0]).await?;
            reservation_rows::cancel(conn, cancelled, cancelled).await
        }
    }
}

#[async_trait]
impl CardPayments for PostgresCardPayments {
    async fn start(&self, plan: CardPlan, request: RequestKey) -> Result<StartAnswer, RequestError<PayRefusal>> {
        self.database.transact("card_payments.start", || self.try_start(&plan, &request)).await
    }

    async fn find_started(&self, request: RequestKey) -> Result<Option<CardPayment>, RequestError<Infallible>> {
        self.database.transact("card_payments.find_started", || self.try_find_started(&request)).await
    }

    async fn find(&self, id: PaymentId) -> Result<Option<CardPayment>, Unavailable> {
        let mut conn = self.database.connection().await?;
        card_rows::load(&mut conn, id.0, false).await.map_err(unavailable)
    }

    async fn take_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<CardPayment>, Unavailable> {
        let attempt = || self.try_take_due(now, lease_until, limit);
        self.database.transact("card_payments.take_due", attempt).await
    }

    async fn hasten(&self, payment: PaymentId, at: Timestamp) -> Result<bool, Unavailable> {
        let mut conn = self.database.connection().await?;
        card_rows::hasten(&mut conn, payment.0, at).await.map_err(unavailable)
    }

    async fn apply(
        &self,
        payment: PaymentId,
        change: CardChange,
        take_up: TakeUp,
    ) -> Result<(CardPayment, CardEffects), Unavailable> {
        self.database.transact("card_payments.apply", || self.try_apply(payment, &change, take_up)).await
    }
}
