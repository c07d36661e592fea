//! What a person sees while a rehearsal runs: moving bars in a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::load::Tally;
use crate::load::tally::per_second;
use crate::report::model::Sample;

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// How often the spinner turns.
const SPIN_EVERY: Duration = Duration::from_millis(120);

/// The view. It writes to standard error: standard output is for the report.
#[derive(Debug)]
pub struct Live {
    bars: Option<MultiProgress>,
    phase: Mutex<Option<ProgressBar>>,
}

/// The view of a sale.
#[derive(Debug)]
pub struct SaleView {
    fans: u64,
    bars: Option<SaleBars>,
    begun: Instant,
    line_due: Mutex<Instant>,
}

#[derive(Debug)]
struct SaleBars {
    fans: ProgressBar,
    seats: ProgressBar,
    people: ProgressBar,
    calls: ProgressBar,
}

/// What is known of the fans besides the sample.
#[derive(Clone, Copy, Debug)]
pub struct People {
    /// Fans who are done.
    pub gone: u64,
    /// Fans who have paid.
    pub paid: u64,
    /// Breaches of promises that the fans who are done have noted.
    pub breaches: u64,
}

impl Live {
    /// Bars if standard error is a terminal.
    pub fn new() -> Self {
        Self { bars: std::io::stderr().is_terminal().then(MultiProgress::new), phase: Mutex::new(None) }
    }

    /// A part of the run begins; the one before it is done.
    pub fn phase(&self, what: &str) {
        let Some(bars) = &self.bars else {
            self.say(what);
            return;
        };
        let spinner = bars.add(ProgressBar::new_spinner().with_style(style("{spinner} {msg} ({elapsed})")));
        spinner.set_message(what.to_owned());
        spinner.enable_steady_tick(SPIN_EVERY);
        let before = self.phase.lock().unwrap_or_else(PoisonError::into_inner).replace(spinner);
        if let Some(before) = before {
            before.finish();
        }
    }

    /// Says something without disturbing the bars.
    pub fn say(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| eprintln!("rehearse: {text}")),
            None => eprintln!("rehearse: {text}"),
        }
    }

    /// The last part is done.
    pub fn done(&self) {
        if let Some(before) = self.phase.lock().unwrap_or_else(PoisonError::into_inner).take() {
            before.finish();
        }
    }

    /// The view of a sale of so many seats to so many fans.
    pub fn sale(&self, fans: u64, seats: u64) -> SaleView {
        let begun = Instant::now();
        let bars = self.bars.as_ref().map(|bars| {
            let bar = |len, template| bars.add(ProgressBar::new(len).with_style(style(template)));
            SaleBars {
                fans: bar(fans, "  fans done  {bar:40.cyan/dim} {pos}/{len}"),
                seats: bar(seats, "  seats sold {bar:40.green/dim} {pos}/{len}"),
                people: bar(0, "  {msg}"),
                calls: bar(0, "  {msg}"),
            }
        });
        SaleView { fans, bars, begun, line_due: Mutex::new(begun + LINE_EVERY) }
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl SaleView {
    /// Shows a moment: the sale, the fans, and the calls since the moment before, `span` ago.
    pub fn show(&self, sample: &Sample, fans: People, recent: &Tally, span: Duration) {
        let People { gone, paid, breaches } = fans;
        let people = format!(
            "waiting {} · admitted {} · inside {} · holding {} · paid {paid} · seats left {}",
            sample.waiting, sample.admitted, sample.inside, sample.holding, sample.seats_left
        );
        let rate = per_second(recent.successes() + recent.refusals(), span);
        let times = recent.percentiles_ms();
        let calls = format!(
            "{rate:.0} answers/s · p50 {:.1} ms · p99 {:.1} ms · refused {} · errors {} · breaches {breaches}",
            times.0, times.1, sample.refused, sample.errors
        );
        if let Some(bars) = &self.bars {
            bars.fans.set_position(gone);
            bars.seats.set_position(sample.seats_sold);
            bars.people.set_message(people);
            bars.calls.set_message(calls);
            return;
        }
        let mut due = self.line_due.lock().unwrap_or_else(PoisonError::into_inner);
        if Instant::now() >= *due {
            *due += LINE_EVERY;
            let at = self.begun.elapsed().as_secs();
            eprintln!(
                "rehearse: {at:>3} s · {gone}/{} fans done · sold {} · {people} · {calls}",
                self.fans, sample.seats_sold
            );
        }
    }

    /// The sale is over; the bars stay as they are.
    pub fn finish(&self) {
        if let Some(SaleBars { fans, seats, people, calls }) = &self.bars {
            for bar in [fans, seats, people, calls] {
                bar.abandon();
            }
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
