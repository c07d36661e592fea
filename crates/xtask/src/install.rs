//! Installs the servers that private stores need, from the system's packages, and localstripe from Python's.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use encore_private_stores::{DATABASE_URL, Program, REDIS_URL, localstripe, missing_programs};

use crate::outcome::Outcome;

/// A package manager and its names of the packages.
struct Manager {
    program: &'static str,
    /// Whether it must run as root. Homebrew refuses to.
    as_root: bool,
    /// The subcommand that updates its list of packages.
    refresh: Option<&'static str>,
    install: &'static [&'static str],
    postgres: &'static str,
    redis: &'static str,
    /// Python with virtual environments.
    python: &'static [&'static str],
}

const MANAGERS: [Manager; 3] = [
    Manager {
        program: "apt-get",
        as_root: true,
        refresh: Some("update"),
        install: &["install", "--yes", "--no-install-recommends"],
        postgres: "postgresql",
        redis: "redis-server",
        python: &["python3", "python3-venv"],
    },
    Manager {
        program: "dnf",
        as_root: true,
        refresh: None,
        install: &["install", "--assumeyes"],
        postgres: "postgresql-server",
        redis: "redis",
        python: &["python3"],
    },
    Manager {
        program: "brew",
        as_root: false,
        refresh: None,
        install: &["install"],
        postgres: "postgresql@17",
        redis: "redis",
        python: &["python3"],
    },
];

/// The command `install-stores`: both servers, whatever the environment names.
pub(crate) fn run() -> Outcome {
    programs_for(&[DATABASE_URL, REDIS_URL])?;
    println!("PostgreSQL and Redis are installed");
    Ok(ExitCode::SUCCESS)
}

/// Installs the missing servers of those stores that the environment does not name with these variables.
pub(crate) fn programs_for_unset(variables: &[&str]) -> Result<(), Box<dyn Error>> {
    let unset: Vec<&str> = variables.iter().copied().filter(|variable| env::var_os(variable).is_none()).collect();
    programs_for(&unset)
}

/// Installs the missing servers of the stores of these variables.
pub(crate) fn programs_for(variables: &[&str]) -> Result<(), Box<dyn Error>> {
    let missing = missing_programs(variables);
    let servers: Vec<Program> = missing.iter().copied().filter(|program| *program != Program::Localstripe).collect();
    if !servers.is_empty() {
        let names = names(&servers);
        let manager = manager(&names)?;
        manager.install(&manager.packages(&servers), &names)?;
    }
    if missing.contains(&Program::Localstripe) {
        install_localstripe(&localstripe::environment())?;
    }
    let still_missing = missing_programs(variables);
    if still_missing.is_empty() {
        return Ok(());
    }
    Err(format!("the packages are installed, but {} cannot be found", names(&still_missing)).into())
}

/// Installs the Python packages that tests use beside localstripe. They are needed even where the environment names a localstripe.
pub(crate) fn python_packages() -> Result<(), Box<dyn Error>> {
    if localstripe::python().is_none() {
        install_localstripe(&localstripe::environment())?;
    }
    Ok(())
}

/// Makes a virtual environment of Python and installs localstripe into it. It counts as installed only when that is complete.
fn install_localstripe(environment: &Path) -> Result<(), Box<dyn Error>> {
    let made = make_environment(environment);
    if let Err(error) = &made {
        eprintln!("xtask: no virtual environment of Python yet: {error}");
        let manager = manager("python3 with venv")?;
        manager.install(manager.python, "python3 with venv")?;
        make_environment(environment)?;
    }
    let mut pip = Command::new(environment.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(localstripe::PACKAGES);
    eprintln!("xtask: pip install {}", localstripe::PACKAGES.join(" "));
    let status = pip.stdin(Stdio::null()).status().map_err(|error| format!("cannot run pip: {error}"))?;
    if !status.success() {
        return Err("pip cannot install localstripe, which the tests of the Stripe adapter need".into());
    }
    Ok(fs::write(environment.join("complete"), "")?)
}

/// A new virtual environment, in place of one that was left half made.
fn make_environment(environment: &Path) -> Result<(), Box<dyn Error>> {
    let mut python = Command::new("python3");
    python.args(["-m", "venv", "--clear"]).arg(environment).stdin(Stdio::null());
    let status = python.status().map_err(|error| format!("cannot run python3: {error}"))?;
    if status.success() { Ok(()) } else { Err("python3 -m venv failed".into()) }
}

/// The package manager of this system.
fn manager(names: &str) -> Result<&'static Manager, String> {
    let manager = MANAGERS.iter().find(|manager| on_path(manager.program));
    manager.ok_or_else(|| format!("apt-get, dnf and brew are not available: install {names} yourself"))
}

fn names(programs: &[Program]) -> String {
    programs.iter().map(Program::to_string).collect::<Vec<_>>().join(" and ")
}

impl Manager {
    fn packages(&self, programs: &[Program]) -> Vec<&'static str> {
        let packages = programs.iter().flat_map(|program| match program {
            Program::Postgres => vec![self.postgres],
            Program::Redis => vec![self.redis],
            Program::Localstripe => self.python.to_vec(),
        });
        packages.collect()
    }

    /// Installs packages of this manager.
    fn install(&self, packages: &[&'static str], names: &str) -> Result<(), Box<dyn Error>> {
        if let Some(refresh) = self.refresh {
            self.run(&[refresh], names)?;
        }
        let args: Vec<&'static str> = self.install.iter().chain(packages).copied().collect();
        self.run(&args, names)
    }

    /// Runs the package manager without a prompt.
    fn run(&self, args: &[&str], names: &str) -> Result<(), Box<dyn Error>> {
        let mut command = if !self.as_root || is_root() {
            Command::new(self.program)
        } else if may_sudo() {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", self.program]);
            sudo
        } else {
            let command = format!("{} {}", self.program, args.join(" "));
            return Err(format!("installing {names} needs root: run `{command}` as root").into());
        };
        eprintln!("xtask: {} {}", self.program, args.join(" "));
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        let status = command.status().map_err(|error| format!("cannot run {}: {error}", self.program))?;
        if status.success() {
            return Ok(());
        }
        Err(format!("{} {} failed: install {names} yourself", self.program, args.join(" ")).into())
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn may_sudo() -> bool {
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    sudo.status().is_ok_and(|status| status.success())
}

fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_packages_of_missing_programs_are_installed() {
        let [apt, dnf, brew] = &MANAGERS;
        assert_eq!(apt.packages(&[Program::Postgres, Program::Redis]), ["postgresql", "redis-server"]);
        assert_eq!(dnf.packages(&[Program::Redis]), ["redis"]);
        assert_eq!(brew.packages(&[Program::Postgres]), ["postgresql@17"]);
        assert_eq!(apt.packages(&[Program::Localstripe]), ["python3", "python3-venv"]);
    }
}
