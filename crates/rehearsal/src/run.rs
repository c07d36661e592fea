//! The command: an environment is started, a rehearsal is held or two builds are compared, and the outcome is published.

use std::error::Error;
use std::fs;
use std::io::{self, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::against::{self, AgainstReport, BuildError};
use crate::command_line;
use crate::environment::{Environment, EnvironmentError, EnvironmentKind, InstancesPlan, StoreUrls};
use crate::live::Live;
use crate::operator::{Bounds, OperatorLogin};
use crate::options::{Method, RehearseArgs};
use crate::rehearsal::{make_folder, publish, rehearse};
use crate::report::model::Proof;
use crate::scenario::RehearsalError;

/// The exit code if any promise is broken. A command that could not be carried out exits with 1, and one that could not be understood
/// with 2.
const PROMISES_BROKEN: u8 = 3;
/// The exit code if a promise could not be examined.
const NOT_PROVEN: u8 = 4;
/// The exit code after a second Ctrl-C.
const INTERRUPTED: i32 = 130;
/// The server's program, which is expected beside this one.
const SERVER: &str = "encore";

/// Why the command failed.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum RunError {
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    #[error(transparent)]
    Rehearsal(#[from] RehearsalError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("the path of this program cannot be determined")]
    Program(#[source] io::Error),
    #[error("promises are broken: {}", .0.join(", "))]
    PromisesBroken(Vec<String>),
    #[error("the promises are not proven; not examined:\n  {}", .0.join("\n  "))]
    NotProven(Vec<String>),
}

impl RunError {
    /// What the process exits with.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::PromisesBroken(_) => ExitCode::from(PROMISES_BROKEN),
            Self::NotProven(_) => ExitCode::from(NOT_PROVEN),
            Self::Environment(_) | Self::Rehearsal(_) | Self::Build(_) | Self::Program(_) => ExitCode::FAILURE,
        }
    }
}

/// Holds a rehearsal or compares two builds, publishes the report, and fails if a promise was broken.
pub async fn run(args: &RehearseArgs) -> Result<(), RunError> {
    make_folder(&args.out)?;
    // The rehearsals that are compared audit for themselves.
    let bounds = if args.against.is_some() { Bounds::without_audit(args.bound()) } else { Bounds::begin(args.bound()) };
    let live = Arc::new(Live::new());
    tokio::spawn(end_on_signal(bounds.stop.clone(), Arc::clone(&live)));
    let command = format!("encore-rehearse {}", command_line::redacted(std::env::args_os().skip(1)));
    if let Some(other) = &args.against {
        return run_against(args, other, command, &bounds, &live).await;
    }
    live.phase("starting the environment");
    let environment = tokio::select! {
        opened = open(args, bounds.clone()) => opened?,
        () = bounds.stop.cancelled() => {
            return Err(RehearsalError::EndedBefore { what: "starting the environment" }.into());
        }
    };
    let report = rehearse(args, &environment, &live, command, &bounds).await?;
    let published = publish(&report, &args.out, args.json);
    judge(verdict(&report.proof), published)
}

async fn run_against(
    args: &RehearseArgs,
    other: &Path,
    command: String,
    bounds: &Bounds,
    live: &Live,
) -> Result<(), RunError> {
    let this = std::env::current_exe().map_err(RunError::Program)?;
    let report = against::compare(args, (&this, other), command, bounds, live).await?;
    live.done();
    let published = publish_against(&report, &args.out, args.json);
    judge(outcome(report.broken, report.unexamined), published)
}

fn publish_against(report: &AgainstReport, folder: &Path, json: bool) -> Result<(), RehearsalError> {
    let not_written = |source| RehearsalError::Write { folder: folder.display().to_string(), source };
    let text = serde_json::to_string_pretty(report).map_err(|error| not_written(error.into()))?;
    let printed = if json { text.clone() } else { against::text(report) };
    let printed = writeln!(stdout(), "{}", printed.trim_end());
    fs::write(folder.join(against::JSON_FILE), text).map_err(not_written)?;
    printed.map_err(RehearsalError::Print)
}

/// What the rehearsal proved is more important than whether all of it could be published.
fn judge(verdict: Result<(), RunError>, published: Result<(), RehearsalError>) -> Result<(), RunError> {
    match (verdict, published) {
        (Ok(()), published) => Ok(published?),
        (verdict, Ok(())) => verdict,
        (verdict, Err(unpublished)) => {
            let why = unpublished.source().map(|source| format!(": {source}")).unwrap_or_default();
            eprintln!("encore-rehearse: {unpublished}{why}");
            verdict
        }
    }
}

fn verdict(proof: &Proof) -> Result<(), RunError> {
    outcome(proof.broken().map(str::to_owned).collect(), proof.unexamined.clone())
}

/// Broken promises are more important than unexamined ones.
fn outcome(broken: Vec<String>, unexamined: Vec<String>) -> Result<(), RunError> {
    if !broken.is_empty() {
        Err(RunError::PromisesBroken(broken))
    } else if !unexamined.is_empty() {
        Err(RunError::NotProven(unexamined))
    } else {
        Ok(())
    }
}

/// The first signal ends the rehearsal with its report so far, the second one the process.
async fn end_on_signal(stop: CancellationToken, live: Arc<Live>) {
    signalled().await;
    live.say("ending; press Ctrl-C again to end at once");
    stop.cancel();
    signalled().await;
    std::process::exit(INTERRUPTED);
}

/// Waits for SIGINT or SIGTERM.
async fn signalled() {
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn open(args: &RehearseArgs, bounds: Bounds) -> Result<Environment, RunError> {
    let place = &args.environment;
    let connections = usize::try_from(place.connections).unwrap_or(usize::MAX);
    if !place.address.is_empty() {
        let (email, password) = (place.operator_email.clone(), place.operator_password.clone());
        let login = OperatorLogin { email: email.unwrap_or_default(), password: password.unwrap_or_default() };
        let stores = StoreUrls {
            database: place.baseline_database_url.clone(),
            redis: place.baseline_redis_url.clone(),
            pool_size: place.pool,
        };
        let addresses = place.address.clone();
        let opened = Environment::at(EnvironmentKind::Address, addresses, connections, login, stores, bounds);
        return Ok(opened.await?);
    }
    let plan = InstancesPlan {
        program: server(args)?,
        instances: usize::try_from(place.instances).unwrap_or(usize::MAX),
        pool_size: place.pool,
        sandbox: args.load.method == Method::Card,
        on_stores: place.local,
        access_token_lifetime: args.bound() + Duration::from_hours(1),
        logs: args.out.join("logs"),
    };
    Ok(Environment::of_instances(plan, connections, bounds).await?)
}

/// The server's program: the one that was named, or the one beside this program.
fn server(args: &RehearseArgs) -> Result<PathBuf, RunError> {
    let beside = || std::env::current_exe().map(|program| program.with_file_name(SERVER));
    let server = args.environment.encore.clone().map_or_else(beside, Ok).map_err(RunError::Program)?;
    if server.is_file() { Ok(server) } else { Err(EnvironmentError::NoServer { path: server }.into()) }
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use super::*;
    use crate::report::model::PromiseReport;

    fn code(proof: &Proof) -> ExitCode {
        verdict(proof).map_or_else(|error| error.exit_code(), |()| ExitCode::SUCCESS)
    }

    #[test]
    fn a_broken_promise_is_more_important_than_one_that_was_not_examined() {
        let broken = PromiseReport {
            promise: "orphan_hold".to_owned(),
            examined_by: "auditor".to_owned(),
            examined: 5,
            breaches: 1,
            findings: Vec::new(),
        };
        let mut proof = Proof::default();
        assert_eq!(code(&proof), ExitCode::SUCCESS);
        proof.unexamined.push("performance 7: the auditor gave no answer".to_owned());
        assert_eq!(code(&proof), ExitCode::from(4));
        let message = verdict(&proof).expect_err("not proven").to_string();
        assert!(message.ends_with("\n  performance 7: the auditor gave no answer"), "{message}");
        proof.promises.push(broken);
        assert_eq!(code(&proof), ExitCode::from(3));
        let unpublished = || Err(RehearsalError::Print(io::Error::other("nobody reads")));
        assert!(matches!(judge(verdict(&proof), unpublished()), Err(RunError::PromisesBroken(_))));
        assert!(matches!(judge(Ok(()), unpublished()), Err(RunError::Rehearsal(_))));
    }
}
