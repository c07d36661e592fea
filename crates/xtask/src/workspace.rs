use std::error::Error;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The top folder of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// The cargo that started this process, with the top folder as its working directory.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// The metadata of the workspace, without dependencies from elsewhere.
pub(crate) fn metadata() -> Result<Value, Box<dyn Error>> {
    let output = cargo().args(["metadata", "--format-version", "1", "--no-deps"]).output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// How programs are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Release,
    Debug,
}

/// Builds the server and the rehearsal's programs. This process then becomes the program of this name. Returns only if it cannot.
pub(crate) fn build_and_become(profile: Profile, program: &str, args: &[String]) -> Box<dyn Error> {
    let (flags, folder) = match profile {
        Profile::Release => (&["--release"][..], "release"),
        Profile::Debug => (&[][..], "debug"),
    };
    let becoming = || -> Result<std::io::Error, Box<dyn Error>> {
        let mut build = cargo();
        build.arg("build").args(flags).args(["--package", "encore-server", "--package", "encore-rehearsal"]);
        let status = build.status().map_err(|error| format!("cannot run cargo: {error}"))?;
        if !status.success() {
            return Err("the server and the rehearsal cannot be built".into());
        }
        let metadata = metadata()?;
        let target = metadata["target_directory"].as_str().ok_or("cargo metadata has no target_directory")?;
        Ok(Command::new(PathBuf::from(target).join(folder).join(program)).args(args).exec())
    };
    becoming().map_or_else(|error| error, |error| format!("cannot run {program}: {error}").into())
}
