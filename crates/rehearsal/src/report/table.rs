//! The report for the terminal.

use std::fmt::{Display, Write as _};

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};

use super::model::{Baseline, Comparison, Figure, Latency, Measurement, Proof, Report};
use super::numbers::{self, NONE};

/// Baselines are described in sentences, which are wrapped so that their table stays below a hundred columns.
const ABOUT_WIDTH: u16 = 50;
/// A line below the names of the columns and nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// The report as text for a terminal, about 140 columns wide. The proof stands last, where the eye is when a command
/// has ended.
pub fn table(report: &Report) -> String {
    let mut sections = vec![heading(report)];
    if !report.measurements.is_empty() {
        sections.push(measurements(&report.measurements));
    }
    sections.extend(reasons(&report.measurements));
    if !report.baselines.is_empty() {
        sections.push(baselines(&report.baselines));
    }
    if !report.comparisons.is_empty() {
        sections.push(comparisons(&report.comparisons));
    }
    if !report.notes.is_empty() {
        sections.push(notes(&report.notes));
    }
    if !report.figures.is_empty() {
        sections.push(figures(&report.figures));
    }
    sections.push(proof(&report.proof));
    sections.join("\n\n") + "\n"
}

fn heading(report: &Report) -> String {
    let environment = &report.environment;
    let mut lines = format!(
        "{} on {} ({}), {} cores, {}, seed {}",
        plain(&report.scenario),
        plain(&environment.kind),
        plain(&environment.instances.join(", ")),
        environment.cores,
        numbers::seconds(report.seconds),
        report.seed,
    );
    let machine = [
        plain(&environment.processor),
        format!("{} MiB", numbers::count(environment.memory_mib)),
        plain(&report.started_at),
    ];
    let _ = write!(lines, "\n{}\n$ {}", machine.join(", "), plain(&report.command));
    if report.interrupted {
        lines.push_str("\nInterrupted: what follows is what was seen until then.");
    }
    lines
}

fn measurements(measurements: &[Measurement]) -> String {
    let mut rows = grid(
        &[
            "phase",
            "call",
            "timed from",
            "offered/s",
            "ok/s",
            "answers/s",
            "ok",
            "refused",
            "errors",
            "answered",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max",
        ],
        3,
    );
    for measurement in measurements {
        let mut row = vec![
            text(&measurement.phase),
            text(&measurement.call),
            text(measurement.timed_from.name()),
            number(measurement.offered_per_second.map_or_else(|| NONE.to_owned(), numbers::quantity)),
            number(numbers::quantity(measurement.successes_per_second)),
            number(numbers::quantity(measurement.answers_per_second)),
            number(numbers::count(measurement.successes)),
            number(numbers::count(measurement.refused())),
            number(numbers::count(measurement.failed())),
            number(measurement.answered().unwrap_or_default()),
        ];
        row.extend(times(
            measurement.latency.as_ref(),
            &[|of| of.p50, |of| of.p90, |of| of.p99, |of| of.p999, |of| of.max],
        ));
        rows.add_row(row);
    }
    titled("Measurements, answer times in ms; answered: what share of calls, unless all were", &rows)
}

fn reasons(measurements: &[Measurement]) -> Option<String> {
    let mut rows = grid(&["phase", "call", "answer", "reason", "calls", "share"], 4);
    for measurement in measurements {
        for (answer, reason, count) in measurement.reasons() {
            rows.add_row([
                text(&measurement.phase),
                text(&measurement.call),
                text(answer),
                text(reason),
                number(numbers::count(count)),
                number(numbers::share(count, measurement.calls())),
            ]);
        }
    }
    (!rows.is_empty()).then(|| titled("Refusals and errors", &rows))
}

fn baselines(baselines: &[Baseline]) -> String {
    let mut rows = grid(&["baseline", "what the machine does without Encore", "answers/s", "p50", "p99"], 2);
    if let Some(about) = rows.column_mut(1) {
        about.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(ABOUT_WIDTH)));
    }
    for baseline in baselines {
        let measurement = &baseline.measurement;
        let mut row = vec![
            text(&baseline.name),
            text(&baseline.about),
            number(numbers::quantity(measurement.answers_per_second)),
        ];
        row.extend(times(measurement.latency.as_ref(), &[|of| of.p50, |of| of.p99]));
        rows.add_row(row);
    }
    titled("Baselines, answer times in ms", &rows)
}

fn comparisons(comparisons: &[Comparison]) -> String {
    let mut rows =
        grid(&["measurement", "against", "rate", "median", "95 % interval", "range", "pairs", "dropped", "failed"], 3);
    for comparison in comparisons {
        rows.add_row([
            text(&comparison.measurement),
            text(&comparison.baseline),
            text(comparison.rate.name()),
            number(comparison.median()),
            number(comparison.interval()),
            number(comparison.range()),
            number(comparison.pairs()),
            number(comparison.stolen),
            number(comparison.failed),
        ]);
    }
    titled("Encore's rate divided by the baseline's, pair by pair; dropped: CPU was stolen", &rows)
}

fn notes(notes: &[String]) -> String {
    let notes: Vec<String> = notes.iter().map(|note| format!("  {}", plain(note))).collect();
    format!("Notes\n{}", notes.join("\n"))
}

fn figures(figures: &[Figure]) -> String {
    let mut rows = grid(&["figure", "value"], 1);
    for figure in figures {
        rows.add_row([
            text(&figure.name),
            number(numbers::with_unit(&numbers::quantity(figure.value), &plain(&figure.unit))),
        ]);
    }
    titled("Figures", &rows)
}

fn proof(proof: &Proof) -> String {
    let mut rows = grid(&["promise", "examined by", "examined", "breaches"], 2);
    for promise in &proof.promises {
        rows.add_row([
            text(&promise.promise),
            text(&promise.examined_by),
            number(numbers::count(promise.examined)),
            number(numbers::count(promise.breaches)),
        ]);
    }
    let mut told = if rows.is_empty() { "Proof".to_owned() } else { titled("Proof", &rows) };
    for promise in &proof.promises {
        for finding in &promise.findings {
            let _ = write!(told, "\n  {}: {}", plain(&promise.promise), plain(finding));
        }
        let more = promise.more_findings();
        if more > 0 {
            let _ = write!(told, "\n  {}: {} more", plain(&promise.promise), numbers::count(more));
        }
    }
    for unexamined in &proof.unexamined {
        let _ = write!(told, "\n  not examined: {}", plain(unexamined));
    }
    let _ = write!(told, "\n{}.", proof.verdict());
    told
}

/// An empty table whose first columns are text, to the left, and whose others are numbers, to the right.
fn grid(columns: &[&str], texts: usize) -> Table {
    let mut rows = Table::new();
    // Without a width nothing is wrapped but what has a constraint; a row is then one line, as tools like it.
    rows.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
    rows.set_header(
        columns.iter().enumerate().map(|(index, name)| if index < texts { text(name) } else { number(name) }),
    );
    for column in rows.column_iter_mut() {
        column.set_padding((0, 1));
    }
    rows
}

fn titled(title: &str, rows: &Table) -> String {
    format!("{title}\n{}", rows.trim_fmt())
}

fn times(latency: Option<&Latency>, of: &[fn(&Latency) -> f64]) -> Vec<Cell> {
    of.iter()
        .map(|time| number(latency.map_or_else(|| NONE.to_owned(), |latency| numbers::quantity(time(latency)))))
        .collect()
}

fn text(content: &str) -> Cell {
    Cell::new(plain(content))
}

fn number(content: impl Display) -> Cell {
    Cell::new(content).set_alignment(CellAlignment::Right)
}

/// Names and reasons come from a server that need not be ours; what would move a terminal's cursor is shown as a mark.
fn plain(content: &str) -> String {
    content.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn a_row_says_from_when_it_is_timed_and_what_share_was_answered_if_not_all() {
        let told = table(&fixture::broken_journey());
        let row = |start: &str| {
            let mut rows = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
            rows.find(|row| row.starts_with(start)).unwrap_or_else(|| panic!("no row of {start} in {told}"))
        };
        assert!(row("saturated HoldSeats call").contains(" 99.9 % "));
        assert!(!row("paced HoldSeats intended start").contains('%'));
    }
}
