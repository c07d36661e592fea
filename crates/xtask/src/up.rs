use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};
use encore_private_stores::{DATABASE_URL, Lasting, REDIS_URL, Stores};

use crate::outcome::Outcome;
use crate::{install, workspace};

const LISTEN: &str = "127.0.0.1:50051";
/// The password of the demo's operator, as in the README. A server with it listens on loopback alone.
const OPERATOR_PASSWORD: &str = "demo-operator";

/// The stores that the server needs.
const STORES: [&str; 2] = [DATABASE_URL, REDIS_URL];

/// Runs a development server. This process becomes the server, so that the shell waits for it and sees its status.
pub(crate) fn run() -> Outcome {
    let state = workspace::root().join(".state");
    fs::create_dir_all(&state).map_err(|error| format!("cannot create {}: {error}", state.display()))?;
    install::programs_for_unset(&STORES)?;
    let stores = Stores::start(Lasting::In(&state), &STORES)?;
    let mut server = workspace::cargo();
    server.args(["run", "--package", "encore-server", "--bin", "encore", "--", "serve", "--demo"]);
    stores.lend_to(&mut server)?;
    for (variable, url) in stores.urls() {
        println!("{variable}={url}");
    }
    default(&mut server, "ENCORE_DEMO_OPERATOR_PASSWORD", || Ok(OPERATOR_PASSWORD.to_owned()))?;
    default(&mut server, "ENCORE_LISTEN", || Ok(LISTEN.to_owned()))?;
    default(&mut server, "ENCORE_TOKEN_KEYS", || token_keys(&state.join("token-keys")))?;
    Err(format!("cannot run cargo: {}", server.exec()).into())
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

/// The signing key of this checkout. It is generated once, so that tokens stay valid across restarts of the server.
fn token_keys(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(keys) => return Ok(keys.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let keys = format!("dev:{}", BASE64_STANDARD.encode(secret));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{keys}")?;
    Ok(keys)
}
