//! The cases of [`QueueStore`](encore_domain::ports::QueueStore).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::time::Duration;

use encore_domain::error::PortError;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{JoinRefusal, Joining, Presence, QueueLost, QueueStore, TokenRefusal};
use encore_domain::queue::snapshot::QueueSnapshot;
use encore_domain::queue::{
    EndReason, LaneNumber, QueueRecord, QueueSettings, QueueToken, QueueTokenPayload, RestoredQueue, TokenState,
};
use encore_domain::time::Timestamp;

use crate::SpeedBench;
use crate::answers::refused;
use crate::fixtures::{at_ms, id, queue_settings, request, start};

mod admitting;
mod drawing;
mod joining;
mod needs;
mod pace;
mod presence;
mod repeating;
mod restoring;
mod snapshots;
mod tokens;

pub use admitting::*;
pub use drawing::*;
pub use joining::*;
pub use needs::*;
pub use pace::*;
pub use presence::*;
pub use repeating::*;
pub use restoring::*;
pub use snapshots::*;
pub use tokens::*;

/// Stamps the cases of the port `QueueStore`.
#[macro_export]
macro_rules! queue_store {
    ($($with:tt)+) => {
        $crate::suite! { queue_store [
            is_lost_until_it_is_open,
            opens_once,
            joins_in_order,
            joins_once,
            joins_under_contention,
            joins_again_at_the_end,
            joins_up_to_the_limit,
            joins_only_who_may_enter,
            moves_to_another_lane,
            answers_a_repeated_join,
            refuses_a_reused_request,
            joins_once_per_request_under_contention,
            keeps_the_last_requests_of_a_fan,
            keeps_no_refused_request,
            finds_a_join_by_its_request,
            notes_a_request_to_leave,
            admits_in_order,
            admits_by_the_rate,
            the_batch_does_not_lower_the_rate,
            a_change_of_period_admits_nobody_early,
            admits_up_to_the_maximum,
            admits_under_contention,
            admits_nobody_unless_calling,
            admits_no_more_than_the_stock,
            admits_lanes_by_weight,
            a_clock_that_goes_back_admits_nothing_more,
            admits_only_who_may_buy_what_is_left,
            a_need_survives_the_loss,
            a_need_survives_the_draw,
            measures_how_fast_it_calls,
            accepts_a_call,
            accepts_only_a_call,
            a_missed_call_is_abandoned,
            an_active_token_expires,
            ends_a_waiting_number,
            ends_an_active_number,
            ends_a_called_number,
            limits_hold_tries,
            returns_a_hold_try,
            a_payload_of_another_epoch_has_ended,
            a_number_never_given_out_has_ended,
            abandons_who_is_away,
            keeps_who_was_seen_later,
            reports_presence_in_bulk,
            asks_for_the_entry_of_a_fan,
            returns_to_the_entry,
            a_late_entry_gets_its_number,
            draws_numbers,
            a_token_of_another_draw_is_refused,
            joins_with_a_drawn_number,
            nobody_leaves_while_numbers_are_drawn,
            a_restored_queue_calls_only_who_was_seen,
            who_shows_late_is_called_first,
            a_restored_queue_keeps_who_is_inside,
            a_restored_queue_lets_in_who_accepted_unrecorded,
            a_restored_queue_ends_who_paid_or_left,
            a_restored_queue_is_quiet_at_first,
            a_restored_queue_keeps_the_maximum,
            a_user_shows_one_token,
            unseen_numbers_end_with_the_grace,
            counts_what_became_of_them,
            snapshots_agree_with_states,
            keeps_performances_apart,
        ] $($with)+ }
    };
}

const EPOCH: i64 = 1_780_308_000_123;
const ACTIVE_DURATION: Duration = Duration::from_mins(5);
/// The number of lanes of a queue in these cases.
const LANES: u8 = 3;
/// A limit that no lane reaches.
const LIMIT: u64 = 1_000_000;

/// A queue that nobody has joined. Its limits are 0.
fn new_queue() -> RestoredQueue {
    QueueRecord::new(EPOCH, LANES.into(), start()).restored(None, &[], &[], &queue_settings(), start())
}

/// Settings that admit every waiting fan, for cases that are not about admission.
fn open_doors() -> QueueSettings {
    QueueSettings { batch: 1_000, max_active: 1_000, ..queue_settings() }
}

fn seen_at(now: Timestamp) -> Presence {
    Presence { now, grace: queue_settings().grace }
}

/// The time this many presence periods after the start.
fn period(periods: i64) -> Timestamp {
    let period_ms = seen_at(start()).period_ms();
    at_ms(u64::try_from(period_ms * periods).expect("after the start"))
}

/// A number of lane 0.
fn number(number: u64) -> LaneNumber {
    LaneNumber { lane: 0, number }
}

/// The token of a payload whose lane has no draw.
fn token(payload: &QueueTokenPayload) -> QueueToken {
    payload.token(None)
}

/// The payload of a fan who joined lane 0 at the start and needs no accessible seat.
fn a_payload() -> QueueTokenPayload {
    QueueTokenPayload {
        performance: id(),
        user: id(),
        epoch: EPOCH,
        lane: 0,
        index: 1,
        issued_at: start(),
        needs_accessible: false,
        admitted_until: None,
    }
}

fn waiting(state: TokenState) -> bool {
    state == TokenState::Waiting
}

/// A fan who may enter lane 0.
fn joining(performance: PerformanceId, user: UserId, now: Timestamp) -> Joining {
    Joining {
        performance,
        user,
        lane: 0,
        needs_accessible: false,
        may_enter: true,
        token: None,
        presence: seen_at(now),
        request: None,
        entry: None,
    }
}

/// Checks that every operation reports the queue as lost.
pub async fn assert_lost(queues: &dyn QueueStore, payload: &QueueTokenPayload, now: Timestamp) {
    let QueueTokenPayload { performance, user, epoch, lane, .. } = *payload;
    let (token, terms) = (token(payload), open_doors().terms(None, now, now));
    assert_eq!(queues.snapshot(performance).await.expect("the store answers"), None);
    assert_eq!(refused(queues.admit(performance, &terms, now).await), QueueLost);
    assert_eq!(refused(queues.extend(performance, epoch, lane, LIMIT).await), QueueLost);
    assert_eq!(refused(queues.join(joining(performance, user, now)).await), JoinRefusal::Lost);
    assert_eq!(refused(queues.show(performance, &[token], seen_at(now)).await), TokenRefusal::Lost);
    assert_eq!(refused(queues.state(&token, now).await), TokenRefusal::Lost);
    assert_eq!(refused(queues.accept(&token, ACTIVE_DURATION, now).await), TokenRefusal::Lost);
    assert_eq!(refused(queues.note_leave(&token, Some(request(user)), now).await), TokenRefusal::Lost);
    assert_eq!(refused(queues.end(&token, EndReason::Left, now).await), TokenRefusal::Lost);
    assert_eq!(refused(queues.spend_hold_try(&token, 1, now).await), TokenRefusal::Lost);
    assert_eq!(refused(queues.freeze(performance, &[1]).await), QueueLost);
    assert_eq!(refused(queues.cut(performance, &[], seen_at(now)).await), QueueLost);
    let reported = queues.report_present(performance, &[token.lane_number()], false, seen_at(now)).await;
    assert_eq!(refused(reported), QueueLost);
    assert_eq!(refused(queues.abandon_absent(performance, seen_at(now)).await), QueueLost);
}

impl SpeedBench {
    /// Opens a queue that was not open.
    async fn open_new(&self, performance: PerformanceId, queue: &RestoredQueue) {
        assert!(self.queues.open(performance, queue).await.expect("the store answers"), "the queue was not open");
    }

    async fn extend(&self, performance: PerformanceId, lane: u8, limit: u64) {
        self.queues.extend(performance, EPOCH, lane, limit).await.expect("the queue is open");
    }

    /// A new performance with this queue open and with numbers left in every lane.
    async fn opened(&self, queue: &RestoredQueue) -> PerformanceId {
        let performance = id();
        self.open_new(performance, queue).await;
        for lane in 0..LANES {
            self.extend(performance, lane, LIMIT).await;
        }
        performance
    }

    /// Joins. Before a draw, the fan has the next entry.
    async fn try_join(&self, joining: Joining) -> Result<QueueTokenPayload, PortError<JoinRefusal>> {
        match self.queues.join(joining).await {
            Err(PortError::Refused(JoinRefusal::EntryNeeded { epoch })) if joining.entry.is_none() => {
                assert_eq!(epoch, EPOCH);
                let tail = self.snapshot(joining.performance).await.lanes[usize::from(joining.lane)].tail;
                Ok(self.queues.join(Joining { entry: Some(tail + 1), ..joining }).await?.payload)
            }
            joined => Ok(joined?.payload),
        }
    }

    async fn join(&self, performance: PerformanceId, user: UserId, now: Timestamp) -> QueueTokenPayload {
        self.try_join(joining(performance, user, now)).await.expect("a number is left")
    }

    /// Joins this lane.
    async fn join_lane(&self, performance: PerformanceId, user: UserId, lane: u8, now: Timestamp) -> QueueTokenPayload {
        self.try_join(Joining { lane, ..joining(performance, user, now) }).await.expect("a number is left")
    }

    /// Joins this many new fans to a lane at the start. In a new queue, number `n` is at index `n - 1`.
    async fn join_all(&self, performance: PerformanceId, lane: u8, count: u64) -> Vec<QueueTokenPayload> {
        let mut payloads = Vec::new();
        for _ in 0..count {
            payloads.push(self.join_lane(performance, id(), lane, start()).await);
        }
        payloads
    }

    /// A new queue with this many fans who have waited in lane 0 since the start. Number `n` is at index `n - 1`.
    async fn queue(&self, length: u64) -> Vec<QueueTokenPayload> {
        let performance = self.opened(&new_queue()).await;
        let payloads = self.join_all(performance, 0, length).await;
        assert!(payloads.iter().map(|payload| payload.index).eq(1..=length));
        payloads
    }

    async fn admit(&self, queue: &[QueueTokenPayload], settings: &QueueSettings, now: Timestamp) -> u64 {
        self.admit_to(queue[0].performance, settings, now).await
    }

    async fn admit_to(&self, performance: PerformanceId, settings: &QueueSettings, now: Timestamp) -> u64 {
        let terms = settings.terms(None, start(), now);
        self.queues.admit(performance, &terms, now).await.expect("the queue is open")
    }

    async fn state(&self, payload: &QueueTokenPayload, now: Timestamp) -> TokenState {
        self.queues.state(&token(payload), now).await.expect("the queue knows the token")
    }

    async fn states(&self, payloads: &[QueueTokenPayload], now: Timestamp) -> Vec<TokenState> {
        let mut states = Vec::new();
        for payload in payloads {
            states.push(self.state(payload, now).await);
        }
        states
    }

    /// The numbers that do not wait at `now`.
    async fn past_waiting(&self, payloads: &[QueueTokenPayload], now: Timestamp) -> Vec<u64> {
        let states = self.states(payloads, now).await;
        payloads.iter().zip(states).filter(|(_, state)| !waiting(*state)).map(|(payload, _)| payload.index).collect()
    }

    async fn accept(&self, payload: &QueueTokenPayload, now: Timestamp) -> TokenState {
        self.queues.accept(&token(payload), ACTIVE_DURATION, now).await.expect("the queue knows the token")
    }

    async fn end(&self, payload: &QueueTokenPayload, reason: EndReason, now: Timestamp) -> TokenState {
        self.queues.end(&token(payload), reason, now).await.expect("the queue knows the token")
    }

    async fn snapshot(&self, performance: PerformanceId) -> QueueSnapshot {
        self.queues.snapshot(performance).await.expect("the store answers").expect("the queue is open")
    }

    /// Reports numbers of lane 0 as present.
    async fn report(&self, queue: &[QueueTokenPayload], numbers: impl IntoIterator<Item = u64>, now: Timestamp) {
        let numbers: Vec<LaneNumber> = numbers.into_iter().map(number).collect();
        let reported = self.queues.report_present(queue[0].performance, &numbers, false, seen_at(now)).await;
        reported.expect("the queue is open");
    }

    /// How many were ended.
    async fn abandon_absent(&self, performance: PerformanceId, now: Timestamp) -> u64 {
        self.absent(performance, now).await.len() as u64
    }

    /// The numbers that were ended, in order.
    async fn absent(&self, performance: PerformanceId, now: Timestamp) -> Vec<LaneNumber> {
        let absent = self.queues.abandon_absent(performance, seen_at(now)).await.expect("the queue is open");
        assert_eq!(absent.epoch, EPOCH);
        let mut numbers = absent.numbers;
        numbers.sort_unstable();
        numbers
    }
}
