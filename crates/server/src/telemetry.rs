//! Logging: text on a terminal, JSON elsewhere.

mod alarm_tap;
mod line_filter;
mod line_limit;

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{ParseError, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, registry};

pub use self::alarm_tap::AlarmTap;
use self::line_filter::LineFilter;
use self::line_limit::LineLimit;

/// The crates whose details are logged if the filter asks for them: Encore's own, and the layer that logs calls. Drivers
/// and protocols log what they carry: SQL parameters, e-mail addresses, hashes, tokens.
const DETAILED: [&str; 2] = ["encore", "tower_http"];

/// The format of log lines.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging to standard error. `filter` is in the syntax of `tracing_subscriber::EnvFilter`. Returns what raises the alarms that are
/// logged.
pub fn init(filter: &str, format: Option<LogFormat>) -> Result<AlarmTap, ParseError> {
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    init_with(filter, format, terminal, std::io::stderr)
}

/// Starts logging to a writer, with colours if `ansi` is set. Whatever the filter says, other crates than those of
/// Encore log at `info` and above only, no callsite writes more than a few lines a second, and alarms are written.
pub fn init_with<W>(filter: &str, format: LogFormat, ansi: bool, writer: W) -> Result<AlarmTap, ParseError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filters = registry()
        .with(LineFilter(EnvFilter::try_new(filter)?))
        .with(filter_fn(carries_no_payload))
        .with(LineLimit::default());
    // A failure to log would be printed to standard error, which panics if its reader is gone.
    let alarms = AlarmTap::default();
    let lines = fmt::layer().with_writer(writer).log_internal_errors(false);
    match format {
        LogFormat::Text => filters.with(lines.with_ansi(ansi).with_target(false)).with(alarms.clone()).init(),
        LogFormat::Json => filters.with(lines.json().flatten_event(true)).with(alarms.clone()).init(),
    }
    Ok(alarms)
}

fn carries_no_payload(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    *metadata.level() <= Level::INFO || DETAILED.iter().any(|detailed| target.starts_with(detailed))
}
