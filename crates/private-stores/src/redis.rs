use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::daemon::{Daemon, free_port};
use crate::programs::{not_installed, on_path};

/// The variable with the URL of Redis.
pub const URL_VARIABLE: &str = "ENCORE_REDIS_URL";

pub(crate) const NAME: &str = "Redis";

/// The server program. Some systems ship Valkey instead.
pub(crate) fn binary() -> Option<PathBuf> {
    ["redis-server", "valkey-server"].into_iter().find_map(on_path)
}

/// Starts a Redis with its files in the folder. One that `lasts` writes each change to its append-only file.
pub(crate) fn start(folder: &Path, lasts: bool) -> Result<(Daemon, String), Box<dyn Error>> {
    let port = free_port()?;
    let mut server = server(port, &folder.join("redis"))?;
    server.args(["--appendonly", if lasts { "yes" } else { "no" }]);
    let daemon = Daemon::start("redis", &mut server, &folder.join("redis.log"), |_| answers(port))?;
    Ok((daemon, url(port)))
}

/// What an encrypted server needs: its certificate, its key, and the root by which nodes of a cluster know each other.
#[derive(Clone)]
pub(crate) struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    root: PathBuf,
}

impl TlsFiles {
    /// Writes them into a folder.
    pub(crate) fn write(folder: &Path, certificate: &str, key: &str, root: &str) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let write = |name, content| {
            let file = folder.join(name);
            fs::write(&file, content).map(|()| file)
        };
        Ok(Self {
            certificate: write("tls.crt", certificate)?,
            key: write("tls.key", key)?,
            root: write("ca.crt", root)?,
        })
    }

    /// Lets a server serve this port beside the other, encrypted. Clients need no certificate.
    pub(crate) fn serve(&self, server: &mut Command, port: u16) {
        server.args(["--tls-port", &port.to_string(), "--tls-auth-clients", "no"]);
        server.arg("--tls-cert-file").arg(&self.certificate).arg("--tls-key-file").arg(&self.key);
        server.arg("--tls-ca-cert-file").arg(&self.root);
    }
}

/// The command that serves a port of the loopback, with its files in the folder `data`.
pub(crate) fn server(port: u16, data: &Path) -> Result<Command, Box<dyn Error>> {
    let binary = binary().ok_or_else(|| not_installed(NAME))?;
    fs::create_dir_all(data)?;
    let mut server = Command::new(binary);
    server.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--dir"]).arg(data);
    Ok(server)
}

pub(crate) fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

/// The URL of an encrypted port, by this name of the host.
pub(crate) fn encrypted_url(host: &str, port: u16) -> String {
    format!("rediss://{host}:{port}")
}

/// Whether the server answers. It does so only after it has loaded its file.
pub(crate) fn answers(port: u16) -> bool {
    ask(port, "PING").is_ok_and(|answer| answer == "PONG")
}

/// Sends an inline command whose reply is one string.
pub(crate) fn ask(port: u16, command: &str) -> io::Result<String> {
    let mut connection = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?);
    write!(connection.get_mut(), "{command}\r\n")?;
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("+", answer)) => Ok(answer.to_owned()),
        Some(("$", length)) => {
            let mut text = vec![0; length.parse().map_err(io::Error::other)?];
            connection.read_exact(&mut text)?;
            String::from_utf8(text).map_err(io::Error::other)
        }
        _ => Err(io::Error::other(format!("redis answers {command:?} with {line:?}"))),
    }
}
