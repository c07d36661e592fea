//! The model of a queue, made of plain lists.

use std::collections::BTreeSet;
use std::time::Duration;

use encore_domain::booking::seat_state::{SeatStock, StockByNeed};
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{Joined, Presence};
use encore_domain::queue::{
    AdmissionTerms, EndReason, EndedToken, LaneNumber, LaneTurns, QueueToken, QueueTokenPayload, RESTORE_QUIET,
};
use encore_domain::time::Timestamp;
use encore_port_tests::fixtures::{id, start};

use crate::operations::TokenChoice;
use crate::{EPOCH, FANS, GRACE, LANES};

/// The state of a token in the queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    Waiting,
    Called(Timestamp),
    Active(Timestamp),
    Ended(EndReason),
    /// Not shown since the queue was lost.
    Unseen,
    /// Called, and not accepted before the deadline.
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

/// A token in a lane, with what its fan knows of it.
#[derive(Clone, Copy, Debug)]
pub struct ModelToken {
    pub fan: usize,
    /// The payload from the join.
    pub payload: QueueTokenPayload,
    pub phase: Phase,
    /// The presence period in which the fan was last seen.
    pub seen: i64,
    /// The admission in the fan's latest token.
    pub admitted_until: Option<Timestamp>,
    /// Whether the fan has left or paid, even if the queue does not know.
    pub given_up: bool,
}

impl ModelToken {
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
    /// All tokens of the fan, the latest at the end.
    pub tokens: Vec<LaneNumber>,
    /// The token that the queue stores for the fan.
    pub known: Option<LaneNumber>,
}

/// The token bucket of the rate. The level is in admissions times the period in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    pub level: u64,
    pub period_ms: u64,
    pub at: Timestamp,
}

/// The expected state of the queue.
pub struct Model {
    pub performance: PerformanceId,
    pub now: Timestamp,
    /// The tokens of each lane, in the order of their numbers.
    pub lanes: [Vec<ModelToken>; LANES],
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
    /// The tokens whose ends are noted durably.
    pub ended: Vec<EndedToken>,
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
            ended: Vec::new(),
        }
    }

    pub fn presence(&self) -> Presence {
        Presence { now: self.now, grace: GRACE }
    }

    pub fn tokens(&self) -> impl Iterator<Item = &ModelToken> {
        self.lanes.iter().flatten()
    }

    pub fn tokens_mut(&mut self) -> impl Iterator<Item = &mut ModelToken> {
        self.lanes.iter_mut().flatten()
    }

    pub fn token(&self, at: LaneNumber) -> &ModelToken {
        self.lanes[usize::from(at.lane)].iter().find(|token| token.at() == at).expect("a number that was given out")
    }

    pub fn token_mut(&mut self, at: LaneNumber) -> &mut ModelToken {
        self.lanes[usize::from(at.lane)].iter_mut().find(|token| token.at() == at).expect("a number that was given out")
    }

    /// The chosen token, with the admission in its payload.
    pub fn choice(&self, choice: TokenChoice) -> Option<(LaneNumber, Option<Timestamp>)> {
        let tokens = &self.fans[choice.fan].tokens;
        let at = *tokens.get(tokens.len().checked_sub(1 + usize::from(choice.earlier))?)?;
        Some((at, self.token(at).admitted_until.filter(|_| choice.admitted)))
    }

    /// The choice for a called fan, if there is one. A random fan is rarely called.
    pub fn called_instead(&self, choice: TokenChoice) -> TokenChoice {
        let called: Vec<usize> =
            self.tokens().filter(|it| matches!(it.phase, Phase::Called(_))).map(|it| it.fan).collect();
        let fan = choice.fan.checked_rem(called.len()).map_or(choice.fan, |nth| called[nth]);
        TokenChoice { fan, ..choice }
    }

    /// Whether the token must be shown first, because the queue does not know its state.
    pub fn is_to_be_shown(&self, at: LaneNumber, admitted_until: Option<Timestamp>) -> bool {
        let is_admitted = admitted_until.is_some_and(|until| until > self.now);
        match self.token(at).phase {
            Phase::Unseen => true,
            Phase::Called(_) => is_admitted,
            Phase::Waiting | Phase::Missed => is_admitted && self.awaits,
            Phase::Active(_) | Phase::Ended(_) => false,
        }
    }

    pub fn see(&mut self, at: LaneNumber) {
        let period = self.presence().period();
        self.token_mut(at).seen = period;
    }

    pub fn inside(&self) -> u64 {
        self.tokens().filter(|token| token.phase.is_inside()).count() as u64
    }

    /// The fans who are called or active, including admitted fans whom the queue does not know yet.
    pub fn truly_inside(&self) -> BTreeSet<LaneNumber> {
        let may_show = self.awaits && self.now < self.restored_at + GRACE;
        let is_inside = |token: &&ModelToken| {
            let is_admitted = token.admitted_until.is_some_and(|until| until > self.now) && !token.given_up;
            let is_over = matches!(token.phase, Phase::Ended(_));
            token.phase.is_inside() || may_show && is_admitted && !is_over
        };
        self.tokens().filter(is_inside).map(ModelToken::at).collect()
    }

    /// The waiting tokens of a lane, in order.
    pub fn waiting(&self, lane: usize) -> impl Iterator<Item = &ModelToken> {
        self.lanes[lane].iter().filter(|token| token.phase == Phase::Waiting)
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        let now = self.now;
        for token in self.tokens_mut() {
            if let Phase::Called(until) = token.phase
                && until <= now
            {
                token.phase = Phase::Missed;
            } else if let Phase::Active(until) = token.phase
                && until <= now
            {
                token.phase = Phase::Ended(EndReason::Expired);
            }
        }
    }

    /// Ends a token, and notes that durably.
    pub fn end_noted(&mut self, at: LaneNumber, reason: EndReason) -> EndedToken {
        self.token_mut(at).phase = Phase::Ended(reason);
        let ended = EndedToken { lane: at.lane, index: at.number, reason };
        self.ended.push(ended);
        ended
    }

    /// Why a token is noted as ended. A payment counts more than anything else.
    pub fn noted(&self, at: LaneNumber) -> Option<EndReason> {
        let of_token = self.ended.iter().filter(|ended| (ended.lane, ended.index) == (at.lane, at.number));
        of_token.map(|ended| ended.reason).min()
    }

    /// Joins a fan, and returns the payload of the fan's token, and the token that it replaces.
    pub fn join(&mut self, fan: usize, lane: u8) -> Joined {
        self.fans[fan].is_present = true;
        let known = self.fans[fan].known.map(|at| *self.token(at)).filter(|token| token.phase.is_live());
        let mut replaced = None;
        if let Some(token) = known {
            if lane == 0 || lane == token.payload.lane || token.phase.is_inside() {
                self.see(token.at());
                return Joined { payload: token.payload, replaced };
            }
            replaced = Some(self.end_noted(token.at(), EndReason::Replaced));
        }
        let (at, seen) = (usize::from(lane), self.presence().period());
        self.tails[at] += 1;
        let (performance, user) = (self.performance, self.users[fan]);
        let payload = QueueTokenPayload {
            performance,
            user,
            epoch: EPOCH,
            lane,
            index: self.tails[at],
            issued_at: self.now,
            needs_accessible: false,
            admitted_until: None,
        };
        let token = ModelToken { fan, payload, phase: Phase::Waiting, seen, admitted_until: None, given_up: false };
        self.lanes[at].push(token);
        self.fans[fan].tokens.push(token.at());
        self.fans[fan].known = Some(token.at());
        Joined { payload, replaced }
    }

    /// Calls fans, and returns their number.
    pub fn admit(&mut self, terms: &AdmissionTerms) -> u64 {
        let mut bucket = self.filled(terms);
        let inside = self.inside();
        let is_reserved = self.now < self.restored_at + GRACE;
        let taken = inside + if is_reserved { self.reserved } else { 0 };
        let mut quota = u64::from(terms.max_active).saturating_sub(taken).min(bucket.level / bucket.period_ms);
        if let Some(StockByNeed { general: SeatStock { free, held }, .. }) = terms.stock {
            quota = quota.min(u64::from(free)).min(u64::from(free + held).saturating_sub(inside));
        }
        if !terms.calling || self.was_lost && self.now < self.restored_at + RESTORE_QUIET {
            quota = 0;
        }
        let mut called = 0;
        while called < quota {
            let Self { turns, lanes, .. } = self;
            let waits = |lane: usize| lanes[lane].iter().any(|token| token.phase == Phase::Waiting);
            let Some(lane) = turns.take(&terms.weights, waits) else { break };
            let next = lanes[lane].iter_mut().find(|token| token.phase == Phase::Waiting).expect("a waiting fan");
            next.phase = Phase::Called(self.now + terms.accept_window);
            self.heads[lane] = self.heads[lane].max(next.payload.index);
            called += 1;
        }
        bucket.level -= called * bucket.period_ms;
        self.bucket = Some(bucket);
        called
    }

    /// The bucket at the current time, under these terms.
    pub fn filled(&self, terms: &AdmissionTerms) -> Bucket {
        let period_ms = u64::try_from(terms.rate.period.as_millis()).expect("a short period");
        let admissions = u64::from(terms.rate.admissions);
        let batch = u64::from(terms.batch) * period_ms;
        let level = self.bucket.map_or(batch, |bucket| {
            let elapsed_ms = u64::try_from((self.now - bucket.at).num_milliseconds()).expect("an elapsed time");
            let filled = bucket.level * period_ms / bucket.period_ms + elapsed_ms * admissions;
            // A batch, and what the rate makes in a second.
            filled.min(batch + admissions * 1_000)
        });
        Bucket { level, period_ms, at: self.now }
    }

    /// Abandons the waiting fans who were absent for too long, and returns their numbers in order.
    pub fn abandon_absent(&mut self) -> Vec<LaneNumber> {
        let oldest = self.presence().period() - Presence::PERIODS;
        let grace_is_over = self.restored_at + GRACE <= self.now;
        let is_absent = |token: &&ModelToken| token.phase == Phase::Waiting && token.seen < oldest;
        let absent: Vec<LaneNumber> = self.tokens().filter(is_absent).map(ModelToken::at).collect();
        for at in &absent {
            self.end_noted(*at, EndReason::Abandoned);
        }
        for token in self.tokens_mut() {
            if token.phase == Phase::Unseen && grace_is_over {
                token.phase = Phase::Ended(EndReason::Abandoned);
            }
        }
        self.awaits &= !grace_is_over;
        absent
    }

    /// Shows a token, and returns the one that ended because its fan has two.
    pub fn show(&mut self, at: LaneNumber, admitted_until: Option<Timestamp>) -> Option<EndedToken> {
        self.see(at);
        if self.is_to_be_shown(at, admitted_until) { self.take_up(at, admitted_until) } else { None }
    }

    fn take_up(&mut self, at: LaneNumber, admitted_until: Option<Timestamp>) -> Option<EndedToken> {
        let token = *self.token(at);
        if admitted_until.is_some_and(|until| until <= self.now) {
            self.token_mut(at).phase = Phase::Ended(EndReason::Expired);
            return None;
        }
        let mut replaced = None;
        // A fan keeps one token: a called or active one, else an admitted one, else the earlier one.
        let other = self.fans[token.fan].known.filter(|other| *other != at).map(|other| *self.token(other));
        if let Some(other) = other.filter(|other| other.phase.is_live()) {
            let is_earlier = other.payload.lane == at.lane && other.payload.index < at.number;
            if other.phase.is_inside() || is_earlier && admitted_until.is_none() {
                return Some(self.end_noted(at, EndReason::Replaced));
            }
            replaced = Some(self.end_noted(other.at(), EndReason::Replaced));
        }
        self.fans[token.fan].known = Some(at);
        let Some(until) = admitted_until else {
            self.token_mut(at).phase = Phase::Waiting;
            return replaced;
        };
        if !token.phase.is_inside() && self.now < self.restored_at + GRACE {
            self.reserved = self.reserved.saturating_sub(1);
        }
        let head = &mut self.heads[usize::from(at.lane)];
        *head = (*head).max(at.number);
        self.token_mut(at).phase = Phase::Active(until);
        replaced
    }
}
