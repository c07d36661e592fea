//! Making seat locks say what the claims say.

use std::collections::HashSet;
use std::sync::Arc;

use encore_domain::booking::seat_state::{Locker, SeatLock};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Reservations, SeatLocks};

/// Settles seats.
#[derive(Clone)]
pub(crate) struct SeatSettling {
    pub(crate) locks: Arc<dyn SeatLocks>,
    pub(crate) reservations: Arc<dyn Reservations>,
}

impl SeatSettling {
    /// Makes the locks say what the claims say about these seats: claimed ones are marked, and of the others those that are
    /// locked by those named are freed.
    ///
    /// A claim may be released or paid after it was read and before it is marked, and then what is marked is of yesterday. So
    /// the claims are read again afterwards: if they are what was marked, every later change comes with its own word to the
    /// locks.
    pub(crate) async fn settle(
        &self,
        performance: PerformanceId,
        mut lockers: Vec<(Slot, Locker)>,
    ) -> Result<(), Unavailable> {
        const ROUNDS_MAX: usize = 3;
        let mut slots: Vec<Slot> = lockers.iter().map(|(slot, _)| *slot).collect();
        slots.sort_unstable();
        slots.dedup();
        let mut claims = self.reservations.claims_on(performance, &slots).await?;
        for _ in 0..ROUNDS_MAX {
            let claimed: Vec<SeatLock> = claims.iter().map(SeatLock::from).collect();
            self.locks.mark(performance, &claimed).await?;
            let claimed: HashSet<_> = claims.iter().map(|claim| (claim.slot, claim.owner.locker())).collect();
            let mut unblocked = Vec::new();
            for unaccepted in lockers.iter().filter(|locker| !claimed.contains(locker)) {
                match *unaccepted {
                    (slot, Locker::Fan(owner)) => drop(self.locks.release(performance, &[slot], owner).await?),
                    (slot, Locker::Operators) => unblocked.push(slot),
                }
            }
            if !unblocked.is_empty() {
                self.locks.unblock(performance, &unblocked).await?;
            }
            let now = self.reservations.claims_on(performance, &slots).await?;
            if now == claims {
                return Ok(());
            }
            lockers.extend(claims.iter().map(|claim| (claim.slot, claim.owner.locker())));
            claims = now;
        }
        Ok(())
    }
}
