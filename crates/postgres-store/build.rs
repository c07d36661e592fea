//! Rebuilds the crate when a migration changes, and exports a hash of the migrations' text.

use std::env;
use std::error::Error;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let migrations = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../migrations");
    println!("cargo:rerun-if-changed={}", migrations.display());
    let mut steps: Vec<PathBuf> =
        fs::read_dir(&migrations)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    steps.retain(|step| step.is_dir());
    steps.sort();
    let mut hasher = DefaultHasher::new();
    for step in steps {
        step.file_name().hash(&mut hasher);
        fs::read(step.join("up.sql"))?.hash(&mut hasher);
    }
    println!("cargo:rustc-env=ENCORE_MIGRATIONS_HASH={:016x}", hasher.finish());
    Ok(())
}
