//! The consistency checker: each fan notes what the server answered, and afterwards the notes of all fans are compared.
//!
//! It does not trust what the server stores, and it reports no breach that could be a delay in the network. Therefore it misses some:
//! admissions above the rate are seen only if there are more than the rate allows since the start of the sale, and neither the order nor
//! the maximum of active fans can be checked across a reset of the queue.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::report::model::PromiseReport;

/// How many breaches of a promise are named.
const FINDINGS_MAX: usize = 100;

/// What one fan noted. Moments are milliseconds since 1970.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// Who.
    pub fan: u64,
    /// The number in the queue.
    pub number: Option<u64>,
    /// When joining began.
    pub joined_ms: Option<u64>,
    /// How many frames contained a position.
    pub positions: u64,
    /// Positions that grew: from, to.
    pub grew: Vec<(u64, u64)>,
    /// The latest moment of which the server said that the fan was waiting.
    pub waiting_ms: Option<u64>,
    /// When the fan learned of being admitted.
    pub admitted_ms: Option<u64>,
    /// From when on the fan may no longer have been inside: leaving or paying began, or the deadline came.
    pub inside_until_ms: Option<u64>,
    /// Whether the server said that the queue was reset; then its numbers start again.
    pub queue_was_reset: bool,
    /// Why the fan's place was ended, though the fan neither left nor was away for long.
    pub place_lost: Option<&'static str>,
    /// Seats that a payment was answered for.
    pub seats: Vec<String>,
    /// The reservation that was paid.
    pub reservation: Option<String>,
    /// Whether that is confirmed, when everybody is gone.
    pub confirmed: Option<bool>,
    /// Payments of another amount than the price.
    pub wrong_amounts: Vec<String>,
    /// What came into the wallet and what was answered as paid, in minor units.
    pub charged_minor: i64,
    /// See `charged_minor`.
    pub paid_minor: i64,
    /// Whether the outcome of some charge or payment is not known, because no answer came.
    pub money_unknown: bool,
    /// The balance at the end.
    pub balance_minor: Option<i64>,
    /// How many requests were sent twice, and what differed in their answers.
    pub repeats: u64,
    /// See `repeats`.
    pub repeats_differed: Vec<String>,
}

/// The limits of the queue, as the operator set them.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// The most that may be inside.
    pub max_active: u64,
    /// Admissions a second.
    pub per_second: u64,
    /// The most at once after a quiet time.
    pub batch: u64,
    /// By how much the servers' clocks may differ from the client's.
    pub skew_ms: u64,
}

/// Collects notes.
#[derive(Debug, Default)]
pub struct ConsistencyChecker(Mutex<Vec<Notes>>);

impl ConsistencyChecker {
    /// Keeps a fan's notes.
    pub fn keep(&self, notes: Notes) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(notes);
    }

    /// How many breaches the notes show so far.
    pub fn breaches(&self, limits: QueueLimits) -> u64 {
        self.check(limits).iter().map(|promise| promise.breaches).sum()
    }

    /// Compares all notes.
    pub fn check(&self, limits: QueueLimits) -> Vec<PromiseReport> {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Numbers, active fans and rate of a queue that was reset start again.
        let one_queue: &[Notes] = if notes.iter().any(|it| it.queue_was_reset) { &[] } else { &notes };
        vec![
            positions(&notes),
            places(&notes),
            queue_jumps(one_queue, limits),
            over_max_active(one_queue, limits),
            over_rate(one_queue, limits),
            double_sold(&notes),
            lost_seats(&notes),
            money(&notes),
            repeats(&notes),
        ]
    }
}

fn report(promise: &str, examined: u64, findings: Vec<String>) -> PromiseReport {
    let breaches = count(findings.len());
    PromiseReport {
        promise: promise.to_owned(),
        examined_by: "checker".to_owned(),
        examined,
        breaches,
        findings: findings.into_iter().take(FINDINGS_MAX).collect(),
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn positions(notes: &[Notes]) -> PromiseReport {
    let grew = notes.iter().flat_map(|it| it.grew.iter().map(move |(from, to)| (it.fan, from, to)));
    let findings = grew.map(|(fan, from, to)| format!("fan {fan} was told position {to} after {from}")).collect();
    report("position_grew", notes.iter().map(|it| it.positions).sum(), findings)
}

fn places(notes: &[Notes]) -> PromiseReport {
    let reset = notes.iter().filter(|it| it.queue_was_reset).map(|it| (it.fan, "RESET"));
    let lost = notes.iter().filter_map(|it| Some((it.fan, it.place_lost?)));
    let findings = reset.chain(lost).map(|(fan, why)| format!("fan {fan} lost the place in the queue: {why}"));
    report("place_lost", count(notes.iter().filter(|it| it.number.is_some()).count()), findings.collect())
}

/// A queue jump: a fan was still waiting after a fan behind them had been admitted.
fn queue_jumps(notes: &[Notes], limits: QueueLimits) -> PromiseReport {
    let mut in_queue: Vec<(u64, &Notes)> = notes.iter().filter_map(|it| Some((it.number?, it))).collect();
    in_queue.sort_unstable_by_key(|(number, _)| *number);
    let mut findings = Vec::new();
    let mut examined = 0;
    // The one ahead who was seen waiting last.
    let mut ahead: Option<(u64, u64)> = None;
    for (number, fan) in in_queue {
        if let (Some(admitted), Some((waiting, other))) = (fan.admitted_ms, ahead) {
            examined += 1;
            if waiting > admitted + limits.skew_ms {
                findings.push(format!(
                    "number {number} was admitted by {admitted} ms, and number {other} still waited at {waiting} ms"
                ));
            }
        }
        ahead = ahead.max(fan.waiting_ms.map(|waiting| (waiting, number)));
    }
    report("queue_jump", examined, findings)
}

/// Counts those who were inside for certain: from learning of the admission to the first step out.
fn over_max_active(notes: &[Notes], limits: QueueLimits) -> PromiseReport {
    let mut steps: Vec<(u64, i64)> = Vec::new();
    for fan in notes {
        if let (Some(from), Some(until)) = (fan.admitted_ms, fan.inside_until_ms) {
            // A fan who is out at a moment is not in at it; what clocks may differ by is not held against the server.
            if until > from + limits.skew_ms {
                steps.extend([(from + limits.skew_ms, 1), (until, -1)]);
            }
        }
    }
    steps.sort_unstable();
    let (mut inside, mut most, mut at) = (0, 0, 0);
    for (moment, change) in steps {
        inside += change;
        if inside > most {
            (most, at) = (inside, moment);
        }
    }
    let over = u64::try_from(most).unwrap_or(0) > limits.max_active;
    let finding = format!("{most} were inside at {at} ms, and max_active is {}", limits.max_active);
    report(
        "over_max_active",
        count(notes.iter().filter(|it| it.admitted_ms.is_some()).count()),
        finding_if(over, finding),
    )
}

/// By any moment, no more can have learned of an admission than the rate allows since the first joined.
fn over_rate(notes: &[Notes], limits: QueueLimits) -> PromiseReport {
    let mut admitted: Vec<u64> = notes.iter().filter_map(|it| it.admitted_ms).collect();
    admitted.sort_unstable();
    let begun = notes.iter().filter_map(|it| it.joined_ms).min().unwrap_or(0);
    let too_many = (1_u64..).zip(&admitted).find(|(number, at)| {
        let elapsed_ms = at.saturating_sub(begun) + limits.skew_ms;
        *number > limits.batch + (limits.per_second * elapsed_ms).div_ceil(1_000)
    });
    let finding = too_many
        .map(|(number, at)| format!("{number} were admitted {} ms after the first joined", at.saturating_sub(begun)));
    report("over_rate", count(admitted.len()), finding.into_iter().collect())
}

fn double_sold(notes: &[Notes]) -> PromiseReport {
    let mut owners: HashMap<&str, u64> = HashMap::new();
    let mut findings = Vec::new();
    for fan in notes {
        for seat in &fan.seats {
            if let Some(other) = owners.insert(seat, fan.fan) {
                findings.push(format!("seat {seat} was sold to fan {other} and to fan {}", fan.fan));
            }
        }
    }
    report("double_sold_seat", count(owners.len()), findings)
}

/// What was answered as paid is the fan's for good.
fn lost_seats(notes: &[Notes]) -> PromiseReport {
    let looked: Vec<(&Notes, bool)> = notes.iter().filter_map(|it| Some((it, it.confirmed?))).collect();
    let lost = looked.iter().filter(|(_, confirmed)| !confirmed);
    let findings = lost.map(|(fan, _)| {
        let reservation = fan.reservation.as_deref().unwrap_or_default();
        format!("fan {} paid, and reservation {reservation} is not confirmed", fan.fan)
    });
    report("paid_seat_lost", count(looked.len()), findings.collect())
}

/// Who knows all answers knows the balance.
fn money(notes: &[Notes]) -> PromiseReport {
    let known = notes.iter().filter(|it| !it.money_unknown).filter_map(|it| Some((it, it.balance_minor?)));
    let mut examined = 0;
    let wrong = notes.iter().flat_map(|it| it.wrong_amounts.iter().map(|what| format!("fan {}: {what}", it.fan)));
    let mut findings: Vec<String> = wrong.collect();
    for (fan, balance) in known {
        examined += 1;
        if balance != fan.charged_minor - fan.paid_minor {
            findings.push(format!(
                "fan {} charged {} and paid {}, and the wallet holds {balance}",
                fan.fan, fan.charged_minor, fan.paid_minor
            ));
        }
    }
    report("money_made_or_lost", examined, findings)
}

fn repeats(notes: &[Notes]) -> PromiseReport {
    let findings = notes.iter().flat_map(|it| it.repeats_differed.iter().map(|what| format!("fan {}: {what}", it.fan)));
    report("repeated_effect", notes.iter().map(|it| it.repeats).sum(), findings.collect())
}

fn finding_if(broken: bool, finding: String) -> Vec<String> {
    if broken { vec![finding] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: QueueLimits = QueueLimits { max_active: 2, per_second: 10, batch: 5, skew_ms: 0 };

    fn breaches(notes: &[Notes], promise: &str) -> u64 {
        let checker = ConsistencyChecker::default();
        notes.iter().cloned().for_each(|it| checker.keep(it));
        let reports = checker.check(LIMITS);
        let total: u64 = reports.iter().map(|it| it.breaches).sum();
        let of_it = reports.iter().find(|it| it.promise == promise).expect("a promise").breaches;
        assert_eq!(total, of_it, "nothing else is broken: {reports:?}");
        of_it
    }

    fn fan(number: u64, admitted_ms: u64, inside_until_ms: u64) -> Notes {
        Notes {
            fan: number,
            number: Some(number),
            joined_ms: Some(0),
            waiting_ms: Some(admitted_ms.saturating_sub(50)),
            admitted_ms: Some(admitted_ms),
            inside_until_ms: Some(inside_until_ms),
            ..Notes::default()
        }
    }

    #[test]
    fn an_orderly_sale_breaks_nothing() {
        let notes = [fan(1, 100, 400), fan(2, 100, 300), fan(3, 320, 900), fan(4, 450, 800)];
        for promise in ["position_grew", "queue_jump", "over_max_active", "over_rate", "double_sold_seat"] {
            assert_eq!(breaches(&notes, promise), 0);
        }
    }

    #[test]
    fn a_position_that_grew_is_told() {
        let grew = Notes { grew: vec![(7, 9)], ..fan(1, 100, 200) };
        assert_eq!(breaches(&[grew], "position_grew"), 1);
    }

    #[test]
    fn who_still_waited_when_one_behind_was_in_was_jumped_over() {
        let jumped = Notes { waiting_ms: Some(201), ..fan(1, 400, 500) };
        assert_eq!(breaches(&[jumped.clone(), fan(2, 200, 300)], "queue_jump"), 1);
        let told_late = Notes { waiting_ms: Some(200), ..jumped.clone() };
        assert_eq!(breaches(&[told_late, fan(2, 200, 300)], "queue_jump"), 0, "both were called in one instant");
        let behind = Notes { number: Some(3), ..jumped.clone() };
        assert_eq!(breaches(&[behind, fan(2, 200, 300)], "queue_jump"), 0, "who is behind may wait");
    }

    #[test]
    fn a_queue_made_anew_costs_places_and_says_nothing_of_order() {
        let jumped = Notes { waiting_ms: Some(201), queue_was_reset: true, ..fan(1, 400, 500) };
        assert_eq!(breaches(&[jumped, fan(2, 200, 300)], "place_lost"), 1);
        let ended = Notes { place_lost: Some("ABANDONED"), ..fan(1, 100, 200) };
        assert_eq!(breaches(&[ended], "place_lost"), 1);
    }

    #[test]
    fn clocks_that_differ_prove_nothing() {
        let checker = ConsistencyChecker::default();
        let jumped = Notes { waiting_ms: Some(700), ..fan(1, 900, 1_200) };
        for it in [jumped, fan(2, 200, 1_200), fan(3, 300, 1_200)] {
            checker.keep(it);
        }
        let breaches = |skew_ms| -> u64 {
            let reports = checker.check(QueueLimits { skew_ms, ..LIMITS });
            reports.iter().map(|it| it.breaches).sum()
        };
        assert_eq!(breaches(0), 3, "two jumps, and three inside");
        assert_eq!(breaches(1_000), 0);
    }

    #[test]
    fn a_paid_seat_that_is_not_confirmed_is_told() {
        let lost = Notes { confirmed: Some(false), ..fan(1, 100, 100) };
        assert_eq!(breaches(&[lost, Notes { confirmed: Some(true), ..fan(2, 100, 100) }], "paid_seat_lost"), 1);
    }

    #[test]
    fn more_inside_than_the_cap_is_told() {
        let notes = [fan(1, 100, 400), fan(2, 100, 400), fan(3, 399, 900)];
        assert_eq!(breaches(&notes, "over_max_active"), 1);
        let in_turn = [fan(1, 100, 400), fan(2, 100, 400), fan(3, 400, 900)];
        assert_eq!(breaches(&in_turn, "over_max_active"), 0);
    }

    #[test]
    fn more_admissions_than_the_rate_allows_are_told() {
        let admitted_at = |at| move |number| fan(number, at, at);
        let at_once: Vec<Notes> = (1..=6).map(admitted_at(0)).collect();
        assert_eq!(breaches(&at_once, "over_rate"), 1, "the batch is five");
        let later: Vec<Notes> = (1..=6).map(admitted_at(100)).collect();
        assert_eq!(breaches(&later, "over_rate"), 0, "after 100 ms there is one more");
    }

    #[test]
    fn a_seat_with_two_owners_is_told() {
        let with_seat = |number| Notes { seats: vec!["1-1-1".into()], ..fan(number, 100, 100) };
        assert_eq!(breaches(&[with_seat(1), with_seat(2)], "double_sold_seat"), 1);
    }

    #[test]
    fn a_wallet_that_does_not_add_up_is_told_unless_an_answer_is_missing() {
        let short = Notes { charged_minor: 100, paid_minor: 60, balance_minor: Some(39), ..fan(1, 100, 100) };
        assert_eq!(breaches(std::slice::from_ref(&short), "money_made_or_lost"), 1);
        assert_eq!(breaches(&[Notes { money_unknown: true, ..short.clone() }], "money_made_or_lost"), 0);
        assert_eq!(breaches(&[Notes { balance_minor: Some(40), ..short.clone() }], "money_made_or_lost"), 0);
        let wrong = Notes { wrong_amounts: vec!["paid 2 for 1".into()], balance_minor: Some(40), ..short };
        assert_eq!(breaches(&[wrong], "money_made_or_lost"), 1);
    }

    #[test]
    fn a_repeat_with_another_answer_is_told() {
        let differed = Notes { repeats: 1, repeats_differed: vec!["two payments".into()], ..fan(1, 100, 100) };
        assert_eq!(breaches(&[differed], "repeated_effect"), 1);
    }
}
