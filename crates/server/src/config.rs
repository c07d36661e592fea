//! Flags and `ENCORE_*` variables. They are checked together before any store is opened, and one error lists every
//! violation.

mod alarms;
mod callers;
mod check;
mod demo;
mod events;
mod gateway_webhooks;
mod kafka;
mod listen;
mod mail;
mod payments;
mod queues;
mod roles;
mod sessions;
mod stores;
mod stripe;
mod tokens;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use encore_app::caller_limits::CallerTerms;
use encore_app::wallet::TopUps;
use encore_credentials::Keyring;
use encore_domain::identity::session::SessionTerms;
use encore_domain::payment::refund::CancellationPolicy;
use encore_domain::queue::ceilings::QueueCeilings;
use encore_events::AlarmWebhook;
use encore_grpc::{ConnectionLimits, GuardedRpcs, TrustedProxies};

pub use self::alarms::AlarmArgs;
pub use self::callers::CallerArgs;
use self::check::Check;
pub use self::check::ConfigErrors;
pub use self::demo::{Demo, DemoArgs};
pub use self::events::{EventArgs, Events, Publisher, SeatFeed};
pub use self::gateway_webhooks::{GatewayWebhookArgs, GatewayWebhookConfig};
pub use self::kafka::{KafkaArgs, KafkaTopic};
pub use self::listen::{ListenArgs, MetricsConfig};
pub use self::mail::{MailArgs, MailConfig, MailRoute};
pub use self::payments::{Gateway, PaymentArgs};
pub use self::queues::QueueArgs;
pub use self::roles::RoleArgs;
pub use self::sessions::SessionArgs;
pub use self::stores::{DatabaseTarget, RedisTarget, StoreArgs, Stores};
pub use self::stripe::StripeArgs;
pub use self::tokens::TokenArgs;
use crate::listener_tls::TlsFiles;
use crate::roles::Roles;

/// The arguments of `encore serve`. Values are kept as text, so that one check reports every invalid value.
#[derive(Args, Clone)]
pub struct ServeArgs {
    /// Where to listen.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// What this process does.
    #[command(flatten)]
    pub roles: RoleArgs,
    /// Which stores to use.
    #[command(flatten)]
    pub stores: StoreArgs,
    /// What tokens are signed with.
    #[command(flatten)]
    pub tokens: TokenArgs,
    /// How long sessions live.
    #[command(flatten)]
    pub sessions: SessionArgs,
    /// How mails are sent.
    #[command(flatten)]
    pub mail: MailArgs,
    /// How often one network may sign up and log in.
    #[command(flatten)]
    pub callers: CallerArgs,
    /// How queues work.
    #[command(flatten)]
    pub queues: QueueArgs,
    /// How fans pay and get their money back.
    #[command(flatten)]
    pub payments: PaymentArgs,
    /// Where webhooks of the payment gateway arrive.
    #[command(flatten)]
    pub gateway_webhooks: GatewayWebhookArgs,
    /// Where events are published.
    #[command(flatten)]
    pub events: EventArgs,
    /// Where alarms are sent.
    #[command(flatten)]
    pub alarms: AlarmArgs,
    /// Whether to serve the demo.
    #[command(flatten)]
    pub demo: DemoArgs,
    /// The grace period for calls in flight at shutdown, in seconds (0 to 300).
    #[arg(long, env = "ENCORE_SHUTDOWN_SECONDS", default_value = "20")]
    pub shutdown_seconds: String,
    /// By how much the instance's clock may differ from those of the stores, in milliseconds (100 to 60000). Beyond it
    /// the instance is not ready and sweeps nothing.
    #[arg(long, env = "ENCORE_CLOCK_TOLERANCE_MS", default_value = "1000")]
    pub clock_tolerance_ms: String,
    /// Serve `RehearsalService`, with which operators create users who get access tokens without signing up or logging
    /// in. Never in production.
    #[arg(long, env = "ENCORE_ALLOW_REHEARSALS")]
    pub allow_rehearsals: bool,
}

/// A checked configuration.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each field is the checked value of the argument of the same name")]
pub struct Config {
    pub listen: SocketAddr,
    pub metrics: Option<MetricsConfig>,
    pub tls: Option<TlsFiles>,
    pub proxies: TrustedProxies,
    pub roles: Roles,
    pub stores: Stores,
    pub keyring: Keyring,
    pub token_keys_file: Option<PathBuf>,
    pub sessions: SessionTerms,
    pub mail: MailConfig,
    pub callers: CallerTerms,
    pub guarded: GuardedRpcs,
    pub shutdown_grace: Duration,
    pub clock_tolerance: Duration,
    pub queue_retention: Duration,
    pub request_retention: Duration,
    pub demo: Option<Demo>,
    pub limits: ConnectionLimits,
    pub allow_rehearsals: bool,
    pub queue_ceilings: QueueCeilings,
    pub cancellation: CancellationPolicy,
    pub gateway: Gateway,
    pub top_ups: TopUps,
    pub gateway_webhooks: Option<GatewayWebhookConfig>,
    pub events: Events,
    pub alarms: Option<AlarmWebhook>,
}

impl ServeArgs {
    /// Checks all arguments.
    pub fn check(&self) -> Result<Config, ConfigErrors> {
        let mut check = Check::default();
        match self.read(&mut check) {
            Some(config) if check.0.is_empty() => Ok(config),
            _ => Err(ConfigErrors(check.0)),
        }
    }

    /// Reads every argument before the first that is invalid ends this, so that all violations are recorded.
    fn read(&self, check: &mut Check) -> Option<Config> {
        let is_embedded = self.stores.are_embedded();
        let address = self.listen.address(check);
        let listen = self.listen.read(check);
        let stores = self.stores.read(check);
        let keyring = self.tokens.read(check, is_embedded);
        let sessions = self.sessions.read(check);
        let mail = self.mail.read(check, is_embedded);
        let callers = self.callers.read(check);
        let queues = self.queues.read(check);
        let payments = self.payments.read(check, is_embedded, self.allow_rehearsals);
        let gateway = payments.as_ref().map(|payments| &payments.gateway);
        let roles = self.roles.read(check, stores.as_ref(), gateway);
        let gateway_webhooks = self.gateway_webhooks.read(check);
        let events = self.events.read(check, is_embedded, address);
        let alarms = self.alarms.read(check);
        let demo = self.demo.read(check, is_embedded, address);
        let grace = check.seconds("ENCORE_SHUTDOWN_SECONDS", &self.shutdown_seconds, 0..=300);
        let tolerance = check.number("ENCORE_CLOCK_TOLERANCE_MS", &self.clock_tolerance_ms, 100..=60_000);
        let (listen, queues, payments) = (listen?, queues?, payments?);
        Some(Config {
            listen: address?,
            metrics: listen.metrics,
            tls: listen.tls,
            proxies: listen.proxies,
            roles: roles?,
            stores: stores?,
            keyring: keyring?,
            token_keys_file: self.tokens.file(),
            sessions: sessions?,
            mail: mail?,
            callers: callers?,
            guarded: queues.guarded,
            shutdown_grace: grace?,
            clock_tolerance: Duration::from_millis(tolerance?.into()),
            queue_retention: queues.retention,
            request_retention: queues.request_retention,
            demo,
            limits: listen.limits,
            allow_rehearsals: self.allow_rehearsals,
            queue_ceilings: queues.ceilings,
            cancellation: payments.cancellation,
            gateway: payments.gateway,
            top_ups: payments.top_ups,
            gateway_webhooks,
            events: events?,
            alarms: alarms.ok()?,
        })
    }
}

#[cfg(test)]
mod tests;
