//! Finds programs and users of the system.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    id("-u", "").is_some_and(|user| user == 0)
}

/// The number of a user (`-u`) or of the user's group (`-g`). An empty name stands for the user of this process.
pub(crate) fn id(which: &str, user: &str) -> Option<u32> {
    let mut id = Command::new("id");
    id.arg(which).args((!user.is_empty()).then_some(user)).stderr(Stdio::null());
    let output = id.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// The path of a program.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Says that a program is not installed and how to get it.
pub(crate) fn not_installed(program: &str) -> String {
    format!("{program} is not installed: run `cargo xtask install-stores`, or install it and put it on the PATH")
}
