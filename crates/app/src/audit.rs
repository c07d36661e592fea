//! The auditor: checks the promises on stored data and on the live state.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::audit::queue::{inside, queue_findings};
use encore_domain::audit::seats::seat_findings;
use encore_domain::audit::{AuditReport, Finding, Promise, lasting};
use encore_domain::catalog::OnSale;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Audit, Catalog, Clock, Reservations, SeatLocks};
use encore_domain::queue::QueueSettings;
use encore_domain::time::Timestamp;
use encore_waiting_room::WaitingRoom;
use tokio::time::sleep;

use crate::contexts::PerformanceContexts;
use crate::error::AppError;

/// The pause before the second pass over the live state, if the first pass found something. Differences that are in
/// progress have ended by then: a seat that is claimed and not yet locked, or a hold between its deadline and the
/// sweep. The slowest is a settlement that was lost on the way to the seat locks: a sweep propagates it again after
/// three to four seconds.
pub const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How long after its deadline a lock without a claim is tolerated. Sweeps free it two to three seconds after the
/// deadline.
const LOCK_OVERDUE_AFTER: Duration = Duration::from_secs(5);
/// The most overdue locks that one audit of a performance examines.
const OVERDUE_LOCKS_MAX: u32 = 1_000;

/// The use cases of the auditor. They are read-only.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the part of its type")]
pub struct AuditParts {
    pub audit: Arc<dyn Audit>,
    pub catalog: Arc<dyn Catalog>,
    pub reservations: Arc<dyn Reservations>,
    pub seat_locks: Arc<dyn SeatLocks>,
    pub room: WaitingRoom,
    pub contexts: PerformanceContexts,
    pub clock: Arc<dyn Clock>,
}

/// The use cases of the auditor. They change nothing.
#[derive(Clone)]
pub struct AuditUseCases {
    parts: Arc<AuditParts>,
}

/// A performance whose live state is examined.
#[derive(Clone)]
struct Live {
    performance: PerformanceId,
    on_sale: bool,
    queue: Option<QueueSettings>,
}

impl AuditUseCases {
    /// The use cases over their ports.
    pub fn new(parts: AuditParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Checks the stored records, and then the queue and the seat state of the performance, or of every performance on
    /// sale. A finding on live state counts only if a second pass, [`LOOK_AGAIN_AFTER`] the first, finds it again.
    pub async fn verify(&self, scope: Option<PerformanceId>) -> Result<AuditReport, AppError> {
        let now = self.parts.clock.now();
        let live = self.live(scope, now).await?;
        let mut report = self.parts.audit.sweep(scope).await?;
        let seen = self.look(&live, now).await?;
        if report.broken(Promise::OverdueHold) == 0 && seen.findings.is_empty() {
            report.add(seen.into_report());
            return Ok(report);
        }
        sleep(LOOK_AGAIN_AFTER).await;
        if report.broken(Promise::OverdueHold) > 0 {
            report = self.parts.audit.sweep(scope).await?;
        }
        // An operator may have changed `max_active` since. Instances apply the change in less time than passes between
        // the passes.
        let again = self.look(&self.live(scope, now).await?, now).await?;
        let findings = lasting(&seen.findings, again.findings);
        report.add(Look { findings, ..again }.into_report());
        Ok(report)
    }

    /// Checks all stored records and no live state.
    pub async fn verify_stored(&self) -> Result<AuditReport, AppError> {
        let report = self.parts.audit.sweep(None).await?;
        if report.broken(Promise::OverdueHold) == 0 {
            return Ok(report);
        }
        sleep(LOOK_AGAIN_AFTER).await;
        Ok(self.parts.audit.sweep(None).await?)
    }

    async fn live(&self, scope: Option<PerformanceId>, now: Timestamp) -> Result<Vec<Live>, AppError> {
        let on_sale = self.parts.catalog.on_sale(now).await?;
        let live = |sale: OnSale| {
            let queue = sale.queue.map(|queue| queue.settings);
            Live { performance: sale.performance, on_sale: true, queue }
        };
        let Some(performance) = scope else {
            return Ok(on_sale.into_iter().map(live).collect());
        };
        let performance = self.parts.contexts.performance(performance).await?.id;
        let found = on_sale.into_iter().find(|sale| sale.performance == performance).map(live);
        Ok(vec![found.unwrap_or(Live { performance, on_sale: false, queue: None })])
    }

    /// One pass over queues and seats. `overdue_by` is the same in both passes, so that a lock has the time between
    /// them to be freed.
    async fn look(&self, performances: &[Live], overdue_by: Timestamp) -> Result<Look, AppError> {
        let mut seen = Look::default();
        for live in performances {
            self.look_at_queue(live, &mut seen).await?;
            self.look_at_seats(live, overdue_by, &mut seen).await?;
        }
        Ok(seen)
    }

    async fn look_at_queue(&self, live: &Live, seen: &mut Look) -> Result<(), Unavailable> {
        let Some(copy) = self.parts.room.stored_snapshot(live.performance).await? else { return Ok(()) };
        let max_active = live.queue.as_ref().map(|settings| settings.max_active);
        seen.queues += u64::from(max_active.is_some());
        seen.numbers += inside(&copy);
        seen.findings.extend(queue_findings(live.performance, &copy, max_active, self.parts.clock.now()));
        Ok(())
    }

    /// Examines the seats if the locks are loaded. The claims are read first. A seat that is held between the two reads
    /// then appears as locked without a claim, which is not a finding.
    async fn look_at_seats(&self, live: &Live, overdue_by: Timestamp, seen: &mut Look) -> Result<(), AppError> {
        let performance = live.performance;
        let claims = self.parts.reservations.claims(performance).await?;
        let Some(state) = self.parts.seat_locks.snapshot(performance).await? else { return Ok(()) };
        // Locks are swept while a performance is on sale; afterwards nobody wants the seat.
        let overdue = if live.on_sale {
            self.parts.seat_locks.overdue(performance, overdue_by - LOCK_OVERDUE_AFTER, OVERDUE_LOCKS_MAX).await?
        } else {
            Vec::new()
        };
        let context = self.parts.contexts.context(performance).await?;
        let (chart, prices) = (&context.venue.chart, &context.performance.prices);
        seen.seats += u64::from(chart.capacity());
        seen.findings.extend(seat_findings(performance, chart, prices, &state, &claims, &overdue));
        Ok(())
    }
}

/// The result of one pass over the live state.
#[derive(Default)]
struct Look {
    queues: u64,
    numbers: u64,
    seats: u64,
    findings: Vec<Finding>,
}

impl Look {
    fn into_report(self) -> AuditReport {
        let mut report = AuditReport::default();
        report.examine(Promise::OverMaxActive, self.queues);
        report.examine(Promise::QueueJump, self.numbers);
        report.examine(Promise::SeatStateDiffers, self.seats);
        self.findings.into_iter().for_each(|finding| report.find(finding));
        report
    }
}
