#![doc = include_str!("../README.md")]

mod arrows;
mod base64;
mod demo_hall;
mod test;
mod up;
mod workspace;

use std::error::Error;
use std::process::ExitCode;

use encore_private_stores::keeper;

const USAGE: &str = "\
Usage: cargo xtask <command>

  test [args…]  run `cargo test` with a private Postgres, Redis and Redis Cluster; without args, the whole workspace
  up            run a development server whose data is kept in .state/
  arrows        check the dependencies between the crates
  demo-hall     write the seating plan of the demo hall

ENCORE_DATABASE_URL and ENCORE_REDIS_URL, and for tests ENCORE_REDIS_CLUSTER_URL, if set, are used instead of private
stores.";

/// What a command comes to: the exit code, or a message for the developer.
type Outcome = Result<ExitCode, Box<dyn Error>>;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let outcome = match command.as_str() {
        "test" => test::run(&rest),
        "up" => up::run(),
        "arrows" => arrows::run(),
        "demo-hall" => demo_hall::run(),
        keeper::COMMAND => keeper::run(&rest).map(|()| ExitCode::SUCCESS),
        "" | "help" | "-h" | "--help" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        unknown => Err(format!("there is no command {unknown:?}\n\n{USAGE}").into()),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error}");
        ExitCode::FAILURE
    })
}
