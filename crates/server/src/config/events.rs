//! Events: where they are published, and for how long they are kept.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use encore_events::FileLimits;

use super::check::Check;

/// How long delivered events are kept with a database and without one, in hours: a week for consumers that fell behind; and an hour,
/// because memory is all there is.
const RETENTION_HOURS: (&str, &str) = ("168", "1");

/// Where events are published.
#[derive(Args, Clone)]
pub struct EventArgs {
    /// Publish events as JSON lines to files in this folder; `off` to publish none. Default without a database: a folder
    /// of this address in the folder for temporary files. Default with one: `off`.
    #[arg(long, env = "ENCORE_EVENT_FILES")]
    pub event_files: Option<String>,
    /// The size at which a file of events is full and another begun, in megabytes (1 to 10000).
    #[arg(long, env = "ENCORE_EVENT_FILE_MB", default_value = "16")]
    pub event_file_mb: String,
    /// The most files of events; the oldest is deleted (1 to 1000).
    #[arg(long, env = "ENCORE_EVENT_FILES_MAX", default_value = "8")]
    pub event_files_max: String,
    /// For how many hours an event is kept after it was published (1 to 8760). Default: 168 with a database, otherwise 1.
    #[arg(long, env = "ENCORE_EVENT_RETENTION_HOURS")]
    pub event_retention_hours: Option<String>,
}

/// The checked arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// Where events are published.
    pub publisher: Publisher,
    /// For how long they are kept after that.
    pub retention: Duration,
}

/// Where events are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publisher {
    /// Nowhere. They stay in the outbox.
    Off,
    /// To files in a folder.
    Files(PathBuf, FileLimits),
}

impl EventArgs {
    /// Checks the arguments of an instance that listens on `listen`.
    pub(super) fn read(&self, check: &mut Check, is_embedded: bool, listen: Option<SocketAddr>) -> Option<Events> {
        let mb = check.number("ENCORE_EVENT_FILE_MB", &self.event_file_mb, 1..=10_000);
        let files_max = check.number("ENCORE_EVENT_FILES_MAX", &self.event_files_max, 1..=1_000);
        let default = if is_embedded { RETENTION_HOURS.1 } else { RETENTION_HOURS.0 };
        let hours = self.event_retention_hours.as_deref().unwrap_or(default);
        let hours = check.number("ENCORE_EVENT_RETENTION_HOURS", hours, 1..=8_760);
        let folder = match self.event_files.as_deref() {
            Some("") => {
                check.0.push("ENCORE_EVENT_FILES: must be a folder or off".to_owned());
                None
            }
            Some("off") => None,
            Some(folder) => Some(PathBuf::from(folder)),
            None if is_embedded => Some(default_folder(listen?)),
            None => None,
        };
        let limits = FileLimits { file_bytes_max: u64::from(mb?) * 1_000_000, files_max: files_max? as usize };
        let publisher = folder.map_or(Publisher::Off, |folder| Publisher::Files(folder, limits));
        Some(Events { publisher, retention: Duration::from_hours(hours?.into()) })
    }
}

/// Not in the working folder, which may be a checkout; and another one for each server on the machine.
fn default_folder(listen: SocketAddr) -> PathBuf {
    std::env::temp_dir().join(format!("encore-events-{}", listen.port()))
}
