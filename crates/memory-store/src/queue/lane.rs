use std::collections::BTreeSet;

use encore_domain::ports::{CutLane, FrozenLane};
use encore_domain::queue::snapshot::LaneSnapshot;
use encore_domain::queue::{EndReason, RestoredLane};
use encore_domain::time::Timestamp;

use crate::bitmap::{Bitmap, BitmapTail};

/// A lane of a queue. A number after `head` waits unless it is gone. A number up to `head` waits only if it is late.
pub struct Lane {
    /// The last number called.
    head: u64,
    /// The last index that may be issued.
    limit: u64,
    /// The count of the draw, if the numbers were drawn.
    drawn: Option<u64>,
    /// While the numbers are being drawn, the number of fans who had joined when the drawing began.
    frozen: Option<u64>,
    /// Number n is at index n − 1. The length is the tail.
    tokens: Vec<Token>,
    /// The numbers that will not be called in turn; only those after the head count.
    gone: Bitmap,
    /// The waiting numbers that need an accessible seat. They are gone as well.
    needs_accessible: BTreeSet<u64>,
    /// The numbers up to the head that were skipped while unseen, and wait.
    late: BTreeSet<u64>,
    /// The number of calls.
    called: u64,
    /// The number after which all numbers were unseen when the queue was restored.
    unseen_after: u64,
}

#[derive(Clone, Copy)]
struct Token {
    phase: Phase,
    /// When the fan was last seen.
    seen: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Waiting,
    Called,
    Active,
    Ended(EndReason),
    /// Not shown since the queue was restored.
    Unseen,
    /// Called and not accepted in time, as far as the queue knows.
    Missed,
}

/// A copy of a lane before the bits of its bitmap are counted.
pub struct LaneCopy {
    lane: LaneSnapshot,
    gone: BitmapTail,
    needs_accessible: BitmapTail,
}

impl From<LaneCopy> for LaneSnapshot {
    fn from(copy: LaneCopy) -> Self {
        Self { gone: copy.gone.into(), needs_accessible: copy.needs_accessible.into(), ..copy.lane }
    }
}

/// Whose numbers may be called.
#[derive(Clone, Copy)]
pub struct Callable {
    /// Those of fans who do not need an accessible seat.
    pub general: bool,
    /// Those of fans who do.
    pub accessible: bool,
}

impl Lane {
    pub fn restored(lane: &RestoredLane) -> Self {
        let token = |number| Token {
            phase: if number <= lane.unseen_after { Phase::Missed } else { Phase::Unseen },
            seen: Timestamp::UNIX_EPOCH,
        };
        let mut restored = Self {
            head: lane.head,
            limit: lane.tail,
            drawn: lane.drawn,
            frozen: None,
            tokens: (1..=lane.tail).map(token).collect(),
            gone: Bitmap::default(),
            needs_accessible: BTreeSet::new(),
            late: BTreeSet::new(),
            called: 0,
            unseen_after: lane.unseen_after,
        };
        for number in lane.head + 1..=lane.tail {
            restored.gone.insert(number);
        }
        for (number, reason) in &lane.ended {
            restored.set_phase(*number, Phase::Ended(*reason));
        }
        restored
    }

    pub fn copy(&self) -> LaneCopy {
        let lane = LaneSnapshot {
            head: self.head,
            tail: self.tail(),
            limit: self.limit,
            drawn: self.drawn,
            late: self.late.iter().copied().collect(),
            called: self.called,
            unseen_after: self.unseen_after,
            ..LaneSnapshot::default()
        };
        let mut needs_accessible = Bitmap::default();
        self.needs_accessible.iter().for_each(|number| needs_accessible.insert(*number));
        let lowest = self.needs_accessible.first().copied().unwrap_or_default();
        LaneCopy { lane, gone: self.gone.from(self.head + 1), needs_accessible: needs_accessible.from(lowest) }
    }

    pub fn drawn(&self) -> Option<u64> {
        self.drawn
    }

    pub fn called(&self) -> u64 {
        self.called
    }

    pub fn tail(&self) -> u64 {
        self.tokens.len() as u64
    }

    /// The count of the draw of this index, 0 if it was not drawn.
    pub fn drawn_of(&self, index: u64) -> u64 {
        self.drawn.filter(|count| index <= *count).unwrap_or(0)
    }

    pub fn extend(&mut self, limit: u64) {
        self.limit = self.limit.max(limit);
    }

    /// Issues the next index, unless the limit is reached.
    pub fn join(&mut self, needs_accessible: bool, now: Timestamp) -> Option<u64> {
        if self.tail() >= self.limit {
            return None;
        }
        self.tokens.push(Token { phase: Phase::Waiting, seen: now });
        if needs_accessible {
            self.gone.insert(self.tail());
            self.needs_accessible.insert(self.tail());
        }
        Some(self.tail())
    }

    /// Makes the index of an entry wait. Those before it that were not issued belong to fans who are about to come.
    pub fn enter(&mut self, index: u64, needs_accessible: bool, now: Timestamp) {
        self.issue_up_to(index);
        self.needs_accessible.remove(&index);
        self.make_wait(index, needs_accessible);
        self.see(index, now);
    }

    fn issue_up_to(&mut self, tail: u64) {
        let new = Token { phase: Phase::Waiting, seen: Timestamp::UNIX_EPOCH };
        let len = usize::try_from(tail).unwrap_or(usize::MAX).max(self.tokens.len());
        self.tokens.resize(len, new);
    }

    /// The phase of a number; none if it was not issued.
    pub fn phase(&self, number: u64) -> Option<Phase> {
        self.tokens.get(at(number)?).map(|token| token.phase)
    }

    pub fn set_phase(&mut self, number: u64, phase: Phase) {
        if let Some(token) = at(number).and_then(|at| self.tokens.get_mut(at)) {
            token.phase = phase;
        }
    }

    pub fn see(&mut self, number: u64, now: Timestamp) {
        if let Some(token) = at(number).and_then(|at| self.tokens.get_mut(at)) {
            token.seen = token.seen.max(now);
        }
    }

    /// Ends a waiting number.
    pub fn leave(&mut self, number: u64, reason: EndReason) {
        self.set_phase(number, Phase::Ended(reason));
        self.gone.insert(number);
        self.late.remove(&number);
        self.needs_accessible.remove(&number);
    }

    /// Makes an unseen number wait.
    pub fn make_wait(&mut self, number: u64, needs_accessible: bool) {
        self.set_phase(number, Phase::Waiting);
        if needs_accessible {
            self.gone.insert(number);
            self.needs_accessible.insert(number);
            return;
        }
        self.gone.remove(number);
        if number <= self.head {
            self.late.insert(number);
        }
    }

    /// Takes a number that needs an accessible seat off those who wait. The head stays, because it may be called out of turn.
    pub fn take_out_of_turn(&mut self, number: u64) {
        self.gone.insert(number);
        self.needs_accessible.remove(&number);
    }

    /// Raises the head to the number of an active fan. The numbers before it must have been called as well, so those
    /// that wait are late.
    pub fn raise_head(&mut self, number: u64) {
        self.late.remove(&number);
        for before in self.head + 1..number {
            if self.phase(before) == Some(Phase::Waiting) && !self.needs_accessible.contains(&before) {
                self.late.insert(before);
            }
        }
        self.head = self.head.max(number);
    }

    /// The next number to call.
    pub fn next(&self, callable: Callable) -> Option<u64> {
        let general = || self.late.first().copied().or_else(|| self.gone.first_missing(self.head + 1..=self.tail()));
        let general = if callable.general { general() } else { None };
        let accessible = self.needs_accessible.first().copied().filter(|_| callable.accessible);
        general.into_iter().chain(accessible).min()
    }

    /// Calls the next number. Returns it, and whether it needs an accessible seat.
    pub fn call(&mut self, callable: Callable) -> Option<(u64, bool)> {
        let number = self.next(callable)?;
        let needs_accessible = self.needs_accessible.remove(&number);
        if !needs_accessible {
            self.late.remove(&number);
            self.head = self.head.max(number);
        }
        self.called += 1;
        self.set_phase(number, Phase::Called);
        Some((number, needs_accessible))
    }

    /// Ends the waiting numbers that were last seen before this time. Returns them.
    pub fn abandon(&mut self, oldest: Timestamp) -> Vec<u64> {
        let passed_over = self.needs_accessible.range(..=self.head).copied();
        let numbers = self.late.iter().copied().chain(passed_over).chain(self.head + 1..=self.tail());
        let absent = |token: &Token| token.phase == Phase::Waiting && token.seen < oldest;
        let absent = |number: &u64| at(*number).and_then(|at| self.tokens.get(at)).is_some_and(absent);
        let absent: Vec<u64> = numbers.filter(absent).collect();
        for number in &absent {
            self.leave(*number, EndReason::Abandoned);
        }
        absent
    }

    /// Ends the unseen numbers.
    pub fn end_unseen(&mut self) {
        for token in self.tokens.iter_mut().filter(|token| token.phase == Phase::Unseen) {
            token.phase = Phase::Ended(EndReason::Abandoned);
        }
    }

    /// Whether the numbers are being drawn.
    pub fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Whether the number of this index is being drawn.
    pub fn is_being_drawn(&self, index: u64) -> bool {
        self.frozen.is_some_and(|count| index <= count)
    }

    pub fn freeze(&mut self, count: u64) -> FrozenLane {
        self.issue_up_to(count);
        self.frozen = Some(count);
        let indexes = |chosen: fn(Phase) -> bool| {
            let tokens = (1..=count).zip(&self.tokens);
            tokens.filter(move |(_, token)| chosen(token.phase)).map(|(index, _)| index).collect()
        };
        let gone = indexes(|phase| matches!(phase, Phase::Ended(_)));
        let needs_accessible = self.needs_accessible.range(..=count).copied().collect();
        FrozenLane { count, gone, unseen: indexes(|phase| phase == Phase::Unseen), needs_accessible }
    }

    pub fn cut(&mut self, cut: &CutLane, now: Timestamp) {
        self.frozen = None;
        self.drawn = Some(cut.count);
        self.limit = self.limit.max(cut.count);
        let new = Token { phase: Phase::Waiting, seen: now };
        self.tokens.resize(self.tokens.len().max(at(cut.count + 1).unwrap_or_default()), new);
        for (number, token) in (1..).zip(&mut self.tokens) {
            token.seen = token.seen.max(now);
            if number <= cut.count {
                token.phase = Phase::Waiting;
                self.gone.remove(number);
            }
        }
        self.needs_accessible.retain(|number| *number > cut.count);
        for number in &cut.needs_accessible {
            self.make_wait(*number, true);
        }
        for number in &cut.gone {
            self.leave(*number, EndReason::Left);
        }
        for number in &cut.unseen {
            self.set_phase(*number, Phase::Unseen);
            self.gone.insert(*number);
        }
    }
}

/// The position of a number in `tokens`; none for 0, which is no number.
fn at(number: u64) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}
