//! The subcommands of `encore`.

pub mod check_config;
pub mod create_operator;
pub mod events;
pub mod health;
pub mod import_venue;
mod location;
pub mod make_token_key;
pub mod migrate;
pub mod not_examined;
pub mod replay;
pub mod revise_venue;
pub mod serve;
pub mod verify;
pub mod verify_draw;

use std::io;
use std::process::ExitCode;

use encore_app::error::{AppError, Violation};
use encore_credentials::Keyring;
use encore_domain::error::Unavailable;
use encore_events::{CannotCompare, WithoutKafka};
use encore_grpc::{GuardedRpcs, ServeError};
use encore_mailer::NotAnSmtpUrl;
use encore_payment_gateway::StripeConfigError;
use encore_postgres_store::DatabaseConfig;
use encore_postgres_store::migration::migrate;
use encore_redis_store::ServersError;
use thiserror::Error;
use tracing::info;

use crate::commands::not_examined::NotExamined;
use crate::config::{ConfigErrors, DatabaseTarget, StoreArgs, Stores};
use crate::encore::Encore;
use crate::listener_tls::TlsError;
use crate::metrics::MetricsError;
use crate::ports::Ports;
use crate::system::throwaway_secret;

/// Why a command failed.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error(
        "ENCORE_REDIS_URL: Redis must not evict keys, because a lost key is not detected: its maxmemory-policy must be noeviction, not {policy}"
    )]
    RedisEvicts { policy: String },
    #[error("ENCORE_REDIS_URL names no server")]
    Redis(#[from] ServersError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Kafka(#[from] WithoutKafka),
    #[error("Stripe cannot be used")]
    Stripe(#[from] StripeConfigError),
    #[error("mails cannot be sent")]
    Mail(#[from] NotAnSmtpUrl),
    #[error("cannot listen on {address}")]
    Listen { address: std::net::SocketAddr, source: io::Error },
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    #[error("cannot read {what}")]
    Read { what: String, source: io::Error },
    #[error("cannot print the result")]
    Print(#[from] io::Error),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("invalid:\n{}", lines(.0))]
    Invalid(Vec<Violation>),
    #[error(transparent)]
    Refused(AppError),
    #[error("{what} is not serving at {address}: {status}")]
    NotServing { address: std::net::SocketAddr, what: String, status: String },
    #[error("a task panicked or was cancelled")]
    Task(#[from] tokio::task::JoinError),
    #[error("promises are broken: {}", .0.join(", "))]
    PromisesBroken(Vec<String>),
    #[error("what was published was not examined")]
    PublishedNotExamined(#[source] CannotCompare),
    #[error("the draw is invalid: {0}")]
    DrawBroken(String),
    #[error("{0} seats differ from the claims")]
    FeedDiffers(usize),
    #[error("the seat feed could not be examined")]
    FeedNotExamined(#[from] NotExamined),
}

/// The exit code of `encore verify` and `encore verify-draw` if a promise is broken, and of `encore events replay` if a seat differs. A
/// command that fails exits with 1, and one with invalid arguments with 2.
const PROMISES_BROKEN: u8 = 3;
/// The exit code of `encore verify` if it could not look at what was published, and found nothing else, and of `encore events replay` if it
/// could not examine the feed.
const NOT_EXAMINED: u8 = 4;

impl CommandError {
    /// The exit code of the process.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::PromisesBroken(_) | Self::DrawBroken(_) | Self::FeedDiffers(_) => ExitCode::from(PROMISES_BROKEN),
            Self::PublishedNotExamined(_) | Self::FeedNotExamined(_) => ExitCode::from(NOT_EXAMINED),
            Self::Config(_)
            | Self::Usage(_)
            | Self::Unavailable(_)
            | Self::RedisEvicts { .. }
            | Self::Redis(_)
            | Self::Tls(_)
            | Self::Kafka(_)
            | Self::Stripe(_)
            | Self::Mail(_)
            | Self::Listen { .. }
            | Self::Metrics(_)
            | Self::Read { .. }
            | Self::Print(_)
            | Self::Serve(_)
            | Self::Invalid(_)
            | Self::Refused(_)
            | Self::NotServing { .. }
            | Self::Task(_) => ExitCode::FAILURE,
        }
    }
}

impl From<AppError> for CommandError {
    fn from(error: AppError) -> Self {
        if let AppError::Invalid(violations) = error { Self::Invalid(violations) } else { Self::Refused(error) }
    }
}

fn lines(violations: &[Violation]) -> String {
    let lines: Vec<String> = violations.iter().map(|it| format!("  {}: {}", it.field, it.rule)).collect();
    lines.join("\n")
}

/// The database, after its pending migrations have been applied.
async fn migrated(target: &DatabaseTarget) -> Result<DatabaseConfig, Unavailable> {
    for migration in migrate(&target.url).await? {
        info!(migration, "migration applied");
    }
    Ok(unmigrated(target))
}

/// The database without applying migrations.
fn unmigrated(target: &DatabaseTarget) -> DatabaseConfig {
    DatabaseConfig { pool_size: target.pool_size, ..DatabaseConfig::new(&target.url) }
}

/// Ports for commands that neither serve nor sign tokens.
fn ports() -> Result<Ports, CommandError> {
    let keyring = Keyring::from_secret("unused", &throwaway_secret());
    let keyring = keyring.map_err(|error| CommandError::Usage(error.to_string()))?;
    Ok(Ports::embedded(keyring))
}

/// An instance on the configured database.
async fn on_database(args: &StoreArgs) -> Result<Encore, CommandError> {
    let Stores::Durable { database, .. } = args.check()? else {
        return Err(CommandError::Usage(
            "ENCORE_DATABASE_URL: must be set, the result is stored in the database".into(),
        ));
    };
    let ports = ports()?.on_postgres(&migrated(&database).await?).await?;
    Ok(Encore::new(ports, GuardedRpcs::default()))
}
