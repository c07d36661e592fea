use std::error::Error;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{fs, io};

/// How long a server may take to start. Recovery after a crash on a slow disk is the longest case.
const START_PATIENCE: Duration = Duration::from_mins(1);
/// How long a server may take to stop before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// Below the ephemeral ports, which begin at 32768 on Linux and at 49152 on other systems.
const PORTS: Range<u16> = 20_000..30_000;
const PORTS_TRIED: usize = 100;
/// How many lines of its log are shown if a server does not start.
const LOG_LINES_SHOWN: usize = 20;

/// A server process. It is stopped when this is dropped.
pub(crate) struct Daemon {
    name: &'static str,
    process: Child,
}

impl Daemon {
    /// Starts a server that writes to `log`, and waits until `ready` returns true for its process id.
    pub(crate) fn start(
        name: &'static str,
        command: &mut Command,
        log: &Path,
        ready: impl Fn(u32) -> bool,
    ) -> Result<Self, Box<dyn Error>> {
        let output = fs::File::create(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let process = command.spawn().map_err(|error| format!("cannot run {name}: {error}"))?;
        let mut daemon = Self { name, process };
        let deadline = Instant::now() + START_PATIENCE;
        while !ready(daemon.process.id()) {
            if daemon.process.try_wait()?.is_some() || Instant::now() > deadline {
                return Err(format!("{name} did not start; the end of its log:\n{}", tail(log)).into());
            }
            sleep(POLL);
        }
        Ok(daemon)
    }

    /// Kills it with SIGKILL: it writes nothing more.
    pub(crate) fn kill(mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    pub(crate) fn signal(&self, signal: &str) {
        let process = self.process.id().to_string();
        let _ = Command::new("sh").args(["-c", r#"kill -s "$1" "$2""#, "sh", signal, &process]).status();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(Some(_))) {
            return;
        }
        // SIGINT is a fast and clean shutdown: Postgres ends its sessions and writes a checkpoint, Redis flushes its file.
        self.signal("INT");
        let deadline = Instant::now() + STOP_PATIENCE;
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                eprintln!("stores: {} did not stop within {} s and is killed", self.name, STOP_PATIENCE.as_secs());
                let _ = self.process.kill();
            }
            sleep(POLL);
        }
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}

/// A free port of the loopback. It lies below the ephemeral ports if possible: the system may give an ephemeral port to an
/// outgoing connection while a server restarts. Another process may take the port before it is used; then the server fails
/// to start.
pub fn free_port() -> io::Result<u16> {
    let random = usize::try_from(RandomState::new().build_hasher().finish() >> u32::BITS).unwrap_or_default();
    for port in PORTS.cycle().skip(random % PORTS.len()).take(PORTS_TRIED) {
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
