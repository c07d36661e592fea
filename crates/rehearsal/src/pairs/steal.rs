//! Whether the machine's processors were really there: on a virtual machine the hypervisor may give them to others for a while.

use std::fs;

/// A pair is dropped if, during either of its slices, more than this share of the machine's processor time was stolen.
pub const STEAL_MAX: f64 = 0.02;

/// The first line of `/proc/stat`: ticks since the machine was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTimes {
    total: u64,
    stolen: u64,
}

/// Where `steal` stands in the line, after `user`, `nice`, `system`, `idle`, `iowait`, `irq` and `softirq`. What follows it, `guest` and
/// `guest_nice`, is part of `user` and `nice`.
const STEAL: usize = 7;

impl CpuTimes {
    /// The times until now; none where the system does not report them.
    pub fn now() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        let times = stat.lines().next()?.strip_prefix("cpu ")?;
        let times: Vec<u64> =
            times.split_whitespace().take(STEAL + 1).map(|ticks| ticks.parse().ok()).collect::<Option<_>>()?;
        Some(Self { total: times.iter().sum(), stolen: *times.get(STEAL)? })
    }

    /// The share of the processor time since an earlier moment that was stolen, from 0 to 1.
    pub fn stolen_since(self, before: Self) -> f64 {
        let (total, stolen) = (self.total.saturating_sub(before.total), self.stolen.saturating_sub(before.stolen));
        if total == 0 { 0.0 } else { ticks(stolen) / ticks(total) }
    }
}

/// Measures the stolen share from when it is made.
#[derive(Clone, Copy, Debug)]
pub struct StealMeter(Option<CpuTimes>);

impl StealMeter {
    /// Begins now.
    pub fn start() -> Self {
        Self(CpuTimes::now())
    }

    /// The share that was stolen since then; 0 where the system does not report it.
    pub fn stolen(self) -> f64 {
        self.0.zip(CpuTimes::now()).map_or(0.0, |(before, after)| after.stolen_since(before))
    }
}

#[expect(clippy::cast_precision_loss, reason = "ticks of the uptime of a machine are far below 2^52")]
fn ticks(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_the_eighth_time_and_guests_are_not_counted_twice() {
        let before = CpuTimes::parse("cpu  100 0 50 800 10 0 5 35 20 0\ncpu0 1 2 3\n").expect("a line of times");
        let after = CpuTimes::parse("cpu  160 0 70 910 10 0 5 45 60 0\n").expect("a line of times");
        assert!((after.stolen_since(before) - 10.0 / 200.0).abs() < 1e-12);
        assert!(after.stolen_since(after).abs() < f64::EPSILON, "no time has passed");
    }

    #[test]
    fn a_system_that_does_not_report_steal_has_none() {
        assert_eq!(CpuTimes::parse("cpu  100 0 50 800\n"), None);
        assert_eq!(CpuTimes::parse("intr 1 2 3\n"), None);
        assert_eq!(CpuTimes::parse(""), None);
        assert!(StealMeter(None).stolen().abs() < f64::EPSILON);
    }
}
