//! The server's program, which the tests of this crate start. Cargo builds it with the tests of the whole workspace, and not with those
//! of this crate alone: then it is built here, once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// Names another program, so that nothing is built.
const VARIABLE: &str = "ENCORE_TEST_SERVER";

/// Crates of which the server contains nothing.
const NOT_IN_THE_SERVER: [&str; 4] = ["rehearsal", "private-stores", "port-tests", "xtask"];

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

/// Whether the program is there and no source that it is built from is newer.
fn is_up_to_date(program: &Path) -> bool {
    let Some(built) = modified(program) else { return false };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let crates = fs::read_dir(root.join("crates")).expect("a folder of crates");
    let sources = crates.map(|entry| entry.expect("a crate").path());
    let sources =
        sources.filter(|path| !NOT_IN_THE_SERVER.iter().any(|name| path.ends_with(name))).map(|path| path.join("src"));
    sources.chain([root.join("proto"), root.join("migrations")]).all(|folder| newest(&folder) <= Some(built))
}

/// When the newest file below a folder was modified.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let modified = entries.filter_map(|entry| {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) { newest(&entry.path()) } else { modified(&entry.path()) }
    });
    modified.max()
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
