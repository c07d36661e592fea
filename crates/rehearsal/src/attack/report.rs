//! The table of the attacks, and the bounds.

use comfy_table::Table;

use super::attacks::Attack;
use super::neighbour::Answers;

/// During an attack the neighbour's P99 may be this many times what it was before,
const TIMES_MAX: u64 = 2;
/// or this much, whichever is more: what a busy machine adds to a call by itself.
const P99_FLOOR_US: u64 = 25_000;
const MIB: u64 = 1024 * 1024;

/// What came of an attack.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) before: Answers,
    pub(super) during: Answers,
    pub(super) after: Answers,
    /// Resident bytes of the server.
    pub(super) memory_before: u64,
    pub(super) memory_most: u64,
    pub(super) memory_after: u64,
    /// What the attacker saw.
    pub(super) note: String,
    memory_max_mib: u64,
}

impl Row {
    pub(super) fn new(attack: &Attack) -> Self {
        Self {
            name: attack.name,
            before: Answers::default(),
            during: Answers::default(),
            after: Answers::default(),
            memory_before: 0,
            memory_most: 0,
            memory_after: 0,
            note: String::new(),
            memory_max_mib: attack.memory_max_mib,
        }
    }

    /// The server's growth during the attack.
    fn growth_mib(&self) -> u64 {
        self.memory_most.saturating_sub(self.memory_before) / MIB
    }

    fn p99_bound_us(&self) -> u64 {
        (self.before.p99_us * TIMES_MAX).max(P99_FLOOR_US)
    }

    pub(super) fn is_within_bounds(&self) -> bool {
        let is_fast = |answers: &Answers| answers.p99_us <= self.p99_bound_us() && answers.failed == 0;
        is_fast(&self.during) && is_fast(&self.after) && self.growth_mib() <= self.memory_max_mib
    }

    /// The same for whoever watches.
    pub(super) fn line(&self) -> String {
        let failed = self.during.first_failure.as_ref().or(self.after.first_failure.as_ref());
        let failed = failed.map(|why| format!("; the neighbour failed: {why}")).unwrap_or_default();
        format!("{}{failed}", self.note)
    }
}

/// The table, in milliseconds and MiB.
pub(super) fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header([
        "attack",
        "P50 / P99 before",
        "during",
        "after",
        "failed",
        "memory before",
        "most",
        "after",
        "growth allowed",
        "",
    ]);
    for row in rows {
        let ms = |us: u64| format!("{}.{}", us / 1000, us % 1000 / 100);
        let quantiles = |answers: &Answers| format!("{} / {}", ms(answers.p50_us), ms(answers.p99_us));
        let failed = row.during.failed + row.after.failed;
        table.add_row([
            row.name.to_owned(),
            quantiles(&row.before),
            quantiles(&row.during),
            quantiles(&row.after),
            format!("{failed} of {}", row.during.calls + row.after.calls),
            (row.memory_before / MIB).to_string(),
            (row.memory_most / MIB).to_string(),
            (row.memory_after / MIB).to_string(),
            row.memory_max_mib.to_string(),
            if row.is_within_bounds() { "" } else { "beyond the bounds" }.to_owned(),
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::attacks::ATTACKS;
    use super::*;

    fn row(before_us: u64, during_us: u64, growth_mib: u64, failed: u64) -> Row {
        let answers = |p99_us, failed| Answers { p99_us, failed, ..Answers::default() };
        let mut row = Row::new(&ATTACKS[0]);
        (row.before, row.during, row.after) =
            (answers(before_us, 0), answers(during_us, failed), answers(before_us, 0));
        (row.memory_before, row.memory_most) = (100 * MIB, (100 + growth_mib) * MIB);
        row
    }

    #[test]
    fn the_bounds_are_twice_the_usual_latency_no_failure_and_a_growth_of_memory() {
        let allowed = ATTACKS[0].memory_max_mib;
        assert!(row(20_000, 40_000, allowed, 0).is_within_bounds());
        assert!(!row(20_000, 40_001, allowed, 0).is_within_bounds());
        assert!(row(1_000, P99_FLOOR_US, 0, 0).is_within_bounds(), "the floor");
        assert!(!row(1_000, P99_FLOOR_US + 1, 0, 0).is_within_bounds());
        assert!(!row(1_000, 1_000, allowed + 1, 0).is_within_bounds());
        assert!(!row(1_000, 1_000, 0, 1).is_within_bounds());
        assert!(table(&[row(1_000, 2_340, 0, 1)]).contains("beyond the bounds"));
    }
}
