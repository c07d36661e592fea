//! Another fan, who holds and releases seats.

use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep};
use tonic::Status;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::client::Caller;
use crate::venue::Venue;

/// The pause between two calls: the neighbour is a fan, no load.
const PAUSE: Duration = Duration::from_millis(2);

/// The longest latency that is told apart: longer than a caller waits.
const LATENCY_MAX_US: u64 = 60_000_000;

pub(super) struct Neighbour {
    caller: Caller,
    performance: String,
    seats: [String; 2],
}

/// What the neighbour was answered in a phase.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    /// Microseconds of holds and releases.
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    pub(super) calls: u64,
    /// Calls without the answer that the neighbour has a right to, and the first reason.
    pub(super) failed: u64,
    pub(super) first_failure: Option<String>,
}

impl Neighbour {
    pub(super) fn new(channel: Channel, access_token: &str, performance: &str, venue: Venue) -> Result<Self, Status> {
        let seats = venue.pairs().first().cloned().ok_or_else(|| Status::internal("a venue without seats"))?;
        Ok(Self { caller: Caller::new(channel, access_token)?, performance: performance.to_owned(), seats })
    }

    /// Holds and releases for this long. A call that is under way at the end is waited for: it counts.
    pub(super) async fn measured(&self, lasts: Duration) -> Answers {
        let mut answers = Answers::default();
        let Ok(mut latencies) = Histogram::<u64>::new_with_bounds(1, LATENCY_MAX_US, 3) else { return answers };
        let ends_at = Instant::now() + lasts;
        while Instant::now() < ends_at {
            let began = Instant::now();
            let held = self.caller.hold(new_id(), &self.performance, &self.seats).await;
            note(&mut latencies, began);
            sleep(PAUSE).await;
            let released = match held {
                Ok(reservation) => {
                    let began = Instant::now();
                    let released = self.released(&reservation.reservation_id).await;
                    note(&mut latencies, began);
                    answers.calls += 1;
                    released
                }
                Err(refused) => Err(refused),
            };
            answers.calls += 1;
            if let Err(refused) = released {
                answers.failed += 1;
                answers.first_failure.get_or_insert_with(|| format!("{:?}: {}", refused.code(), refused.message()));
            }
            sleep(PAUSE).await;
        }
        (answers.p50_us, answers.p99_us) = (latencies.value_at_quantile(0.5), latencies.value_at_quantile(0.99));
        answers
    }

    /// The seats must be free for the next hold, so the release is tried again once.
    async fn released(&self, reservation: &str) -> Result<(), Status> {
        let request = new_id();
        match self.caller.release(request, reservation).await {
            Ok(()) => Ok(()),
            Err(first) => {
                self.caller.release(request, reservation).await?;
                Err(first)
            }
        }
    }
}

pub(super) fn new_id() -> Uuid {
    Uuid::from_u128(rand::random())
}

fn note(latencies: &mut Histogram<u64>, began: Instant) {
    latencies.saturating_record(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
}
