use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::error::{PortError, Unavailable};
use crate::ids::{PerformanceId, UserId};
use crate::queue::snapshot::QueueSnapshot;
use crate::queue::{AdmissionTerms, EndReason, LaneNumber, QueueToken, QueueTokenPayload, RestoredQueue, TokenState};
use crate::time::Timestamp;

/// When a queue was seen, and how long a fan may be away.
///
/// Presence is kept in periods of a quarter of the grace: a fan is gone who was not seen in the current period nor in
/// the four before it, so between one and one and a quarter times the grace after last being seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// This moment.
    pub now: Timestamp,
    /// See [`QueueSettings::grace`](crate::queue::QueueSettings::grace).
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

/// The queue is not here: it was never put in place, or the store lost what it held, wholly or in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the queue is not open")]
pub struct QueueLost;

/// Why nobody got a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JoinRefusal {
    /// See [`QueueLost`].
    #[error("the queue is not open")]
    Lost,
    /// All indexes of the lane up to its limit are given out; see [`QueueStore::extend`].
    #[error("the lane has given out all its numbers")]
    NumbersSpent,
    /// The fan has no token and may not take one.
    #[error("the fan has no token")]
    NoToken,
    /// The fan has a token that was drawn, and the queue cannot compute its number: it has to be told with [`Joining::token`].
    #[error("the number of the fan's token is needed")]
    NumberNeeded {
        /// The fan's token.
        payload: QueueTokenPayload,
        /// Of how many the lane's numbers were drawn.
        drawn: u64,
    },
}

/// Why a queue does not know a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenRefusal {
    /// See [`QueueLost`].
    #[error("the queue is not open")]
    Lost,
    /// The number was found with another draw than the lane's; see [`QueueToken::drawn`].
    #[error("the lane's numbers were drawn")]
    Drawn {
        /// Of how many they were drawn; none if they are still to be.
        count: Option<u64>,
    },
    /// The queue was restored, and the token was not shown since; see [`QueueStore::show`].
    #[error("the token was not shown yet")]
    Unseen,
    /// Numbers are being drawn, which takes a moment.
    #[error("the numbers are being drawn")]
    Drawing,
}

/// Somebody who wants a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joining {
    /// In which queue.
    pub performance: PerformanceId,
    /// Who.
    pub user: UserId,
    /// In which lane. Who waits in another one moves, unless this is lane 0, which everybody may join.
    pub lane: u8,
    /// Whether a token may be given out; else only who has one is answered.
    pub may_enter: bool,
    /// The fan's token, where [`JoinRefusal::NumberNeeded`] asked for it; none else.
    pub token: Option<QueueToken>,
    /// Joining counts as being seen.
    pub presence: Presence,
}

/// A lane whose numbers are being drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrozenLane {
    /// How many had joined.
    pub count: u64,
    /// Who of them left, by join index, in order.
    pub gone: Vec<u64>,
    /// Who of them has not been seen since the queue was restored, by join index, in order.
    pub unseen: Vec<u64>,
}

/// The drawn numbers of a lane: the first `count` indexes have new numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CutLane {
    /// Of how many.
    pub count: u64,
    /// The numbers of those who left, in any order.
    pub gone: Vec<u64>,
    /// The numbers of those not seen, in any order.
    pub unseen: Vec<u64>,
}

/// The waiting queues: numbers given out in order, called in order, and what became of each.
///
/// A queue is put in place from what is kept of it, and may be lost at any time; then it is restored, and its fans show
/// their tokens. A number is *inside* while it is called or active. Deadlines are decided by the `now` of the call: what is due
/// at or before `now` is over.
///
/// # Contract
/// - `is_lost_until_it_is_open`: no snapshot, no admission, and every other call is refused as lost
/// - `opens_once`: a second opening changes nothing and answers false
/// - `joins_in_order`: indexes 1, 2, 3 …, and numbers likewise, in each lane by itself; the state is waiting
/// - `joins_once`: a user whose token has not ended gets the same queue token again
/// - `joins_under_contention`: a hundred at once get a hundred different indexes without a gap
/// - `joins_again_at_the_end`: a user whose token ended gets a new index at the tail
/// - `joins_up_to_the_limit`: [`JoinRefusal::NumbersSpent`] until the limit is raised; a limit never falls
/// - `joins_only_who_may_enter`: [`JoinRefusal::NoToken`] to others than those who have a token
/// - `moves_to_another_lane`: who waits gets a token at its end, and the old one ends as [`EndReason::Replaced`]; who is inside
///   keeps the token, and nobody moves to lane 0
/// - `admits_in_order`: numbers are called by increasing number, skipping those gone
/// - `admits_by_the_rate`: a batch at first, then no more than the rate, however often it is asked
/// - `a_change_of_period_admits_nobody_early`: the same rate over another period goes on where it was
/// - `admits_up_to_the_maximum`: called and active together never exceed it, and freed tokens are filled
/// - `admits_under_contention`: of twenty at once, no more in sum than one alone would have called
/// - `admits_nobody_unless_calling`: though what is due still ends
/// - `admits_no_more_than_the_stock`: nobody is called for whom no seat would be free beside those inside
///   who have none, as [`limit_by_stock`](crate::queue::limit_by_stock) says
/// - `admits_lanes_by_weight`: as [`LaneTurns`](crate::queue::LaneTurns) says; an empty lane leaves its share to the others
/// - `a_clock_that_goes_back_admits_nothing_more`
/// - `accepts_a_call`: called becomes active until `now + active_duration`; accepting again answers the same deadline
/// - `accepts_only_a_call`: a waiting number stays waiting, an ended one ended
/// - `a_missed_call_is_abandoned`: when the accept window is over, and its token inside is free
/// - `an_active_token_expires`: at its deadline, and its token inside is free
/// - `ends_a_waiting_number`: everyone behind moves up; it is never called
/// - `ends_an_active_number`: with the reason given; its token inside is free; ending again keeps the first reason
/// - `limits_hold_tries`: an active token has so many and no more; any other has none
/// - `a_payload_of_another_epoch_has_ended`: with [`EndReason::Reset`], for state, accept and end
/// - `a_number_never_given_out_has_ended`: a queue token whose index is over the tail is [`EndReason::Reset`] too
/// - `abandons_who_is_away`: a waiting number that neither joined nor was reported within the grace is gone, the others
///   stay, and it is counted once
/// - `keeps_who_was_seen_later`: by an instance whose clock is a period ahead of the one that looks
/// - `reports_presence_in_bulk`: ten thousand numbers in one call
/// - `draws_numbers`: a queue that draws calls nobody and abandons nobody before the cut; those who left stay gone under their new
///   numbers, and later joiners follow
/// - `a_token_of_another_draw_is_refused`: [`TokenRefusal::Drawn`] says of how many the numbers were drawn
/// - `joins_with_a_drawn_number`: who joined before the draw is asked for the number, [`JoinRefusal::NumberNeeded`], and then answered
///   as any other: the same queue token, or a new one where it ended or moves
/// - `nobody_leaves_while_numbers_are_drawn`: [`TokenRefusal::Drawing`] between freezing and the cut; freezing again answers the
///   same, and a second cut changes nothing
/// - `a_restored_queue_calls_only_who_was_seen`: unseen numbers are refused as [`TokenRefusal::Unseen`] until they are shown, and are
///   passed over
/// - `who_shows_late_is_called_first`: passed over unseen, they come before all others, in order
/// - `a_restored_queue_keeps_who_is_inside`: until the deadlines in the record, or in the queue token that is shown
/// - `a_restored_queue_lets_in_who_accepted_unrecorded`: who was called when the record was made, and shows a queue token that says admitted;
///   until it is shown, such a queue token is refused as [`TokenRefusal::Unseen`]
/// - `a_restored_queue_ends_who_paid`: a used token stays ended, however often it is shown
/// - `a_restored_queue_is_quiet_at_first`: nobody is called until it says; the bucket is empty
/// - `a_restored_queue_keeps_the_maximum`: reserved tokens count as inside until they are taken or their time is over
/// - `a_user_shows_one_token`: of two, the one that was admitted stays, else the earlier one; the other ends as
///   [`EndReason::Replaced`]
/// - `unseen_numbers_end_with_the_grace`: the first sweep of those away after a whole grace ends them for good
/// - `counts_what_became_of_them`: the flow of the snapshot
/// - `snapshots_agree_with_states`: for every number, the snapshot's standing is that of [`QueueStore::state`]
/// - `keeps_performances_apart`
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait QueueStore: Send + Sync {
    /// Puts a queue in place, unless it is there already. Answers whether it was done now.
    async fn open(&self, performance: PerformanceId, queue: &RestoredQueue) -> Result<bool, Unavailable>;

    /// Raises the limit of a lane, in the run of the queue that is open.
    async fn extend(
        &self,
        performance: PerformanceId,
        epoch: i64,
        lane: u8,
        limit: u64,
    ) -> Result<(), PortError<QueueLost>>;

    /// Gives a user a token, or the one they have.
    async fn join(&self, joining: Joining) -> Result<QueueTokenPayload, PortError<JoinRefusal>>;

    /// Shows tokens of a queue that was restored; of at most [`SHOWN_MAX`]. Unseen ones are there again: inside
    /// until their queue token's deadline if it says that they were admitted, waiting if not. All others stay as they are. A token that
    /// is refused keeps no other from being shown.
    async fn show(
        &self,
        performance: PerformanceId,
        tokens: &[QueueToken],
        presence: Presence,
    ) -> Result<(), PortError<TokenRefusal>>;

    /// A copy of the queue; none if it is lost. What is due is already over in it or will be at the next admission.
    async fn snapshot(&self, performance: PerformanceId) -> Result<Option<QueueSnapshot>, Unavailable>;

    /// Ends what is due, then calls as many numbers as the terms allow. Any instance may ask at any time. Answers how many were
    /// called.
    async fn admit(
        &self,
        performance: PerformanceId,
        terms: &AdmissionTerms,
        now: Timestamp,
    ) -> Result<u64, PortError<QueueLost>>;

    /// The state of a token.
    async fn state(&self, token: &QueueToken, now: Timestamp) -> Result<TokenState, PortError<TokenRefusal>>;

    /// Makes a called token active; any other is left as it is. Answers the state afterwards.
    async fn accept(
        &self,
        token: &QueueToken,
        active_duration: Duration,
        now: Timestamp,
    ) -> Result<TokenState, PortError<TokenRefusal>>;

    /// Ends a token, unless it has ended before. Answers the state afterwards.
    async fn end(
        &self,
        token: &QueueToken,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<TokenState, PortError<TokenRefusal>>;

    /// Takes one of the holds that an active token may try. Answers whether there was one left.
    async fn spend_hold_try(
        &self,
        token: &QueueToken,
        tries: u32,
        now: Timestamp,
    ) -> Result<bool, PortError<TokenRefusal>>;

    /// Lets nobody leave a queue whose numbers are to be drawn, and tells what is needed to draw them, by lane. None if they were
    /// drawn before.
    async fn freeze(&self, performance: PerformanceId) -> Result<Option<Vec<FrozenLane>>, PortError<QueueLost>>;

    /// Gives out the drawn numbers of all lanes, and counts everybody as seen. Answers whether it was done now.
    async fn cut(
        &self,
        performance: PerformanceId,
        lanes: &[CutLane],
        presence: Presence,
    ) -> Result<bool, PortError<QueueLost>>;

    /// Says that the fans with these numbers are there. Those of lanes that draw are understood as drawn or not as `drawn` says,
    /// and dropped where it is wrong.
    async fn report_present(
        &self,
        performance: PerformanceId,
        numbers: &[LaneNumber],
        drawn: bool,
        presence: Presence,
    ) -> Result<(), PortError<QueueLost>>;

    /// Ends the waiting numbers that were not seen within the grace. Answers how many.
    async fn abandon_absent(&self, performance: PerformanceId, presence: Presence)
    -> Result<u64, PortError<QueueLost>>;
}

/// The most tokens that [`QueueStore::show`] takes at once: more would keep others from the queue for too long.
pub const SHOWN_MAX: usize = 1_000;
