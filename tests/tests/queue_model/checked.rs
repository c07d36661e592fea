//! Applies operations to a queue and to its model, and compares the two.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::PortError;
use encore_domain::ports::{Joining, QueueStore, TokenRefusal};
use encore_domain::queue::snapshot::{NumberStatus, QueueSnapshot};
use encore_domain::queue::{AdmissionTerms, EndReason, EndedToken, LaneNumber, QueueRecord, QueueToken, TokenState};
use encore_domain::time::Timestamp;
use futures::future::join_all;

use crate::model::{Model, ModelToken, Phase};
use crate::operations::{Loss, Operation, TokenChoice};
use crate::record::Kept;
use crate::{ACTIVE_DURATION, EPOCH, FANS, LANES, Stores, settings};

/// The queue's answer about a token.
type TokenAnswer = Result<TokenState, PortError<TokenRefusal>>;

/// An operation on a token.
#[derive(Clone, Copy)]
enum TokenChange {
    Accept,
    End(EndReason),
}

/// A queue that two instances share, with its model.
pub struct Checked {
    pub stores: Stores,
    turn: usize,
    pub limits: [u64; LANES],
    /// The last record that was kept.
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
            Operation::Leave(choice) => {
                self.model.fans[choice.fan].is_present = false;
                if let Some((at, admitted_until)) = self.model.choice(*choice) {
                    self.model.token_mut(at).given_up = true;
                    self.change(at, admitted_until, TokenChange::End(EndReason::Left)).await;
                }
            }
            Operation::Drop { fan } => self.model.fans[*fan].is_present = false,
            Operation::Return { fan } => {
                self.model.fans[*fan].is_present = true;
                self.report().await;
            }
            Operation::Show(choice) => {
                if let Some(shown) = self.model.choice(*choice) {
                    self.model.fans[choice.fan].is_present = true;
                    self.show(&[shown]).await;
                }
            }
            Operation::Tick { ms } => {
                self.model.pass(Duration::from_millis(*ms));
                self.report().await;
                self.abandon_absent().await;
            }
            Operation::Admit(terms) => self.admit(terms).await,
            Operation::Accept(choice) => {
                if let Some((at, admitted_until)) = self.model.choice(self.model.called_instead(*choice)) {
                    self.change(at, admitted_until, TokenChange::Accept).await;
                }
            }
            Operation::PassOver(choice) => {
                // A fan whose token says that it was admitted is not asked.
                let choice = TokenChoice { admitted: false, ..self.model.called_instead(*choice) };
                if let Some((at, None)) = self.model.choice(choice)
                    && matches!(self.model.token(at).phase, Phase::Called(_))
                {
                    self.model.token_mut(at).given_up = true;
                    self.change(at, None, TokenChange::End(EndReason::LimitReached)).await;
                }
            }
            Operation::Pay { choice, reported } => self.pay(*choice, *reported).await,
            Operation::Keep => self.keep().await,
            Operation::Lose { loss, showing } => self.lose(*loss, showing).await,
        }
        self.check().await;
    }

    async fn join(&mut self, fan: usize, lane: u8) {
        let (performance, user) = (self.model.performance, self.model.users[fan]);
        let presence = self.model.presence();
        let (needs_accessible, may_enter, token, request, entry) = (false, true, None, None, None);
        let joining = Joining { performance, user, lane, needs_accessible, may_enter, token, presence, request, entry };
        let joined = self.queues().join(joining).await.expect("a token");
        assert_eq!(joined, self.model.join(fan, lane), "the token of the joining fan");
    }

    /// Shows tokens, each with the admission in its payload.
    pub async fn show(&mut self, shown: &[(LaneNumber, Option<Timestamp>)]) {
        let token =
            |(at, admitted_until): &(LaneNumber, Option<Timestamp>)| self.model.token(*at).shown_as(*admitted_until);
        let tokens: Vec<QueueToken> = shown.iter().map(token).collect();
        let (performance, presence) = (self.model.performance, self.model.presence());
        let replaced = self.queues().show(performance, &tokens, presence).await.expect("the queue is open");
        let expected: Vec<EndedToken> =
            shown.iter().filter_map(|(at, admitted_until)| self.model.show(*at, *admitted_until)).collect();
        assert_eq!(replaced, expected, "the tokens whose fans have others");
    }

    /// Changes a token. If the queue has not seen the token, it is shown first.
    async fn change(&mut self, at: LaneNumber, admitted_until: Option<Timestamp>, change: TokenChange) {
        let (token, now) = (self.model.token(at).shown_as(admitted_until), self.model.now);
        if self.model.is_to_be_shown(at, admitted_until) {
            let answer = self.send(&token, change).await;
            assert!(
                matches!(answer, Err(PortError::Refused(TokenRefusal::Unseen))),
                "{token:?} must be shown first: {answer:?}"
            );
            self.show(&[(at, admitted_until)]).await;
        }
        let answer = self.send(&token, change).await;
        match (change, self.model.token(at).phase) {
            (TokenChange::Accept, Phase::Called(_)) => {
                self.model.token_mut(at).phase = Phase::Active(now + ACTIVE_DURATION);
            }
            (TokenChange::End(reason), phase) if phase.is_live() => {
                self.model.end_noted(at, reason);
            }
            _ => {}
        }
        let token = self.model.token_mut(at);
        if let Phase::Active(until) = token.phase {
            token.admitted_until = Some(until);
        }
        self.assert_state(at, admitted_until, &answer);
    }

    async fn send(&mut self, token: &QueueToken, change: TokenChange) -> TokenAnswer {
        let now = self.model.now;
        match change {
            TokenChange::Accept => self.queues().accept(token, ACTIVE_DURATION, now).await,
            TokenChange::End(reason) => self.queues().end(token, reason, now).await,
        }
    }

    /// Each instance reports its own present fans.
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
        let mut abandoned = abandoned.expect("the queue is open").numbers;
        abandoned.sort_unstable();
        assert_eq!(abandoned, self.model.abandon_absent(), "abandoned");
    }

    async fn admit(&mut self, terms: &AdmissionTerms) {
        let (performance, now) = (self.model.performance, self.model.now);
        let called = self.queues().admit(performance, terms, now).await.expect("the queue is open");
        assert_eq!(called, self.model.admit(terms), "called");
        let inside = self.model.truly_inside();
        assert!(
            called == 0 || inside.len() <= terms.max_active as usize,
            "{inside:?} are called or active, and the maximum is {}",
            terms.max_active
        );
    }

    /// A fan with an admitted token pays, whether or not the queue knows of the admission. The payment is recorded
    /// durably.
    async fn pay(&mut self, choice: TokenChoice, reported: bool) {
        let Some((at, Some(until))) = self.model.choice(choice) else { return };
        let token = self.model.token(at);
        if until <= self.model.now || token.given_up || matches!(token.phase, Phase::Ended(_)) {
            return;
        }
        self.model.token_mut(at).given_up = true;
        self.model.ended.push(EndedToken { lane: at.lane, index: at.number, reason: EndReason::Used });
        if reported {
            self.change(at, Some(until), TokenChange::End(EndReason::Used)).await;
        }
    }

    /// Checks that the queue matches the model.
    async fn check(&mut self) {
        let queue = self.snapshot().await;
        assert_eq!(queue, self.snapshot().await, "the other instance sees the same");
        let now = self.model.now;
        for (at, lane) in queue.lanes.iter().enumerate() {
            assert_eq!(lane.tail, self.model.tails[at], "the tail of lane {at}");
            assert_eq!(lane.waiting(), self.model.waiting(at).count() as u64, "waiting in lane {at}");
            for (token, expected) in self.model.waiting(at).zip(1..) {
                assert_eq!(queue.status(token.at()), NumberStatus::waiting_at(expected), "{token:?}");
            }
        }
        let expected = self.model.tokens().filter(|token| token.phase.is_inside()).map(ModelToken::at);
        assert_eq!(
            inside(&queue, now),
            expected.collect::<BTreeSet<LaneNumber>>(),
            "the fans who are called or active"
        );
        let tokens: Vec<ModelToken> = self.model.tokens().copied().collect();
        let different: BTreeSet<LaneNumber> = tokens.iter().map(ModelToken::at).collect();
        assert_eq!(different.len(), tokens.len(), "no number is given out twice");
        let shown: Vec<(LaneNumber, Option<Timestamp>, QueueToken)> = tokens
            .iter()
            .flat_map(|token| [None, token.admitted_until].map(|until| (token.at(), until, token.shown_as(until))))
            .collect();
        let queues = self.queues();
        let answers = join_all(shown.iter().map(|(_, _, token)| queues.state(token, now))).await;
        for ((at, admitted_until, _), answer) in shown.iter().zip(&answers) {
            self.assert_state(*at, *admitted_until, answer);
        }
    }

    /// Checks that the queue's answer about a token matches the model.
    fn assert_state(&self, at: LaneNumber, admitted_until: Option<Timestamp>, answer: &TokenAnswer) {
        let token = self.model.token(at);
        let matches_model = match (token.phase, answer) {
            _ if self.model.is_to_be_shown(at, admitted_until) => {
                matches!(answer, Err(PortError::Refused(TokenRefusal::Unseen)))
            }
            (Phase::Called(until), Ok(TokenState::Called { accept_by })) => until == *accept_by,
            (Phase::Active(deadline), Ok(TokenState::Active { until })) => deadline == *until,
            // For absent and called fans, the token may contain an admission that the queue does not know.
            (Phase::Missed | Phase::Ended(EndReason::Abandoned), Ok(TokenState::Ended(EndReason::Expired))) => {
                admitted_until.is_some()
            }
            (Phase::Waiting, Ok(TokenState::Waiting))
            | (Phase::Missed, Ok(TokenState::Ended(EndReason::Abandoned))) => true,
            (Phase::Ended(expected), Ok(TokenState::Ended(reason))) => expected == *reason,
            _ => false,
        };
        assert!(matches_model, "{token:?}, shown with the admission {admitted_until:?}, is {answer:?}");
    }
}

/// The numbers that are called or active, and whose deadline has not passed.
pub fn inside(queue: &QueueSnapshot, now: Timestamp) -> BTreeSet<LaneNumber> {
    let all = queue.called.iter().chain(&queue.active);
    all.filter(|(_, until)| **until > now).map(|(token, _)| *token).collect()
}
