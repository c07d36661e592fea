use std::error::Error;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::daemon::{Daemon, free_port};
use crate::programs::{id, is_root, not_installed};

/// The variable with the URL of Postgres.
pub const URL_VARIABLE: &str = "ENCORE_DATABASE_URL";

pub(crate) const NAME: &str = "PostgreSQL";

/// Enough for the pools of all tests that run at once.
const CONNECTIONS_MAX: u32 = 400;
/// Where packages put the binaries of a version: a folder, and the prefix of the version's folder in it.
const VERSIONED_HOMES: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
];

/// The folder with `postgres` and `initdb`: on the PATH, or else of the highest version that is installed.
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

/// Starts a Postgres with its files in the folder. Initializes the data directory if there is none.
pub(crate) fn start(folder: &Path) -> Result<(Daemon, String), Box<dyn Error>> {
    let binaries = binaries().ok_or_else(|| not_installed(NAME))?;
    let owner = Owner::choose()?;
    let data = folder.join("postgres");
    if !data.join("PG_VERSION").exists() {
        init(&binaries, &owner, &data)?;
    }
    let (daemon, port) = serve(&binaries, &owner, folder, &[])?;
    Ok((daemon, url("127.0.0.1", port)))
}

/// Starts a Postgres with its files in the folder, which accepts encrypted connections alone. Returns its port.
pub(crate) fn start_encrypted(folder: &Path, certificate: &str, key: &str) -> Result<(Daemon, u16), Box<dyn Error>> {
    let binaries = binaries().ok_or_else(|| not_installed(NAME))?;
    let owner = Owner::choose()?;
    let data = folder.join("postgres");
    init(&binaries, &owner, &data)?;
    // Postgres refuses a key that others than its own user may read.
    for (name, content) in [("server.crt", certificate), ("server.key", key)] {
        let file = data.join(name);
        fs::write(&file, content)?;
        fs::set_permissions(&file, Permissions::from_mode(0o600))?;
        owner.owns(&file)?;
    }
    fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n")?;
    serve(&binaries, &owner, folder, &["ssl=on"])
}

/// The URL of the database `postgres` of a server on the loopback.
pub(crate) fn url(host: &str, port: u16) -> String {
    format!("postgres://encore@{host}:{port}/postgres")
}

fn serve(
    binaries: &Path,
    owner: &Owner,
    folder: &Path,
    more_settings: &[&str],
) -> Result<(Daemon, u16), Box<dyn Error>> {
    let data = folder.join("postgres");
    let port = free_port()?;
    let mut server = Command::new(binaries.join("postgres"));
    server.arg("-D").arg(&data);
    let settings = [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        // The path of a Unix socket is limited to 107 bytes, and the folder's may be longer. The loopback is enough.
        "unix_socket_directories=".to_owned(),
        format!("max_connections={CONNECTIONS_MAX}"),
        "fsync=on".to_owned(),
    ];
    let settings = settings.iter().map(String::as_str).chain(more_settings.iter().copied());
    server.args(settings.flat_map(|setting| ["-c", setting]));
    let pid_file = data.join("postmaster.pid");
    let daemon = Daemon::start("postgres", owner.runs(&mut server), &folder.join("postgres.log"), |pid| {
        is_ready(&pid_file, pid)
    })?;
    Ok((daemon, port))
}

fn init(binaries: &Path, owner: &Owner, data: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(data)?;
    owner.owns(data)?;
    let mut initdb = Command::new(binaries.join("initdb"));
    initdb.args(["--username=encore", "--auth=trust", "--encoding=UTF8", "--locale=C", "--pgdata"]).arg(data);
    let made = owner.runs(&mut initdb).output().map_err(|error| format!("cannot run initdb: {error}"))?;
    if made.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&made.stderr).trim().to_owned();
    Err(format!("initdb failed in {}: {reason}", data.display()).into())
}

/// Whether the server is ready, by the same test as `pg_ctl`: the first line of the file is the process id, which a crash may
/// have left there, and the eighth is the server's state.
fn is_ready(pid_file: &Path, pid: u32) -> bool {
    let text = fs::read_to_string(pid_file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.first() == Some(&pid.to_string().as_str()) && lines.get(7) == Some(&"ready")
}

/// The user and group that run Postgres, if not those of this process. Postgres refuses to run as root.
struct Owner(Option<(u32, u32)>);

impl Owner {
    fn choose() -> Result<Self, Box<dyn Error>> {
        if !is_root() {
            return Ok(Self(None));
        }
        let ids = |user| Some((id("-u", user)?, id("-g", user)?));
        let other = ["postgres", "nobody"].into_iter().find_map(ids);
        other
            .map(|ids| Self(Some(ids)))
            .ok_or_else(|| "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`".into())
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
