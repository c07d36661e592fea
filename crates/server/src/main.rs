//! The binary `encore`.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use encore_private_stores::supervisor;
use encore_rehearsal::options::RehearseArgs;
use encore_server::commands::{self, CommandError};
use encore_server::config::ServeArgs;
use encore_server::telemetry::{self, LogFormat};
use mimalloc::MiMalloc;

// With the allocator of the system, a tenth of the time of a crowded server went to it. Huge pages are left off (`no_thp`): they made an
// open stream a third larger and nothing faster.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Sells concert seats when a hundred thousand people arrive in the same second.
#[derive(Parser)]
#[command(name = "encore", version)]
struct Cli {
    /// Which log queues to write, such as `info` or `encore_app=debug,warn`. By default `info`, and `warn` in a rehearsal.
    #[arg(long, env = "ENCORE_LOG", global = true)]
    log: Option<String>,
    /// How log queues look; by default text on a terminal and JSON elsewhere.
    #[arg(long, env = "ENCORE_LOG_FORMAT", global = true)]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What `encore` alone means: to serve as the variables say.
#[derive(Parser)]
struct ByVariables {
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API (the default).
    Serve(ServeArgs),
    /// Bring the database's schema up to date, and end.
    Migrate(commands::migrate::MigrateArgs),
    /// Create a user who may run sales.
    CreateOperator(commands::create_operator::CreateOperatorArgs),
    /// Import a seating plan as a venue.
    ImportVenue(commands::import_venue::ImportVenueArgs),
    /// Check the promises on what is stored, live or stopped, and end: with 3 if one is broken.
    Verify(commands::verify::VerifyArgs),
    /// Compute every number of a draw again, from what `QueueService.GetDraw` answered, and end: with 3 if one is another.
    VerifyDraw(commands::verify_draw::VerifyDrawArgs),
    /// Rehearse an on-sale with a simulated crowd, measure it, and check the promises: end with 3 if one is broken,
    /// and with 4 if something was not examined.
    Rehearse(Box<RehearseArgs>),
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|command| command == supervisor::COMMAND) {
        return supervise_stores(&args.map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<String>>());
    }
    let cli = Cli::parse();
    if let Some(Command::Rehearse(args)) = &cli.command
        && let Err(conflict) = args.check()
    {
        Cli::command().error(ErrorKind::ArgumentConflict, conflict).exit();
    }
    let rehearses = matches!(cli.command, Some(Command::Rehearse(_)));
    let log = cli.log.as_deref().unwrap_or(if rehearses { "warn" } else { "info" });
    if let Err(error) = telemetry::init(log, cli.log_format) {
        eprintln!("encore: ENCORE_LOG: {error}");
        return ExitCode::FAILURE;
    }
    let by_variables = || Command::Serve(ByVariables::parse_from(["encore"]).serve);
    let command = cli.command.unwrap_or_else(by_variables);
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("encore: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            error.exit_code()
        }
    }
}

/// A rehearsal runs this program again to supervise its private stores.
fn supervise_stores(args: &[String]) -> ExitCode {
    match supervisor::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("encore: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Serve(args) => commands::serve::run(&args).await,
        Command::Migrate(args) => commands::migrate::run(&args).await,
        Command::CreateOperator(args) => commands::create_operator::run(args).await,
        Command::ImportVenue(args) => commands::import_venue::run(&args).await,
        Command::Verify(args) => commands::verify::run(&args).await,
        Command::VerifyDraw(args) => commands::verify_draw::run(&args),
        Command::Rehearse(args) => commands::rehearse::run(&args).await,
    }
}
