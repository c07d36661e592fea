use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::daemon::{Daemon, free_port};
use crate::install;

/// Where tests and server look for Redis.
pub(crate) const URL_VARIABLE: &str = "ENCORE_REDIS_URL";

/// The server; some systems ship Valkey in its stead.
pub(crate) fn binary() -> Option<PathBuf> {
    ["redis-server", "valkey-server"].into_iter().find_map(install::on_path)
}

/// Starts a Redis in the folder. One that lasts writes each change to its append-only file.
pub(crate) fn start(folder: &Path, lasts: bool) -> Result<(Daemon, String), Box<dyn Error>> {
    let binary = binary().ok_or("redis-server is not installed")?;
    let data = folder.join("redis");
    fs::create_dir_all(&data)?;
    let port = free_port()?;
    let mut server = Command::new(binary);
    server.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
    server.args(["--appendonly", if lasts { "yes" } else { "no" }, "--dir"]).arg(&data);
    let daemon = Daemon::start("redis", &mut server, &folder.join("redis.log"), |_| answers(port))?;
    Ok((daemon, format!("redis://127.0.0.1:{port}")))
}

/// Whether it is there and has read its file.
fn answers(port: u16) -> bool {
    let ping = || {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        connection.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        connection.read_exact(&mut answer)?;
        Ok::<_, std::io::Error>(&answer == b"+PONG")
    };
    ping().unwrap_or(false)
}
