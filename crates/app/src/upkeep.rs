//! What keeps the promises when nobody calls: sweeps that any instance runs, at any time, as often as it likes.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::ports::{Clock, Payments, Reservations};
use encore_seat_map::SeatMap;
use encore_waiting_room::WaitingRoom;
use tracing::info;

use crate::error::AppError;
use crate::payment::SettlementPropagator;

/// How much one step of a sweep takes on, so that no transaction or script grows long.
const BATCH: u32 = 200;
/// How long after its hold's deadline a lock may stand before it is compared with the claims: the expiry sweep comes first.
const LOCK_GRACE: Duration = Duration::from_secs(2);
/// How long after a payment its settlement is propagated again unless it is known to be propagated, which is noted once a sweep.
const PROPAGATE_AGAIN_AFTER: Duration = Duration::from_secs(3);

/// What [`Upkeep`] is made of.
pub struct UpkeepParts {
    /// The claims.
    pub reservations: Arc<dyn Reservations>,
    /// The payments.
    pub payments: Arc<dyn Payments>,
    /// The live seats.
    pub seat_map: SeatMap,
    /// Propagates payments.
    pub propagator: SettlementPropagator,
    /// What is on sale.
    pub room: WaitingRoom,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The sweeps.
#[derive(Clone)]
pub struct Upkeep {
    reservations: Arc<dyn Reservations>,
    payments: Arc<dyn Payments>,
    seat_map: SeatMap,
    propagator: SettlementPropagator,
    room: WaitingRoom,
    clock: Arc<dyn Clock>,
}

impl Upkeep {
    /// Puts the sweeps on their ports.
    pub fn new(parts: UpkeepParts) -> Self {
        let UpkeepParts { reservations, payments, seat_map, propagator, room, clock } = parts;
        Self { reservations, payments, seat_map, propagator, room, clock }
    }

    /// Ends holds whose deadline has passed and frees their seats.
    pub async fn expire_holds(&self) -> Result<(), AppError> {
        loop {
            let expired = self.reservations.expire_due(self.clock.now(), BATCH).await?;
            for reservation in &expired {
                self.seat_map.release(reservation.performance, &reservation.slots(), reservation.id).await;
            }
            if expired.len() < BATCH as usize {
                return Ok(());
            }
            info!(expired = expired.len(), "a full batch of holds expired");
        }
    }

    /// Notes which payments were propagated, and tells those that nobody is known to have propagated.
    pub async fn propagate_settlements(&self) -> Result<(), AppError> {
        self.note_propagated().await?;
        let pending = self.payments.pending(self.clock.now() - PROPAGATE_AGAIN_AFTER, BATCH).await?;
        let mut outcome = Ok(());
        for settlement in &pending {
            outcome = outcome.and(self.propagator.tell(settlement).await);
        }
        self.note_propagated().await?;
        outcome
    }

    async fn note_propagated(&self) -> Result<(), Unavailable> {
        let propagated = self.propagator.take_propagated();
        if propagated.is_empty() { Ok(()) } else { self.payments.mark_propagated(&propagated).await }
    }

    /// Frees or corrects seat locks that outlived their hold, of every performance on sale.
    pub async fn settle_overdue_locks(&self) -> Result<(), AppError> {
        let before = self.clock.now() - LOCK_GRACE;
        let mut outcome = Ok(());
        for performance in self.room.on_sale() {
            outcome = outcome.and(self.seat_map.settle_overdue(performance, before, BATCH).await.map(drop));
        }
        Ok(outcome?)
    }

    /// Compares the seat locks of every performance on sale with the claims, and repairs what differs for too long.
    pub async fn repair_seat_locks(&self) -> Result<(), AppError> {
        Ok(self.seat_map.repair(&self.room.on_sale()).await?)
    }

    /// How many seats this instance has repaired.
    pub fn seats_repaired(&self) -> u64 {
        self.seat_map.repaired()
    }
}
