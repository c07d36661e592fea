//! A build that can rehearse: this one, or another whose program is named.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::options::{RehearseArgs, Scenario};

/// How long a program may take to tell its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(10);
/// How many hexadecimal digits of a program's hash are told.
const HASH_DIGITS: usize = 12;
/// The server's program beside the one that rehearses.
const SERVER: &str = "encore";

/// Why a build cannot be compared.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum BuildError {
    #[error("{program} cannot be run")]
    Run { program: String, source: io::Error },
    #[error("{program} does not tell its version as a build of Encore does; it told: {told}")]
    Unknown { program: String, told: String },
    #[error("{program} cannot be read")]
    Read { program: String, source: io::Error },
}

/// A build, as the report names it.
#[derive(Clone, Debug, Serialize)]
pub struct Build {
    /// The program that rehearses.
    pub program: PathBuf,
    /// What it answers to `--version`.
    pub version: String,
    /// The first digits of the SHA-256 hash of the server's program, which tell builds of the same version apart.
    pub server_sha256: String,
    /// Whether rehearsing is a subcommand of the server's program, as it was in older builds.
    #[serde(skip)]
    is_subcommand: bool,
    /// The server's program, where it is not beside the one that rehearses.
    #[serde(skip)]
    server: Option<PathBuf>,
}

impl Build {
    /// Asks a program for its version and finds out how it rehearses.
    pub(super) async fn identify(program: &Path, server: Option<&Path>) -> Result<Self, BuildError> {
        let name = program.display().to_string();
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(VERSION_PATIENCE, command.output()).await;
        let output = output.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)));
        let output = output.map_err(|source| BuildError::Run { program: name.clone(), source })?;
        let told = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let is_subcommand = match told.split_whitespace().next() {
            Some("encore-rehearse") => false,
            Some(SERVER) => true,
            _ => return Err(BuildError::Unknown { program: name, told }),
        };
        let beside = || if is_subcommand { program.to_owned() } else { program.with_file_name(SERVER) };
        let hashed = server.map_or_else(beside, Path::to_owned);
        let bytes = fs::read(&hashed);
        let bytes = bytes.map_err(|source| BuildError::Read { program: hashed.display().to_string(), source })?;
        let digits =
            Sha256::digest(bytes).iter().flat_map(|byte| [byte >> 4, byte & 15]).take(HASH_DIGITS).collect::<Vec<_>>();
        let server_sha256 = digits.into_iter().filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
        Ok(Self {
            program: program.to_owned(),
            version: told,
            server_sha256,
            is_subcommand,
            server: server.map(Path::to_owned),
        })
    }

    /// Starts a rehearsal of a scenario alone, on stores of its own. It ends with what is answered.
    pub(super) fn start(&self, args: &RehearseArgs, seconds: u64, out: &Path, log: fs::File) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(self.arguments(args, seconds)).arg("--out").arg(out);
        // Ctrl-C is for this process, which then ends the other.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()
    }

    fn arguments(&self, args: &RehearseArgs, seconds: u64) -> Vec<String> {
        let mut words = Vec::new();
        if self.is_subcommand {
            words.push("rehearse".to_owned());
        }
        let was_long_line = self.is_subcommand && args.scenario == Scenario::LongQueue;
        let scenario = if was_long_line { "long-line" } else { args.scenario.name() };
        let place = if args.environment.embedded { "--embedded" } else { "--local" };
        words.extend([scenario, place, "--json", "--no-baselines"].map(str::to_owned));
        let mut flag = |name: &str, value: Option<String>| {
            words.extend(value.map(|value| [name.to_owned(), value]).into_iter().flatten());
        };
        flag("--seconds", Some(seconds.to_string()));
        flag("--seed", Some(args.seed.to_string()));
        flag("--phase-seconds", Some(args.load.phase_seconds.to_string()));
        flag("--in-flight", Some(args.load.in_flight.to_string()));
        flag("--rate", args.load.rate.map(|rate| rate.to_string()));
        flag("--pool", Some(args.environment.pool.to_string()));
        flag("--connections", Some(args.environment.connections.to_string()));
        flag("--instances", (!args.environment.embedded).then(|| args.environment.instances.to_string()));
        flag("--fans", args.users.fans.map(|fans| fans.to_string()));
        flag("--seats", Some(args.users.seats.to_string()));
        flag("--encore", self.server.as_ref().map(|server| server.display().to_string()));
        words
    }
}

#[cfg(test)]
impl Build {
    pub(super) fn for_tests(program: &str) -> Self {
        let version = "encore-rehearse 0.0.0".to_owned();
        Self {
            program: program.into(),
            version,
            server_sha256: "0".repeat(HASH_DIGITS),
            is_subcommand: false,
            server: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: RehearseArgs,
    }

    fn arguments(is_subcommand: bool, server: Option<&str>, line: &str) -> String {
        let cli = Cli::try_parse_from(std::iter::once("rehearse").chain(line.split_whitespace())).expect("flags");
        let build = Build {
            program: "a/program".into(),
            version: "1".into(),
            server_sha256: String::new(),
            is_subcommand,
            server: server.map(PathBuf::from),
        };
        build.arguments(&cli.args, 30).join(" ")
    }

    #[test]
    fn each_build_is_asked_as_it_understands() {
        let flags = "--seconds 30 --seed 1 --phase-seconds 5 --in-flight 64 --pool 16 --connections 8 --instances 1 --seats 2000";
        let alone = "--local --json --no-baselines";
        assert_eq!(arguments(true, None, "long-queue"), format!("rehearse long-line {alone} {flags}"));
        assert_eq!(arguments(false, Some("b"), "long-queue"), format!("long-queue {alone} {flags} --encore b"));
        let embedded = arguments(false, None, "hold --embedded --fans 7");
        assert!(embedded.starts_with("hold --embedded --json --no-baselines"), "{embedded}");
        assert!(embedded.contains("--fans 7") && !embedded.contains("--instances"), "{embedded}");
    }

    #[tokio::test]
    async fn a_program_that_is_no_build_is_refused() {
        let none = Build::identify(Path::new("/nowhere/encore"), None).await;
        assert!(matches!(none, Err(BuildError::Run { .. })), "{none:?}");
        let other = Build::identify(Path::new("/bin/echo"), None).await;
        assert!(matches!(other, Err(BuildError::Unknown { .. })), "{other:?}");
    }
}
