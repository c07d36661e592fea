//! Everybody at once for fewer seats than fans: one seat each, best available, without a queue.

use std::time::Duration;

use tokio::time::sleep;

use crate::baselines::at_once;
use crate::load::tally::to_f64;
use crate::load::{Counted, Outcome, Paced};
use crate::operator::Terms;
use crate::report::model::{Figure, PromiseReport};
use crate::scenario::{Findings, RehearsalError, Run};
use crate::scenarios::callers::{Callers, request_id};
use crate::venue::Venue;

/// How many fans want a seat by default.
const FANS: u64 = 100_000;
/// How many fans there are for each seat.
const FANS_PER_SEAT: u64 = 10;
/// Longer than the rehearsal: nothing expires.
const HOLD_FOR: Duration = Duration::from_mins(30);
/// How often a fan who was not answered, or was told that the server is overloaded, asks again, with the same request.
const ATTEMPTS_MAX: u32 = 100;
/// The reason of a refusal that says nothing about seats.
const OVERLOADED: &str = "OVERLOADED";
/// The pause before asking again.
const PAUSE: Duration = Duration::from_millis(200);
const CALL: &str = "HoldSeats";
/// The auditor's promise that counts the live seats in Postgres.
const COUNTS_SEATS: &str = "double_sold_seat";

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    let fans = run.fans(FANS);
    let seats = u32::try_from(fans.div_ceil(FANS_PER_SEAT)).unwrap_or(u32::MAX);
    run.live.phase(&format!("{fans} fans, and {seats} seats"));
    let venue = Venue::of(seats);
    let terms = Terms { seats_per_fan: 1, hold_for: HOLD_FOR, queue: None };
    let operator = &run.environment.operator;
    let sale = operator.open_sale(venue, &terms).await.map_err(RehearsalError::setup("the sale"))?;
    let performance = sale.date().await.map_err(RehearsalError::setup("the sale"))?;
    let callers = Callers::make(run, fans).await?;
    callers.look_at(&performance).await.map_err(RehearsalError::setup("the sale"))?;
    run.live.phase(&format!("{fans} fans hold at once"));
    let counted = rush(run, &callers, &performance, fans).await;
    let examined = operator.verify(&performance).await.map(|promises| {
        promises.into_iter().find(|promise| promise.name == COUNTS_SEATS).map_or(0, |promise| promise.examined)
    });
    let sold = examined.map_err(RehearsalError::setup("counting the seats"))?;
    Ok(Findings {
        measurements: vec![counted.measurement(&at_once(fans), CALL)],
        figures: vec![
            Figure::new("all answered after", counted.lasted().as_secs_f64(), "s"),
            Figure::new("seats held, as Postgres counts them", to_f64(sold), "seats"),
        ],
        promises: vec![sold_exactly(&counted, fans, u64::from(venue.seats()), sold)],
        performances: sale.performances(),
        ..Findings::default()
    })
}

async fn rush(run: &Run<'_>, callers: &Callers, performance: &str, fans: u64) -> Counted {
    let rushing = run.load.open_loop(Paced::at_once(fans), |number| {
        let (caller, performance) = (callers.turn(number).clone(), performance.to_owned());
        let request = request_id(run.args.seed, 0, number);
        async move {
            for _ in 0..ATTEMPTS_MAX {
                let outcome = Outcome::of(&caller.hold_best(request, &performance, 1).await);
                if outcome.is_answer() && outcome != Outcome::Refused(OVERLOADED.to_owned()) {
                    return outcome;
                }
                sleep(PAUSE).await;
            }
            Outcome::given_up()
        }
    });
    rushing.await
}

/// Each seat is held by one of those who were told so, and nobody was refused while one was left. Fans who were not answered may hold
/// the seats that nobody was told of.
fn sold_exactly(counted: &Counted, fans: u64, seats: u64, sold: u64) -> PromiseReport {
    let unanswered = fans.saturating_sub(counted.answers());
    let expected = seats.min(fans);
    let mut findings = Vec::new();
    if sold > seats || sold < expected.saturating_sub(unanswered) {
        findings.push(format!("{sold} seats are held in Postgres, of {seats}"));
    }
    if counted.successes() > sold {
        findings.push(format!("{} fans were told that they hold a seat, and {sold} do", counted.successes()));
    }
    if sold > counted.successes() + unanswered {
        findings.push(format!("{sold} seats are held, and {} fans were told so", counted.successes()));
    }
    PromiseReport {
        promise: "sold_exactly".to_owned(),
        examined_by: "auditor".to_owned(),
        examined: sold,
        breaches: u64::try_from(findings.len()).unwrap_or(u64::MAX),
        findings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(successes: u64, refusals: u64, failures: u64, sold: u64) -> u64 {
        let refused = Outcome::Refused("NOT_ENOUGH_SEATS".to_owned());
        let outcomes = [(successes, Outcome::Success), (refusals, refused), (failures, Outcome::given_up())];
        sold_exactly(&Counted::of(&outcomes), 100, 10, sold).breaches
    }

    #[test]
    fn all_seats_are_sold_and_to_those_who_were_told_so() {
        assert_eq!(breaches(10, 90, 0, 10), 0);
        assert_eq!(breaches(9, 91, 0, 9), 1, "somebody was refused while a seat was left");
        assert_eq!(breaches(11, 89, 0, 10), 1, "somebody was told so and has none");
        assert_eq!(breaches(11, 89, 0, 11), 1, "a seat too many");
        assert_eq!(breaches(9, 91, 0, 10), 1, "a seat that nobody was told of");
    }

    #[test]
    fn who_was_not_answered_may_hold_a_seat_or_not() {
        assert_eq!(breaches(8, 90, 2, 10), 0);
        assert_eq!(breaches(8, 90, 2, 8), 0);
        assert_eq!(breaches(8, 91, 1, 10), 1);
    }
}
