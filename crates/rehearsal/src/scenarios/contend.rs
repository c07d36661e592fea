//! A crowd at once on the same two seats.

use std::time::Duration;

use crate::baselines::at_once;
use crate::hall::PerformanceContext;
use crate::load::{Outcome, Paced};
use crate::operator::Terms;
use crate::rehearsal::{Findings, RehearsalError, Run};
use crate::report::model::{Figure, Measurement, PromiseReport};
use crate::scenarios::callers::{Callers, request_id};
use crate::scenarios::part::{Beside, baselines};

/// How many want them, unless a number is asked for.
const CROWDS: [u64; 3] = [1_000, 10_000, 20_000];
/// A hall of a usual size: the two seats are two of these.
const SEATS: u32 = 2_000;

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    let crowds = run.args.crowd.fans.map_or(CROWDS.to_vec(), |fans| vec![fans]);
    let most = crowds.iter().copied().max().unwrap_or(1);
    run.live.phase(&format!("{most} fans"));
    let hall = PerformanceContext::of(SEATS);
    let terms = Terms { seats_per_fan: 8, hold_for: Duration::from_mins(5), queue: None };
    let dates = u32::try_from(crowds.len()).unwrap_or(1);
    let sale = run.stage.operator.put_on_sale(hall, &terms, dates);
    let performances = sale.await.map_err(RehearsalError::setup("the sale"))?;
    let callers = Callers::make(run, most).await?;
    let pair = hall.pairs().swap_remove(0);
    let mut findings = Findings { performances: performances.clone(), ..Findings::default() };
    for (performance, crowd) in performances.iter().zip(crowds.iter().copied()) {
        if run.stop().is_cancelled() {
            break;
        }
        run.live.phase(&format!("{crowd} fans at once on the same two seats"));
        let measured = contend(run, &callers, performance, &pair, crowd).await;
        if measured.calls() == crowd {
            let name = format!("{}: all answered after", measured.phase);
            findings.figures.push(Figure::new(name, measured.seconds, "s"));
        }
        findings.promises.push(one_winner(&measured, crowd));
        findings.measurements.push(measured);
    }
    let beside = [Beside::Redis, Beside::Commits].into_iter();
    let beside: Vec<_> = beside.chain(crowds.iter().map(|crowd| Beside::ContendForUpdate(*crowd))).collect();
    findings.baselines = baselines(run, &beside, &findings.measurements).await;
    Ok(findings)
}

async fn contend(run: &Run<'_>, callers: &Callers, performance: &str, pair: &[String; 2], crowd: u64) -> Measurement {
    // If it cannot be read now, the crowd will see it too.
    let _ = callers.look_at(performance).await;
    let phase = at_once(crowd);
    run.load
        .pace(Paced::at_once(crowd), (&phase, "HoldSeats"), |number| {
            let (caller, pair) = (callers.turn(number).clone(), pair.clone());
            let (performance, request) = (performance.to_owned(), request_id(run.args.seed, crowd, number));
            async move { Outcome::of(&caller.hold(request, &performance, &pair).await) }
        })
        .await
}

fn one_winner(measured: &Measurement, crowd: u64) -> PromiseReport {
    let answered = measured.successes + measured.refused();
    // If some were not answered, or the rehearsal ended before, the winner may be among them.
    let kept = measured.successes == 1 || (measured.successes == 0 && answered < crowd);
    let finding = format!("{}: {} were told that the seats are theirs", measured.phase, measured.successes);
    PromiseReport {
        promise: "one_winner".to_owned(),
        witness: "crowd".to_owned(),
        examined: 1,
        breaches: u64::from(!kept),
        findings: if kept { Vec::new() } else { vec![finding] },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Tally;

    #[test]
    fn two_winners_break_the_promise_and_so_does_none_if_all_were_answered() {
        let breaches = |successes: u64, refusals: u64, failures: u64| {
            let mut tally = Tally::default();
            let refused = Outcome::Refused("SEATS_TAKEN".to_owned());
            for (count, outcome) in
                [(successes, Outcome::Success), (refusals, refused), (failures, Outcome::given_up())]
            {
                (0..count).for_each(|_| tally.count(Duration::ZERO, outcome.clone()));
            }
            one_winner(&tally.measurement("10 at once", "HoldSeats", None, Duration::ZERO), 10).breaches
        };
        assert_eq!((breaches(1, 9, 0), breaches(2, 8, 0), breaches(0, 10, 0)), (0, 1, 1));
        assert_eq!(breaches(0, 9, 1), 0, "the winner may be the one who was not answered");
        assert_eq!(breaches(0, 7, 0), 0, "or one of those who were cut off");
        assert_eq!(breaches(2, 3, 4), 1);
    }
}
