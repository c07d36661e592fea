//! The durable record of a queue, and how a queue is restored from it.

use std::time::Duration;

use crate::queue::{Draw, DrawEntries, DrawKey, EndReason, LaneNumber, QueueSettings};
use crate::time::Timestamp;

/// How long a restored queue calls nobody. In this time the open streams on every instance show their tokens, so that the fans at
/// the front are present when they are called.
pub const RESTORE_QUIET: Duration = Duration::from_secs(2);

/// The record of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneRecord {
    /// The last number called when the record was made; later ones may have been called since. While a restored queue waits for
    /// unseen tokens, this stays the head from before the loss, so that unseen numbers are not skipped for good.
    pub head: u64,
    /// The last index given out when the record was made.
    pub tail: u64,
    /// The last index that may be given out. It is raised before it is needed, so no higher index was ever given out, whatever is
    /// lost.
    pub limit: u64,
}

/// A number that is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inside {
    /// The number.
    pub lane_number: LaneNumber,
    /// The deadline.
    pub until: Timestamp,
    /// Whether the fan has accepted; if not, the call can be accepted until the deadline.
    pub active: bool,
    /// Whether the fan needs an accessible seat. Such fans may be called before others with lower numbers.
    pub needs_accessible: bool,
}

/// The record of a queue. It is stored about once a second while the queue changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRecord {
    /// See [`QueueTokenPayload::epoch`](crate::queue::QueueTokenPayload::epoch).
    pub epoch: i64,
    /// When the record was made.
    pub recorded_at: Timestamp,
    /// By index.
    pub lanes: Vec<LaneRecord>,
    /// The numbers that are inside; at most the maximum.
    pub inside: Vec<Inside>,
    /// How many more could be inside than the record knows: those that the bucket would have admitted, and those who were admitted
    /// before the queue was last lost and had not shown their tokens.
    pub unspent: u64,
}

/// A queue token that has ended, as it is noted durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndedToken {
    /// The index of the lane.
    pub lane: u8,
    /// See [`QueueTokenPayload::index`](crate::queue::QueueTokenPayload::index).
    pub index: u64,
    /// Why it ended.
    pub reason: EndReason,
}

/// A lane of a queue to be opened. Its numbers after `unseen_after` are *unseen*: they count as gone until their tokens are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoredLane {
    /// Numbers are called after this one.
    pub head: u64,
    /// All numbers after this one are unseen, except those ended and those inside. It is at most the head.
    pub unseen_after: u64,
    /// The next fan to join gets the index after this one. It is the limit of the lane.
    pub tail: u64,
    /// How many numbers were drawn; none before the draw, and if there is none.
    pub drawn: Option<u64>,
    /// The numbers whose tokens are known to have ended, in order, with the reason. They stay ended.
    pub ended: Vec<(u64, EndReason)>,
}

impl RestoredLane {
    /// Whether the token of this number is known to have ended.
    pub fn is_ended(&self, number: u64) -> bool {
        self.ended.binary_search_by_key(&number, |(number, _)| *number).is_ok()
    }
}

/// A queue to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredQueue {
    /// The run of the queue.
    pub epoch: i64,
    /// Whether the queue has a draw.
    pub draws: bool,
    /// By index.
    pub lanes: Vec<RestoredLane>,
    /// The numbers that are inside.
    pub inside: Vec<Inside>,
    /// How many are reserved inside for fans who may have been admitted after the record was made. A fan who shows an admission that
    /// the record does not have takes one.
    pub reserved: u64,
    /// How long they are reserved: a fan who was admitted and shows no token for a whole grace counts as gone.
    pub reserved_until: Timestamp,
    /// When the queue is opened. The bucket is empty then.
    pub restored_at: Timestamp,
    /// Nobody is called before this time.
    pub quiet_until: Timestamp,
}

impl QueueRecord {
    /// The record of a queue that nobody has joined.
    pub fn new(epoch: i64, lanes: usize, now: Timestamp) -> Self {
        let lanes = vec![LaneRecord::default(); lanes];
        Self { epoch, recorded_at: now, lanes, inside: Vec::new(), unspent: 0 }
    }

    /// The same with a full bucket: the first record of a queue.
    pub fn begun(epoch: i64, settings: &QueueSettings, now: Timestamp) -> Self {
        Self { unspent: settings.batch.into(), ..Self::new(epoch, settings.lanes.count(), now) }
    }

    /// The same with what is known of a draw to come. Until the draw is closed, the entries say which indexes were given out; after
    /// that, fans who take no part get indexes up to the limit.
    pub fn with_entries(mut self, entries: &DrawEntries) -> Self {
        let joined = entries.joined.iter().copied().chain(std::iter::repeat(0));
        for (lane, joined) in self.lanes.iter_mut().zip(joined) {
            lane.limit = if entries.closed { lane.limit.max(joined) } else { joined };
        }
        self
    }

    /// Whether nobody can have joined.
    pub fn is_new(&self) -> bool {
        self.lanes.iter().all(|lane| lane.limit == 0)
    }

    /// Whether the two differ in nothing but their time.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.epoch == other.epoch
            && self.lanes == other.lanes
            && self.inside == other.inside
            && self.unspent == other.unspent
    }

    /// The queue to be opened from this record. `key` is the key of its draw, if it has one. `drawn` says how many numbers of each
    /// lane were drawn, and is empty before the draw. Tokens that have ended stay ended; of two reasons for one token the first of
    /// [`EndReason`] counts.
    pub fn restored(
        &self,
        key: Option<DrawKey>,
        drawn: &[u64],
        ended: &[EndedToken],
        settings: &QueueSettings,
        now: Timestamp,
    ) -> RestoredQueue {
        let lanes = (0_u8..).zip(&self.lanes).map(|(lane, record)| {
            let drawn = drawn.get(usize::from(lane)).copied();
            let draw = key.zip(drawn).map(|(key, count)| Draw::new(key, lane, count));
            let number = |index: u64| match &draw {
                Some(draw) if index <= draw.count() => draw.number(index),
                Some(_) | None => index,
            };
            let of_lane = ended.iter().filter(|ended| ended.lane == lane);
            let mut ended: Vec<(u64, EndReason)> = of_lane.map(|of| (number(of.index), of.reason)).collect();
            ended.sort_unstable();
            ended.dedup_by_key(|(number, _)| *number);
            let inside =
                self.inside.iter().filter(|inside| inside.lane_number.lane == lane && !inside.needs_accessible);
            let head = inside.map(|inside| inside.lane_number.number).fold(record.head, u64::max);
            let tail = record.limit.max(drawn.unwrap_or(0));
            RestoredLane { head, unseen_after: record.head, tail, drawn, ended }
        });
        let lanes: Vec<RestoredLane> = lanes.collect();
        let is_ended = |lane_number: LaneNumber| {
            let lane = lanes.get(usize::from(lane_number.lane));
            lane.is_some_and(|lane| lane.is_ended(lane_number.number))
        };
        let still = |inside: &&Inside| inside.until > now && !is_ended(inside.lane_number);
        // A called fan may have accepted since and shows that within the grace. Until then nobody takes that place inside.
        let until = |inside: &Inside| if inside.active { inside.until } else { inside.until.max(now + settings.grace) };
        let inside = self.inside.iter().filter(still).map(|inside| Inside { until: until(inside), ..*inside });
        let inside: Vec<Inside> = inside.collect();
        let quiet = if self.is_new() { Duration::ZERO } else { RESTORE_QUIET };
        RestoredQueue {
            epoch: self.epoch,
            draws: key.is_some(),
            reserved: self.admitted_since(settings, inside.len() as u64, now),
            lanes,
            inside,
            reserved_until: now + settings.grace,
            restored_at: now,
            quiet_until: now + quiet,
        }
    }

    /// The most fans who can have come in after the record was made, given how many of it are still inside: those called after it,
    /// and those that it has as called, who have accepted or missed the call since.
    fn admitted_since(&self, settings: &QueueSettings, inside: u64, now: Timestamp) -> u64 {
        if self.is_new() {
            return 0;
        }
        let elapsed = (now - self.recorded_at).to_std().unwrap_or_default();
        let period_ms = settings.rate.period.as_millis().max(1);
        let by_rate = elapsed.as_millis() * u128::from(settings.rate.admissions) / period_ms + 1;
        let missed = self.inside.iter().filter(|inside| !inside.active && inside.until <= now).count() as u64;
        let by_rate = u64::try_from(by_rate).unwrap_or(u64::MAX).saturating_add(self.unspent).saturating_add(missed);
        by_rate.min(u64::from(settings.max_active).saturating_sub(inside))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{DRAW_KEY_BYTES, QueueRate};

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_timestamp(secs, 0).expect("in range")
    }

    #[test]
    fn before_a_draw_the_entries_say_how_many_joined() {
        let limits = |closed| {
            let with = record().with_entries(&DrawEntries { joined: vec![30], closed });
            with.lanes.iter().map(|lane| lane.limit).collect::<Vec<u64>>()
        };
        assert_eq!(limits(false), [30, 0]);
        assert_eq!(limits(true), [1_000, 0]);
        assert_eq!(record().with_entries(&DrawEntries { joined: vec![2_000, 7], closed: true }).lanes[1].limit, 7);
        let new = QueueRecord::new(7, 2, at(0));
        assert!(new.clone().with_entries(&DrawEntries::default()).is_new());
        assert!(!new.with_entries(&DrawEntries { joined: vec![0, 1], closed: false }).is_new());
    }

    fn record() -> QueueRecord {
        let inside = |number, until, active| Inside {
            lane_number: LaneNumber { lane: 0, number },
            until: at(until),
            active,
            needs_accessible: false,
        };
        QueueRecord {
            epoch: 5,
            recorded_at: at(100),
            lanes: vec![LaneRecord { head: 10, tail: 40, limit: 1_000 }, LaneRecord::default()],
            inside: vec![inside(8, 500, true), inside(9, 500, true), inside(10, 101, false)],
            unspent: 3,
        }
    }

    fn ended(index: u64, reason: EndReason) -> EndedToken {
        EndedToken { lane: 0, index, reason }
    }

    fn settings() -> QueueSettings {
        QueueSettings { rate: QueueRate { admissions: 5, period: Duration::from_secs(1) }, ..QueueSettings::default() }
    }

    #[test]
    fn a_new_queue_starts_at_once() {
        let new = QueueRecord::new(7, 2, at(0)).restored(None, &[], &[], &settings(), at(9));
        assert_eq!((new.epoch, new.draws, new.reserved), (7, false, 0));
        assert_eq!((new.quiet_until, new.lanes), (at(9), vec![RestoredLane::default(); 2]));
    }

    #[test]
    fn nothing_is_given_out_again_and_who_paid_or_left_is_not_inside() {
        let used = [ended(30, EndReason::Left), ended(9, EndReason::Left), ended(9, EndReason::Used)];
        let restored = record().restored(None, &[], &used, &settings(), at(102));
        assert_eq!(
            restored.lanes[0],
            RestoredLane {
                head: 10,
                unseen_after: 10,
                tail: 1_000,
                drawn: None,
                ended: vec![(9, EndReason::Used), (30, EndReason::Left)],
            }
        );
        assert_eq!(restored.inside.iter().map(|inside| inside.lane_number.number).collect::<Vec<_>>(), [8]);
        assert_eq!(
            restored.reserved, 15,
            "3 unspent, 10 by the rate in two seconds, one begun, and a call that is over"
        );
        assert_eq!((restored.quiet_until, restored.reserved_until), (at(104), at(102) + settings().grace));
        let crowded = record().restored(None, &[], &used, &QueueSettings { max_active: 4, ..settings() }, at(102));
        assert_eq!(crowded.reserved, 3, "with one inside, no more than the max_active");
    }

    #[test]
    fn who_was_called_out_of_turn_does_not_raise_the_head() {
        let mut record = record();
        record.inside[0].lane_number.number = 30;
        record.inside[0].needs_accessible = true;
        assert_eq!(record.restored(None, &[], &[], &settings(), at(100)).lanes[0].head, 10);
    }

    #[test]
    fn who_was_called_keeps_the_call_until_all_have_shown_themselves() {
        let restored = record().restored(None, &[], &[], &settings(), at(100));
        let until: Vec<_> = restored.inside.iter().map(|inside| inside.until).collect();
        assert_eq!(until, [at(500), at(500), at(100) + settings().grace]);
    }

    #[test]
    fn a_queue_begins_with_a_full_bucket() {
        let mut begun = QueueRecord::begun(7, &settings(), at(100));
        begun.lanes[0].limit = 1_000;
        let restored = begun.restored(None, &[], &[], &settings(), at(100));
        assert_eq!(restored.reserved, u64::from(settings().batch) + 1);
    }

    #[test]
    fn tokens_ended_after_a_draw_stay_ended_by_their_numbers() {
        let key = DrawKey([3; DRAW_KEY_BYTES]);
        let used = [ended(30, EndReason::Used), ended(50, EndReason::Used)];
        let restored = record().restored(Some(key), &[40, 0], &used, &settings(), at(102));
        let expected = vec![(Draw::new(key, 0, 40).number(30), EndReason::Used), (50, EndReason::Used)];
        assert_eq!((restored.lanes[0].drawn, &restored.lanes[0].ended), (Some(40), &expected));
        let pre_queue = record().restored(Some(key), &[], &[], &settings(), at(102));
        assert_eq!((pre_queue.draws, pre_queue.lanes[0].drawn), (true, None));
    }
}
