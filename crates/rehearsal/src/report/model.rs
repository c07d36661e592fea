//! What a rehearsal found out, as it is written to `report.json`. Times are in milliseconds, rates per second.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::pairs::ratios::RatioSummary;

/// Which calls make a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// Successes and refusals.
    Answers,
    /// Successes alone.
    Successes,
}

impl Rate {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Answers => "answers/s",
            Self::Successes => "ok/s",
        }
    }
}

/// The whole report of a rehearsal.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was rehearsed, such as `journey` or `hold`.
    pub scenario: String,
    /// The command line, so that the run can be repeated.
    pub command: String,
    /// The seed of all random choices of the virtual users.
    pub seed: u64,
    /// When it began, as RFC 3339.
    pub started_at: String,
    /// How long it took in all, in seconds.
    pub seconds: f64,
    /// Whether it was ended before its end, by a signal or because its time was over; what follows is what was seen until
    /// then.
    pub interrupted: bool,
    /// Where it took place.
    pub environment: EnvironmentReport,
    /// What was measured, phase by phase and call by call.
    pub measurements: Vec<Measurement>,
    /// What the same machine does without Encore, measured in turns with the scenario.
    pub baselines: Vec<Baseline>,
    /// How the scenario compares with the baselines, pair by pair.
    pub comparisons: Vec<Comparison>,
    /// What is to be known of the measurements and comparisons, such as that fewer pairs were run than asked for.
    pub notes: Vec<String>,
    /// The scenario's own figures.
    pub figures: Vec<Figure>,
    /// The sale as it went, a few times a second. Empty for scenarios that are no sale.
    pub timeline: Vec<Sample>,
    /// What was done to the system during the sale, such as an instance that was killed.
    pub marks: Vec<Mark>,
    /// What the auditor and the consistency checker found about the promises.
    pub proof: Proof,
}

/// Where a rehearsal took place.
#[derive(Clone, Debug, Serialize)]
pub struct EnvironmentReport {
    /// `embedded`, `local` or `address`.
    pub kind: String,
    /// The addresses of the instances.
    pub instances: Vec<String>,
    /// Logical processors of the machine of the client, which is that of the server too unless `kind` is `address`.
    pub cores: usize,
    /// The processor's name.
    pub processor: String,
    /// Physical memory of that machine in MiB.
    pub memory_mib: u64,
}

/// From when an answer time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimedFrom {
    /// From when the call was meant to start, so that a stall is seen by all whom it kept waiting.
    IntendedStart,
    /// From when it did start: callers in a closed loop call when they have been answered, and a stall keeps them from it.
    Call,
    /// From the event that is reported, such as a queue that is resumed.
    Event,
}

/// Calls of one kind in one phase.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// The part of the run, such as `saturated` or `paced`.
    pub phase: String,
    /// What was called, such as `JoinQueue`.
    pub call: String,
    /// How many calls were meant to start each second, if that was prescribed.
    pub offered_per_second: Option<f64>,
    /// From the first start to the last answer, in seconds.
    pub seconds: f64,
    /// How many were answered as hoped.
    pub successes: u64,
    /// How many were answered with a refusal that the contract names, by reason.
    pub refusals: BTreeMap<String, u64>,
    /// How many were not answered as they should be, by status code.
    pub errors: BTreeMap<String, u64>,
    /// Successes per second, of those that came while the load lasted, over that time: a straggler does not set the rate.
    /// If the calls ran out before, or all came at once, over the time to the last answer.
    pub successes_per_second: f64,
    /// Successes and refusals per second, likewise.
    pub answers_per_second: f64,
    /// From when answer times count.
    pub timed_from: TimedFrom,
    /// How long answers took; none if there was no answer. Calls that their callers gave up count as long as they were
    /// waited for, and other failures do not count.
    pub latency: Option<Latency>,
}

/// A distribution of answer times in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// Arithmetic mean.
    pub mean: f64,
    /// Half were at most this.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
    /// Pairs of percentile (0 to 100) and answer time, rising, for plots.
    pub curve: Vec<(f64, f64)>,
}

/// What the machine does without Encore.
#[derive(Clone, Debug, Serialize)]
pub struct Baseline {
    /// A short name, such as `transport` or `for-update`.
    pub name: String,
    /// What was done, in a sentence.
    pub about: String,
    /// What all its slices came to together. Its rate is not to be divided by a scenario's, which was measured over other stretches of
    /// time: that is what comparisons are for.
    pub measurement: Measurement,
}

/// A measurement compared with a baseline, pair by pair.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The measurement, as `phase call`.
    pub measurement: String,
    /// The name of the baseline.
    pub baseline: String,
    /// Which calls per second are compared.
    pub rate: Rate,
    /// How many pairs were asked for.
    pub wanted: u32,
    /// The ratios of the measurement's rate to the baseline's, of all pairs that were not dropped; none if there are none.
    pub ratio: Option<RatioSummary>,
    /// How many pairs were dropped because CPU was stolen meanwhile.
    pub stolen: u64,
    /// How many pairs could not be measured.
    pub failed: u64,
    /// Why the first of these could not.
    pub failure: Option<String>,
    /// Every pair in the order in which they were run, the dropped ones included.
    pub pairs: Vec<Pair>,
}

/// Two adjacent slices.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pair {
    /// The scenario's rate.
    pub measured: f64,
    /// The baseline's rate.
    pub baseline: f64,
    /// The first divided by the second.
    pub ratio: f64,
    /// Whether the scenario's slice came first.
    pub scenario_first: bool,
    /// How long each slice was meant to last, in seconds, unless it is over when a fixed amount of work is done.
    pub slice_seconds: f64,
    /// The larger share of processor time that was stolen during one of the slices, from 0 to 1.
    pub stolen: f64,
    /// Whether that was too much, so that the pair does not count.
    pub dropped: bool,
}

/// A number that is no call.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What it is, such as `memory per stream`.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Its unit, such as `KiB`.
    pub unit: String,
}

impl Figure {
    /// A number of this name and unit.
    pub fn new(name: impl Into<String>, value: f64, unit: &str) -> Self {
        Self { name: name.into(), value, unit: unit.to_owned() }
    }
}

/// A moment of the sale at which something was done to the system.
#[derive(Clone, Debug, Serialize)]
pub struct Mark {
    /// Seconds since the beginning.
    pub at: f64,
    /// What was done.
    pub what: String,
}

/// The sale at a moment.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Sample {
    /// Seconds since the beginning.
    pub at: f64,
    /// Fans in the queue.
    pub waiting: u64,
    /// Fans who were admitted so far.
    pub admitted: u64,
    /// Fans who are inside now.
    pub inside: u64,
    /// Fans with an unpaid hold now.
    pub holding: u64,
    /// Seats that were paid for so far.
    pub seats_sold: u64,
    /// Seats that are neither held nor sold, as the server said last.
    pub seats_left: u64,
    /// Refusals so far.
    pub refused: u64,
    /// Calls answered so far, refusals included.
    pub answers: u64,
    /// Calls that failed so far.
    pub errors: u64,
}

/// What is known about the promises after the run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Proof {
    /// Each promise that was examined, by whom, and how often it was broken.
    pub promises: Vec<PromiseReport>,
    /// What could not be examined, and why.
    pub unexamined: Vec<String>,
}

/// One promise.
#[derive(Clone, Debug, Serialize)]
pub struct PromiseReport {
    /// Its name, such as `double_sold_seat`.
    pub promise: String,
    /// Who examined it: `auditor` or `checker`.
    pub examined_by: String,
    /// How many things were examined.
    pub examined: u64,
    /// How often it was broken.
    pub breaches: u64,
    /// The broken ones by name; the first hundred.
    pub findings: Vec<String>,
}

impl Proof {
    /// Whether every promise that was examined was kept.
    pub fn holds(&self) -> bool {
        self.broken().next().is_none()
    }

    /// The names of those that were not.
    pub fn broken(&self) -> impl Iterator<Item = &str> {
        let broken = self.promises.iter().filter(|promise| promise.breaches > 0);
        broken.map(|promise| promise.promise.as_str())
    }
}
