//! What must be true of a copy of a line.
//!
//! A copy knows who is inside, and who is gone of those who still wait. It does not know who was called and is through
//! already, so a number that was passed over without ever being called cannot be found here: to its fan it looks like a place
//! that is over. Of numbers that were called although they had left before, only the last few can be found: the bitmap of a
//! copy begins at the head, rounded down to a whole byte or word.

use std::collections::BTreeSet;

use crate::audit::{Finding, Promise};
use crate::ids::PerformanceId;
use crate::line_snapshot::{LaneSnapshot, LineSnapshot};
use crate::queue::LaneNumber;
use crate::time::Timestamp;

/// What is wrong with a line. The cap is known only while the performance is on sale.
pub fn line_findings(
    performance: PerformanceId,
    line: &LineSnapshot,
    cap: Option<u32>,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(cap.and_then(|cap| over_cap(performance, line, cap, now)));
    for (index, lane) in line.lanes.iter().enumerate().filter(|(_, lane)| lane.head > lane.tail) {
        let detail = format!("{} numbers were called of {} given out", lane.head, lane.tail);
        findings.push(Finding::new(Promise::LineJump, format!("performance {performance} lane {index}"), detail));
    }
    for place in places_inside(line) {
        if let Some(detail) = out_of_turn(line, place) {
            let subject = format!("performance {performance} lane {} number {}", place.lane, place.number);
            findings.push(Finding::new(Promise::LineJump, subject, detail));
        }
    }
    findings
}

/// How many numbers are inside a line, each once, whether or not their time is over.
pub fn inside(line: &LineSnapshot) -> u64 {
    u64::try_from(places_inside(line).len()).unwrap_or(u64::MAX)
}

fn places_inside(line: &LineSnapshot) -> BTreeSet<LaneNumber> {
    line.called.keys().chain(line.active.keys()).copied().collect()
}

fn over_cap(performance: PerformanceId, line: &LineSnapshot, cap: u32, now: Timestamp) -> Option<Finding> {
    // What is due at or before now is over, though nobody has taken it away yet.
    let is_live = |until: &&Timestamp| **until > now;
    let called = line.called.values().filter(is_live).count();
    let active = line.active.values().filter(is_live).count();
    let detail = format!("{called} called and {active} active with a cap of {cap}");
    let too_many = u64::try_from(called + active).unwrap_or(u64::MAX) > u64::from(cap);
    too_many.then(|| Finding::new(Promise::OverCap, format!("performance {performance} line"), detail))
}

fn out_of_turn(line: &LineSnapshot, place: LaneNumber) -> Option<String> {
    let (called, active) = (line.called.contains_key(&place), line.active.contains_key(&place));
    let state = if active { "active" } else { "called" };
    let nothing = LaneSnapshot::default();
    let lane = line.lanes.get(usize::from(place.lane)).unwrap_or(&nothing);
    if place.number == 0 || place.number > lane.tail {
        Some(format!("{state}, though only {} numbers were given out", lane.tail))
    } else if place.number > lane.head {
        Some(format!("{state}, though only {} numbers were called", lane.head))
    } else if lane.gone.contains(place.number) {
        Some(format!("{state}, though it is gone"))
    } else if called && active {
        Some("called and active at once".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::line_snapshot::{GoneMap, LineFlow};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const HALL: PerformanceId = PerformanceId(Uuid::nil());

    fn numbers(numbers: &[u64]) -> HashMap<LaneNumber, Timestamp> {
        let until = NOW + Duration::from_secs(1);
        numbers.iter().map(|number| (LaneNumber { lane: 0, number: *number }, until)).collect()
    }

    fn told(line: &LineSnapshot, cap: u32) -> Vec<(Promise, String)> {
        let findings = line_findings(HALL, line, Some(cap), NOW);
        findings.into_iter().map(|finding| (finding.promise, finding.detail)).collect()
    }

    /// Ten joined; 8 were called, of whom 3 and 4 are awaited and 5 is inside. 9 is gone.
    fn line() -> LineSnapshot {
        let gone = GoneMap::from_bytes(8, &[0b0100_0000]);
        LineSnapshot {
            epoch: 1,
            restored_at: NOW,
            quiet_until: NOW,
            draws: false,
            lanes: vec![LaneSnapshot { head: 8, tail: 10, gone, ..LaneSnapshot::default() }],
            called: numbers(&[3, 4]),
            active: numbers(&[5]),
            bucket: None,
            reserved: 0,
            flow: LineFlow::default(),
        }
    }

    #[test]
    fn a_line_in_order_has_no_findings() {
        assert_eq!(told(&line(), 3), []);
        assert_eq!(inside(&line()), 3);
    }

    #[test]
    fn more_inside_than_the_cap_are_found() {
        let expected = (Promise::OverCap, "2 called and 1 active with a cap of 2".to_owned());
        assert_eq!(told(&line(), 2), [expected]);
        assert_eq!(line_findings(HALL, &line(), None, NOW), []);
    }

    #[test]
    fn whose_time_is_over_takes_no_place() {
        let mut line = line();
        line.called.insert(LaneNumber { lane: 0, number: 4 }, NOW);
        assert_eq!(told(&line, 2), []);
    }

    #[test]
    fn numbers_inside_out_of_turn_are_found() {
        let mut line = line();
        line.called = numbers(&[5, 9, 10, 11]);
        line.active = numbers(&[0, 5]);
        line.lanes[0].gone = GoneMap::from_bytes(8, &[0b1000_0000]);
        line.called.extend(numbers(&[8]));
        line.called.insert(LaneNumber { lane: 1, number: 1 }, NOW);
        let details = [
            "active, though only 10 numbers were given out",
            "called and active at once",
            "called, though it is gone",
            "called, though only 8 numbers were called",
            "called, though only 8 numbers were called",
            "called, though only 10 numbers were given out",
            "called, though only 0 numbers were given out",
        ];
        assert_eq!(told(&line, 100), details.map(|detail| (Promise::LineJump, detail.to_owned())));
    }

    #[test]
    fn a_head_past_the_tail_is_found() {
        let mut line = line();
        line.lanes[0].head = 11;
        let expected = (Promise::LineJump, "11 numbers were called of 10 given out".to_owned());
        assert_eq!(told(&line, 3), [expected]);
    }
}
