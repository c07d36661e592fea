//! Whole journeys in a closed loop, without thinking: join, be admitted by the stream, look at the map, hold two seats, pay.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use encore_proto::catalog::v1::ListSeatsRequest;
use encore_proto::queue::v1::WatchPositionResponse;
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use tokio::time::{Instant, timeout};
use tonic::{Status, Streaming};

use crate::baselines::SATURATED;
use crate::client::{Caller, PATIENCE};
use crate::load::tally::to_f64;
use crate::load::{Counted, Outcome, Saturated};
use crate::operator::{PRICE_MINOR, QueueTerms, Sale, Terms};
use crate::pairs::ratios::summarize;
use crate::report::model::{Figure, Measurement, PromiseReport, Rate};
use crate::scenario::{Findings, RehearsalError, Run};
use crate::scenarios::callers::{Callers, request_id};
use crate::users::recorder::Recorder;
use crate::venue::Venue;

/// How many fans there are by default; each makes one journey.
const FANS: u64 = 30_000;
/// How many are under way for each of `--in-flight`: most of a journey is waiting for the next tick of the queue.
const UNDER_WAY_FACTOR: u64 = 8;
/// How many of them charge their wallets at once beforehand.
const CHARGING_AT_ONCE: u64 = 128;
/// Seats of each date.
const SEATS_PER_DATE: u32 = 20_000;
const SEATS_PER_FAN: u32 = 2;
/// Longer than the rehearsal.
const HOLD_FOR: Duration = Duration::from_mins(30);
/// The queue stands in nobody's way: whoever has joined is admitted by the next tick.
const OPEN: QueueTerms =
    QueueTerms { per_second: 100_000, batch: 100_000, max_active: 100_000, paused: false, grace: None };
/// Joining is measured beside on a queue that admits nobody.
const SHUT: QueueTerms = QueueTerms { per_second: 1, batch: 1, max_active: 1, paused: true, grace: None };
/// Slices of joins and of journeys, in turns.
const ROUNDS: u32 = 3;
const PHASE: &str = "flow";
const JOURNEY: &str = "Journey";

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    let fans = run.fans(FANS);
    run.live.phase(&format!("a sale with a queue, and {fans} fans who charge their wallets"));
    let venue = Venue::of(SEATS_PER_DATE);
    let terms = |queue| Terms { seats_per_fan: SEATS_PER_FAN, hold_for: HOLD_FOR, queue: Some(queue) };
    let operator = &run.environment.operator;
    let failed = RehearsalError::setup("the sale");
    let sale = operator.open_sale(venue, &terms(OPEN)).await.map_err(&failed)?;
    let beside = operator.open_sale(Venue::of(SEATS_PER_FAN), &terms(SHUT)).await.map_err(&failed)?;
    let callers = Callers::make(run, fans).await?;
    let flow = Arc::new(Flow::open(run, &sale, callers.clone(), venue, fans).await.map_err(&failed)?);
    let charged = charge(run, &callers, fans).await;
    let (mut joins, mut journeys, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let begun = Instant::now();
    let mut first = 0;
    for round in 1..=ROUNDS {
        if run.stop().is_cancelled() || first >= fans {
            break;
        }
        run.live.phase(&format!("joins and journeys in turns, round {round} of {ROUNDS}"));
        let joined = join(run, &beside, &callers).await.map_err(&failed)?;
        let flowed = journey(run, &flow, first, fans / u64::from(ROUNDS)).await;
        first += fans / u64::from(ROUNDS);
        ratios.push(flowed.per_second(Rate::Successes) / joined.per_second(Rate::Answers));
        joins.push(joined);
        journeys.push(flowed);
    }
    let took = begun.elapsed();
    let mut measurements = Vec::new();
    measurements.extend(Counted::sum(&journeys).map(|journeys| journeys.measurement(SATURATED, JOURNEY)));
    measurements.extend(Counted::sum(&joins).map(|joins| joins.measurement(SATURATED, "JoinQueue")));
    let steps = flow.steps.measurements(PHASE, took);
    let median = |step: &Measurement| step.latency.as_ref().map_or(0.0, |latency| latency.p50);
    let mut figures = vec![Figure::new("the medians of the steps together", steps.iter().map(median).sum(), "ms")];
    if let Some(ratio) = summarize(&ratios) {
        figures.push(Figure::new("journeys for each join of the same run", ratio.median, ""));
    }
    figures.push(Figure::new("journeys made", to_f64(journeys.iter().map(Counted::successes).sum()), "journeys"));
    measurements.extend(steps);
    measurements.push(charged);
    let mut performances = sale.performances();
    performances.extend(beside.performances());
    Ok(Findings { measurements, figures, promises: vec![none_lost(&journeys)], performances, ..Findings::default() })
}

/// What journeys share.
struct Flow {
    callers: Callers,
    performances: Vec<String>,
    pairs: Vec<[String; 2]>,
    /// The block of each pair.
    blocks: Vec<String>,
    /// Measures each step.
    steps: Recorder,
    seed: u64,
    requests: AtomicU64,
}

impl Flow {
    async fn open(run: &Run<'_>, sale: &Sale, callers: Callers, venue: Venue, fans: u64) -> Result<Self, Status> {
        let pairs = venue.pairs();
        let per_date = u64::try_from(pairs.len()).unwrap_or(u64::MAX);
        let performances = sale.dates(fans.div_ceil(per_date)).await?;
        let (blocks, steps) = (venue.blocks(), Recorder::default());
        Ok(Self { callers, performances, pairs, blocks, steps, seed: run.args.seed, requests: AtomicU64::new(0) })
    }

    /// The journey of the fan of this number.
    async fn journey(&self, number: u64) -> Outcome {
        Outcome::of(&self.try_journey(number).await)
    }

    async fn try_journey(&self, number: u64) -> Result<(), Status> {
        let dates = self.performances.len();
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        // Dates in turn, as a tour sells.
        let (performance, pair) = (&self.performances[place % dates], (place / dates) % self.pairs.len());
        let caller = self.callers.turn(number);
        let joined = self.step("JoinQueue", caller.join(performance)).await?;
        let caller = caller.clone().showing(&joined.queue_token)?;
        // The open stream keeps the fan present.
        let _frames = self.step("WatchPosition", admitted(&caller)).await?;
        let block = self.blocks[pair * self.blocks.len() / self.pairs.len()].clone();
        let message =
            ListSeatsRequest { performance_id: performance.clone(), sections: vec![block], ..Default::default() };
        self.step("ListSeats", caller.seats(message)).await?;
        let hold = self.step("HoldSeats", caller.hold(self.request(), performance, &self.pairs[pair])).await?;
        self.step("PayReservation", caller.pay(self.request(), &hold.reservation_id)).await?;
        Ok(())
    }

    async fn step<T>(&self, name: &'static str, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let began = Instant::now();
        let answer = call.await;
        self.steps.count(name, began.elapsed(), &answer);
        answer
    }

    fn request(&self) -> uuid::Uuid {
        request_id(self.seed, 1, self.requests.fetch_add(1, Ordering::Relaxed))
    }
}

/// Waits on the stream until the fan is admitted.
async fn admitted(caller: &Caller) -> Result<Streaming<WatchPositionResponse>, Status> {
    let waiting = async {
        let mut frames = caller.watch().await?;
        while let Some(frame) = frames.message().await? {
            match frame.status.and_then(|status| status.status) {
                Some(QueueStatus::Admitted(_)) => return Ok(frames),
                Some(QueueStatus::Ended(ended)) => return Err(Status::data_loss(ended.reason().as_str_name())),
                Some(QueueStatus::Waiting(_) | QueueStatus::PreQueued(_)) | None => {}
            }
        }
        Err(Status::data_loss("the stream ended"))
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| Err(Status::deadline_exceeded("not admitted")))
}

async fn charge(run: &Run<'_>, callers: &Callers, fans: u64) -> Measurement {
    let everybody = Saturated { in_flight: CHARGING_AT_ONCE, lasts: run.args.bound(), calls_max: fans };
    let (callers, seed) = (callers.clone(), run.args.seed);
    let charging = run.load.saturate(everybody, ("prepared", "TopUp"), move |number| {
        let (caller, request) = (callers.turn(number).clone(), request_id(seed, 0, number));
        async move { Outcome::of(&caller.top_up(request, i64::from(SEATS_PER_FAN) * PRICE_MINOR).await) }
    });
    charging.await
}

/// A slice of joins of a queue in which nobody waits yet.
async fn join(run: &Run<'_>, sale: &Sale, callers: &Callers) -> Result<Counted, Status> {
    let performance = sale.date().await?;
    let lasts = run.args.phase() / 2;
    let joining = Saturated { in_flight: run.args.load.in_flight, lasts, calls_max: callers.len() };
    let callers = callers.clone();
    let joining = run.load.closed_loop(joining, move |number| {
        let (caller, performance) = (callers.turn(number).clone(), performance.clone());
        async move { Outcome::of(&caller.join(&performance).await) }
    });
    Ok(joining.await)
}

/// A slice of journeys, by these fans.
async fn journey(run: &Run<'_>, flow: &Arc<Flow>, first: u64, fans: u64) -> Counted {
    let in_flight = run.args.load.in_flight * UNDER_WAY_FACTOR;
    let flow = Arc::clone(flow);
    let journeys = Saturated { in_flight, lasts: run.args.phase(), calls_max: fans };
    let flowing = run.load.closed_loop(journeys, move |number| {
        let flow = Arc::clone(&flow);
        async move { flow.journey(first + number).await }
    });
    flowing.await
}

/// Whoever set out has paid.
fn none_lost(journeys: &[Counted]) -> PromiseReport {
    let (examined, made) =
        journeys.iter().fold((0, 0), |(examined, made), slice| (examined + slice.calls(), made + slice.successes()));
    let lost = examined - made;
    PromiseReport {
        promise: "no_journey_lost".to_owned(),
        examined_by: "checker".to_owned(),
        examined,
        breaches: lost,
        findings: (lost > 0).then(|| format!("{lost} of {examined} fans did not get to pay")).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journey_that_is_refused_or_fails_is_lost() {
        let refused = || Outcome::Refused("HOLD_EXPIRED".to_owned());
        let slices = [
            Counted::of(&[(7, Outcome::Success)]),
            Counted::of(&[(4, Outcome::Success), (1, refused()), (2, Outcome::given_up())]),
        ];
        let report = none_lost(&slices);
        assert_eq!((report.examined, report.breaches, report.findings.len()), (14, 3, 1));
        assert_eq!(none_lost(&slices[..1]).breaches, 0);
    }
}
