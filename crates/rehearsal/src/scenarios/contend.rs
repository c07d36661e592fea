//! Many callers at once on the same two seats.

use std::time::Duration;

use uuid::Uuid;

use crate::baselines::{Kind, Way, at_once};
use crate::load::{Counted, Outcome, Paced};
use crate::operator::Terms;
use crate::pairs::RunSlice;
use crate::pairs::ratios::summarize;
use crate::report::model::{Figure, PromiseReport};
use crate::scenario::{Findings, RehearsalError, Run};
use crate::scenarios::callers::{Callers, request_id};
use crate::scenarios::single_call::{Variant, compare};
use crate::venue::Venue;

/// How many want them, unless a number is asked for.
const CALLERS: [u64; 3] = [1_000, 10_000, 20_000];
/// A venue of a usual size: the two seats are two of these.
const SEATS: u32 = 2_000;
/// How many breaches are named.
const FINDINGS_MAX: usize = 100;
const CALL: &str = "HoldSeats";

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    let counts = run.args.users.fans.map_or(CALLERS.to_vec(), |fans| vec![fans]);
    let most = counts.iter().copied().max().unwrap_or(1);
    run.live.phase(&format!("{most} fans"));
    let venue = Venue::of(SEATS);
    let terms = Terms { seats_per_fan: 8, hold_for: Duration::from_mins(5), queue: None };
    let sale = run.environment.operator.open_sale(venue, &terms).await.map_err(RehearsalError::setup("the sale"))?;
    let callers = Callers::make(run, most).await?;
    let pair = venue.pairs().swap_remove(0);
    let variants = counts.iter().map(|count| {
        let (sale, callers, pair, count) = (sale.clone(), callers.clone(), pair.clone(), *count);
        let slice: RunSlice<'_> = Box::new(move |_| {
            let (sale, callers, pair) = (sale.clone(), callers.clone(), pair.clone());
            Box::pin(async move {
                let performance = sale.date().await.map_err(|status| status.message().to_owned())?;
                callers.look_at(&performance).await.map_err(|status| status.message().to_owned())?;
                Ok(contend(run, &callers, &performance, &pair, count).await)
            })
        });
        // All sizes are compared with what one would write instead, the largest with the ceilings too.
        let mut beside = Way::ALL.map(|way| Kind::Contend(way, count)).to_vec();
        if count == most {
            beside.extend([Kind::Commits, Kind::Redis, Kind::Transport]);
        }
        Variant { phase: at_once(count), call: CALL.to_owned(), timed: false, beside, slice }
    });
    let compared = compare(run, variants.collect(), run.ends_at).await;
    let mut findings = Findings { performances: sale.performances(), ..Findings::default() };
    for (slices, count) in compared.slices.iter().zip(counts) {
        let answered = slices.iter().filter(|slice| slice.calls() == count);
        let seconds: Vec<f64> = answered.map(|slice| slice.lasted().as_secs_f64()).collect();
        if let Some(summary) = summarize(&seconds) {
            findings.figures.push(Figure::new(format!("{}: all answered after", at_once(count)), summary.median, "s"));
        }
        findings.promises.push(one_winner(slices, count));
    }
    let figures = std::mem::take(&mut findings.figures);
    Ok(Findings { figures, promises: findings.promises, performances: findings.performances, ..Findings::of(compared) })
}

async fn contend(run: &Run<'_>, callers: &Callers, performance: &str, pair: &[String; 2], count: u64) -> Counted {
    let contending = run.load.open_loop(Paced::at_once(count), |number| {
        let (caller, pair) = (callers.turn(number).clone(), pair.clone());
        // The seats of each date are wanted once, so each performance and caller has a request id of its own.
        let (performance, request) = (performance.to_owned(), request_for(performance, run.args.seed, number));
        async move { Outcome::of(&caller.hold(request, &performance, &pair).await) }
    });
    contending.await
}

/// Another request for each performance and caller.
fn request_for(performance: &str, seed: u64, number: u64) -> Uuid {
    let purpose = performance.bytes().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    request_id(seed, purpose, number)
}

fn one_winner(slices: &[Counted], count: u64) -> PromiseReport {
    // If some were not answered, or the rehearsal ended before, the winner may be among them.
    let kept = |slice: &Counted| slice.successes() == 1 || (slice.successes() == 0 && slice.answers() < count);
    let broken: Vec<_> = slices.iter().filter(|slice| !kept(slice)).collect();
    let finding = |slice: &&Counted| {
        format!("{}: {} callers were told that they hold the seats", at_once(count), slice.successes())
    };
    PromiseReport {
        promise: "one_winner".to_owned(),
        examined_by: "checker".to_owned(),
        examined: u64::try_from(slices.len()).unwrap_or(u64::MAX),
        breaches: u64::try_from(broken.len()).unwrap_or(u64::MAX),
        findings: broken.iter().map(finding).take(FINDINGS_MAX).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_winners_break_the_promise_and_so_does_none_if_all_were_answered() {
        let breaches = |successes: u64, refusals: u64, failures: u64| {
            let refused = Outcome::Refused("SEATS_TAKEN".to_owned());
            let outcomes = [(successes, Outcome::Success), (refusals, refused), (failures, Outcome::given_up())];
            one_winner(&[Counted::of(&outcomes)], 10).breaches
        };
        assert_eq!((breaches(1, 9, 0), breaches(2, 8, 0), breaches(0, 10, 0)), (0, 1, 1));
        assert_eq!(breaches(0, 9, 1), 0, "the winner may be the one who was not answered");
        assert_eq!(breaches(0, 7, 0), 0, "or one of those who were cut off");
        assert_eq!(breaches(2, 3, 4), 1);
    }

    #[test]
    fn every_slice_is_examined() {
        let slices = [1, 2, 1].map(|winners| Counted::of(&[(winners, Outcome::Success)]));
        let report = one_winner(&slices, 10);
        assert_eq!((report.examined, report.breaches, report.findings.len()), (3, 1, 1));
    }

    #[test]
    fn the_same_caller_asks_each_performance_under_another_request_id() {
        assert_ne!(request_for("one", 1, 7), request_for("other", 1, 7));
        assert_eq!(request_for("one", 1, 7), request_for("one", 1, 7));
    }
}
