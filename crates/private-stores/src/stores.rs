//! The stores as the process sees them that uses them.

use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::{install, keeper, postgres, redis};

/// How long what is stored lasts.
#[derive(Clone, Copy)]
pub enum Lasting<'p> {
    /// For this run only.
    ThisRun,
    /// In this folder, from run to run.
    In(&'p Path),
}

/// Stores that are ready, by the variables under which they are looked for.
pub struct Stores {
    urls: Vec<(String, String)>,
    keeper: Option<Keeper>,
}

/// The process that started the private stores and will stop them.
struct Keeper {
    process: Child,
    lifeline: ChildStdin,
}

impl Stores {
    /// Takes those of these variables that the environment has, and has the rest started.
    pub fn start(lasting: Lasting<'_>, variables: &[&str]) -> Result<Self, Box<dyn Error>> {
        let (given, missing): (Vec<_>, Vec<_>) = variables.iter().partition(|variable| env::var(variable).is_ok());
        let given = given.into_iter().map(|variable: &str| Ok((variable.to_owned(), env::var(variable)?)));
        Self::add_missing(given.collect::<Result<_, env::VarError>>()?, lasting, &missing)
    }

    /// Has a Postgres and a Redis started, whatever the environment names.
    pub fn start_private(lasting: Lasting<'_>) -> Result<Self, Box<dyn Error>> {
        Self::add_missing(Vec::new(), lasting, &[postgres::URL_VARIABLE, redis::URL_VARIABLE])
    }

    fn add_missing(
        given: Vec<(String, String)>,
        lasting: Lasting<'_>,
        missing: &[&str],
    ) -> Result<Self, Box<dyn Error>> {
        let mut stores = Self { urls: given, keeper: None };
        if !missing.is_empty() {
            install::what_is_missing(missing)?;
            stores.keep(lasting, missing)?;
        }
        Ok(stores)
    }

    fn keep(&mut self, lasting: Lasting<'_>, variables: &[&str]) -> Result<(), Box<dyn Error>> {
        let mut keeper = Command::new(env::current_exe()?);
        let folder = match lasting {
            Lasting::ThisRun => Path::new(""),
            Lasting::In(folder) => folder,
        };
        keeper.arg(keeper::COMMAND).arg(folder).args(variables).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Out of the foreground group: Ctrl-C is for those who use the stores, not for the stores.
        let mut process = keeper.process_group(0).spawn()?;
        let (Some(lifeline), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the keeper of the stores has no pipes".into());
        };
        // A line per store, and then one that says that all are ready.
        for line in BufReader::new(output).lines() {
            let line = line?;
            let Some((variable, url)) = line.split_once('=') else {
                self.keeper = Some(Keeper { process, lifeline });
                return Ok(());
            };
            self.urls.push((variable.to_owned(), url.to_owned()));
        }
        process.wait()?;
        Err("the stores could not be started".into())
    }

    /// Lets a command find the stores, and keeps them running for as long as it or a process of its own lives.
    pub fn lend_to(&self, command: &mut Command) -> Result<(), Box<dyn Error>> {
        command.envs(self.urls.iter().cloned());
        if let Some(keeper) = &self.keeper {
            command.stdin(Stdio::from(keeper.lifeline.as_fd().try_clone_to_owned()?));
        }
        Ok(())
    }

    /// The variables and their values.
    pub fn urls(&self) -> &[(String, String)] {
        &self.urls
    }

    /// Stops what was started, also if a stray process still holds on to it, and waits until it is gone.
    pub fn stop(self) -> Result<(), Box<dyn Error>> {
        let Some(Keeper { mut process, mut lifeline }) = self.keeper else { return Ok(()) };
        lifeline.write_all(b"stop")?;
        drop(lifeline);
        if process.wait()?.success() { Ok(()) } else { Err("the stores could not be stopped".into()) }
    }
}
