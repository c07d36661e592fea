//! One connection for all subscriptions of this process, separate from those for commands. In a Redis Cluster every node
//! forwards what is published on any node, so one connection to one node is enough.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::error::Unavailable;
use futures::StreamExt;
use metrics::counter;
use redis::aio::PubSubSink;
use redis::{Client, RedisError};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};

use crate::connection::unavailable;
use crate::server_pool::{COMMAND_TIMEOUT, CONNECT_TIMEOUT};

/// How many messages of a channel are buffered for a slow subscriber.
const MESSAGE_BUFFER: usize = 256;
/// How many requests to subscribe may be queued. Further callers wait.
const REQUEST_BUFFER: usize = 64;
/// How often the connection is tested with `PING`, and channels without subscribers are unsubscribed from.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(2);
/// How long to wait before the next attempt to connect.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// What a subscriber receives.
#[derive(Clone, Debug)]
pub(crate) enum Received {
    /// The payload of a published message.
    Message(Arc<[u8]>),
    /// The connection was replaced. Messages that were published meanwhile are lost.
    Gap,
}

/// The channels that this process subscribes to. Clones share the connection, which is closed with the last of them.
#[derive(Clone)]
pub(crate) struct Subscriptions(Arc<Inner>);

struct Inner {
    servers: Arc<[Client]>,
    channels: Arc<Channels>,
    worker: Mutex<Option<Worker>>,
}

#[derive(Default)]
struct Channels(Mutex<HashMap<String, Channel>>);

struct Channel {
    subscribers: broadcast::Sender<Received>,
    /// Whether Redis has confirmed the subscription at least once. Only such channels are subscribed to again on a new
    /// connection.
    confirmed: bool,
}

/// The task that owns the connection.
struct Worker {
    requests: mpsc::Sender<Request>,
    task: AbortHandle,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request to subscribe to a channel.
struct Request {
    channel: String,
    confirmed: oneshot::Sender<()>,
}

impl Subscriptions {
    /// Subscriptions on any one of these servers, which are nodes of one cluster or a single server. The connection is opened by
    /// the first subscriber.
    pub(crate) fn new(servers: Arc<[Client]>) -> Self {
        Self(Arc::new(Inner { servers, channels: Arc::default(), worker: Mutex::default() }))
    }

    /// Subscribes to a channel. What is published after this returns is received, or a [`Received::Gap`].
    pub(crate) async fn subscribe(&self, channel: String) -> Result<broadcast::Receiver<Received>, Unavailable> {
        let receiver = self.0.channels.subscribe(&channel);
        let (confirmed, confirmation) = oneshot::channel();
        let request = async {
            self.requests().send(Request { channel, confirmed }).await.ok()?;
            confirmation.await.ok()
        };
        match timeout(CONNECT_TIMEOUT + COMMAND_TIMEOUT, request).await {
            Ok(Some(())) => Ok(receiver),
            Ok(None) | Err(_) => Err(Unavailable::of("redis")),
        }
    }

    /// The queue of requests to the worker, which is started by the first request.
    fn requests(&self) -> mpsc::Sender<Request> {
        let mut worker = lock(&self.0.worker);
        let worker = worker.get_or_insert_with(|| {
            let (requests, receiver) = mpsc::channel(REQUEST_BUFFER);
            let task =
                tokio::spawn(run(Arc::clone(&self.0.servers), Arc::clone(&self.0.channels), receiver)).abort_handle();
            Worker { requests, task }
        });
        worker.requests.clone()
    }
}

impl Channels {
    fn subscribe(&self, channel: &str) -> broadcast::Receiver<Received> {
        let new = || Channel { subscribers: broadcast::Sender::new(MESSAGE_BUFFER), confirmed: false };
        lock(&self.0).entry(channel.to_owned()).or_insert_with(new).subscribers.subscribe()
    }

    /// Delivers to all subscribers of a channel, if there are any left.
    fn deliver(&self, channel: &str, received: Received) {
        if let Some(channel) = lock(&self.0).get(channel) {
            let _subscribers = channel.subscribers.send(received);
        }
    }

    fn confirm(&self, channel: &str) {
        if let Some(channel) = lock(&self.0).get_mut(channel) {
            channel.confirmed = true;
        }
    }

    fn confirmed(&self) -> Vec<String> {
        let channels = lock(&self.0);
        channels.iter().filter(|(_, channel)| channel.confirmed).map(|(name, _)| name.clone()).collect()
    }

    /// Removes the channels without subscribers and returns their names.
    fn remove_unused(&self) -> Vec<String> {
        let mut unused = Vec::new();
        lock(&self.0).retain(|name, channel| {
            let used = channel.subscribers.receiver_count() > 0;
            if !used {
                unused.push(name.clone());
            }
            used
        });
        unused
    }
}

/// Receives until it is aborted. When a connection breaks, the next server is tried. One message is logged when the servers
/// become unavailable, and one when a connection is open again.
async fn run(servers: Arc<[Client]>, channels: Arc<Channels>, mut requests: mpsc::Receiver<Request>) {
    let mut interrupted = false;
    for server in servers.iter().cycle() {
        let error = receive(server, &channels, &mut requests, &mut interrupted).await;
        counter!("encore_redis_subscription_failures_total").increment(1);
        if !interrupted {
            warn!(
                error = &error as &dyn std::error::Error,
                "redis subscription lost; seat changes arrive late until it is restored"
            );
            interrupted = true;
        }
        // Dropping a request fails it at once.
        while requests.try_recv().is_ok() {}
        sleep(RETRY_DELAY).await;
    }
}

/// Receives on one connection until it breaks.
async fn receive(
    server: &Client,
    channels: &Channels,
    requests: &mut mpsc::Receiver<Request>,
    interrupted: &mut bool,
) -> Unavailable {
    let (mut sink, mut messages) = match timeout(CONNECT_TIMEOUT, server.get_async_pubsub()).await {
        Ok(Ok(connection)) => connection.split(),
        Ok(Err(error)) => return unavailable(error),
        Err(_) => return Unavailable::of("redis"),
    };
    for channel in channels.confirmed() {
        if let Err(unavailable) = reply_to(sink.subscribe(&channel)).await {
            return unavailable;
        }
        channels.deliver(&channel, Received::Gap);
    }
    if std::mem::take(interrupted) {
        info!("redis subscription restored");
    }
    let mut maintenance = interval(MAINTENANCE_INTERVAL);
    maintenance.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let step = tokio::select! {
            message = messages.next() => match message {
                Some(message) => {
                    let payload = message.get_payload_bytes().into();
                    channels.deliver(message.get_channel_name(), Received::Message(payload));
                    Ok(())
                }
                None => Err(Unavailable::of("redis")),
            },
            Some(Request { channel, confirmed }) = requests.recv() => {
                subscribe(channels, &mut sink, channel, confirmed).await
            }
            _now = maintenance.tick() => maintain(channels, &mut sink).await,
        };
        if let Err(unavailable) = step {
            return unavailable;
        }
    }
}

/// Subscribing to a channel is idempotent.
async fn subscribe(
    channels: &Channels,
    sink: &mut PubSubSink,
    channel: String,
    confirmed: oneshot::Sender<()>,
) -> Result<(), Unavailable> {
    reply_to(sink.subscribe(&channel)).await?;
    channels.confirm(&channel);
    // The caller may have timed out.
    let _received = confirmed.send(());
    Ok(())
}

/// Unsubscribes from channels without subscribers, and tests the connection, because one without messages may be dead.
async fn maintain(channels: &Channels, sink: &mut PubSubSink) -> Result<(), Unavailable> {
    for channel in channels.remove_unused() {
        reply_to(sink.unsubscribe(&channel)).await?;
    }
    reply_to(sink.ping::<()>()).await
}

async fn reply_to<T>(command: impl Future<Output = Result<T, RedisError>>) -> Result<T, Unavailable> {
    timeout(COMMAND_TIMEOUT, command).await.map_err(|_| Unavailable::of("redis"))?.map_err(unavailable)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
