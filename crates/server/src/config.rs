//! Flags and `ENCORE_*` variables. They are checked together before any store is opened, and one error lists every
//! violation.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use encore_app::wallet::TopUps;
use encore_credentials::Keyring;
use encore_domain::payment::refund::CancellationPolicy;
use encore_domain::queue::MAX_ACTIVE_LIMIT;
use encore_domain::queue::ceilings::QueueCeilings;
use encore_grpc::{GUARDED_BY_DEFAULT, GuardedRpcs};
use thiserror::Error;

use crate::system::throwaway_secret;

/// The fastest rate that a queue can have, in admissions a second: the most admissions in the shortest period.
const RATE_CEILING_MAX: u32 = 10 * MAX_ACTIVE_LIMIT;

/// The arguments of `encore serve`. Values are kept as text, so that one check reports every invalid value.
#[derive(Args, Clone)]
pub struct ServeArgs {
    /// The address to listen on.
    #[arg(long, env = "ENCORE_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: String,
    /// Which stores to use.
    #[command(flatten)]
    pub stores: StoreArgs,
    /// The signing keys, as `id:base64` of at least 32 bytes each, comma-separated. The first key signs; all keys
    /// verify. Required with a database. Without a database, a temporary key is generated.
    #[arg(long, env = "ENCORE_TOKEN_KEYS", hide_env_values = true)]
    pub token_keys: Option<String>,
    /// The lifetime of an access token in seconds (60 to 86400).
    #[arg(long, env = "ENCORE_ACCESS_TOKEN_SECONDS", default_value = "3600")]
    pub access_token_seconds: String,
    /// The RPCs that require an active queue token, comma-separated. Any RPC for fans is allowed, except those of
    /// `QueueService`.
    #[arg(long, env = "ENCORE_GUARDED_RPCS", default_value_t = GUARDED_BY_DEFAULT.join(","))]
    pub guarded_rpcs: String,
    /// The grace period for calls in flight at shutdown, in seconds (0 to 300).
    #[arg(long, env = "ENCORE_SHUTDOWN_SECONDS", default_value = "20")]
    pub shutdown_seconds: String,
    /// By how much the instance's clock may differ from those of the stores, in milliseconds (100 to 60000). Beyond it
    /// the instance is not ready and sweeps nothing.
    #[arg(long, env = "ENCORE_CLOCK_TOLERANCE_MS", default_value = "1000")]
    pub clock_tolerance_ms: String,
    /// Fill an empty catalogue with the demo venue, concerts and operator. Always on without a database.
    #[arg(long, env = "ENCORE_DEMO")]
    pub demo: bool,
    /// Serve `RehearsalService`, with which operators create users who get access tokens without signing up or logging
    /// in. Never in production.
    #[arg(long, env = "ENCORE_ALLOW_REHEARSALS")]
    pub allow_rehearsals: bool,
    /// The highest admission rate, per second, that an operator may set without an override (1 to 1000000). Default: no
    /// ceiling.
    #[arg(long, env = "ENCORE_QUEUE_RATE_CEILING")]
    pub queue_rate_ceiling: Option<String>,
    /// The highest `max_active` that an operator may set without an override (1 to 100000). Default: no ceiling.
    #[arg(long, env = "ENCORE_QUEUE_MAX_ACTIVE_CEILING")]
    pub queue_max_active_ceiling: Option<String>,
    /// The payment gateway: `off` or `sandbox`, which moves no money. Default: `sandbox` without a database, `off` with one.
    #[arg(long, env = "ENCORE_PAYMENT_GATEWAY")]
    pub payment_gateway: Option<String>,
    /// What fans may do to top up their wallets: `off`, `gateway` (by card) or `free` (also without a card, for
    /// development). Default: `free` without a database or where rehearsals are allowed, otherwise `gateway`.
    #[arg(long, env = "ENCORE_WALLET_TOP_UP")]
    pub wallet_top_up: Option<String>,
    /// How long before a performance starts fans can no longer cancel, in seconds (0 to 31536000).
    #[arg(long, env = "ENCORE_CANCEL_CLOSES_BEFORE_SECONDS", default_value = "86400")]
    pub cancel_closes_before_seconds: String,
    /// The part of the price that is kept when a fan cancels, in percent (0 to 100).
    #[arg(long, env = "ENCORE_CANCEL_FEE_PERCENT", default_value = "0")]
    pub cancel_fee_percent: String,
}

/// Which stores to use.
#[derive(Args, Clone)]
pub struct StoreArgs {
    /// Postgres, as `postgres://user:password@host:port/database`. Without it, all data is kept in the memory of this
    /// process.
    #[arg(long, env = "ENCORE_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// The most connections to Postgres (1 to 500).
    #[arg(long, env = "ENCORE_DATABASE_POOL", default_value = "16")]
    pub database_pool: String,
    /// Redis, as `redis://host:port`, or nodes of a Redis Cluster, comma-separated. Without it, queues and seat locks
    /// are kept in the memory of this process, and no other instance may run.
    #[arg(long, env = "ENCORE_REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// The prefix of every key in Redis.
    #[arg(long, env = "ENCORE_REDIS_PREFIX", default_value = "encore")]
    pub redis_prefix: String,
}

/// A checked configuration.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each field is the checked value of the argument of the same name")]
pub struct Config {
    pub listen: SocketAddr,
    pub stores: Stores,
    pub keyring: Keyring,
    pub access_token_lifetime: Duration,
    pub guarded: GuardedRpcs,
    pub shutdown_grace: Duration,
    pub clock_tolerance: Duration,
    pub demo: bool,
    pub allow_rehearsals: bool,
    pub queue_ceilings: QueueCeilings,
    pub cancellation: CancellationPolicy,
    pub gateway: Gateway,
    pub top_ups: TopUps,
}

/// The payment gateway to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// Nobody pays by card.
    Off,
    /// Payments by card move no money.
    Sandbox,
}

/// The stores to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stores {
    /// All data in the memory of this process.
    Embedded,
    /// Durable data in Postgres; queues and seat locks in Redis, or in the memory of this process.
    Durable {
        /// The database and the size of its pool.
        database: DatabaseTarget,
        /// Redis and the prefix of all keys.
        redis: Option<RedisTarget>,
    },
}

/// A Postgres to connect to. `Debug` leaves out the URL, which may contain a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseTarget {
    /// A `postgres://` URL.
    pub url: String,
    /// The most connections.
    pub pool_size: u32,
}

/// A Redis to connect to. `Debug` leaves out the URLs, which may contain a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisTarget {
    /// A `redis://` URL, or several of nodes of a Redis Cluster, comma-separated.
    pub urls: String,
    /// The prefix of every key.
    pub prefix: String,
}

impl fmt::Debug for DatabaseTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseTarget").field("pool_size", &self.pool_size).finish_non_exhaustive()
    }
}

impl fmt::Debug for RedisTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTarget").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Every violation of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid configuration:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

/// Collects violations.
#[derive(Default)]
struct Check(Vec<String>);

impl Check {
    fn read<T>(&mut self, name: &str, parsed: Result<T, impl fmt::Display>) -> Option<T> {
        parsed.map_err(|error| self.0.push(format!("{name}: {error}"))).ok()
    }

    fn number(&mut self, name: &str, text: &str, bounds: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let number = text.parse::<u32>().ok().filter(|number| bounds.contains(number));
        let rule = || format!("must be a whole number from {} to {}", bounds.start(), bounds.end());
        self.read(name, number.ok_or_else(rule))
    }

    fn seconds(&mut self, name: &str, text: &str, bounds: std::ops::RangeInclusive<u32>) -> Option<Duration> {
        self.number(name, text, bounds).map(|seconds| Duration::from_secs(seconds.into()))
    }

    fn url(&mut self, name: &str, url: &str, schemes: &[&str]) -> Option<String> {
        let known = schemes.iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
        self.read(
            name,
            if known { Ok(url.to_owned()) } else { Err(format!("must begin with {}", schemes.join(" or "))) },
        )
    }
}

impl ServeArgs {
    /// Checks all arguments.
    pub fn check(&self) -> Result<Config, ConfigErrors> {
        let mut check = Check::default();
        let listen = check.read("ENCORE_LISTEN", self.listen.parse::<SocketAddr>());
        let stores = self.stores.read(&mut check);
        let keyring = self.keyring(&mut check);
        let lifetime = check.seconds("ENCORE_ACCESS_TOKEN_SECONDS", &self.access_token_seconds, 60..=86_400);
        let guarded = self.guarded(&mut check);
        let grace = check.seconds("ENCORE_SHUTDOWN_SECONDS", &self.shutdown_seconds, 0..=300);
        let tolerance = check.number("ENCORE_CLOCK_TOLERANCE_MS", &self.clock_tolerance_ms, 100..=60_000);
        let queue_ceilings = self.queue_ceilings(&mut check);
        let cancellation = self.cancellation(&mut check);
        let gateway = self.gateway(&mut check).zip(self.top_ups(&mut check));
        match (listen, stores, keyring, lifetime, guarded, grace, tolerance, cancellation.zip(gateway)) {
            (
                Some(listen),
                Some(stores),
                Some(keyring),
                Some(access_token_lifetime),
                Some(guarded),
                Some(shutdown_grace),
                Some(clock_tolerance_ms),
                Some((cancellation, (gateway, top_ups))),
            ) if check.0.is_empty() => {
                let demo = self.demo || stores == Stores::Embedded;
                let allow_rehearsals = self.allow_rehearsals;
                Ok(Config {
                    listen,
                    stores,
                    keyring,
                    access_token_lifetime,
                    guarded,
                    shutdown_grace,
                    clock_tolerance: Duration::from_millis(clock_tolerance_ms.into()),
                    demo,
                    allow_rehearsals,
                    queue_ceilings,
                    cancellation,
                    gateway,
                    top_ups,
                })
            }
            _ => Err(ConfigErrors(check.0)),
        }
    }

    fn top_ups(&self, check: &mut Check) -> Option<TopUps> {
        let top_ups = match self.wallet_top_up.as_deref() {
            None if self.stores.database_url.is_none() || self.allow_rehearsals => Ok(TopUps::Free),
            None | Some("gateway") => Ok(TopUps::Gateway),
            Some("off") => Ok(TopUps::Off),
            Some("free") => Ok(TopUps::Free),
            Some(_) => Err("must be off, gateway or free"),
        };
        check.read("ENCORE_WALLET_TOP_UP", top_ups)
    }

    fn gateway(&self, check: &mut Check) -> Option<Gateway> {
        let gateway = match self.payment_gateway.as_deref() {
            None if self.stores.database_url.is_none() => Ok(Gateway::Sandbox),
            None | Some("off") => Ok(Gateway::Off),
            Some("sandbox") => Ok(Gateway::Sandbox),
            Some(_) => Err("must be off or sandbox"),
        };
        check.read("ENCORE_PAYMENT_GATEWAY", gateway)
    }

    fn cancellation(&self, check: &mut Check) -> Option<CancellationPolicy> {
        let before = "ENCORE_CANCEL_CLOSES_BEFORE_SECONDS";
        let closes_before_start = check.seconds(before, &self.cancel_closes_before_seconds, 0..=31_536_000);
        let fee_percent = check.number("ENCORE_CANCEL_FEE_PERCENT", &self.cancel_fee_percent, 0..=100);
        let fee_percent = fee_percent.and_then(|percent| u8::try_from(percent).ok());
        Some(CancellationPolicy { closes_before_start: closes_before_start?, fee_percent: fee_percent? })
    }

    /// The ceilings of queues; none where a variable is not set. An invalid ceiling is recorded as a violation.
    fn queue_ceilings(&self, check: &mut Check) -> QueueCeilings {
        let rate = self.queue_rate_ceiling.as_deref();
        let max_active = self.queue_max_active_ceiling.as_deref();
        QueueCeilings {
            rate_per_second: rate
                .and_then(|rate| check.number("ENCORE_QUEUE_RATE_CEILING", rate, 1..=RATE_CEILING_MAX)),
            max_active: max_active.and_then(|max_active| {
                check.number("ENCORE_QUEUE_MAX_ACTIVE_CEILING", max_active, 1..=MAX_ACTIVE_LIMIT)
            }),
        }
    }

    fn keyring(&self, check: &mut Check) -> Option<Keyring> {
        match &self.token_keys {
            Some(keys) => check.read("ENCORE_TOKEN_KEYS", Keyring::parse(keys)),
            None if self.stores.database_url.is_some() => {
                check.0.push(
                    "ENCORE_TOKEN_KEYS: must be set with a database, because tokens outlive the process".to_owned(),
                );
                None
            }
            None => check.read("ENCORE_TOKEN_KEYS", Keyring::from_secret("throwaway", &throwaway_secret())),
        }
    }

    fn guarded(&self, check: &mut Check) -> Option<GuardedRpcs> {
        let names = self.guarded_rpcs.split(',').map(str::trim).filter(|name| !name.is_empty());
        match GuardedRpcs::parse(names) {
            Ok(guarded) => Some(guarded),
            Err(refused) => {
                check.0.extend(refused.iter().map(|error| format!("ENCORE_GUARDED_RPCS: {error}")));
                None
            }
        }
    }
}

impl StoreArgs {
    /// Checks the arguments of the stores.
    pub fn check(&self) -> Result<Stores, ConfigErrors> {
        let mut check = Check::default();
        match self.read(&mut check) {
            Some(stores) if check.0.is_empty() => Ok(stores),
            _ => Err(ConfigErrors(check.0)),
        }
    }

    fn read(&self, check: &mut Check) -> Option<Stores> {
        let pool_size = check.number("ENCORE_DATABASE_POOL", &self.database_pool, 1..=500);
        let database = match &self.database_url {
            Some(url) => check.url("ENCORE_DATABASE_URL", url, &["postgres://", "postgresql://"]).map(Some),
            None => Some(None),
        };
        let redis = match &self.redis_url {
            Some(urls) => redis_urls(check, urls).map(Some),
            None => Some(None),
        };
        let prefix_fits = (1..=64).contains(&self.redis_prefix.len())
            && self.redis_prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
        let rule = "must be 1 to 64 letters, digits or - _ . :";
        let prefix = check.read("ENCORE_REDIS_PREFIX", if prefix_fits { Ok(&self.redis_prefix) } else { Err(rule) });
        match (database?, redis?) {
            (None, None) => Some(Stores::Embedded),
            (None, Some(_)) => {
                check.0.push(
                    "ENCORE_REDIS_URL: requires ENCORE_DATABASE_URL, because Redis stores no durable data".into(),
                );
                None
            }
            (Some(url), redis) => {
                let prefix = prefix?.clone();
                let database = DatabaseTarget { url, pool_size: pool_size? };
                Some(Stores::Durable { database, redis: redis.map(|urls| RedisTarget { urls, prefix }) })
            }
        }
    }
}

/// Checks one URL, or each of several.
fn redis_urls(check: &mut Check, urls: &str) -> Option<String> {
    let urls: Vec<&str> = urls.split(',').map(str::trim).collect();
    let suffix = |number| if urls.len() == 1 { String::new() } else { format!(" (URL {number})") };
    let names = (1..).map(|number| format!("ENCORE_REDIS_URL{}", suffix(number)));
    let checked: Vec<_> = urls.iter().zip(names).map(|(url, name)| check.url(&name, url, &["redis://"])).collect();
    Some(checked.into_iter().collect::<Option<Vec<_>>>()?.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::builder::Resettable;
    use clap::{CommandFactory, FromArgMatches, Parser};

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        serve: ServeArgs,
    }

    /// The arguments of these flags alone. The environment of the test process is ignored.
    fn args(flags: &[&str]) -> ServeArgs {
        let command = Cli::command().mut_args(|arg| arg.env(Resettable::Reset));
        let matches = command.get_matches_from(std::iter::once("encore").chain(flags.iter().copied()));
        Cli::from_arg_matches(&matches).expect("the flags are known").serve
    }

    #[test]
    fn one_error_lists_every_invalid_argument() {
        let args = args(&[
            "--listen=nowhere",
            "--database-url=mysql://x",
            "--redis-url=http://y",
            "--database-pool=0",
            "--guarded-rpcs=HoldSeats,encore.queue.v1.QueueService/JoinQueue",
            "--shutdown-seconds=-1",
            "--access-token-seconds=1",
            "--clock-tolerance-ms=99",
            "--redis-prefix={}",
            "--queue-rate-ceiling=0",
            "--queue-max-active-ceiling=100001",
            "--cancel-closes-before-seconds=x",
            "--cancel-fee-percent=101",
            "--payment-gateway=paper",
            "--wallet-top-up=coins",
        ]);
        let errors = args.check().expect_err("every argument is invalid").0;
        for name in [
            "ENCORE_LISTEN",
            "ENCORE_DATABASE_URL",
            "ENCORE_REDIS_URL",
            "ENCORE_DATABASE_POOL",
            "ENCORE_GUARDED_RPCS",
            "ENCORE_SHUTDOWN_SECONDS",
            "ENCORE_ACCESS_TOKEN_SECONDS",
            "ENCORE_CLOCK_TOLERANCE_MS",
            "ENCORE_REDIS_PREFIX",
            "ENCORE_TOKEN_KEYS",
            "ENCORE_QUEUE_RATE_CEILING",
            "ENCORE_QUEUE_MAX_ACTIVE_CEILING",
            "ENCORE_CANCEL_CLOSES_BEFORE_SECONDS",
            "ENCORE_CANCEL_FEE_PERCENT",
            "ENCORE_PAYMENT_GATEWAY",
            "ENCORE_WALLET_TOP_UP",
        ] {
            assert!(errors.iter().any(|error| error.starts_with(name)), "{name} is missing from {errors:#?}");
        }
        for rpc in ["HoldSeats", "encore.queue.v1.QueueService/JoinQueue"] {
            let refused = format!("ENCORE_GUARDED_RPCS: {rpc:?} ");
            assert!(errors.iter().any(|error| error.starts_with(&refused)), "{rpc} is missing from {errors:#?}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_printed() {
        let flags = ["--database-url=postgres://encore:hunter2@db/encore", "--redis-url=redis://:hunter2@redis"];
        let printed = format!("{:?}", args(&flags).stores.check().expect("valid URLs"));
        assert!(!printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn without_arguments_the_embedded_demo_is_served() {
        let config = args(&[]).check().expect("the defaults are valid");
        assert_eq!(config.stores, Stores::Embedded);
        assert!(config.demo);
        assert_eq!(config.queue_ceilings, QueueCeilings::default(), "no ceilings");
    }

    #[test]
    fn each_ceiling_of_a_queue_can_be_set_without_the_other() {
        let ceilings = |flags: &[&str]| args(flags).check().map(|config| config.queue_ceilings);
        let rate = QueueCeilings { rate_per_second: Some(1_000_000), max_active: None };
        assert_eq!(ceilings(&["--queue-rate-ceiling=1000000"]), Ok(rate));
        let max_active = QueueCeilings { rate_per_second: None, max_active: Some(1) };
        assert_eq!(ceilings(&["--queue-max-active-ceiling=1"]), Ok(max_active));
        for invalid in [
            "--queue-rate-ceiling=1000001",
            "--queue-rate-ceiling=2.5",
            "--queue-max-active-ceiling=0",
            "--queue-max-active-ceiling=",
        ] {
            assert_eq!(ceilings(&[invalid]).map_err(|errors| errors.0.len()), Err(1), "{invalid}");
        }
    }

    #[test]
    fn each_node_of_a_redis_cluster_is_checked() {
        let stores =
            |urls: &str| args(&["--database-url=postgres://db", &format!("--redis-url={urls}")]).stores.check();
        let Ok(Stores::Durable { redis: Some(redis), .. }) = stores("redis://one:7000, redis://two:7000") else {
            panic!("two nodes are a Redis Cluster")
        };
        assert_eq!(redis.urls, "redis://one:7000,redis://two:7000");
        let errors = stores("redis://one:7000,two:7000,").expect_err("two of them are not URLs").0;
        let violation = |number| format!("ENCORE_REDIS_URL (URL {number}): must begin with redis://");
        assert_eq!(errors, [violation(2), violation(3)]);
    }

    #[test]
    fn redis_without_a_database_is_refused() {
        let errors = args(&["--redis-url=redis://localhost"]).check().expect_err("no database").0;
        assert_eq!(errors.len(), 1, "{errors:?}");
    }
}
