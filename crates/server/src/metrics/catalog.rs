//! Every metric, with its kind and what it means. `docs/operating.md` says what to do about each.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It grows while the process runs.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// What it means.
    pub help: &'static str,
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, help }
}

/// Every metric of a server.
pub const METRICS: [Metric; 55] = [
    histogram("rpc_server_call_duration_seconds", "Calls, from the head of the request to the end of the response"),
    gauge("encore_rpc_server_active_calls", "Calls and streams under way"),
    gauge("encore_role", "1 if the process has the role, else 0"),
    gauge("db_client_connection_max", "The most connections of the pool"),
    gauge("db_client_connection_count", "Connections in use"),
    gauge("db_client_connection_pending_requests", "Calls that wait for a connection"),
    histogram("db_client_connection_wait_time_seconds", "How long a call waited for a connection"),
    counter("db_client_connection_timeouts_total", "Calls that got no connection in time"),
    histogram("db_client_operation_duration_seconds", "Transactions, retries included"),
    counter("encore_transaction_retries_total", "Transactions repeated after a serialization failure or a deadlock"),
    histogram("encore_batch_size", "Calls per batch"),
    histogram("encore_batch_duration_seconds", "Batches of calls that commit together"),
    counter(
        "encore_batches_split_total",
        "Batches that failed because of one of their calls, which were tried one by one",
    ),
    counter("encore_redis_connections_opened_total", "Connections to Redis that were opened"),
    counter("encore_redis_connection_failures_total", "Connections to Redis that could not be opened"),
    counter(
        "encore_redis_subscription_failures_total",
        "Subscriptions to seat changes that were lost or could not be opened",
    ),
    histogram("encore_worker_step_duration_seconds", "Steps of the background workers"),
    counter("encore_worker_failures_total", "Steps of the background workers that failed"),
    histogram("encore_queue_tick_duration_seconds", "Ticks of a queue: drawing, ending and calling"),
    counter("encore_seat_locks_repaired_total", "Seat locks that differed from the claims and were repaired"),
    counter("encore_gateway_webhooks_total", "Webhooks of the payment gateway, by outcome"),
    counter("encore_card_steps_total", "Steps of payments, top-ups and refunds by card that were recorded, by outcome"),
    counter("encore_gateway_unanswered_total", "Calls of the payment gateway without an answer in time"),
    counter("encore_gateway_compared_total", "Attempts compared with the payment gateway, by whether it agrees"),
    counter("encore_events_published_total", "Events that this instance published"),
    counter("encore_events_refused_total", "Tries of events that could not be published"),
    gauge("encore_event_backlog", "Events that are not published yet, counted up to 100,000"),
    gauge(
        "encore_event_backlog_age_seconds",
        "The age of the oldest event that is not published yet; 0 if there is none",
    ),
    gauge("encore_event_keys_held_back", "Keys that wait for an event that could not be published"),
    gauge("encore_event_keys_parked", "Those that failed often. Must be 0"),
    counter("encore_seat_messages_published_total", "Messages of the seat feed that this instance published"),
    gauge(
        "encore_seat_feed_backlog_age_seconds",
        "The age of the oldest event that is not in the seat feed yet; 0 if there is none",
    ),
    gauge(
        "encore_seat_feed_keys_held_back",
        "Performances whose seat feed waits for an event that cannot be published",
    ),
    counter("encore_queue_facts_total", "Facts about fans of queues, by whether they were published or dropped"),
    counter("encore_notifications_total", "Mails to fans about events, by outcome"),
    counter("encore_webhook_deliveries_total", "Tries to send an event to a webhook endpoint, by outcome"),
    counter("encore_alarms_total", "Alarms for the webhook of operators, by outcome"),
    gauge("encore_webhook_endpoints", "Endpoints of webhooks, by state. Disabled ones are sent nothing"),
    gauge("encore_webhook_deliveries_waiting", "Events that wait to be sent to an endpoint again"),
    gauge(
        "encore_webhook_backlog_age_seconds",
        "The age of the oldest event that an enabled endpoint was not sent yet; 0 if there is none",
    ),
    gauge("encore_sales_open", "Performances on sale or in their pre-queue"),
    gauge("encore_sales_unread", "Performances whose queue or seats could not be read"),
    gauge("encore_queue_waiting", "Fans who wait"),
    gauge("encore_queue_called", "Fans who are called and have not come yet"),
    gauge("encore_queue_active", "Fans inside"),
    gauge("encore_queue_max_active", "The most fans who may be inside"),
    gauge("encore_queue_joined", "Tokens given out since the queue was opened"),
    gauge("encore_queue_accepted", "Calls accepted since the queue was opened"),
    gauge("encore_queue_no_shows", "Calls not accepted in time since the queue was opened"),
    gauge("encore_queue_ended", "Tokens ended since the queue was opened, by reason"),
    gauge("encore_seats", "Seats and units for sale, by state"),
    gauge("encore_promise_findings", "Findings of the auditor. Must be 0"),
    gauge("encore_promise_examined", "Records that the auditor examined"),
    gauge("encore_audit_complete", "1 if the last audit examined everything on sale, else 0"),
    gauge("encore_audit_finished_timestamp_seconds", "When the last audit ended, in seconds since 1970"),
];

/// Describes every metric to the current recorder.
pub(super) fn describe() {
    for Metric { name, kind, help } in METRICS {
        match kind {
            Kind::Counter => describe_counter!(name, help),
            Kind::Gauge => describe_gauge!(name, help),
            Kind::Histogram => describe_histogram!(name, help),
        }
    }
}
