//! Two trees of processes take turns on the machine: while one runs, the other is stopped.
//!
//! A machine that others share changes its speed within seconds. Rehearsals that are held one after the other meet a machine of
//! different speeds. Rehearsals that take turns many times a second meet the same one.

use std::time::Duration;

use rand::RngExt;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, Signal, System};
use tokio::time::sleep;

/// How long a turn lasts, at least and at most, in milliseconds. The shorter, the less the machine changes between two turns, and
/// the more of each is spent on changing over. Turns differ in length, so that they do not keep step with what the servers do
/// periodically.
const TURN_MS: (u64, u64) = (80, 120);

/// The processes that descend from two, and whose turn it is. Dropping this lets all of them run.
pub(super) struct Turns {
    system: System,
    roots: [Pid; 2],
}

impl Turns {
    /// For the descendants of two processes, which are included. Fails where processes cannot be listed.
    pub(super) fn new(roots: [u32; 2]) -> Result<Self, sysinfo::Error> {
        Ok(Self { system: System::new()?, roots: roots.map(Pid::from_u32) })
    }

    /// Lets the two take turns, the one with this index first, until this is dropped or one of them has ended.
    pub(super) async fn alternate(mut self, first: usize) {
        let mut running = first;
        while self.change_over(running) {
            sleep(Duration::from_millis(rand::rng().random_range(TURN_MS.0..=TURN_MS.1))).await;
            running = 1 - running;
        }
    }

    /// Stops one and lets the other run. Returns false if one has ended.
    fn change_over(&mut self, running: usize) -> bool {
        self.refresh();
        if self.roots.iter().any(|root| self.system.process(*root).is_none()) {
            return false;
        }
        self.signal(self.roots[1 - running], Signal::Stop);
        self.signal(self.roots[running], Signal::Continue);
        true
    }

    fn refresh(&mut self) {
        self.system.refresh_processes_specifics(
            ProcessesToUpdate::All,
            true,
            ProcessRefreshKind::nothing().without_tasks(),
        );
    }

    fn signal(&self, root: Pid, signal: Signal) {
        for (pid, process) in self.system.processes() {
            if self.descends(*pid, root) {
                // A process that ended meanwhile needs no signal.
                let _ = process.kill_with(signal);
            }
        }
    }

    fn descends(&self, pid: Pid, root: Pid) -> bool {
        let mut ancestors =
            std::iter::successors(Some(pid), |pid| self.system.process(*pid).and_then(sysinfo::Process::parent));
        ancestors.any(|ancestor| ancestor == root)
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.refresh();
        for root in self.roots {
            self.signal(root, Signal::Continue);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use sysinfo::ProcessStatus;

    use super::*;

    /// A shell with a child.
    struct Tree(Child);

    impl Tree {
        fn new() -> Self {
            let mut shell = Command::new("sh");
            shell.args(["-c", "sleep 60 & wait"]).stdin(Stdio::null());
            Self(shell.spawn().expect("a shell"))
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let pid = Pid::from_u32(self.0.id());
            let mut system = System::new().expect("processes");
            system.refresh_processes_specifics(ProcessesToUpdate::All, true, ProcessRefreshKind::nothing());
            for child in system.processes().values().filter(|process| process.parent() == Some(pid)) {
                child.kill();
            }
            self.0.kill().expect("a process");
            self.0.wait().expect("a process");
        }
    }

    /// How many processes of a tree there are, and how many of these are stopped.
    fn stopped(root: u32) -> (usize, usize) {
        let mut turns = Turns::new([root, root]).expect("processes");
        turns.refresh();
        let tree = turns.system.processes().iter().filter(|(pid, _)| turns.descends(**pid, Pid::from_u32(root)));
        let states: Vec<ProcessStatus> = tree.map(|(_, process)| process.status()).collect();
        let counts = (states.len(), states.iter().filter(|state| **state == ProcessStatus::Stop).count());
        // Its drop would let the processes run.
        std::mem::forget(turns);
        counts
    }

    /// Waits until both trees have so many processes, of which so many are stopped. A signal takes effect a moment after it is sent.
    fn assert_stopped(roots: [u32; 2], expected: [(usize, usize); 2]) {
        let began = std::time::Instant::now();
        while roots.map(stopped) != expected {
            assert!(began.elapsed() < Duration::from_secs(10), "{:?} instead of {expected:?}", roots.map(stopped));
            std::thread::yield_now();
        }
    }

    #[test]
    fn one_tree_runs_while_the_other_is_stopped() {
        let (a, b) = (Tree::new(), Tree::new());
        let (a_root, b_root) = (a.0.id(), b.0.id());
        while stopped(a_root).0 < 2 || stopped(b_root).0 < 2 {
            std::thread::yield_now();
        }
        let mut turns = Turns::new([a_root, b_root]).expect("processes");
        assert!(turns.change_over(0));
        assert_stopped([a_root, b_root], [(2, 0), (2, 2)]);
        assert!(turns.change_over(1));
        assert_stopped([a_root, b_root], [(2, 2), (2, 0)]);
        drop(turns);
        assert_stopped([a_root, b_root], [(2, 0), (2, 0)]);
    }

    #[tokio::test]
    async fn turns_are_over_when_one_has_ended() {
        let (a, b) = (Tree::new(), Tree::new());
        let (a_root, b_root) = (a.0.id(), b.0.id());
        let turns = Turns::new([a_root, b_root]).expect("processes");
        drop(a);
        turns.alternate(0).await;
        assert_stopped([b_root, b_root], [(2, 0); 2]);
    }
}
