//! A rehearsal from beginning to end, whatever its scenario.

use std::fs;
use std::io::{self, Write, stdout};
use std::path::Path;
use std::thread::available_parallelism;

use tokio::time::Instant;

use crate::command_line::without_password;
use crate::environment::{Environment, Instances};
use crate::live::Live;
use crate::load::Load;
use crate::operator::{Bounds, now};
use crate::options::{RehearseArgs, Scenario};
use crate::proof;
use crate::report::model::{Comparison, EnvironmentReport, Report};
use crate::resources::{cores_used, machine, usage_of};
use crate::scenario::{RehearsalError, Run};
use crate::scenarios;

/// Holds a rehearsal in an environment. When its bounds say so it ends with the report so far, or, while its sale is still being
/// prepared, with an error that says so.
pub async fn rehearse(
    args: &RehearseArgs,
    environment: &Environment,
    live: &Live,
    command: String,
    bounds: &Bounds,
) -> Result<Report, RehearsalError> {
    let (begun, started_at, stop) = (Instant::now(), now(), &bounds.stop);
    let run = Run { args, environment, live, load: Load { stop: stop.clone() }, ends_at: bounds.load_ends_at };
    let servers = || environment.instances.as_ref().map(Instances::usage).unwrap_or_default();
    let client = || usage_of(&[std::process::id()]);
    let before = (servers(), client());
    let held = match args.scenario {
        Scenario::Journey => scenarios::journey::run(&run).await,
        Scenario::Join => scenarios::join::run(&run).await,
        Scenario::LongQueue => scenarios::long_queue::run(&run).await,
        Scenario::Watch => scenarios::watch::run(&run).await,
        Scenario::Contend => scenarios::contend::run(&run).await,
        Scenario::Hold => scenarios::hold::run(&run).await,
        Scenario::Area => scenarios::area::run(&run).await,
        Scenario::Pay => scenarios::pay::run(&run).await,
        Scenario::Flow => scenarios::flow::run(&run).await,
        Scenario::Rush => scenarios::rush::run(&run).await,
        Scenario::Map => scenarios::map::run(&run).await,
    };
    let interrupted = stop.is_cancelled();
    let mut findings = held.map_err(|error| if interrupted { error.ended() } else { error })?;
    findings.figures.extend(cores_used((before.0, servers()), (before.1, client()), begun.elapsed()));
    live.phase("the auditor examines the performances");
    let mut proof = proof::examine(environment, &findings.performances, findings.promises, bounds.over_at).await;
    proof.unexamined.extend(findings.untried);
    live.done();
    Ok(Report {
        scenario: args.scenario.name().to_owned(),
        command,
        seed: args.seed,
        started_at: rfc3339(started_at),
        seconds: begun.elapsed().as_secs_f64(),
        interrupted,
        environment: environment_report(environment),
        measurements: findings.measurements,
        baselines: findings.baselines,
        notes: findings.comparisons.iter().filter_map(Comparison::note).collect(),
        comparisons: findings.comparisons,
        figures: findings.figures,
        timeline: findings.timeline,
        marks: findings.marks,
        proof,
    })
}

/// Makes the folder of the report. This comes before the rehearsal, which would be in vain if its report could not be written.
pub fn make_folder(folder: &Path) -> Result<(), RehearsalError> {
    fs::create_dir_all(folder).map_err(not_written(folder))
}

/// Publishes the report: first on standard output, so that it is not lost if the files cannot be
/// written, and then in these.
pub fn publish(report: &Report, folder: &Path, json: bool) -> Result<(), RehearsalError> {
    let text = if json {
        crate::report::json(report).map_err(|error| not_written(folder)(error.into()))?
    } else {
        crate::report::table(report)
    };
    let printed = writeln!(stdout(), "{text}");
    crate::report::write(report, folder).map_err(not_written(folder))?;
    let printed = printed.and_then(|()| {
        if json {
            return Ok(());
        }
        let (folder, html, json) = (folder.display(), crate::report::HTML_FILE, crate::report::JSON_FILE);
        writeln!(stdout(), "written to {folder}/{html} and {folder}/{json}")
    });
    printed.map_err(RehearsalError::Print)
}

fn not_written(folder: &Path) -> impl Fn(io::Error) -> RehearsalError + use<> {
    let folder = folder.display().to_string();
    move |source| RehearsalError::Write { folder: folder.clone(), source }
}

fn environment_report(environment: &Environment) -> EnvironmentReport {
    let (processor, memory_mib) = machine();
    EnvironmentReport {
        kind: environment.kind.name().to_owned(),
        instances: environment.addresses.iter().map(|address| without_password(address)).collect(),
        cores: available_parallelism().map_or(1, std::num::NonZero::get),
        processor,
        memory_mib,
    }
}

fn rfc3339(since_1970: std::time::Duration) -> String {
    let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
    prost_types::Timestamp { seconds, nanos: 0 }.to_string()
}
