//! The promises that the auditor checks on the stored data, and the conditions that break them.
//!
//! A breach is reported once, under the most specific promise: a seat that two fans paid for is reported as sold twice, and not as
//! missing for one of them too.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

pub mod queue;
pub mod seats;

/// The most findings of a promise that a report lists. The count is exact beyond it. A hundred are enough to start an investigation,
/// and the report stays far below the maximum size of a message.
pub const FINDINGS_PER_PROMISE_MAX: usize = 100;
/// How long after the deadline of a hold another event may be recorded before the hold counts as overdue. Sweeps run four times a
/// second, so a longer time means that the sweep has stopped while sales continued.
pub const HOLD_OVERDUE_AFTER: Duration = Duration::from_mins(1);

/// A promise that can be checked on the stored data. None may ever have findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// Broken by a seat of a performance that is in more than one live reservation (held or confirmed), or that has more
    /// than one claim.
    DoubleSoldSeat,
    /// Broken by a confirmed reservation that lists no seat, by a seat of one without the reservation's claim, and by a
    /// payment whose reservation is neither confirmed nor cancelled.
    PaidWithoutSeat,
    /// Broken by a claim whose reservation is not live, is of another performance or fan, or does not list the seat, by one for a
    /// fan who does not exist, and by a seat of a held reservation without the reservation's claim.
    OrphanHold,
    /// Broken by a transfer that has not exactly two sides, the wallet's and the opposite one, of exactly its amount; by a side
    /// without a transfer; by a payment that differs from its reservation or has not exactly one transfer of its amount; by a
    /// confirmed or cancelled reservation without a payment of its own; by a refund that has not exactly the transfers that it
    /// needs, or does not fit its reservation; by a cancelled reservation without a refund of all its seats; by a card payment
    /// that was charged to the ledger without a sale or a refund, or that nobody will take up again although what was taken is
    /// neither sold nor given back, or what was sold is not taken; by a reservation whose total is not the sum of its seats'
    /// prices; and by a wallet that does not hold the sum of its entries.
    MoneyMadeOrLost,
    /// Broken by a wallet whose balance is below zero, or was after one of its entries.
    NegativeWallet,
    /// Broken by a reservation, payment, attempt to pay by card, top-up or refund by a fan that is not the result of exactly one request of its fan, by such a request
    /// without its result, and by two payments of one reservation. Every such effect has a request, because the ports
    /// require one.
    RepeatedEffect,
    /// Broken by a reservation, top-up or refund without the event of each of its changes, by an event of these kinds without its
    /// change or with another key, by an event that was written twice, and by a reservation whose end was written before its beginning.
    OutboxGap,
    /// Broken by a hold that is still held although an event was recorded more than [`HOLD_OVERDUE_AFTER`] after its deadline. The
    /// time of the last event is used instead of the clock, because a stopped system does not sweep.
    OverdueHold,
    /// Broken by a queue in which more fans are inside (active, or called and not accepted yet) than the maximum allows. When the
    /// maximum is lowered below that number, it is reported until enough have left.
    OverMaxActive,
    /// Broken by a number inside that was never given out, has not been called yet, is gone, or is called and active at once,
    /// and by a queue that called more numbers than it gave out.
    QueueJump,
    /// Broken by a seat whose live state differs from its claim. A lock without a claim is allowed until its deadline, because a
    /// hold takes the lock first, and such a lock expires by itself.
    SeatStateDiffers,
}

impl Promise {
    /// All promises, in the order of reports.
    pub const ALL: [Self; 11] = [
        Self::DoubleSoldSeat,
        Self::PaidWithoutSeat,
        Self::OrphanHold,
        Self::MoneyMadeOrLost,
        Self::NegativeWallet,
        Self::RepeatedEffect,
        Self::OutboxGap,
        Self::OverdueHold,
        Self::OverMaxActive,
        Self::QueueJump,
        Self::SeatStateDiffers,
    ];

    /// The name in reports. It never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::DoubleSoldSeat => "double_sold_seat",
            Self::PaidWithoutSeat => "paid_without_seat",
            Self::OrphanHold => "orphan_hold",
            Self::MoneyMadeOrLost => "money_made_or_lost",
            Self::NegativeWallet => "negative_wallet",
            Self::RepeatedEffect => "repeated_effect",
            Self::OutboxGap => "outbox_gap",
            Self::OverdueHold => "overdue_hold",
            Self::OverMaxActive => "over_max_active",
            Self::QueueJump => "queue_jump",
            Self::SeatStateDiffers => "seat_state_differs",
        }
    }

    /// What is counted as examined for it.
    pub fn examines(self) -> &'static str {
        match self {
            Self::DoubleSoldSeat => "seats of live reservations",
            Self::PaidWithoutSeat => "confirmed reservations",
            Self::OrphanHold => "claims",
            Self::MoneyMadeOrLost => "transfers",
            Self::NegativeWallet => "wallets",
            Self::RepeatedEffect => "reservations, payments and top-ups",
            Self::OutboxGap => "events",
            Self::OverdueHold => "holds",
            Self::OverMaxActive => "queues with a maximum",
            Self::QueueJump => "numbers inside queues",
            Self::SeatStateDiffers => "seats",
        }
    }
}

/// One breach of a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is broken.
    pub promise: Promise,
    /// The record that breaks it, such as `transfer 0192f0c1-…`. It is the same as long as the breach exists.
    pub subject: String,
    /// What is wrong, with the numbers.
    pub detail: String,
}

impl Finding {
    /// A breach of a promise by a record.
    pub fn new(promise: Promise, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { promise, subject: subject.into(), detail: detail.into() }
    }
}

/// The findings of `now` that an earlier look had too. A finding of one look only was a change under way.
pub fn lasting(earlier: &[Finding], now: Vec<Finding>) -> Vec<Finding> {
    let key = |finding: &Finding| (finding.promise, finding.subject.clone());
    let known: HashSet<(Promise, String)> = earlier.iter().map(key).collect();
    now.into_iter().filter(|finding| known.contains(&key(finding))).collect()
}

/// The result of one promise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromiseReport {
    /// How many records were examined; see [`Promise::examines`].
    pub examined: u64,
    /// How many findings there are.
    pub broken: u64,
    /// The first of them, at most [`FINDINGS_PER_PROMISE_MAX`].
    pub findings: Vec<Finding>,
}

/// The results of all promises that were checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport(BTreeMap<Promise, PromiseReport>);

impl AuditReport {
    /// Adds to the number of examined records of a promise, which may be 0.
    pub fn examine(&mut self, promise: Promise, things: u64) {
        self.0.entry(promise).or_default().examined += things;
    }

    /// Adds a finding.
    pub fn find(&mut self, finding: Finding) {
        let of_promise = self.0.entry(finding.promise).or_default();
        of_promise.broken += 1;
        if of_promise.findings.len() < FINDINGS_PER_PROMISE_MAX {
            of_promise.findings.push(finding);
        }
    }

    /// Adds findings that are counted and not listed.
    pub fn find_unshown(&mut self, promise: Promise, findings: u64) {
        self.0.entry(promise).or_default().broken += findings;
    }

    /// Adds the results of another report.
    pub fn add(&mut self, other: Self) {
        for (promise, report) in other.0 {
            self.examine(promise, report.examined);
            let shown = u64::try_from(report.findings.len()).unwrap_or(u64::MAX);
            self.find_unshown(promise, report.broken.saturating_sub(shown));
            report.findings.into_iter().for_each(|finding| self.find(finding));
        }
    }

    /// The result of a promise; none if it was not checked.
    pub fn of(&self, promise: Promise) -> Option<&PromiseReport> {
        self.0.get(&promise)
    }

    /// How many findings of a promise there are.
    pub fn broken(&self, promise: Promise) -> u64 {
        self.of(promise).map_or(0, |report| report.broken)
    }

    /// The listed findings, by promise.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.0.values().flat_map(|report| &report.findings)
    }

    /// Whether none of the checked promises is broken.
    pub fn is_clean(&self) -> bool {
        self.0.values().all(|report| report.broken == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_all_are_told() {
        let names: HashSet<&str> = Promise::ALL.iter().map(|promise| promise.name()).collect();
        assert_eq!(names.len(), Promise::ALL.len());
        assert!(Promise::ALL.is_sorted(), "in the order of a report");
    }

    #[test]
    fn a_report_shows_some_findings_and_counts_all() {
        let mut report = AuditReport::default();
        report.examine(Promise::OverMaxActive, 7);
        assert!(report.is_clean());
        for number in 0..=FINDINGS_PER_PROMISE_MAX {
            report.find(Finding::new(Promise::QueueJump, format!("number {number}"), "out of turn"));
        }
        let mut whole = report.clone();
        whole.add(report);
        let jumps = whole.of(Promise::QueueJump).expect("looked at");
        assert_eq!((jumps.broken, jumps.findings.len()), (202, FINDINGS_PER_PROMISE_MAX));
        assert_eq!(whole.of(Promise::OverMaxActive).map(|caps| (caps.examined, caps.broken)), Some((14, 0)));
        assert_eq!(whole.of(Promise::OutboxGap), None);
        assert!(!whole.is_clean());
    }

    #[test]
    fn what_is_gone_at_the_second_look_was_under_way() {
        let finding = |subject: &str, detail: &str| Finding::new(Promise::OverMaxActive, subject, detail);
        let earlier = [finding("a", "5 inside"), finding("b", "6 inside")];
        let now = vec![finding("b", "7 inside"), finding("c", "8 inside")];
        assert_eq!(lasting(&earlier, now), [finding("b", "7 inside")]);
    }
}
