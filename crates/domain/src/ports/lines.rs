use std::time::Duration;

use async_trait::async_trait;

use crate::error::Unavailable;
use crate::ids::{PerformanceId, UserId};
use crate::line_snapshot::LineSnapshot;
use crate::queue::{EndReason, LineSettings, QueueTicket, TokenState};
use crate::time::Timestamp;

/// When a line was seen, and how long a fan may be away.
///
/// Presence is kept in periods of a quarter of the grace: a fan is gone who was not seen in the current period nor in
/// the four before it, so between one and one and a quarter times the grace after last being seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// This moment.
    pub now: Timestamp,
    /// See [`LineSettings::grace`].
    pub grace: Duration,
}

impl Presence {
    /// How many whole periods make up the grace.
    pub const PERIODS: i64 = 4;

    /// The number of the period that `now` falls in.
    pub fn period(&self) -> i64 {
        self.now.timestamp_millis() / self.period_ms()
    }

    /// How long a period is, in milliseconds.
    pub fn period_ms(&self) -> i64 {
        let grace_ms = i64::try_from(self.grace.as_millis()).unwrap_or(i64::MAX);
        (grace_ms / Self::PERIODS).max(1)
    }
}

/// The waiting lines: numbers given out in order, called in order, and what became of each.
///
/// A number is *inside* while it is called or active. Deadlines are decided by the `now` of the call: what is due at
/// or before `now` is over.
///
/// # Contract
/// - `joins_in_order`: numbers 1, 2, 3 … of the epoch that the first join proposed; the state is waiting
/// - `joins_once`: a user whose token has not ended gets the same ticket again
/// - `joins_under_contention`: a hundred at once get a hundred different numbers without a gap
/// - `joins_again_at_the_end`: a user whose token ended gets a new number at the tail
/// - `has_no_snapshot_before_the_first_join`
/// - `admits_in_order`: numbers are called by increasing number, skipping those gone
/// - `admits_by_the_rate`: a batch at first, then no more than the rate, however often it is asked
/// - `a_change_of_period_admits_nobody_early`: the same rate over another period goes on where it was
/// - `admits_up_to_the_cap`: called and active together never exceed it, and freed places are filled
/// - `admits_under_contention`: of twenty at once, no more in sum than one alone would have called
/// - `admits_nobody_while_paused`: though what is due still ends
/// - `a_clock_that_goes_back_admits_nothing_more`
/// - `claims_a_call`: called becomes active until `now + active_for`; claiming again answers the same deadline
/// - `claims_only_a_call`: a waiting number stays waiting, an ended one ended
/// - `a_missed_call_is_abandoned`: when the claim window is over, and its place inside is free
/// - `an_active_token_expires`: at its deadline, and its place inside is free
/// - `ends_a_waiting_number`: everyone behind moves up; it is never called
/// - `ends_an_active_number`: with the reason given; its place inside is free; ending again keeps the first reason
/// - `a_ticket_of_another_epoch_has_ended`: with [`EndReason::Reset`], for state, claim and end
/// - `a_number_never_given_out_has_ended`: a ticket whose number is over the tail is [`EndReason::Reset`] too
/// - `abandons_who_is_away`: a waiting number that neither joined nor was reported within the grace is gone, the others
///   stay, and it is counted once
/// - `keeps_who_was_seen_later`: by an instance whose clock is a period ahead of the one that looks
/// - `reports_presence_in_bulk`: ten thousand numbers in one call
/// - `snapshots_agree_with_states`: for every number, the snapshot's standing is that of [`Lines::state`]
/// - `keeps_performances_apart`
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Lines: Send + Sync {
    /// Gives a user a number, or the one they have. Joining counts as being seen. `new_epoch` is used if the line does
    /// not exist yet.
    async fn join(
        &self,
        performance: PerformanceId,
        user: UserId,
        presence: Presence,
        new_epoch: i64,
    ) -> Result<QueueTicket, Unavailable>;

    /// A copy of the line; none if nobody has joined. What is due at `now` is already over in it or will be at the next
    /// admission.
    async fn snapshot(&self, performance: PerformanceId) -> Result<Option<LineSnapshot>, Unavailable>;

    /// Ends what is due, then calls as many numbers as rate, batch and cap allow. Any instance may ask at any time.
    /// Answers how many were called; 0 if nobody has joined.
    async fn admit(
        &self,
        performance: PerformanceId,
        settings: &LineSettings,
        now: Timestamp,
    ) -> Result<u64, Unavailable>;

    /// The state of a token.
    async fn state(&self, ticket: &QueueTicket, now: Timestamp) -> Result<TokenState, Unavailable>;

    /// Makes a called token active; any other is left as it is. Answers the state afterwards.
    async fn claim(
        &self,
        ticket: &QueueTicket,
        active_for: Duration,
        now: Timestamp,
    ) -> Result<TokenState, Unavailable>;

    /// Ends a token, unless it has ended before. Answers the state afterwards.
    async fn end(&self, ticket: &QueueTicket, reason: EndReason, now: Timestamp) -> Result<TokenState, Unavailable>;

    /// Says that the fans with these numbers are there.
    async fn report_present(
        &self,
        performance: PerformanceId,
        numbers: &[u64],
        presence: Presence,
    ) -> Result<(), Unavailable>;

    /// Ends the waiting numbers that were not seen within the grace. Answers how many.
    async fn abandon_absent(&self, performance: PerformanceId, presence: Presence) -> Result<u64, Unavailable>;
}
