//! The parts of the page that are text and tables.

use maud::{Markup, html};

use super::super::model::{Baseline, Comparison, Figure, Latency, Measurement, PromiseReport, Proof, Report};
use super::super::numbers::{self, NONE};

/// What answer times are.
const TIMES: &str = "Calls at a pace and all at once are timed from when they were meant to start, so that one that had to \
                     wait is not told as a fast one. Callers in a closed loop call when they have been answered, and are \
                     timed from the call. Calls that were given up count as long as they were waited for. Other failures \
                     have no answer time: where there are any, the share of calls that was answered stands beside.";
/// How many findings are shown before the others are folded away.
const FINDINGS_OPEN: usize = 10;

/// What was rehearsed, where, and how to do it again.
pub(super) fn heading(report: &Report) -> Markup {
    let environment = &report.environment;
    html! {
        header {
            p.kind { "Encore, a rehearsal" }
            h1 { (report.scenario) }
            @if let Some(result) = report.result() { p.result { (result) "." } }
            @if report.interrupted { p.notice { "Interrupted: what follows is what was seen until then." } }
        }
        (verdict(&report.proof))
        section {
            h2 { "The run" }
            pre { code { (report.command) } }
            dl.facts {
                (fact("environment", &html! { (environment.kind) " " span.quiet { (environment.instances.join(", ")) } }))
                (fact("machine", &html! { (environment.cores) " cores, " (numbers::count(environment.memory_mib)) " MiB " span.quiet { (environment.processor) } }))
                (fact("began", &html! { (report.started_at) }))
                (fact("took", &html! { (numbers::seconds(report.seconds)) }))
                (fact("seed", &html! { (report.seed) }))
            }
        }
    }
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn verdict(proof: &Proof) -> Markup {
    let class = if proof.promises.is_empty() {
        "unknown"
    } else if proof.holds() {
        "kept"
    } else {
        "broken"
    };
    html! {
        section class={ "verdict " (class) } {
            h2 { (proof.verdict()) "." }
            @if !proof.promises.is_empty() {
                details open[!proof.holds()] {
                    summary { (proof.promises.len()) " promises" }
                    div.wide { table {
                        thead { tr { th { "promise" } th { "examined by" } th.n { "examined" } th.n { "breaches" } } }
                        tbody { @for promise in &proof.promises { (promise_row(promise)) } }
                    } }
                }
            }
            @for promise in &proof.promises { (findings(promise)) }
            @if !proof.unexamined.is_empty() {
                h3 { "Not examined" }
                ul { @for unexamined in &proof.unexamined { li { (unexamined) } } }
            }
        }
    }
}

fn promise_row(promise: &PromiseReport) -> Markup {
    html! {
        tr.bad[promise.breaches > 0] {
            th scope="row" { (promise.promise) }
            td { (promise.examined_by) }
            td.n { (numbers::count(promise.examined)) }
            td.n { (numbers::count(promise.breaches)) }
        }
    }
}

fn findings(promise: &PromiseReport) -> Markup {
    let (open, folded) = promise.findings.split_at(promise.findings.len().min(FINDINGS_OPEN));
    let more = promise.more_findings();
    html! {
        @if promise.breaches > 0 {
            h3 { "Breaches of " (promise.promise) }
            ul { @for finding in open { li { (finding) } } }
            @if !folded.is_empty() {
                details {
                    summary { (folded.len()) " further findings" }
                    ul { @for finding in folded { li { (finding) } } }
                }
            }
            @if more > 0 { p { (numbers::count(more)) " breaches that are not named here." } }
        }
    }
}

/// The scenario's own numbers.
pub(super) fn figures(figures: &[Figure]) -> Markup {
    html! {
        @if !figures.is_empty() {
            section {
                h2 { "Figures" }
                dl.figures {
                    @for figure in figures {
                        div { dt { (figure.name) } dd { (numbers::quantity(figure.value)) " " small { (figure.unit) } } }
                    }
                }
            }
        }
    }
}

/// Every call of every phase, and why calls were refused or failed.
pub(super) fn measurements(measurements: &[Measurement]) -> Markup {
    let reasons: Vec<_> =
        measurements.iter().flat_map(|of| of.reasons().into_iter().map(move |reason| (of, reason))).collect();
    html! {
        @if !measurements.is_empty() {
            section {
                h2 { "Measurements" }
                div.wide { table {
                    thead { tr {
                        th { "phase" } th { "call" }
                        @for name in ["offered/s", "ok/s", "answers/s", "ok", "refused", "errors", "answered"] { th.n { (name) } }
                    } }
                    tbody { @for measurement in measurements { (calls_row(measurement)) } }
                } }
                @if !reasons.is_empty() {
                    h3 { "Refusals and errors" }
                    div.wide { table {
                        thead { tr { th { "phase" } th { "call" } th { "answer" } th { "reason" } th.n { "calls" } th.n { "share" } } }
                        tbody {
                            @for (measurement, (answer, reason, count)) in reasons {
                                tr {
                                    td { (measurement.phase) }
                                    td { (measurement.call) }
                                    td { (answer) }
                                    td { (reason) }
                                    td.n { (numbers::count(count)) }
                                    td.n { (numbers::share(count, measurement.calls())) }
                                }
                            }
                        }
                    } }
                }
            }
        }
    }
}

/// How long answers took, of every call of every phase.
pub(super) fn answer_times(measurements: &[Measurement]) -> Markup {
    html! {
        @if !measurements.is_empty() {
            section {
                h2 { "Answer times" }
                p { (TIMES) }
                div.wide { table {
                    thead { tr {
                        th { "phase" } th { "call" } th { "timed from" }
                        @for name in ["p50", "p90", "p99", "p99.9", "max"] { th.n { (name) } }
                    } }
                    tbody { @for measurement in measurements { (times_row(measurement)) } }
                } }
            }
        }
    }
}

fn calls_row(measurement: &Measurement) -> Markup {
    html! {
        tr {
            td { (measurement.phase) }
            td { (measurement.call) }
            td.n { (measurement.offered_per_second.map_or_else(|| NONE.to_owned(), numbers::quantity)) }
            td.n { (numbers::quantity(measurement.successes_per_second)) }
            td.n { (numbers::quantity(measurement.answers_per_second)) }
            td.n { (numbers::count(measurement.successes)) }
            td.n { (numbers::count(measurement.refused())) }
            td.n.bad[measurement.failed() > 0] { (numbers::count(measurement.failed())) }
            td.n.bad { (measurement.answered().unwrap_or_default()) }
        }
    }
}

fn times_row(measurement: &Measurement) -> Markup {
    html! {
        tr {
            td { (measurement.phase) }
            td { (measurement.call) }
            td { (measurement.timed_from.name()) }
            (times(measurement.latency.as_ref(), &[|of| of.p50, |of| of.p90, |of| of.p99, |of| of.p999, |of| of.max]))
        }
    }
}

fn times(latency: Option<&Latency>, of: &[fn(&Latency) -> f64]) -> Markup {
    html! {
        @for time in of { td.n { (latency.map_or_else(|| NONE.to_owned(), |latency| numbers::millis(time(latency)))) } }
    }
}

/// What the machine does without Encore, and how Encore compares.
pub(super) fn baselines(report: &Report) -> Markup {
    html! {
        @if !report.baselines.is_empty() {
            section {
                h2 { "Baselines" }
                p {
                    "What the same machine did without Encore, in slices that took turns with the scenario's. Pairs that failed, "
                    "or during which the machine's CPU was stolen, are left out."
                }
                div.wide { table {
                    thead { tr { th { "baseline" } th { "what was done" } th.n { "answers/s" } th.n { "p50" } th.n { "p99" } } }
                    tbody { @for baseline in &report.baselines { (baseline_row(baseline)) } }
                } }
                @if !report.comparisons.is_empty() {
                    h3 { "Encore's rate divided by the baseline's, pair by pair" }
                    (bars(&report.comparisons))
                    (comparisons(&report.comparisons))
                }
                @if !report.notes.is_empty() {
                    ul { @for note in &report.notes { li { (note) } } }
                }
            }
        }
    }
}

fn comparisons(comparisons: &[Comparison]) -> Markup {
    html! {
        div.wide { table {
            thead { tr {
                th { "measurement" } th { "against" } th { "rate" }
                @for name in ["median", "95 % interval", "range", "pairs", "left out"] { th.n { (name) } }
            } }
            tbody {
                @for comparison in comparisons {
                    tr {
                        td { (comparison.measurement) }
                        td { (comparison.baseline) }
                        td { (comparison.rate.name()) }
                        td.n { (comparison.median()) }
                        td.n { (comparison.interval()) }
                        td.n { (comparison.range()) }
                        td.n { (comparison.pairs()) }
                        td.n.bad[comparison.left_out() > 0] { (comparison.left_out()) }
                    }
                }
            }
        } }
    }
}

fn baseline_row(baseline: &Baseline) -> Markup {
    html! {
        tr {
            th scope="row" { (baseline.name) }
            td.prose { (baseline.about) }
            td.n { (numbers::quantity(baseline.measurement.answers_per_second)) }
            (times(baseline.measurement.latency.as_ref(), &[|of| of.p50, |of| of.p99]))
        }
    }
}

/// A bar for each median on one scale that begins at zero, with a mark where both are as fast.
fn bars(comparisons: &[Comparison]) -> Markup {
    let medians: Vec<(&Comparison, f64)> = comparisons
        .iter()
        .filter_map(|of| Some((of, of.ratio?.median)))
        .filter(|(_, ratio)| ratio.is_finite())
        .collect();
    let largest = medians.iter().map(|(_, ratio)| *ratio).fold(1.0, f64::max);
    let percent = |ratio: f64| format!("{:.2}%", 100.0 * ratio.max(0.0) / largest);
    html! {
        ul.bars style={ "--even:" (percent(1.0)) } {
            @for (comparison, ratio) in &medians {
                li {
                    span.what { (comparison.measurement) " " span.quiet { "against " (comparison.baseline) } }
                    span.track { span.bar style={ "width:" (percent(*ratio)) } {} }
                    span.ratio { (numbers::ratio(*ratio)) }
                }
            }
        }
        p.quiet { "The mark stands at 1×, where both are as fast." }
    }
}
