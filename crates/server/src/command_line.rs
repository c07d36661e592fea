//! The command line of `encore`.

use std::sync::LazyLock;

use clap::{Parser, Subcommand};

use crate::commands;
use crate::config::ServeArgs;
use crate::telemetry::LogFormat;

/// The commit that was built, from the variable `ENCORE_COMMIT` of the build. Releases set it; other builds do not know it.
const COMMIT: Option<&str> = option_env!("ENCORE_COMMIT");

/// What `--version` prints after the name.
fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| version_of(COMMIT));
    &VERSION
}

fn version_of(commit: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match commit {
        Some(commit) if !commit.is_empty() => format!("{version} ({commit})"),
        Some(_) | None => version.to_owned(),
    }
}

/// Sells concert seats to a hundred thousand people who arrive in the same second.
#[derive(Parser)]
#[command(name = "encore", version = version())]
pub struct Cli {
    /// The log filter, such as `info` or `encore_app=debug,warn`. Default: `info`.
    #[arg(long, env = "ENCORE_LOG", global = true)]
    pub log: Option<String>,
    /// The log format. Default: text on a terminal and JSON elsewhere.
    #[arg(long, env = "ENCORE_LOG_FORMAT", global = true)]
    pub log_format: Option<LogFormat>,
    /// What to do. Default: `serve`.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The arguments of `encore` without a subcommand: it serves, and reads its configuration from the environment.
#[derive(Parser)]
pub struct ByVariables {
    /// Whatever `serve` takes.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// What `encore` can do.
#[derive(Subcommand)]
pub enum Command {
    /// Serve the API (the default).
    Serve(Box<ServeArgs>),
    /// Check the configuration of `serve` and print it. Starts nothing and changes nothing.
    CheckConfig(Box<commands::check_config::CheckConfigArgs>),
    /// Ask an instance whether it is ready. Exits with 1 if it is not.
    Health(commands::health::HealthArgs),
    /// Apply the pending migrations of the database.
    Migrate(commands::migrate::MigrateArgs),
    /// Print a new key for access tokens, as `ENCORE_TOKEN_KEYS` takes it.
    MakeTokenKey(commands::make_token_key::MakeTokenKeyArgs),
    /// Create a user with the operator role.
    CreateOperator(commands::create_operator::CreateOperatorArgs),
    /// Import a seating plan as a venue.
    ImportVenue(commands::import_venue::ImportVenueArgs),
    /// Make a new venue of one that was imported: mark accessible seats, set focal points, add general admission areas.
    ReviseVenue(commands::revise_venue::ReviseVenueArgs),
    /// Audit the stored data of a running or stopped system. Exits with 3 if a promise is broken.
    Verify(commands::verify::VerifyArgs),
    /// Read published events, or compare the seat feed with the claims.
    Events(commands::events::EventsArgs),
    /// Recompute every number of a draw from the reply of `QueueService.GetDraw`. Exits with 3 if any number differs.
    VerifyDraw(commands::verify_draw::VerifyDrawArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_version_has_the_commit_if_the_build_knows_it() {
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(version_of(Some("4f6a1c2")), format!("{version} (4f6a1c2)"));
        assert_eq!(version_of(None), version);
        assert_eq!(version_of(Some("")), version);
        assert_eq!(Cli::command().get_version(), Some(super::version()));
    }
}
