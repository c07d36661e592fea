//! Changes of performances that fans can see.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::audit_log::StaffCall;
use encore_domain::booking::seat_block::{BLOCK_SEATS_MAX, BlockReason, SeatBlock};
use encore_domain::booking::seat_state::Locker;
use encore_domain::catalog::Performance;
use encore_domain::catalog::performance_change::{BlockedSale, PerformanceChange, Postponement, SaleTerms};
use encore_domain::catalog::seat_chart::{Grade, Slot};
use encore_domain::ids::{AuditEntryId, BlockId, PerformanceId};
use encore_domain::money::Money;
use encore_domain::payment::refund::OperatorReason;
use encore_domain::ports::{Catalog, Clock, Ids, PerformanceChanges};
use encore_domain::request::Applied;
use encore_domain::time::Timestamp;
use encore_seat_map::SeatMap;
use tracing::warn;

use crate::catalog::PerformanceSummary;
use crate::contexts::{PerformanceContext, PerformanceContexts};
use crate::error::{AppError, Violation};
use crate::repeats::or_first_result_of;

/// Terms of a sale that an operator changes. What is not set stays. Each value is within its bounds.
#[derive(Clone, Debug, Default)]
pub struct NewTerms {
    /// When the sale opens.
    pub opens_at: Option<Timestamp>,
    /// When it closes.
    pub closes_at: Option<Timestamp>,
    /// The prices that change, by the names of their grades.
    pub prices: Vec<(String, Money)>,
    /// How many seats one fan may own.
    pub seats_per_fan: Option<u32>,
    /// How long later holds live.
    pub hold_for: Option<Duration>,
}

/// What [`PerformanceAdmin`] is made of.
#[derive(Clone)]
pub struct PerformanceAdminParts {
    /// Makes the changes.
    pub changes: Arc<dyn PerformanceChanges>,
    /// Has the queues.
    pub catalog: Arc<dyn Catalog>,
    /// The copies of this instance, which follow at once.
    pub contexts: PerformanceContexts,
    /// The live seats.
    pub seat_map: SeatMap,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
}

/// The use cases of `PerformanceService`.
#[derive(Clone)]
pub struct PerformanceAdmin(PerformanceAdminParts);

impl PerformanceAdmin {
    /// The use cases over their ports.
    pub fn new(parts: PerformanceAdminParts) -> Self {
        Self(parts)
    }

    /// Postpones a performance. Fans may cancel without a fee until `refunds_until` what was held before.
    pub async fn postpone(
        &self,
        id: PerformanceId,
        postponement: Postponement,
        call: StaffCall,
    ) -> Result<PerformanceSummary, AppError> {
        let reason = postponement.reason.clone();
        let changed = self.change(id, PerformanceChange::Postpone(postponement), Some(&reason), call).await;
        self.summary(changed, call).await
    }

    /// Changes terms of the sale of a performance.
    pub async fn update(
        &self,
        id: PerformanceId,
        new: NewTerms,
        reason: Option<OperatorReason>,
        call: StaffCall,
    ) -> Result<PerformanceSummary, AppError> {
        let changed = match self.terms(id, new).await {
            Ok(terms) => self.change(id, PerformanceChange::Terms(terms), reason.as_ref(), call).await,
            Err(refused) => Err(refused),
        };
        self.summary(changed, call).await
    }

    /// Withdraws a performance of which nothing is held or sold.
    pub async fn withdraw(
        &self,
        id: PerformanceId,
        reason: OperatorReason,
        call: StaffCall,
    ) -> Result<PerformanceSummary, AppError> {
        let withdrawn = self.block_and_withdraw(id, reason, call).await;
        self.summary(withdrawn, call).await
    }

    async fn block_and_withdraw(
        &self,
        id: PerformanceId,
        reason: OperatorReason,
        call: StaffCall,
    ) -> Result<Performance, AppError> {
        let context = self.0.contexts.context(id).await?;
        let blocks = self.blocks(&context, &reason, call)?;
        let slots: Vec<Vec<Slot>> = blocks.iter().map(|block| block.slots.clone()).collect();
        let change = PerformanceChange::Withdraw(BlockedSale { blocks, reason: reason.clone() });
        let withdrawn = self.change(id, change, Some(&reason), call).await?;
        for slots in slots {
            if let Err(error) = self.0.seat_map.settle(id, &slots, Locker::Operators).await {
                let error = &error as &dyn std::error::Error;
                warn!(performance = %id, error, "seat locks could not be settled; the repair does it");
            }
        }
        Ok(withdrawn)
    }

    /// Blocks of all seats and units that are for sale.
    fn blocks(
        &self,
        context: &PerformanceContext,
        reason: &OperatorReason,
        call: StaffCall,
    ) -> Result<Vec<SeatBlock>, AppError> {
        let reason = BlockReason::parse(reason.as_str());
        let reason = reason.map_err(|_| AppError::Internal("a reason that is none".to_owned()))?;
        let (chart, performance) = (&context.venue.chart, &context.performance);
        let for_sale = |slot: &Slot| performance.prices.sells(chart, *slot);
        let slots: Vec<Slot> = (0..chart.slots()).map(Slot).filter(for_sale).collect();
        let at = self.0.clock.now();
        let block = |slots: &[Slot]| SeatBlock {
            id: BlockId(self.0.ids.next()),
            performance: performance.id,
            operator: call.caller.user,
            reason: reason.clone(),
            slots: slots.to_vec(),
            at,
        };
        Ok(slots.chunks(BLOCK_SEATS_MAX).map(block).collect())
    }

    /// The terms by the indexes of the grades, with what the opening depends on.
    async fn terms(&self, id: PerformanceId, new: NewTerms) -> Result<SaleTerms, AppError> {
        let context = self.0.contexts.context(id).await?;
        let NewTerms { opens_at, closes_at, prices, seats_per_fan, hold_for } = new;
        let prices = by_grade(context.venue.chart.grades(), &prices).map_err(AppError::Invalid)?;
        let pre_queue_opens_at = match opens_at {
            Some(_) => self.0.catalog.queue(id).await?.and_then(|queue| queue.draw).map(|draw| draw.pre_queue_opens_at),
            None => None,
        };
        Ok(SaleTerms { opens_at, pre_queue_opens_at, closes_at, prices, seats_per_fan, hold_for })
    }

    /// Makes a change. This instance follows at once, the others within a second.
    async fn change(
        &self,
        id: PerformanceId,
        change: PerformanceChange,
        reason: Option<&OperatorReason>,
        call: StaffCall,
    ) -> Result<Performance, AppError> {
        let at = self.0.clock.now();
        let act = call.act(AuditEntryId(self.0.ids.next()), at, reason.map(OperatorReason::as_str));
        let changed = self.0.changes.change(id, change, act).await?;
        if let Applied::Now(performance) = &changed {
            self.0.contexts.replace(performance.clone()).await;
        }
        Ok(changed.into_inner())
    }

    /// The performance as the call, or an earlier one with its request, left it.
    async fn summary(
        &self,
        changed: Result<Performance, AppError>,
        call: StaffCall,
    ) -> Result<PerformanceSummary, AppError> {
        let find = |request| self.0.changes.find_changed(request);
        let performance = or_first_result_of(call.request, changed, find).await?;
        let concert = self.0.contexts.concert(performance.concert).await?;
        let venue = self.0.contexts.venue(performance.venue).await?;
        let seats_left = match performance.amended.withdrawn_at {
            Some(_) => 0,
            None => self.0.seat_map.stock(&[performance.id]).await?.first().map_or(0, |stock| stock.free),
        };
        let context = PerformanceContext { performance: Arc::new(performance), concert, venue };
        Ok(PerformanceSummary { context, seats_left })
    }
}

/// The prices by the indexes of their grades, in the same order.
fn by_grade(grades: &[Grade], prices: &[(String, Money)]) -> Result<Vec<(u16, Money)>, Vec<Violation>> {
    let (mut violations, mut seen, mut by_grade) = (Vec::new(), HashSet::new(), Vec::with_capacity(prices.len()));
    for (index, (name, price)) in prices.iter().enumerate() {
        let field = format!("prices[{index}].grade");
        match grades.iter().position(|grade| grade.name == *name).and_then(|grade| u16::try_from(grade).ok()) {
            Some(grade) if seen.insert(grade) => by_grade.push((grade, *price)),
            Some(_) => violations.push(Violation::new(field, "must not be priced twice")),
            None => violations.push(Violation::new(field, "must be a grade of the venue")),
        }
    }
    if violations.is_empty() { Ok(by_grade) } else { Err(violations) }
}
