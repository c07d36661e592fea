use std::convert::Infallible;

use async_trait::async_trait;

use crate::audit_log::StaffAct;
use crate::catalog::Performance;
use crate::catalog::performance_change::{ChangeRefusal, PerformanceChange};
use crate::error::RequestError;
use crate::ids::PerformanceId;
use crate::request::{Applied, RequestKey};

/// Changes performances that fans can see. What is read of them afterwards, by [`Catalog`](crate::ports::Catalog), is changed. The change, its
/// entry in the audit log and its event are one transaction.
///
/// # Contract
/// - `postpones_a_performance`: the result is that of [`PerformanceChange::apply`], it is read back by its id, and it is listed by its new
///   start; the audit log says what it was before, and one event was written
/// - `changes_the_terms_of_a_sale`: likewise; what was held before keeps its price
/// - `withdraws_a_performance`: it is not listed and not on sale any more, and still found by its id; every seat of the blocks is blocked,
///   and those that operators had blocked stay so
/// - `withdraws_only_what_nobody_has`: [`ChangeRefusal::InUse`] while fans hold or have bought seats, and nothing changes
/// - `withdraws_or_holds_under_contention`: of a withdrawal and twenty holds at once, either the withdrawal succeeds or some holds do
/// - `notes_no_change_to_the_same`: terms that are the same already, and a second withdrawal: no entry, and no event
/// - `refuses_what_cannot_work`: [`ChangeRefusal::Invalid`], and nothing changes
/// - `changes_only_what_there_is`: [`ChangeRefusal::Unknown`], and [`ChangeRefusal::Withdrawn`] after a withdrawal
/// - `repeats_a_change`: the same request returns [`Applied::Before`] with the performance as that call left it, even if it was changed
///   since, and so does [`PerformanceChanges::find_changed`], which is `None` if the request changed nothing; another fingerprint is
///   [`RequestError::Reused`]
/// - `changes_one_after_the_other`: of twenty concurrent changes of different terms, all are made and none is lost
/// - `lists_what_was_changed`: [`Catalog::changed_performances`](crate::ports::Catalog::changed_performances) has those that were changed at
///   or after the moment, each once, as they are now, in pages of any size
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PerformanceChanges: Send + Sync {
    /// Makes a change. The moment is that of the act.
    async fn change(
        &self,
        performance: PerformanceId,
        change: PerformanceChange,
        act: StaffAct,
    ) -> Result<Applied<Performance>, RequestError<ChangeRefusal>>;

    /// The performance as an earlier request left it.
    async fn find_changed(&self, request: RequestKey) -> Result<Option<Performance>, RequestError<Infallible>>;
}
