//! What `encore rehearse` can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};

use crate::load::Arrivals;

/// What is rehearsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// A whole sale: fans join, wait, choose, hold and pay, or do not.
    Journey,
    /// Joining a line.
    Join,
    /// Many open position streams on one instance.
    Watch,
    /// A crowd at once on the same two seats.
    Contend,
    /// Holding distinct seats, two at a time.
    Hold,
    /// Paying live holds from wallets.
    Pay,
    /// Reading the seat map.
    Map,
}

impl Scenario {
    /// As it is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Journey => "journey",
            Self::Join => "join",
            Self::Watch => "watch",
            Self::Contend => "contend",
            Self::Hold => "hold",
            Self::Pay => "pay",
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
    pub stage: StageArgs,
    /// With whom.
    #[command(flatten)]
    pub crowd: CrowdArgs,
    /// How hard, in the scenarios that measure a part.
    #[command(flatten)]
    pub load: LoadArgs,
    /// What all choices of the crowd are drawn from: the same seed makes the same crowd.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// After how many seconds the rehearsal ends, whatever is still under way.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=86_400))]
    pub seconds: u64,
    /// Print the report as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// The folder for `report.json`, `report.html` and the logs of instances.
    #[arg(long, default_value = "rehearsal-report")]
    pub out: PathBuf,
}

/// Where the rehearsal takes place. Without any of these it is `--embedded`.
#[derive(Args, Clone, Debug)]
pub struct StageArgs {
    /// On a server in this process, on stores in this process.
    #[arg(long, conflicts_with_all = ["local", "address"])]
    pub embedded: bool,
    /// On instances of this program, each a process of its own, on a private Postgres and Redis that are started for it.
    #[arg(long, conflicts_with = "address")]
    pub local: bool,
    /// On servers that run, such as `http://localhost:50051`; one for each instance. They must allow rehearsals.
    #[arg(long, value_name = "URL", requires_all = ["operator_email", "operator_password"])]
    pub address: Vec<String>,
    /// How many instances `--local` starts.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=16), requires = "local")]
    pub instances: u64,
    /// Kill one instance without warning in the middle, and start it again three seconds later.
    #[arg(long, requires = "local")]
    pub kill: bool,
    /// How many connections to Postgres each local instance has, and a baseline in its stead.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=150))]
    pub pool: u32,
    /// How many connections the crowd makes to each instance.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=4_096))]
    pub connections: u64,
    /// An operator of the servers at `--address`.
    #[arg(long, env = "ENCORE_OPERATOR_EMAIL")]
    pub operator_email: Option<String>,
    /// Their password.
    #[arg(long, env = "ENCORE_OPERATOR_PASSWORD", hide_env_values = true)]
    pub operator_password: Option<String>,
    /// The Postgres on which to measure baselines beside `--address`; a database is made there and removed.
    #[arg(long, value_name = "URL", requires = "address")]
    pub baseline_database_url: Option<String>,
    /// The Redis on which to measure baselines beside `--address`.
    #[arg(long, value_name = "URL", requires = "address")]
    pub baseline_redis_url: Option<String>,
}

/// The crowd of a `journey`.
#[derive(Args, Clone, Debug)]
pub struct CrowdArgs {
    /// How many fans; by default what the scenario needs (5,000 for a journey).
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub fans: Option<u64>,
    /// How many seats there are to sell in a journey, or to read in a map.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub seats: u32,
    /// How fans arrive.
    #[arg(long, value_enum, default_value_t = Arrivals::Ramp)]
    pub arrivals: Arrivals,
    /// In how many seconds they arrive.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub arrive_within: u64,
    /// How many fans the line admits in a second.
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub admit_per_second: u32,
    /// How many fans may be inside at once.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub cap: u32,
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
    /// How many seconds each phase lasts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub phase_seconds: u64,
    /// How many calls a second are meant to start in the paced phase; by default 70 % of what was possible before it.
    #[arg(long)]
    pub rate: Option<u32>,
    /// Measure no baselines.
    #[arg(long)]
    pub no_baselines: bool,
}

fn percent() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(0..=100)
}

impl RehearseArgs {
    /// The bound of the whole rehearsal.
    pub fn bound(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// How long each phase of a part scenario lasts.
    pub fn phase(&self) -> Duration {
        Duration::from_secs(self.load.phase_seconds)
    }
}
