//! Which stores to use.

use std::fmt;

use clap::Args;
use encore_postgres_store::check_url;
use encore_redis_store::{RedisServers, ServersError};

use super::check::{Check, ConfigErrors, Recorded};

/// Which stores to use.
#[derive(Args, Clone)]
pub struct StoreArgs {
    /// Postgres, as `postgres://user:password@host:port/database`, with `?sslmode=verify-full` for TLS. Without it, all data is
    /// kept in the memory of this process.
    #[arg(long, env = "ENCORE_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// A file with the value of `ENCORE_DATABASE_URL`.
    #[arg(long, env = "ENCORE_DATABASE_URL_FILE")]
    pub database_url_file: Option<String>,
    /// The most connections to Postgres (1 to 500).
    #[arg(long, env = "ENCORE_DATABASE_POOL", default_value = "16")]
    pub database_pool: String,
    /// Redis, as `redis://host:port`, or `rediss://` for TLS, or nodes of a Redis Cluster, comma-separated. Without it, queues and
    /// seat locks are kept in the memory of this process, and no other instance may run.
    #[arg(long, env = "ENCORE_REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// A file with the value of `ENCORE_REDIS_URL`.
    #[arg(long, env = "ENCORE_REDIS_URL_FILE")]
    pub redis_url_file: Option<String>,
    /// A file of root certificates in PEM, by one of which the certificate of Redis must be signed. Without it, those of the system.
    #[arg(long, env = "ENCORE_REDIS_TLS_CA_FILE")]
    pub redis_tls_ca_file: Option<String>,
    /// The prefix of every key in Redis.
    #[arg(long, env = "ENCORE_REDIS_PREFIX", default_value = "encore")]
    pub redis_prefix: String,
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
    /// A `redis://` or `rediss://` URL, or several of nodes of a Redis Cluster, comma-separated.
    pub urls: String,
    /// The root certificates for TLS, in PEM; none if those of the system are taken.
    pub tls_roots: Option<Vec<u8>>,
    /// The prefix of every key.
    pub prefix: String,
}

impl RedisTarget {
    /// Where to connect.
    pub fn servers(&self) -> Result<RedisServers, ServersError> {
        RedisServers::parse(&self.urls, self.tls_roots.as_deref())
    }
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

impl StoreArgs {
    /// Checks the arguments of the stores.
    pub fn check(&self) -> Result<Stores, ConfigErrors> {
        let mut check = Check::default();
        match self.read(&mut check) {
            Some(stores) if check.0.is_empty() => Ok(stores),
            _ => Err(ConfigErrors(check.0)),
        }
    }

    /// Whether no database is configured.
    pub(super) fn are_embedded(&self) -> bool {
        self.database_url.is_none() && self.database_url_file.is_none()
    }

    pub(super) fn read(&self, check: &mut Check) -> Option<Stores> {
        let pool_size = check.number("ENCORE_DATABASE_POOL", &self.database_pool, 1..=500);
        let (url, file) = (self.database_url.as_deref(), self.database_url_file.as_deref());
        let database = match check.secret("ENCORE_DATABASE_URL", url, file) {
            Ok(Some(url)) => database_url(check, &url).map(Some),
            Ok(None) => Some(None),
            Err(Recorded) => None,
        };
        let redis = self.redis(check);
        match (database?, redis.ok()?) {
            (None, None) => Some(Stores::Embedded),
            (None, Some(_)) => {
                check.0.push(
                    "ENCORE_REDIS_URL: requires ENCORE_DATABASE_URL, because Redis stores no durable data".into(),
                );
                None
            }
            (Some(url), redis) => {
                let database = DatabaseTarget { url, pool_size: pool_size? };
                Some(Stores::Durable { database, redis })
            }
        }
    }

    /// The Redis to use, if any; an error is recorded.
    fn redis(&self, check: &mut Check) -> Result<Option<RedisTarget>, Recorded> {
        let prefix_fits = (1..=64).contains(&self.redis_prefix.len())
            && self.redis_prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
        let rule = "must be 1 to 64 letters, digits or - _ . :";
        let prefix = check.read("ENCORE_REDIS_PREFIX", if prefix_fits { Ok(&self.redis_prefix) } else { Err(rule) });
        let read = self.redis_tls_ca_file.as_ref().map(std::fs::read).transpose();
        let roots = check.read("ENCORE_REDIS_TLS_CA_FILE", read.map_err(|error| format!("cannot be read: {error}")));
        let (urls, file) = (self.redis_url.as_deref(), self.redis_url_file.as_deref());
        let Some(urls) = check.secret("ENCORE_REDIS_URL", urls, file)? else {
            if self.redis_tls_ca_file.is_some() {
                check.0.push("ENCORE_REDIS_TLS_CA_FILE: requires ENCORE_REDIS_URL".into());
                return Err(Recorded);
            }
            return Ok(None);
        };
        let urls = redis_urls(check, &urls).ok_or(Recorded)?;
        let (tls_roots, prefix) = (roots.ok_or(Recorded)?, prefix.ok_or(Recorded)?.clone());
        let target = RedisTarget { urls, tls_roots, prefix };
        match target.servers() {
            Ok(_) => Ok(Some(target)),
            Err(error) => {
                let name = match error {
                    ServersError::RootsWithoutTls | ServersError::NoRoots => "ENCORE_REDIS_TLS_CA_FILE",
                    ServersError::Driver(_) | ServersError::Mixed | ServersError::Insecure => "ENCORE_REDIS_URL",
                };
                check.0.push(format!("{name}: {error}"));
                Err(Recorded)
            }
        }
    }
}

/// Checks the scheme, and the options, of which some name files.
fn database_url(check: &mut Check, url: &str) -> Option<String> {
    let url = check.url("ENCORE_DATABASE_URL", url, &["postgres://", "postgresql://"])?;
    check.read("ENCORE_DATABASE_URL", check_url(&url).map(|()| url))
}

/// Checks one URL, or each of several.
fn redis_urls(check: &mut Check, urls: &str) -> Option<String> {
    let urls: Vec<&str> = urls.split(',').map(str::trim).collect();
    let suffix = |number| if urls.len() == 1 { String::new() } else { format!(" (URL {number})") };
    let names = (1..).map(|number| format!("ENCORE_REDIS_URL{}", suffix(number)));
    let checked: Vec<_> =
        urls.iter().zip(names).map(|(url, name)| check.url(&name, url, &["redis://", "rediss://"])).collect();
    Some(checked.into_iter().collect::<Option<Vec<_>>>()?.join(","))
}
