//! The report for the terminal.

use std::fmt::{Display, Write as _};

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};

use super::model::{Baseline, Comparison, Figure, Latency, Measurement, Proof, Rate, Report};
use super::numbers::{self, NONE};

/// Baselines are described in sentences, which are wrapped so that their table stays below a hundred columns.
const ABOUT_WIDTH: u16 = 50;
/// A line below the names of the columns and nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// The report as text for a terminal; its tables are at most 100 columns wide. The proof and the result stand
/// last, where the eye is when a command has ended.
pub fn table(report: &Report) -> String {
    let mut sections = vec![heading(report)];
    if !report.measurements.is_empty() {
        sections.push(measurements(&report.measurements));
        sections.push(answer_times(&report.measurements));
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
    sections.extend(report.result().map(|result| format!("{}.", plain(&result))));
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
    let mut rows = grid(&["phase", "call", "ok/s", "answers/s", "ok", "refused", "errors", "answered"], 2);
    for measurement in measurements {
        rows.add_row([
            text(&measurement.phase),
            text(&measurement.call),
            number(numbers::quantity(measurement.successes_per_second)),
            number(numbers::quantity(measurement.answers_per_second)),
            number(numbers::count(measurement.successes)),
            number(numbers::count(measurement.refused())),
            number(numbers::count(measurement.failed())),
            number(measurement.answered().unwrap_or_default()),
        ]);
    }
    titled("Calls; answered: what share of them, unless all were", &rows)
}

fn answer_times(measurements: &[Measurement]) -> String {
    let mut rows = grid(&["phase", "call", "timed from", "p50", "p90", "p99", "p99.9", "max"], 3);
    for measurement in measurements {
        let mut row = vec![text(&measurement.phase), text(&measurement.call), text(measurement.timed_from.name())];
        row.extend(times(
            measurement.latency.as_ref(),
            &[|of| of.p50, |of| of.p90, |of| of.p99, |of| of.p999, |of| of.max],
        ));
        rows.add_row(row);
    }
    titled("Answer times in ms", &rows)
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
    let mut rows = grid(&["measurement", "against", "median", "95 % interval", "range", "pairs", "left out"], 2);
    for comparison in comparisons {
        rows.add_row([
            text(&compared(comparison)),
            text(&comparison.baseline),
            number(comparison.median()),
            number(comparison.interval()),
            number(comparison.range()),
            number(comparison.pairs()),
            number(comparison.left_out()),
        ]);
    }
    titled("Encore's rate divided by the baseline's, pair by pair; left out: the pair failed, or CPU was stolen", &rows)
}

/// What is compared: answers per second, unless it says otherwise.
fn compared(comparison: &Comparison) -> String {
    match comparison.rate {
        Rate::Answers => comparison.measurement.clone(),
        Rate::Successes => format!("{}, {}", comparison.measurement, comparison.rate.name()),
    }
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
        let rows = |start: &str| {
            let rows = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
            let rows: Vec<String> = rows.filter(|row| row.starts_with(start)).collect();
            assert!(rows.len() > 1, "no rows of {start} in {told}");
            rows.join(" | ")
        };
        let saturated = rows("saturated HoldSeats");
        assert!(saturated.contains(" 99.9 %") && saturated.contains("HoldSeats call "), "{saturated}");
        let paced = rows("paced HoldSeats");
        assert!(paced.contains("HoldSeats intended start ") && !paced.contains('%'), "{paced}");
    }

    #[test]
    fn tables_fit_into_a_hundred_columns() {
        let mut report = fixture::broken_journey();
        let longest = &mut report.measurements[0];
        longest.phase = "all know that the queue moves".to_owned();
        longest.call = "WatchPosition".to_owned();
        let told = table(&report);
        // The command may be as long as it was typed, and a note is a sentence.
        for line in told.lines().filter(|line| !line.starts_with("$ ") && !line.starts_with("  ")) {
            assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
        }
    }

    #[test]
    fn the_result_stands_last() {
        let told = table(&fixture::journey());
        assert!(told.ends_with("3 200 of 3 200 seats were sold in 59.8 s; 3 of 3 promises were kept.\n"), "{told}");
    }
}
