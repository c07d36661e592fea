//! localstripe: a Stripe that keeps state and moves no money. A Python package, in a virtual environment of its own beside the build. The
//! environment also has the library of Standard Webhooks, with which tests verify what is sent.

use std::env;
use std::error::Error;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::daemon::{Daemon, free_port};
use crate::programs::not_installed;

/// The variable with the URL of localstripe.
pub const URL_VARIABLE: &str = "ENCORE_LOCALSTRIPE_URL";

pub(crate) const NAME: &str = "localstripe";

/// The packages, as `pip install` takes them.
pub const PACKAGES: [&str; 4] =
    ["localstripe==1.15.10", "aiohttp==3.14.5", "python-dateutil==2.9.0.post0", "standardwebhooks==1.1.0"];

/// Serves on the loopback and writes no files. Run by its own program, it listens on every address and keeps its state in a file in
/// `/tmp`, which all users of the machine would share.
const SERVE: &str = "\
import sys
from aiohttp import web
from localstripe import resources
resources.Store.dump_to_disk = lambda store: None
from localstripe.server import app
web.run_app(app, host='127.0.0.1', port=int(sys.argv[1]))
";

/// The virtual environment: in the target folder, so that it is installed once, and another for other versions.
pub fn environment() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).unwrap_or(here);
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    target.join("tools").join(PACKAGES.join("-").replace("==", "-"))
}

/// Its Python, if the packages are installed.
pub fn python() -> Option<PathBuf> {
    let environment = environment();
    let is_complete = environment.join("complete").is_file();
    Some(environment.join("bin").join("python")).filter(|python| is_complete && python.exists())
}

/// Starts one with an empty state.
pub(crate) fn start(folder: &Path) -> Result<(Daemon, String), Box<dyn Error>> {
    let python = python().ok_or_else(|| not_installed(NAME))?;
    let port = free_port()?;
    let mut server = Command::new(python);
    server.args(["-c", SERVE, &port.to_string()]).current_dir(folder);
    let accepts = |_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    let daemon = Daemon::start("localstripe", &mut server, &folder.join("localstripe.log"), accepts)?;
    Ok((daemon, format!("http://127.0.0.1:{port}")))
}
