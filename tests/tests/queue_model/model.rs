//! What a queue must be, in plain lists.

use std::collections::BTreeSet;
use std::time::Duration;

use encore_domain::booking::seat_state::SeatStock;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::Presence;
use encore_domain::queue::{
    AdmissionTerms, EndReason, EndedToken, LaneNumber, LaneTurns, QueueToken, QueueTokenPayload, RESTORE_QUIET,
};
use encore_domain::time::Timestamp;
use encore_port_tests::fixtures::{id, start};

use crate::operations::Hand;
use crate::{EPOCH, FANS, GRACE, LANES};

/// What the queue knows of a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    Waiting,
    Called(Timestamp),
    Active(Timestamp),
    Ended(EndReason),
    /// Not shown since the queue was lost.
    Unseen,
    /// Called, and nothing was heard of it since.
    Missed,
}

impl Phase {
    pub fn is_inside(self) -> bool {
        matches!(self, Self::Called(_) | Self::Active(_))
    }

    pub fn is_live(self) -> bool {
        self == Self::Waiting || self.is_inside()
    }
}

/// A token in a lane, and what its fan knows of it.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    pub fan: usize,
    /// That of the join.
    pub payload: QueueTokenPayload,
    pub phase: Phase,
    /// The presence period in which the fan was last seen.
    pub seen: i64,
    /// What the queue token of the admission says.
    pub admitted_until: Option<Timestamp>,
    /// Whether the fan has left or paid, whatever the queue knows of it.
    pub given_up: bool,
}

impl Unit {
    pub fn at(&self) -> LaneNumber {
        LaneNumber { lane: self.payload.lane, number: self.payload.index }
    }

    pub fn shown_as(&self, admitted_until: Option<Timestamp>) -> QueueToken {
        QueueTokenPayload { admitted_until, ..self.payload }.token(None)
    }
}

#[derive(Clone, Debug)]
pub struct Fan {
    pub is_present: bool,
    /// All tokens that the fan was given, the last at the end.
    pub tokens: Vec<LaneNumber>,
    /// The one that the queue knows as the fan's.
    pub known: Option<LaneNumber>,
}

/// Admissions times the period in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    pub level: u64,
    pub period_ms: u64,
    pub at: Timestamp,
}

/// What the queue must be.
pub struct Model {
    pub performance: PerformanceId,
    pub now: Timestamp,
    /// In the order of their numbers.
    pub lanes: [Vec<Unit>; LANES],
    pub tails: [u64; LANES],
    /// The last number called.
    pub heads: [u64; LANES],
    pub unseen_after: [u64; LANES],
    pub fans: Vec<Fan>,
    pub users: Vec<UserId>,
    pub turns: LaneTurns,
    /// None before the first admission of a new queue.
    pub bucket: Option<Bucket>,
    pub reserved: u64,
    pub restored_at: Timestamp,
    pub was_lost: bool,
    /// Whether fans may still show that they were admitted before the queue was lost.
    pub awaits: bool,
    pub used: Vec<EndedToken>,
}

impl Model {
    pub fn new() -> Self {
        let fan = |_| Fan { is_present: false, tokens: Vec::new(), known: None };
        Self {
            performance: id(),
            now: start(),
            lanes: Default::default(),
            tails: [0; LANES],
            heads: [0; LANES],
            unseen_after: [0; LANES],
            fans: (0..FANS).map(fan).collect(),
            users: (0..FANS).map(|_| id()).collect(),
            turns: LaneTurns::new(LANES),
            bucket: None,
            reserved: 0,
            restored_at: start(),
            was_lost: false,
            awaits: false,
            used: Vec::new(),
        }
    }

    pub fn presence(&self) -> Presence {
        Presence { now: self.now, grace: GRACE }
    }

    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        self.lanes.iter().flatten()
    }

    pub fn units_mut(&mut self) -> impl Iterator<Item = &mut Unit> {
        self.lanes.iter_mut().flatten()
    }

    pub fn unit(&self, at: LaneNumber) -> &Unit {
        self.lanes[usize::from(at.lane)].iter().find(|unit| unit.at() == at).expect("it was given out")
    }

    pub fn unit_mut(&mut self, at: LaneNumber) -> &mut Unit {
        self.lanes[usize::from(at.lane)].iter_mut().find(|unit| unit.at() == at).expect("it was given out")
    }

    /// What a hand shows: a token, and until when it says it was admitted.
    pub fn hand(&self, hand: Hand) -> Option<(LaneNumber, Option<Timestamp>)> {
        let tokens = &self.fans[hand.fan].tokens;
        let at = *tokens.get(tokens.len().checked_sub(1 + usize::from(hand.earlier))?)?;
        Some((at, self.unit(at).admitted_until.filter(|_| hand.admitted)))
    }

    /// The hand of somebody who was called, if anybody is: few others would meet a call in time.
    pub fn called_instead(&self, hand: Hand) -> Hand {
        let called: Vec<usize> =
            self.units().filter(|it| matches!(it.phase, Phase::Called(_))).map(|it| it.fan).collect();
        let fan = hand.fan.checked_rem(called.len()).map_or(hand.fan, |nth| called[nth]);
        Hand { fan, ..hand }
    }

    /// Whether a queue token has yet to be shown, for the queue knows less than it says.
    pub fn is_to_be_shown(&self, at: LaneNumber, admitted_until: Option<Timestamp>) -> bool {
        let is_admitted = admitted_until.is_some_and(|until| until > self.now);
        match self.unit(at).phase {
            Phase::Unseen => true,
            Phase::Called(_) => is_admitted,
            Phase::Waiting | Phase::Missed => is_admitted && self.awaits,
            Phase::Active(_) | Phase::Ended(_) => false,
        }
    }

    pub fn see(&mut self, at: LaneNumber) {
        let period = self.presence().period();
        self.unit_mut(at).seen = period;
    }

    pub fn inside(&self) -> u64 {
        self.units().filter(|unit| unit.phase.is_inside()).count() as u64
    }

    /// Those inside, and those of whom the queue does not know it yet.
    pub fn truly_inside(&self) -> BTreeSet<LaneNumber> {
        let may_show = self.awaits && self.now < self.restored_at + GRACE;
        let is_inside = |unit: &&Unit| {
            let is_admitted = unit.admitted_until.is_some_and(|until| until > self.now) && !unit.given_up;
            let is_over = matches!(unit.phase, Phase::Ended(_));
            unit.phase.is_inside() || may_show && is_admitted && !is_over
        };
        self.units().filter(is_inside).map(Unit::at).collect()
    }

    /// Those who wait in a lane, in order.
    pub fn waiting(&self, lane: usize) -> impl Iterator<Item = &Unit> {
        self.lanes[lane].iter().filter(|unit| unit.phase == Phase::Waiting)
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        let now = self.now;
        for unit in self.units_mut() {
            if let Phase::Called(until) = unit.phase
                && until <= now
            {
                unit.phase = Phase::Missed;
            } else if let Phase::Active(until) = unit.phase
                && until <= now
            {
                unit.phase = Phase::Ended(EndReason::Expired);
            }
        }
    }

    /// The token that a fan who joins has then.
    pub fn join(&mut self, fan: usize, lane: u8) -> QueueTokenPayload {
        self.fans[fan].is_present = true;
        let known = self.fans[fan].known.map(|at| *self.unit(at)).filter(|unit| unit.phase.is_live());
        if let Some(unit) = known {
            if lane == 0 || lane == unit.payload.lane || unit.phase.is_inside() {
                self.see(unit.at());
                return unit.payload;
            }
            self.unit_mut(unit.at()).phase = Phase::Ended(EndReason::Replaced);
        }
        let (at, seen) = (usize::from(lane), self.presence().period());
        self.tails[at] += 1;
        let (performance, user) = (self.performance, self.users[fan]);
        let payload =
            QueueTokenPayload { performance, user, epoch: EPOCH, lane, index: self.tails[at], admitted_until: None };
        let unit = Unit { fan, payload, phase: Phase::Waiting, seen, admitted_until: None, given_up: false };
        self.lanes[at].push(unit);
        self.fans[fan].tokens.push(unit.at());
        self.fans[fan].known = Some(unit.at());
        payload
    }

    /// How many are called.
    pub fn admit(&mut self, terms: &AdmissionTerms) -> u64 {
        let mut bucket = self.filled(terms);
        let inside = self.inside();
        let is_reserved = self.now < self.restored_at + GRACE;
        let taken = inside + if is_reserved { self.reserved } else { 0 };
        let mut quota = u64::from(terms.max_active).saturating_sub(taken).min(bucket.level / bucket.period_ms);
        if let Some(SeatStock { free, held }) = terms.stock {
            quota = quota.min(u64::from(free)).min(u64::from(free + held).saturating_sub(inside));
        }
        if !terms.calling || self.was_lost && self.now < self.restored_at + RESTORE_QUIET {
            quota = 0;
        }
        let mut called = 0;
        while called < quota {
            let Self { turns, lanes, .. } = self;
            let waits = |lane: usize| lanes[lane].iter().any(|unit| unit.phase == Phase::Waiting);
            let Some(lane) = turns.take(&terms.weights, waits) else { break };
            let next = lanes[lane].iter_mut().find(|unit| unit.phase == Phase::Waiting).expect("somebody waits");
            next.phase = Phase::Called(self.now + terms.accept_window);
            self.heads[lane] = self.heads[lane].max(next.payload.index);
            called += 1;
        }
        bucket.level -= called * bucket.period_ms;
        self.bucket = Some(bucket);
        called
    }

    /// The bucket as these terms find it.
    pub fn filled(&self, terms: &AdmissionTerms) -> Bucket {
        let period_ms = u64::try_from(terms.rate.period.as_millis()).expect("a short period");
        let full = u64::from(terms.batch) * period_ms;
        let level = self.bucket.map_or(full, |bucket| {
            let elapsed_ms = u64::try_from((self.now - bucket.at).num_milliseconds()).expect("time goes on");
            bucket.level * period_ms / bucket.period_ms + elapsed_ms * u64::from(terms.rate.admissions)
        });
        Bucket { level: level.min(full), period_ms, at: self.now }
    }

    /// How many of those who wait have been away for too long.
    pub fn abandon_absent(&mut self) -> u64 {
        let oldest = self.presence().period() - Presence::PERIODS;
        let grace_is_over = self.restored_at + GRACE <= self.now;
        let mut abandoned = 0;
        for unit in self.units_mut() {
            if unit.phase == Phase::Waiting && unit.seen < oldest {
                unit.phase = Phase::Ended(EndReason::Abandoned);
                abandoned += 1;
            } else if unit.phase == Phase::Unseen && grace_is_over {
                unit.phase = Phase::Ended(EndReason::Abandoned);
            }
        }
        self.awaits &= !grace_is_over;
        abandoned
    }

    pub fn show(&mut self, at: LaneNumber, admitted_until: Option<Timestamp>) {
        self.see(at);
        if self.is_to_be_shown(at, admitted_until) {
            self.take_up(at, admitted_until);
        }
    }

    fn take_up(&mut self, at: LaneNumber, admitted_until: Option<Timestamp>) {
        let unit = *self.unit(at);
        if admitted_until.is_some_and(|until| until <= self.now) {
            self.unit_mut(at).phase = Phase::Ended(EndReason::Expired);
            return;
        }
        // One token of a fan stays: who is inside, who is about to be, who came first.
        let other = self.fans[unit.fan].known.filter(|other| *other != at).map(|other| *self.unit(other));
        if let Some(other) = other.filter(|other| other.phase.is_live()) {
            let is_earlier = other.payload.lane == at.lane && other.payload.index < at.number;
            if other.phase.is_inside() || is_earlier && admitted_until.is_none() {
                self.unit_mut(at).phase = Phase::Ended(EndReason::Replaced);
                return;
            }
            self.unit_mut(other.at()).phase = Phase::Ended(EndReason::Replaced);
        }
        self.fans[unit.fan].known = Some(at);
        let Some(until) = admitted_until else {
            self.unit_mut(at).phase = Phase::Waiting;
            return;
        };
        if !unit.phase.is_inside() && self.now < self.restored_at + GRACE {
            self.reserved = self.reserved.saturating_sub(1);
        }
        let head = &mut self.heads[usize::from(at.lane)];
        *head = (*head).max(at.number);
        self.unit_mut(at).phase = Phase::Active(until);
    }
}
