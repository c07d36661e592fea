//! The model of a queue's record, and of a queue that is restored from it.

use std::collections::BTreeMap;

use encore_domain::queue::{EndReason, LaneNumber, LaneTurns, QueueRate};
use encore_domain::time::Timestamp;

use crate::model::{Bucket, Model, Phase};
use crate::{GRACE, LANES, MAX_ACTIVE, settings};

/// The record of a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub at: Timestamp,
    pub heads: [u64; LANES],
    pub tails: [u64; LANES],
    /// The called and active tokens, in order.
    pub inside: Vec<(LaneNumber, Phase)>,
    pub unspent: u64,
}

impl Kept {
    /// The record of an empty queue.
    pub fn new(at: Timestamp) -> Self {
        let unspent = settings().batch.into();
        Self { at, heads: [0; LANES], tails: [0; LANES], inside: Vec::new(), unspent }
    }
}

impl Model {
    pub fn kept(&self) -> Kept {
        let awaits = self.was_lost && self.now < self.restored_at + GRACE;
        let head = |lane: usize| {
            // Every token that may still be called is after the head.
            let first_waiting = self.waiting(lane).next().map_or(u64::MAX, |token| token.payload.index - 1);
            if awaits { self.unseen_after[lane] } else { self.heads[lane].min(first_waiting) }
        };
        let mut inside: Vec<(LaneNumber, Phase)> =
            self.tokens().filter(|token| token.phase.is_inside()).map(|token| (token.at(), token.phase)).collect();
        inside.sort_unstable_by_key(|(at, _)| *at);
        let full = self.filled(&settings().terms(None, self.now, self.now));
        let reserved = if awaits { self.reserved } else { 0 };
        let unspent = full.level / full.period_ms + reserved;
        Kept { at: self.now, heads: std::array::from_fn(head), tails: self.tails, inside, unspent }
    }

    /// Loses the queue and restores it from a record. All waiting tokens are unseen afterwards.
    pub fn lose(&mut self, kept: &Kept, limits: [u64; LANES]) {
        let inside = self.still_inside(kept);
        let noted: BTreeMap<LaneNumber, EndReason> =
            self.tokens().filter_map(|token| Some((token.at(), self.noted(token.at())?))).collect();
        for token in self.tokens_mut() {
            let (at, waited) = (token.at(), matches!(token.phase, Phase::Waiting | Phase::Unseen));
            token.phase = if let Some(reason) = noted.get(&at) {
                Phase::Ended(*reason)
            } else if let Some(phase) = inside.get(&at) {
                *phase
            } else if at.number <= kept.heads[usize::from(at.lane)] {
                Phase::Missed
            } else {
                Phase::Unseen
            };
            let is_kept = token.phase == Phase::Unseen || token.phase.is_inside() || token.given_up;
            assert!(!waited || is_kept, "a waiting token is lost: {token:?}");
            token.seen = i64::MIN;
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

    /// The tokens that are called or active according to the record and are not noted as ended.
    fn still_inside(&self, kept: &Kept) -> BTreeMap<LaneNumber, Phase> {
        let now = self.now;
        let still = |(at, phase): &(LaneNumber, Phase)| {
            let phase = match *phase {
                // The fan may have accepted since the record was kept.
                Phase::Called(until) if until > now => Phase::Called(until.max(now + GRACE)),
                Phase::Active(until) if until > now => Phase::Active(until),
                Phase::Waiting
                | Phase::Called(_)
                | Phase::Active(_)
                | Phase::Ended(_)
                | Phase::Unseen
                | Phase::Missed => return None,
            };
            self.noted(*at).is_none().then_some((*at, phase))
        };
        kept.inside.iter().filter_map(still).collect()
    }

    /// The most fans who can have been admitted since the record was kept.
    fn admitted_since(&self, kept: &Kept) -> u64 {
        let QueueRate { admissions, period } = settings().rate;
        let elapsed_ms = u64::try_from((self.now - kept.at).num_milliseconds()).expect("an elapsed time");
        let by_rate = elapsed_ms * u64::from(admissions) / u64::try_from(period.as_millis()).expect("a short period");
        let is_missed = |phase: Phase| matches!(phase, Phase::Called(until) if until <= self.now);
        let missed = kept.inside.iter().filter(|(_, phase)| is_missed(*phase)).count() as u64;
        by_rate + 1 + kept.unspent + missed
    }
}
