//! Flags and `ENCORE_*` variables. They are checked together before any store is opened, and one error lists every
//! violation.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use encore_app::wallet::TopUps;
use encore_credentials::Keyring;
use encore_domain::identity::Password;
use encore_domain::payment::refund::CancellationPolicy;
use encore_domain::queue::MAX_ACTIVE_LIMIT;
use encore_domain::queue::ceilings::QueueCeilings;
use encore_grpc::{ConnectionLimits, GUARDED_BY_DEFAULT, GuardedRpcs};
use thiserror::Error;

use crate::demo::OPERATOR_PASSWORD;
use crate::system::throwaway_secret;

/// The fastest rate that a queue can have, in admissions a second: the most admissions in the shortest period.
const RATE_CEILING_MAX: u32 = 10 * MAX_ACTIVE_LIMIT;

/// The most connections that can be configured: a process cannot have more files open on most systems.
const CONNECTIONS_LIMIT: u32 = 1_000_000;

/// The arguments of `encore serve`. Values are kept as text, so that one check reports every invalid value.
#[derive(Args, Clone)]
pub struct ServeArgs {
    /// The address to listen on.
    #[arg(long, env = "ENCORE_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: String,
    /// The address on which Prometheus metrics are served, without authentication. Default: no metrics.
    #[arg(long, env = "ENCORE_METRICS_LISTEN")]
    pub metrics_listen: Option<String>,
    /// The pause between two audits of what is on sale, whose findings are metrics, in seconds (0 to 86400; 0: no audits).
    #[arg(long, env = "ENCORE_AUDIT_SECONDS", default_value = "60")]
    pub audit_seconds: String,
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
    /// For how many days after a sale has closed its ended queue tokens and the entries of its draw are kept (1 to 3650).
    #[arg(long, env = "ENCORE_QUEUE_RETENTION_DAYS", default_value = "30")]
    pub queue_retention_days: String,
    /// Fill an empty catalogue with the demo venue and concerts. Always on without a database.
    #[arg(long, env = "ENCORE_DEMO")]
    pub demo: bool,
    /// Create the demo's operator with this password. Without a database there always is one, whose password everybody
    /// knows unless this is set.
    #[arg(long, env = "ENCORE_DEMO_OPERATOR_PASSWORD", hide_env_values = true)]
    pub demo_operator_password: Option<String>,
    /// The most connections (1 to 1000000). Fewer if the process may have fewer files open.
    #[arg(long, env = "ENCORE_CONNECTIONS", default_value = "10000")]
    pub connections: String,
    /// The most connections of one address (1 to 1000000). Raise it if all clients come through one proxy.
    #[arg(long, env = "ENCORE_CONNECTIONS_PER_ADDRESS", default_value = "1000")]
    pub connections_per_address: String,
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
    pub metrics: Option<MetricsConfig>,
    pub stores: Stores,
    pub keyring: Keyring,
    pub access_token_lifetime: Duration,
    pub guarded: GuardedRpcs,
    pub shutdown_grace: Duration,
    pub clock_tolerance: Duration,
    pub queue_retention: Duration,
    pub demo: Option<Demo>,
    pub limits: ConnectionLimits,
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

/// How metrics are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Where.
    pub listen: SocketAddr,
    /// The pause between two audits of what is on sale; none if it is not audited.
    pub audit_every: Option<Duration>,
}

/// The demo catalogue, and who runs its sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demo {
    /// The password of the demo's operator; none if there is no such operator.
    pub operator: Option<Password>,
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
        let metrics = self.metrics(&mut check);
        let stores = self.stores.read(&mut check);
        let keyring = self.keyring(&mut check);
        let lifetime = check.seconds("ENCORE_ACCESS_TOKEN_SECONDS", &self.access_token_seconds, 60..=86_400);
        let guarded = self.guarded(&mut check);
        let grace = check.seconds("ENCORE_SHUTDOWN_SECONDS", &self.shutdown_seconds, 0..=300);
        let tolerance = check.number("ENCORE_CLOCK_TOLERANCE_MS", &self.clock_tolerance_ms, 100..=60_000);
        let retention = check.number("ENCORE_QUEUE_RETENTION_DAYS", &self.queue_retention_days, 1..=3_650);
        let queue_ceilings = self.queue_ceilings(&mut check);
        let limits = self.limits(&mut check);
        let demo = self.demo(&mut check, stores.as_ref(), listen);
        let cancellation = self.cancellation(&mut check);
        let gateway = self.gateway(&mut check).zip(self.top_ups(&mut check));
        match (
            listen,
            stores,
            keyring,
            lifetime,
            guarded,
            grace,
            tolerance,
            retention,
            limits,
            cancellation.zip(gateway),
        ) {
            (
                Some(listen),
                Some(stores),
                Some(keyring),
                Some(access_token_lifetime),
                Some(guarded),
                Some(shutdown_grace),
                Some(clock_tolerance_ms),
                Some(queue_retention_days),
                Some(limits),
                Some((cancellation, (gateway, top_ups))),
            ) if check.0.is_empty() => Ok(Config {
                listen,
                metrics,
                stores,
                keyring,
                access_token_lifetime,
                guarded,
                shutdown_grace,
                clock_tolerance: Duration::from_millis(clock_tolerance_ms.into()),
                queue_retention: Duration::from_hours(24 * u64::from(queue_retention_days)),
                demo,
                limits,
                allow_rehearsals: self.allow_rehearsals,
                queue_ceilings,
                cancellation,
                gateway,
                top_ups,
            }),
            _ => Err(ConfigErrors(check.0)),
        }
    }

    /// How metrics are served; none if they are not. An invalid value is recorded as a violation.
    fn metrics(&self, check: &mut Check) -> Option<MetricsConfig> {
        let audit_every = check.seconds("ENCORE_AUDIT_SECONDS", &self.audit_seconds, 0..=86_400)?;
        let listen = self.metrics_listen.as_deref()?;
        let listen = check.read("ENCORE_METRICS_LISTEN", listen.parse::<SocketAddr>())?;
        Some(MetricsConfig { listen, audit_every: (!audit_every.is_zero()).then_some(audit_every) })
    }

    fn limits(&self, check: &mut Check) -> Option<ConnectionLimits> {
        let all = check.number("ENCORE_CONNECTIONS", &self.connections, 1..=CONNECTIONS_LIMIT);
        let of_one = &self.connections_per_address;
        let of_one = check.number("ENCORE_CONNECTIONS_PER_ADDRESS", of_one, 1..=CONNECTIONS_LIMIT);
        let limits = ConnectionLimits::default();
        Some(ConnectionLimits { connections_max: all? as usize, per_address_max: of_one? as usize, ..limits })
    }

    /// The demo, if it is asked for or there is nothing else to serve. Its operator is made where somebody asked for it, or where
    /// nothing lasts. Everybody knows the default password, so with it nobody may call from elsewhere.
    fn demo(&self, check: &mut Check, stores: Option<&Stores>, listen: Option<SocketAddr>) -> Option<Demo> {
        let asked = self.demo_operator_password.as_deref().filter(|password| !password.is_empty());
        let is_embedded = stores == Some(&Stores::Embedded);
        if !self.demo && !is_embedded {
            if asked.is_some() {
                check.0.push("ENCORE_DEMO_OPERATOR_PASSWORD: requires ENCORE_DEMO".to_owned());
            }
            return None;
        }
        let password = asked.or(is_embedded.then_some(OPERATOR_PASSWORD));
        if password == Some(OPERATOR_PASSWORD) && listen.is_some_and(|listen| !listen.ip().is_loopback()) {
            check.0.push(
                "ENCORE_LISTEN: must be a loopback address, because everybody knows the password of the demo's operator: \
                 set ENCORE_DEMO_OPERATOR_PASSWORD to another"
                    .to_owned(),
            );
        }
        let operator = password.map(|password| check.read("ENCORE_DEMO_OPERATOR_PASSWORD", Password::parse(password)));
        Some(Demo { operator: operator.flatten() })
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
mod tests;
