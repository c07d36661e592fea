//! A copy of a queue at one moment. Any number of fans read their exact positions from it, each in constant time.

use std::collections::{HashMap, HashSet};

use crate::queue::{
    CallRate, Inside, LaneNumber, LaneRecord, NumberMap, Pace, PaceSample, QueueRecord, QueueSettings, QueueToken,
    TokenBucket,
};
use crate::time::Timestamp;

/// A lane at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneSnapshot {
    /// The last number called.
    pub head: u64,
    /// The last index given out.
    pub tail: u64,
    /// The last index that may be given out until the limit is raised.
    pub limit: u64,
    /// How many numbers were drawn; none if none were.
    pub drawn: Option<u64>,
    /// Which numbers after `head` are gone, or unseen since the queue was restored, or need an accessible seat.
    pub gone: NumberMap,
    /// The numbers that need an accessible seat and wait. They may be before the head: while no accessible seat is left, others are
    /// called instead.
    pub needs_accessible: NumberMap,
    /// Numbers up to `head` that were skipped unseen and were shown since, in order. They are called first.
    pub late: Vec<u64>,
    /// How many were called, ever.
    pub called: u64,
    /// When the queue was opened, all numbers after this one were unseen.
    pub unseen_after: u64,
}

/// Counts of what happened to the fans of a queue since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueFlow {
    /// Tokens given out.
    pub joined: u64,
    /// Called.
    pub called: u64,
    /// Accepted the call.
    pub accepted: u64,
    /// Did not accept the call in time.
    pub no_shows: u64,
    /// Left, or moved to another lane.
    pub left: u64,
    /// Were absent for too long while waiting.
    pub abandoned: u64,
    /// Paid.
    pub used: u64,
    /// Were active until their deadline.
    pub expired: u64,
}

/// A queue at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSnapshot {
    /// The run of the queue; see [`QueueTokenPayload::epoch`](crate::queue::QueueTokenPayload::epoch).
    pub epoch: i64,
    /// When the queue was opened.
    pub restored_at: Timestamp,
    /// Nobody is called before this time, because fans are still showing their tokens.
    pub quiet_until: Timestamp,
    /// Whether the queue has a draw.
    pub draws: bool,
    /// By index.
    pub lanes: Vec<LaneSnapshot>,
    /// The called numbers that have not accepted, with the end of the accept window.
    pub called: HashMap<LaneNumber, Timestamp>,
    /// The active numbers, with the deadline.
    pub active: HashMap<LaneNumber, Timestamp>,
    /// Those called and active numbers that need an accessible seat. Some may have ended.
    pub inside_accessible: HashSet<LaneNumber>,
    /// The bucket at the last admission; none before the first admission, which finds it full.
    pub bucket: Option<TokenBucket>,
    /// How many are reserved inside for fans who were admitted before the queue was lost and have not shown their tokens.
    pub reserved: u64,
    /// Counts since the queue was opened.
    pub flow: QueueFlow,
    /// How fast fans were called lately.
    pub pace: Pace,
}

/// The status of a number in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberStatus {
    /// It waits for the draw.
    PreQueued,
    /// It waits.
    Waiting {
        /// The position among all who wait in the lane; 1 is next.
        position: u64,
        /// The position among those of the lane who want the same kind of seat. Those who want another kind may be passed over.
        position_by_need: u64,
    },
    /// It was called and has not accepted yet.
    Called,
    /// It is active.
    Active {
        /// The deadline.
        until: Timestamp,
    },
    /// It has ended or is unseen. Only the store knows which, and why.
    Ended,
}

impl NumberStatus {
    /// A number that waits at this position, where all ahead want the same kind of seat.
    pub fn waiting_at(position: u64) -> Self {
        Self::Waiting { position, position_by_need: position }
    }
}

impl LaneSnapshot {
    /// How many wait.
    pub fn waiting(&self) -> u64 {
        self.waiting_by_need(false) + self.waiting_by_need(true)
    }

    /// How many wait who need an accessible seat, or who do not.
    pub fn waiting_by_need(&self, needs_accessible: bool) -> u64 {
        if needs_accessible { self.needs_accessible.len() } else { self.general_below(self.tail + 1) }
    }

    /// The position of a number that waits, among all and among those who want the same kind of seat; none if it does not wait.
    fn position(&self, number: u64) -> Option<(u64, u64)> {
        let (general, accessible) = (self.general_below(number), self.needs_accessible.count_below(number));
        let position = general + accessible + 1;
        if self.needs_accessible.contains(number) {
            return Some((position, accessible + 1));
        }
        let waits = if number > self.head {
            number <= self.tail && !self.gone.contains(number)
        } else {
            self.late.binary_search(&number).is_ok()
        };
        waits.then_some((position, general + 1))
    }

    /// How many numbers below this one wait and do not need an accessible seat.
    fn general_below(&self, number: u64) -> u64 {
        let late = self.late.partition_point(|late| *late < number) as u64;
        let after_head = number.saturating_sub(self.head + 1);
        late + after_head.saturating_sub(self.gone_between(self.head, number))
    }

    /// How many numbers strictly between the two are gone.
    fn gone_between(&self, head: u64, number: u64) -> u64 {
        self.gone.count_below(number).saturating_sub(self.gone.count_below(head + 1))
    }
}

impl QueueSnapshot {
    /// Whether the draw of this lane is still to come.
    pub fn has_pre_queue(&self, lane: u8) -> bool {
        self.draws && self.lanes.get(usize::from(lane)).is_some_and(|lane| lane.drawn.is_none())
    }

    /// Whether the token's number was computed with the draw of its lane in this snapshot. Otherwise it is another fan's number here.
    pub fn is_of_draw(&self, token: &QueueToken) -> bool {
        let drawn = self.lanes.get(usize::from(token.payload.lane)).and_then(|lane| lane.drawn);
        token.drawn == drawn.filter(|count| token.payload.index <= *count).unwrap_or(0)
    }

    /// The status of a number of this run of the queue.
    pub fn status(&self, lane_number: LaneNumber) -> NumberStatus {
        if let Some(until) = self.active.get(&lane_number) {
            return NumberStatus::Active { until: *until };
        }
        if self.called.contains_key(&lane_number) {
            return NumberStatus::Called;
        }
        let lane = self.lanes.get(usize::from(lane_number.lane));
        match lane.and_then(|lane| lane.position(lane_number.number)) {
            Some(_) if self.has_pre_queue(lane_number.lane) => NumberStatus::PreQueued,
            Some((position, position_by_need)) => NumberStatus::Waiting { position, position_by_need },
            None => NumberStatus::Ended,
        }
    }

    /// How many people wait, in all lanes.
    pub fn waiting(&self) -> u64 {
        self.lanes.iter().map(LaneSnapshot::waiting).sum()
    }

    /// How many are called or active who need an accessible seat, or who do not.
    pub fn inside_by_need(&self, needs_accessible: bool, now: Timestamp) -> u64 {
        let all = self.called.iter().chain(&self.active);
        let inside =
            all.filter(|(number, until)| **until > now && self.inside_accessible.contains(number) == needs_accessible);
        inside.count() as u64
    }

    /// How fast fans who wait are called.
    pub fn call_rate(&self, settings: &QueueSettings, now: Timestamp) -> CallRate {
        self.pace.call_rate(&self.totals(now), settings)
    }

    /// Calls of a lane per second over the last minute; none if too little was measured.
    pub fn lane_per_second(&self, lane: usize, now: Timestamp) -> Option<f64> {
        self.pace.lane_per_second(&self.totals(now), lane)
    }

    /// The part of all calls that a lane has while fans wait in the lanes where they wait now.
    pub fn lane_share(&self, settings: &QueueSettings, lane: u8) -> f64 {
        let weights = settings.lanes.weights();
        let competes = |(index, state): &(usize, &LaneSnapshot)| *index == usize::from(lane) || state.waiting() > 0;
        let weight = |index: usize| f64::from(weights.get(index).copied().unwrap_or(1));
        let all: f64 = self.lanes.iter().enumerate().filter(competes).map(|(index, _)| weight(index)).sum();
        weight(usize::from(lane)) / all.max(1.0)
    }

    fn totals(&self, now: Timestamp) -> PaceSample {
        let called = self.lanes.iter().map(|lane| lane.called).collect();
        let inside = self.inside_by_need(false, now) + self.inside_by_need(true, now);
        PaceSample { at: now, called, inside }
    }

    /// The durable record of the queue. Limits are stored when they are raised, and not with this record.
    pub fn record(&self, now: Timestamp, settings: &QueueSettings) -> QueueRecord {
        let waits_for_the_unseen = self.restored_at < self.quiet_until && now < self.restored_at + settings.grace;
        let lanes = self.lanes.iter().map(|lane| {
            // All who wait must be after the head, so that they can show their tokens to a restored queue.
            let passed_over = lane.late.first().copied().into_iter().chain(lane.needs_accessible.lowest());
            let before_all = passed_over.min().map_or(u64::MAX, |number| number - 1);
            let head = if waits_for_the_unseen { lane.unseen_after } else { lane.head.min(before_all) };
            LaneRecord { head, tail: lane.tail, limit: lane.limit }
        });
        let inside = |active| {
            move |(lane_number, until): (&LaneNumber, &Timestamp)| Inside {
                lane_number: *lane_number,
                until: *until,
                active,
                needs_accessible: self.inside_accessible.contains(lane_number),
            }
        };
        let inside = self.called.iter().map(inside(false)).chain(self.active.iter().map(inside(true)));
        let mut inside: Vec<Inside> = inside.filter(|inside| inside.until > now).collect();
        inside.sort_unstable_by_key(|inside| inside.lane_number);
        // A fan who was admitted before the queue was lost and has not shown the token may still come in, besides those admitted now.
        let reserved = if waits_for_the_unseen { self.reserved } else { 0 };
        let unspent = self.unspent(now, settings) + reserved;
        QueueRecord { epoch: self.epoch, recorded_at: now, lanes: lanes.collect(), inside, unspent }
    }

    /// How many the bucket would admit now.
    pub fn unspent(&self, now: Timestamp, settings: &QueueSettings) -> u64 {
        let terms = settings.terms(None, now, now);
        let mut bucket = self.bucket.unwrap_or_else(|| TokenBucket::new(&terms, now));
        bucket.refill(&terms, now);
        bucket.available(&terms)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::ids::{PerformanceId, UserId};
    use crate::queue::number_map::written as gone;
    use crate::queue::{DRAW_KEY_BYTES, Draw, DrawKey, QueueRate, QueueTokenPayload};

    fn queue(lanes: Vec<LaneSnapshot>) -> QueueSnapshot {
        QueueSnapshot {
            epoch: 1,
            restored_at: Timestamp::UNIX_EPOCH,
            quiet_until: Timestamp::UNIX_EPOCH,
            draws: false,
            lanes,
            called: HashMap::new(),
            active: HashMap::new(),
            bucket: None,
            reserved: 0,
            flow: QueueFlow::default(),
            inside_accessible: HashSet::new(),
            pace: Pace::default(),
        }
    }

    fn lane_number(lane: u8, number: u64) -> LaneNumber {
        LaneNumber { lane, number }
    }

    #[test]
    fn a_position_counts_those_ahead_in_the_lane_who_are_still_there() {
        let lane = LaneSnapshot { head: 2, tail: 300, gone: gone(&[4, 5, 200], 2), ..LaneSnapshot::default() };
        let queue = queue(vec![LaneSnapshot { tail: 7, ..LaneSnapshot::default() }, lane]);
        assert_eq!(queue.status(lane_number(1, 3)), NumberStatus::waiting_at(1));
        assert_eq!(queue.status(lane_number(1, 4)), NumberStatus::Ended);
        assert_eq!(queue.status(lane_number(1, 6)), NumberStatus::waiting_at(2));
        assert_eq!(queue.status(lane_number(1, 300)), NumberStatus::waiting_at(295));
        assert_eq!(queue.status(lane_number(1, 301)), NumberStatus::Ended, "it was never given out");
        assert_eq!(queue.status(lane_number(2, 1)), NumberStatus::Ended, "there is no such lane");
        assert_eq!(queue.waiting(), 7 + 295);
    }

    #[test]
    fn who_was_passed_over_unseen_is_ahead_of_all() {
        let lane = LaneSnapshot { head: 9, tail: 12, late: vec![3, 7], ..LaneSnapshot::default() };
        let queue = queue(vec![lane]);
        let positions = [3, 7, 10, 12].map(|number| queue.status(lane_number(0, number)));
        assert_eq!(positions, [1, 2, 3, 5].map(NumberStatus::waiting_at));
        assert_eq!(queue.status(lane_number(0, 5)), NumberStatus::Ended);
        assert_eq!(queue.waiting(), 5);
    }

    #[test]
    fn who_needs_an_accessible_seat_keeps_the_position_among_all() {
        // 2 is before the head and waits; 6 and 9 wait after it.
        let lane = LaneSnapshot {
            head: 4,
            tail: 10,
            gone: gone(&[6, 7, 9], 4),
            needs_accessible: gone(&[2, 6, 9], 0),
            ..LaneSnapshot::default()
        };
        assert_eq!((lane.waiting_by_need(false), lane.waiting_by_need(true), lane.waiting()), (3, 3, 6));
        let queue = queue(vec![lane]);
        let expected = [(2, Some((1, 1))), (3, None), (5, Some((2, 1))), (6, Some((3, 2))), (7, None)];
        let expected = expected.into_iter().chain([(8, Some((4, 2))), (9, Some((5, 3))), (10, Some((6, 3)))]);
        for (number, positions) in expected {
            let waiting = |(position, position_by_need)| NumberStatus::Waiting { position, position_by_need };
            let expected = positions.map_or(NumberStatus::Ended, waiting);
            assert_eq!(queue.status(lane_number(0, number)), expected, "{number}");
        }
        let record = queue.record(Timestamp::UNIX_EPOCH, &QueueSettings::default());
        assert_eq!(record.lanes[0].head, 1, "2 can show its token to a restored queue");
    }

    #[test]
    fn before_the_draw_nobody_has_a_position() {
        let lane = LaneSnapshot { tail: 3, gone: gone(&[2], 0), ..LaneSnapshot::default() };
        let mut queue = queue(vec![lane]);
        queue.draws = true;
        assert_eq!(queue.status(lane_number(0, 3)), NumberStatus::PreQueued);
        assert_eq!(queue.status(lane_number(0, 2)), NumberStatus::Ended);
        queue.lanes[0].drawn = Some(3);
        assert_eq!(queue.status(lane_number(0, 3)), NumberStatus::waiting_at(2));
    }

    #[test]
    fn a_called_number_is_called_active_or_over() {
        let until = Timestamp::UNIX_EPOCH;
        let mut queue = queue(vec![LaneSnapshot { head: 3, tail: 3, ..LaneSnapshot::default() }]);
        queue.called.insert(lane_number(0, 2), until);
        queue.active.insert(lane_number(0, 3), until);
        assert_eq!(queue.status(lane_number(0, 1)), NumberStatus::Ended);
        assert_eq!(queue.status(lane_number(0, 2)), NumberStatus::Called);
        assert_eq!(queue.status(lane_number(0, 3)), NumberStatus::Active { until });
        assert_eq!(queue.waiting(), 0);
    }

    #[test]
    fn what_is_kept_are_heads_tails_and_who_is_inside_still() {
        let now = Timestamp::UNIX_EPOCH;
        let later = now + Duration::from_secs(1);
        let mut queue = queue(vec![LaneSnapshot { head: 3, tail: 8, limit: 20, ..LaneSnapshot::default() }]);
        queue.called.insert(lane_number(0, 2), later);
        queue.active.extend([(lane_number(0, 1), later), (lane_number(0, 3), now)]);
        let settings = QueueSettings { batch: 4, grace: Duration::from_secs(9), ..QueueSettings::default() };
        let record = queue.record(now, &settings);
        assert_eq!(record.lanes, [LaneRecord { head: 3, tail: 8, limit: 20 }]);
        (queue.quiet_until, queue.lanes[0].unseen_after) = (now + Duration::from_secs(2), 1);
        let grace_is_over = now + settings.grace;
        assert_eq!(queue.record(now, &settings).lanes[0].head, 1, "numbers 2 and 3 may still be shown");
        assert_eq!(queue.record(grace_is_over, &settings).lanes[0].head, 3, "not any more");
        queue.lanes[0].late = vec![2, 3];
        assert_eq!(queue.record(grace_is_over, &settings).lanes[0].head, 1, "they were shown, and wait");
        let inside = |number, active| Inside {
            lane_number: lane_number(0, number),
            until: later,
            active,
            needs_accessible: false,
        };
        assert_eq!((record.inside, record.unspent), (vec![inside(1, true), inside(2, false)], 4));
    }

    #[test]
    fn all_who_may_come_in_unrecorded_are_counted() {
        let now = Timestamp::UNIX_EPOCH;
        let settings = QueueSettings {
            rate: QueueRate { admissions: 10, period: Duration::from_secs(1) },
            batch: 4,
            grace: Duration::from_secs(9),
            ..QueueSettings::default()
        };
        let unspent = |queue: &QueueSnapshot, ms| queue.record(now + Duration::from_millis(ms), &settings).unspent;
        let mut queue = queue(vec![LaneSnapshot { tail: 8, ..LaneSnapshot::default() }]);
        assert_eq!(unspent(&queue, 0), 4, "a batch, at the first admission");
        queue.bucket = Some(TokenBucket::empty(now));
        assert_eq!(
            [0, 99, 100, 350, 9_000].map(|ms| unspent(&queue, ms)),
            [0, 0, 1, 3, 14],
            "what fills after the last, at most a batch and a second of the rate"
        );
        (queue.quiet_until, queue.reserved) = (now + Duration::from_secs(2), 5);
        assert_eq!([0, 350, 9_000].map(|ms| unspent(&queue, ms)), [5, 8, 14], "and those not shown yet");
    }

    #[test]
    fn a_number_counts_only_with_the_draw_of_its_lane() {
        let (performance, user) = (PerformanceId(Uuid::nil()), UserId(Uuid::nil()));
        let payload = |index| QueueTokenPayload {
            performance,
            user,
            epoch: 1,
            lane: 0,
            index,
            issued_at: Timestamp::UNIX_EPOCH,
            needs_accessible: false,
            admitted_until: None,
        };
        let draw = |count| Draw::new(DrawKey([3; DRAW_KEY_BYTES]), 0, count);
        let drawn = queue(vec![LaneSnapshot { tail: 9, drawn: Some(6), ..LaneSnapshot::default() }]);
        assert!(drawn.is_of_draw(&payload(6).token(Some(&draw(6)))));
        assert!(
            drawn.is_of_draw(&payload(7).token(Some(&draw(6)))),
            "a fan who joined after the draw has the index as number"
        );
        assert!(!drawn.is_of_draw(&payload(6).token(None)), "the reader does not know the draw yet");
        assert!(!drawn.is_of_draw(&payload(6).token(Some(&draw(8)))));
        let undrawn = queue(vec![LaneSnapshot { tail: 9, ..LaneSnapshot::default() }]);
        assert!(undrawn.is_of_draw(&payload(6).token(None)));
        assert!(
            !undrawn.is_of_draw(&payload(6).token(Some(&draw(6)))),
            "the reader knows a draw that the snapshot is older than"
        );
    }
}
