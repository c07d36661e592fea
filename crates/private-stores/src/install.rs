//! Finds programs, and installs the stores from the system's packages.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{postgres, redis};

/// A package manager and what it calls the stores.
struct Manager {
    program: &'static str,
    /// Brew refuses to be run by root; the others need to be.
    as_root: bool,
    /// What makes it look for new versions first.
    refresh: Option<&'static str>,
    install: &'static [&'static str],
    postgres: &'static str,
    redis: &'static str,
}

const MANAGERS: [Manager; 3] = [
    Manager {
        program: "apt-get",
        as_root: true,
        refresh: Some("update"),
        install: &["install", "--yes", "--no-install-recommends"],
        postgres: "postgresql",
        redis: "redis-server",
    },
    Manager {
        program: "dnf",
        as_root: true,
        refresh: None,
        install: &["install", "--assumeyes"],
        postgres: "postgresql-server",
        redis: "redis",
    },
    Manager {
        program: "brew",
        as_root: false,
        refresh: None,
        install: &["install"],
        postgres: "postgresql@17",
        redis: "redis",
    },
];

/// Installs the stores of these variables that are not there.
pub(crate) fn what_is_missing(variables: &[&str]) -> Result<(), Box<dyn Error>> {
    let absent: Vec<&str> = variables.iter().copied().filter(|variable| !is_there(variable)).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let advice = format!("install PostgreSQL and Redis, or set {}", absent.join(" and "));
    let manager = MANAGERS.iter().find(|manager| on_path(manager.program).is_some());
    let manager = manager.ok_or_else(|| format!("no package manager is known here: {advice}"))?;
    let mut packages = manager.install.to_vec();
    packages.extend(absent.iter().map(|variable| manager.package(variable)));
    packages.dedup();
    if let Some(refresh) = manager.refresh {
        manager.run(&[refresh], &advice)?;
    }
    manager.run(&packages, &advice)?;
    match absent.iter().find(|variable| !is_there(variable)) {
        None => Ok(()),
        Some(_) => Err(format!("the packages did not bring the programs: {advice}").into()),
    }
}

fn is_there(variable: &str) -> bool {
    if variable == postgres::URL_VARIABLE { postgres::binaries().is_some() } else { redis::binary().is_some() }
}

impl Manager {
    fn package(&self, variable: &str) -> &'static str {
        if variable == postgres::URL_VARIABLE { self.postgres } else { self.redis }
    }

    /// Runs the manager without ever asking a question.
    fn run(&self, args: &[&str], advice: &str) -> Result<(), Box<dyn Error>> {
        let mut command = if !self.as_root || is_root() {
            Command::new(self.program)
        } else if may_sudo() {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", self.program]);
            sudo
        } else {
            return Err(format!("installing packages needs root: {advice}").into());
        };
        eprintln!("stores: {} {}", self.program, args.join(" "));
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        let status = command.status().map_err(|error| format!("{} cannot be run: {error}", self.program))?;
        if status.success() { Ok(()) } else { Err(format!("{} failed: {advice}", self.program).into()) }
    }
}

fn may_sudo() -> bool {
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    sudo.status().is_ok_and(|status| status.success())
}

/// Whether we are root.
pub(crate) fn is_root() -> bool {
    id("-u", "").is_some_and(|user| user == 0)
}

/// The number of a user (`-u`) or of their group (`-g`); of ourselves if no user is named.
pub(crate) fn id(which: &str, user: &str) -> Option<u32> {
    let mut id = Command::new("id");
    id.arg(which).args((!user.is_empty()).then_some(user)).stderr(Stdio::null());
    let output = id.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Where a program is.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
