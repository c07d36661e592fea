use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use encore_private_stores::{DATABASE_URL, LOCALSTRIPE_URL, Lasting, REDIS_CLUSTER_URL, REDIS_URL, Stores};

use crate::outcome::Outcome;
use crate::{install, workspace};

/// The stores that the tests need.
const STORES: [&str; 4] = [DATABASE_URL, REDIS_URL, REDIS_CLUSTER_URL, LOCALSTRIPE_URL];

/// Runs `cargo test` on private stores and exits with cargo's status.
pub(crate) fn run(args: &[String]) -> Outcome {
    let mut cargo = workspace::cargo();
    cargo.arg("test");
    if args.is_empty() {
        cargo.arg("--workspace");
    }
    install::programs_for_unset(&STORES)?;
    install::python_packages()?;
    let stores = Stores::start(Lasting::ThisRun, &STORES)?;
    stores.lend_to(&mut cargo)?;
    let status = cargo.args(args).status().map_err(|error| format!("cannot run cargo: {error}"))?;
    stores.stop()?;
    Ok(exit_code(status))
}

/// The exit code as a shell reports it: 128 and the signal's number if a signal ended the process.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
