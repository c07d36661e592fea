//! The instrument: a scenario and its baselines in short slices that alternate, compared pair by pair.
//!
//! Machines change their speed within minutes, by more than the differences that are to be measured. Two rates are therefore compared
//! only if they were measured right after each other, in slices of the same length, and a comparison consists of several such pairs
//! whose order changes. What is reported is the median of the ratios of the pairs, its confidence interval and their range
//! ([`ratios`]). Pairs during which the hypervisor took the processors away are dropped and counted ([`steal`]).
//!
//! A scenario supplies closures that run one slice each; what they have to set up once they have set up before, and what a slice needs
//! for itself, such as free seats, it makes before its measured time begins. [`plan`] decides the order and the length of the slices.

pub mod plan;
pub mod ratios;
pub mod steal;

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::load::Counted;
use crate::report::model::Rate;
use crate::report::model::{Comparison, Pair};
use plan::{Budget, Compared, Round, SLICE_MIN, Slice};
use ratios::summarize;
use steal::{STEAL_MAX, StealMeter};

/// How many rounds are run at most, as a multiple of the pairs that are wanted: pairs that are dropped are made up for, within limits.
const ROUNDS_PER_PAIR: u32 = 2;
/// What each slice is assumed to take besides its measured time before one was run.
const PREPARING_GUESS: Duration = Duration::from_millis(200);

/// Runs a slice: given how long it lasts, answers what was counted in it, or why it could not be run.
pub(crate) type RunSlice<'r> = Box<dyn FnMut(Duration) -> BoxFuture<'r, Result<Counted, String>> + Send + 'r>;

/// One side of comparisons: a variant of the scenario, or a baseline.
pub(crate) struct Side<'r> {
    /// What it is called in the report.
    pub(crate) name: String,
    /// Whether a slice lasts a given time; otherwise it is over when a fixed amount of work is done.
    pub(crate) timed: bool,
    /// Runs a slice.
    pub(crate) slice: RunSlice<'r>,
}

/// What is compared with what.
pub(crate) struct Pairs<'r> {
    pub(crate) variants: Vec<Side<'r>>,
    pub(crate) baselines: Vec<Side<'r>>,
    /// Which variant with which baseline, and by which rate.
    pub(crate) compared: Vec<(Compared, Rate)>,
}

/// How many pairs, and in which time.
pub(crate) struct Limits<'s> {
    pub(crate) pairs: u32,
    pub(crate) ends_at: Instant,
    pub(crate) stop: &'s CancellationToken,
}

/// What the slices brought.
#[derive(Debug, Default)]
pub(crate) struct Paired {
    /// The slices of each variant.
    pub(crate) variants: Vec<Vec<Counted>>,
    /// The slices of each baseline.
    pub(crate) baselines: Vec<Vec<Counted>>,
    pub(crate) comparisons: Vec<Comparison>,
}

/// A slice that was run to its end.
struct Done {
    counted: Counted,
    stolen: f64,
}

impl Pairs<'_> {
    /// Runs rounds until every comparison has its pairs, or the time is over. `announce` is called before each round.
    pub(crate) async fn run(mut self, limits: Limits<'_>, announce: impl Fn(&str)) -> Paired {
        let mut paired = Paired {
            variants: self.variants.iter().map(|_| Vec::new()).collect(),
            baselines: self.baselines.iter().map(|_| Vec::new()).collect(),
            comparisons: self
                .compared
                .iter()
                .map(|(compared, rate)| self.comparison(*compared, *rate, limits.pairs))
                .collect(),
        };
        let compared: Vec<Compared> = self.compared.iter().map(|(compared, _)| *compared).collect();
        let mut fixed = Fixed::default();
        for number in 0..usize::try_from(limits.pairs.saturating_mul(ROUNDS_PER_PAIR)).unwrap_or(usize::MAX) {
            let fewest = paired.comparisons.iter().map(Comparison::kept).min().unwrap_or(limits.pairs);
            let round = Round::of(&compared, number);
            let timed = round.slices.iter().filter(|slice| self.is_timed(**slice)).count();
            let slices = u32::try_from(round.slices.len()).unwrap_or(u32::MAX);
            let budget = Budget {
                left: limits.ends_at.saturating_duration_since(Instant::now()),
                rounds: limits.pairs.saturating_sub(fewest),
                timed_slices: u32::try_from(timed).unwrap_or(u32::MAX),
                fixed_per_round: fixed.per_round().unwrap_or(PREPARING_GUESS * slices),
            };
            let Some(plan) = budget.plan() else { break };
            announce(&format!("round {}: {slices} slices of {} ms", number + 1, plan.slice.as_millis()));
            let begun = Instant::now();
            let mut done = Vec::new();
            for slice in &round.slices {
                done.push(self.run_slice(*slice, plan.slice, limits.stop).await);
            }
            if limits.stop.is_cancelled() {
                break;
            }
            fixed.add(begun.elapsed().saturating_sub(plan.slice * budget.timed_slices));
            for pairing in &round.pairings {
                let comparison = &mut paired.comparisons[pairing.comparison];
                let scenario_first = pairing.scenario < pairing.baseline;
                match (&done[pairing.scenario], &done[pairing.baseline]) {
                    (Ok(scenario), Ok(baseline)) => comparison.add(scenario, baseline, scenario_first, plan.slice),
                    (Err(why), _) | (_, Err(why)) => comparison.fail(why),
                }
            }
            for (slice, done) in round.slices.iter().zip(done) {
                let Ok(done) = done else { continue };
                match slice {
                    Slice::Scenario(variant) => paired.variants[*variant].push(done.counted),
                    Slice::Baseline(baseline) => paired.baselines[*baseline].push(done.counted),
                }
            }
        }
        for comparison in &mut paired.comparisons {
            comparison.conclude();
        }
        paired
    }

    fn is_timed(&self, slice: Slice) -> bool {
        match slice {
            Slice::Scenario(variant) => self.variants[variant].timed,
            Slice::Baseline(baseline) => self.baselines[baseline].timed,
        }
    }

    fn comparison(&self, (variant, baseline): Compared, rate: Rate, wanted: u32) -> Comparison {
        Comparison {
            measurement: self.variants[variant].name.clone(),
            baseline: self.baselines[baseline].name.clone(),
            rate,
            wanted,
            ratio: None,
            stolen: 0,
            failed: 0,
            failure: None,
            pairs: Vec::new(),
        }
    }

    async fn run_slice(&mut self, slice: Slice, lasts: Duration, stop: &CancellationToken) -> Result<Done, String> {
        if stop.is_cancelled() {
            return Err("the rehearsal was over".to_owned());
        }
        let side = match slice {
            Slice::Scenario(variant) => &mut self.variants[variant],
            Slice::Baseline(baseline) => &mut self.baselines[baseline],
        };
        let steal = StealMeter::start();
        let counted = (side.slice)(lasts).await?;
        Ok(Done { counted, stolen: steal.stolen() })
    }
}

impl Comparison {
    /// How many pairs count.
    pub(crate) fn kept(&self) -> u32 {
        u32::try_from(self.pairs.iter().filter(|pair| !pair.dropped).count()).unwrap_or(u32::MAX)
    }

    fn add(&mut self, scenario: &Done, baseline: &Done, scenario_first: bool, slice: Duration) {
        let (measured, beside) = (scenario.counted.per_second(self.rate), baseline.counted.per_second(self.rate));
        let ratio = measured / beside;
        if !ratio.is_finite() {
            return self.fail("nothing was answered");
        }
        let stolen = scenario.stolen.max(baseline.stolen);
        let dropped = stolen > STEAL_MAX;
        self.stolen += u64::from(dropped);
        let slice_seconds = slice.as_secs_f64();
        self.pairs.push(Pair { measured, baseline: beside, ratio, scenario_first, slice_seconds, stolen, dropped });
    }

    fn fail(&mut self, why: &str) {
        self.failed += 1;
        self.failure.get_or_insert_with(|| why.to_owned());
    }

    fn conclude(&mut self) {
        let kept: Vec<f64> = self.pairs.iter().filter(|pair| !pair.dropped).map(|pair| pair.ratio).collect();
        self.ratio = summarize(&kept);
    }

    /// What is to be known of it besides its ratio, as a sentence without its full stop; none if all went as asked for.
    pub(crate) fn note(&self) -> Option<String> {
        let mut reasons = Vec::new();
        if self.stolen > 0 {
            reasons.push(format!("{} pairs were dropped because CPU was stolen", self.stolen));
        }
        if let Some(why) = &self.failure {
            reasons.push(format!("{} pairs failed: {why}", self.failed));
        }
        if self.kept() < self.wanted {
            let least = SLICE_MIN.as_millis();
            reasons.push(format!(
                "{} of {} pairs fit into --seconds with slices of at least {least} ms",
                self.kept(),
                self.wanted
            ));
        }
        let name = format!("{} against {}", self.measurement, self.baseline);
        (!reasons.is_empty()).then(|| format!("{name}: {}", reasons.join("; ")))
    }
}

/// What the rounds so far took besides their measured time.
#[derive(Default)]
struct Fixed {
    sum: Duration,
    rounds: u32,
}

impl Fixed {
    fn add(&mut self, took: Duration) {
        self.sum += took;
        self.rounds += 1;
    }

    fn per_round(&self) -> Option<Duration> {
        self.sum.checked_div(self.rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tokio::time::sleep;

    type Log = Arc<Mutex<Vec<(&'static str, u64)>>>;

    /// A side that answers so many calls a second, and notes its slices.
    fn side(name: &'static str, per_second: u64, log: &Log) -> Side<'static> {
        let log = Arc::clone(log);
        let slice: RunSlice<'static> = Box::new(move |lasts| {
            log.lock().expect("nobody panicked").push((name, u64::try_from(lasts.as_millis()).unwrap()));
            Box::pin(async move {
                sleep(lasts).await;
                Ok(Counted::steady(per_second, lasts))
            })
        });
        Side { name: name.to_owned(), timed: true, slice }
    }

    async fn run(baselines: Vec<Side<'static>>, log: &Log, seconds: u64, pairs: u32) -> Paired {
        let compared = (0..baselines.len()).map(|baseline| ((0, baseline), Rate::Answers)).collect();
        let pairs_of = Pairs { variants: vec![side("A", 3_000, log)], baselines, compared };
        let ends_at = Instant::now() + Duration::from_secs(seconds);
        pairs_of.run(Limits { pairs, ends_at, stop: &CancellationToken::new() }, |_| {}).await
    }

    #[tokio::test(start_paused = true)]
    async fn slices_alternate_change_their_order_and_fit_into_the_time() {
        let (log, begun) = (Log::default(), Instant::now());
        let paired = run(vec![side("B", 1_000, &log)], &log, 14, 7).await;
        assert!(begun.elapsed() <= Duration::from_secs(14), "{:?}", begun.elapsed());
        let comparison = &paired.comparisons[0];
        let ratio = comparison.ratio.expect("seven pairs");
        assert_eq!((ratio.pairs, comparison.stolen, comparison.note()), (7, 0, None));
        assert!((ratio.median - 3.0).abs() < 0.01, "{ratio:?}");
        let log = log.lock().expect("nobody panicked").clone();
        let order: String = log.iter().map(|(name, _)| *name).collect();
        assert_eq!(order, "BAABBAABBAABBA");
        assert!(log.chunks(2).all(|pair| pair[0].1 == pair[1].1), "both slices of a pair are as long: {log:?}");
        assert!(comparison.pairs.windows(2).all(|two| two[0].scenario_first != two[1].scenario_first));
    }

    #[tokio::test(start_paused = true)]
    async fn fewer_pairs_are_run_than_slices_made_too_short_and_the_report_says_so() {
        let (log, begun) = (Log::default(), Instant::now());
        let paired = run(vec![side("B", 1_000, &log)], &log, 2, 7).await;
        assert!(begun.elapsed() <= Duration::from_secs(2));
        let comparison = &paired.comparisons[0];
        assert!((1..7).contains(&comparison.kept()), "{}", comparison.kept());
        let note = comparison.note().expect("fewer pairs");
        assert!(note.contains("of 7 pairs fit into --seconds"), "{note}");
        assert!(log.lock().expect("nobody panicked").iter().all(|(_, millis)| *millis >= 250));
    }

    #[tokio::test(start_paused = true)]
    async fn a_baseline_that_fails_costs_its_own_pairs_only() {
        let log = Log::default();
        let slice: RunSlice<'static> = Box::new(|_| Box::pin(async { Err("it is away".to_owned()) }));
        let broken = Side { name: "C".to_owned(), timed: true, slice };
        let paired = run(vec![side("B", 1_000, &log), broken], &log, 60, 7).await;
        assert_eq!(paired.comparisons[0].ratio.map(|ratio| ratio.median.round()), Some(3.0));
        assert_eq!((paired.comparisons[1].ratio, paired.comparisons[1].failed), (None, 14));
        let note = paired.comparisons[1].note().expect("a failure");
        assert!(note.contains("14 pairs failed: it is away"), "{note}");
    }

    #[test]
    fn a_pair_in_which_cpu_was_stolen_is_dropped_and_counted() {
        let second = Duration::from_secs(1);
        let done = |per_second, stolen| Done { counted: Counted::steady(per_second, second), stolen };
        let log = Log::default();
        let pairs = Pairs {
            variants: vec![side("A", 1, &log)],
            baselines: vec![side("B", 1, &log)],
            compared: vec![((0, 0), Rate::Answers)],
        };
        let mut comparison = pairs.comparison((0, 0), Rate::Answers, 3);
        comparison.add(&done(200, 0.0), &done(100, STEAL_MAX), true, second);
        comparison.add(&done(900, 0.021), &done(100, 0.0), false, second);
        comparison.add(&done(900, 0.0), &done(100, 0.5), true, second);
        comparison.conclude();
        assert_eq!((comparison.kept(), comparison.stolen, comparison.pairs.len()), (1, 2, 3));
        assert_eq!(comparison.ratio.map(|ratio| (ratio.pairs, ratio.median)), Some((1, 2.0)));
        let note = comparison.note().expect("dropped pairs");
        assert!(note.contains("2 pairs were dropped because CPU was stolen"), "{note}");
        assert!(note.contains("1 of 3 pairs fit"), "{note}");
    }
}
