use std::cmp::Reverse;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::booking::{Reservation, ReservationCursor, ReservationFilter, ReservationState};
use encore_domain::error::Unavailable;
use encore_domain::ids::{PaymentId, PerformanceId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::payment::PaymentMethod;
use encore_domain::payment::fan_payment::{FanPayment, FanPaymentCursor};
use encore_domain::ports::SalesRecords;
use encore_domain::sales_records::{RecordsOf, TimeRange};
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::card_rows::{self, CardRow};
use crate::codec::{comparable_time, method_text, state_text};
use crate::database::Database;
use crate::error::TxError;
use crate::payment_rows::{self, PaymentRow};
use crate::reservation_rows::{self, ReservationRow};
use crate::reservations::in_states;
use crate::schema::{card_payments, payments, reservations};
use crate::statement::{Cached, sql};

/// [`SalesRecords`] on Postgres.
///
/// What is listed of a performance is found by partial indexes of what has come to rest. So a hold and a payment write nothing
/// for them when they are made, which is when everybody waits. What has not come to rest is found by indexes that the workers use.
#[derive(Clone, Debug)]
pub struct PostgresSalesRecords {
    database: Database,
}

/// What a page has: the records from `since` on, before `until`, and after the cursor.
#[derive(Clone, Copy)]
struct Window {
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    after: (DateTime<Utc>, Uuid),
    /// Those of the page, and one that shows whether there is a next page.
    limit: i64,
}

impl Window {
    fn of<I>(range: TimeRange, page: PageRequest<(Timestamp, I)>, id: impl Fn(I) -> Uuid) -> Self {
        let (at, id) = page.after.map_or((Timestamp::MAX_UTC, Uuid::max()), |(at, after)| (at, id(after)));
        Self {
            since: comparable_time(range.since.unwrap_or(Timestamp::MIN_UTC)),
            until: comparable_time(range.until.unwrap_or(Timestamp::MAX_UTC)),
            after: (comparable_time(at), id),
            limit: i64::from(page.size) + 1,
        }
    }
}

impl PostgresSalesRecords {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_reservations(
        &self,
        of: RecordsOf,
        filter: &ReservationFilter,
        window: Window,
    ) -> Result<Vec<Reservation>, TxError<Unavailable>> {
        let mut conn = self.database.connection().await?;
        let reading = conn.transaction(async |conn| {
            let rows = match of {
                RecordsOf::Fan(fan) => reservations_of_fan(conn, fan, None, filter, window).await?,
                RecordsOf::FanIn(fan, at) => reservations_of_fan(conn, fan, Some(at), filter, window).await?,
                RecordsOf::Performance(performance) => {
                    reservations_of_performance(conn, performance, filter, window).await?
                }
            };
            Ok(reservation_rows::with_seats(conn, rows).await?)
        });
        reading.await
    }

    async fn try_payments(&self, of: RecordsOf, window: Window) -> Result<Vec<FanPayment>, TxError<Unavailable>> {
        let mut conn = self.database.connection().await?;
        let reading = conn.transaction(async |conn| {
            let from_wallets = match of {
                RecordsOf::Fan(fan) => payments_of_fan(conn, fan, None, window).await?,
                RecordsOf::FanIn(fan, performance) => payments_of_fan(conn, fan, Some(performance), window).await?,
                RecordsOf::Performance(performance) => payments_of_performance(conn, performance, window).await?,
            };
            let by_card = card_payments(conn, of, window).await?;
            let from_wallets = payment_rows::paid_from_wallets(conn, from_wallets).await?;
            let mut found: Vec<FanPayment> = from_wallets.into_iter().map(FanPayment::Wallet).collect();
            found.extend(card_rows::into_cards(conn, by_card).await?.into_iter().map(FanPayment::Card));
            found.sort_unstable_by_key(|payment| Reverse(payment.cursor()));
            Ok(found)
        });
        reading.await
    }
}

#[async_trait]
impl SalesRecords for PostgresSalesRecords {
    async fn reservations(
        &self,
        of: RecordsOf,
        held: TimeRange,
        filter: &ReservationFilter,
        page: PageRequest<ReservationCursor>,
    ) -> Result<Page<Reservation, ReservationCursor>, Unavailable> {
        let window = Window::of(held, page, |id| id.0);
        let read = || self.try_reservations(of, filter, window);
        let found = self.database.transact("sales_records.reservations", read).await?;
        Ok(Page::from_rows(found, page.size, Reservation::cursor))
    }

    async fn payments(
        &self,
        of: RecordsOf,
        begun: TimeRange,
        page: PageRequest<FanPaymentCursor>,
    ) -> Result<Page<FanPayment, FanPaymentCursor>, Unavailable> {
        let window = Window::of(begun, page, |PaymentId(id)| id);
        let found = self.database.transact("sales_records.payments", || self.try_payments(of, window)).await?;
        Ok(Page::from_rows(found, page.size, FanPayment::cursor))
    }
}

async fn reservations_of_fan(
    conn: &mut AsyncPgConnection,
    fan: UserId,
    performance: Option<PerformanceId>,
    filter: &ReservationFilter,
    Window { since, until, after: (at, id), limit }: Window,
) -> QueryResult<Vec<ReservationRow>> {
    use reservations::dsl::{held_at, performance_id, user_id};

    let in_range = held_at.ge(since).and(held_at.lt(until));
    let after = held_at.lt(at).or(held_at.eq(at).and(reservations::id.lt(id)));
    let of_fan = reservations::table.filter(user_id.eq(fan.0)).filter(in_range).filter(after);
    let mut query = of_fan.select(ReservationRow::as_select()).into_boxed();
    if let Some(performance) = performance {
        query = query.filter(performance_id.eq(performance.0));
    }
    if !filter.states.is_empty() {
        query = query.filter(in_states(filter));
    }
    query.order((held_at.desc(), reservations::id.desc())).limit(limit).load(conn).await
}

/// Each state is read by itself in the order of the index, so that it makes no difference how many there are in other states.
async fn reservations_of_performance(
    conn: &mut AsyncPgConnection,
    performance: PerformanceId,
    filter: &ReservationFilter,
    Window { since, until, after: (at, id), limit }: Window,
) -> QueryResult<Vec<ReservationRow>> {
    const LIST: &str = "
        SELECT found.* FROM (
            SELECT settled.* FROM unnest($2) AS wanted (state) CROSS JOIN LATERAL (
                SELECT * FROM reservations
                WHERE performance_id = $1 AND state = wanted.state AND state <> 'held'
                    AND held_at >= $3 AND held_at < $4 AND (held_at, id) < ($5, $6)
                ORDER BY held_at DESC, id DESC LIMIT $7
            ) AS settled
            UNION ALL
            SELECT * FROM reservations
            WHERE performance_id = $1 AND state = 'held'
                AND (CASE WHEN expires_at > $8 THEN $9 ELSE $10 END)
                AND held_at >= $3 AND held_at < $4 AND (held_at, id) < ($5, $6)
        ) AS found
        ORDER BY held_at DESC, id DESC LIMIT $7";
    const SETTLED: [ReservationState; 5] = [
        ReservationState::Paying,
        ReservationState::Confirmed,
        ReservationState::Expired,
        ReservationState::Released,
        ReservationState::Cancelled,
    ];
    let wants = |state: ReservationState| filter.states.is_empty() || filter.states.contains(&state);
    let settled: Vec<&str> = SETTLED.into_iter().filter(|state| wants(*state)).map(state_text).collect();
    let query = sql(LIST)
        .bind::<SqlUuid, _>(performance.0)
        .bind::<Array<Text>, _>(settled)
        .bind::<Timestamptz, _>(since)
        .bind::<Timestamptz, _>(until)
        .bind::<Timestamptz, _>(at)
        .bind::<SqlUuid, _>(id)
        .bind::<BigInt, _>(limit)
        .bind::<Timestamptz, _>(comparable_time(filter.now))
        .bind::<Bool, _>(wants(ReservationState::Held))
        .bind::<Bool, _>(wants(ReservationState::Expired));
    Cached(query).load(conn).await
}

async fn payments_of_fan(
    conn: &mut AsyncPgConnection,
    fan: UserId,
    performance: Option<PerformanceId>,
    Window { since, until, after: (at, id), limit }: Window,
) -> QueryResult<Vec<PaymentRow>> {
    use payments::dsl::{method, paid_at, performance_id, user_id};

    let in_range = paid_at.ge(since).and(paid_at.lt(until));
    let after = paid_at.lt(at).or(paid_at.eq(at).and(payments::id.lt(id)));
    let from_wallet = method.eq(method_text(PaymentMethod::Wallet));
    let of_fan = payments::table.filter(user_id.eq(fan.0)).filter(from_wallet).filter(in_range).filter(after);
    let mut query = of_fan.select(PaymentRow::as_select()).into_boxed();
    if let Some(performance) = performance {
        query = query.filter(performance_id.eq(performance.0));
    }
    query.order((paid_at.desc(), payments::id.desc())).limit(limit).load(conn).await
}

async fn payments_of_performance(
    conn: &mut AsyncPgConnection,
    performance: PerformanceId,
    Window { since, until, after: (at, id), limit }: Window,
) -> QueryResult<Vec<PaymentRow>> {
    const LIST: &str = "
        SELECT found.* FROM (
            (SELECT * FROM payments
            WHERE performance_id = $1 AND propagated AND method = $7
                AND paid_at >= $2 AND paid_at < $3 AND (paid_at, id) < ($4, $5)
            ORDER BY paid_at DESC, id DESC LIMIT $6)
            UNION ALL
            (SELECT * FROM payments
            WHERE performance_id = $1 AND NOT propagated AND method = $7
                AND paid_at >= $2 AND paid_at < $3 AND (paid_at, id) < ($4, $5)
            ORDER BY paid_at DESC, id DESC LIMIT $6)
        ) AS found
        ORDER BY paid_at DESC, id DESC LIMIT $6";
    let query = sql(LIST)
        .bind::<SqlUuid, _>(performance.0)
        .bind::<Timestamptz, _>(since)
        .bind::<Timestamptz, _>(until)
        .bind::<Timestamptz, _>(at)
        .bind::<SqlUuid, _>(id)
        .bind::<BigInt, _>(limit)
        .bind::<Text, _>(method_text(PaymentMethod::Wallet));
    Cached(query).load(conn).await
}

async fn card_payments(
    conn: &mut AsyncPgConnection,
    of: RecordsOf,
    Window { since, until, after: (at, id), limit }: Window,
) -> QueryResult<Vec<CardRow>> {
    use card_payments::dsl::{made_at, performance_id, user_id};

    let in_range = made_at.ge(since).and(made_at.lt(until));
    let after = made_at.lt(at).or(made_at.eq(at).and(card_payments::id.lt(id)));
    let mut query = card_payments::table.filter(in_range).filter(after).select(CardRow::as_select()).into_boxed();
    if let RecordsOf::Fan(fan) | RecordsOf::FanIn(fan, _) = of {
        query = query.filter(user_id.eq(fan.0));
    }
    if let RecordsOf::Performance(performance) | RecordsOf::FanIn(_, performance) = of {
        query = query.filter(performance_id.eq(performance.0));
    }
    query.order((made_at.desc(), card_payments::id.desc())).limit(limit).load(conn).await
}
