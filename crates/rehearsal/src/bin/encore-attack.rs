//! The program `encore-attack`.

use std::process::ExitCode;

use clap::Parser;
use encore_private_stores::supervisor;
use encore_rehearsal::attack::{AttackArgs, run};

/// Attacks a server from this machine while another fan holds and releases seats, and exits with 1 if that fan or the server's memory is
/// beyond the bounds.
#[derive(Parser)]
#[command(name = "encore-attack", version)]
struct Cli {
    #[command(flatten)]
    args: AttackArgs,
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    // This program is run again to keep the private stores.
    let outcome = if args.next().is_some_and(|command| command == supervisor::COMMAND) {
        supervisor::run(&args.collect::<Vec<String>>()).map_err(|error| error.to_string())
    } else {
        attack(&Cli::parse().args)
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("encore-attack: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn attack(args: &AttackArgs) -> Result<(), String> {
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    run(args).await.map_err(|error| match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })
}
