//! The cases of [`Lines`](encore_domain::ports::Lines).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::time::Duration;

use encore_domain::error::PortError;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::line_snapshot::LineSnapshot;
use encore_domain::ports::{JoinRefusal, Joining, LineLost, Lines, Presence, TicketRefusal};
use encore_domain::queue::{
    EndReason, LaneNumber, LineRecord, LineSettings, Place, QueueTicket, RestoredLine, TokenState,
};
use encore_domain::time::Timestamp;

use crate::SpeedBench;
use crate::answers::refused;
use crate::fixtures::{at_ms, id, line_settings, start};

mod admitting;
mod drawing;
mod joining;
mod presence;
mod restoring;
mod snapshots;
mod tickets;

pub use admitting::*;
pub use drawing::*;
pub use joining::*;
pub use presence::*;
pub use restoring::*;
pub use snapshots::*;
pub use tickets::*;

/// Stamps the cases of the port `Lines`.
#[macro_export]
macro_rules! lines {
    ($($with:tt)+) => {
        $crate::suite! { lines [
            is_lost_until_it_is_open,
            opens_once,
            joins_in_order,
            joins_once,
            joins_under_contention,
            joins_again_at_the_end,
            joins_up_to_the_limit,
            joins_only_who_may_enter,
            moves_to_another_lane,
            admits_in_order,
            admits_by_the_rate,
            a_change_of_period_admits_nobody_early,
            admits_up_to_the_cap,
            admits_under_contention,
            admits_nobody_unless_calling,
            admits_no_more_than_the_stock,
            admits_lanes_by_weight,
            a_clock_that_goes_back_admits_nothing_more,
            claims_a_call,
            claims_only_a_call,
            a_missed_call_is_abandoned,
            an_active_token_expires,
            ends_a_waiting_number,
            ends_an_active_number,
            limits_hold_tries,
            a_ticket_of_another_epoch_has_ended,
            a_number_never_given_out_has_ended,
            abandons_who_is_away,
            keeps_who_was_seen_later,
            reports_presence_in_bulk,
            draws_numbers,
            a_place_of_another_draw_is_refused,
            joins_with_a_drawn_number,
            nobody_leaves_while_numbers_are_drawn,
            a_restored_line_calls_only_who_was_seen,
            who_shows_late_is_called_first,
            a_restored_line_keeps_who_is_inside,
            a_restored_line_lets_in_who_claimed_unrecorded,
            a_restored_line_ends_who_paid,
            a_restored_line_is_quiet_at_first,
            a_restored_line_keeps_the_cap,
            a_user_shows_one_place,
            unseen_places_end_with_the_grace,
            counts_what_became_of_them,
            snapshots_agree_with_states,
            keeps_performances_apart,
        ] $($with)+ }
    };
}

const EPOCH: i64 = 1_780_308_000_123;
const ACTIVE_FOR: Duration = Duration::from_mins(5);
/// How many lanes a line has here.
const LANES: u8 = 3;
/// More than join any lane.
const LIMIT: u64 = 1_000_000;

/// A line that nobody has joined. Its limits are 0.
fn new_line() -> RestoredLine {
    LineRecord::new(EPOCH, LANES.into(), start()).restored(None, &[], &[], &line_settings(), start())
}

/// Admits everybody who waits, so that a case can look at something else.
fn open_doors() -> LineSettings {
    LineSettings { batch: 1_000, cap: 1_000, ..line_settings() }
}

fn seen_at(now: Timestamp) -> Presence {
    Presence { now, grace: line_settings().grace }
}

/// A moment this many presence periods after the start.
fn period(periods: i64) -> Timestamp {
    let period_ms = seen_at(start()).period_ms();
    at_ms(u64::try_from(period_ms * periods).expect("after the start"))
}

/// A number of lane 0.
fn number(number: u64) -> LaneNumber {
    LaneNumber { lane: 0, number }
}

/// The place of a ticket where nothing was drawn.
fn place(ticket: &QueueTicket) -> Place {
    ticket.place(None)
}

fn waiting(state: TokenState) -> bool {
    state == TokenState::Waiting
}

/// Somebody who may enter lane 0.
fn joining(performance: PerformanceId, user: UserId, now: Timestamp) -> Joining {
    Joining { performance, user, lane: 0, may_enter: true, place: None, presence: seen_at(now) }
}

/// Checks that a line says of everything asked that it is lost.
pub async fn assert_lost(lines: &dyn Lines, ticket: &QueueTicket, now: Timestamp) {
    let QueueTicket { performance, user, epoch, lane, .. } = *ticket;
    let (place, terms) = (place(ticket), open_doors().terms(None, now, now));
    assert_eq!(lines.snapshot(performance).await.expect("the store answers"), None);
    assert_eq!(refused(lines.admit(performance, &terms, now).await), LineLost);
    assert_eq!(refused(lines.extend(performance, epoch, lane, LIMIT).await), LineLost);
    assert_eq!(refused(lines.join(joining(performance, user, now)).await), JoinRefusal::Lost);
    assert_eq!(refused(lines.show(performance, &[place], seen_at(now)).await), TicketRefusal::Lost);
    assert_eq!(refused(lines.state(&place, now).await), TicketRefusal::Lost);
    assert_eq!(refused(lines.claim(&place, ACTIVE_FOR, now).await), TicketRefusal::Lost);
    assert_eq!(refused(lines.end(&place, EndReason::Left, now).await), TicketRefusal::Lost);
    assert_eq!(refused(lines.spend_hold_try(&place, 1, now).await), TicketRefusal::Lost);
    assert_eq!(refused(lines.freeze(performance).await), LineLost);
    assert_eq!(refused(lines.cut(performance, &[], seen_at(now)).await), LineLost);
    let reported = lines.report_present(performance, &[place.lane_number()], false, seen_at(now)).await;
    assert_eq!(refused(reported), LineLost);
    assert_eq!(refused(lines.abandon_absent(performance, seen_at(now)).await), LineLost);
}

impl SpeedBench {
    /// Puts a line in place that was not.
    async fn put_in_place(&self, performance: PerformanceId, line: &RestoredLine) {
        assert!(self.lines.open(performance, line).await.expect("the store answers"), "it was not in place");
    }

    async fn extend(&self, performance: PerformanceId, lane: u8, limit: u64) {
        self.lines.extend(performance, EPOCH, lane, limit).await.expect("the line is in place");
    }

    /// A line that was put in place from this and may give out more numbers.
    async fn opened(&self, line: &RestoredLine) -> PerformanceId {
        let performance = id();
        self.put_in_place(performance, line).await;
        for lane in 0..LANES {
            self.extend(performance, lane, LIMIT).await;
        }
        performance
    }

    async fn try_join(&self, joining: Joining) -> Result<QueueTicket, PortError<JoinRefusal>> {
        self.lines.join(joining).await
    }

    async fn join(&self, performance: PerformanceId, user: UserId, now: Timestamp) -> QueueTicket {
        self.try_join(joining(performance, user, now)).await.expect("a number is left")
    }

    /// Somebody who joins this lane.
    async fn join_lane(&self, performance: PerformanceId, user: UserId, lane: u8, now: Timestamp) -> QueueTicket {
        self.try_join(Joining { lane, ..joining(performance, user, now) }).await.expect("a number is left")
    }

    /// This many new fans of a lane, since the start. Ticket `n` of a new line is at index `n - 1`.
    async fn join_all(&self, performance: PerformanceId, lane: u8, count: u64) -> Vec<QueueTicket> {
        let mut tickets = Vec::new();
        for _ in 0..count {
            tickets.push(self.join_lane(performance, id(), lane, start()).await);
        }
        tickets
    }

    /// A new line in which this many fans wait in lane 0 since the start. Ticket `n` is at index `n - 1`.
    async fn line(&self, length: u64) -> Vec<QueueTicket> {
        let performance = self.opened(&new_line()).await;
        let tickets = self.join_all(performance, 0, length).await;
        assert!(tickets.iter().map(|ticket| ticket.index).eq(1..=length));
        tickets
    }

    async fn admit(&self, line: &[QueueTicket], settings: &LineSettings, now: Timestamp) -> u64 {
        self.admit_to(line[0].performance, settings, now).await
    }

    async fn admit_to(&self, performance: PerformanceId, settings: &LineSettings, now: Timestamp) -> u64 {
        let terms = settings.terms(None, start(), now);
        self.lines.admit(performance, &terms, now).await.expect("the line is in place")
    }

    async fn state(&self, ticket: &QueueTicket, now: Timestamp) -> TokenState {
        self.lines.state(&place(ticket), now).await.expect("the line knows the place")
    }

    async fn states(&self, tickets: &[QueueTicket], now: Timestamp) -> Vec<TokenState> {
        let mut states = Vec::new();
        for ticket in tickets {
            states.push(self.state(ticket, now).await);
        }
        states
    }

    /// The numbers that do not wait at `now`.
    async fn past_waiting(&self, tickets: &[QueueTicket], now: Timestamp) -> Vec<u64> {
        let states = self.states(tickets, now).await;
        tickets.iter().zip(states).filter(|(_, state)| !waiting(*state)).map(|(ticket, _)| ticket.index).collect()
    }

    async fn claim(&self, ticket: &QueueTicket, now: Timestamp) -> TokenState {
        self.lines.claim(&place(ticket), ACTIVE_FOR, now).await.expect("the line knows the place")
    }

    async fn end(&self, ticket: &QueueTicket, reason: EndReason, now: Timestamp) -> TokenState {
        self.lines.end(&place(ticket), reason, now).await.expect("the line knows the place")
    }

    async fn snapshot(&self, performance: PerformanceId) -> LineSnapshot {
        self.lines.snapshot(performance).await.expect("the store answers").expect("the line is in place")
    }

    /// Reports numbers of lane 0.
    async fn report(&self, line: &[QueueTicket], numbers: impl IntoIterator<Item = u64>, now: Timestamp) {
        let numbers: Vec<LaneNumber> = numbers.into_iter().map(number).collect();
        let reported = self.lines.report_present(line[0].performance, &numbers, false, seen_at(now)).await;
        reported.expect("the line is in place");
    }

    async fn abandon_absent(&self, performance: PerformanceId, now: Timestamp) -> u64 {
        self.lines.abandon_absent(performance, seen_at(now)).await.expect("the line is in place")
    }
}
