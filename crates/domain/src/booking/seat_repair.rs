//! Differences between the live state of seats and the claims.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::booking::Claim;
use crate::booking::seat_state::{Locker, SeatLock, SeatState, SeatStatus};
use crate::catalog::seat_chart::Slot;
use crate::ids::{ReservationId, UserId};

/// The temporary owner of a seat that is shown as sold and has no claim, while it is being freed.
pub const NOBODY: ReservationId = ReservationId(Uuid::nil());

/// The fan of [`NOBODY`].
pub const NOBODYS_USER: UserId = UserId(Uuid::nil());

/// A seat whose live state differs from its claim. The difference may be temporary: a lock is written before its claim, and a claim
/// changes before its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Difference {
    /// Which seat.
    pub slot: Slot,
    /// The status that is shown.
    pub shown: SeatStatus,
    /// Who holds or blocks it according to the locks.
    pub holder: Option<Locker>,
    /// Who has the claim on it.
    pub claimant: Option<Locker>,
}

/// Compares the live state and its locks on held seats with the claims.
pub fn differences(state: &SeatState, holders: &[SeatLock], claims: &[Claim]) -> Vec<Difference> {
    let claims: BTreeMap<Slot, &Claim> = claims.iter().map(|claim| (claim.slot, claim)).collect();
    let holders: BTreeMap<Slot, Locker> = holders.iter().map(|lock| (lock.slot, lock.owner.locker())).collect();
    let seats = (0..).map(Slot).zip(&state.statuses).filter_map(|(slot, shown)| Some((slot, (*shown)?)));
    let differing = seats.filter_map(|(slot, shown)| {
        let claim = claims.get(&slot);
        let due = claim.map_or(SeatStatus::Free, |claim| claim.owner.status());
        let claimant = claim.map(|claim| claim.owner.locker());
        let holder = match shown {
            SeatStatus::Held => holders.get(&slot).copied(),
            SeatStatus::Blocked => Some(Locker::Operators),
            SeatStatus::Free | SeatStatus::Sold => None,
        };
        let right = shown == due && (due != SeatStatus::Held || holder == claimant);
        (!right).then_some(Difference { slot, shown, holder, claimant })
    });
    differing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::booking::seat_state::SeatStatus::{Blocked, Free, Held, Sold};
    use crate::booking::seat_state::written::statuses;
    use crate::ids::BlockId;
    use crate::time::Timestamp;

    const ONE: ReservationId = ReservationId(Uuid::from_u128(1));
    const OTHER: ReservationId = ReservationId(Uuid::from_u128(2));

    fn lock(slot: u32, owner: ReservationId) -> SeatLock {
        SeatLock::held(Slot(slot), owner, UserId(owner.0), Timestamp::UNIX_EPOCH)
    }

    fn claim(slot: u32, reservation: ReservationId, held: bool) -> Claim {
        if held {
            Claim::held(Slot(slot), reservation, UserId(reservation.0), Timestamp::UNIX_EPOCH)
        } else {
            Claim::sold(Slot(slot), reservation, UserId(reservation.0))
        }
    }

    fn blocked(slot: u32) -> Claim {
        Claim::blocked(Slot(slot), BlockId(Uuid::from_u128(9)))
    }

    fn state(text: &str) -> SeatState {
        SeatState { statuses: statuses(text), version: 1 }
    }

    #[test]
    fn what_is_as_claimed_does_not_differ() {
        let claims = [claim(1, ONE, true), claim(3, OTHER, false), blocked(4)];
        assert_eq!(differences(&state("ah_sb"), &[lock(1, ONE)], &claims), []);
    }

    #[test]
    fn every_other_seat_does() {
        let claims = [claim(0, ONE, true), claim(1, ONE, false), claim(2, ONE, false), claim(3, ONE, true)];
        let holders = [lock(2, ONE), lock(4, OTHER), lock(5, OTHER)];
        let claims = [&claims[..], &[claim(5, ONE, true), blocked(7), blocked(8), claim(9, ONE, true)]].concat();
        let holders = [&holders[..], &[lock(8, ONE)]].concat();
        let of = |slot, shown, holder: Option<Locker>, claimant: Option<Locker>| Difference {
            slot: Slot(slot),
            shown,
            holder,
            claimant,
        };
        let [one, other] = [ONE, OTHER].map(|id| Some(Locker::Fan(id)));
        let operators = Some(Locker::Operators);
        let expected = [
            of(0, Free, None, one),
            of(1, Free, None, one),
            of(2, Held, one, one),
            of(3, Sold, None, one),
            of(4, Held, other, None),
            of(5, Held, other, one),
            of(6, Sold, None, None),
            of(7, Free, None, operators),
            of(8, Held, one, operators),
            of(9, Blocked, operators, one),
            of(10, Blocked, operators, None),
        ];
        assert_eq!(differences(&state("aahshhsahbb"), &holders, &claims), expected);
    }
}
