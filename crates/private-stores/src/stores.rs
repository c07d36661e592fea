//! The stores, as seen by the process that uses them.

use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::missing::missing_programs;
use crate::programs::not_installed;
use crate::{postgres, redis, supervisor};

/// How long the data lasts.
#[derive(Clone, Copy)]
pub enum Lasting<'p> {
    /// For this run only.
    ThisRun,
    /// Across runs, in this folder.
    In(&'p Path),
}

/// Stores that are ready, with the environment variables that name them.
pub struct Stores {
    urls: Vec<(String, String)>,
    supervisor: Option<Supervisor>,
}

/// The process that started the private stores and stops them.
struct Supervisor {
    process: Child,
    /// The write end of the supervisor's standard input.
    lifeline: ChildStdin,
}

impl Stores {
    /// Takes the stores that the environment names with these variables, and starts the others.
    pub fn start(lasting: Lasting<'_>, variables: &[&str]) -> Result<Self, Box<dyn Error>> {
        let (given, missing): (Vec<_>, Vec<_>) = variables.iter().partition(|variable| env::var(variable).is_ok());
        let given = given.into_iter().map(|variable: &str| Ok((variable.to_owned(), env::var(variable)?)));
        Self::add_missing(given.collect::<Result<_, env::VarError>>()?, lasting, &missing)
    }

    /// Starts a Postgres and a Redis, whatever the environment names.
    pub fn start_private(lasting: Lasting<'_>) -> Result<Self, Box<dyn Error>> {
        Self::add_missing(Vec::new(), lasting, &[postgres::URL_VARIABLE, redis::URL_VARIABLE])
    }

    fn add_missing(
        given: Vec<(String, String)>,
        lasting: Lasting<'_>,
        missing: &[&str],
    ) -> Result<Self, Box<dyn Error>> {
        let mut stores = Self { urls: given, supervisor: None };
        if !missing.is_empty() {
            if let Some(program) = missing_programs(missing).first() {
                return Err(not_installed(&program.to_string()).into());
            }
            stores.start_supervisor(lasting, missing)?;
        }
        Ok(stores)
    }

    fn start_supervisor(&mut self, lasting: Lasting<'_>, variables: &[&str]) -> Result<(), Box<dyn Error>> {
        let mut supervisor = Command::new(env::current_exe()?);
        let folder = match lasting {
            Lasting::ThisRun => Path::new(""),
            Lasting::In(folder) => folder,
        };
        supervisor.arg(supervisor::COMMAND).arg(folder).args(variables).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Outside the foreground process group: Ctrl-C must reach the users of the stores only.
        let mut process = supervisor.process_group(0).spawn()?;
        let (Some(lifeline), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the supervisor of the stores has no pipes".into());
        };
        // One line per store, then one without `=`: all are ready.
        for line in BufReader::new(output).lines() {
            let line = line?;
            let Some((variable, url)) = line.split_once('=') else {
                self.supervisor = Some(Supervisor { process, lifeline });
                return Ok(());
            };
            self.urls.push((variable.to_owned(), url.to_owned()));
        }
        process.wait()?;
        Err("the stores did not start".into())
    }

    /// Gives a command the variables of the stores. They run for as long as the command or one of its children does.
    pub fn lend_to(&self, command: &mut Command) -> Result<(), Box<dyn Error>> {
        command.envs(self.urls.iter().cloned());
        if let Some(supervisor) = &self.supervisor {
            command.stdin(Stdio::from(supervisor.lifeline.as_fd().try_clone_to_owned()?));
        }
        Ok(())
    }

    /// The variables and their values.
    pub fn urls(&self) -> &[(String, String)] {
        &self.urls
    }

    /// Stops the private stores, even if a stray process still uses them, and waits until they have ended.
    pub fn stop(self) -> Result<(), Box<dyn Error>> {
        let Some(Supervisor { mut process, mut lifeline }) = self.supervisor else { return Ok(()) };
        lifeline.write_all(b"stop")?;
        drop(lifeline);
        if process.wait()?.success() { Ok(()) } else { Err("the stores did not stop cleanly".into()) }
    }
}
