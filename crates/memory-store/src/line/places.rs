use std::time::Duration;

use encore_domain::ports::{Presence, TicketRefusal};
use encore_domain::queue::{EndReason, Place, TokenState};
use encore_domain::time::Timestamp;

use super::lane::{Lane, Phase};
use super::{Line, Member, is_live};

/// What becomes of the other place of a fan who shows one.
enum Other {
    /// There is none that lives.
    None,
    /// It goes.
    Goes(Member),
    /// It stays.
    Stays,
}

impl Line {
    pub fn state(&self, place: &Place, now: Timestamp) -> Result<TokenState, TicketRefusal> {
        let at = place.lane_number();
        if self.is_to_be_shown(place, now)? {
            return Err(TicketRefusal::Unseen);
        }
        Ok(match self.find(place)? {
            None => TokenState::Ended(EndReason::Reset),
            Some(Phase::Waiting) => TokenState::Waiting,
            Some(Phase::Called) => match self.called.after(at, now) {
                Some(claim_by) => TokenState::Called { claim_by },
                None => TokenState::Ended(EndReason::Abandoned),
            },
            Some(Phase::Active) => match self.active.after(at, now) {
                Some(until) => TokenState::Active { until },
                None => TokenState::Ended(EndReason::Expired),
            },
            Some(Phase::Ended(reason)) => TokenState::Ended(reason),
            Some(Phase::Unseen) => return Err(TicketRefusal::Unseen),
            Some(Phase::Missed) if place.ticket.admitted_until.is_some() => TokenState::Ended(EndReason::Expired),
            Some(Phase::Missed) => TokenState::Ended(EndReason::Abandoned),
        })
    }

    /// Whether the fan of this place has yet to show it. If the line only knows that the number waits or was called, and the ticket says
    /// that it is admitted, then the fan came in just before the line was lost.
    fn is_to_be_shown(&self, place: &Place, now: Timestamp) -> Result<bool, TicketRefusal> {
        let is_admitted = place.ticket.admitted_until.is_some_and(|until| until > now);
        let is_called = || self.called.after(place.lane_number(), now).is_some();
        Ok(match self.find(place)? {
            Some(Phase::Unseen) => true,
            Some(Phase::Called) => is_admitted && (self.awaits || is_called()),
            Some(Phase::Waiting | Phase::Missed) => is_admitted && self.awaits,
            Some(Phase::Active | Phase::Ended(_)) | None => false,
        })
    }

    pub fn claim(&mut self, place: &Place, active_for: Duration, now: Timestamp) -> Result<TokenState, TicketRefusal> {
        self.end_due(now);
        if self.find_to_change(place, now)? == Some(Phase::Called) {
            let at = place.lane_number();
            self.called.remove(at);
            self.active.insert(at, now + active_for);
            self.set_phase(at, Phase::Active);
            self.flow.claimed += 1;
        }
        self.state(place, now)
    }

    pub fn end(&mut self, place: &Place, reason: EndReason, now: Timestamp) -> Result<TokenState, TicketRefusal> {
        self.end_due(now);
        let at = place.lane_number();
        match self.find_to_change(place, now)? {
            Some(Phase::Waiting) => self.leave(at, reason),
            Some(Phase::Called | Phase::Active) => {
                self.called.remove(at);
                self.active.remove(at);
                self.tries.remove(&at);
                self.set_phase(at, Phase::Ended(reason));
                self.count_end(reason);
            }
            Some(Phase::Ended(_) | Phase::Unseen | Phase::Missed) | None => return self.state(place, now),
        }
        if self.members.get(&place.ticket.user).is_some_and(|member| member.is_of(&place.ticket)) {
            self.members.remove(&place.ticket.user);
        }
        Ok(TokenState::Ended(reason))
    }

    pub fn spend_hold_try(&mut self, place: &Place, tries: u32, now: Timestamp) -> Result<bool, TicketRefusal> {
        self.end_due(now);
        if self.find_to_change(place, now)? != Some(Phase::Active) {
            return Ok(false);
        }
        let spent = self.tries.entry(place.lane_number()).or_default();
        let is_left = *spent < tries;
        *spent += u32::from(is_left);
        Ok(is_left)
    }

    pub fn show(&mut self, places: &[Place], presence: Presence) -> Result<(), TicketRefusal> {
        self.end_due(presence.now);
        let (epoch, mut shown) = (self.epoch, Ok(()));
        for place in places.iter().filter(|place| place.ticket.epoch == epoch) {
            if let Err(refusal) = self.check(place) {
                shown = Err(refusal);
                continue;
            }
            self.see(place.lane_number(), presence.now);
            if self.is_to_be_shown(place, presence.now)? {
                self.show_unseen(place, presence.now);
            } else if self.members.get(&place.ticket.user).is_some_and(|member| member.is_of(&place.ticket)) {
                self.members.insert(place.ticket.user, place.into());
            }
        }
        shown
    }

    fn show_unseen(&mut self, place: &Place, now: Timestamp) {
        let at = place.lane_number();
        if place.ticket.admitted_until.is_some_and(|until| until <= now) {
            return self.set_phase(at, Phase::Ended(EndReason::Expired));
        }
        match self.other(place) {
            Other::Stays => return self.set_phase(at, Phase::Ended(EndReason::Replaced)),
            Other::Goes(other) => self.leave(other.lane_number(), EndReason::Replaced),
            Other::None => {}
        }
        self.members.insert(place.ticket.user, place.into());
        if let Some(until) = place.ticket.admitted_until {
            let was_inside = self.called.remove(at);
            self.active.insert(at, until);
            self.set_phase(at, Phase::Active);
            if let Some(lane) = self.lanes.get_mut(usize::from(at.lane)) {
                lane.come_in(at.number);
            }
            if now < self.reserved_until && !was_inside {
                self.reserved = self.reserved.saturating_sub(1);
            }
        } else if let Some(lane) = self.lanes.get_mut(usize::from(at.lane)) {
            lane.let_wait(at.number);
        }
    }

    /// The earlier place stays, as far as the two can be compared, unless one of them is inside.
    fn other(&self, shown: &Place) -> Other {
        let (ticket, member) = (&shown.ticket, self.members.get(&shown.ticket.user));
        let Some(other) = member.copied().filter(|member| !member.is_of(ticket)) else { return Other::None };
        if !self.knows(&other) {
            // Both joined before the draw, and neither was ahead of the other then.
            return Other::Stays;
        }
        let is_earlier = other.lane == ticket.lane && other.index < ticket.index && ticket.admitted_until.is_none();
        match self.phase(other.lane_number()) {
            Some(Phase::Waiting) if !is_earlier => Other::Goes(other),
            Some(phase) if is_live(phase) => Other::Stays,
            Some(_) | None => Other::None,
        }
    }

    /// What became of a place; none if it is not of this run of the line, or was never given out.
    fn find(&self, place: &Place) -> Result<Option<Phase>, TicketRefusal> {
        self.fitting_lane(place)?;
        let is_of_this_run = place.ticket.epoch == self.epoch;
        Ok(is_of_this_run.then(|| self.phase(place.lane_number())).flatten())
    }

    /// The same, for those who would change it.
    fn find_to_change(&self, place: &Place, now: Timestamp) -> Result<Option<Phase>, TicketRefusal> {
        self.check(place)?;
        if self.is_to_be_shown(place, now)? { Err(TicketRefusal::Unseen) } else { self.find(place) }
    }

    /// Checks that a place of this run has the number it would be called by, and is not being drawn.
    fn check(&self, place: &Place) -> Result<(), TicketRefusal> {
        let is_being_drawn = |lane: &Lane| lane.is_being_drawn(place.ticket.index);
        if self.fitting_lane(place)?.is_some_and(is_being_drawn) { Err(TicketRefusal::Drawing) } else { Ok(()) }
    }

    /// The lane of a place of this run, in which it has the number that it says.
    fn fitting_lane(&self, place: &Place) -> Result<Option<&Lane>, TicketRefusal> {
        let lane = self.lane(place.ticket.lane).filter(|_| place.ticket.epoch == self.epoch);
        match lane {
            Some(lane) if lane.drawn_of(place.ticket.index) != place.drawn => {
                Err(TicketRefusal::Drawn { count: lane.drawn() })
            }
            Some(_) | None => Ok(lane),
        }
    }
}
