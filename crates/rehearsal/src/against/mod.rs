//! Two builds compared: a whole short rehearsal by each, which take turns on the machine ([`turns`]).
//!
//! Each rehearsal is a process of its own, with a client of its own, servers of its own and stores of its own, so that builds whose
//! contracts differ can be compared too. One figure is read from each report, and pairs of them are summarized as the slices of a scenario
//! and a baseline are ([`crate::pairs`]).

mod build;
mod figures;
mod report;
mod turns;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Child;
use tokio::time::{Instant, timeout};

pub use build::{Build, BuildError};
pub use report::{AgainstReport, BuildPair, FigureComparison, text};

use crate::live::Live;
use crate::operator::Bounds;
use crate::options::RehearseArgs;
use crate::pairs::ratios::summarize;
use crate::pairs::steal::{STEAL_MAX, StealMeter};
use figures::{ChildReport, FigureValue};
use turns::Turns;

/// The report's file for programs.
pub const JSON_FILE: &str = "against.json";
/// How many pairs are run at most, as a multiple of those that are wanted: pairs that are dropped are made up for, within limits.
const ROUNDS_PER_PAIR: u32 = 2;
/// How many seconds each rehearsal may last, at least and at most. Half of them is the other's.
const RUN_SECONDS: (u64, u64) = (30, 150);
/// What a rehearsal says goes to this file in its folder.
const LOG_FILE: &str = "rehearse.log";
/// How much longer than that a process may take before it is ended: an older build audits after its time.
const RUN_MARGIN: Duration = Duration::from_secs(90);
/// How many lines of what a failed rehearsal said are told.
const TOLD_LINES: usize = 3;
/// What a rehearsal ends with if promises were broken, or if something was not examined; its figures are there all the same.
const WITH_FIGURES: [i32; 3] = [0, 3, 4];

/// The names under which the report tells the builds.
const NAMES: [&str; 2] = ["A, this build", "B, the other build"];

/// Compares this build, whose program is `this`, with another, until every figure has its pairs or the time is over.
pub async fn compare(
    args: &RehearseArgs,
    (this, other): (&Path, &Path),
    command: String,
    bounds: &Bounds,
    live: &Live,
) -> Result<AgainstReport, BuildError> {
    let server = args.environment.encore.as_deref();
    let builds = [Build::identify(this, server).await?, Build::identify(other, None).await?];
    let wanted = args.load.pairs;
    let seconds = seconds_of_each(bounds.lasts, wanted);
    let mut report = AgainstReport::new(args.scenario.name(), command, builds.clone(), seconds);
    let (mut took, mut rounds) = (Duration::ZERO, 0);
    while rounds < wanted.saturating_mul(ROUNDS_PER_PAIR) && report.kept() < wanted {
        let expected = took.checked_div(rounds).unwrap_or(Duration::from_secs(seconds));
        if bounds.stop.is_cancelled() || Instant::now() + expected > bounds.over_at {
            break;
        }
        let (begun, a_first) = (Instant::now(), rounds.is_multiple_of(2));
        live.phase(&format!("pair {}", rounds + 1));
        let outs = ["a", "b"].map(|name| args.out.join(format!("pair-{}-{name}", rounds + 1)));
        let both = run_both(&builds, args, seconds, &outs, a_first);
        let Some([a, b]) = bounds.stop.run_until_cancelled(both).await else { break };
        report.add(a, b, a_first);
        took += begun.elapsed();
        rounds += 1;
    }
    report.conclude(wanted, bounds.stop.is_cancelled());
    Ok(report)
}

/// How many seconds each rehearsal may last, so that all pairs fit with some margin.
fn seconds_of_each(lasts: Duration, pairs: u32) -> u64 {
    let share = lasts.as_secs() * 9 / 10 / u64::from(pairs);
    share.clamp(RUN_SECONDS.0, RUN_SECONDS.1)
}

/// What a rehearsal of one build brought, and the share of processor time that was stolen meanwhile.
type Run = Result<(ChildReport, f64), String>;

/// Runs both at once. While one is running, the other is stopped.
async fn run_both(
    builds: &[Build; 2],
    args: &RehearseArgs,
    seconds: u64,
    outs: &[PathBuf; 2],
    a_first: bool,
) -> [Run; 2] {
    let steal = StealMeter::start();
    let start = |index: usize| start(&builds[index], args, seconds, &outs[index]);
    let (mut a, mut b) = match (start(0), start(1)) {
        (Ok(a), Ok(b)) => (a, b),
        (a, b) => {
            return [a, b].map(|started| Err(started.err().unwrap_or_else(|| "the other cannot be run".to_owned())));
        }
    };
    let roots = [a.id(), b.id()].map(Option::unwrap_or_default);
    let turns = match Turns::new(roots) {
        Ok(turns) => turns,
        Err(error) => return [0, 1].map(|_| Err(format!("processes cannot be listed: {error}"))),
    };
    let both = async { tokio::join!(end(&mut a, seconds, &outs[0], steal), end(&mut b, seconds, &outs[1], steal)) };
    let taking_turns = async {
        turns.alternate(usize::from(!a_first)).await;
        std::future::pending::<[Run; 2]>().await
    };
    tokio::select! {
        (a, b) = both => [a, b],
        runs = taking_turns => runs,
    }
}

fn start(build: &Build, args: &RehearseArgs, seconds: u64, out: &Path) -> Result<Child, String> {
    let log = out.join(LOG_FILE);
    // A report that is found must be of this run.
    let _ = fs::remove_dir_all(out);
    let opened = fs::create_dir_all(out).and_then(|()| File::create(&log));
    let opened = opened.map_err(|error| format!("{} cannot be written: {error}", log.display()))?;
    build.start(args, seconds, out, opened).map_err(|error| format!("it cannot be run: {error}"))
}

/// Waits until a rehearsal has ended, and reads its report.
async fn end(child: &mut Child, seconds: u64, out: &Path, steal: StealMeter) -> Run {
    let ended = timeout(Duration::from_secs(seconds) + RUN_MARGIN, child.wait()).await;
    let status = match ended {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Err(format!("it cannot be waited for: {error}")),
        Err(_) => return Err("it did not end in time".to_owned()),
    };
    let stolen = steal.stolen();
    if !status.code().is_some_and(|code| WITH_FIGURES.contains(&code)) {
        return Err(format!("it ended with {status}: {}", last_lines(&out.join(LOG_FILE))));
    }
    let json = fs::read(out.join(crate::report::JSON_FILE)).map_err(|error| format!("it left no report: {error}"))?;
    let report = ChildReport::parse(&json).map_err(|error| format!("its report cannot be read: {error}"))?;
    if report.interrupted {
        return Err("it was over before it had measured everything".to_owned());
    }
    Ok((report, stolen))
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TOLD_LINES)..].join("; ")
}

impl AgainstReport {
    fn new(scenario: &str, command: String, [a, b]: [Build; 2], seconds_per_rehearsal: u64) -> Self {
        Self {
            scenario: scenario.to_owned(),
            command,
            a,
            b,
            seconds_per_rehearsal,
            interrupted: false,
            comparisons: Vec::new(),
            failed: 0,
            failures: Vec::new(),
            broken: Vec::new(),
            unexamined: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// How many pairs the primary figure has.
    fn kept(&self) -> u32 {
        let kept = self.comparisons.first().map_or(0, |primary| primary.pairs.iter().filter(|it| !it.dropped).count());
        u32::try_from(kept).unwrap_or(u32::MAX)
    }

    fn add(&mut self, a: Run, b: Run, a_first: bool) {
        for (name, run) in NAMES.iter().zip([&a, &b]) {
            match run {
                Ok((report, _)) => {
                    self.broken.extend(report.broken().into_iter().map(|promise| format!("{name}: {promise}")));
                    self.unexamined.extend(report.unexamined().iter().map(|what| format!("{name}: {what}")));
                }
                Err(why) => self.failures.push(format!("{name}: {why}")),
            }
        }
        let (Ok((a, stolen_a)), Ok((b, stolen_b))) = (a, b) else {
            self.failed += 1;
            return;
        };
        let stolen = stolen_a.max(stolen_b);
        let others = b.values();
        let mut has_any = false;
        for value in a.values() {
            let Some(other) = others.iter().find(|other| other.name == value.name) else { continue };
            has_any |= self.add_value(&value, other.amount, a_first, stolen);
        }
        if !has_any {
            self.failed += 1;
            self.failures.push("the reports have no figure in common".to_owned());
        }
    }

    fn add_value(&mut self, value: &FigureValue, other: f64, a_first: bool, stolen: f64) -> bool {
        let ratio = if value.less_is_better { other / value.amount } else { value.amount / other };
        if !ratio.is_finite() {
            return false;
        }
        let found = self.comparisons.iter().position(|it| it.figure == value.name);
        let comparison = match found {
            Some(index) => &mut self.comparisons[index],
            None => self.comparisons.push_mut(FigureComparison {
                figure: value.name.clone(),
                unit: value.unit.clone(),
                less_is_better: value.less_is_better,
                ratio: None,
                stolen: 0,
                pairs: Vec::new(),
            }),
        };
        let dropped = stolen > STEAL_MAX;
        comparison.stolen += u64::from(dropped);
        comparison.pairs.push(BuildPair { a: value.amount, b: other, ratio, a_first, stolen, dropped });
        true
    }

    fn conclude(&mut self, wanted: u32, interrupted: bool) {
        self.interrupted = interrupted;
        for comparison in &mut self.comparisons {
            let kept: Vec<f64> = comparison.pairs.iter().filter(|pair| !pair.dropped).map(|pair| pair.ratio).collect();
            comparison.ratio = summarize(&kept);
        }
        if self.kept() < wanted {
            self.notes.push(format!("{} of {wanted} pairs: more did not fit into --seconds", self.kept()));
        }
        if self.failed > 0 {
            self.notes.push(format!("{} pairs failed", self.failed));
        }
        let stolen = self.comparisons.first().map_or(0, |primary| primary.stolen);
        if stolen > 0 {
            self.notes.push(format!("{stolen} pairs were dropped because CPU was stolen"));
        }
    }
}

/// The program that is running.
pub fn this_program() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::default_comparison_seconds;

    fn build(program: &str) -> Build {
        Build::for_tests(program)
    }

    fn child(scenario: &str, phase: &str, rate: f64, seconds: f64) -> ChildReport {
        let measurement =
            serde_json::json!({ "phase": phase, "call": "HoldSeats", "seconds": seconds, "answers_per_second": rate });
        let report = serde_json::json!({ "scenario": scenario, "interrupted": false, "measurements": [measurement] });
        ChildReport::parse(report.to_string().as_bytes()).expect("a report")
    }

    fn report() -> AgainstReport {
        AgainstReport::new("hold", "encore-rehearse hold".to_owned(), [build("a"), build("b")], 30)
    }

    #[test]
    fn all_pairs_fit_into_the_time() {
        let of_each = |seconds, pairs| seconds_of_each(Duration::from_secs(seconds), pairs);
        assert_eq!((of_each(560, 7), of_each(120, 1), of_each(4_000, 7), of_each(10, 7)), (72, 108, 150, 30));
        for pairs in [1, 7, 30] {
            assert!(
                u64::from(pairs) * of_each(default_comparison_seconds(pairs), pairs)
                    <= default_comparison_seconds(pairs)
            );
        }
    }

    #[test]
    fn above_one_this_build_is_better_whether_more_or_less_is() {
        let mut rates = report();
        rates.add(
            Ok((child("hold", "saturated", 300.0, 5.0), 0.0)),
            Ok((child("hold", "saturated", 200.0, 5.0), 0.0)),
            true,
        );
        rates.conclude(1, false);
        assert_eq!(rates.comparisons[0].ratio.map(|ratio| ratio.median), Some(1.5));
        let mut seconds = report();
        let slow = child("contend", "9 at once", 1.0, 2.0);
        seconds.add(Ok((slow, 0.0)), Ok((child("contend", "9 at once", 1.0, 3.0), 0.0)), true);
        seconds.conclude(1, false);
        assert_eq!(seconds.comparisons[0].ratio.map(|ratio| ratio.median), Some(1.5));
    }

    #[test]
    fn pairs_that_were_stolen_from_or_failed_do_not_count_and_are_told() {
        let mut report = report();
        let run = |rate, stolen| Ok((child("hold", "saturated", rate, 5.0), stolen));
        report.add(run(100.0, 0.0), run(100.0, 0.0), true);
        report.add(run(900.0, 0.3), run(100.0, 0.0), false);
        report.add(run(900.0, 0.0), Err("it ended with 1".to_owned()), true);
        report.conclude(7, false);
        assert_eq!(report.comparisons[0].ratio.map(|ratio| (ratio.pairs, ratio.median)), Some((1, 1.0)));
        assert_eq!((report.comparisons[0].stolen, report.failed), (1, 1));
        assert_eq!(report.failures, ["B, the other build: it ended with 1"]);
        let told = text(&report);
        for expected in ["1 of 7 pairs", "1 pairs failed", "dropped because CPU was stolen", "saturated HoldSeats"] {
            assert!(told.contains(expected), "{expected} is missing in {told}");
        }
    }

    #[test]
    fn reports_without_a_common_figure_are_a_failed_pair() {
        let mut report = report();
        report.add(Ok((child("hold", "saturated", 1.0, 1.0), 0.0)), Ok((child("hold", "other", 1.0, 1.0), 0.0)), true);
        assert_eq!((report.failed, report.comparisons.len()), (1, 0));
    }
}
