use std::convert::Infallible;

use async_trait::async_trait;

use crate::error::{RequestError, Unavailable};
use crate::ids::{PaymentId, TransferId, UserId};
use crate::money::Money;
use crate::page::{Page, PageRequest};
use crate::request::{Applied, RequestKey};
use crate::wallet::{LedgerEntry, TopUpRefusal, Transfer, WalletEntry, WalletEntryCursor};

/// Keeps wallets and the ledger. A user has one wallet per currency; it comes to be with its first top-up.
///
/// # Contract
/// - `tops_up`: the balance grows by the amount; the entry says the balance after it
/// - `tops_up_under_contention`: twenty at once all count; the balances after them are twenty different sums
/// - `keeps_currencies_apart`: one balance each, in the order of their codes
/// - `repeats_a_top_up`: the same request answers [`Applied::Before`] with the first entry and credits nothing
/// - `repeats_a_top_up_under_contention`: twenty of the same request at once credit once
/// - `finds_a_top_up_by_its_request`: [`Wallets::find_topped_up`] returns what a repeat would; `None` if the request credited nothing
/// - `refuses_a_reused_request`: the same request id with another fingerprint is [`RequestError::Reused`], for
///   [`Wallets::find_topped_up`] too
/// - `refuses_a_full_wallet`: over [`BALANCE_MAX_MINOR`](crate::money::BALANCE_MAX_MINOR) nothing changes
/// - `keeps_both_sides`: the entries of a transfer are the wallet's and the gateway's, and sum to zero
/// - `lists_newest_first`: those of one user, the last one written first whatever its id is, each once, in pages of any size
/// - `keeps_a_running_balance`: the balance after each entry is its amount more than that after the entry before it in the same
///   wallet, in the order of the listing and across its pages, also for entries that were written at once
/// - `names_the_request`: the entries of what a request moved name it: of a top-up, a payment, a cancellation, a withdrawal and an attempt
///   to pay by card
/// - `starts_empty`: a user without a wallet has no balances and no entries
/// - `writes_events`: one per top-up
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Wallets: Send + Sync {
    /// Credits a wallet.
    async fn top_up(
        &self,
        transfer: Transfer,
        request: RequestKey,
    ) -> Result<Applied<WalletEntry>, RequestError<TopUpRefusal>>;

    /// The entry of the top-up that an earlier request made.
    async fn find_topped_up(&self, request: RequestKey) -> Result<Option<WalletEntry>, RequestError<Infallible>>;

    /// The entry of a top-up of this user that was paid by card; none until the wallet is credited. See
    /// [`CardPayments`](super::CardPayments).
    async fn find_charged(&self, user: UserId, payment: PaymentId) -> Result<Option<WalletEntry>, Unavailable>;

    /// The balances of a user, by currency code.
    async fn balances(&self, user: UserId) -> Result<Vec<Money>, Unavailable>;

    /// The entries of a user's wallets, newest first.
    async fn entries(
        &self,
        user: UserId,
        page: PageRequest<WalletEntryCursor>,
    ) -> Result<Page<WalletEntry, WalletEntryCursor>, Unavailable>;

    /// All sides of a transfer; empty if there is none.
    async fn ledger_entries(&self, transfer: TransferId) -> Result<Vec<LedgerEntry>, Unavailable>;
}
