use std::collections::{HashMap, HashSet};

use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{Absent, JoinRefusal, Joined, Joining, Presence, RequestReused};
use encore_domain::queue::snapshot::{LaneSnapshot, QueueFlow, QueueSnapshot};
use encore_domain::queue::{
    AdmissionTerms, EndReason, EndedToken, Inside, LaneNumber, LaneTurns, Pace, PaceSample, QueueToken,
    QueueTokenPayload, RestoredQueue, TokenBucket, limit_by_stock,
};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;

use self::deadlines::Deadlines;
use self::lane::{Callable, Lane, LaneCopy, Phase};
use self::requests::Requests;

mod deadlines;
mod drawing;
mod lane;
mod requests;
#[cfg(test)]
mod tests;
mod tokens;

/// The queue of one performance.
pub struct Queue {
    performance: PerformanceId,
    epoch: i64,
    draws: bool,
    lanes: Vec<Lane>,
    turns: LaneTurns,
    /// The last queue token of each fan.
    members: HashMap<UserId, Member>,
    requests: Requests,
    called: Deadlines,
    active: Deadlines,
    /// The called and active numbers that need an accessible seat.
    inside_accessible: HashSet<LaneNumber>,
    /// The number of hold attempts of each active number.
    tries: HashMap<LaneNumber, u32>,
    /// None before the first admission of a new queue, whose terms give the size of the full bucket.
    bucket: Option<TokenBucket>,
    reserved: u64,
    reserved_until: Timestamp,
    restored_at: Timestamp,
    quiet_until: Timestamp,
    /// Whether the queue was lost, and fans may still show their queue tokens.
    recovering: bool,
    flow: QueueFlow,
    pace: Pace,
}

/// A fan's queue token. Its number is valid while `drawn` is the count of the lane's draw.
#[derive(Clone, Copy)]
struct Member {
    lane: u8,
    index: u64,
    number: u64,
    drawn: u64,
    issued_at: Timestamp,
    needs_accessible: bool,
}

/// A copy of a queue before the bits of its bitmaps are counted.
pub struct QueueCopy {
    queue: QueueSnapshot,
    lanes: Vec<LaneCopy>,
}

impl From<QueueCopy> for QueueSnapshot {
    fn from(copy: QueueCopy) -> Self {
        Self { lanes: copy.lanes.into_iter().map(LaneSnapshot::from).collect(), ..copy.queue }
    }
}

impl From<&QueueToken> for Member {
    fn from(token: &QueueToken) -> Self {
        let QueueToken { payload, number, drawn } = *token;
        let QueueTokenPayload { lane, index, issued_at, needs_accessible, .. } = payload;
        Self { lane, index, number, drawn, issued_at, needs_accessible }
    }
}

impl Member {
    fn is_of(&self, payload: &QueueTokenPayload) -> bool {
        (self.lane, self.index) == (payload.lane, payload.index)
    }

    fn lane_number(&self) -> LaneNumber {
        LaneNumber { lane: self.lane, number: self.number }
    }

    fn ended(&self, reason: EndReason) -> EndedToken {
        EndedToken { lane: self.lane, index: self.index, reason }
    }
}

impl Queue {
    pub fn open(performance: PerformanceId, restored: &RestoredQueue) -> Self {
        let is_new = restored.lanes.iter().all(|lane| lane.tail == 0);
        let mut queue = Self {
            performance,
            epoch: restored.epoch,
            draws: restored.draws,
            lanes: restored.lanes.iter().map(Lane::restored).collect(),
            turns: LaneTurns::new(restored.lanes.len()),
            members: HashMap::new(),
            requests: Requests::default(),
            called: Deadlines::default(),
            active: Deadlines::default(),
            inside_accessible: HashSet::new(),
            tries: HashMap::new(),
            bucket: (!is_new).then(|| TokenBucket::empty(restored.restored_at)),
            reserved: restored.reserved,
            reserved_until: restored.reserved_until,
            restored_at: restored.restored_at,
            quiet_until: restored.quiet_until,
            recovering: !is_new,
            flow: QueueFlow::default(),
            pace: Pace::default(),
        };
        for inside in &restored.inside {
            queue.restore(*inside);
        }
        queue
    }

    /// Restores a number that is called or active.
    fn restore(&mut self, Inside { lane_number, until, active, needs_accessible }: Inside) {
        if self.phase(lane_number).is_none() {
            return;
        }
        if needs_accessible {
            self.inside_accessible.insert(lane_number);
        }
        let (deadlines, phase) =
            if active { (&mut self.active, Phase::Active) } else { (&mut self.called, Phase::Called) };
        deadlines.insert(lane_number, until);
        self.set_phase(lane_number, phase);
    }

    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    pub fn extend(&mut self, lane: u8, limit: u64) {
        if let Some(lane) = self.lanes.get_mut(usize::from(lane)) {
            lane.extend(limit);
        }
    }

    pub fn join(&mut self, joining: &Joining) -> Result<Joined, JoinRefusal> {
        if let Some(payload) = joining.request.map(|request| self.find_join(&request)).transpose()?.flatten() {
            return Ok(Joined { payload, replaced: None });
        }
        let (member, replaced) = self.enter(joining)?;
        if let Some(request) = &joining.request {
            self.requests.keep(request, Some(member))?;
        }
        Ok(Joined { payload: self.payload(joining.user, &member), replaced })
    }

    /// The token that an earlier join with this request gave out.
    pub fn find_join(&self, request: &RequestKey) -> Result<Option<QueueTokenPayload>, RequestReused> {
        let joined = self.requests.joined(request)?;
        Ok(joined.map(|member| self.payload(request.user, &member)))
    }

    /// Issues a token, or finds the one that the fan has. Also returns the one that it replaces.
    fn enter(&mut self, joining: &Joining) -> Result<(Member, Option<EndedToken>), JoinRefusal> {
        self.end_due(joining.presence.now);
        let now = joining.presence.now;
        let collects = self.collects();
        let current = self.current(joining)?;
        if let Some(current) = current.filter(|current| !self.moves(current, joining)) {
            self.see(current.lane_number(), now);
            return Ok((current, None));
        }
        let Joining { lane, needs_accessible, .. } = *joining;
        let epoch = self.epoch;
        let entered = self.lanes.get_mut(usize::from(lane)).filter(|_| joining.may_enter);
        let entered = entered.ok_or(JoinRefusal::NoToken)?;
        let tail = entered.tail();
        let index = if collects {
            let index = joining.entry.ok_or(JoinRefusal::EntryNeeded { epoch })?;
            entered.enter(index, needs_accessible, now);
            index
        } else {
            entered.join(needs_accessible, now).ok_or(JoinRefusal::NumbersSpent)?
        };
        self.flow.joined += entered.tail() - tail;
        if let Some(current) = current {
            self.leave(current.lane_number(), EndReason::Replaced);
        }
        let issued_at = whole_millis(now);
        let member = Member { lane, index, number: index, drawn: 0, issued_at, needs_accessible };
        self.members.insert(joining.user, member);
        Ok((member, current.map(|current| current.ended(EndReason::Replaced))))
    }

    /// The current queue token of the user, unless it has ended.
    fn current(&mut self, joining: &Joining) -> Result<Option<Member>, JoinRefusal> {
        let known = self.members.get(&joining.user).copied();
        let late_entry = self.late_entry(joining).filter(|_| known.is_none());
        let is_late = late_entry.is_some();
        if is_late && self.is_frozen() {
            return Err(JoinRefusal::Drawing);
        }
        let Some(mut member) = known.or(late_entry) else { return Ok(None) };
        let payload = self.payload(joining.user, &member);
        if !self.is_current_draw(&member) {
            let given = joining.token.filter(|token| token.payload.epoch == self.epoch && member.is_of(&token.payload));
            let drawn = self.drawn_of(member.lane, member.index);
            let given = given.as_ref().map(Member::from).filter(|given| self.is_current_draw(given));
            member = given.ok_or(JoinRefusal::NumberNeeded { payload, drawn })?;
            if !is_late {
                self.members.insert(joining.user, member);
            }
        }
        let phase = self.phase(member.lane_number()).filter(|phase| is_live(*phase));
        if is_late && phase.is_some() {
            self.members.insert(joining.user, member);
            let waits = phase == Some(Phase::Waiting) && member.needs_accessible;
            if let Some(lane) = self.lanes.get_mut(usize::from(member.lane)).filter(|_| waits) {
                lane.make_wait(member.number, true);
            }
        }
        Ok(phase.map(|_| member))
    }

    /// The token of a fan who entered the draw before it was closed, and comes after the queue was frozen.
    fn late_entry(&self, joining: &Joining) -> Option<Member> {
        let Joining { lane, needs_accessible, presence, .. } = *joining;
        let index = joining.entry.filter(|_| !self.collects())?;
        let issued_at = whole_millis(presence.now);
        Some(Member { lane, index, number: index, drawn: 0, issued_at, needs_accessible })
    }

    /// Whether the fan moves to another lane, which replaces the queue token.
    fn moves(&self, current: &Member, joining: &Joining) -> bool {
        let may_enter = joining.may_enter && self.lane(joining.lane).is_some();
        let is_other_lane = may_enter && joining.lane != 0 && joining.lane != current.lane;
        is_other_lane && self.phase(current.lane_number()) == Some(Phase::Waiting) && !self.is_frozen()
    }

    /// Whether the number of a queue token was computed from the lane's current draw.
    fn is_current_draw(&self, member: &Member) -> bool {
        member.drawn == self.drawn_of(member.lane, member.index)
    }

    pub fn copy(&self) -> QueueCopy {
        let queue = QueueSnapshot {
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
            inside_accessible: self.inside_accessible.clone(),
            pace: self.pace.clone(),
        };
        QueueCopy { queue, lanes: self.lanes.iter().map(Lane::copy).collect() }
    }

    pub fn admit(&mut self, terms: &AdmissionTerms, now: Timestamp) -> u64 {
        self.end_due(now);
        let mut bucket = self.bucket.unwrap_or_else(|| TokenBucket::new(terms, now));
        bucket.refill(terms, now);
        let calls = terms.calling && self.quiet_until <= now && !self.has_pre_queue();
        let allowed = if calls { self.available(terms, now).min(bucket.available(terms)) } else { 0 };
        let called = self.call(allowed, terms, now + terms.accept_window);
        bucket.spend(terms, called);
        self.bucket = Some(bucket);
        if !calls || called < allowed {
            self.pace.idle_at = Some(now);
        }
        let called_by_lane = self.lanes.iter().map(Lane::called).collect();
        self.pace.note(PaceSample { at: now, called: called_by_lane, inside: self.called.len() + self.active.len() });
        called
    }

    /// How many numbers may be called according to `max_active`.
    fn available(&self, terms: &AdmissionTerms, now: Timestamp) -> u64 {
        let called_or_active = self.called.len() + self.active.len();
        let reserved = if now < self.reserved_until { self.reserved } else { 0 };
        u64::from(terms.max_active).saturating_sub(called_or_active + reserved)
    }

    /// Calls up to this many numbers, each only while a seat is left that its fan may buy.
    fn call(&mut self, allowed: u64, terms: &AdmissionTerms, accept_by: Timestamp) -> u64 {
        let accessible_inside = self.inside_accessible.len() as u64;
        let general_inside = self.called.len() + self.active.len() - accessible_inside;
        let mut general = limit_by_stock(terms.stock.map(|stock| stock.general), general_inside);
        let mut accessible = limit_by_stock(terms.stock.map(|stock| stock.accessible), accessible_inside);
        let mut called = 0;
        while called < allowed {
            let callable = Callable { general: general > 0, accessible: accessible > 0 };
            let lanes = &self.lanes;
            let Some(at) = self.turns.take(&terms.weights, |lane| lanes[lane].next(callable).is_some()) else { break };
            let Ok(lane) = u8::try_from(at) else { break };
            let Some((number, needs_accessible)) = self.lanes[at].call(callable) else { break };
            let lane_number = LaneNumber { lane, number };
            self.called.insert(lane_number, accept_by);
            if needs_accessible {
                self.inside_accessible.insert(lane_number);
                accessible -= 1;
            } else {
                general -= 1;
            }
            called += 1;
        }
        self.flow.called += called;
        called
    }

    /// Records that numbers were seen. `drawn` tells whether they are those after the draw.
    pub fn report_present(&mut self, numbers: &[LaneNumber], drawn: bool, presence: Presence) {
        let now = presence.now;
        for lane_number in numbers {
            let is_drawn = self.lane(lane_number.lane).is_some_and(|lane| lane.drawn().is_some());
            if !self.draws || is_drawn == drawn {
                self.see(*lane_number, now);
            }
        }
    }

    pub fn abandon_absent(&mut self, presence: Presence) -> Absent {
        if self.has_pre_queue() {
            return Absent { epoch: self.epoch, numbers: Vec::new() };
        }
        if self.restored_at + presence.grace <= presence.now {
            self.recovering = false;
            self.lanes.iter_mut().for_each(Lane::end_unseen);
        }
        let oldest_ms = (presence.period() - Presence::PERIODS) * presence.period_ms();
        let oldest = Timestamp::from_timestamp_millis(oldest_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let abandoned = (0..)
            .zip(&mut self.lanes)
            .flat_map(|(lane, state)| state.abandon(oldest).into_iter().map(move |number| LaneNumber { lane, number }));
        let numbers: Vec<LaneNumber> = abandoned.collect();
        self.flow.abandoned += numbers.len() as u64;
        Absent { epoch: self.epoch, numbers }
    }

    fn end_due(&mut self, now: Timestamp) {
        while let Some(lane_number) = self.called.pop_due(now) {
            let was_out_of_turn = self.inside_accessible.remove(&lane_number);
            let phase = if was_out_of_turn { Phase::Ended(EndReason::Abandoned) } else { Phase::Missed };
            self.set_phase(lane_number, phase);
            self.flow.no_shows += 1;
        }
        while let Some(lane_number) = self.active.pop_due(now) {
            self.set_phase(lane_number, Phase::Ended(EndReason::Expired));
            self.inside_accessible.remove(&lane_number);
            self.tries.remove(&lane_number);
            self.flow.expired += 1;
        }
    }

    fn payload(&self, user: UserId, member: &Member) -> QueueTokenPayload {
        let Self { performance, epoch, .. } = *self;
        let Member { lane, index, issued_at, needs_accessible, .. } = *member;
        QueueTokenPayload { performance, user, epoch, lane, index, issued_at, needs_accessible, admitted_until: None }
    }

    fn lane(&self, lane: u8) -> Option<&Lane> {
        self.lanes.get(usize::from(lane))
    }

    fn drawn_of(&self, lane: u8, index: u64) -> u64 {
        self.lane(lane).map_or(0, |lane| lane.drawn_of(index))
    }

    fn phase(&self, lane_number: LaneNumber) -> Option<Phase> {
        self.lane(lane_number.lane)?.phase(lane_number.number)
    }

    fn set_phase(&mut self, lane_number: LaneNumber, phase: Phase) {
        if let Some(lane) = self.lanes.get_mut(usize::from(lane_number.lane)) {
            lane.set_phase(lane_number.number, phase);
        }
    }

    fn see(&mut self, lane_number: LaneNumber, now: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(usize::from(lane_number.lane)) {
            lane.see(lane_number.number, now);
        }
    }

    /// Ends a waiting number.
    fn leave(&mut self, lane_number: LaneNumber, reason: EndReason) {
        if let Some(lane) = self.lanes.get_mut(usize::from(lane_number.lane)) {
            lane.leave(lane_number.number, reason);
        }
        self.count_end(reason);
    }

    fn count_end(&mut self, reason: EndReason) {
        match reason {
            EndReason::Used => self.flow.used += 1,
            EndReason::Left | EndReason::Replaced | EndReason::LimitReached => self.flow.left += 1,
            EndReason::Expired => self.flow.expired += 1,
            EndReason::Abandoned => self.flow.abandoned += 1,
            EndReason::Reset => {}
        }
    }
}

fn whole_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_timestamp_millis(at.timestamp_millis()).unwrap_or(at)
}

fn is_live(phase: Phase) -> bool {
    matches!(phase, Phase::Waiting | Phase::Called | Phase::Active)
}
