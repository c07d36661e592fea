//! Installs the servers that private stores need, from the system's packages.

use std::env;
use std::error::Error;
use std::process::{Command, ExitCode, Stdio};

use encore_private_stores::{DATABASE_URL, Program, REDIS_URL, missing_programs};

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
    if missing.is_empty() {
        return Ok(());
    }
    let names = names(&missing);
    let manager = MANAGERS.iter().find(|manager| on_path(manager.program));
    let manager =
        manager.ok_or_else(|| format!("apt-get, dnf and brew are not available: install {names} yourself"))?;
    if let Some(refresh) = manager.refresh {
        manager.run(&[refresh], &names)?;
    }
    manager.run(&manager.install_args(&missing), &names)?;
    let still_missing = missing_programs(variables);
    if still_missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} installed its packages, but {names} cannot be found",
        manager.program,
        names = self::names(&still_missing)
    )
    .into())
}

fn names(programs: &[Program]) -> String {
    programs.iter().map(Program::to_string).collect::<Vec<_>>().join(" and ")
}

impl Manager {
    fn install_args(&self, programs: &[Program]) -> Vec<&'static str> {
        let packages = programs.iter().map(|program| match program {
            Program::Postgres => self.postgres,
            Program::Redis => self.redis,
        });
        self.install.iter().copied().chain(packages).collect()
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
        let args = apt.install_args(&[Program::Postgres, Program::Redis]);
        assert_eq!(args, ["install", "--yes", "--no-install-recommends", "postgresql", "redis-server"]);
        assert_eq!(dnf.install_args(&[Program::Redis]), ["install", "--assumeyes", "redis"]);
        assert_eq!(brew.install_args(&[Program::Postgres]), ["install", "postgresql@17"]);
    }
}
