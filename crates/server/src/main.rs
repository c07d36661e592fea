//! The binary `encore`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use encore_server::commands::{self, CommandError};
use encore_server::config::ServeArgs;
use encore_server::output::print_error_line;
use encore_server::telemetry::{self, LogFormat};
use mimalloc::MiMalloc;

// The system's allocator took a tenth of the CPU time of a loaded server. Transparent huge pages are off (`no_thp`),
// because they increased the memory of an open stream by a third without a gain in speed.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Sells concert seats to a hundred thousand people who arrive in the same second.
#[derive(Parser)]
#[command(name = "encore", version)]
struct Cli {
    /// The log filter, such as `info` or `encore_app=debug,warn`. Default: `info`.
    #[arg(long, env = "ENCORE_LOG", global = true)]
    log: Option<String>,
    /// The log format. Default: text on a terminal and JSON elsewhere.
    #[arg(long, env = "ENCORE_LOG_FORMAT", global = true)]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The arguments of `encore` without a subcommand: it serves, and reads its configuration from the environment.
#[derive(Parser)]
struct ByVariables {
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API (the default).
    Serve(Box<ServeArgs>),
    /// Apply the pending migrations of the database.
    Migrate(commands::migrate::MigrateArgs),
    /// Create a user with the operator role.
    CreateOperator(commands::create_operator::CreateOperatorArgs),
    /// Import a seating plan as a venue.
    ImportVenue(commands::import_venue::ImportVenueArgs),
    /// Make a new venue of one that was imported: mark accessible seats, set focal points, add general admission areas.
    ReviseVenue(commands::revise_venue::ReviseVenueArgs),
    /// Audit the stored data of a running or stopped system. Exits with 3 if a promise is broken.
    Verify(commands::verify::VerifyArgs),
    /// Recompute every number of a draw from the reply of `QueueService.GetDraw`. Exits with 3 if any number differs.
    VerifyDraw(commands::verify_draw::VerifyDrawArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = cli.log.as_deref().unwrap_or("info");
    if let Err(error) = telemetry::init(log, cli.log_format) {
        print_error_line(format_args!("encore: ENCORE_LOG: {error}"));
        return ExitCode::FAILURE;
    }
    let by_variables = || Command::Serve(Box::new(ByVariables::parse_from(["encore"]).serve));
    let command = cli.command.unwrap_or_else(by_variables);
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error_line(format_args!("encore: {error}"));
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                print_error_line(format_args!("  caused by: {cause}"));
                source = cause.source();
            }
            error.exit_code()
        }
    }
}

#[tokio::main]
async fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Serve(args) => Box::pin(commands::serve::run(&args)).await,
        Command::Migrate(args) => commands::migrate::run(&args).await,
        Command::CreateOperator(args) => commands::create_operator::run(args).await,
        Command::ImportVenue(args) => commands::import_venue::run(&args).await,
        Command::ReviseVenue(args) => commands::revise_venue::run(args).await,
        Command::Verify(args) => commands::verify::run(&args).await,
        Command::VerifyDraw(args) => commands::verify_draw::run(&args),
    }
}
