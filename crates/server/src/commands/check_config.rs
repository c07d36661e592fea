//! `encore check-config`.

use std::env;

use clap::Args;
use encore_postgres_store::migration::pending;
use encore_redis_store::eviction_policy;

use crate::commands::CommandError;
use crate::config::{ConfigErrors, ServeArgs, Stores};
use crate::output::print_line;
use crate::variables::Variable;

/// The prefix of every variable.
const PREFIX: &str = "ENCORE_";

/// The arguments of `encore check-config`: those of `encore serve`.
#[derive(Args, Clone)]
pub struct CheckConfigArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// Also connect to the stores: are they reachable, which migrations are pending, does Redis evict keys?
    #[arg(long)]
    connect: bool,
}

/// Checks what `encore serve` would check before it opens anything, and that no variable is misspelled.
pub async fn run(args: &CheckConfigArgs, known: &[Variable]) -> Result<(), CommandError> {
    let checked = args.serve.check();
    let unknown = unknown(known, env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()));
    let config = match checked {
        Ok(config) if unknown.is_empty() => config,
        checked => {
            let violations = checked.err().map(|errors| errors.0).unwrap_or_default();
            return Err(ConfigErrors(violations.into_iter().chain(unknown).collect()).into());
        }
    };
    for Variable { name, is_secret, .. } in known {
        if let Ok(value) = env::var(name) {
            print_line(format_args!("{name}={}", if *is_secret { "(secret)" } else { &value }))?;
        }
    }
    if args.connect {
        connect(&config.stores).await?;
    }
    Ok(print_line("the configuration is valid")?)
}

/// Reaches the stores without changing anything in them.
async fn connect(stores: &Stores) -> Result<(), CommandError> {
    let Stores::Durable { database, redis } = stores else {
        return Ok(print_line("stores: none, all data is kept in the process")?);
    };
    let pending = pending(&database.url).await?;
    let migrations = if pending.is_empty() { "none".to_owned() } else { pending.join(", ") };
    print_line(format_args!("Postgres: reachable, pending migrations: {migrations}"))?;
    if let Some(redis) = redis {
        if let Some(policy) = eviction_policy(&redis.servers()?).await {
            return Err(CommandError::RedisEvicts { policy });
        }
        print_line("Redis: reachable, evicts nothing")?;
    }
    Ok(())
}

/// A violation for each variable with the prefix that no command reads.
fn unknown(known: &[Variable], set: impl Iterator<Item = String>) -> Vec<String> {
    let is_known = |name: &String| known.iter().any(|variable| variable.name == *name);
    let mut unknown: Vec<String> = set.filter(|name| name.starts_with(PREFIX) && !is_known(name)).collect();
    unknown.sort_unstable();
    unknown.into_iter().map(|name| format!("{name}: no command reads this variable")).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::command_line::Cli;
    use crate::variables::variables;

    #[test]
    fn a_misspelled_variable_is_told() {
        let set = ["ENCORE_LISTEN", "ENCORE_DATBASE_URL", "PATH", "ENCORE_OPERATOR_PASSWORD"].map(str::to_owned);
        let told = unknown(&variables(&Cli::command()), set.into_iter());
        assert_eq!(told, ["ENCORE_DATBASE_URL: no command reads this variable"]);
    }
}
