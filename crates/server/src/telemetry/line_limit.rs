//! Limits the lines that each callsite may log, so that no client can fill a disk.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber, info, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The most lines of one callsite in a window. Ten show what is going on; more are repetitions.
const LINES_PER_WINDOW: u32 = 10;
/// The length of a window.
const WINDOW: Duration = Duration::from_secs(1);

/// Leaves out the lines of a callsite beyond [`LINES_PER_WINDOW`] in a window, and says how many when it logs again.
/// Lines of the levels `debug` and `trace` are not limited: an operator who asks for them wants them all.
#[derive(Default)]
pub(super) struct LineLimit(Mutex<HashMap<Identifier, Callsite>>);

/// A place in the code that logs, and what it has logged in its latest window.
struct Callsite {
    window_began: Instant,
    lines: u32,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Written,
    /// Written, after this many were left out.
    WrittenAfter(u32),
    LeftOut,
}

impl Callsite {
    fn log(&mut self, now: Instant) -> Verdict {
        if now.duration_since(self.window_began) >= WINDOW {
            let left_out = self.lines.saturating_sub(LINES_PER_WINDOW);
            *self = Self { window_began: now, lines: 1 };
            return if left_out > 0 { Verdict::WrittenAfter(left_out) } else { Verdict::Written };
        }
        self.lines = self.lines.saturating_add(1);
        if self.lines > LINES_PER_WINDOW { Verdict::LeftOut } else { Verdict::Written }
    }
}

impl<S: Subscriber> Layer<S> for LineLimit {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO {
            return true;
        }
        let now = Instant::now();
        let verdict = {
            let mut callsites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            callsites.entry(metadata.callsite()).or_insert(Callsite { window_began: now, lines: 0 }).log(now)
        };
        if let Verdict::WrittenAfter(left_out) = verdict {
            let (file, line) = (metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
            if *metadata.level() == Level::INFO {
                info!(left_out, file, line, "log lines of one callsite left out");
            } else {
                warn!(left_out, file, line, "log lines of one callsite left out");
            }
        }
        verdict != Verdict::LeftOut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callsite_writes_ten_lines_a_window_and_says_how_many_it_left_out() {
        let began = Instant::now();
        let mut callsite = Callsite { window_began: began, lines: 0 };
        for line in 1..=25 {
            let expected = if line <= LINES_PER_WINDOW { Verdict::Written } else { Verdict::LeftOut };
            assert_eq!(callsite.log(began), expected, "line {line}");
        }
        assert_eq!(callsite.log(began + WINDOW), Verdict::WrittenAfter(15));
        assert_eq!(callsite.log(began + WINDOW * 2), Verdict::Written);
    }
}
