use std::error::Error;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::daemon::{Daemon, free_port};
use crate::install;

/// Where tests and server look for Postgres.
pub(crate) const URL_VARIABLE: &str = "ENCORE_DATABASE_URL";

/// Enough for every test's own pool at once.
const CONNECTIONS_MAX: u32 = 400;
/// Where packages put the binaries of a version: a folder, and how the version's own folder in it begins.
const VERSIONED_HOMES: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
];

/// The folder with `postgres` and `initdb`: on the path, else of the highest version.
pub(crate) fn binaries() -> Option<PathBuf> {
    let complete = |folder: &PathBuf| folder.join("initdb").is_file() && folder.join("postgres").is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(complete);
    on_path.or_else(|| {
        let homes = VERSIONED_HOMES.into_iter().flat_map(|(home, prefix)| versions(Path::new(home), prefix));
        homes.filter(|(_, folder)| complete(folder)).max().map(|(_, folder)| folder)
    })
}

fn versions(home: &Path, prefix: &str) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(home).into_iter().flatten().flatten();
    let version = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let major = name.to_str()?.strip_prefix(prefix)?.split('.').next()?.parse().ok()?;
        Some((major, entry.path().join("bin")))
    };
    entries.filter_map(version).collect()
}

/// Starts a Postgres in the folder, making its data first if there is none.
pub(crate) fn start(folder: &Path) -> Result<(Daemon, String), Box<dyn Error>> {
    let binaries = binaries().ok_or("postgres is not installed")?;
    let owner = Owner::choose()?;
    let data = folder.join("postgres");
    if !data.join("PG_VERSION").exists() {
        init(&binaries, &owner, &data)?;
    }
    let port = free_port()?;
    let mut server = Command::new(binaries.join("postgres"));
    server.arg("-D").arg(&data);
    let settings = [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        // A socket's path has 107 bytes at most, and a folder may be deeper; the loopback is enough.
        "unix_socket_directories=".to_owned(),
        format!("max_connections={CONNECTIONS_MAX}"),
        "fsync=on".to_owned(),
    ];
    server.args(settings.iter().flat_map(|setting| ["-c", setting]));
    let pid_file = data.join("postmaster.pid");
    let daemon = Daemon::start("postgres", owner.runs(&mut server), &folder.join("postgres.log"), |pid| {
        is_ready(&pid_file, pid)
    })?;
    Ok((daemon, format!("postgres://encore@127.0.0.1:{port}/postgres")))
}

fn init(binaries: &Path, owner: &Owner, data: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(data)?;
    owner.owns(data)?;
    let mut initdb = Command::new(binaries.join("initdb"));
    initdb.args(["--username=encore", "--auth=trust", "--encoding=UTF8", "--locale=C", "--pgdata"]).arg(data);
    let made = owner.runs(&mut initdb).output().map_err(|error| format!("initdb cannot be run: {error}"))?;
    if made.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&made.stderr).trim().to_owned();
    Err(format!("no database can be made in {}: {reason}", data.display()).into())
}

/// Says what `pg_ctl` waits for: the first line of the file is the server's process, which a crash may have left there, and
/// the eighth its state.
fn is_ready(pid_file: &Path, pid: u32) -> bool {
    let text = fs::read_to_string(pid_file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.first() == Some(&pid.to_string().as_str()) && lines.get(7) == Some(&"ready")
}

/// Who runs Postgres. It refuses to be run by root, who therefore hands it to somebody else.
struct Owner(Option<(u32, u32)>);

impl Owner {
    fn choose() -> Result<Self, Box<dyn Error>> {
        if !install::is_root() {
            return Ok(Self(None));
        }
        let ids = |user| Some((install::id("-u", user)?, install::id("-g", user)?));
        let other = ["postgres", "nobody"].into_iter().find_map(ids);
        other.map(|ids| Self(Some(ids))).ok_or_else(|| "there is no user postgres or nobody to run postgres".into())
    }

    fn owns(&self, folder: &Path) -> std::io::Result<()> {
        self.0.map_or(Ok(()), |(user, group)| chown(folder, Some(user), Some(group)))
    }

    fn runs<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group).current_dir("/");
        }
        command
    }
}
