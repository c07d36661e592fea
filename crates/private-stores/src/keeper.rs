//! The process that owns the private stores: it starts them, says where they are, and stops them when nobody is left at the
//! other end of its standard input.

use std::env;
use std::error::Error;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::{RedisCluster, postgres, redis, redis_cluster};

/// What the parent process asks for, not for people: a folder in which the data lasts, or nothing, and then the variables
/// of the stores.
pub const COMMAND: &str = "keep-stores";

/// How long the keeper of the run before may take to stop its stores.
const FOLDER_PATIENCE: Duration = Duration::from_secs(20);
const FOLDER_POLL: Duration = Duration::from_millis(50);

/// Starts the stores, says where they are, and keeps them until nobody holds the other end of the standard input. `args` is
/// what follows [`COMMAND`].
pub fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    let (folder, variables) = args.split_first().ok_or("the keeper needs a folder")?;
    let folder = if folder.is_empty() { Folder::temporary()? } else { Folder::lasting(folder)? };
    let stores = variables.iter().map(|variable| start(variable, &folder)).collect::<Result<Vec<_>, _>>()?;
    let mut output = stdout();
    for (variable, (_, url)) in variables.iter().zip(&stores) {
        writeln!(output, "{variable}={url}")?;
    }
    writeln!(output, "ready")?;
    output.flush()?;
    // A byte says stop; the end of the input says that whoever could have said it is gone.
    let _ = stdin().read(&mut [0])?;
    Ok(())
}

fn start(variable: &str, folder: &Folder) -> Result<(Vec<Daemon>, String), Box<dyn Error>> {
    let one = |(server, url)| (vec![server], url);
    match variable {
        postgres::URL_VARIABLE => postgres::start(&folder.path).map(one),
        redis::URL_VARIABLE => redis::start(&folder.path, folder.lasts()).map(one),
        redis_cluster::URL_VARIABLE if folder.lasts() => Err("a private Redis Cluster keeps nothing".into()),
        redis_cluster::URL_VARIABLE => {
            let cluster = RedisCluster::start(&folder.path)?;
            let urls = cluster.urls();
            Ok((cluster.into_servers(), urls))
        }
        unknown => Err(format!("there is no store for {unknown}").into()),
    }
}

/// Where the stores keep their files. One that lasts is locked against a second keeper; any other is removed at the end.
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
        fs::create_dir(&path).map_err(|error| format!("{} cannot be made: {error}", path.display()))?;
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
                return Err(format!("another server is using {}; stop it first", folder.display()).into());
            }
        }
    }
}
