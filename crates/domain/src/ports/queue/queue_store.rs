use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::error::{PortError, Unavailable};
use crate::ids::{PerformanceId, UserId};
use crate::queue::snapshot::QueueSnapshot;
use crate::queue::{
    AdmissionTerms, EndReason, EndedToken, LaneNumber, QueueToken, QueueTokenPayload, RestoredQueue, TokenState,
};
use crate::request::RequestKey;
use crate::time::Timestamp;

/// The time of a call, and how long a fan may be absent.
///
/// Presence is recorded in periods of a quarter of the grace. A fan who was seen neither in the current period nor in the four
/// before it is absent, which is between 1 and 1.25 times the grace after the fan was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The time of the call.
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

/// The queue is not open: it was never opened, or the store lost all or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the queue is not open")]
pub struct QueueLost;

/// The fan used the request id before, for another request about the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the request id was used for another request")]
pub struct RequestReused;

/// Why no queue token was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JoinRefusal {
    /// See [`QueueLost`].
    #[error("the queue is not open")]
    Lost,
    /// All indexes of the lane up to its limit are given out. The limit must be raised; see [`QueueStore::extend`].
    #[error("the lane has given out all its numbers")]
    NumbersSpent,
    /// The fan has no token, and the queue gives none out.
    #[error("the fan has no token")]
    NoToken,
    /// See [`RequestReused`].
    #[error(transparent)]
    Reused(#[from] RequestReused),
    /// The queue collects fans for its draw, and the fan has no token. The caller has the fan enter the draw, see
    /// [`Draws::enter`](crate::ports::Draws::enter), and repeats the call with [`Joining::entry`].
    #[error("the index of the fan in the draw is needed")]
    EntryNeeded {
        /// The run of the queue.
        epoch: i64,
    },
    /// The fan entered the draw before it was closed, and the numbers are being drawn. The caller may draw them itself.
    #[error("the numbers are being drawn")]
    Drawing,
    /// The fan has a token with a drawn number, which the store cannot compute. The caller repeats the call with
    /// [`Joining::token`].
    #[error("the number of the fan's token is needed")]
    NumberNeeded {
        /// The fan's token.
        payload: QueueTokenPayload,
        /// How many numbers of the lane were drawn.
        drawn: u64,
    },
}

/// Why a call about a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenRefusal {
    /// See [`QueueLost`].
    #[error("the queue is not open")]
    Lost,
    /// The number of the token was not computed with the draw of the lane; see [`QueueToken::drawn`].
    #[error("the lane's numbers were drawn")]
    Drawn {
        /// How many numbers were drawn; none if the draw is still to come.
        count: Option<u64>,
    },
    /// The token was not shown since the queue was restored; see [`QueueStore::show`].
    #[error("the token was not shown since the queue was restored")]
    Unseen,
    /// The numbers are being drawn. It takes a moment.
    #[error("the numbers are being drawn")]
    Drawing,
    /// See [`RequestReused`].
    #[error(transparent)]
    Reused(#[from] RequestReused),
}

/// A fan who joins a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joining {
    /// The performance of the queue.
    pub performance: PerformanceId,
    /// Who.
    pub user: UserId,
    /// The lane. A fan who waits in another lane moves to this one, unless it is lane 0, which is open to everybody.
    pub lane: u8,
    /// Whether the fan needs an accessible seat. A fan who has a token keeps what that token says.
    pub needs_accessible: bool,
    /// Whether a new token may be given out. Otherwise only a fan who has a token gets it.
    pub may_enter: bool,
    /// The fan's token, if [`JoinRefusal::NumberNeeded`] asked for it.
    pub token: Option<QueueToken>,
    /// The fan is present at this time.
    pub presence: Presence,
    /// The request of this fan, if it has an id.
    pub request: Option<RequestKey>,
    /// The fan's index in the draw of the lane, if [`JoinRefusal::EntryNeeded`] asked for it.
    pub entry: Option<u64>,
}

/// A queue token that was given out or returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The token.
    pub payload: QueueTokenPayload,
    /// The token that it replaces, in another lane. None if the request is a repeat.
    pub replaced: Option<EndedToken>,
}

/// The numbers that ended because their fans were absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Absent {
    /// The run of the queue.
    pub epoch: i64,
    /// In any order.
    pub numbers: Vec<LaneNumber>,
}

/// A lane whose numbers are being drawn. The fields are in join indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrozenLane {
    /// How many fans take part.
    pub count: u64,
    /// Those who left, in order.
    pub gone: Vec<u64>,
    /// Those not seen since the queue was restored, in order.
    pub unseen: Vec<u64>,
    /// Those who wait and need an accessible seat, in order.
    pub needs_accessible: Vec<u64>,
}

/// The drawn numbers of a lane: the first `count` indexes have new numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CutLane {
    /// How many numbers were drawn.
    pub count: u64,
    /// The numbers of those who left, in any order.
    pub gone: Vec<u64>,
    /// The numbers of those not seen, in any order.
    pub unseen: Vec<u64>,
    /// The numbers of those who wait and need an accessible seat, in any order.
    pub needs_accessible: Vec<u64>,
}

/// Runs the queues: gives out numbers in order, calls them in order, and keeps the state of each.
///
/// A queue is opened from its record. It may be lost at any time; then it is restored, and its fans show their tokens. A number is
/// *inside* while it is called or active. A deadline has passed if it is at or before the `now` of the call.
///
/// A queue keeps the latest [`REQUESTS_KEPT`] requests of each fan, each in the step that it causes. They are lost with the queue. No
/// harm comes of a repeat that is not recognised: a fan who has a token gets it, and a token that has ended stays ended.
///
/// # Contract
/// - `is_lost_until_it_is_open`: there is no snapshot, nobody is admitted, and every other call is refused as lost
/// - `opens_once`: a second call changes nothing and returns false
/// - `joins_in_order`: each lane gives out the indexes 1, 2, 3 …, and numbers likewise; the state is waiting
/// - `joins_once`: a user whose token has not ended gets the same queue token again
/// - `joins_under_contention`: a hundred concurrent calls get a hundred different indexes without a gap
/// - `joins_again_at_the_end`: a user whose token ended gets a new index at the tail
/// - `joins_up_to_the_limit`: [`JoinRefusal::NumbersSpent`] until the limit is raised; a limit never falls
/// - `joins_only_who_may_enter`: without [`Joining::may_enter`], a fan who has no token gets [`JoinRefusal::NoToken`]
/// - `moves_to_another_lane`: a fan who waits gets a token at the end of the lane, and the old one ends as [`EndReason::Replaced`]. A
///   fan who is inside keeps the token, and nobody moves to lane 0. [`Joined::replaced`] says which token ended
/// - `answers_a_repeated_join`: with the token of the first call, whatever has become of token and queue, before any refusal. Requests
///   are the same if [`Fingerprint::repeats`](crate::request::Fingerprint::repeats) says so
/// - `refuses_a_reused_request`: [`RequestReused`] if the same fan used the id in the queue for another body, to join or to leave; it
///   changes nothing. In another queue it is another request
/// - `joins_once_per_request_under_contention`: of concurrent calls with one id, those with one body get one token, and those with
///   another are refused
/// - `keeps_the_last_requests_of_a_fan`: a repeat of an older one is a new request; those of other fans do not count
/// - `keeps_no_refused_request`: nothing is kept of a call that gave out no token
/// - `finds_a_join_by_its_request`: [`QueueStore::find_join`] returns what a repeat would; none if the request gave out no token
/// - `notes_a_request_to_leave`: once, with the state of the token, which does not change; a repeat gets the state of the moment
/// - `admits_in_order`: numbers are called in increasing order; those that are gone are skipped
/// - `admits_by_the_rate`: a batch at first, then no more than the rate, however often it is called; after a time without calls no
///   more than [`burst`](crate::queue::burst)
/// - `the_batch_does_not_lower_the_rate`: while fans wait, as many are called as the rate makes, even in batches of one
/// - `a_change_of_period_admits_nobody_early`: the same rate over another period continues at the same level
/// - `admits_up_to_the_maximum`: the called and active numbers together never exceed it; when one ends, another is called
/// - `admits_under_contention`: twenty concurrent calls together call no more than one would
/// - `admits_nobody_unless_calling`: numbers whose deadline has passed still end
/// - `admits_no_more_than_the_stock`: no more are called than there are seats for, beside those inside who have none; see
///   [`limit_by_stock`](crate::queue::limit_by_stock)
/// - `admits_lanes_by_weight`: see [`LaneTurns`](crate::queue::LaneTurns); an empty lane leaves its share to the others
/// - `a_clock_that_goes_back_admits_nothing_more`: an earlier `now` adds nothing to the bucket
/// - `admits_only_who_may_buy_what_is_left`: who needs an accessible seat is called only while one is left, the others only while
///   another seat is left; who is passed over keeps the position and is called first when such a seat comes back
/// - `a_need_survives_the_loss`: a restored queue knows from the shown token who needs an accessible seat
/// - `a_need_survives_the_draw`: and so does a queue whose numbers are drawn
/// - `measures_how_fast_it_calls`: in the pace of the snapshot, at most every five seconds; a call that could have called more notes
///   that nobody waited
/// - `accepts_a_call`: a called number is active until `now + active_duration`; accepting again returns the same deadline
/// - `accepts_only_a_call`: a waiting number stays waiting, and an ended one stays ended
/// - `a_missed_call_is_abandoned`: when the accept window is over; another number can then be called
/// - `an_active_token_expires`: at its deadline; another number can then be called
/// - `ends_a_waiting_number`: it is never called, and all behind it move up
/// - `ends_an_active_number`: with the given reason; another number can then be called. Ending it again keeps the first reason
/// - `ends_a_called_number`: with the given reason, such as [`EndReason::LimitReached`]; another number can then be called, and the fan
///   may join again
/// - `limits_hold_tries`: an active token has the given number of tries; any other token has none
/// - `returns_a_hold_try`: an active token has one more again, and never more than at first; any other token still has none
/// - `a_payload_of_another_epoch_has_ended`: with [`EndReason::Reset`], for `state`, `accept` and `end`
/// - `a_number_never_given_out_has_ended`: a token whose index is higher than the tail has ended with [`EndReason::Reset`] too
/// - `abandons_who_is_away`: a waiting number that neither joined nor was reported present within the grace is gone and counted
///   once; the others stay
/// - `keeps_who_was_seen_later`: by an instance whose clock is a period ahead of the clock of the caller
/// - `reports_presence_in_bulk`: ten thousand numbers in one call
/// - `asks_for_the_entry_of_a_fan`: a queue with a draw gives out no index before its numbers are drawn; see
///   [`JoinRefusal::EntryNeeded`]. With the entry, the fan gets a token with that index, in any order of entries
/// - `returns_to_the_entry`: a fan who left or moved before the draw, or is unseen, waits again under the index of the entry. The need
///   for an accessible seat is that of the new token, and a request to leave with the earlier token finds it ended
/// - `a_late_entry_gets_its_number`: a fan who entered the draw, and comes after the freeze, gets the number drawn for the entry. One
///   who had left gets a new token at the end
/// - `draws_numbers`: a queue with a draw calls nobody and abandons nobody before the cut. Those who left stay gone under their new
///   numbers, and those who join later follow
/// - `a_token_of_another_draw_is_refused`: [`TokenRefusal::Drawn`] says how many numbers were drawn
/// - `joins_with_a_drawn_number`: a fan who joined before the draw gets [`JoinRefusal::NumberNeeded`]. With the number, the fan gets
///   the same token, or a new one if it has ended or the fan moves
/// - `nobody_leaves_while_numbers_are_drawn`: calls get [`TokenRefusal::Drawing`] between `freeze` and `cut`. Freezing again returns
///   the same, and a second cut changes nothing
/// - `a_restored_queue_calls_only_who_was_seen`: unseen numbers are refused as [`TokenRefusal::Unseen`] until they are shown, and are
///   skipped
/// - `who_shows_late_is_called_first`: numbers that were skipped unseen are called before all others, in order, once they are shown
/// - `a_restored_queue_keeps_who_is_inside`: until the deadline in the record, or in the token that is shown
/// - `a_restored_queue_lets_in_who_accepted_unrecorded`: a fan who was called when the record was made and shows a token that says
///   admitted is inside. Until it is shown, such a token is refused as [`TokenRefusal::Unseen`]
/// - `a_restored_queue_ends_who_paid_or_left`: a token that is known to have ended stays ended, with its reason, when it is shown
/// - `a_restored_queue_is_quiet_at_first`: nobody is called before `quiet_until`, and the bucket is empty
/// - `a_restored_queue_keeps_the_maximum`: the reserved count as inside until they are taken or `reserved_until` has passed
/// - `a_user_shows_one_token`: of two tokens of a user, the admitted one stays, otherwise the earlier one; the other ends as
///   [`EndReason::Replaced`]
/// - `unseen_numbers_end_with_the_grace`: the first call of `abandon_absent` after a whole grace ends them
/// - `counts_what_became_of_them`: in the flow of the snapshot
/// - `snapshots_agree_with_states`: for every number, the status in the snapshot is that of [`QueueStore::state`]
/// - `keeps_performances_apart`: a call for one does not change another
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait QueueStore: Send + Sync {
    /// Opens a queue unless it is open. Returns whether this call opened it.
    async fn open(&self, performance: PerformanceId, queue: &RestoredQueue) -> Result<bool, Unavailable>;

    /// Raises the limit of a lane, if the open queue has this epoch.
    async fn extend(
        &self,
        performance: PerformanceId,
        epoch: i64,
        lane: u8,
        limit: u64,
    ) -> Result<(), PortError<QueueLost>>;

    /// Gives a fan a new token, or returns the one that the fan has.
    async fn join(&self, joining: Joining) -> Result<Joined, PortError<JoinRefusal>>;

    /// The token that an earlier request of the fan to join gave out or returned. None if the queue is lost.
    async fn find_join(
        &self,
        performance: PerformanceId,
        request: RequestKey,
    ) -> Result<Option<QueueTokenPayload>, PortError<RequestReused>>;

    /// Notes that the fan of a token asked to leave, before the token ends. Returns the state of the token.
    async fn note_leave(
        &self,
        token: &QueueToken,
        request: Option<RequestKey>,
        now: Timestamp,
    ) -> Result<TokenState, PortError<TokenRefusal>>;

    /// Shows at most [`SHOWN_MAX`] tokens to a queue that was restored. An unseen token is restored: it is inside until its deadline
    /// if it says that it was admitted, and waiting otherwise. Others do not change. A refused token does not affect the rest.
    /// Returns the tokens that ended because their fans had shown others.
    async fn show(
        &self,
        performance: PerformanceId,
        tokens: &[QueueToken],
        presence: Presence,
    ) -> Result<Vec<EndedToken>, PortError<TokenRefusal>>;

    /// A copy of the queue; none if it is lost. A number whose deadline has passed may still be in it until the next admission.
    async fn snapshot(&self, performance: PerformanceId) -> Result<Option<QueueSnapshot>, Unavailable>;

    /// Ends the numbers whose deadline has passed, then calls as many numbers as the terms allow. Any instance may call it at any
    /// time. Returns how many were called.
    async fn admit(
        &self,
        performance: PerformanceId,
        terms: &AdmissionTerms,
        now: Timestamp,
    ) -> Result<u64, PortError<QueueLost>>;

    /// The state of a token.
    async fn state(&self, token: &QueueToken, now: Timestamp) -> Result<TokenState, PortError<TokenRefusal>>;

    /// Makes a called token active; others do not change. Returns the state afterwards.
    async fn accept(
        &self,
        token: &QueueToken,
        active_duration: Duration,
        now: Timestamp,
    ) -> Result<TokenState, PortError<TokenRefusal>>;

    /// Ends a token unless it has ended. Returns the state afterwards.
    async fn end(
        &self,
        token: &QueueToken,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<TokenState, PortError<TokenRefusal>>;

    /// Uses one of the holds that an active token may try. Returns whether one was left.
    async fn spend_hold_try(
        &self,
        token: &QueueToken,
        tries: u32,
        now: Timestamp,
    ) -> Result<bool, PortError<TokenRefusal>>;

    /// Returns a try that was spent on a call that costs none.
    async fn return_hold_try(&self, token: &QueueToken, now: Timestamp) -> Result<(), PortError<TokenRefusal>>;

    /// Freezes a queue before its draw, so that nobody leaves it, and who joins takes no part. `joined` says for each lane how many
    /// entered the draw; see [`Draws::close`](crate::ports::Draws::close). Returns what the draw needs, by lane; none if the numbers
    /// were drawn before.
    async fn freeze(
        &self,
        performance: PerformanceId,
        joined: &[u64],
    ) -> Result<Option<Vec<FrozenLane>>, PortError<QueueLost>>;

    /// Replaces the join indexes of all lanes by the drawn numbers, and counts everybody as seen. Returns whether this call did it.
    async fn cut(
        &self,
        performance: PerformanceId,
        lanes: &[CutLane],
        presence: Presence,
    ) -> Result<bool, PortError<QueueLost>>;

    /// Reports that the fans with these numbers are present. `drawn` says whether the numbers of lanes with a draw are drawn numbers or
    /// join indexes; where that is wrong, they are ignored.
    async fn report_present(
        &self,
        performance: PerformanceId,
        numbers: &[LaneNumber],
        drawn: bool,
        presence: Presence,
    ) -> Result<(), PortError<QueueLost>>;

    /// Ends the waiting numbers that were not seen within the grace. Returns them, in any order.
    async fn abandon_absent(
        &self,
        performance: PerformanceId,
        presence: Presence,
    ) -> Result<Absent, PortError<QueueLost>>;
}

/// How many requests of a fan a queue keeps. A client retries its latest request; one that retries several at once has them all.
pub const REQUESTS_KEPT: usize = 4;

/// The most tokens in one call of [`QueueStore::show`]. More would delay other calls to the queue for too long.
pub const SHOWN_MAX: usize = 1_000;
