//! The promises, examined on everything that is on sale.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use encore_app::audit::AuditUseCases;
use encore_domain::audit::{AuditReport, Promise};
use encore_domain::ports::Clock;
use encore_domain::time::Timestamp;
use encore_waiting_room::WaitingRoom;
use metrics::gauge;
use tracing::{error, warn};

/// Examines the promises of every performance on sale, one after the other, so that the auditor takes one connection.
#[derive(Clone)]
pub struct Promises {
    pub(crate) audit: AuditUseCases,
    pub(crate) room: WaitingRoom,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) every: Duration,
}

/// What the auditor found.
pub(super) struct Examined {
    report: AuditReport,
    complete: bool,
    at: Timestamp,
}

impl Promises {
    /// The pause between two audits.
    pub(super) fn every(&self) -> Duration {
        self.every
    }

    /// Audits every performance on sale. None if nothing could be examined.
    pub(super) async fn examine(&self) -> Option<Examined> {
        let (mut report, mut failed) = (AuditReport::default(), 0);
        let performances = self.room.on_sale();
        for performance in &performances {
            match self.audit.verify(Some(*performance)).await {
                Ok(found) => {
                    for finding in found.findings() {
                        let (promise, subject) = (finding.promise.name(), &finding.subject);
                        let detail = &finding.detail;
                        error!(alarm = "promise_broken", %performance, promise, subject, detail, "promise broken");
                    }
                    report.add(found);
                }
                Err(error) => {
                    failed += 1;
                    warn!(%performance, error = &error as &dyn Error, "performance not audited; the next audit tries again");
                }
            }
        }
        let nothing = failed > 0 && failed == performances.len();
        (!nothing).then(|| Examined { report, complete: failed == 0, at: self.clock.now() })
    }
}

impl Examined {
    /// Sets the gauges.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact to 2^53")]
    pub(super) fn set(&self) {
        for promise in Promise::ALL {
            let examined = self.report.of(promise).map_or(0, |report| report.examined);
            gauge!("encore_promise_findings", "promise" => promise.name()).set(self.report.broken(promise) as f64);
            gauge!("encore_promise_examined", "promise" => promise.name()).set(examined as f64);
        }
        gauge!("encore_audit_complete").set(if self.complete { 1.0 } else { 0.0 });
        gauge!("encore_audit_finished_timestamp_seconds").set(self.at.timestamp() as f64);
    }
}
