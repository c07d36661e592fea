//! What operators need of money.

use std::sync::Arc;

use encore_domain::audit_log::StaffCall;
use encore_domain::ids::{AuditEntryId, PerformanceId, UserId};
use encore_domain::payment::refund::OperatorReason;
use encore_domain::payment::settlement::Settlement;
use encore_domain::ports::{Clock, Ids, Settlements, Users, WalletCredits};
use encore_domain::request::RequestKey;
use encore_domain::sales_switch::SalesSwitch;
use encore_domain::time::Timestamp;
use encore_domain::wallet::{TopUpAmount, Transfer, WalletEntry};

use crate::contexts::PerformanceContexts;
use crate::error::AppError;
use crate::repeats::or_first_result;
use crate::sales_gate::SalesGate;
use crate::wallet::transfer_ids;

/// What [`MoneyAdmin`] is made of.
#[derive(Clone)]
pub struct MoneyAdminParts {
    /// The credits.
    pub credits: Arc<dyn WalletCredits>,
    /// Who may have one.
    pub users: Arc<dyn Users>,
    /// The switch of all sales.
    pub sales: SalesGate,
    /// The settlements.
    pub settlements: Arc<dyn Settlements>,
    /// The performances.
    pub contexts: PerformanceContexts,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
}

/// The use cases of `MoneyService`.
#[derive(Clone)]
pub struct MoneyAdmin(MoneyAdminParts);

impl MoneyAdmin {
    /// The use cases over their ports.
    pub fn new(parts: MoneyAdminParts) -> Self {
        Self(parts)
    }

    /// Credits a fan's wallet. Idempotent: a repeated request returns the first entry.
    pub async fn credit_wallet(
        &self,
        call: StaffCall,
        user: UserId,
        amount: TopUpAmount,
        reason: OperatorReason,
        request: RequestKey,
    ) -> Result<WalletEntry, AppError> {
        let credited = self.credit(call, user, amount, reason, request).await;
        or_first_result(credited, || self.0.credits.find_credited(request)).await
    }

    async fn credit(
        &self,
        call: StaffCall,
        user: UserId,
        amount: TopUpAmount,
        reason: OperatorReason,
        request: RequestKey,
    ) -> Result<WalletEntry, AppError> {
        if self.0.users.find(user).await?.is_none() {
            return Err(AppError::not_found("user", user));
        }
        let at = self.0.clock.now();
        let transfer = Transfer::operator_credit(transfer_ids(&*self.0.ids), user, call.caller.user, amount, at);
        let act = call.act(AuditEntryId(self.0.ids.next()), at, Some(reason.as_str()));
        Ok(self.0.credits.credit(transfer, reason, request, Some(act)).await?.into_inner())
    }

    /// How the switch of all sales was set last; none if it never was.
    pub async fn sales_switch(&self) -> Result<Option<SalesSwitch>, AppError> {
        self.0.sales.refresh().await?;
        Ok(self.0.sales.known())
    }

    /// Sets the switch of all sales.
    pub async fn set_sales_switch(
        &self,
        call: StaffCall,
        is_stopped: bool,
        reason: OperatorReason,
    ) -> Result<SalesSwitch, AppError> {
        let at = self.0.clock.now();
        let act = call.act(AuditEntryId(self.0.ids.next()), at, Some(reason.as_str()));
        let switch = SalesSwitch { is_stopped, reason, by: call.caller.user, at };
        self.0.sales.set(switch.clone(), act).await?;
        Ok(switch)
    }

    /// The settlement of a performance, and when it was summed up.
    pub async fn settlement(&self, performance: PerformanceId) -> Result<(Settlement, Timestamp), AppError> {
        let performance = self.0.contexts.performance(performance).await?;
        let settled = self.0.settlements.of(performance.id, performance.prices.currency).await?;
        Ok((settled, self.0.clock.now()))
    }
}
