//! Paying live holds from wallets or by cards, one payment a fan.

use std::iter;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::baselines::{Kind, Way};
use crate::load::{Outcome, Saturated};
use crate::operator::PRICE_MINOR;
use crate::options::Method;
use crate::report::model::Measurement;
use crate::scenario::{Findings, RehearsalError, Run};
use crate::scenarios::distinct::{Dates, DistinctSeats};
use crate::scenarios::single_call::{Variant, before_pace, callers, compare, pace};

/// How many fans pay by default.
const FANS: u64 = 24_000;
/// How many fans pay by default without baselines, as in older builds, with which that is compared.
const FANS_ALONE: u64 = 12_000;
/// How many of them charge and hold at once beforehand.
const PREPARING_AT_ONCE: u64 = 128;
/// Charging and holding takes this part of the time that is left, one of so many, at most.
const PREPARING_PART: u32 = 3;
/// The paced phase gets this share of all holds, in percent; the slices share the rest.
const PACED_PERCENT: u64 = 25;
/// The same without baselines, as in older builds.
const PACED_PERCENT_ALONE: u64 = 40;
const CALL: &str = "PayReservation";
const BASELINES: [Kind; 6] = [
    Kind::Pay(Way::ForUpdate),
    Kind::Pay(Way::Optimistic),
    Kind::Pay(Way::RedisLock),
    Kind::Commits,
    Kind::Redis,
    Kind::Transport,
];
/// How many slices a round has of the scenario: each stands between two baselines.
const SLICES_PER_ROUND: u64 = 3;

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    let alone = run.args.load.no_baselines;
    let fans = run.fans(if alone { FANS_ALONE } else { FANS });
    run.live.phase(&format!("{fans} fans charge their wallets and hold two seats each"));
    let seats = DistinctSeats::open(run, fans).await?;
    let dates = seats.dates(fans).await.map_err(RehearsalError::setup("the sale"))?;
    let (holds, prepared) = prepare(run, &seats, &dates, fans).await;
    let (next, purpose, method) = (Mutex::new(0), seats.purpose(), run.args.load.method);
    let holds = Arc::new(Holds { seats: seats.clone(), ready: holds, next, purpose, method });
    let ready = holds.len();
    if ready < fans {
        run.live.phase(&format!("{ready} of {fans} fans are ready to pay"));
    }
    let paced = ready * if alone { PACED_PERCENT_ALONE } else { PACED_PERCENT } / 100;
    let slices = if alone { 1 } else { u64::from(run.args.load.pairs) * SLICES_PER_ROUND };
    let share = (ready - paced) / slices;
    let variant = Variant::saturated(CALL, &BASELINES, {
        let holds = Arc::clone(&holds);
        Box::new(move |lasts| {
            let holds = Arc::clone(&holds);
            Box::pin(async move {
                let (first, count) = holds.take(share, ready - paced);
                if count == 0 {
                    return Err("no hold is left to pay".to_owned());
                }
                let paying = run.load.closed_loop(callers(run, lasts, count), move |number| {
                    let holds = Arc::clone(&holds);
                    async move { holds.pay(first + number).await }
                });
                Ok(paying.await)
            })
        })
    });
    let mut compared = compare(run, vec![variant], before_pace(run)).await;
    let (first, count) = holds.take(u64::MAX, ready);
    let paced = pace(run, CALL, compared.measurements.first(), count, move |number| {
        let holds = Arc::clone(&holds);
        async move { holds.pay(first + number).await }
    });
    let paced = paced.await;
    compared.measurements.extend(paced);
    let mut findings = Findings { performances: seats.sale.performances(), ..Findings::of(compared) };
    findings.measurements = iter::once(prepared).chain(findings.measurements).collect();
    Ok(findings)
}

/// Holds that wait to be paid, each once.
struct Holds {
    seats: DistinctSeats,
    /// Each fan who has charged and holds, with the reservation.
    ready: Vec<(u64, String)>,
    next: Mutex<u64>,
    purpose: u64,
    method: Method,
}

impl Holds {
    fn len(&self) -> u64 {
        u64::try_from(self.ready.len()).unwrap_or(u64::MAX)
    }

    /// The next holds, as many as these at most and none from `end` on: the number of the first, and how many.
    fn take(&self, most: u64, end: u64) -> (u64, u64) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, count) = (*next, most.min(end.saturating_sub(*next)));
        *next += count;
        (first, count)
    }

    async fn pay(&self, number: u64) -> Outcome {
        let Some((fan, reservation)) = usize::try_from(number).ok().and_then(|number| self.ready.get(number)) else {
            return Outcome::given_up();
        };
        let request = self.seats.request(self.purpose, *fan);
        let caller = self.seats.callers.turn(*fan);
        Outcome::of(&match self.method {
            Method::Wallet => caller.pay(request, reservation).await,
            Method::Card => caller.pay_by_card(request, reservation).await,
        })
    }
}

/// Charges the wallets and holds the seats, within a part of the time. Answers each fan who did both, with the hold, and what that
/// took.
async fn prepare(run: &Run<'_>, seats: &DistinctSeats, dates: &Dates, fans: u64) -> (Vec<(u64, String)>, Measurement) {
    let ready: Arc<Mutex<Vec<(u64, String)>>> = Arc::default();
    let (callers, dates, holds, purpose) = (seats.clone(), dates.clone(), Arc::clone(&ready), seats.purpose());
    let lasts = before_pace(run).saturating_duration_since(Instant::now()) / PREPARING_PART;
    let everybody = Saturated { in_flight: PREPARING_AT_ONCE, lasts, calls_max: fans };
    let prepared = run.load.saturate(everybody, ("prepared", "TopUp and HoldSeats"), move |fan| {
        let (seats, dates, holds) = (callers.clone(), dates.clone(), Arc::clone(&holds));
        async move {
            let prepared = async {
                seats.callers.turn(fan).top_up(seats.request(purpose, fan), 2 * PRICE_MINOR).await?;
                dates.hold(fan).await
            };
            let hold = prepared.await;
            let outcome = Outcome::of(&hold);
            if let Ok(hold) = hold {
                holds.lock().unwrap_or_else(PoisonError::into_inner).push((fan, hold.reservation_id));
            }
            outcome
        }
    });
    let prepared = prepared.await;
    let ready = std::mem::take(&mut *ready.lock().unwrap_or_else(PoisonError::into_inner));
    (ready, prepared)
}
