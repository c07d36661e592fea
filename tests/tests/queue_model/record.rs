//! What is kept of a queue, and what the queue is when it is put in place from that.

use std::collections::{BTreeMap, BTreeSet};

use encore_domain::queue::{EndReason, LaneNumber, LaneTurns, QueueRate};
use encore_domain::time::Timestamp;

use crate::model::{Bucket, Model, Phase};
use crate::{GRACE, LANES, MAX_ACTIVE, settings};

/// What is kept of a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub at: Timestamp,
    pub heads: [u64; LANES],
    pub tails: [u64; LANES],
    /// In order.
    pub inside: Vec<(LaneNumber, Phase)>,
    pub unspent: u64,
}

impl Kept {
    /// Of a queue that nobody has joined.
    pub fn new(at: Timestamp) -> Self {
        let unspent = settings().batch.into();
        Self { at, heads: [0; LANES], tails: [0; LANES], inside: Vec::new(), unspent }
    }
}

impl Model {
    pub fn kept(&self) -> Kept {
        let awaits = self.was_lost && self.now < self.restored_at + GRACE;
        let head = |lane: usize| {
            // Whoever is not passed over for good is after the head.
            let first_waiting = self.waiting(lane).next().map_or(u64::MAX, |unit| unit.payload.index - 1);
            if awaits { self.unseen_after[lane] } else { self.heads[lane].min(first_waiting) }
        };
        let mut inside: Vec<(LaneNumber, Phase)> =
            self.units().filter(|unit| unit.phase.is_inside()).map(|unit| (unit.at(), unit.phase)).collect();
        inside.sort_unstable_by_key(|(at, _)| *at);
        let full = self.filled(&settings().terms(None, self.now, self.now));
        let reserved = if awaits { self.reserved } else { 0 };
        let unspent = full.level / full.period_ms + reserved;
        Kept { at: self.now, heads: std::array::from_fn(head), tails: self.tails, inside, unspent }
    }

    /// The queue is lost, and restored from what was kept; nobody has been there since.
    pub fn lose(&mut self, kept: &Kept, limits: [u64; LANES]) {
        let inside = self.still_inside(kept);
        let used: BTreeSet<LaneNumber> =
            self.used.iter().map(|used| LaneNumber { lane: used.lane, number: used.index }).collect();
        for unit in self.units_mut() {
            let (at, waited) = (unit.at(), matches!(unit.phase, Phase::Waiting | Phase::Unseen));
            unit.phase = if used.contains(&at) {
                Phase::Ended(EndReason::Used)
            } else if let Some(phase) = inside.get(&at) {
                *phase
            } else if at.number <= kept.heads[usize::from(at.lane)] {
                Phase::Missed
            } else {
                Phase::Unseen
            };
            let is_kept = unit.phase == Phase::Unseen || unit.phase.is_inside() || unit.given_up;
            assert!(!waited || is_kept, "a token is lost: {unit:?}");
            unit.seen = i64::MIN;
        }
        for (lane, head) in self.heads.iter_mut().enumerate() {
            let inside = kept.inside.iter().filter(|(at, _)| usize::from(at.lane) == lane);
            *head = inside.map(|(at, _)| at.number).fold(kept.heads[lane], u64::max);
        }
        self.reserved = self.admitted_since(kept).min(u64::from(MAX_ACTIVE).saturating_sub(inside.len() as u64));
        self.fans.iter_mut().for_each(|fan| fan.known = None);
        self.tails = limits;
        self.unseen_after = kept.heads;
        self.turns = LaneTurns::new(LANES);
        self.bucket = Some(Bucket { level: 0, period_ms: 1, at: self.now });
        self.restored_at = self.now;
        (self.was_lost, self.awaits) = (true, true);
    }

    /// Who is inside as far as what was kept says, and has not paid.
    fn still_inside(&self, kept: &Kept) -> BTreeMap<LaneNumber, Phase> {
        let now = self.now;
        let has_paid = |at: LaneNumber| self.used.iter().any(|used| (used.lane, used.index) == (at.lane, at.number));
        let still = |(at, phase): &(LaneNumber, Phase)| {
            let phase = match *phase {
                // Nobody knows whether they have come since.
                Phase::Called(until) if until > now => Phase::Called(until.max(now + GRACE)),
                Phase::Active(until) if until > now => Phase::Active(until),
                Phase::Waiting
                | Phase::Called(_)
                | Phase::Active(_)
                | Phase::Ended(_)
                | Phase::Unseen
                | Phase::Missed => return None,
            };
            (!has_paid(*at)).then_some((*at, phase))
        };
        kept.inside.iter().filter_map(still).collect()
    }

    /// The most who can have come in since.
    fn admitted_since(&self, kept: &Kept) -> u64 {
        let QueueRate { admissions, period } = settings().rate;
        let elapsed_ms = u64::try_from((self.now - kept.at).num_milliseconds()).expect("time goes on");
        let by_rate = elapsed_ms * u64::from(admissions) / u64::try_from(period.as_millis()).expect("a short period");
        let is_missed = |phase: Phase| matches!(phase, Phase::Called(until) if until <= self.now);
        let missed = kept.inside.iter().filter(|(_, phase)| is_missed(*phase)).count() as u64;
        by_rate + 1 + kept.unspent + missed
    }
}
