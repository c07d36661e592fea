//! Paying live holds from wallets, one payment a fan.

use std::iter;
use std::sync::{Arc, Mutex, PoisonError};

use crate::load::{Outcome, Saturated};
use crate::operator::PRICE_MINOR;
use crate::rehearsal::{Findings, RehearsalError, Run};
use crate::report::model::Measurement;
use crate::scenarios::distinct::DistinctSeats;
use crate::scenarios::part::{Beside, baselines, saturate_and_pace};

/// How many fans pay by default.
const FANS: u64 = 12_000;
/// How many of them charge and hold at once beforehand.
const PREPARING_AT_ONCE: u64 = 128;

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    let fans = run.fans(FANS);
    run.live.phase(&format!("{fans} fans charge their wallets and hold two seats each"));
    let seats = DistinctSeats::on_sale(run, fans, fans).await?;
    let (holds, prepared) = prepare(run, &seats, fans).await;
    let ready = u64::try_from(holds.len()).unwrap_or(0);
    if ready < fans {
        run.live.phase(&format!("only {ready} of {fans} fans are ready to pay"));
    }
    let paying = seats.clone();
    let measurements = saturate_and_pace(run, "PayReservation", ready, move |number| {
        let seats = paying.clone();
        let (fan, reservation) = holds[usize::try_from(number).unwrap_or(0)].clone();
        async move { Outcome::of(&seats.callers.turn(fan).pay(seats.request(fan, 2), &reservation).await) }
    });
    let measurements = measurements.await;
    let beside = [Beside::Redis, Beside::Commits, Beside::PayForUpdate];
    let baselines = baselines(run, &beside, &measurements).await;
    let measurements = iter::once(prepared).chain(measurements).collect();
    Ok(Findings { measurements, baselines, performances: seats.performances.to_vec(), ..Findings::default() })
}

/// Charges the wallets and holds the seats. Answers each fan who did both, with the hold, and what that took.
async fn prepare(run: &Run<'_>, seats: &DistinctSeats, fans: u64) -> (Arc<[(u64, String)]>, Measurement) {
    let ready: Arc<Mutex<Vec<(u64, String)>>> = Arc::default();
    let (preparing, holds) = (seats.clone(), Arc::clone(&ready));
    let everybody = Saturated { in_flight: PREPARING_AT_ONCE, lasts: run.args.bound(), calls_max: fans };
    let prepared = run.load.saturate(everybody, ("prepared", "TopUp and HoldSeats"), move |fan| {
        let (seats, holds) = (preparing.clone(), Arc::clone(&holds));
        async move {
            let prepared = async {
                seats.callers.turn(fan).top_up(seats.request(fan, 1), 2 * PRICE_MINOR).await?;
                seats.hold(fan).await
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
    (ready.into(), prepared)
}
