use std::convert::Infallible;

use async_trait::async_trait;

use crate::error::RequestError;
use crate::payment::refund::Refund;
use crate::payment::withdrawal::{WithdrawRefusal, WithdrawalPlan};
use crate::request::{Applied, RequestKey};

/// Gives balances of wallets back to cards. The debit, the refunds, their request and their events are one transaction.
///
/// # Contract
/// - `withdraws_to_the_card`: the balance falls by the amount; the refund of the top-up is due; one that fails comes back to the wallet
/// - `withdraws_from_several_top_ups`: the newest first, each at most what it has left
/// - `withdraws_only_what_is_there`: more than the balance, or than cards can take back, is refused, and nothing changes
/// - `repeats_a_withdrawal`: the same request returns [`Applied::Before`] with the same refunds, and so does
///   [`Withdrawals::find_withdrawn`]
/// - `refuses_a_reused_request`: the same request id with another fingerprint is [`RequestError::Reused`]
/// - `withdraws_once_under_contention`: of twenty requests at once for the whole balance, one succeeds
/// - `writes_an_event_for_each_card`: a [`WalletWithdrawn`](crate::event::Event::WalletWithdrawn) with the request; none for a repeat or
///   a refusal
/// - `audits_withdrawals`: the audit has no finding after any of this
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Withdrawals: Send + Sync {
    /// Withdraws. A worker takes up the refunds at once.
    async fn withdraw(
        &self,
        plan: WithdrawalPlan,
        request: RequestKey,
    ) -> Result<Applied<Vec<Refund>>, RequestError<WithdrawRefusal>>;

    /// The refunds of a withdrawal that an earlier request made.
    async fn find_withdrawn(&self, request: RequestKey) -> Result<Option<Vec<Refund>>, RequestError<Infallible>>;
}
