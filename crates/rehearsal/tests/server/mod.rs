//! The server's program, which the tests of this crate start. Cargo builds it with the tests of the whole workspace, and not with those
//! of this crate alone: then it is built here, once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// Names another program, so that nothing is built.
const VARIABLE: &str = "ENCORE_TEST_SERVER";

/// The path of an up-to-date server.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(named) = std::env::var_os(VARIABLE) {
            return named.into();
        }
        let program = Path::new(env!("CARGO_BIN_EXE_encore-rehearse")).with_file_name("encore");
        if !is_up_to_date(&program) {
            build();
        }
        assert!(program.is_file(), "{} was not built", program.display());
        program
    })
}

/// Whether the program is there and no source that it was built from is newer: cargo lists these beside it.
fn is_up_to_date(program: &Path) -> bool {
    let Some(built) = modified(program) else { return false };
    let Ok(listed) = fs::read_to_string(program.with_extension("d")) else { return false };
    let Some((_, sources)) = listed.split_once(':') else { return false };
    sources.split_whitespace().all(|source| modified(Path::new(source)).is_some_and(|changed| changed <= built))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn build() {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "encore-server", "--bin", "encore"]);
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
    assert!(built.success(), "the server cannot be built");
}
