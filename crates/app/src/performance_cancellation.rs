//! Cancelling a whole performance: nothing of it is sold any more, and everybody who paid is refunded.
//!
//! A run notes once that the performance is cancelled, which tells consumers. What is left to do the claims say. So a run that was
//! interrupted is resumed by calling again, on any instance, and two runs at once do no harm. A reservation is cancelled under a request
//! that is derived from it, so never twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::audit_log::StaffCall;
use encore_domain::booking::Claim;
use encore_domain::booking::seat_block::{BLOCK_SEATS_MAX, BlockReason, SeatBlock};
use encore_domain::booking::seat_state::{Locker, SeatOwner};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::RequestError;
use encore_domain::identity::Caller;
use encore_domain::ids::{AuditEntryId, BlockId, PerformanceId, RequestId, ReservationId};
use encore_domain::money::Money;
use encore_domain::page::{Page, PageRequest};
use encore_domain::payment::refund::OperatorReason;
use encore_domain::ports::{Catalog, Clock, Ids, Reservations, SeatBlocks};
use encore_domain::request::{DIGEST_LEN, Fingerprint, RequestKey};
use encore_seat_map::SeatMap;
use futures::{Stream, StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::time::sleep;
use tracing::warn;
use uuid::Uuid;

use crate::cancellation::CancellationUseCases;
use crate::contexts::{PerformanceContext, PerformanceContexts};
use crate::error::AppError;

/// How many reservations are cancelled between two reports of progress.
const BATCH: usize = 100;
/// How many are cancelled at once: a part of an instance's connections, which other sales need too.
const CANCELLED_AT_ONCE: usize = 8;
/// How many sold seats are read at once.
const SOLD_PAGE: u32 = 5_000;
/// How long a run waits for holds and payments that are under way before it looks again.
const WAIT: Duration = Duration::from_secs(1);

/// What is left to do for a performance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftToCancel {
    /// The confirmed reservations.
    pub reservations: u32,
    /// What was paid for their seats.
    pub amount: Money,
    /// The seats that fans hold or are paying for. They are refunded if they are paid, and free otherwise.
    pub held_seats: u32,
}

/// What [`PerformanceCancellations`] is made of.
pub struct PerformanceCancellationParts {
    /// Notes that a performance is cancelled.
    pub catalog: Arc<dyn Catalog>,
    /// Cancels reservations.
    pub cancellations: CancellationUseCases,
    /// The claims.
    pub reservations: Arc<dyn Reservations>,
    /// Keeps seats from sale.
    pub seat_blocks: Arc<dyn SeatBlocks>,
    /// The performances.
    pub contexts: PerformanceContexts,
    /// The live seats.
    pub seat_map: SeatMap,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
}

/// The use cases of operators who cancel a performance.
#[derive(Clone)]
pub struct PerformanceCancellations {
    parts: Arc<PerformanceCancellationParts>,
}

/// A run in progress.
struct Run {
    use_cases: PerformanceCancellations,
    /// It has no request id, because a run makes many changes.
    call: StaffCall,
    context: PerformanceContext,
    reason: OperatorReason,
    /// Whether the next report is the first, which comes at once.
    is_first: bool,
    is_over: bool,
}

impl PerformanceCancellations {
    /// The use cases over their ports.
    pub fn new(parts: PerformanceCancellationParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// What a run would cancel and refund now. Changes nothing.
    pub async fn preview(&self, performance: PerformanceId) -> Result<LeftToCancel, AppError> {
        let context = self.parts.contexts.context(performance).await?;
        self.left(&context).await
    }

    /// Cancels a performance. The caller repeats what the preview said; if that has changed, nothing is done. Reports what is left,
    /// until nothing is.
    pub async fn run(
        &self,
        call: StaffCall,
        performance: PerformanceId,
        reason: OperatorReason,
        confirmed: (u32, Money),
    ) -> Result<impl Stream<Item = Result<LeftToCancel, AppError>> + Send + use<>, AppError> {
        let context = self.parts.contexts.context(performance).await?;
        let left = self.left(&context).await?;
        if (left.reservations, left.amount) != confirmed {
            return Err(AppError::CancellationChanged { reservations: left.reservations, amount: left.amount });
        }
        let run = Run { use_cases: self.clone(), call, context, reason, is_first: true, is_over: false };
        Ok(stream::unfold(run, |mut run| async move {
            if run.is_over {
                return None;
            }
            let report = run.advance().await;
            run.is_over = report.as_ref().map_or(true, |left| left.reservations == 0 && left.held_seats == 0);
            Some((report, run))
        }))
    }

    async fn left(&self, context: &PerformanceContext) -> Result<LeftToCancel, AppError> {
        let performance = &context.performance;
        let (mut reservations, mut minor, mut page) = (BTreeSet::new(), 0, PageRequest::first(SOLD_PAGE));
        // What was paid, which may be another price than that of now.
        loop {
            let Page { items, next } = self.parts.reservations.sold_seats(performance.id, page).await?;
            minor += items.iter().map(|seat| seat.price_minor).sum::<i64>();
            reservations.extend(items.iter().map(|seat| seat.reservation));
            let Some(next) = next else { break };
            page.after = Some(next);
        }
        let claims = self.parts.reservations.claims(performance.id).await?;
        let is_held = |claim: &&Claim| matches!(claim.owner, SeatOwner::Holder { .. });
        Ok(LeftToCancel {
            reservations: u32::try_from(reservations.len()).unwrap_or(u32::MAX),
            amount: Money { minor, currency: performance.prices.currency },
            held_seats: u32::try_from(claims.iter().filter(is_held).count()).unwrap_or(u32::MAX),
        })
    }
}

/// The reservations whose seats are sold.
fn sold(claims: &[Claim]) -> BTreeSet<ReservationId> {
    let reservation = |claim: &Claim| match claim.owner {
        SeatOwner::Buyer { reservation, .. } => Some(reservation),
        SeatOwner::Holder { .. } | SeatOwner::Operators { .. } => None,
    };
    claims.iter().filter_map(reservation).collect()
}

impl Run {
    /// Keeps the free seats from sale, and cancels a batch of reservations. The cancellation is noted before anything of it.
    async fn advance(&mut self) -> Result<LeftToCancel, AppError> {
        if self.is_first {
            self.note().await?;
        }
        self.block_free_seats().await?;
        if std::mem::take(&mut self.is_first) {
            return self.use_cases.left(&self.context).await;
        }
        let claims = self.use_cases.parts.reservations.claims(self.context.performance.id).await?;
        let batch: Vec<ReservationId> = sold(&claims).into_iter().take(BATCH).collect();
        if batch.is_empty() {
            sleep(WAIT).await;
        }
        let cancelling = stream::iter(batch).map(|id| self.cancel(id)).buffer_unordered(CANCELLED_AT_ONCE);
        let outcomes: Vec<Result<(), AppError>> = cancelling.collect().await;
        outcomes.into_iter().collect::<Result<(), _>>()?;
        self.block_free_seats().await?;
        self.use_cases.left(&self.context).await
    }

    /// Notes that the performance is cancelled, unless an earlier run did.
    async fn note(&self) -> Result<(), AppError> {
        let PerformanceCancellationParts { catalog, clock, ids, .. } = &*self.use_cases.parts;
        let act = self.call.act(AuditEntryId(ids.next()), clock.now(), Some(self.reason.as_str()));
        catalog.note_cancellation(self.context.performance.id, self.reason.clone(), act).await?;
        Ok(())
    }

    /// Cancels one reservation. The fan may have been faster.
    async fn cancel(&self, id: ReservationId) -> Result<(), AppError> {
        let request = request_of(self.call.caller, id);
        let cancellations = &self.use_cases.parts.cancellations;
        match cancellations.cancel_for_operator(self.call, id, self.reason.clone(), request).await {
            Ok(_) | Err(AppError::NotConfirmed { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Blocks the seats that nobody has. Those that a fan takes meanwhile are blocked in the next round.
    async fn block_free_seats(&self) -> Result<(), AppError> {
        let PerformanceCancellationParts { reservations, seat_blocks, seat_map, clock, ids, .. } =
            &*self.use_cases.parts;
        let (performance, chart) = (&self.context.performance, &self.context.venue.chart);
        let claims = reservations.claims(performance.id).await?;
        let claimed: BTreeSet<Slot> = claims.iter().map(|claim| claim.slot).collect();
        let is_free = |slot: &Slot| performance.prices.sells(chart, *slot) && !claimed.contains(slot);
        let free: Vec<Slot> = (0..chart.slots()).map(Slot).filter(is_free).collect();
        let reason = BlockReason::parse(self.reason.as_str());
        let reason = reason.map_err(|_| AppError::Internal("a reason that is none".to_owned()))?;
        for slots in free.chunks(BLOCK_SEATS_MAX) {
            let block = SeatBlock {
                id: BlockId(ids.next()),
                performance: performance.id,
                operator: self.call.caller.user,
                reason: reason.clone(),
                slots: slots.to_vec(),
                at: clock.now(),
            };
            let act = self.call.act(AuditEntryId(ids.next()), block.at, Some(self.reason.as_str()));
            match seat_blocks.block(block, Some(act)).await {
                Ok(_) => {
                    if let Err(error) = seat_map.settle(performance.id, slots, Locker::Operators).await {
                        let error = &error as &dyn std::error::Error;
                        warn!(performance = %performance.id, error, "seat locks could not be settled; the repair does it");
                    }
                }
                Err(RequestError::Refused(_) | RequestError::Reused) => {}
                Err(RequestError::Unavailable(unavailable)) => return Err(unavailable.into()),
            }
        }
        Ok(())
    }
}

/// The request under which an operator cancels a reservation of a cancelled performance.
fn request_of(operator: Caller, reservation: ReservationId) -> RequestKey {
    let digest = Sha256::new().chain_update(b"cancel performance").chain_update(reservation.0.as_bytes()).finalize();
    let mut half = [0; DIGEST_LEN];
    half.copy_from_slice(&digest[..DIGEST_LEN]);
    let id = RequestId(Uuid::from_bytes(half));
    RequestKey { user: operator.user, id, fingerprint: Fingerprint::new(half, half) }
}
