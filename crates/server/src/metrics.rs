//! Prometheus metrics, on a port of their own.
//!
//! What happens is counted where it happens, by the `metrics` facade. What is, such as how many fans wait, is read every few
//! seconds by [`sales`], [`events`] and [`promises`]; those readings are rendered anew each time, so that a sale that has ended leaves
//! nothing behind.

mod catalog;
mod events;
mod promises;
mod sales;

use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use encore_domain::error::Unavailable;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::catalog::{Kind, METRICS, Metric};
pub use self::events::EventBacklog;
pub use self::promises::Promises;
pub use self::sales::Sales;
use crate::workers::repeat;

/// How often sales are read, and how often histograms are brought up to date.
const READ_EVERY: Duration = Duration::from_secs(5);
/// The upper bounds of the buckets of durations, in seconds: those that the conventions recommend, and half a millisecond.
const SECONDS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The upper bounds of the buckets of batch sizes, in calls.
const CALLS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// The media type of the Prometheus text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why metrics cannot be recorded.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum MetricsError {
    #[error("the metrics recorder cannot be built")]
    Build(#[from] BuildError),
    #[error("another metrics recorder is installed")]
    Installed,
}

/// The metrics of this process.
pub struct Metrics {
    recorded: PrometheusHandle,
    /// Of sales, of events and of promises.
    readings: [Reading; 3],
}

/// What the readings are read from.
pub struct Sources {
    /// The sales.
    pub sales: Sales,
    /// The outbox.
    pub events: EventBacklog,
    /// The promises; none if they are not audited.
    pub promises: Option<Promises>,
}

/// What was read last, in the Prometheus text format.
#[derive(Clone, Default)]
struct Reading(Arc<RwLock<Arc<str>>>);

impl Reading {
    fn get(&self) -> Arc<str> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Renders the gauges that `set` sets, in place of those of the last reading.
    fn replace(&self, set: impl FnOnce()) {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            catalog::describe();
            set();
        });
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = recorder.handle().render().into();
    }
}

impl Metrics {
    /// Records metrics from now on. A process can do so once. Without it, recording them costs next to nothing.
    pub fn install() -> Result<Self, MetricsError> {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &CALLS)?;
        let recorder = builder.build_recorder();
        let recorded = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Installed)?;
        catalog::describe();
        Ok(Self { recorded, readings: Default::default() })
    }

    /// Serves `/metrics` and keeps the readings up to date, until `stop` is cancelled.
    pub async fn run(self, listener: TcpListener, sources: Sources, stop: CancellationToken) {
        let Self { recorded, readings } = self;
        let Sources { sales, events, promises } = sources;
        let page = Page { recorded: recorded.clone(), readings: readings.clone() };
        let [of_sales, of_events, of_promises] = readings;
        let mut loops = JoinSet::new();
        loops.spawn(repeat("readings of sales", stop.clone(), READ_EVERY, || true, {
            let stop = stop.clone();
            move || {
                recorded.run_upkeep();
                let (stop, sales, reading) = (stop.clone(), sales.clone(), of_sales.clone());
                async move {
                    if let Some(read) = stop.run_until_cancelled(sales.read()).await {
                        reading.replace(|| read.set());
                    }
                    Ok::<_, Infallible>(())
                }
            }
        }));
        loops.spawn(repeat("readings of events", stop.clone(), READ_EVERY, || true, {
            let stop = stop.clone();
            move || {
                let (stop, events, reading) = (stop.clone(), events.clone(), of_events.clone());
                async move {
                    if let Some(read) = stop.run_until_cancelled(events.read()).await.transpose()? {
                        reading.replace(|| read.set());
                    }
                    Ok::<_, Unavailable>(())
                }
            }
        }));
        if let Some(promises) = promises {
            loops.spawn(repeat("audit", stop.clone(), promises.every(), || true, {
                let stop = stop.clone();
                move || {
                    let (stop, promises, reading) = (stop.clone(), promises.clone(), of_promises.clone());
                    async move {
                        if let Some(Some(examined)) = stop.run_until_cancelled(promises.examine()).await {
                            reading.replace(|| examined.set());
                        }
                        Ok::<_, Infallible>(())
                    }
                }
            }));
        }
        let router = Router::new().route("/metrics", get(render)).with_state(page);
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "metrics are no longer served");
        }
        while loops.join_next().await.is_some() {}
    }
}

#[derive(Clone)]
struct Page {
    recorded: PrometheusHandle,
    readings: [Reading; 3],
}

async fn render(State(page): State<Page>) -> impl IntoResponse {
    let mut text = page.recorded.render();
    for reading in &page.readings {
        text.push_str(&reading.get());
    }
    ([(CONTENT_TYPE, TEXT_FORMAT)], text)
}
