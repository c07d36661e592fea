//! Making the locks of some seats agree with their claims.

use std::collections::HashSet;
use std::sync::Arc;

use encore_domain::booking::seat_state::{Locker, SeatLock};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Reservations, SeatLocks};

/// How often the claims are read again because they changed while the locks were written.
const ROUNDS_MAX: usize = 3;

/// Makes the locks of some seats agree with their claims.
#[derive(Clone)]
pub(crate) struct Settling {
    pub(crate) locks: Arc<dyn SeatLocks>,
    pub(crate) reservations: Arc<dyn Reservations>,
}

impl Settling {
    /// Marks the seats that have a claim. Frees those that have none, if they are locked by the lockers named with them.
    ///
    /// A claim may change between the read of the claims and the write of the locks, and the write then restores an outdated
    /// state. Therefore the claims are read again afterwards. If they are what was written, every later change of a claim is
    /// followed by its own write to the locks.
    pub(crate) async fn settle(
        &self,
        performance: PerformanceId,
        mut lockers: Vec<(Slot, Locker)>,
    ) -> Result<(), Unavailable> {
        let mut slots: Vec<Slot> = lockers.iter().map(|(slot, _)| *slot).collect();
        slots.sort_unstable();
        slots.dedup();
        let mut claims = self.reservations.claims_on(performance, &slots).await?;
        for _ in 0..ROUNDS_MAX {
            let claimed: Vec<SeatLock> = claims.iter().map(SeatLock::from).collect();
            self.locks.mark(performance, &claimed).await?;
            let claimed: HashSet<_> = claims.iter().map(|claim| (claim.slot, claim.owner.locker())).collect();
            let mut unblocked = Vec::new();
            for unclaimed in lockers.iter().filter(|locker| !claimed.contains(locker)) {
                match *unclaimed {
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
