use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use encore_private_stores::{DATABASE_URL, REDIS_URL};

use crate::outcome::Outcome;
use crate::{install, workspace};

const BINARY: &str = "encore-rehearse";

/// Builds the server and the rehearsal in release mode. This process then becomes the rehearsal.
pub(crate) fn run(args: &[String]) -> Outcome {
    if is_local(args) {
        install::programs_for(&[DATABASE_URL, REDIS_URL])?;
    }
    let mut build = workspace::cargo();
    build.args(["build", "--release", "--package", "encore-server", "--package", "encore-rehearsal"]);
    let status = build.status().map_err(|error| format!("cannot run cargo: {error}"))?;
    if !status.success() {
        return Err("the server and the rehearsal cannot be built".into());
    }
    let metadata = workspace::metadata()?;
    let target = metadata["target_directory"].as_str().ok_or("cargo metadata has no target_directory")?;
    let binary = PathBuf::from(target).join("release").join(BINARY);
    let error = Command::new(&binary).args(args).exec();
    Err(format!("cannot run {}: {error}", binary.display()).into())
}

/// Whether the rehearsal starts private stores. They are not those that the environment names.
fn is_local(args: &[String]) -> bool {
    args.iter().any(|arg| arg == "--local")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_local_rehearsal_needs_stores() {
        let is_local = |line: &str| is_local(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(is_local("hold --local --instances 2"));
        assert!(!is_local("hold --embedded"));
        assert!(!is_local("hold --address http://localhost:50051"));
    }
}
