//! Generates messages, clients and servers from `proto/encore`, without protoc. `proto/google` is for other languages:
//! `tonic-types` has these messages for Rust.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The folder of the package that is served only where rehearsals are allowed.
const REHEARSAL: &str = "encore/rehearsal";

/// The messages with passwords, tokens, secrets, or URLs that may have one. `src/lib.rs` prints them without their fields.
const SECRET: [&str; 21] = [
    ".encore.identity.v1.SignUpRequest",
    ".encore.identity.v1.SignUpResponse",
    ".encore.identity.v1.LogInRequest",
    ".encore.identity.v1.LogInResponse",
    ".encore.identity.v1.UpdateMeRequest",
    ".encore.identity.v1.PostalAddress",
    ".encore.identity.v1.ChangePasswordRequest",
    ".encore.identity.v1.DeleteMeRequest",
    ".encore.identity.v1.RequestPasswordResetRequest",
    ".encore.identity.v1.ResetPasswordRequest",
    ".encore.identity.v1.RequestEmailVerificationRequest",
    ".encore.identity.v1.VerifyEmailRequest",
    ".encore.identity.v1.RefreshSessionRequest",
    ".encore.identity.v1.RefreshSessionResponse",
    ".encore.admin.v1.WebhookEndpoint",
    ".encore.admin.v1.CreateEndpointRequest",
    ".encore.admin.v1.UpdateEndpointRequest",
    ".encore.admin.v1.CreateEndpointResponse",
    ".encore.admin.v1.RotateSecretResponse",
    ".encore.admin.v1.FindUserRequest",
    ".encore.rehearsal.v1.RehearsalFan",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let packages = root.join("encore");
    println!("cargo::rerun-if-changed={}", packages.display());
    let mut files = Vec::new();
    proto_files(&packages, &mut files)?;
    files.sort();

    // What every server serves, and what only one does that allows rehearsals.
    let (rehearsal, served): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.starts_with(root.join(REHEARSAL)));
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for (name, files) in [("encore.fds", &served), ("rehearsal.fds", &rehearsal)] {
        fs::write(out.join(name), compiled(&root, files)?.encode_file_descriptor_set())?;
    }
    let compiler = compiled(&root, &files)?;
    tonic_prost_build::configure()
        // What is sent to many at once is shared between them.
        .bytes(".encore.catalog.v1.SeatRange")
        .skip_debug(SECRET)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

fn compiled(root: &Path, files: &[impl AsRef<Path>]) -> Result<protox::Compiler, protox::Error> {
    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_source_info(true).include_imports(true).open_files(files)?;
    Ok(compiler)
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
