//! A line and the model of it, side by side.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::PortError;
use encore_domain::line_snapshot::{LineSnapshot, Standing};
use encore_domain::ports::{Joining, Lines, TicketRefusal};
use encore_domain::queue::{AdmissionTerms, EndReason, LaneNumber, LineRecord, Place, TokenState, UsedPlace};
use encore_domain::time::Timestamp;
use futures::future::join_all;

use crate::model::{Model, Phase, Spot};
use crate::operations::{Hand, Loss, Operation};
use crate::record::Kept;
use crate::{ACTIVE_FOR, EPOCH, FANS, LANES, Stores, settings};

/// What the line answers about a place.
type Said = Result<TokenState, PortError<TicketRefusal>>;

/// What a fan asks of a place.
#[derive(Clone, Copy)]
enum Question {
    Claim,
    End(EndReason),
}

/// A line that two instances see, and the model of it.
pub struct Checked {
    pub stores: Stores,
    turn: usize,
    pub limits: [u64; LANES],
    /// What was kept last.
    pub record: LineRecord,
    pub kept: Kept,
    pub model: Model,
}

impl Checked {
    pub async fn new(stores: Stores) -> Self {
        let model = Model::new();
        let record = LineRecord::begun(EPOCH, &settings(), model.now);
        let kept = Kept::new(model.now);
        let mut line = Self { stores, turn: 0, limits: [0; LANES], record, kept, model };
        (line.stores.lose)(Loss::Flush).await;
        line.open().await;
        line
    }

    /// The instance whose turn it is.
    pub fn lines(&mut self) -> Arc<dyn Lines> {
        self.turn += 1;
        Arc::clone(&self.stores.instances[self.turn % 2])
    }

    pub async fn snapshot(&mut self) -> LineSnapshot {
        let performance = self.model.performance;
        self.lines().snapshot(performance).await.expect("the store answers").expect("the line is in place")
    }

    pub async fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Join { fan, lane } => self.join(*fan, *lane).await,
            Operation::Leave(hand) => {
                self.model.fans[hand.fan].is_present = false;
                if let Some((at, admitted_until)) = self.model.hand(*hand) {
                    self.model.spot_mut(at).given_up = true;
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
            Operation::Claim(hand) => {
                if let Some((at, admitted_until)) = self.model.hand(self.model.called_instead(*hand)) {
                    self.ask(at, admitted_until, Question::Claim).await;
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
        let joining = Joining { performance, user, lane, may_enter: true, place: None, presence };
        let joined = self.lines().join(joining).await.expect("a place");
        assert_eq!(joined, self.model.join(fan, lane), "the place of who joins");
    }

    /// Shows places, each with what the ticket says of an admission.
    pub async fn show(&mut self, shown: &[(LaneNumber, Option<Timestamp>)]) {
        let place =
            |(at, admitted_until): &(LaneNumber, Option<Timestamp>)| self.model.spot(*at).shown_as(*admitted_until);
        let places: Vec<Place> = shown.iter().map(place).collect();
        let (performance, presence) = (self.model.performance, self.model.presence());
        self.lines().show(performance, &places, presence).await.expect("the line is in place");
        for (at, admitted_until) in shown {
            self.model.show(*at, *admitted_until);
        }
    }

    /// Asks something of a place, which is shown where the line asks for that.
    async fn ask(&mut self, at: LaneNumber, admitted_until: Option<Timestamp>, question: Question) {
        let (place, now) = (self.model.spot(at).shown_as(admitted_until), self.model.now);
        if self.model.is_to_be_shown(at, admitted_until) {
            let said = self.asked(&place, question).await;
            assert!(
                matches!(said, Err(PortError::Refused(TicketRefusal::Unseen))),
                "{place:?} is to be shown: {said:?}"
            );
            self.show(&[(at, admitted_until)]).await;
        }
        let said = self.asked(&place, question).await;
        let spot = self.model.spot_mut(at);
        match (question, spot.phase) {
            (Question::Claim, Phase::Called(_)) => spot.phase = Phase::Active(now + ACTIVE_FOR),
            (Question::End(reason), phase) if phase.is_live() => spot.phase = Phase::Ended(reason),
            _ => {}
        }
        if let Phase::Active(until) = spot.phase {
            spot.admitted_until = Some(until);
        }
        self.assert_is_what(at, admitted_until, &said);
    }

    async fn asked(&mut self, place: &Place, question: Question) -> Said {
        let now = self.model.now;
        match question {
            Question::Claim => self.lines().claim(place, ACTIVE_FOR, now).await,
            Question::End(reason) => self.lines().end(place, reason, now).await,
        }
    }

    /// Reports those who are there, each instance its own.
    pub async fn report(&mut self) {
        let (performance, presence) = (self.model.performance, self.model.presence());
        for own in 0..2 {
            let is_its = |fan: &usize| fan % 2 == own && self.model.fans[*fan].is_present;
            let last = |fan: usize| self.model.fans[fan].places.last().copied();
            let numbers: Vec<LaneNumber> = (0..FANS).filter(is_its).filter_map(last).collect();
            let reported = self.stores.instances[own].report_present(performance, &numbers, false, presence).await;
            reported.expect("the line is in place");
            for at in numbers {
                self.model.see(at);
            }
        }
    }

    async fn abandon_absent(&mut self) {
        let (performance, presence) = (self.model.performance, self.model.presence());
        let abandoned = self.lines().abandon_absent(performance, presence).await;
        assert_eq!(abandoned.expect("the line is in place"), self.model.abandon_absent(), "abandoned");
    }

    async fn admit(&mut self, terms: &AdmissionTerms) {
        let (performance, now) = (self.model.performance, self.model.now);
        let called = self.lines().admit(performance, terms, now).await.expect("the line is in place");
        assert_eq!(called, self.model.admit(terms), "called");
        let inside = self.model.truly_inside();
        assert!(
            called == 0 || inside.len() <= terms.cap as usize,
            "{inside:?} are inside, and no more than {}",
            terms.cap
        );
    }

    /// Who is inside pays, whether or not the line knows of the admission. The payment is noted where it lasts.
    async fn pay(&mut self, hand: Hand, told: bool) {
        let Some((at, Some(until))) = self.model.hand(hand) else { return };
        let spot = self.model.spot(at);
        if until <= self.model.now || spot.given_up || matches!(spot.phase, Phase::Ended(_)) {
            return;
        }
        self.model.spot_mut(at).given_up = true;
        self.model.used.push(UsedPlace { lane: at.lane, index: at.number });
        if told {
            self.ask(at, Some(until), Question::End(EndReason::Used)).await;
        }
    }

    /// The line says what the model says.
    async fn check(&mut self) {
        let line = self.snapshot().await;
        assert_eq!(line, self.snapshot().await, "the other instance sees the same");
        let now = self.model.now;
        for (at, lane) in line.lanes.iter().enumerate() {
            assert_eq!(lane.tail, self.model.tails[at], "the tail of lane {at}");
            assert_eq!(lane.waiting(), self.model.waiting(at).count() as u64, "waiting in lane {at}");
            for (spot, expected) in self.model.waiting(at).zip(1..) {
                assert_eq!(line.standing(spot.at()), Standing::Waiting { position: expected }, "{spot:?}");
            }
        }
        let expected = self.model.spots().filter(|spot| spot.phase.is_inside()).map(Spot::at);
        assert_eq!(inside(&line, now), expected.collect::<BTreeSet<LaneNumber>>(), "who is inside");
        let spots: Vec<Spot> = self.model.spots().copied().collect();
        let different: BTreeSet<LaneNumber> = spots.iter().map(Spot::at).collect();
        assert_eq!(different.len(), spots.len(), "no number is given out twice");
        let shown: Vec<(LaneNumber, Option<Timestamp>, Place)> = spots
            .iter()
            .flat_map(|spot| [None, spot.admitted_until].map(|until| (spot.at(), until, spot.shown_as(until))))
            .collect();
        let lines = self.lines();
        let said = join_all(shown.iter().map(|(_, _, place)| lines.state(place, now))).await;
        for ((at, admitted_until, _), said) in shown.iter().zip(&said) {
            self.assert_is_what(*at, *admitted_until, said);
        }
    }

    fn assert_is_what(&self, at: LaneNumber, admitted_until: Option<Timestamp>, said: &Said) {
        let spot = self.model.spot(at);
        let is_it = match (spot.phase, said) {
            _ if self.model.is_to_be_shown(at, admitted_until) => {
                matches!(said, Err(PortError::Refused(TicketRefusal::Unseen)))
            }
            (Phase::Called(until), Ok(TokenState::Called { claim_by })) => until == *claim_by,
            (Phase::Active(deadline), Ok(TokenState::Active { until })) => deadline == *until,
            // Of who was away, or was called, the ticket may know more than the line.
            (Phase::Missed | Phase::Ended(EndReason::Abandoned), Ok(TokenState::Ended(EndReason::Expired))) => {
                admitted_until.is_some()
            }
            (Phase::Waiting, Ok(TokenState::Waiting))
            | (Phase::Missed, Ok(TokenState::Ended(EndReason::Abandoned))) => true,
            (Phase::Ended(reason), Ok(TokenState::Ended(said))) => reason == *said,
            _ => false,
        };
        assert!(is_it, "{spot:?}, shown as {admitted_until:?}, is {said:?}");
    }
}

/// Who is called or active and not over.
pub fn inside(line: &LineSnapshot, now: Timestamp) -> BTreeSet<LaneNumber> {
    let all = line.called.iter().chain(&line.active);
    all.filter(|(_, until)| **until > now).map(|(place, _)| *place).collect()
}
