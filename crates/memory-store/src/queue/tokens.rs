use std::time::Duration;

use encore_domain::ports::{Presence, TokenRefusal};
use encore_domain::queue::{EndReason, EndedToken, QueueToken, TokenState};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;

use super::lane::{Lane, Phase};
use super::{Member, Queue, is_live};

/// What happens to the other queue token of a fan who shows one.
enum Other {
    /// The fan has no other live token.
    None,
    /// The shown token replaces it.
    IsReplaced(Member),
    /// It replaces the shown token.
    Stays,
}

impl Queue {
    pub fn state(&self, token: &QueueToken, now: Timestamp) -> Result<TokenState, TokenRefusal> {
        let at = token.lane_number();
        if self.must_be_shown(token, now)? {
            return Err(TokenRefusal::Unseen);
        }
        Ok(match self.find(token)? {
            None => TokenState::Ended(EndReason::Reset),
            Some(Phase::Waiting) => TokenState::Waiting,
            Some(Phase::Called) => match self.called.after(at, now) {
                Some(accept_by) => TokenState::Called { accept_by },
                None => TokenState::Ended(EndReason::Abandoned),
            },
            Some(Phase::Active) => match self.active.after(at, now) {
                Some(until) => TokenState::Active { until },
                None => TokenState::Ended(EndReason::Expired),
            },
            Some(Phase::Ended(reason)) => TokenState::Ended(reason),
            Some(Phase::Unseen) => return Err(TokenRefusal::Unseen),
            Some(Phase::Missed) if token.payload.admitted_until.is_some() => TokenState::Ended(EndReason::Expired),
            Some(Phase::Missed) => TokenState::Ended(EndReason::Abandoned),
        })
    }

    /// Whether the token must be shown before it is used. That is so if it is unseen, and if it says that the fan is
    /// active while the queue records the number as waiting or called: then the fan accepted just before the queue was
    /// lost.
    fn must_be_shown(&self, token: &QueueToken, now: Timestamp) -> Result<bool, TokenRefusal> {
        let is_admitted = token.payload.admitted_until.is_some_and(|until| until > now);
        let is_called = || self.called.after(token.lane_number(), now).is_some();
        Ok(match self.find(token)? {
            Some(Phase::Unseen) => true,
            Some(Phase::Called) => is_admitted && (self.recovering || is_called()),
            Some(Phase::Waiting | Phase::Missed) => is_admitted && self.recovering,
            Some(Phase::Active | Phase::Ended(_)) | None => false,
        })
    }

    pub fn note_leave(
        &mut self,
        token: &QueueToken,
        request: Option<&RequestKey>,
        now: Timestamp,
    ) -> Result<TokenState, TokenRefusal> {
        self.find_to_change(token, now)?;
        let state = self.state(token, now)?;
        if let Some(request) = request {
            self.requests.keep(request, None)?;
        }
        let payload = &token.payload;
        let current = self.members.get(&payload.user).filter(|member| member.is_of(payload));
        // The fan left a queue that collects, and entered again under the same index.
        let is_earlier = current.is_some_and(|member| payload.issued_at < member.issued_at);
        Ok(if is_earlier { TokenState::Ended(EndReason::Left) } else { state })
    }

    pub fn accept(
        &mut self,
        token: &QueueToken,
        active_duration: Duration,
        now: Timestamp,
    ) -> Result<TokenState, TokenRefusal> {
        self.end_due(now);
        if self.find_to_change(token, now)? == Some(Phase::Called) {
            let at = token.lane_number();
            self.called.remove(at);
            self.active.insert(at, now + active_duration);
            self.set_phase(at, Phase::Active);
            self.flow.accepted += 1;
        }
        self.state(token, now)
    }

    pub fn end(&mut self, token: &QueueToken, reason: EndReason, now: Timestamp) -> Result<TokenState, TokenRefusal> {
        self.end_due(now);
        let at = token.lane_number();
        match self.find_to_change(token, now)? {
            Some(Phase::Waiting) => self.leave(at, reason),
            Some(Phase::Called | Phase::Active) => {
                self.called.remove(at);
                self.active.remove(at);
                self.inside_accessible.remove(&at);
                self.tries.remove(&at);
                self.set_phase(at, Phase::Ended(reason));
                self.count_end(reason);
            }
            Some(Phase::Ended(_) | Phase::Unseen | Phase::Missed) | None => return self.state(token, now),
        }
        if self.members.get(&token.payload.user).is_some_and(|member| member.is_of(&token.payload)) {
            self.members.remove(&token.payload.user);
        }
        Ok(TokenState::Ended(reason))
    }

    pub fn spend_hold_try(&mut self, token: &QueueToken, tries: u32, now: Timestamp) -> Result<bool, TokenRefusal> {
        self.end_due(now);
        if self.find_to_change(token, now)? != Some(Phase::Active) {
            return Ok(false);
        }
        let spent = self.tries.entry(token.lane_number()).or_default();
        let is_left = *spent < tries;
        *spent += u32::from(is_left);
        Ok(is_left)
    }

    pub fn return_hold_try(&mut self, token: &QueueToken, now: Timestamp) -> Result<(), TokenRefusal> {
        self.end_due(now);
        if self.find_to_change(token, now)? == Some(Phase::Active)
            && let Some(spent) = self.tries.get_mut(&token.lane_number())
        {
            *spent = spent.saturating_sub(1);
        }
        Ok(())
    }

    pub fn show(&mut self, tokens: &[QueueToken], presence: Presence) -> Result<Vec<EndedToken>, TokenRefusal> {
        self.end_due(presence.now);
        let (epoch, mut shown, mut replaced) = (self.epoch, Ok(()), Vec::new());
        for token in tokens.iter().filter(|token| token.payload.epoch == epoch) {
            if let Err(refusal) = self.check(token) {
                shown = Err(refusal);
                continue;
            }
            self.see(token.lane_number(), presence.now);
            if self.must_be_shown(token, presence.now)? {
                replaced.extend(self.show_unseen(token, presence.now));
            } else if self.members.get(&token.payload.user).is_some_and(|member| member.is_of(&token.payload)) {
                self.members.insert(token.payload.user, token.into());
            }
        }
        shown.map(|()| replaced)
    }

    /// Restores an unseen token. Returns the one that ended because its fan has two.
    fn show_unseen(&mut self, token: &QueueToken, now: Timestamp) -> Option<EndedToken> {
        let at = token.lane_number();
        if token.payload.admitted_until.is_some_and(|until| until <= now) {
            self.set_phase(at, Phase::Ended(EndReason::Expired));
            return None;
        }
        let replaced = match self.other(token) {
            Other::Stays => {
                self.set_phase(at, Phase::Ended(EndReason::Replaced));
                return Some(Member::from(token).ended(EndReason::Replaced));
            }
            Other::IsReplaced(other) => {
                self.leave(other.lane_number(), EndReason::Replaced);
                Some(other.ended(EndReason::Replaced))
            }
            Other::None => None,
        };
        self.members.insert(token.payload.user, token.into());
        if let Some(until) = token.payload.admitted_until {
            let was_called = self.called.remove(at);
            self.active.insert(at, until);
            self.set_phase(at, Phase::Active);
            if token.payload.needs_accessible {
                self.inside_accessible.insert(at);
            }
            if let Some(lane) = self.lanes.get_mut(usize::from(at.lane)) {
                if token.payload.needs_accessible {
                    lane.take_out_of_turn(at.number);
                } else {
                    lane.raise_head(at.number);
                }
            }
            if now < self.reserved_until && !was_called {
                self.reserved = self.reserved.saturating_sub(1);
            }
        } else if let Some(lane) = self.lanes.get_mut(usize::from(at.lane)) {
            lane.make_wait(at.number, token.payload.needs_accessible);
        }
        replaced
    }

    /// Decides between two tokens of a fan. The earlier one stays, unless one of them is called or active.
    fn other(&self, shown: &QueueToken) -> Other {
        let (payload, member) = (&shown.payload, self.members.get(&shown.payload.user));
        let Some(other) = member.copied().filter(|member| !member.is_of(payload)) else { return Other::None };
        if self.drawn_of(other.lane, other.index) > 0 {
            // Both joined before the draw, when they had no order.
            return Other::Stays;
        }
        let is_earlier = other.lane == payload.lane && other.index < payload.index && payload.admitted_until.is_none();
        match self.phase(other.lane_number()) {
            Some(Phase::Waiting) if !is_earlier => Other::IsReplaced(other),
            Some(phase) if is_live(phase) => Other::Stays,
            Some(_) | None => Other::None,
        }
    }

    /// The phase of a token; none if it is of another epoch or was not issued.
    fn find(&self, token: &QueueToken) -> Result<Option<Phase>, TokenRefusal> {
        self.lane_of(token)?;
        let is_same_epoch = token.payload.epoch == self.epoch;
        Ok(is_same_epoch.then(|| self.phase(token.lane_number())).flatten())
    }

    /// The phase of a token that is going to change.
    fn find_to_change(&self, token: &QueueToken, now: Timestamp) -> Result<Option<Phase>, TokenRefusal> {
        self.check(token)?;
        if self.must_be_shown(token, now)? { Err(TokenRefusal::Unseen) } else { self.find(token) }
    }

    /// Checks that the number of a token of this epoch is current, and is not being drawn.
    fn check(&self, token: &QueueToken) -> Result<(), TokenRefusal> {
        let is_being_drawn = |lane: &Lane| lane.is_being_drawn(token.payload.index);
        if self.lane_of(token)?.is_some_and(is_being_drawn) { Err(TokenRefusal::Drawing) } else { Ok(()) }
    }

    /// The lane of a token of this epoch. Refuses a token whose number was computed from another draw.
    fn lane_of(&self, token: &QueueToken) -> Result<Option<&Lane>, TokenRefusal> {
        let lane = self.lane(token.payload.lane).filter(|_| token.payload.epoch == self.epoch);
        match lane {
            Some(lane) if lane.drawn_of(token.payload.index) != token.drawn => {
                Err(TokenRefusal::Drawn { count: lane.drawn() })
            }
            Some(_) | None => Ok(lane),
        }
    }
}
