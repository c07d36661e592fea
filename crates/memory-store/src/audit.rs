use std::collections::HashSet;

use async_trait::async_trait;
use encore_domain::audit::seats::seat_subject;
use encore_domain::audit::{AuditReport, Finding, Promise};
use encore_domain::booking::{Reservation, ReservationState};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::payment::Payment;
use encore_domain::payment::card::{CardPayment, Purpose};
use encore_domain::payment::refund::Refund;
use encore_domain::ports::Audit;

use crate::records::{MemoryRecords, Records};

mod money;
mod seats;
#[cfg(test)]
mod tests;
mod traces;

/// [`Audit`] in process. It examines all records under the lock, so it sees no partial change.
pub struct MemoryAudit(MemoryRecords);

impl MemoryAudit {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl Audit for MemoryAudit {
    async fn sweep(&self, scope: Option<PerformanceId>) -> Result<AuditReport, Unavailable> {
        let records = self.0.lock();
        let mut sweep = Sweep::new(&records, scope);
        seats::check(&mut sweep);
        money::check(&mut sweep);
        traces::check(&mut sweep);
        Ok(sweep.report)
    }
}

/// A sweep in progress.
struct Sweep<'records> {
    records: &'records Records,
    scope: Option<PerformanceId>,
    /// The fans whose wallets are in the scope; none if the sweep has no scope, which covers all wallets.
    fans: Option<HashSet<UserId>>,
    report: AuditReport,
}

impl<'records> Sweep<'records> {
    fn new(records: &'records Records, scope: Option<PerformanceId>) -> Self {
        let mut audit = Self { records, scope, fans: None, report: AuditReport::default() };
        audit.fans = scope.map(|_| audit.reservations().map(|reservation| reservation.user).collect());
        audit
    }

    fn covers(&self, performance: PerformanceId) -> bool {
        self.scope.is_none_or(|scope| scope == performance)
    }

    fn reservations(&self) -> impl Iterator<Item = &'records Reservation> + use<'records> {
        let scope = self.scope;
        let all = self.records.reservations.reservations.values();
        all.filter(move |reservation| scope.is_none_or(|scope| scope == reservation.performance))
    }

    fn payments(&self) -> impl Iterator<Item = &'records Payment> + use<'records> {
        let scope = self.scope;
        let all = self.records.payments.payments.values();
        all.filter(move |payment| scope.is_none_or(|scope| scope == payment.performance))
    }

    fn refunds(&self) -> impl Iterator<Item = &'records Refund> + use<'records> {
        let scope = self.scope;
        let all = self.records.payments.refunds.values();
        all.filter(move |refund| scope.is_none_or(|scope| refund.performance == Some(scope)))
    }

    fn cards(&self) -> impl Iterator<Item = &'records CardPayment> + use<'records> {
        let scope = self.scope;
        let of = |card: &CardPayment| match card.purpose {
            Purpose::Seats { performance, .. } => Some(performance),
            Purpose::TopUp => None,
        };
        self.records.cards.payments.values().filter(move |card| scope.is_none_or(|scope| of(card) == Some(scope)))
    }

    fn covers_wallet(&self, user: UserId) -> bool {
        self.fans.as_ref().is_none_or(|fans| fans.contains(&user))
    }

    fn examine(&mut self, promise: Promise, records: usize) {
        self.report.examine(promise, u64::try_from(records).unwrap_or(u64::MAX));
    }

    fn find(&mut self, promise: Promise, subject: String, detail: String) {
        self.report.find(Finding::new(promise, subject, detail));
    }

    fn seat(&self, performance: PerformanceId, slot: Slot) -> String {
        let catalog = &self.records.catalog;
        let venue = catalog.performances.get(&performance).and_then(|it| catalog.venues.get(&it.venue));
        seat_subject(performance, venue.map(|venue| &venue.chart), slot)
    }
}

fn is_live(state: ReservationState) -> bool {
    match state {
        ReservationState::Held | ReservationState::Paying | ReservationState::Confirmed => true,
        ReservationState::Expired | ReservationState::Released | ReservationState::Cancelled => false,
    }
}
