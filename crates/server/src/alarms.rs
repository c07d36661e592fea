//! What operators must know at once, if they have a webhook for it.
//!
//! A line of the log with the field `alarm` is an alarm: its message is what happened, and the fields that [`ALARMS`] lists say what it is
//! about. So what is sent and what is logged are one thing, and no other fields leave the process.

mod conditions;

use encore_domain::alarm::{Alarm, Severity};

pub(crate) use self::conditions::{AlarmConditionParts, AlarmConditions};

/// A kind of alarm.
#[derive(Clone, Copy, Debug)]
pub struct AlarmKind {
    /// Its name, which is the value of the field `alarm`.
    pub name: &'static str,
    /// How soon somebody must act.
    pub severity: Severity,
    /// The fields that say what it is about. They have ids, and no text of people.
    pub subject: &'static [&'static str],
    /// What to do.
    pub action: &'static str,
}

const fn critical(name: &'static str, subject: &'static [&'static str], action: &'static str) -> AlarmKind {
    AlarmKind { name, severity: Severity::Critical, subject, action }
}

const fn warning(name: &'static str, subject: &'static [&'static str], action: &'static str) -> AlarmKind {
    AlarmKind { name, severity: Severity::Warning, subject, action }
}

/// Every kind of alarm.
pub const ALARMS: [AlarmKind; 22] = [
    critical(
        "promise_broken",
        &["promise", "performance"],
        "Pause the sale, run `encore verify`, and read what it lists.",
    ),
    critical(
        "clock_wrong",
        &["store"],
        "Synchronize the clocks of the instance and of the store. The instance is not ready until they agree.",
    ),
    warning(
        "store_clock_wrong",
        &["store"],
        "Synchronize the clock of that store. No deadline comes from it while Postgres answers.",
    ),
    critical(
        "refund_failed",
        &["payment", "refund"],
        "The money is in the wallet of the fan. Tell the fan, and ask the gateway why.",
    ),
    warning(
        "refund_not_sent",
        &["payment", "refund"],
        "The dispute was about less than the charge? Then give the rest back at the gateway.",
    ),
    critical("charge_disputed", &["payment"], "Answer the dispute at the gateway: there is a deadline."),
    critical(
        "dispute_lost",
        &["payment"],
        "Decide whether to cancel the reservation: its refund is recorded and not sent.",
    ),
    critical(
        "sale_revoked",
        &["payment"],
        "The seats are free again. Ask the gateway why it does not take what it authorized, and tell the fan.",
    ),
    critical(
        "gateway_differs",
        &["payment", "attempt", "difference"],
        "Settle it at the gateway. `gateway_differences` keeps it.",
    ),
    critical("gateway_key_refused", &[], "Give the server a key that the gateway takes. Payments by card wait."),
    critical(
        "card_payment_unreadable",
        &["payment"],
        "Deploy the version that wrote the row, or repair it. The payment waits.",
    ),
    critical(
        "requests_without_hold",
        &[],
        "Run `encore verify`: requests that placed, extended or gave back a hold are without it.",
    ),
    critical(
        "event_key_parked",
        &["key", "event"],
        "Remove the cause, or deploy the version that can read the event. Later events of the key wait.",
    ),
    critical("events_late", &[], "The publisher is away, or no instance relays. The outbox keeps the events."),
    warning(
        "transaction_open_long",
        &[],
        "End it: `SELECT * FROM pg_stat_activity ORDER BY xact_start`, `SELECT * FROM pg_prepared_xacts`. Readers of the outbox slow down.",
    ),
    warning(
        "webhook_endpoint_disabled",
        &["endpoint", "why"],
        "Tell its owner. Then EnableEndpoint, or DeleteEndpoint: what is past the retention is not sent.",
    ),
    warning("webhook_endpoint_unreadable", &["endpoint"], "Deploy the version that wrote the row, or repair it."),
    warning("webhook_secret_unreadable", &["endpoint"], "Restore the key, or rotate the secret of the endpoint."),
    warning(
        "token_keys_unusable",
        &["file", "why"],
        "Repair the file of `ENCORE_TOKEN_KEYS_FILE`. The keys that were read before stay in use until a restart, which fails.",
    ),
    warning("call_failed", &[], "A defect: look at the log at level error around this time."),
    warning("value_unreadable", &[], "A defect: look at the log at level error around this time."),
    warning("worker_panicked", &["worker"], "A defect: look at the log at level error. The worker goes on."),
];

/// The alarm of a line with this message. None if there is no such kind.
pub(crate) fn alarm_of<'f>(name: &str, message: &str, field: impl Fn(&str) -> Option<&'f str>) -> Option<Alarm> {
    let kind = ALARMS.iter().find(|kind| kind.name == name)?;
    let subject = kind.subject.iter().filter_map(|name| Some(format!("{name}={}", field(name)?)));
    Some(Alarm {
        name: kind.name,
        severity: kind.severity,
        subject: subject.collect::<Vec<_>>().join(", "),
        summary: message.to_owned(),
        action: kind.action,
    })
}

#[cfg(test)]
mod tests;
