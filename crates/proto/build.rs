//! Generates messages, clients and servers from `proto/encore`, without protoc. `proto/google` is for other languages:
//! `tonic-types` has these messages for Rust.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let packages = root.join("encore");
    println!("cargo::rerun-if-changed={}", packages.display());
    let mut files = Vec::new();
    proto_files(&packages, &mut files)?;
    files.sort();

    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_source_info(true).include_imports(true).open_files(&files)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("encore.fds"), compiler.encode_file_descriptor_set())?;
    // What is sent to many at once is shared between them.
    tonic_prost_build::configure().bytes(".encore.catalog.v1.SeatRange").compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

fn proto_files(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            proto_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
