use std::convert::Infallible;

use async_trait::async_trait;

use crate::audit_log::StaffAct;
use crate::error::RequestError;
use crate::payment::refund::OperatorReason;
use crate::request::{Applied, RequestKey};
use crate::wallet::{TopUpRefusal, Transfer, WalletEntry};

/// Credits of operators to wallets.
///
/// # Contract
/// - `credits_a_wallet`: the balance grows by the amount; the other side is the operator's, and both sum to zero; one event
/// - `repeats_a_credit`: the same request answers [`Applied::Before`] with the first entry and credits nothing, and
///   [`WalletCredits::find_credited`] finds it
/// - `refuses_a_reused_request`: the same request id with another fingerprint is [`RequestError::Reused`]
/// - `refuses_a_full_wallet`: nothing changes
/// - `audits_credits`: the audit has no finding after any of this
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait WalletCredits: Send + Sync {
    /// Credits a wallet of a user who exists. The request is the operator's. The act is noted in the audit log.
    async fn credit(
        &self,
        transfer: Transfer,
        reason: OperatorReason,
        request: RequestKey,
        act: Option<StaffAct>,
    ) -> Result<Applied<WalletEntry>, RequestError<TopUpRefusal>>;

    /// The entry of the credit that an earlier request made.
    async fn find_credited(&self, request: RequestKey) -> Result<Option<WalletEntry>, RequestError<Infallible>>;
}
