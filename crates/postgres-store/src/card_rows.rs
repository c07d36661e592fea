//! Payments by card as rows: the payment, its attempts, and their events.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::ids::{AttemptId, PaymentId, PerformanceId, RefundId, RequestId, ReservationId, UserId};
use encore_domain::payment::attempt::{AttemptEvent, Outcome, Step};
use encore_domain::payment::card::{Attempt, CardPayment, Purpose};
use encore_domain::payment::gateway::{FailureReason, MethodToken, NextAction};
use encore_domain::payment::refund::Refund;
use encore_domain::queue::QueueTokenPayload;
use uuid::Uuid;

use crate::codec::{lane_column, read_lane, read_money};
use crate::error::corrupt;
use crate::refund_rows;
use crate::schema::{card_payments, payment_attempts, payment_events};
use crate::statement::{Cached, sql};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = card_payments)]
pub struct CardRow {
    id: Uuid,
    user_id: Uuid,
    reservation_id: Option<Uuid>,
    performance_id: Option<Uuid>,
    amount_minor: i64,
    currency: String,
    made_at: DateTime<Utc>,
    due_at: Option<DateTime<Utc>>,
    tries: i32,
    leased_until: Option<DateTime<Utc>>,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = payment_attempts)]
struct AttemptRow {
    id: Uuid,
    payment_id: Uuid,
    number: i32,
    method: String,
    made_at: DateTime<Utc>,
    hold_until: DateTime<Utc>,
    bound: DateTime<Utc>,
    token_epoch: Option<i64>,
    token_lane: i16,
    token_index: Option<i64>,
    request_id: Option<Uuid>,
}

#[derive(Insertable)]
#[diesel(table_name = payment_events)]
struct EventRow {
    attempt_id: Uuid,
    number: i32,
    step: &'static str,
    refund_id: Option<Uuid>,
    outcome: &'static str,
    detail: Option<String>,
    recorded_at: DateTime<Utc>,
}

/// The payment of this id. With `lock`, nobody else changes it until the end of the transaction.
pub async fn load(conn: &mut AsyncPgConnection, id: Uuid, lock: bool) -> QueryResult<Option<CardPayment>> {
    let query = card_payments::table.find(id).select(CardRow::as_select());
    let row: Option<CardRow> =
        if lock { query.for_update().first(conn).await } else { query.first(conn).await }.optional()?;
    Ok(into_cards(conn, row.into_iter().collect()).await?.pop())
}

/// Locks the payment of a reservation, if it has one by card.
pub async fn lock_of(conn: &mut AsyncPgConnection, reservation: Uuid) -> QueryResult<Option<CardPayment>> {
    let of_reservation = card_payments::table.filter(card_payments::reservation_id.eq(reservation));
    let row: Option<CardRow> = of_reservation.select(CardRow::as_select()).for_update().first(conn).await.optional()?;
    Ok(into_cards(conn, row.into_iter().collect()).await?.pop())
}

/// The payments of a user with ids below `before`, newest first, at most `limit`.
pub async fn list(
    conn: &mut AsyncPgConnection,
    user: Uuid,
    before: Option<Uuid>,
    limit: i64,
) -> QueryResult<Vec<CardPayment>> {
    let of_user = card_payments::table.filter(card_payments::user_id.eq(user));
    let mut query = of_user.select(CardRow::as_select()).into_boxed();
    if let Some(before) = before {
        query = query.filter(card_payments::id.lt(before));
    }
    let rows: Vec<CardRow> = query.order(card_payments::id.desc()).limit(limit).load(conn).await?;
    into_cards(conn, rows).await
}

/// Writes a new payment, which is leased, without its attempts.
pub async fn insert(conn: &mut AsyncPgConnection, card: &CardPayment, leased_until: DateTime<Utc>) -> QueryResult<()> {
    let (reservation_id, performance_id) = match card.purpose {
        Purpose::Seats { reservation, performance } => (Some(reservation.0), Some(performance.0)),
        Purpose::TopUp => (None, None),
    };
    let row = CardRow {
        id: card.id.0,
        user_id: card.user.0,
        reservation_id,
        performance_id,
        amount_minor: card.amount.minor,
        currency: card.amount.currency.code().to_owned(),
        made_at: card.made_at,
        due_at: Some(leased_until),
        tries: 0,
        leased_until: Some(leased_until),
    };
    diesel::insert_into(card_payments::table).values(row).execute(conn).await?;
    Ok(())
}

/// Writes another attempt with its events.
pub async fn add_attempt(conn: &mut AsyncPgConnection, card: &CardPayment, attempt: &Attempt) -> QueryResult<()> {
    let number = card.attempts.iter().position(|known| known.id == attempt.id).unwrap_or(card.attempts.len());
    let row = AttemptRow {
        id: attempt.id.0,
        payment_id: card.id.0,
        number: i32::try_from(number).unwrap_or(i32::MAX),
        method: attempt.method.as_str().to_owned(),
        made_at: attempt.made_at,
        hold_until: attempt.hold_until,
        bound: attempt.bound,
        token_epoch: attempt.token.map(|token| token.epoch),
        token_lane: attempt.token.map_or(0, |token| lane_column(token.lane)),
        token_index: attempt.token.map(|token| token.index.cast_signed()),
        request_id: attempt.request.map(|request| request.0),
    };
    diesel::insert_into(payment_attempts::table).values(row).execute(conn).await?;
    add_events(conn, attempt.id, 0, &attempt.events).await
}

/// Appends events to an attempt that has `known` of them.
pub async fn add_events(
    conn: &mut AsyncPgConnection,
    attempt: AttemptId,
    known: usize,
    events: &[AttemptEvent],
) -> QueryResult<()> {
    if events.is_empty() {
        return Ok(());
    }
    let row = |(index, event): (usize, &AttemptEvent)| {
        let (step, refund) = step_columns(event.step);
        let (outcome, detail) = outcome_columns(&event.outcome);
        EventRow {
            attempt_id: attempt.0,
            number: i32::try_from(known + index).unwrap_or(i32::MAX),
            step,
            refund_id: refund.map(|id| id.0),
            outcome,
            detail,
            recorded_at: event.at,
        }
    };
    let begins_refund =
        |event: &AttemptEvent| matches!(event.step, Step::Refund(_)) && event.outcome == Outcome::Requested;
    if events.iter().any(begins_refund) {
        // It is compared with the gateway again.
        let row = payment_attempts::table.find(attempt.0);
        diesel::update(row).set(payment_attempts::reconciled_at.eq(None::<DateTime<Utc>>)).execute(conn).await?;
    }
    let rows: Vec<EventRow> = events.iter().enumerate().map(row).collect();
    diesel::insert_into(payment_events::table).values(rows).execute(conn).await?;
    Ok(())
}

/// Leases a payment, or gives up the lease and sets when it is due: at `now` if there was a hint since it was leased.
pub async fn set_due(
    conn: &mut AsyncPgConnection,
    id: Uuid,
    due_at: Option<DateTime<Utc>>,
    is_leased: bool,
    reset_tries: bool,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    const LEASE: &str = "
        UPDATE card_payments SET due_at = $2, leased_until = $2, tries = CASE WHEN $3 THEN 0 ELSE tries END WHERE id = $1";
    const LEAVE: &str = "
        UPDATE card_payments SET
            due_at = CASE WHEN $2 IS NULL OR hinted_at IS NULL THEN $2 ELSE LEAST($2, $4) END,
            leased_until = NULL, hinted_at = NULL, tries = CASE WHEN $3 THEN 0 ELSE tries END
        WHERE id = $1";
    let query = sql(if is_leased { LEASE } else { LEAVE })
        .bind::<SqlUuid, _>(id)
        .bind::<Nullable<Timestamptz>, _>(due_at)
        .bind::<Bool, _>(reset_tries);
    if is_leased {
        Cached(query).execute(&mut &*conn).await?;
    } else {
        Cached(query.bind::<Timestamptz, _>(now)).execute(&mut &*conn).await?;
    }
    Ok(())
}

/// Makes a payment due at `at`, unless it is due before. One that is leased is due when the lease is given up. Returns whether it is due
/// at all.
pub async fn hasten(conn: &mut AsyncPgConnection, id: Uuid, at: DateTime<Utc>) -> QueryResult<bool> {
    const HASTEN: &str = "
        UPDATE card_payments SET
            due_at = CASE WHEN due_at = leased_until THEN due_at ELSE LEAST(due_at, $2) END,
            hinted_at = CASE WHEN due_at = leased_until THEN LEAST(hinted_at, $2) ELSE hinted_at END
        WHERE id = $1 AND due_at IS NOT NULL";
    let hastened = sql(HASTEN).bind::<SqlUuid, _>(id).bind::<Timestamptz, _>(at).execute(conn).await?;
    Ok(hastened > 0)
}

/// Makes a payment due at `at`, as [`hasten`] does, but also one that is over, since a refund of it was begun.
pub async fn reopen(conn: &mut AsyncPgConnection, id: Uuid, at: DateTime<Utc>) -> QueryResult<()> {
    // `LEAST` ignores a null, which is a payment that is over.
    const REOPEN: &str = "
        UPDATE card_payments SET
            due_at = CASE WHEN due_at = leased_until THEN due_at ELSE LEAST(due_at, $2) END,
            hinted_at = CASE WHEN due_at = leased_until THEN LEAST(hinted_at, $2) ELSE hinted_at END,
            tries = 0
        WHERE id = $1";
    Cached(sql(REOPEN).bind::<SqlUuid, _>(id).bind::<Timestamptz, _>(at)).execute(&mut &*conn).await?;
    Ok(())
}

/// The payments of these rows, in their order.
pub async fn into_cards(conn: &AsyncPgConnection, rows: Vec<CardRow>) -> QueryResult<Vec<CardPayment>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let of_payments = payment_attempts::table.filter(payment_attempts::payment_id.eq_any(&ids));
    let query = of_payments.order(payment_attempts::number).select(AttemptRow::as_select());
    let attempts: Vec<AttemptRow> = query.load(&mut &*conn).await?;
    let of_attempts: Vec<Uuid> = attempts.iter().map(|attempt| attempt.id).collect();
    let events: Vec<(Uuid, EventColumns)> = payment_events::table
        .filter(payment_events::attempt_id.eq_any(of_attempts))
        .order(payment_events::number)
        .select((
            payment_events::attempt_id,
            (
                payment_events::step,
                payment_events::refund_id,
                payment_events::outcome,
                payment_events::detail,
                payment_events::recorded_at,
            ),
        ))
        .load(&mut &*conn)
        .await?;
    let mut refunds = refund_rows::of_payments(conn, &ids).await?;
    let mut events_of: HashMap<Uuid, Vec<EventColumns>> = HashMap::new();
    for (attempt, event) in events {
        events_of.entry(attempt).or_default().push(event);
    }
    let mut attempts_of: HashMap<Uuid, Vec<(AttemptRow, Vec<EventColumns>)>> = HashMap::new();
    for attempt in attempts {
        let events = events_of.remove(&attempt.id).unwrap_or_default();
        attempts_of.entry(attempt.payment_id).or_default().push((attempt, events));
    }
    let card = |row: CardRow| {
        let attempts = attempts_of.remove(&row.id).unwrap_or_default().into_iter();
        let attempts =
            attempts.map(|(attempt, events)| attempt.into_attempt(&row, events)).collect::<QueryResult<_>>()?;
        let refunds = refunds.remove(&row.id).unwrap_or_default();
        row.into_card(attempts, refunds)
    };
    rows.into_iter().map(card).collect()
}

impl CardRow {
    fn into_card(self, attempts: Vec<Attempt>, refunds: Vec<Refund>) -> QueryResult<CardPayment> {
        let purpose = match (self.reservation_id, self.performance_id) {
            (Some(reservation), Some(performance)) => {
                Purpose::Seats { reservation: ReservationId(reservation), performance: PerformanceId(performance) }
            }
            _ => Purpose::TopUp,
        };
        Ok(CardPayment {
            id: PaymentId(self.id),
            user: UserId(self.user_id),
            purpose,
            amount: read_money(self.amount_minor, &self.currency)?,
            made_at: self.made_at,
            attempts,
            refunds,
            tries: self.tries.cast_unsigned(),
        })
    }
}

/// The columns of an event, but for its key.
type EventColumns = (String, Option<Uuid>, String, Option<String>, DateTime<Utc>);

impl AttemptRow {
    fn into_attempt(self, card: &CardRow, events: Vec<EventColumns>) -> QueryResult<Attempt> {
        let events = events.into_iter().map(read_event).collect::<QueryResult<_>>()?;
        let token = match (self.token_epoch, self.token_index, card.performance_id) {
            (Some(epoch), Some(index), Some(performance)) => Some(QueueTokenPayload {
                performance: PerformanceId(performance),
                user: UserId(card.user_id),
                epoch,
                lane: read_lane(self.token_lane)?,
                index: index.cast_unsigned(),
                issued_at: DateTime::UNIX_EPOCH,
                needs_accessible: false,
                admitted_until: None,
            }),
            _ => None,
        };
        Ok(Attempt {
            id: AttemptId(self.id),
            method: MethodToken::parse(&self.method).map_err(|_| corrupt("payment method", "a token"))?,
            made_at: self.made_at,
            hold_until: self.hold_until,
            bound: self.bound,
            token,
            request: self.request_id.map(RequestId),
            events,
        })
    }
}

fn step_columns(step: Step) -> (&'static str, Option<RefundId>) {
    let refund = if let Step::Refund(id) = step { Some(id) } else { None };
    (step.name(), refund)
}

fn outcome_columns(outcome: &Outcome) -> (&'static str, Option<String>) {
    let detail = match outcome {
        Outcome::NeedsAction(action) => Some(action.url.clone()),
        Outcome::Failed(reason) => Some(reason.name().to_owned()),
        Outcome::Requested | Outcome::Unknown | Outcome::Succeeded => None,
    };
    (outcome.name(), detail)
}

fn read_event((step, refund, outcome, detail, at): EventColumns) -> QueryResult<AttemptEvent> {
    let step = match (step.as_str(), refund) {
        ("authorize", None) => Step::Authorize,
        ("confirm", None) => Step::Confirm,
        ("capture", None) => Step::Capture,
        ("void", None) => Step::Void,
        ("expire", None) => Step::Expire,
        ("revoke", None) => Step::Revoke,
        ("dispute", None) => Step::Dispute,
        ("refund", Some(id)) => Step::Refund(RefundId(id)),
        _ => return Err(corrupt("step of a payment", &step)),
    };
    let outcome = match (outcome.as_str(), detail) {
        ("requested", None) => Outcome::Requested,
        ("unknown", None) => Outcome::Unknown,
        ("needs_action", Some(url)) => Outcome::NeedsAction(NextAction { url }),
        ("succeeded", None) => Outcome::Succeeded,
        ("failed", Some(reason)) => {
            Outcome::Failed(FailureReason::named(&reason).ok_or_else(|| corrupt("failure of a payment", &reason))?)
        }
        _ => return Err(corrupt("outcome of a payment", &outcome)),
    };
    Ok(AttemptEvent { step, outcome, at })
}
