//! What the processes take of the machine.

use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::report::model::Figure;

/// A look at some processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes.
    pub memory_bytes: u64,
    /// Processor time so far, in milliseconds.
    pub cpu_ms: u64,
}

/// The sum over processes that are there.
pub fn usage_of(pids: &[u32]) -> Usage {
    let pids: Vec<Pid> = pids.iter().map(|pid| Pid::from_u32(*pid)).collect();
    // Some systems do not report it.
    let Ok(mut system) = System::new() else { return Usage::default() };
    let what = ProcessRefreshKind::nothing().with_memory().with_cpu();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, what);
    let mut usage = Usage::default();
    for process in pids.iter().filter_map(|pid| system.process(*pid)) {
        usage.memory_bytes += process.memory();
        usage.cpu_ms += process.accumulated_cpu_time();
    }
    usage
}

/// How many cores were used on average: by this process, which generates the load, and by the instances, if they are processes that
/// were started for the rehearsal.
pub fn cores_used(servers: (Usage, Usage), client: (Usage, Usage), span: Duration) -> Vec<Figure> {
    let cores = |(before, after): (Usage, Usage)| {
        let used = Duration::from_millis(after.cpu_ms.saturating_sub(before.cpu_ms));
        used.as_secs_f64() / span.as_secs_f64().max(0.001)
    };
    if servers.1 == Usage::default() {
        return vec![Figure::new("used by the load generator", cores(client), "cores")];
    }
    vec![
        Figure::new("used by the load generator", cores(client), "cores"),
        Figure::new("used by the instances", cores(servers), "cores"),
    ]
}

/// The processor's name and the memory in MiB.
pub fn machine() -> (String, u64) {
    const MIB: u64 = 1 << 20;
    let Ok(mut system) = System::new() else { return (String::new(), 0) };
    system.refresh_memory();
    system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
    let processor = system.cpus().first().map(|cpu| cpu.brand().trim().to_owned()).unwrap_or_default();
    (processor, system.total_memory() / MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_of_instances_are_reported_only_where_they_are_known() {
        let busy = |cpu_ms| (Usage::default(), Usage { memory_bytes: 1, cpu_ms });
        let told = |servers| -> Vec<(String, f64)> {
            let figures = cores_used(servers, busy(3_000), Duration::from_secs(2));
            figures.into_iter().map(|figure| (figure.name, figure.value)).collect()
        };
        let alone = vec![("used by the load generator".to_owned(), 1.5), ("used by the instances".to_owned(), 0.5)];
        assert_eq!(told(busy(1_000)), alone);
        let together = told((Usage::default(), Usage::default()));
        assert_eq!(together, [("used by the load generator".to_owned(), 1.5)]);
    }
}
