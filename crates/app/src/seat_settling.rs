//! Making seat locks say what the claims say.

use std::sync::Arc;

use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::ports::{Reservations, SeatLocks};
use encore_domain::seat_chart::Slot;
use encore_domain::seat_state::SeatLock;

/// Settles seats.
#[derive(Clone)]
pub(crate) struct SeatSettling {
    pub(crate) locks: Arc<dyn SeatLocks>,
    pub(crate) reservations: Arc<dyn Reservations>,
}

impl SeatSettling {
    /// Makes the locks say what the claims say about these seats: claimed ones are marked, and of the others those that are
    /// locked by the owners named are freed.
    ///
    /// A claim may be released or paid after it was read and before it is marked, and then what is marked is of yesterday. So
    /// the claims are read again afterwards: if they are what was marked, every later change comes with its own word to the
    /// locks.
    pub(crate) async fn settle(
        &self,
        performance: PerformanceId,
        mut owners: Vec<(Slot, ReservationId)>,
    ) -> Result<(), Unavailable> {
        const ROUNDS_MAX: usize = 3;
        let mut slots: Vec<Slot> = owners.iter().map(|(slot, _)| *slot).collect();
        slots.sort_unstable();
        slots.dedup();
        let mut claims = self.reservations.claims_on(performance, &slots).await?;
        for _ in 0..ROUNDS_MAX {
            let claimed: Vec<SeatLock> = claims.iter().map(SeatLock::from).collect();
            self.locks.mark(performance, &claimed).await?;
            for (slot, owner) in &owners {
                if claims.iter().all(|claim| (claim.slot, claim.reservation) != (*slot, *owner)) {
                    self.locks.release(performance, &[*slot], *owner).await?;
                }
            }
            let now = self.reservations.claims_on(performance, &slots).await?;
            if now == claims {
                return Ok(());
            }
            owners.extend(claims.iter().map(|claim| (claim.slot, claim.reservation)));
            claims = now;
        }
        Ok(())
    }
}
