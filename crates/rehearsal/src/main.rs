//! The program `encore-rehearse`.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use encore_private_stores::supervisor;
use encore_rehearsal::options::RehearseArgs;
use encore_rehearsal::run::run;
use mimalloc::MiMalloc;

// The client shares the machine with the servers that it measures: it uses their allocator, so that it takes as little of it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Rehearses an on-sale with simulated load, measures it, and checks the promises: exits with 3 if any promise is broken, and with 4 if
/// a promise could not be examined.
#[derive(Parser)]
#[command(name = "encore-rehearse", version)]
struct Cli {
    #[command(flatten)]
    args: RehearseArgs,
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|command| command == supervisor::COMMAND) {
        return keep_stores(&args.map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<String>>());
    }
    let cli = Cli::parse();
    if let Err(conflict) = cli.args.check() {
        Cli::command().error(ErrorKind::ArgumentConflict, conflict).exit();
    }
    rehearse(&cli.args)
}

#[tokio::main]
async fn rehearse(args: &RehearseArgs) -> ExitCode {
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("encore-rehearse: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            error.exit_code()
        }
    }
}

/// A rehearsal runs this program again to keep its private stores.
fn keep_stores(args: &[String]) -> ExitCode {
    match supervisor::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("encore-rehearse: {error}");
            ExitCode::FAILURE
        }
    }
}
