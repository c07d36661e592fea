//! The invariants of a queue snapshot.
//!
//! A snapshot has the numbers that are inside, and those after the head that are gone. It does not have the numbers that were called
//! and have ended. So a number that was skipped without being called cannot be found here; for its fan it has ended. Of numbers that
//! were called although they were gone, only the last few can be found, because the bitmap begins at the head, rounded down to a
//! whole byte or word.

use std::collections::BTreeSet;

use crate::audit::{Finding, Promise};
use crate::ids::PerformanceId;
use crate::queue::LaneNumber;
use crate::queue::snapshot::{LaneSnapshot, QueueSnapshot};
use crate::time::Timestamp;

/// Checks a queue. The maximum is known only while the performance is on sale.
pub fn queue_findings(
    performance: PerformanceId,
    queue: &QueueSnapshot,
    max_active: Option<u32>,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(max_active.and_then(|max_active| over_max_active(performance, queue, max_active, now)));
    for (index, lane) in queue.lanes.iter().enumerate().filter(|(_, lane)| lane.head > lane.tail) {
        let detail = format!("{} numbers were called of {} given out", lane.head, lane.tail);
        findings.push(Finding::new(Promise::QueueJump, format!("performance {performance} lane {index}"), detail));
    }
    for lane_number in numbers_inside(queue) {
        if let Some(detail) = out_of_turn(queue, lane_number) {
            let subject = format!("performance {performance} lane {} number {}", lane_number.lane, lane_number.number);
            findings.push(Finding::new(Promise::QueueJump, subject, detail));
        }
    }
    findings
}

/// How many numbers are inside a queue, each counted once, whether or not their deadline has passed.
pub fn inside(queue: &QueueSnapshot) -> u64 {
    u64::try_from(numbers_inside(queue).len()).unwrap_or(u64::MAX)
}

fn numbers_inside(queue: &QueueSnapshot) -> BTreeSet<LaneNumber> {
    queue.called.keys().chain(queue.active.keys()).copied().collect()
}

fn over_max_active(
    performance: PerformanceId,
    queue: &QueueSnapshot,
    max_active: u32,
    now: Timestamp,
) -> Option<Finding> {
    // What is due at or before now is over, though nobody has taken it away yet.
    let is_live = |until: &&Timestamp| **until > now;
    let called = queue.called.values().filter(is_live).count();
    let active = queue.active.values().filter(is_live).count();
    let detail = format!("{called} called and {active} active with a max_active of {max_active}");
    let too_many = u64::try_from(called + active).unwrap_or(u64::MAX) > u64::from(max_active);
    too_many.then(|| Finding::new(Promise::OverMaxActive, format!("performance {performance} queue"), detail))
}

fn out_of_turn(queue: &QueueSnapshot, lane_number: LaneNumber) -> Option<String> {
    let (called, active) = (queue.called.contains_key(&lane_number), queue.active.contains_key(&lane_number));
    let state = if active { "active" } else { "called" };
    let nothing = LaneSnapshot::default();
    let lane = queue.lanes.get(usize::from(lane_number.lane)).unwrap_or(&nothing);
    // Who needs an accessible seat may be called before others, and is gone for their order.
    let may_pass_others = queue.inside_accessible.contains(&lane_number);
    if lane_number.number == 0 || lane_number.number > lane.tail {
        Some(format!("{state}, though only {} numbers were given out", lane.tail))
    } else if lane.needs_accessible.contains(lane_number.number) {
        Some(format!("{state}, though it waits"))
    } else if lane_number.number > lane.head && !may_pass_others {
        Some(format!("{state}, though only {} numbers were called", lane.head))
    } else if lane.gone.contains(lane_number.number) && !may_pass_others {
        Some(format!("{state}, though it is gone"))
    } else if called && active {
        Some("called and active at once".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::queue::NumberMap;
    use crate::queue::Pace;
    use crate::queue::snapshot::QueueFlow;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const PERFORMANCE: PerformanceId = PerformanceId(Uuid::nil());

    fn numbers(numbers: &[u64]) -> HashMap<LaneNumber, Timestamp> {
        let until = NOW + Duration::from_secs(1);
        numbers.iter().map(|number| (LaneNumber { lane: 0, number: *number }, until)).collect()
    }

    fn told(queue: &QueueSnapshot, max_active: u32) -> Vec<(Promise, String)> {
        let findings = queue_findings(PERFORMANCE, queue, Some(max_active), NOW);
        findings.into_iter().map(|finding| (finding.promise, finding.detail)).collect()
    }

    /// Ten joined; 8 were called, of whom 3 and 4 are awaited and 5 is inside. 9 is gone.
    fn queue() -> QueueSnapshot {
        let gone = NumberMap::from_bytes(8, &[0b0100_0000]);
        QueueSnapshot {
            epoch: 1,
            restored_at: NOW,
            quiet_until: NOW,
            draws: false,
            lanes: vec![LaneSnapshot { head: 8, tail: 10, gone, ..LaneSnapshot::default() }],
            called: numbers(&[3, 4]),
            active: numbers(&[5]),
            bucket: None,
            reserved: 0,
            flow: QueueFlow::default(),
            inside_accessible: HashSet::new(),
            pace: Pace::default(),
        }
    }

    #[test]
    fn a_queue_in_order_has_no_findings() {
        assert_eq!(told(&queue(), 3), []);
        assert_eq!(inside(&queue()), 3);
    }

    #[test]
    fn more_inside_than_the_maximum_are_found() {
        let expected = (Promise::OverMaxActive, "2 called and 1 active with a max_active of 2".to_owned());
        assert_eq!(told(&queue(), 2), [expected]);
        assert_eq!(queue_findings(PERFORMANCE, &queue(), None, NOW), []);
    }

    #[test]
    fn whose_time_is_over_takes_no_place() {
        let mut queue = queue();
        queue.called.insert(LaneNumber { lane: 0, number: 4 }, NOW);
        assert_eq!(told(&queue, 2), []);
    }

    #[test]
    fn numbers_inside_out_of_turn_are_found() {
        let mut queue = queue();
        queue.called = numbers(&[5, 9, 10, 11]);
        queue.active = numbers(&[0, 5]);
        queue.lanes[0].gone = NumberMap::from_bytes(8, &[0b1000_0000]);
        queue.called.extend(numbers(&[8]));
        queue.called.insert(LaneNumber { lane: 1, number: 1 }, NOW);
        let details = [
            "active, though only 10 numbers were given out",
            "called and active at once",
            "called, though it is gone",
            "called, though only 8 numbers were called",
            "called, though only 8 numbers were called",
            "called, though only 10 numbers were given out",
            "called, though only 0 numbers were given out",
        ];
        assert_eq!(told(&queue, 100), details.map(|detail| (Promise::QueueJump, detail.to_owned())));
    }

    #[test]
    fn who_needs_an_accessible_seat_may_be_called_before_others() {
        let mut queue = queue();
        queue.called.extend(numbers(&[9, 10]));
        queue.inside_accessible = [9, 10].map(|number| LaneNumber { lane: 0, number }).into();
        queue.lanes[0].gone = NumberMap::from_bytes(8, &[0b0110_0000]);
        assert_eq!(told(&queue, 100), []);
        queue.lanes[0].needs_accessible = NumberMap::from_bytes(8, &[0b0100_0000]);
        assert_eq!(told(&queue, 100), [(Promise::QueueJump, "called, though it waits".to_owned())]);
    }

    #[test]
    fn a_head_past_the_tail_is_found() {
        let mut queue = queue();
        queue.lanes[0].head = 11;
        let expected = (Promise::QueueJump, "11 numbers were called of 10 given out".to_owned());
        assert_eq!(told(&queue, 3), [expected]);
    }
}
