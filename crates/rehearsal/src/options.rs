//! The options of `encore-rehearse`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};

use crate::load::Arrivals;

/// How many connections the instances of `--local` may have in all. The private Postgres has 400, and migrations, the
/// auditor and baselines need some too.
const LOCAL_CONNECTIONS_MAX: u64 = 300;
/// How many seconds a rehearsal lasts if it is not said.
const SECONDS: u64 = 75;
/// The largest map that is read in one call.
const MAP_SEATS_MAX: u32 = 10_000;
/// How many phases must fit into the bound: the paced one, and five times as much for everything else.
const PHASES_IN_BOUND: u64 = 6;

/// The default duration of a comparison of two builds, in seconds.
pub fn default_comparison_seconds(pairs: u32) -> u64 {
    u64::from(pairs) * 2 * 40
}

/// What is rehearsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// A whole sale: fans join, wait, choose, hold and pay, or do not.
    Journey,
    /// Joining a queue.
    Join,
    /// Joining a queue, and asking for a position in it, when a thousand wait and when a million do.
    LongQueue,
    /// Many open position streams on one instance.
    Watch,
    /// Many callers at once on the same two seats.
    Contend,
    /// Holding distinct seats, two at a time.
    Hold,
    /// Holding units of one general admission area, two at a time.
    Area,
    /// Paying live holds, from wallets or by card.
    Pay,
    /// Whole journeys one after the other, without thinking: join, be admitted, look, hold and pay.
    Flow,
    /// Everybody at once for a tenth as many seats, best available, one each, without a queue.
    Rush,
    /// Reading the seat map.
    Map,
}

impl Scenario {
    /// Its name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Journey => "journey",
            Self::Join => "join",
            Self::LongQueue => "long-queue",
            Self::Watch => "watch",
            Self::Contend => "contend",
            Self::Hold => "hold",
            Self::Area => "area",
            Self::Pay => "pay",
            Self::Flow => "flow",
            Self::Rush => "rush",
            Self::Map => "map",
        }
    }
}

/// A rehearsal.
#[derive(Args, Clone, Debug)]
pub struct RehearseArgs {
    /// What to rehearse.
    #[arg(value_enum, default_value_t = Scenario::Journey)]
    pub scenario: Scenario,
    /// Where.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// With whom.
    #[command(flatten)]
    pub users: UserArgs,
    /// How hard, in the scenarios that measure a part.
    #[command(flatten)]
    pub load: LoadArgs,
    /// The seed of all random choices of the virtual users.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// After how many seconds everything is over, preparations and audit included. Load ends after four fifths of that, with the report
    /// so far. By default 75, and 80 for each pair of `--against`.
    #[arg(long, value_parser = clap::value_parser!(u64).range(5..=86_400))]
    pub seconds: Option<u64>,
    /// Compare with another build: the path of its `encore-rehearse`, or of an older `encore` that has `rehearse` as a subcommand. Whole
    /// rehearsals by both builds are run in turns, each with servers and stores of its own.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["address", "kill"])]
    pub against: Option<PathBuf>,
    /// Print the report as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// The folder for `report.json`, `report.html` and the logs of instances.
    #[arg(long, default_value = "rehearsal-report")]
    pub out: PathBuf,
}

/// The environment. Without any of these it is `--embedded`.
#[derive(Args, Clone, Debug)]
pub struct EnvironmentArgs {
    /// On one server with embedded stores. This is the default; to name it refuses the flags of the others.
    #[arg(long, conflicts_with_all = ["local", "address"])]
    pub embedded: bool,
    /// On instances on a private Postgres and Redis, which are started for the rehearsal. Both must be installed.
    #[arg(long, conflicts_with = "address")]
    pub local: bool,
    /// On servers that run, such as `http://localhost:50051`; one for each instance. They must allow rehearsals.
    #[arg(long, value_name = "URL", requires_all = ["operator_email", "operator_password"])]
    pub address: Vec<String>,
    /// How many instances `--local` starts.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=16), requires = "local",
        conflicts_with_all = ["embedded", "address"])]
    pub instances: u64,
    /// Kill one instance without warning in the middle of a journey, and start it again three seconds later.
    #[arg(long, requires = "local", conflicts_with_all = ["embedded", "address"])]
    pub kill: bool,
    /// The server's program, for `--embedded` and `--local`; by default `encore` beside this program.
    #[arg(long, value_name = "PATH", conflicts_with = "address")]
    pub encore: Option<PathBuf>,
    /// How many connections to Postgres each local instance has, and a baseline in its stead: at most 300 in all.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=150))]
    pub pool: u32,
    /// How many connections the client opens to each instance.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=4_096))]
    pub connections: u64,
    /// An operator of the servers at `--address`.
    #[arg(long, env = "ENCORE_OPERATOR_EMAIL")]
    pub operator_email: Option<String>,
    /// Their password.
    #[arg(long, env = "ENCORE_OPERATOR_PASSWORD", hide_env_values = true)]
    pub operator_password: Option<String>,
    /// The Postgres on which to measure baselines beside `--address`; a database is made there and removed.
    #[arg(long, value_name = "URL", requires = "address", conflicts_with_all = ["embedded", "local"])]
    pub baseline_database_url: Option<String>,
    /// The Redis on which to measure baselines beside `--address`.
    #[arg(long, value_name = "URL", requires = "address", conflicts_with_all = ["embedded", "local"])]
    pub baseline_redis_url: Option<String>,
}

/// The virtual users of a `journey`.
#[derive(Args, Clone, Debug)]
pub struct UserArgs {
    /// How many fans; by default what the scenario needs (5,000 for a journey).
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=2_000_000))]
    pub fans: Option<u64>,
    /// How many seats there are to sell in a journey, or to read in a map (10,000 at most).
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub seats: u32,
    /// How fans arrive.
    #[arg(long, value_enum, default_value_t = Arrivals::Ramp)]
    pub arrivals: Arrivals,
    /// In how many seconds they arrive.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub arrive_within: u64,
    /// How many fans the queue admits in a second.
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub admit_per_second: u32,
    /// How many fans may be active at once.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_active: u32,
    /// How many milliseconds a fan thinks before each step, on average.
    #[arg(long, default_value_t = 700, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub think_ms: u64,
    /// How many seconds a hold lives.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(10..=1_800))]
    pub hold_seconds: u64,
    /// Of a hundred fans, how many give up while they wait.
    #[arg(long, default_value_t = 4, value_parser = percent())]
    pub abandon: u64,
    /// Of a hundred fans, how many lose their connection while they wait, and come back with the same token.
    #[arg(long, default_value_t = 10, value_parser = percent())]
    pub reconnect: u64,
    /// Of a hundred fans with a hold, how many let it expire or give it back.
    #[arg(long, default_value_t = 6, value_parser = percent())]
    pub dither: u64,
    /// Of a hundred holds and payments, how many are sent twice at once.
    #[arg(long, default_value_t = 10, value_parser = percent())]
    pub repeat: u64,
}

/// The load of the scenarios that measure a part.
#[derive(Args, Clone, Debug)]
pub struct LoadArgs {
    /// How many callers call at once when as much as possible is called.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=50_000))]
    pub in_flight: u64,
    /// How many pairs of slices, of the scenario and of a baseline, are compared.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub pairs: u32,
    /// How many seconds each phase without a baseline lasts, such as the paced one: at most a sixth of `--seconds`.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub phase_seconds: u64,
    /// How many calls a second are meant to start in the paced phase; by default 70 % of what was possible before it.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,
    /// How `pay` pays. Cards are charged by the server's sandbox, which moves no money and serves one instance.
    #[arg(long, value_enum, default_value_t = Method::Wallet)]
    pub method: Method,
    /// Measure no baselines.
    #[arg(long)]
    pub no_baselines: bool,
}

/// How holds are paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// From the wallet.
    Wallet,
    /// By a card of the sandbox that is approved.
    Card,
}

fn percent() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(0..=100)
}

impl RehearseArgs {
    /// Refuses options that do not go together. The error is a message for the user.
    pub fn check(&self) -> Result<(), String> {
        let connections = u64::from(self.environment.pool) * self.environment.instances;
        if self.environment.kill && self.scenario != Scenario::Journey {
            return Err(format!("--kill is for a journey; nobody is killed in {}", self.scenario.name()));
        }
        if self.against.is_some() && self.scenario == Scenario::Journey {
            return Err(
                "--against compares scenarios that measure something: a journey has no rate to compare".to_owned()
            );
        }
        if self.load.method == Method::Card && self.scenario != Scenario::Pay {
            return Err(format!("--method card is for pay; nobody pays by card in {}", self.scenario.name()));
        }
        if self.load.method == Method::Card && self.environment.instances > 1 {
            return Err("--method card is for one instance: the sandbox forgets what another one charged".to_owned());
        }
        if self.environment.local && connections > LOCAL_CONNECTIONS_MAX {
            return Err(format!(
                "--pool times --instances is {connections}, and the private Postgres has {LOCAL_CONNECTIONS_MAX} \
                 connections for the instances"
            ));
        }
        if self.scenario == Scenario::Map && self.users.seats > MAP_SEATS_MAX {
            return Err(format!("--seats is {}, and map reads at most {MAP_SEATS_MAX}", self.users.seats));
        }
        Ok(())
    }

    fn seconds(&self) -> u64 {
        let default = || {
            if self.against.is_some() { default_comparison_seconds(self.load.pairs) } else { SECONDS }
        };
        self.seconds.unwrap_or_else(default)
    }

    /// The bound of the whole rehearsal.
    pub fn bound(&self) -> Duration {
        Duration::from_secs(self.seconds())
    }

    /// How long each phase of a part scenario lasts: whole seconds, and at most a sixth of the bound, so that the
    /// preparations, both phases and the baselines find room in it.
    pub fn phase(&self) -> Duration {
        Duration::from_secs(self.load.phase_seconds.min(self.seconds() / PHASES_IN_BOUND).max(1))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: RehearseArgs,
    }

    fn parsed(line: &str) -> Result<RehearseArgs, clap::Error> {
        Cli::try_parse_from(std::iter::once("rehearse").chain(line.split_whitespace())).map(|cli| cli.args)
    }

    fn refused(line: &str) -> String {
        parsed(line).expect("flags that are there").check().expect_err("what does not go together")
    }

    #[test]
    fn flags_of_another_stage_are_refused() {
        for line in [
            "--embedded --local",
            "--embedded --instances 2",
            "--embedded --kill",
            "--embedded --baseline-redis-url redis://a",
            "--local --baseline-database-url postgres://a",
            "--address http://a --operator-email a --operator-password b --kill",
        ] {
            assert_eq!(parsed(line).expect_err(line).kind(), ErrorKind::ArgumentConflict, "{line}");
        }
        assert!(parsed("--embedded").expect("the default").check().is_ok());
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        assert!(refused("hold --local --kill").contains("--kill"));
        assert!(refused("--local --pool 150 --instances 3").contains("--pool times --instances is 450"));
        assert!(refused("map --seats 10001").contains("--seats is 10001"));
        assert!(parsed("--local --pool 150 --instances 2 --kill").expect("flags").check().is_ok());
        assert!(parsed("--seats 10001").expect("flags").check().is_ok());
        assert!(refused("hold --method card").contains("--method card is for pay"));
        assert!(refused("pay --local --instances 2 --method card").contains("one instance"));
        assert!(parsed("pay --local --method card").expect("flags").check().is_ok());
        assert!(parsed("hold --rate 0").is_err());
        assert!(refused("journey --against b").contains("no rate to compare"));
        assert!(parsed("hold --local --against b").expect("flags").check().is_ok());
    }

    #[test]
    fn a_comparison_of_builds_has_time_for_its_pairs() {
        let bound = |line| parsed(line).expect("flags").bound().as_secs();
        assert_eq!((bound("hold"), bound("hold --against b"), bound("hold --against b --pairs 10")), (75, 560, 800));
        assert_eq!(bound("hold --against b --seconds 30"), 30);
    }

    #[test]
    fn phases_fit_into_the_bound() {
        let phase = |line| parsed(line).expect("flags").phase().as_secs();
        assert_eq!(phase("hold --phase-seconds 5"), 5);
        assert_eq!(phase("hold --phase-seconds 600"), 12);
        assert_eq!(phase("hold --seconds 5"), 1);
    }
}
