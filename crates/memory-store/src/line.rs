use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::line_snapshot::LineSnapshot;
use encore_domain::ports::Presence;
use encore_domain::queue::{EndReason, LineSettings, QueueTicket, TokenBucket, TokenState};
use encore_domain::time::Timestamp;

use crate::bitmap::{Bitmap, BitmapTail};

/// The line of one performance. Numbers up to `head` were called or are gone, those after it wait or are gone.
pub struct Line {
    performance: PerformanceId,
    epoch: i64,
    head: u64,
    /// Number n is at index n − 1; the tail is the length.
    tokens: Vec<Token>,
    /// The last number of each fan.
    numbers: HashMap<UserId, u64>,
    /// Those that ended before they were called.
    gone: Bitmap,
    called: Deadlines,
    active: Deadlines,
    /// Made full by the first admission: joining knows no settings.
    bucket: Option<TokenBucket>,
}

#[derive(Clone, Copy)]
struct Token {
    phase: Phase,
    /// The presence period in which the fan was last seen.
    seen: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Called,
    Active,
    Ended(EndReason),
}

/// Numbers with the moment at which their time is over, found by either.
#[derive(Default)]
struct Deadlines {
    by_number: HashMap<u64, Timestamp>,
    by_time: BTreeSet<(Timestamp, u64)>,
}

/// A copy of a line whose bitmap is not counted yet.
pub struct LineCopy {
    line: LineSnapshot,
    gone: BitmapTail,
}

impl From<LineCopy> for LineSnapshot {
    fn from(copy: LineCopy) -> Self {
        Self { gone: copy.gone.into(), ..copy.line }
    }
}

impl Line {
    pub fn new(performance: PerformanceId, epoch: i64) -> Self {
        Self {
            performance,
            epoch,
            head: 0,
            tokens: Vec::new(),
            numbers: HashMap::new(),
            gone: Bitmap::default(),
            called: Deadlines::default(),
            active: Deadlines::default(),
            bucket: None,
        }
    }

    pub fn join(&mut self, user: UserId, presence: Presence) -> QueueTicket {
        self.end_due(presence.now);
        let seen = presence.period();
        let kept = self.numbers.get(&user).copied().filter(|number| !self.has_ended(*number));
        let number = if let Some(number) = kept {
            self.see(number, seen);
            number
        } else {
            self.tokens.push(Token { phase: Phase::Waiting, seen });
            let number = self.tail();
            self.numbers.insert(user, number);
            number
        };
        QueueTicket { performance: self.performance, user, epoch: self.epoch, number }
    }

    pub fn copy(&self) -> LineCopy {
        let line = LineSnapshot {
            epoch: self.epoch,
            head: self.head,
            tail: self.tail(),
            called: self.called.by_number.clone(),
            active: self.active.by_number.clone(),
            ..LineSnapshot::default()
        };
        LineCopy { line, gone: self.gone.from(self.head + 1) }
    }

    pub fn admit(&mut self, settings: &LineSettings, now: Timestamp) -> u64 {
        self.end_due(now);
        let mut bucket = self.bucket.unwrap_or_else(|| TokenBucket::full(settings, now));
        bucket.refill(settings, now);
        let inside = self.called.len() + self.active.len();
        let room = u64::from(settings.cap).saturating_sub(inside);
        let quota = if settings.paused { 0 } else { room.min(bucket.available(settings)) };
        let called = self.call(quota, now + settings.claim_window);
        bucket.spend(settings, called);
        self.bucket = Some(bucket);
        called
    }

    pub fn state(&self, ticket: &QueueTicket, now: Timestamp) -> TokenState {
        let Some(token) = self.token(ticket) else { return TokenState::Ended(EndReason::Reset) };
        match token.phase {
            Phase::Waiting => TokenState::Waiting,
            Phase::Called => match self.called.after(ticket.number, now) {
                Some(claim_by) => TokenState::Called { claim_by },
                None => TokenState::Ended(EndReason::Abandoned),
            },
            Phase::Active => match self.active.after(ticket.number, now) {
                Some(until) => TokenState::Active { until },
                None => TokenState::Ended(EndReason::Expired),
            },
            Phase::Ended(reason) => TokenState::Ended(reason),
        }
    }

    pub fn claim(&mut self, ticket: &QueueTicket, active_for: Duration, now: Timestamp) -> TokenState {
        self.end_due(now);
        if self.token(ticket).is_some_and(|token| token.phase == Phase::Called) {
            self.called.remove(ticket.number);
            self.active.insert(ticket.number, now + active_for);
            self.set_phase(ticket.number, Phase::Active);
        }
        self.state(ticket, now)
    }

    pub fn end(&mut self, ticket: &QueueTicket, reason: EndReason, now: Timestamp) -> TokenState {
        self.end_due(now);
        match self.token(ticket).map(|token| token.phase) {
            Some(Phase::Waiting) => self.gone.insert(ticket.number),
            Some(Phase::Called) => self.called.remove(ticket.number),
            Some(Phase::Active) => self.active.remove(ticket.number),
            Some(Phase::Ended(_)) | None => return self.state(ticket, now),
        }
        self.set_phase(ticket.number, Phase::Ended(reason));
        TokenState::Ended(reason)
    }

    pub fn report_present(&mut self, numbers: &[u64], presence: Presence) {
        let period = presence.period();
        for number in numbers {
            self.see(*number, period);
        }
    }

    pub fn abandon_absent(&mut self, presence: Presence) -> u64 {
        let oldest = presence.period() - Presence::PERIODS;
        let mut abandoned = 0;
        for number in self.head + 1..=self.tail() {
            let absent = |token: &&mut Token| token.phase == Phase::Waiting && token.seen < oldest;
            if let Some(token) = index(number).and_then(|at| self.tokens.get_mut(at)).filter(absent) {
                token.phase = Phase::Ended(EndReason::Abandoned);
                self.gone.insert(number);
                abandoned += 1;
            }
        }
        abandoned
    }

    /// Calls the next numbers that are not gone. Each number is passed once in the life of a line.
    fn call(&mut self, quota: u64, claim_by: Timestamp) -> u64 {
        let mut called = 0;
        while called < quota && self.head < self.tail() {
            self.head += 1;
            if !self.gone.contains(self.head) {
                self.called.insert(self.head, claim_by);
                self.set_phase(self.head, Phase::Called);
                called += 1;
            }
        }
        called
    }

    fn end_due(&mut self, now: Timestamp) {
        while let Some(number) = self.called.pop_due(now) {
            self.set_phase(number, Phase::Ended(EndReason::Abandoned));
        }
        while let Some(number) = self.active.pop_due(now) {
            self.set_phase(number, Phase::Ended(EndReason::Expired));
        }
    }

    fn tail(&self) -> u64 {
        self.tokens.len() as u64
    }

    /// The token that a ticket speaks of; none if the ticket is of another run of the line, or was never given out.
    fn token(&self, ticket: &QueueTicket) -> Option<&Token> {
        let at = index(ticket.number).filter(|_| ticket.epoch == self.epoch)?;
        self.tokens.get(at)
    }

    fn has_ended(&self, number: u64) -> bool {
        let token = index(number).and_then(|at| self.tokens.get(at));
        token.is_none_or(|token| matches!(token.phase, Phase::Ended(_)))
    }

    fn set_phase(&mut self, number: u64, phase: Phase) {
        if let Some(token) = index(number).and_then(|at| self.tokens.get_mut(at)) {
            token.phase = phase;
        }
    }

    fn see(&mut self, number: u64, period: i64) {
        if let Some(token) = index(number).and_then(|at| self.tokens.get_mut(at)) {
            token.seen = token.seen.max(period);
        }
    }
}

impl Deadlines {
    fn len(&self) -> u64 {
        self.by_number.len() as u64
    }

    fn insert(&mut self, number: u64, deadline: Timestamp) {
        self.by_number.insert(number, deadline);
        self.by_time.insert((deadline, number));
    }

    fn remove(&mut self, number: u64) {
        if let Some(deadline) = self.by_number.remove(&number) {
            self.by_time.remove(&(deadline, number));
        }
    }

    /// The deadline of a number, if it is after `now`.
    fn after(&self, number: u64, now: Timestamp) -> Option<Timestamp> {
        self.by_number.get(&number).copied().filter(|deadline| now < *deadline)
    }

    /// Takes out a number whose time is over.
    fn pop_due(&mut self, now: Timestamp) -> Option<u64> {
        let (deadline, number) = *self.by_time.first()?;
        if deadline > now {
            return None;
        }
        self.remove(number);
        Some(number)
    }
}

/// Where a number's token is; none for 0, which is no number.
fn index(number: u64) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use encore_domain::line_snapshot::Standing;
    use encore_port_tests::fixtures::{at_secs, id, line_settings, start};

    use super::*;

    const MILLION: u64 = 1_000_000;

    #[test]
    fn a_million_wait_and_each_knows_the_position() {
        let presence = Presence { now: start(), grace: line_settings().grace };
        let mut line = Line::new(id(), 1);
        let tickets: Vec<QueueTicket> = (0..MILLION).map(|_| line.join(id(), presence)).collect();
        for ticket in tickets.iter().step_by(3) {
            line.end(ticket, EndReason::Left, start());
        }
        let left = MILLION.div_ceil(3);

        assert_eq!(line.admit(&line_settings(), at_secs(1)), 5);
        let snapshot = LineSnapshot::from(line.copy());
        assert_eq!((snapshot.head, snapshot.tail, snapshot.waiting()), (8, MILLION, MILLION - left - 5));
        assert_eq!(snapshot.standing(MILLION - 1), Standing::Waiting { position: MILLION - left - 5 });
        assert_eq!(snapshot.standing(MILLION), Standing::Ended);
        let away = Presence { now: at_secs(1_000), ..presence };
        assert_eq!(line.abandon_absent(away), MILLION - left - 5);
    }
}
