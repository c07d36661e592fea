//! What follows from the answers of the stores.

use std::time::Duration;

use encore_domain::clock_reading::ClockReading;
use encore_grpc::Availability;
use tracing::{error, info, warn};

/// A store is unreachable after this many looks in a row without an answer: one slow second turns no health around.
const SILENCES_MAX: u32 = 3;
/// A store that was unreachable is reachable after this many answers in a row.
const ANSWERS_MIN: u32 = 2;

/// The answer of a store to a look.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// The instance has no such store. What it would keep is in its memory.
    NoStore,
    /// No answer in time.
    Silence,
    /// Its time.
    Time(ClockReading),
}

/// What is known of the stores and the clock.
#[derive(Default)]
pub(super) struct Verdict {
    records: Reachability,
    live: Reachability,
    clock: ClockVerdict,
    /// Whether the clock of the live store differed, though that of the records agreed.
    live_is_wrong: bool,
}

#[derive(Default)]
struct Reachability {
    unreachable: bool,
    /// How many answers in a row said the contrary.
    contrary: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ClockVerdict {
    #[default]
    Unknown,
    Agrees,
    /// The last look compared nothing, since no store answered.
    AgreedBefore,
    Differs,
}

impl Verdict {
    /// Takes the answers to one look.
    pub(super) fn note(&mut self, records: Answer, live: Answer, tolerance: Duration) -> Availability {
        self.records.note("postgres", records);
        self.live.note("redis", live);
        self.compare(records, live, tolerance);
        Availability { ready: self.clock_agrees(), records: !self.records.unreachable, queues: !self.live.unreachable }
    }

    /// Whether the clock agreed when it was last compared.
    pub(super) fn clock_agrees(&self) -> bool {
        matches!(self.clock, ClockVerdict::Agrees | ClockVerdict::AgreedBefore)
    }

    /// Whether the last look compared the clock.
    pub(super) fn clock_was_compared(&self) -> bool {
        matches!(self.clock, ClockVerdict::Agrees | ClockVerdict::Differs)
    }

    /// Postgres decides whose clock is right; Redis does while Postgres does not answer. If none does, the last comparison counts.
    fn compare(&mut self, records: Answer, live: Answer, tolerance: Duration) {
        let mut readings =
            [("postgres", records), ("redis", live)].into_iter().filter_map(|(store, answer)| match answer {
                Answer::Time(reading) => Some((store, reading)),
                Answer::NoStore | Answer::Silence => None,
            });
        let before = self.clock;
        let Some((store, reading)) = readings.next() else {
            if before == ClockVerdict::Agrees {
                self.clock = ClockVerdict::AgreedBefore;
            }
            return;
        };
        let ahead_ms = reading.ahead_ms();
        if !reading.agrees_within(tolerance) {
            self.clock = ClockVerdict::Differs;
            if before != ClockVerdict::Differs {
                error!(
                    alarm = "clock_wrong",
                    store,
                    ahead_ms,
                    ?tolerance,
                    "clock differs from that of a store; not ready, and nothing is swept"
                );
            }
            return;
        }
        self.clock = ClockVerdict::Agrees;
        if before == ClockVerdict::Differs {
            info!(store, ahead_ms, "clock agrees with the stores again; ready");
        }
        let was_wrong = self.live_is_wrong;
        let wrong = readings.find(|(_, reading)| !reading.agrees_within(tolerance));
        self.live_is_wrong = wrong.is_some();
        if let Some((store, reading)) = wrong.filter(|_| !was_wrong) {
            let ahead_ms = reading.ahead_ms();
            error!(
                alarm = "store_clock_wrong",
                store,
                ahead_ms,
                ?tolerance,
                "clock agrees with postgres and not with another store; that store is wrong"
            );
        }
    }
}

impl Reachability {
    fn note(&mut self, store: &'static str, answer: Answer) {
        let is_silent = matches!(answer, Answer::Silence);
        self.contrary = if is_silent == self.unreachable { 0 } else { self.contrary + 1 };
        let needed = if self.unreachable { ANSWERS_MIN } else { SILENCES_MAX };
        if self.contrary < needed {
            return;
        }
        (self.unreachable, self.contrary) = (is_silent, 0);
        if is_silent {
            warn!(store, "store unreachable; the services that need it are reported as not serving");
        } else {
            info!(store, "store reachable again; the services that need it are reported as serving");
        }
    }
}

#[cfg(test)]
mod tests {
    use encore_domain::time::Timestamp;

    use super::*;

    const TOLERANCE: Duration = Duration::from_secs(1);

    /// The answer of a store whose clock our clock is ahead of.
    fn ahead(ms: i64) -> Answer {
        let at = |ms| Timestamp::from_timestamp_millis(1_790_000_000_000 + ms).expect("in range");
        Answer::Time(ClockReading { before: at(ms), other: at(0), after: at(ms) })
    }

    #[test]
    fn a_store_is_unreachable_after_three_silences_and_reachable_after_two_answers() {
        let mut verdict = Verdict::default();
        let mut queues = |answers: &[Answer]| {
            answers.iter().map(|live| verdict.note(ahead(0), *live, TOLERANCE).queues).collect::<Vec<_>>()
        };
        let (silence, time) = (Answer::Silence, ahead(0));
        assert_eq!(queues(&[time, silence, silence, time, silence, silence]), [true; 6], "a hiccup changes nothing");
        assert_eq!(queues(&[silence, time, silence, time]), [false; 4]);
        assert_eq!(queues(&[time, silence]), [true; 2]);
    }

    #[test]
    fn stores_that_do_not_answer_leave_the_instance_ready() {
        let mut verdict = Verdict::default();
        assert!(verdict.note(ahead(0), ahead(0), TOLERANCE).ready);
        for _ in 0..10 {
            assert!(verdict.note(Answer::Silence, Answer::Silence, TOLERANCE).ready);
        }
        let found = verdict.note(Answer::Silence, ahead(0), TOLERANCE);
        assert_eq!(found, Availability { ready: true, records: false, queues: false });
    }

    #[test]
    fn postgres_decides_whose_clock_is_right_and_redis_while_it_is_silent() {
        let mut verdict = Verdict::default();
        let mut ready = |records, live| verdict.note(records, live, TOLERANCE).ready;
        assert!(!ready(Answer::Silence, Answer::Silence), "nothing was compared yet");
        assert!(ready(ahead(1_000), ahead(-1_000)));
        assert!(!ready(ahead(1_001), Answer::NoStore));
        assert!(!ready(Answer::Silence, Answer::Silence), "a silence does not set the clock right");
        assert!(ready(Answer::Silence, ahead(0)));
        assert!(ready(ahead(0), ahead(-1_001)), "the clock of redis is wrong");
        assert!(!ready(ahead(1_001), ahead(0)));
        assert!(!ready(Answer::Silence, ahead(-1_001)));
        assert!(ready(ahead(0), Answer::NoStore));
    }
}
