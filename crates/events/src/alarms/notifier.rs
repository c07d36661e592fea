use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use encore_domain::alarm::Alarm;
use encore_domain::ports::{Clock, SentAlarms};
use encore_domain::time::Timestamp;
use metrics::counter;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::webhook::{AlarmWebhook, Posted};

/// How many alarms wait at most. More are not sent, and counted.
const QUEUE: usize = 200;
/// An alarm of the same name and subject is sent again after so long.
const REPEAT_AFTER: Duration = Duration::from_hours(1);
/// How long it is kept what was sent.
const SENT_KEPT: Duration = Duration::from_hours(24);
/// The pause between two alarms: incoming webhooks take about one a second.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause after a failure. It doubles with each further one.
const BACK_OFF: Duration = Duration::from_secs(1);
/// The longest pause after failures.
const BACK_OFF_MAX: Duration = Duration::from_mins(1);

/// What an [`AlarmNotifier`] is made of.
pub struct AlarmNotifierParts {
    /// Where alarms go.
    pub webhook: AlarmWebhook,
    /// What was sent, by all instances.
    pub sent: Arc<dyn SentAlarms>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Sends alarms to operators, one after the other.
pub struct AlarmNotifier {
    webhook: AlarmWebhook,
    sent: Arc<dyn SentAlarms>,
    clock: Arc<dyn Clock>,
    queue: mpsc::Receiver<Alarm>,
    queued: Arc<Queued>,
    /// What this instance has heard of lately, for when the store cannot say.
    heard: HashMap<AlarmKey, Timestamp>,
    forget_at: Timestamp,
    pause: Duration,
    back_off: Duration,
}

/// Raises alarms. It never waits.
#[derive(Clone)]
pub struct Alarms {
    queue: mpsc::Sender<Alarm>,
    queued: Arc<Queued>,
}

/// The alarms that wait or are being sent: one that is raised again and again takes no room from others.
#[derive(Default)]
struct Queued(Mutex<HashSet<AlarmKey>>);

/// The name and the subject of an alarm.
type AlarmKey = (&'static str, String);

impl Queued {
    fn add(&self, key: AlarmKey) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key)
    }

    fn remove(&self, key: &AlarmKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl Alarms {
    /// Raises an alarm, which is sent soon, once within an hour. If too many wait it is not sent, which is counted.
    pub fn raise(&self, alarm: Alarm) {
        let key = key(&alarm);
        if !self.queued.add(key.clone()) {
            return count("repeated");
        }
        if self.queue.try_send(alarm).is_err() {
            self.queued.remove(&key);
            count("dropped");
        }
    }
}

fn key(alarm: &Alarm) -> AlarmKey {
    (alarm.name, alarm.subject.clone())
}

fn count(outcome: &'static str) {
    counter!("encore_alarms_total", "outcome" => outcome).increment(1);
}

impl AlarmNotifier {
    /// One that has not begun, and what raises alarms.
    pub fn new(parts: AlarmNotifierParts) -> (Alarms, Self) {
        let AlarmNotifierParts { webhook, sent, clock } = parts;
        let (sender, queue) = mpsc::channel(QUEUE);
        let (heard, forget_at, queued) = (HashMap::new(), clock.now(), Arc::<Queued>::default());
        let alarms = Alarms { queue: sender, queued: Arc::clone(&queued) };
        let (pause, back_off) = (PAUSE, BACK_OFF);
        (alarms, Self { webhook, sent, clock, queue, queued, heard, forget_at, pause, back_off })
    }

    /// Sends what is raised until `stop` is cancelled. What waits then is tried once.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(Some(alarm)) = stop.run_until_cancelled(self.queue.recv()).await {
            self.take(alarm, &stop).await;
        }
        while let Ok(alarm) = self.queue.try_recv() {
            self.take(alarm, &stop).await;
        }
    }

    async fn take(&mut self, alarm: Alarm, stop: &CancellationToken) {
        let key = key(&alarm);
        self.send(alarm, stop).await;
        self.queued.remove(&key);
    }

    /// Sends an alarm, unless it was sent lately. It is tried until it is taken, refused for good, or `stop` is cancelled.
    async fn send(&mut self, alarm: Alarm, stop: &CancellationToken) {
        if !self.is_new(&alarm).await {
            return count("repeated");
        }
        let (name, body) = (alarm.name, body(&alarm));
        let mut failures = 0_u32;
        loop {
            let (why, asked) = match self.webhook.post(body.clone()).await {
                Posted::Taken => {
                    count("sent");
                    stop.run_until_cancelled(sleep(self.pause)).await;
                    return;
                }
                Posted::Refused(status) => {
                    warn!(name, status = status.as_u16(), "the webhook of alarms refuses an alarm; it is not sent");
                    return count("refused");
                }
                Posted::Later(why, asked) => (why, asked),
            };
            count("failed");
            if failures == 0 {
                warn!(name, reason = why, "the webhook of alarms does not take an alarm; trying again");
            }
            let pause = asked.unwrap_or_else(|| self.back_off.saturating_mul(1 << failures.min(10)).min(BACK_OFF_MAX));
            failures += 1;
            if stop.is_cancelled() || stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return warn!(name, "an alarm is not sent, because the server stops");
            }
        }
    }

    /// Whether an alarm was not sent lately, by any instance. If the store does not answer, each instance sends it.
    async fn is_new(&mut self, alarm: &Alarm) -> bool {
        let now = self.clock.now();
        let since = now - REPEAT_AFTER;
        let heard = key(alarm);
        if self.heard.get(&heard).is_some_and(|at| since <= *at) {
            return false;
        }
        self.heard.retain(|_, at| since <= *at);
        self.heard.insert(heard, now);
        if self.forget_at <= now && self.sent.forget(now - SENT_KEPT).await.is_ok() {
            self.forget_at = now + REPEAT_AFTER;
        }
        self.sent.claim(alarm.name, &alarm.subject, now, since).await.unwrap_or(true)
    }
}

/// The body of the request.
fn body(alarm: &Alarm) -> String {
    let Alarm { name, severity, subject, summary, action } = alarm;
    let about = if subject.is_empty() { String::new() } else { format!("\n{subject}") };
    let text = format!("[{severity}] {name}: {summary}{about}\n{action}");
    // What Slack reads as a link, a mention or an entity.
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    json!({ "text": text }).to_string()
}

#[cfg(test)]
mod tests;
