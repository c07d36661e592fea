//! The process that owns the private stores. It starts them, prints their URLs, and stops them when the last write end of
//! its standard input is closed.

use std::env;
use std::error::Error;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::{RedisCluster, localstripe, postgres, redis, redis_cluster};

/// The internal subcommand of a program that starts private stores. Its arguments are the folder for the data, empty for a
/// temporary one, and the variables of the stores.
pub const COMMAND: &str = "supervise-stores";

/// How long the supervisor of the previous run may take to stop its stores.
const FOLDER_PATIENCE: Duration = Duration::from_secs(20);
const FOLDER_POLL: Duration = Duration::from_millis(50);

/// Starts the stores, prints their URLs, and stops them when the standard input ends or a byte arrives. `args` follow
/// [`COMMAND`] on the command line.
pub fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    let (folder, variables) = args.split_first().ok_or("the supervisor needs a folder")?;
    let folder = if folder.is_empty() { Folder::temporary()? } else { Folder::lasting(folder)? };
    let stores = variables.iter().map(|variable| start(variable, &folder)).collect::<Result<Vec<_>, _>>()?;
    let mut output = stdout();
    for (variable, (_, url)) in variables.iter().zip(&stores) {
        writeln!(output, "{variable}={url}")?;
    }
    writeln!(output, "ready")?;
    output.flush()?;
    // A byte asks for the stop. The end of the input means that no process is left that could ask.
    let _ = stdin().read(&mut [0])?;
    Ok(())
}

fn start(variable: &str, folder: &Folder) -> Result<(Vec<Daemon>, String), Box<dyn Error>> {
    let one = |(server, url)| (vec![server], url);
    match variable {
        postgres::URL_VARIABLE => postgres::start(&folder.path).map(one),
        redis::URL_VARIABLE => redis::start(&folder.path, folder.lasts()).map(one),
        redis_cluster::URL_VARIABLE if folder.lasts() => Err("a private Redis Cluster stores nothing on disk".into()),
        redis_cluster::URL_VARIABLE => {
            let cluster = RedisCluster::start(&folder.path)?;
            let urls = cluster.urls();
            Ok((cluster.into_servers(), urls))
        }
        localstripe::URL_VARIABLE => localstripe::start(&folder.path).map(one),
        unknown => Err(format!("there is no store for {unknown}").into()),
    }
}

/// The folder of the stores' files. A lasting one is locked against a second supervisor; a temporary one is removed in the
/// end.
struct Folder {
    path: PathBuf,
    lock: Option<File>,
}

impl Folder {
    fn lasting(path: &str) -> Result<Self, Box<dyn Error>> {
        let path = PathBuf::from(path);
        Ok(Self { lock: Some(lock(&path)?), path })
    }

    fn temporary() -> Result<Self, Box<dyn Error>> {
        let path = env::temp_dir().join(format!("encore-stores-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("cannot create {}: {error}", path.display()))?;
        Ok(Self { path, lock: None })
    }

    fn lasts(&self) -> bool {
        self.lock.is_some()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.lasts() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn lock(folder: &Path) -> Result<File, Box<dyn Error>> {
    let file = File::create(folder.join("lock"))?;
    let deadline = Instant::now() + FOLDER_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(FOLDER_POLL),
            Err(TryLockError::WouldBlock) => {
                return Err(format!("another server uses {}; stop it first", folder.display()).into());
            }
        }
    }
}
