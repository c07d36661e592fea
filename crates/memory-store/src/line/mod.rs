use std::collections::HashMap;

use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::line_snapshot::{LaneSnapshot, LineFlow, LineSnapshot};
use encore_domain::ports::{JoinRefusal, Joining, Presence};
use encore_domain::queue::{
    AdmissionTerms, EndReason, Inside, LaneNumber, LaneTurns, Place, QueueTicket, RestoredLine, TokenBucket,
    room_by_stock,
};
use encore_domain::time::Timestamp;

use self::deadlines::Deadlines;
use self::lane::{Lane, LaneCopy, Phase};

mod deadlines;
mod drawing;
mod lane;
mod places;
#[cfg(test)]
mod tests;

/// The line of one performance.
pub struct Line {
    performance: PerformanceId,
    epoch: i64,
    draws: bool,
    lanes: Vec<Lane>,
    turns: LaneTurns,
    /// The last place of each fan.
    members: HashMap<UserId, Member>,
    called: Deadlines,
    active: Deadlines,
    /// How many holds were tried by those inside.
    tries: HashMap<LaneNumber, u32>,
    /// Made full by the first admission of a new line, whose terms say how much that is.
    bucket: Option<TokenBucket>,
    reserved: u64,
    reserved_until: Timestamp,
    restored_at: Timestamp,
    quiet_until: Timestamp,
    /// Whether it was lost, and fans are still to show their places.
    awaits: bool,
    flow: LineFlow,
}

/// A fan's place. The number is known if the lane's drawing is still that of which it was found.
#[derive(Clone, Copy)]
struct Member {
    lane: u8,
    index: u64,
    number: u64,
    drawn: u64,
}

/// A copy of a line whose bitmaps are not counted yet.
pub struct LineCopy {
    line: LineSnapshot,
    lanes: Vec<LaneCopy>,
}

impl From<LineCopy> for LineSnapshot {
    fn from(copy: LineCopy) -> Self {
        Self { lanes: copy.lanes.into_iter().map(LaneSnapshot::from).collect(), ..copy.line }
    }
}

impl From<&Place> for Member {
    fn from(place: &Place) -> Self {
        let Place { ticket, number, drawn } = *place;
        Self { lane: ticket.lane, index: ticket.index, number, drawn }
    }
}

impl Member {
    fn is_of(&self, ticket: &QueueTicket) -> bool {
        (self.lane, self.index) == (ticket.lane, ticket.index)
    }

    fn lane_number(&self) -> LaneNumber {
        LaneNumber { lane: self.lane, number: self.number }
    }
}

impl Line {
    pub fn open(performance: PerformanceId, restored: &RestoredLine) -> Self {
        let is_new = restored.lanes.iter().all(|lane| lane.tail == 0);
        let mut line = Self {
            performance,
            epoch: restored.epoch,
            draws: restored.draws,
            lanes: restored.lanes.iter().map(Lane::restored).collect(),
            turns: LaneTurns::new(restored.lanes.len()),
            members: HashMap::new(),
            called: Deadlines::default(),
            active: Deadlines::default(),
            tries: HashMap::new(),
            bucket: (!is_new).then(|| TokenBucket::empty(restored.restored_at)),
            reserved: restored.reserved,
            reserved_until: restored.reserved_until,
            restored_at: restored.restored_at,
            quiet_until: restored.quiet_until,
            awaits: !is_new,
            flow: LineFlow::default(),
        };
        for inside in &restored.inside {
            line.put_inside(*inside);
        }
        line
    }

    fn put_inside(&mut self, Inside { place, until, active }: Inside) {
        if self.phase(place).is_none() {
            return;
        }
        let (deadlines, phase) =
            if active { (&mut self.active, Phase::Active) } else { (&mut self.called, Phase::Called) };
        deadlines.insert(place, until);
        self.set_phase(place, phase);
    }

    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    pub fn extend(&mut self, lane: u8, limit: u64) {
        if let Some(lane) = self.lanes.get_mut(usize::from(lane)) {
            lane.extend(limit);
        }
    }

    pub fn join(&mut self, joining: &Joining) -> Result<QueueTicket, JoinRefusal> {
        self.end_due(joining.presence.now);
        let now = joining.presence.now;
        let held = self.held(joining)?;
        if let Some(held) = held.filter(|held| !self.moves(held, joining)) {
            self.see(held.lane_number(), now);
            return Ok(self.ticket(joining.user, held.lane, held.index));
        }
        let lane = self.lanes.get_mut(usize::from(joining.lane)).filter(|_| joining.may_enter);
        let index = lane.ok_or(JoinRefusal::NoPlace)?.join(now).ok_or(JoinRefusal::NumbersSpent)?;
        if let Some(held) = held {
            self.leave(held.lane_number(), EndReason::Replaced);
        }
        self.members.insert(joining.user, Member { lane: joining.lane, index, number: index, drawn: 0 });
        self.flow.joined += 1;
        Ok(self.ticket(joining.user, joining.lane, index))
    }

    /// The place of who wants one, unless it has ended.
    fn held(&mut self, joining: &Joining) -> Result<Option<Member>, JoinRefusal> {
        let Some(mut member) = self.members.get(&joining.user).copied() else { return Ok(None) };
        let ticket = self.ticket(joining.user, member.lane, member.index);
        if !self.knows(&member) {
            let told = joining.place.filter(|place| place.ticket.epoch == self.epoch && member.is_of(&place.ticket));
            let drawn = self.drawn_of(member.lane, member.index);
            let told = told.as_ref().map(Member::from).filter(|told| self.knows(told));
            member = told.ok_or(JoinRefusal::NumberNeeded { ticket, drawn })?;
            self.members.insert(joining.user, member);
        }
        Ok(Some(member).filter(|member| self.phase(member.lane_number()).is_some_and(is_live)))
    }

    /// Whether a place is given up for one in another lane.
    fn moves(&self, held: &Member, joining: &Joining) -> bool {
        let may_enter = joining.may_enter && self.lane(joining.lane).is_some();
        let elsewhere = may_enter && joining.lane != 0 && joining.lane != held.lane;
        elsewhere && self.phase(held.lane_number()) == Some(Phase::Waiting) && !self.is_frozen()
    }

    /// Whether the number of a place is the one it has now.
    fn knows(&self, member: &Member) -> bool {
        member.drawn == self.drawn_of(member.lane, member.index)
    }

    pub fn copy(&self) -> LineCopy {
        let line = LineSnapshot {
            epoch: self.epoch,
            restored_at: self.restored_at,
            quiet_until: self.quiet_until,
            draws: self.draws,
            lanes: Vec::new(),
            called: self.called.to_map(),
            active: self.active.to_map(),
            bucket: self.bucket,
            reserved: self.reserved,
            flow: self.flow,
        };
        LineCopy { line, lanes: self.lanes.iter().map(Lane::copy).collect() }
    }

    pub fn admit(&mut self, terms: &AdmissionTerms, now: Timestamp) -> u64 {
        self.end_due(now);
        let mut bucket = self.bucket.unwrap_or_else(|| TokenBucket::full(terms, now));
        bucket.refill(terms, now);
        let calls = terms.calling && self.quiet_until <= now && !self.collects();
        let quota = if calls { self.room(terms, now).min(bucket.available(terms)) } else { 0 };
        let called = self.call(quota, &terms.weights, now + terms.claim_window);
        bucket.spend(terms, called);
        self.bucket = Some(bucket);
        called
    }

    fn room(&self, terms: &AdmissionTerms, now: Timestamp) -> u64 {
        let inside = self.called.len() + self.active.len();
        let reserved = if now < self.reserved_until { self.reserved } else { 0 };
        let by_cap = u64::from(terms.cap).saturating_sub(inside + reserved);
        by_cap.min(room_by_stock(terms.stock, inside))
    }

    fn call(&mut self, quota: u64, weights: &[u32], claim_by: Timestamp) -> u64 {
        let mut called = 0;
        while called < quota {
            let Some(at) = self.turns.take(weights, |lane| self.lanes[lane].next().is_some()) else { break };
            let (Some(number), Ok(lane)) = (self.lanes[at].call(), u8::try_from(at)) else { break };
            self.called.insert(LaneNumber { lane, number }, claim_by);
            called += 1;
        }
        self.flow.called += called;
        called
    }

    /// Says that these are there. `drawn` says how their numbers are meant.
    pub fn report_present(&mut self, numbers: &[LaneNumber], drawn: bool, presence: Presence) {
        let now = presence.now;
        for place in numbers {
            let is_drawn = self.lane(place.lane).is_some_and(|lane| lane.drawn().is_some());
            if !self.draws || is_drawn == drawn {
                self.see(*place, now);
            }
        }
    }

    pub fn abandon_absent(&mut self, presence: Presence) -> u64 {
        if self.collects() {
            return 0;
        }
        if self.restored_at + presence.grace <= presence.now {
            self.awaits = false;
            self.lanes.iter_mut().for_each(Lane::end_unseen);
        }
        let oldest_ms = (presence.period() - Presence::PERIODS) * presence.period_ms();
        let oldest = Timestamp::from_timestamp_millis(oldest_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let abandoned = self.lanes.iter_mut().map(|lane| lane.abandon(oldest)).sum();
        self.flow.abandoned += abandoned;
        abandoned
    }

    fn end_due(&mut self, now: Timestamp) {
        while let Some(place) = self.called.pop_due(now) {
            self.set_phase(place, Phase::Missed);
            self.flow.no_shows += 1;
        }
        while let Some(place) = self.active.pop_due(now) {
            self.set_phase(place, Phase::Ended(EndReason::Expired));
            self.tries.remove(&place);
            self.flow.expired += 1;
        }
    }

    fn ticket(&self, user: UserId, lane: u8, index: u64) -> QueueTicket {
        let Self { performance, epoch, .. } = *self;
        QueueTicket { performance, user, epoch, lane, index, admitted_until: None }
    }

    fn lane(&self, lane: u8) -> Option<&Lane> {
        self.lanes.get(usize::from(lane))
    }

    fn drawn_of(&self, lane: u8, index: u64) -> u64 {
        self.lane(lane).map_or(0, |lane| lane.drawn_of(index))
    }

    fn phase(&self, place: LaneNumber) -> Option<Phase> {
        self.lane(place.lane)?.phase(place.number)
    }

    fn set_phase(&mut self, place: LaneNumber, phase: Phase) {
        if let Some(lane) = self.lanes.get_mut(usize::from(place.lane)) {
            lane.set_phase(place.number, phase);
        }
    }

    fn see(&mut self, place: LaneNumber, now: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(usize::from(place.lane)) {
            lane.see(place.number, now);
        }
    }

    /// Takes a waiting number out of the line.
    fn leave(&mut self, place: LaneNumber, reason: EndReason) {
        if let Some(lane) = self.lanes.get_mut(usize::from(place.lane)) {
            lane.leave(place.number, reason);
        }
        self.count_end(reason);
    }

    fn count_end(&mut self, reason: EndReason) {
        match reason {
            EndReason::Used => self.flow.used += 1,
            EndReason::Left | EndReason::Replaced => self.flow.left += 1,
            EndReason::Expired => self.flow.expired += 1,
            EndReason::Abandoned => self.flow.abandoned += 1,
            EndReason::Reset => {}
        }
    }
}

fn is_live(phase: Phase) -> bool {
    matches!(phase, Phase::Waiting | Phase::Called | Phase::Active)
}
