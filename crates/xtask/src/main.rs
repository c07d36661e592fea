#![doc = include_str!("../README.md")]

mod arrows;
mod attack;
mod demo_venue;
mod glossary;
mod install;
mod outcome;
mod rehearse;
mod test;
mod up;
mod workspace;

use std::process::ExitCode;

use encore_private_stores::supervisor;

const USAGE: &str = "\
Usage: cargo xtask <command>

  test [ARGS]      run `cargo test` with a private Postgres, Redis and Redis Cluster; without ARGS, the whole workspace
  up               run a development server that keeps its data in .state/
  rehearse [ARGS]  build the server and the rehearsal in release mode, and run `encore-rehearse ARGS`
  attack [ARGS]    build the server and the attacks in release mode (with --debug: in debug mode), and run `encore-attack ARGS`
  install-stores   install PostgreSQL and Redis from the system's packages
  arrows           check the dependencies between the crates and the imports between their files
  glossary         refuse identifiers that the glossary has given up
  demo-venue       write the seating plan of the demo's venue

`test`, `up`, `rehearse --local` and `attack --local` install PostgreSQL and Redis if they are missing. `test` and `up` use the stores that
ENCORE_DATABASE_URL and ENCORE_REDIS_URL name, and `test` those of ENCORE_REDIS_CLUSTER_URL, if these variables are set.";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let outcome = match command.as_str() {
        "test" => test::run(&rest),
        "up" => up::run(),
        "rehearse" => rehearse::run(&rest),
        "attack" => attack::run(&rest),
        "install-stores" => install::run(),
        "arrows" => arrows::run(),
        "glossary" => glossary::run(),
        "demo-venue" => demo_venue::run(),
        supervisor::COMMAND => supervisor::run(&rest).map(|()| ExitCode::SUCCESS),
        "" | "help" | "-h" | "--help" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        unknown => Err(format!("unknown command {unknown:?}\n\n{USAGE}").into()),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error}");
        ExitCode::FAILURE
    })
}
