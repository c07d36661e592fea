//! Counts what becomes of payments by card. `docs/operating.md` says what each metric means.

use encore_domain::payment::attempt::AttemptEvent;
use encore_domain::payment::reconciliation::Difference;
use metrics::counter;

const STEPS: &str = "encore_card_steps_total";
const UNANSWERED: &str = "encore_gateway_unanswered_total";
const COMPARED: &str = "encore_gateway_compared_total";

/// The steps and outcomes that an operator must look at.
const WATCHED: [(&str, &str); 4] =
    [("refund", "failed"), ("revoke", "succeeded"), ("dispute", "unknown"), ("dispute", "succeeded")];

/// Begins the counters that alarms watch at 0: a counter that begins with its first increment shows no increase.
pub(crate) fn begin() {
    for (step, outcome) in WATCHED {
        counter!(STEPS, "step" => step, "outcome" => outcome).increment(0);
    }
    counter!(UNANSWERED).increment(0);
    for outcome in ["agrees", "differs"] {
        counter!(COMPARED, "outcome" => outcome).increment(0);
    }
}

/// Counts what was recorded of a payment.
pub(crate) fn recorded(events: &[AttemptEvent]) {
    for event in events {
        counter!(STEPS, "step" => event.step.name(), "outcome" => event.outcome.name()).increment(1);
    }
}

/// Counts a call of the gateway that was not answered in time.
pub(crate) fn unanswered() {
    counter!(UNANSWERED).increment(1);
}

/// Counts an attempt that was compared with the gateway.
pub(crate) fn compared(difference: Option<Difference>) {
    let outcome = if difference.is_some() { "differs" } else { "agrees" };
    counter!(COMPARED, "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use encore_domain::ids::RefundId;
    use encore_domain::payment::attempt::{Outcome, Step};
    use encore_domain::payment::gateway::FailureReason;
    use encore_domain::time::Timestamp;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_must_be_looked_at_begins_at_zero_and_increases() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let page = |act: &dyn Fn()| {
            metrics::with_local_recorder(&recorder, act);
            recorder.handle().render()
        };
        let page_before = page(&begin);
        let failed = (Step::Refund(RefundId(Uuid::nil())), Outcome::Failed(FailureReason::RefundRefused));
        let revoked = (Step::Revoke, Outcome::Succeeded);
        let (disputed, lost) = ((Step::Dispute, Outcome::Unknown), (Step::Dispute, Outcome::Succeeded));
        let events = [failed, revoked, disputed, lost];
        let events = events.map(|(step, outcome)| AttemptEvent { step, outcome, at: Timestamp::UNIX_EPOCH });
        let page_after = page(&|| {
            recorded(&events);
            unanswered();
            compared(Some(Difference::TakenUnrecorded));
        });
        for (step, outcome) in WATCHED {
            let series = format!("{STEPS}{{step=\"{step}\",outcome=\"{outcome}\"}}");
            assert!(page_before.contains(&format!("{series} 0\n")), "{page_before}");
            assert!(page_after.contains(&format!("{series} 1\n")), "{page_after}");
        }
        for series in [UNANSWERED.to_owned(), format!("{COMPARED}{{outcome=\"differs\"}}")] {
            assert!(page_before.contains(&format!("{series} 0\n")), "{page_before}");
            assert!(page_after.contains(&format!("{series} 1\n")), "{page_after}");
        }
        assert!(page_after.contains(&format!("{COMPARED}{{outcome=\"agrees\"}} 0\n")), "{page_after}");
    }
}
