use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use encore_private_stores::{DATABASE_URL, Lasting, REDIS_CLUSTER_URL, REDIS_URL, Stores};

use crate::{Outcome, workspace};

/// Runs `cargo test` on private stores, and answers as cargo did.
pub(crate) fn run(args: &[String]) -> Outcome {
    let mut cargo = workspace::cargo();
    cargo.arg("test");
    if args.is_empty() {
        cargo.arg("--workspace");
    }
    let stores = Stores::start(Lasting::ThisRun, &[DATABASE_URL, REDIS_URL, REDIS_CLUSTER_URL])?;
    stores.lend_to(&mut cargo)?;
    let status = cargo.args(args).status().map_err(|error| format!("cargo cannot be run: {error}"))?;
    stores.stop()?;
    Ok(exit_code(status))
}

/// The status as a shell would report it: a signal counts from 128.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
