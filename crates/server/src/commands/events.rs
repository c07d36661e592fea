//! `encore events`: the published events, for people.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use clap::{Args, Subcommand};
use encore_domain::event::message::EventMessage;
use encore_event_format::{from_json_line, to_json_line};
use encore_events::{FileReader, KafkaReader};
use uuid::Uuid;

use crate::commands::CommandError;
use crate::commands::replay::{self, ReplayArgs};
use crate::config::{KafkaArgs, KafkaTopic};
use crate::output::print_error_line;

/// The package of the types, which may be left out.
const PACKAGE: &str = "encore.events.v1.";
/// The pause before files are looked at again, and how long Kafka is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Reads published events.
#[derive(Args)]
pub struct EventsArgs {
    #[command(subcommand)]
    command: EventsCommand,
}

#[derive(Subcommand)]
enum EventsCommand {
    /// Print events as they are published, one JSON object a line.
    Tail(Box<TailArgs>),
    /// Rebuild the map of a performance from the seat feed, and compare it with the claims. Exits with 3 if a seat differs, and with 4 if
    /// that could not be examined.
    Replay(Box<ReplayArgs>),
}

/// Which events to print.
#[derive(Args)]
pub struct TailArgs {
    /// The folder of the event files.
    #[arg(long, env = "ENCORE_EVENT_FILES")]
    event_files: Option<PathBuf>,
    /// Kafka instead.
    #[command(flatten)]
    kafka: KafkaArgs,
    /// Only events of this type, such as `HoldPlaced`. May be repeated.
    #[arg(long = "type")]
    types: Vec<String>,
    /// Only events of this performance, or of the wallet of this user.
    #[arg(long)]
    key: Option<Uuid>,
    /// Begin with the oldest event, not with those that come from now on.
    #[arg(long)]
    from_beginning: bool,
    /// Print what there is and end.
    #[arg(long)]
    no_follow: bool,
}

/// Reads events.
pub async fn run(args: &EventsArgs) -> Result<(), CommandError> {
    match &args.command {
        EventsCommand::Tail(args) => tail(args),
        EventsCommand::Replay(args) => replay::run(args).await,
    }
}

/// Prints events until it is interrupted.
fn tail(args: &TailArgs) -> Result<(), CommandError> {
    match (args.kafka.check()?, &args.event_files) {
        (Some(topic), _) => tail_topic(args, &topic),
        (None, Some(folder)) => tail_files(args, folder),
        (None, None) => Err(CommandError::Usage("--event-files or --kafka-brokers: one must be set".to_owned())),
    }
}

fn tail_files(args: &TailArgs, folder: &Path) -> Result<(), CommandError> {
    let what = || format!("events in {}", folder.display());
    let failed = |source| CommandError::Read { what: what(), source };
    let mut reader = FileReader::open(folder, args.from_beginning).map_err(failed)?;
    loop {
        while let Some(line) = reader.next_line().map_err(failed)? {
            match from_json_line(&line) {
                Ok(event) if args.admits(&event) => {
                    if !print(&line)? {
                        return Ok(());
                    }
                }
                Ok(_) => {}
                Err(error) => print_error_line(format_args!("encore: a line is left out: {error}")),
            }
        }
        if args.no_follow {
            return Ok(());
        }
        sleep(LOOK_EVERY);
    }
}

fn tail_topic(args: &TailArgs, KafkaTopic { servers, topic }: &KafkaTopic) -> Result<(), CommandError> {
    let failed = |error| CommandError::Read { what: format!("topic {topic}"), source: io::Error::other(error) };
    let reader = KafkaReader::open(servers, topic, args.from_beginning).map_err(failed)?;
    let mut left = if args.from_beginning { reader.length() } else { 0 };
    while !args.no_follow || left > 0 {
        let Some(message) = reader.next(LOOK_EVERY).map_err(failed)? else { continue };
        left = left.saturating_sub(1);
        match message.map(|event| (args.admits(&event), to_json_line(&event))) {
            Some((true, Ok(line))) => {
                if !print(&line)? {
                    break;
                }
            }
            Some((true, Err(error))) => print_error_line(format_args!("encore: an event is left out: {error}")),
            Some((false, _)) => {}
            None => print_error_line(format_args!("encore: a message that is no event is left out")),
        }
    }
    Ok(())
}

/// Prints a line. Returns whether somebody still reads.
fn print(line: &str) -> Result<bool, CommandError> {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(true),
    }
}

impl TailArgs {
    fn admits(&self, event: &EventMessage) -> bool {
        let short = event.data_type.strip_prefix(PACKAGE).unwrap_or(&event.data_type);
        // The key of a message of the seat feed is that of the performance, and the seat.
        let of = event.key.split_once('/').map_or(event.key.as_str(), |(performance, _)| performance);
        let is_of_type = |name: &String| *name == event.data_type || name == short;
        (self.types.is_empty() || self.types.iter().any(is_of_type)) && self.key.is_none_or(|key| key.to_string() == of)
    }
}
