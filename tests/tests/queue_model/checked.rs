//! A queue and the model of it, side by side.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::PortError;
use encore_domain::ports::{Joining, QueueStore, TokenRefusal};
use encore_domain::queue::snapshot::{NumberStatus, QueueSnapshot};
use encore_domain::queue::{AdmissionTerms, EndReason, EndedToken, LaneNumber, QueueRecord, QueueToken, TokenState};
use encore_domain::time::Timestamp;
use futures::future::join_all;

use crate::model::{Model, Phase, Unit};
use crate::operations::{Hand, Loss, Operation};
use crate::record::Kept;
use crate::{ACTIVE_DURATION, EPOCH, FANS, LANES, Stores, settings};

/// What the queue answers about a token.
type Said = Result<TokenState, PortError<TokenRefusal>>;

/// What a fan asks of a token.
#[derive(Clone, Copy)]
enum Question {
    Accept,
    End(EndReason),
}

/// A queue that two instances see, and the model of it.
pub struct Checked {
    pub stores: Stores,
    turn: usize,
    pub limits: [u64; LANES],
    /// What was kept last.
    pub record: QueueRecord,
    pub kept: Kept,
    pub model: Model,
}

impl Checked {
    pub async fn new(stores: Stores) -> Self {
        let model = Model::new();
        let record = QueueRecord::begun(EPOCH, &settings(), model.now);
        let kept = Kept::new(model.now);
        let mut queue = Self { stores, turn: 0, limits: [0; LANES], record, kept, model };
        (queue.stores.lose)(Loss::Flush).await;
        queue.open().await;
        queue
    }

    /// The instance whose turn it is.
    pub fn queues(&mut self) -> Arc<dyn QueueStore> {
        self.turn += 1;
        Arc::clone(&self.stores.instances[self.turn % 2])
    }

    pub async fn snapshot(&mut self) -> QueueSnapshot {
        let performance = self.model.performance;
        self.queues().snapshot(performance).await.expect("the store answers").expect("the queue is open")
    }

    pub async fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Join { fan, lane } => self.join(*fan, *lane).await,
            Operation::Leave(hand) => {
                self.model.fans[hand.fan].is_present = false;
                if let Some((at, admitted_until)) = self.model.hand(*hand) {
                    self.model.unit_mut(at).given_up = true;
                    self.ask(at, admitted_until, Question::End(EndReason::Left)).await;
                }
            }
            Operation::Drop { fan } => self.model.fans[*fan].is_present = false,
            Operation::Return { fan } => {
                self.model.fans[*fan].is_present = true;
                self.report().await;
            }
            Operation::Show(hand) => {
                if let Some(shown) = self.model.hand(*hand) {
                    self.model.fans[hand.fan].is_present = true;
                    self.show(&[shown]).await;
                }
            }
            Operation::Tick { ms } => {
                self.model.pass(Duration::from_millis(*ms));
                self.report().await;
                self.abandon_absent().await;
            }
            Operation::Admit(terms) => self.admit(terms).await,
            Operation::Accept(hand) => {
                if let Some((at, admitted_until)) = self.model.hand(self.model.called_instead(*hand)) {
                    self.ask(at, admitted_until, Question::Accept).await;
                }
            }
            Operation::Pay { hand, told } => self.pay(*hand, *told).await,
            Operation::Keep => self.keep().await,
            Operation::Lose { loss, showing } => self.lose(*loss, showing).await,
        }
        self.check().await;
    }

    async fn join(&mut self, fan: usize, lane: u8) {
        let (performance, user) = (self.model.performance, self.model.users[fan]);
        let presence = self.model.presence();
        let joining = Joining { performance, user, lane, may_enter: true, token: None, presence };
        let joined = self.queues().join(joining).await.expect("a token");
        assert_eq!(joined, self.model.join(fan, lane), "the token of who joins");
    }

    /// Shows tokens, each with what the queue token says of an admission.
    pub async fn show(&mut self, shown: &[(LaneNumber, Option<Timestamp>)]) {
        let token =
            |(at, admitted_until): &(LaneNumber, Option<Timestamp>)| self.model.unit(*at).shown_as(*admitted_until);
        let tokens: Vec<QueueToken> = shown.iter().map(token).collect();
        let (performance, presence) = (self.model.performance, self.model.presence());
        self.queues().show(performance, &tokens, presence).await.expect("the queue is open");
        for (at, admitted_until) in shown {
            self.model.show(*at, *admitted_until);
        }
    }

    /// Asks something of a token, which is shown where the queue asks for that.
    async fn ask(&mut self, at: LaneNumber, admitted_until: Option<Timestamp>, question: Question) {
        let (token, now) = (self.model.unit(at).shown_as(admitted_until), self.model.now);
        if self.model.is_to_be_shown(at, admitted_until) {
            let said = self.asked(&token, question).await;
            assert!(
                matches!(said, Err(PortError::Refused(TokenRefusal::Unseen))),
                "{token:?} is to be shown: {said:?}"
            );
            self.show(&[(at, admitted_until)]).await;
        }
        let said = self.asked(&token, question).await;
        let unit = self.model.unit_mut(at);
        match (question, unit.phase) {
            (Question::Accept, Phase::Called(_)) => unit.phase = Phase::Active(now + ACTIVE_DURATION),
            (Question::End(reason), phase) if phase.is_live() => unit.phase = Phase::Ended(reason),
            _ => {}
        }
        if let Phase::Active(until) = unit.phase {
            unit.admitted_until = Some(until);
        }
        self.assert_is_what(at, admitted_until, &said);
    }

    async fn asked(&mut self, token: &QueueToken, question: Question) -> Said {
        let now = self.model.now;
        match question {
            Question::Accept => self.queues().accept(token, ACTIVE_DURATION, now).await,
            Question::End(reason) => self.queues().end(token, reason, now).await,
        }
    }

    /// Reports those who are there, each instance its own.
    pub async fn report(&mut self) {
        let (performance, presence) = (self.model.performance, self.model.presence());
        for own in 0..2 {
            let is_its = |fan: &usize| fan % 2 == own && self.model.fans[*fan].is_present;
            let last = |fan: usize| self.model.fans[fan].tokens.last().copied();
            let numbers: Vec<LaneNumber> = (0..FANS).filter(is_its).filter_map(last).collect();
            let reported = self.stores.instances[own].report_present(performance, &numbers, false, presence).await;
            reported.expect("the queue is open");
            for at in numbers {
                self.model.see(at);
            }
        }
    }

    async fn abandon_absent(&mut self) {
        let (performance, presence) = (self.model.performance, self.model.presence());
        let abandoned = self.queues().abandon_absent(performance, presence).await;
        assert_eq!(abandoned.expect("the queue is open"), self.model.abandon_absent(), "abandoned");
    }

    async fn admit(&mut self, terms: &AdmissionTerms) {
        let (performance, now) = (self.model.performance, self.model.now);
        let called = self.queues().admit(performance, terms, now).await.expect("the queue is open");
        assert_eq!(called, self.model.admit(terms), "called");
        let inside = self.model.truly_inside();
        assert!(
            called == 0 || inside.len() <= terms.max_active as usize,
            "{inside:?} are inside, and no more than {}",
            terms.max_active
        );
    }

    /// Who is inside pays, whether or not the queue knows of the admission. The payment is noted where it lasts.
    async fn pay(&mut self, hand: Hand, told: bool) {
        let Some((at, Some(until))) = self.model.hand(hand) else { return };
        let unit = self.model.unit(at);
        if until <= self.model.now || unit.given_up || matches!(unit.phase, Phase::Ended(_)) {
            return;
        }
        self.model.unit_mut(at).given_up = true;
        self.model.used.push(EndedToken { lane: at.lane, index: at.number });
        if told {
            self.ask(at, Some(until), Question::End(EndReason::Used)).await;
        }
    }

    /// The queue says what the model says.
    async fn check(&mut self) {
        let queue = self.snapshot().await;
        assert_eq!(queue, self.snapshot().await, "the other instance sees the same");
        let now = self.model.now;
        for (at, lane) in queue.lanes.iter().enumerate() {
            assert_eq!(lane.tail, self.model.tails[at], "the tail of lane {at}");
            assert_eq!(lane.waiting(), self.model.waiting(at).count() as u64, "waiting in lane {at}");
            for (unit, expected) in self.model.waiting(at).zip(1..) {
                assert_eq!(queue.status(unit.at()), NumberStatus::Waiting { position: expected }, "{unit:?}");
            }
        }
        let expected = self.model.units().filter(|unit| unit.phase.is_inside()).map(Unit::at);
        assert_eq!(inside(&queue, now), expected.collect::<BTreeSet<LaneNumber>>(), "who is inside");
        let units: Vec<Unit> = self.model.units().copied().collect();
        let different: BTreeSet<LaneNumber> = units.iter().map(Unit::at).collect();
        assert_eq!(different.len(), units.len(), "no number is given out twice");
        let shown: Vec<(LaneNumber, Option<Timestamp>, QueueToken)> = units
            .iter()
            .flat_map(|unit| [None, unit.admitted_until].map(|until| (unit.at(), until, unit.shown_as(until))))
            .collect();
        let queues = self.queues();
        let said = join_all(shown.iter().map(|(_, _, token)| queues.state(token, now))).await;
        for ((at, admitted_until, _), said) in shown.iter().zip(&said) {
            self.assert_is_what(*at, *admitted_until, said);
        }
    }

    fn assert_is_what(&self, at: LaneNumber, admitted_until: Option<Timestamp>, said: &Said) {
        let unit = self.model.unit(at);
        let is_it = match (unit.phase, said) {
            _ if self.model.is_to_be_shown(at, admitted_until) => {
                matches!(said, Err(PortError::Refused(TokenRefusal::Unseen)))
            }
            (Phase::Called(until), Ok(TokenState::Called { accept_by })) => until == *accept_by,
            (Phase::Active(deadline), Ok(TokenState::Active { until })) => deadline == *until,
            // Of who was away, or was called, the queue token may know more than the queue.
            (Phase::Missed | Phase::Ended(EndReason::Abandoned), Ok(TokenState::Ended(EndReason::Expired))) => {
                admitted_until.is_some()
            }
            (Phase::Waiting, Ok(TokenState::Waiting))
            | (Phase::Missed, Ok(TokenState::Ended(EndReason::Abandoned))) => true,
            (Phase::Ended(reason), Ok(TokenState::Ended(said))) => reason == *said,
            _ => false,
        };
        assert!(is_it, "{unit:?}, shown as {admitted_until:?}, is {said:?}");
    }
}

/// Who is called or active and not over.
pub fn inside(queue: &QueueSnapshot, now: Timestamp) -> BTreeSet<LaneNumber> {
    let all = queue.called.iter().chain(&queue.active);
    all.filter(|(_, until)| **until > now).map(|(token, _)| *token).collect()
}
