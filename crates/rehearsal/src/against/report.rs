//! What a comparison of two builds found out, as it is written to `against.json`.

use serde::Serialize;

use super::build::Build;
use crate::pairs::ratios::RatioSummary;
use crate::report::numbers;

/// Everything that is told about a comparison of two builds.
#[derive(Clone, Debug, Serialize)]
pub struct AgainstReport {
    /// What was rehearsed.
    pub scenario: String,
    /// The command line, so that the comparison can be repeated.
    pub command: String,
    /// This build.
    pub a: Build,
    /// The other build.
    pub b: Build,
    /// The `--seconds` of each rehearsal.
    pub seconds_per_rehearsal: u64,
    /// Whether it was ended before its end.
    pub interrupted: bool,
    /// Each figure that both builds report, the primary one first.
    pub comparisons: Vec<FigureComparison>,
    /// How many pairs have no figure.
    pub failed: u64,
    /// Why, one by one.
    pub failures: Vec<String>,
    /// The promises that were broken, by build.
    pub broken: Vec<String>,
    /// What could not be examined, by build.
    pub unexamined: Vec<String>,
    /// What is to be known of the comparison, such as that fewer pairs were run than asked for.
    pub notes: Vec<String>,
}

/// One figure of both builds.
#[derive(Clone, Debug, Serialize)]
pub struct FigureComparison {
    /// What it is, such as `saturated HoldSeats`.
    pub figure: String,
    /// Its unit.
    pub unit: String,
    /// Whether less is better.
    pub less_is_better: bool,
    /// The ratios of all pairs that were not dropped: above 1 this build is better, whether more or less is.
    pub ratio: Option<RatioSummary>,
    /// How many pairs were dropped because CPU was stolen meanwhile.
    pub stolen: u64,
    /// Every pair, the dropped ones included.
    pub pairs: Vec<BuildPair>,
}

/// A rehearsal by each build, one after the other.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BuildPair {
    /// The figure of this build.
    pub a: f64,
    /// The figure of the other.
    pub b: f64,
    /// How many times as good this build is.
    pub ratio: f64,
    /// Whether this build came first.
    pub a_first: bool,
    /// The larger share of processor time that was stolen during one of the rehearsals, from 0 to 1.
    pub stolen: f64,
    /// Whether that was too much, so that the pair does not count.
    pub dropped: bool,
}

/// The report for a terminal.
pub fn text(report: &AgainstReport) -> String {
    let build = |name: &str, build: &Build| {
        format!("{name}: {} ({}, server {})", build.program.display(), build.version, build.server_sha256)
    };
    let mut lines = vec![
        format!(
            "{}: two builds, pairs of rehearsals of {} s that take turns",
            report.scenario, report.seconds_per_rehearsal
        ),
        format!("$ {}", report.command),
        build("A", &report.a),
        build("B", &report.b),
    ];
    if report.interrupted {
        lines.push("Interrupted: what follows is what was seen until then.".to_owned());
    }
    lines.push(String::new());
    lines.push("How many times as good A is as B; 1× is no difference".to_owned());
    lines.extend(report.comparisons.iter().map(|comparison| {
        let (figure, unit) = (&comparison.figure, &comparison.unit);
        let Some(ratio) = comparison.ratio else { return format!("  {figure} ({unit}): no pair") };
        let interval = ratio.interval.map_or_else(
            || "no interval from fewer than 6 pairs".to_owned(),
            |interval| format!("95 % interval {}", numbers::span(interval.low, interval.high)),
        );
        let (range, pairs, stolen) = (numbers::span(ratio.min, ratio.max), ratio.pairs, comparison.stolen);
        let median = numbers::ratio(ratio.median);
        format!("  {figure} ({unit}): median {median}, {interval}, range {range}, {pairs} pairs, {stolen} dropped")
    }));
    lines.extend(report.notes.iter().map(|note| format!("  {note}")));
    lines.extend(report.failures.iter().map(|failure| format!("  failed: {failure}")));
    lines.extend(report.broken.iter().map(|promise| format!("  broken: {promise}")));
    lines.extend(report.unexamined.iter().map(|what| format!("  not examined: {what}")));
    lines.join("\n") + "\n"
}
