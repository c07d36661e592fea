//! Another fan, who holds and releases seats.

use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tonic::Status;
use tonic::transport::Endpoint;
use uuid::Uuid;

use crate::client::Caller;
use crate::venue::Venue;

/// The pause between two calls: the neighbour is a fan, no load.
const PAUSE: Duration = Duration::from_millis(10);

/// The longest latency that is told apart: longer than a caller waits.
const LATENCY_MAX_US: u64 = 60_000_000;

/// A fan with a connection and a thread of its own: what an attacker's many tasks do to each other does not count.
#[derive(Clone)]
pub(super) struct Neighbour {
    address: String,
    access_token: String,
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
    pub(super) fn new(address: &str, access_token: &str, performance: &str, venue: Venue) -> Result<Self, Status> {
        let seats = venue.pairs().first().cloned().ok_or_else(|| Status::internal("a venue without seats"))?;
        let [address, access_token, performance] = [address, access_token, performance].map(str::to_owned);
        Ok(Self { address, access_token, performance, seats })
    }

    /// Holds and releases for this long. A call that is under way at the end is waited for: it counts.
    pub(super) async fn measured(&self, lasts: Duration) -> Answers {
        let neighbour = self.clone();
        let measuring = spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
            runtime.block_on(neighbour.holding_and_releasing(lasts)).map_err(|status| status.message().to_owned())
        });
        let failed = |why: String| Answers { failed: 1, first_failure: Some(why), ..Answers::default() };
        measuring.await.map_or_else(|error| failed(error.to_string()), |answers| answers.unwrap_or_else(failed))
    }

    async fn holding_and_releasing(&self, lasts: Duration) -> Result<Answers, Status> {
        let endpoint = Endpoint::from_shared(self.address.clone());
        let channel = endpoint.map_err(|error| Status::internal(error.to_string()))?.connect_lazy();
        let caller = Caller::new(channel, &self.access_token)?;
        // The first call makes the connection.
        let held = caller.hold(new_id(), &self.performance, &self.seats).await?;
        released(&caller, &held.reservation_id).await?;
        let mut answers = Answers::default();
        let Ok(mut latencies) = Histogram::<u64>::new_with_bounds(1, LATENCY_MAX_US, 3) else { return Ok(answers) };
        let ends_at = Instant::now() + lasts;
        while Instant::now() < ends_at {
            let began = Instant::now();
            let held = caller.hold(new_id(), &self.performance, &self.seats).await;
            note(&mut latencies, began);
            sleep(PAUSE).await;
            let released = match held {
                Ok(reservation) => {
                    let began = Instant::now();
                    let released = released(&caller, &reservation.reservation_id).await;
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
        Ok(answers)
    }
}

/// The seats must be free for the next hold, so the release is tried again once.
async fn released(caller: &Caller, reservation: &str) -> Result<(), Status> {
    let request = new_id();
    match caller.release(request, reservation).await {
        Ok(()) => Ok(()),
        Err(first) => {
            caller.release(request, reservation).await?;
            Err(first)
        }
    }
}

pub(super) fn new_id() -> Uuid {
    Uuid::from_u128(rand::random())
}

fn note(latencies: &mut Histogram<u64>, began: Instant) {
    latencies.saturating_record(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
}
