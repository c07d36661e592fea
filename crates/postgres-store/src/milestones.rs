//! What happens to a performance once: a row of each, written with its event.

use diesel::QueryResult;
use diesel::sql_types::{Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::audit_log::StaffAct;
use encore_domain::error::Unavailable;
use encore_domain::event::{Event, QueueOpening, StaffCause};
use encore_domain::ids::PerformanceId;
use encore_domain::payment::refund::OperatorReason;
use encore_domain::time::Timestamp;

use crate::database::Database;
use crate::error::TxError;
use crate::statement::{Cached, sql};
use crate::{audit_log, outbox};

/// The queue opened.
const QUEUE_OPENED: &str = "queue_opened";
/// The performance was cancelled.
const CANCELLED: &str = "cancelled";

/// See [`Catalog::note_opening`](encore_domain::ports::Catalog::note_opening).
pub async fn try_note_opening(database: &Database, opening: QueueOpening) -> Result<bool, TxError<Unavailable>> {
    let mut conn = database.connection().await?;
    let noting = conn.transaction(async |conn| {
        let is_new = reach(conn, opening.performance, QUEUE_OPENED, opening.at).await?;
        if is_new {
            outbox::append(conn, &[Event::QueueOpened(opening)]).await?;
        }
        Ok(is_new)
    });
    noting.await
}

/// See [`Catalog::note_cancellation`](encore_domain::ports::Catalog::note_cancellation).
pub async fn try_note_cancellation(
    database: &Database,
    performance: PerformanceId,
    reason: &OperatorReason,
    act: &StaffAct,
) -> Result<bool, TxError<Unavailable>> {
    let mut conn = database.connection().await?;
    let noting = conn.transaction(async |conn| {
        let is_new = reach(conn, performance, CANCELLED, act.at).await?;
        if is_new {
            audit_log::note(conn, Some(act.cancelled_performance(performance))).await?;
            let (reason, cause) = (reason.clone(), StaffCause::from(act));
            outbox::append(conn, &[Event::PerformanceCancelled { performance, reason, cause }]).await?;
        }
        Ok(is_new)
    });
    noting.await
}

/// Notes what happens once. Returns whether it was not noted before. It waits for a concurrent call that notes the same.
async fn reach(
    conn: &mut AsyncPgConnection,
    performance: PerformanceId,
    milestone: &str,
    at: Timestamp,
) -> QueryResult<bool> {
    const REACH: &str = "
        INSERT INTO performance_milestones (performance_id, milestone, noted_at) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING";
    let query = sql(REACH).bind::<SqlUuid, _>(performance.0).bind::<Text, _>(milestone).bind::<Timestamptz, _>(at);
    Ok(Cached(query).execute(conn).await? > 0)
}
