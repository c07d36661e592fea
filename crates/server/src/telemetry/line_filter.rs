//! The operator's filter of lines, which alarms pass: whether they are sent does not depend on what is logged.

use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::{EnvFilter, Layer};

use super::alarm_tap::is_alarm;

/// [`EnvFilter`], except that lines that are alarms are always written.
pub(super) struct LineFilter(pub(super) EnvFilter);

impl<S: Subscriber> Layer<S> for LineFilter {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_alarm(metadata) {
            return Interest::always();
        }
        Layer::<S>::register_callsite(&self.0, metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        is_alarm(metadata) || Layer::<S>::enabled(&self.0, metadata, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let alarms = LevelFilter::from_level(Level::WARN);
        Layer::<S>::max_level_hint(&self.0).map(|hint| hint.max(alarms))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        Layer::<S>::on_new_span(&self.0, attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        Layer::<S>::on_record(&self.0, id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        Layer::<S>::on_enter(&self.0, id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        Layer::<S>::on_exit(&self.0, id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        Layer::<S>::on_close(&self.0, id, context);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use encore_domain::alarm::Alarm;
    use tracing::Event;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry;

    use super::*;
    use crate::telemetry::alarm_tap::read;

    /// Keeps the alarms that it sees.
    struct Seen(Arc<Mutex<Vec<Alarm>>>);

    impl<S: Subscriber> Layer<S> for Seen {
        fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
            if is_alarm(event.metadata()) {
                self.0.lock().expect("not poisoned").extend(read(event));
            }
            true
        }
    }

    #[test]
    fn lines_with_the_field_are_alarms_whatever_is_logged() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let filter = LineFilter(EnvFilter::new("off"));
        let subscriber = registry().with(filter).with(Seen(Arc::clone(&seen)));
        tracing::subscriber::with_default(subscriber, || {
            let (payment, email) = (7, "fan@example.com");
            tracing::error!(alarm = "dispute_lost", %payment, email, "a dispute was lost");
            tracing::warn!(alarm = "webhook_secret_unreadable", endpoint = "e", "a secret cannot be read");
            tracing::error!("something else");
        });
        let seen = seen.lock().expect("not poisoned");
        let told: Vec<_> =
            seen.iter().map(|alarm| (alarm.name, alarm.subject.as_str(), alarm.summary.as_str())).collect();
        assert_eq!(
            told,
            [
                ("dispute_lost", "payment=7", "a dispute was lost"),
                ("webhook_secret_unreadable", "endpoint=e", "a secret cannot be read")
            ]
        );
    }
}
