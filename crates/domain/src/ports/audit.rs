use async_trait::async_trait;

use crate::audit::AuditReport;
use crate::error::Unavailable;
use crate::ids::PerformanceId;

/// Audits the durable records: reservations, claims, money, requests and events. [`Promise`](crate::audit::Promise) says what
/// breaks each promise.
///
/// All records are read from one snapshot, so a transaction under way is seen either not at all or as a whole. The scope of a
/// performance contains its reservations, claims, payments and events, the transfers of its payments, and the wallets of its
/// fans. Top-ups belong to no performance.
///
/// # Contract
/// - `finds_nothing_in_an_empty_store`: the promises that it sees were examined, on nothing
/// - `finds_nothing_in_a_clean_history`: holds that live, were released, expired and paid, top-ups and repeats
/// - `counts_what_it_examined`: of the whole, and of a performance with its payments and the wallets of its fans
/// - `finds_nothing_while_sales_go_on`: twenty fans hold, pay and release during the sweeps
/// - `finds_an_overdue_hold`: one past its deadline when something was recorded over a minute later, until it is expired;
///   not before, however long nothing is recorded
/// - `misses_no_event_that_was_forgotten`: what the outbox deleted after its delivery is no gap, and what it keeps is examined
/// - `keeps_performances_apart`: what is wrong with one is no finding of another
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Audit: Send + Sync {
    /// Checks everything, or what belongs to one performance. Changes nothing.
    async fn sweep(&self, scope: Option<PerformanceId>) -> Result<AuditReport, Unavailable>;
}
