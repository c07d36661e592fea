//! Raises the alarms that are logged.

use std::fmt;
use std::sync::{Arc, OnceLock};

use encore_domain::alarm::Alarm;
use encore_events::Alarms;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::alarms::alarm_of;

/// The field by which a line is an alarm.
const ALARM: &str = "alarm";

/// Whether lines of a callsite are alarms: those of Encore's own crates with the field.
pub(super) fn is_alarm(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.target().starts_with("encore") && metadata.fields().field(ALARM).is_some()
}

/// Raises the alarms that are logged, once there is where to. Clones are the same.
#[derive(Clone, Default)]
pub struct AlarmTap(Arc<OnceLock<Alarms>>);

impl AlarmTap {
    /// Alarms go here from now on. A process can do so once.
    pub fn open(&self, alarms: Alarms) {
        let _ = self.0.set(alarms);
    }
}

impl<S: Subscriber> Layer<S> for AlarmTap {
    /// Here and not in `on_event`, because layers below leave out lines that repeat too fast.
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        if is_alarm(event.metadata())
            && let Some(alarms) = self.0.get()
            && let Some(alarm) = read(event)
        {
            alarms.raise(alarm);
        }
        true
    }
}

/// The fields of a line, as text.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }
}

/// The alarm that a line is.
pub(super) fn read(event: &Event<'_>) -> Option<Alarm> {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let field = |name: &str| fields.0.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str());
    alarm_of(field(ALARM)?, field("message").unwrap_or_default(), field)
}
