use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use encore_private_stores::{DATABASE_URL, Lasting, REDIS_URL, Stores};

use crate::{Outcome, base64, workspace};

const LISTEN: &str = "127.0.0.1:50051";

/// Runs a development server. This process becomes the server, so that the shell waits for it and sees its status.
pub(crate) fn run() -> Outcome {
    let state = workspace::root().join(".state");
    fs::create_dir_all(&state).map_err(|error| format!("{} cannot be made: {error}", state.display()))?;
    let stores = Stores::start(Lasting::In(&state), &[DATABASE_URL, REDIS_URL])?;
    let mut server = workspace::cargo();
    server.args(["run", "--package", "encore-server", "--bin", "encore", "--", "serve", "--demo"]);
    stores.lend_to(&mut server)?;
    for (variable, url) in stores.urls() {
        println!("{variable}={url}");
    }
    default(&mut server, "ENCORE_LISTEN", || Ok(LISTEN.to_owned()))?;
    default(&mut server, "ENCORE_TOKEN_KEYS", || token_keys(&state.join("token-keys")))?;
    Err(format!("cargo cannot be run: {}", server.exec()).into())
}

fn default(
    server: &mut std::process::Command,
    variable: &str,
    value: impl FnOnce() -> io::Result<String>,
) -> io::Result<()> {
    if std::env::var_os(variable).is_none() {
        server.env(variable, value()?);
    }
    Ok(())
}

/// The signing key of this checkout, made once: tokens stay good when the server is started again.
fn token_keys(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(keys) => return Ok(keys.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut secret = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    let keys = format!("dev:{}", base64::encode(&secret));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{keys}")?;
    Ok(keys)
}
