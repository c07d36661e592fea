//! `encore serve`: from a checked configuration to a graceful shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::ports::{EventPublisher, Mailer};
use encore_events::{AlarmNotifier, AlarmNotifierParts, CompactedFilePublisher, FilePublisher, HttpWebhookSender};
use encore_grpc::ConnectionLimits;
use encore_mailer::{FolderMailer, SmtpMailer};
use encore_redis_store::{Redis, eviction_policy};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tracing::{info, warn};

use crate::commands::{CommandError, migrated};
use crate::config::{
    Config, Gateway, GatewayWebhookConfig, MailConfig, MailRoute, MetricsConfig, Publisher, SeatFeed, ServeArgs, Stores,
};
use crate::demo;
use crate::encore::Encore;
use crate::listener_tls::ReloadedTls;
use crate::metrics::{Metrics, Sources};
use crate::output::print_line;
use crate::ports::Ports;
use crate::system::open_files_max;
use crate::telemetry::AlarmTap;
use crate::token_keys::ReloadedTokenKeys;
use crate::webhooks::WEBHOOK_PATH;

/// The files that are open beside the clients' connections and the pool of Postgres: Redis, the places for health, the listener, logs.
const OTHER_FILES: usize = 64;

/// How long alarms that wait at the end have.
const ALARMS_END_WITHIN: Duration = Duration::from_secs(5);

/// Serves until SIGINT or SIGTERM.
pub async fn run(args: &ServeArgs, alarms: &AlarmTap) -> Result<(), CommandError> {
    let config = args.check()?;
    // Before anything is measured.
    let metrics = config.metrics.map(|_| Metrics::install()).transpose()?;
    let ports = connect(&config).await?;
    let webhook_sender = Arc::new(HttpWebhookSender::new(config.events.reach));
    let (publisher, seat_publisher) = (publisher(&config)?, seat_publisher(&config)?);
    let queue_fact_publisher = queue_fact_publisher(&config)?;
    let ports = Ports { publisher, seat_publisher, queue_fact_publisher, webhook_sender, ..ports };
    let alarms = send_alarms(&config, &ports, alarms);
    let catalog = Arc::clone(&ports.catalog);
    let clock = Arc::clone(&ports.clock);
    let encore = Encore::new(ports, config.guarded.clone()).under(config.queue_ceilings);
    let encore = encore.limiting(within_open_files(&config)).behind(config.proxies.clone());
    let encore = encore.limiting_callers(config.callers);
    let encore = encore.tolerating(config.clock_tolerance).keeping_queues_for(config.queue_retention);
    let encore = encore.keeping_events_for(config.events.retention).keeping_requests_for(config.request_retention);
    let encore = encore.cancelling(config.cancellation);
    let encore = encore.topping_up(config.top_ups).with_sessions(config.sessions);
    let encore = encore.linking_resets(config.mail.reset_link.clone());
    let encore = encore.verifying_emails(config.mail.verification, config.mail.verification_link.clone());
    let encore = if config.mail.notifications { encore } else { encore.without_notifications() };
    let (encore, tls) = match config.tls.clone().map(ReloadedTls::open).transpose()? {
        Some(tls) => (encore.encrypting(tls.listener()), Some(tls)),
        None => (encore, None),
    };
    let encore = encore.playing(config.roles);
    config.roles.record();
    info!(roles = %config.roles, "starting");
    let encore = if config.allow_rehearsals { encore.allowing_rehearsals() } else { encore };
    if let Some(demo) = &config.demo {
        demo::seed(&*catalog, &encore.api.identity, demo.operator.as_ref(), clock.now()).await?;
        warn!(operator = demo.operator.as_ref().map(|_| demo::OPERATOR_EMAIL), "this is a demo: not for real fans");
    }
    // Otherwise health would say for a moment that a sound instance is not ready.
    encore.workers.look_at_stores().await;
    // Otherwise the access tokens of sessions that have just ended would be taken for a moment.
    encore.api.sessions.follow_ended().await?;
    let listener = bind(config.listen).await?;
    let measuring = CancellationToken::new();
    if let (Some(metrics), Some(MetricsConfig { listen, audit_every })) = (metrics, config.metrics) {
        let listener = bind(listen).await?;
        info!(address = %listener.local_addr().unwrap_or(listen), "serving metrics");
        let promises = audit_every.filter(|_| config.roles.worker).map(|every| encore.promises(every));
        let (sales, events) = (encore.sales.clone(), encore.event_backlog.clone());
        let sources = Sources { sales, events, promises };
        tokio::spawn(metrics.run(listener, sources, measuring.clone()));
    }
    let _measuring = measuring.drop_guard();
    let webhooks_stop = CancellationToken::new();
    if let Some(GatewayWebhookConfig { listen, secrets }) = config.gateway_webhooks.clone() {
        let listener = bind(listen).await?;
        info!(address = %listener.local_addr().unwrap_or(listen), path = WEBHOOK_PATH, "listening to webhooks of the payment gateway");
        tokio::spawn(encore.webhooks(secrets).run(listener, webhooks_stop.clone()));
    }
    let _webhooks_stop = webhooks_stop.drop_guard();
    let files_stop = CancellationToken::new();
    let is_encrypted = tls.is_some();
    if let Some(tls) = tls {
        tokio::spawn(tls.run(files_stop.clone()));
    }
    if let Some(file) = config.token_keys_file.clone() {
        tokio::spawn(ReloadedTokenKeys::new(file, config.keyring.clone()).run(files_stop.clone()));
    }
    let _files_stop = files_stop.drop_guard();
    let address = listener.local_addr().unwrap_or(config.listen);
    info!(%address, tls = is_encrypted, "listening");
    if let Some(demo) = &config.demo {
        // The commands would not know by which root the certificate is signed.
        if !is_encrypted {
            print_line(demo::example_commands(address))?;
        }
        if demo.operator.as_ref().is_some_and(|password| password.expose() == demo::OPERATOR_PASSWORD) {
            let (email, password) = (demo::OPERATOR_EMAIL, demo::OPERATOR_PASSWORD);
            print_line(format_args!("The demo operator is {email} with the password {password}."))?;
        }
    }
    let served = Box::pin(serve(encore, listener, &config)).await;
    if let Some(AlarmTask { running, stop }) = alarms {
        stop.cancel();
        if timeout_at(Instant::now() + ALARMS_END_WITHIN, running).await.is_err() {
            warn!("alarms that were raised last are not sent");
        }
    }
    served
}

/// What sends alarms to operators.
struct AlarmTask {
    running: JoinHandle<()>,
    stop: CancellationToken,
}

/// Begins to send alarms to operators, if there is a webhook for it.
fn send_alarms(config: &Config, ports: &Ports, tap: &AlarmTap) -> Option<AlarmTask> {
    let webhook = config.alarms.clone()?;
    let (sent, clock) = (Arc::clone(&ports.sent_alarms), Arc::clone(&ports.clock));
    let (alarms, notifier) = AlarmNotifier::new(AlarmNotifierParts { webhook, sent, clock });
    tap.open(alarms);
    info!("alarms are sent to a webhook");
    let stop = CancellationToken::new();
    Some(AlarmTask { running: tokio::spawn(notifier.run(stop.clone())), stop })
}

/// Where events are published.
fn publisher(config: &Config) -> Result<Option<Arc<dyn EventPublisher>>, CommandError> {
    Ok(match &config.events.publisher {
        Publisher::Off => {
            if matches!(config.stores, Stores::Durable { .. }) {
                warn!(
                    "neither ENCORE_KAFKA_BROKERS nor ENCORE_EVENT_FILES set; events are not published, and the outbox grows"
                );
            }
            None
        }
        Publisher::Kafka(target) => {
            info!(?target, "publishing events to kafka");
            Some(target.clone().publisher()?)
        }
        Publisher::Files(folder, limits) => {
            info!(folder = %folder.display(), "publishing events to files");
            Some(Arc::new(FilePublisher::new(folder.clone(), *limits)))
        }
    })
}

/// Where the seat feed is published.
fn seat_publisher(config: &Config) -> Result<Option<Arc<dyn EventPublisher>>, CommandError> {
    Ok(match &config.events.seat_feed {
        SeatFeed::Off => None,
        SeatFeed::Kafka(target) => {
            info!(?target, "publishing the seat feed to kafka");
            Some(target.clone().publisher()?)
        }
        SeatFeed::File(folder, limits) => Some(Arc::new(CompactedFilePublisher::new(folder.clone(), *limits))),
    })
}

/// Where the facts of queues are published.
fn queue_fact_publisher(config: &Config) -> Result<Option<Arc<dyn EventPublisher>>, CommandError> {
    Ok(match &config.events.queue_facts {
        Publisher::Off => None,
        Publisher::Kafka(target) => {
            info!(?target, "publishing the facts of queues to kafka");
            Some(target.clone().publisher()?)
        }
        Publisher::Files(folder, limits) => Some(Arc::new(FilePublisher::of_queue_facts(folder.clone(), *limits))),
    })
}

async fn bind(address: SocketAddr) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address).await.map_err(|source| CommandError::Listen { address, source })
}

/// The limits on connections, lowered to the files that the process may have open. So an attack meets the cap, which is enforced, and
/// not the kernel's limit, at which nothing can be accepted.
fn within_open_files(config: &Config) -> ConnectionLimits {
    let mut limits = config.limits;
    let Some(files) = open_files_max() else { return limits };
    let pool = match &config.stores {
        Stores::Embedded => 0,
        Stores::Durable { database, .. } => database.pool_size as usize,
    };
    let most = files.saturating_sub(OTHER_FILES + pool).max(1);
    if most < limits.connections_max {
        warn!(
            files,
            connections = most,
            "fewer connections than configured: raise the limit of open files (ulimit -n)"
        );
        limits.connections_max = most;
    }
    limits
}

async fn connect(config: &Config) -> Result<Ports, CommandError> {
    let ports = Ports::embedded(config.keyring.clone());
    let ports = match &config.gateway {
        Gateway::Off => ports.without_gateway(),
        Gateway::Sandbox => ports,
        Gateway::Stripe(stripe) => ports.on_stripe(stripe.clone())?,
    };
    let ports = Ports { mailer: mailer(&config.mail)?, ..ports };
    let Stores::Durable { database, redis } = &config.stores else {
        return Ok(ports);
    };
    let redis = redis.as_ref().map(|redis| Ok::<_, CommandError>((redis.servers()?, &redis.prefix))).transpose()?;
    if let Some((servers, _)) = &redis
        && let Some(policy) = eviction_policy(servers).await
    {
        return Err(CommandError::RedisEvicts { policy });
    }
    let ports = ports.on_postgres(&migrated(database).await?).await?;
    let Some((servers, prefix)) = redis else {
        warn!("ENCORE_REDIS_URL not set; queues and seat locks are kept in this process, no other instance may run");
        return Ok(ports);
    };
    Ok(ports.with_redis(Redis::open(&servers, prefix).await?))
}

/// What sends mails, if anything does.
fn mailer(config: &MailConfig) -> Result<Option<Arc<dyn Mailer>>, CommandError> {
    Ok(match &config.route {
        None => None,
        Some(MailRoute::Folder { folder, from }) => {
            info!(folder = %folder.display(), "mails are written into a folder");
            Some(Arc::new(FolderMailer::new(folder, from.clone())))
        }
        Some(MailRoute::Smtp { url, from }) => Some(Arc::new(SmtpMailer::new(url, from.clone())?)),
    })
}

/// Runs the API and the workers until a signal. The API is stopped first, within the grace period. The workers are
/// stopped afterwards, because calls in flight depend on them.
async fn serve(encore: Encore, listener: TcpListener, config: &Config) -> Result<(), CommandError> {
    let (api_stop, workers_stop) = (CancellationToken::new(), CancellationToken::new());
    let workers = tokio::spawn(encore.workers.run(workers_stop.clone()));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let mut api = tokio::spawn(encore.api.serve(incoming, api_stop.clone()));
    let ended = tokio::select! {
        ended = &mut api => Some(ended),
        () = shutdown_signal() => None,
    };
    let deadline = Instant::now() + config.shutdown_grace;
    let ended = if ended.is_none() {
        info!(grace = ?config.shutdown_grace, "shutting down");
        api_stop.cancel();
        tokio::select! {
            ended = timeout_at(deadline, &mut api) => ended.ok(),
            () = shutdown_signal() => None,
        }
    } else {
        ended
    };
    if ended.is_none() {
        warn!("grace period over or second signal received; calls in flight dropped");
    }
    workers_stop.cancel();
    if timeout_at(deadline, workers).await.is_err() {
        warn!("grace period over; a busy worker was stopped");
    }
    ended.transpose()?.transpose()?;
    Ok(())
}

/// Waits for SIGINT or SIGTERM.
async fn shutdown_signal() {
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        warn!("signal handlers could not be installed; the process must be killed to stop it");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
