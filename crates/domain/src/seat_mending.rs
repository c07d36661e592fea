//! Where the live state of seats is not what the claims say.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::booking::Claim;
use crate::ids::ReservationId;
use crate::seat_chart::Slot;
use crate::seat_state::{FREE, HELD, NO_SEAT, SOLD, SeatLock, SeatState};

/// Who has a seat for the moment in which one that is shown as sold, to nobody, becomes free.
pub const NOBODY: ReservationId = ReservationId(Uuid::nil());

/// A seat that is shown as something else than what is claimed. It may be on its way: a lock is there before its claim, and a
/// claim changes before its lock does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Difference {
    /// Which seat.
    pub slot: Slot,
    /// The byte that is shown.
    pub shown: u8,
    /// Who holds it, by the locks.
    pub holder: Option<ReservationId>,
    /// Who has a claim on it.
    pub claimant: Option<ReservationId>,
}

/// Compares the live state and its locks on held seats with the claims.
pub fn differences(state: &SeatState, holders: &[SeatLock], claims: &[Claim]) -> Vec<Difference> {
    let claims: BTreeMap<Slot, &Claim> = claims.iter().map(|claim| (claim.slot, claim)).collect();
    let holders: BTreeMap<Slot, ReservationId> = holders.iter().map(|lock| (lock.slot, lock.owner)).collect();
    let seats = (0..).map(Slot).zip(&state.bytes).filter(|(_, shown)| **shown != NO_SEAT);
    let differing = seats.filter_map(|(slot, shown)| {
        let claim = claims.get(&slot);
        let due = match claim {
            None => FREE,
            Some(claim) if claim.held_until.is_some() => HELD,
            Some(_) => SOLD,
        };
        let claimant = claim.map(|claim| claim.reservation);
        let holder = holders.get(&slot).copied().filter(|_| *shown == HELD);
        let right = *shown == due && (due != HELD || holder == claimant);
        (!right).then_some(Difference { slot, shown: *shown, holder, claimant })
    });
    differing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    const ONE: ReservationId = ReservationId(Uuid::from_u128(1));
    const OTHER: ReservationId = ReservationId(Uuid::from_u128(2));

    fn lock(slot: u32, owner: ReservationId) -> SeatLock {
        SeatLock { slot: Slot(slot), owner, held_until: Some(Timestamp::UNIX_EPOCH) }
    }

    fn claim(slot: u32, reservation: ReservationId, held: bool) -> Claim {
        Claim { slot: Slot(slot), reservation, held_until: held.then_some(Timestamp::UNIX_EPOCH) }
    }

    fn state(bytes: &[u8]) -> SeatState {
        SeatState { bytes: bytes.to_vec(), version: 1 }
    }

    #[test]
    fn what_is_as_claimed_does_not_differ() {
        let claims = [claim(1, ONE, true), claim(3, OTHER, false)];
        assert_eq!(differences(&state(b"ah_s"), &[lock(1, ONE)], &claims), []);
    }

    #[test]
    fn every_other_seat_does() {
        let claims = [claim(0, ONE, true), claim(1, ONE, false), claim(2, ONE, false), claim(3, ONE, true)];
        let holders = [lock(2, ONE), lock(4, OTHER), lock(5, OTHER)];
        let claims = [&claims[..], &[claim(5, ONE, true)]].concat();
        let of = |slot, shown, holder, claimant| Difference { slot: Slot(slot), shown, holder, claimant };
        let expected = [
            of(0, FREE, None, Some(ONE)),
            of(1, FREE, None, Some(ONE)),
            of(2, HELD, Some(ONE), Some(ONE)),
            of(3, SOLD, None, Some(ONE)),
            of(4, HELD, Some(OTHER), None),
            of(5, HELD, Some(OTHER), Some(ONE)),
            of(6, SOLD, None, None),
        ];
        assert_eq!(differences(&state(b"aahshhs"), &holders, &claims), expected);
    }
}
