//! A rehearsal as it might have been, for the tests of what is shown of it: 5,000 fans want 3,200 seats for a minute.

use std::collections::BTreeMap;

use super::model::{
    Baseline, Comparison, EnvironmentReport, Figure, Latency, Mark, Measurement, Pair, PromiseReport, Proof, Report,
    Sample, TimedFrom,
};
use super::numbers::real;
use crate::pairs::ratios::summarize;
use crate::report::model::Rate;

const FANS: u64 = 5_000;
const SEATS: u64 = 3_200;
const SAMPLES: u32 = 240;

/// A sale that kept its promises.
pub(crate) fn journey() -> Report {
    Report {
        scenario: "journey".into(),
        command: "encore rehearse journey --local --instances 2 --fans 5000 --seats 3200 --seed 42".into(),
        seed: 42,
        started_at: "2026-03-14T09:26:53Z".into(),
        seconds: 62.43,
        interrupted: false,
        environment: environment(),
        measurements: measurements(),
        baselines: baselines(),
        comparisons: comparisons(),
        notes: comparisons().iter().filter_map(Comparison::note).collect(),
        figures: vec![
            Figure::new("fans", real(FANS), ""),
            Figure::new("memory per stream", 18.73, "KiB"),
            Figure::new("first admission after", 212.4, "ms"),
        ],
        timeline: timeline(),
        marks: vec![Mark { at: 20.0, what: "instance killed".into() }],
        proof: Proof {
            promises: vec![
                promise("double_sold_seat", "auditor", SEATS),
                promise("money_made_or_lost", "auditor", 3_187),
                promise("queue_jump", "checker", FANS),
            ],
            unexamined: vec!["performance 0198f2c4: the auditor gave no answer: it is away".into()],
        },
    }
}

/// The same sale with a seat sold twice and a call that failed.
pub(crate) fn broken_journey() -> Report {
    let mut report = journey();
    report.interrupted = true;
    report.proof.promises[0].breaches = 2;
    report.proof.promises[0].findings =
        vec!["A-17-4: belongs to 2 reservations".into(), "C-2-31: belongs to 2 reservations".into()];
    report.measurements[1].errors = reasons(&[("Unavailable", 3), ("DeadlineExceeded", 12)]);
    report
}

/// A part on its own: calls and baselines, but no sale.
pub(crate) fn part() -> Report {
    let mut report = journey();
    report.scenario = "hold".into();
    report.command = "encore rehearse hold --local --instances 2 --seed 42".into();
    report.timeline.clear();
    report.marks.clear();
    report.proof = Proof::default();
    report
}

fn environment() -> EnvironmentReport {
    EnvironmentReport {
        kind: "local".into(),
        instances: vec!["127.0.0.1:41233".into(), "127.0.0.1:41235".into()],
        cores: 8,
        processor: "AMD EPYC 7763 64-Core Processor".into(),
        memory_mib: 32_768,
    }
}

fn measurements() -> Vec<Measurement> {
    let mut held = measurement("saturated", "HoldSeats", 4_912, latency(6.4, 28.0));
    held.refusals = reasons(&[("SEATS_TAKEN", 18_211), ("SEAT_LIMIT_EXCEEDED", 12)]);
    held.answers_per_second = real(held.calls()) / held.seconds;
    let mut paced = measurement("paced", "HoldSeats", 7_980, latency(1.9, 4.4));
    paced.offered_per_second = Some(400.0);
    let mut silent = measurement("paced", "PayReservation", 0, latency(1.0, 1.0));
    silent.latency = None;
    vec![
        measurement("saturated", "JoinQueue", 184_213, latency(0.42, 3.1)),
        held,
        measurement("saturated", "PayReservation", 3_412, latency(3.3, 17.0)),
        paced,
        silent,
    ]
}

fn measurement(phase: &str, call: &str, successes: u64, latency: Latency) -> Measurement {
    let rate = real(successes) / 20.0;
    Measurement {
        phase: phase.into(),
        call: call.into(),
        offered_per_second: None,
        seconds: 20.0,
        successes,
        refusals: BTreeMap::new(),
        errors: BTreeMap::new(),
        successes_per_second: rate,
        answers_per_second: rate,
        timed_from: if phase == "paced" { TimedFrom::IntendedStart } else { TimedFrom::Call },
        latency: Some(latency),
    }
}

/// A distribution with a tail that grows with each nine.
fn latency(p50: f64, growth: f64) -> Latency {
    let at = |nines: f64| p50 * growth.powf((nines - 0.3) / 1.7);
    let curve = (0..=100).map(|step| {
        let nines = f64::from(step) / 25.0;
        (100.0 * (1.0 - 10.0_f64.powf(-nines)), at(nines))
    });
    Latency {
        mean: p50 * 1.3,
        p50: at(0.3),
        p90: at(1.0),
        p99: at(2.0),
        p999: at(3.0),
        max: at(4.4),
        curve: curve.chain([(100.0, at(4.4))]).collect(),
    }
}

fn baselines() -> Vec<Baseline> {
    vec![
        Baseline {
            name: "transport".into(),
            about:
                "The health check of the same server, which answers without touching a store: what gRPC alone can do."
                    .into(),
            measurement: measurement("saturated", "Health/Check", 412_000, latency(0.21, 1.4)),
        },
        Baseline {
            name: "for-update hold".into(),
            about: "A hold as one transaction with SELECT … FOR UPDATE on the same Postgres.".into(),
            measurement: measurement("saturated", "hold", 1_775, latency(21.4, 9.0)),
        },
        Baseline {
            name: "for-update pay".into(),
            about: "A payment as one transaction with SELECT … FOR UPDATE on the same Postgres.".into(),
            measurement: measurement("saturated", "pay", 1_233, latency(25.2, 9.0)),
        },
    ]
}

fn comparisons() -> Vec<Comparison> {
    let comparison = |measurement: &str, baseline: &str, ratios: &[f64]| {
        let pairs = ratios.iter().zip([true, false].into_iter().cycle()).map(|(ratio, scenario_first)| Pair {
            measured: 1_000.0 * ratio,
            baseline: 1_000.0,
            ratio: *ratio,
            scenario_first,
            slice_seconds: 0.8,
            stolen: 0.001,
            dropped: false,
        });
        Comparison {
            measurement: measurement.into(),
            baseline: baseline.into(),
            rate: Rate::Answers,
            wanted: 7,
            ratio: summarize(ratios),
            stolen: 0,
            failed: 0,
            failure: None,
            pairs: pairs.collect(),
        }
    };
    let failed = comparison("saturated PayReservation", "for-update pay", &[]);
    vec![
        comparison("saturated HoldSeats", "for-update hold", &[2.77, 2.64, 3.02, 2.51, 2.82, 2.8, 2.7]),
        comparison("saturated JoinQueue", "transport", &[0.45, 0.43, 0.44]),
        Comparison { failed: 7, failure: Some("postgres gives no connection in time".into()), ..failed },
    ]
}

fn promise(name: &str, examined_by: &str, examined: u64) -> PromiseReport {
    PromiseReport { promise: name.into(), examined_by: examined_by.into(), examined, breaches: 0, findings: vec![] }
}

fn reasons(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
}

/// The queue fills within seconds and drains at an even pace, four samples a second.
fn timeline() -> Vec<Sample> {
    (0..SAMPLES).map(|index| sample(u64::from(index), f64::from(index) / 4.0)).collect()
}

fn sample(index: u64, at: f64) -> Sample {
    let joined = (index * 250).min(FANS);
    let admitted = (index.saturating_sub(4) * 23).min(joined);
    let left = (index.saturating_sub(24) * 23).min(admitted);
    let inside = admitted - left;
    let seats_sold = (left * 13 / 20).min(SEATS);
    let holding = (inside / 3).min(SEATS - seats_sold);
    // Every fourth quarter of a second is busier, so that the throughput is as ragged as a real one.
    let answers = index * 310 + index % 4 * 60 + joined * 2;
    let errors = if index > 120 { (index - 120).min(15) } else { 0 };
    Sample {
        at,
        waiting: joined - admitted,
        admitted,
        inside,
        holding,
        seats_sold,
        seats_left: SEATS - seats_sold - holding,
        refused: index.saturating_sub(30) * 41,
        answers,
        errors,
    }
}
