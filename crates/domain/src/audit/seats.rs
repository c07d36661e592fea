//! The invariants of the live seat state, given the claims.

use std::collections::{BTreeMap, HashSet};

use crate::audit::{Finding, Promise};
use crate::booking::Claim;
use crate::booking::seat_state::{Locker, SeatLock, SeatOwner, SeatState, SeatStatus};
use crate::catalog::PriceList;
use crate::catalog::seat_chart::{SeatChart, Slot};
use crate::ids::PerformanceId;

/// The name of a seat in a finding.
pub fn seat_subject(performance: PerformanceId, chart: Option<&SeatChart>, slot: Slot) -> String {
    match chart.and_then(|chart| chart.id_at(slot)) {
        Some(id) => format!("performance {performance} seat {id}/slot {}", slot.0),
        None => format!("performance {performance} slot {}", slot.0),
    }
}

/// The differences between the live state and the claims. A seat that is held without a claim counts only if its lock is overdue.
pub fn seat_findings(
    performance: PerformanceId,
    chart: &SeatChart,
    prices: &PriceList,
    state: &SeatState,
    claims: &[Claim],
    overdue: &[SeatLock],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if state.statuses.len() != chart.slots() as usize {
        let detail = format!("live state of {} slots, though the venue has {}", state.statuses.len(), chart.slots());
        let subject = format!("performance {performance} seat state");
        findings.push(Finding::new(Promise::SeatStateDiffers, subject, detail));
    }
    let claimed: BTreeMap<Slot, &Claim> = claims.iter().map(|claim| (claim.slot, claim)).collect();
    let overdue: HashSet<Slot> = overdue.iter().map(|lock| lock.slot).collect();
    for (slot, shown) in (0..).map(Slot).zip(&state.statuses) {
        let claim = claimed.get(&slot);
        let is_for_sale = prices.sells(chart, slot);
        let due = match claim {
            // A seat that is not for sale has no status, whether or not the operators block it.
            Some(claim) if is_for_sale || claim.owner.locker() != Locker::Operators => Some(claim.owner.status()),
            _ => is_for_sale.then_some(SeatStatus::Free),
        };
        let lock_before_claim = (due, *shown) == (Some(SeatStatus::Free), Some(SeatStatus::Held));
        let on_its_way = lock_before_claim && !overdue.contains(&slot);
        if due != *shown && !on_its_way {
            let owner = claim.map(|claim| by(claim.owner)).unwrap_or_default();
            let expected = if due.is_none() && chart.id_at(slot).is_some() { "not for sale" } else { word(due) };
            let detail = format!("shown as {}, though it is {expected}{owner}", word(*shown));
            let subject = seat_subject(performance, Some(chart), slot);
            findings.push(Finding::new(Promise::SeatStateDiffers, subject, detail));
        }
    }
    findings
}

fn by(owner: SeatOwner) -> String {
    match owner {
        SeatOwner::Holder { reservation, .. } | SeatOwner::Buyer { reservation, .. } => {
            format!(" by reservation {reservation}")
        }
        SeatOwner::Operators { block } => format!(" by block {block}"),
    }
}

fn word(status: Option<SeatStatus>) -> &'static str {
    match status {
        Some(SeatStatus::Free) => "free",
        Some(SeatStatus::Held) => "held",
        Some(SeatStatus::Sold) => "sold",
        Some(SeatStatus::Blocked) => "blocked",
        None => "no seat",
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::booking::seat_state::written::statuses;
    use crate::catalog::seat_chart::{Grade, PlannedRow, PlannedSeat, PlannedSection};
    use crate::ids::{BlockId, ReservationId, UserId};
    use crate::money::Currency;
    use crate::time::Timestamp;

    const PERFORMANCE: PerformanceId = PerformanceId(Uuid::nil());
    const OWNER: ReservationId = ReservationId(Uuid::nil());
    const FAN: UserId = UserId(Uuid::nil());

    /// Two rows of two seats: `_` is at slot 2.
    fn chart() -> SeatChart {
        let seat = |row: &str, number: u32| PlannedSeat {
            id: format!("{row}-{number}"),
            number: number.to_string(),
            grade: 0,
            x: f64::from(number),
            y: 0.0,
            accessible: false,
        };
        let row = |label: &str| PlannedRow { label: label.into(), seats: vec![seat(label, 1), seat(label, 2)] };
        let grade = Grade { name: "all".into(), color: String::new() };
        let section = PlannedSection { name: "S".into(), rows: vec![row("A"), row("B")], general_admission: None };
        SeatChart::lay_out(vec![section], vec![grade])
    }

    fn told(state: &str, overdue: &[SeatLock]) -> Vec<(String, String)> {
        let held = Claim::held(Slot(1), OWNER, FAN, Timestamp::UNIX_EPOCH);
        told_of(state, &[held, Claim::sold(Slot(3), OWNER, FAN)], overdue)
    }

    fn told_of(state: &str, claims: &[Claim], overdue: &[SeatLock]) -> Vec<(String, String)> {
        let state = SeatState { statuses: statuses(state), version: 1 };
        findings_priced(Some(100), &state, claims, overdue)
    }

    /// What is found in a performance whose only grade has this price.
    fn findings_priced(
        price: Option<i64>,
        state: &SeatState,
        claims: &[Claim],
        overdue: &[SeatLock],
    ) -> Vec<(String, String)> {
        let currency = Currency::parse("EUR").expect("a currency");
        let prices = PriceList { currency, minor_by_grade: vec![price] };
        let findings = seat_findings(PERFORMANCE, &chart(), &prices, state, claims, overdue);
        findings.into_iter().map(|finding| (finding.subject, finding.detail)).collect()
    }

    #[test]
    fn a_state_that_is_what_the_claims_say_has_no_findings() {
        assert_eq!(told("ah_sa", &[]), []);
    }

    #[test]
    fn a_lock_without_a_claim_is_in_order_until_its_deadline() {
        assert_eq!(told("hh_sa", &[]), []);
        let lock = SeatLock::held(Slot(0), OWNER, FAN, Timestamp::UNIX_EPOCH);
        let expected =
            (format!("performance {PERFORMANCE} seat A-1/slot 0"), "shown as held, though it is free".to_owned());
        assert_eq!(told("hh_sa", &[lock]), [expected]);
    }

    #[test]
    fn a_blocked_seat_is_shown_as_blocked() {
        let block = BlockId(Uuid::from_u128(7));
        let claims = [Claim::blocked(Slot(0), block)];
        assert_eq!(told_of("ba_aa", &claims, &[]), []);
        let seat = format!("performance {PERFORMANCE} seat A-1/slot 0");
        let expected = (seat, format!("shown as free, though it is blocked by block {block}"));
        assert_eq!(told_of("aa_aa", &claims, &[]), [expected]);
        let seat = format!("performance {PERFORMANCE} seat A-2/slot 1");
        let expected = (seat, "shown as blocked, though it is free".to_owned());
        assert_eq!(told_of("bb_aa", &claims, &[]), [expected]);
    }

    #[test]
    fn a_seat_that_is_not_for_sale_has_no_status_and_no_buyer() {
        let state = SeatState { statuses: statuses("_____"), version: 1 };
        let block = Claim::blocked(Slot(0), BlockId(Uuid::from_u128(7)));
        assert_eq!(findings_priced(None, &state, &[block], &[]), []);
        let found = findings_priced(None, &state, &[Claim::sold(Slot(1), OWNER, FAN)], &[]);
        let seat = format!("performance {PERFORMANCE} seat A-2/slot 1");
        assert_eq!(found, [(seat, format!("shown as no seat, though it is sold by reservation {OWNER}"))]);
        let state = SeatState { statuses: statuses("a____"), version: 1 };
        let seat = format!("performance {PERFORMANCE} seat A-1/slot 0");
        let expected = (seat, "shown as free, though it is not for sale".to_owned());
        assert_eq!(findings_priced(None, &state, &[], &[]), [expected]);
    }

    #[test]
    fn every_other_difference_is_found() {
        let by_owner = format!("by reservation {OWNER}");
        let expected = [
            ("seat A-1/slot 0", "shown as sold, though it is free".to_owned()),
            ("seat A-2/slot 1", format!("shown as free, though it is held {by_owner}")),
            ("slot 2", "shown as free, though it is no seat".to_owned()),
            ("seat B-1/slot 3", format!("shown as held, though it is sold {by_owner}")),
            ("seat B-2/slot 4", "shown as no seat, though it is free".to_owned()),
        ];
        assert_eq!(
            told("saah_", &[]),
            expected.map(|(seat, detail)| (format!("performance {PERFORMANCE} {seat}"), detail))
        );
        let expected = (
            format!("performance {PERFORMANCE} seat state"),
            "live state of 4 slots, though the venue has 5".to_owned(),
        );
        assert_eq!(told("ah_s", &[]), [expected]);
    }
}
