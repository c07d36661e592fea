//! One connection that hears what is published, for everybody in this process. In a Redis Cluster every node passes on what
//! is published on any, so one is enough.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::error::Unavailable;
use futures::StreamExt;
use redis::aio::PubSubSink;
use redis::{Client, RedisError};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};

use crate::connection::{COMMAND_TIMEOUT, CONNECT_TIMEOUT, unavailable};

/// How many words are kept for a listener that is slow.
const WORDS_KEPT: usize = 256;
/// How many channels may wait to be subscribed to; more wait in their callers.
const REQUESTS_QUEUED: usize = 64;
/// How often a connection on which nothing is said is asked whether it is there, and channels without listeners are left.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long to wait before the connection is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// What a subscriber hears.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    /// A word that was published.
    Word(Arc<[u8]>),
    /// Words may have been published that nobody heard.
    Silence,
}

/// The channels that somebody here hears. Clones share the connection; it ends with the last of them.
#[derive(Clone)]
pub(crate) struct Subscriptions(Arc<Inner>);

struct Inner {
    servers: Arc<[Client]>,
    channels: Arc<Channels>,
    hearing: Mutex<Option<Hearing>>,
}

#[derive(Default)]
struct Channels(Mutex<HashMap<String, Channel>>);

struct Channel {
    listeners: broadcast::Sender<Heard>,
    /// Whether somebody was told that it is subscribed to.
    granted: bool,
}

/// The task that hears.
struct Hearing {
    seat_requests: mpsc::Sender<Wish>,
    task: AbortHandle,
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A channel to be subscribed to, and whom to tell that it is.
struct Wish {
    channel: String,
    done: oneshot::Sender<()>,
}

impl Subscriptions {
    /// Hears what is published on these servers, each of which passes on what the others say.
    pub(crate) fn new(servers: Arc<[Client]>) -> Self {
        Self(Arc::new(Inner { servers, channels: Arc::default(), hearing: Mutex::default() }))
    }

    /// Hears a channel from now on.
    pub(crate) async fn subscribe(&self, channel: String) -> Result<broadcast::Receiver<Heard>, Unavailable> {
        let heard = self.0.channels.listen(&channel);
        let (done, subscribed) = oneshot::channel();
        let wished = async {
            self.seat_requests().send(Wish { channel, done }).await.ok()?;
            subscribed.await.ok()
        };
        match timeout(CONNECT_TIMEOUT + COMMAND_TIMEOUT, wished).await {
            Ok(Some(())) => Ok(heard),
            Ok(None) | Err(_) => Err(Unavailable::of("redis")),
        }
    }

    /// Where seat requests go; whoever seat requests first starts the task.
    fn seat_requests(&self) -> mpsc::Sender<Wish> {
        let mut hearing = lock(&self.0.hearing);
        let hearing = hearing.get_or_insert_with(|| {
            let (seat_requests, receiver) = mpsc::channel(REQUESTS_QUEUED);
            let task =
                tokio::spawn(hear(Arc::clone(&self.0.servers), Arc::clone(&self.0.channels), receiver)).abort_handle();
            Hearing { seat_requests, task }
        });
        hearing.seat_requests.clone()
    }
}

impl Channels {
    fn listen(&self, channel: &str) -> broadcast::Receiver<Heard> {
        let new = || Channel { listeners: broadcast::Sender::new(WORDS_KEPT), granted: false };
        lock(&self.0).entry(channel.to_owned()).or_insert_with(new).listeners.subscribe()
    }

    /// Passes a word on; nobody may be listening any more.
    fn pass_on(&self, channel: &str, word: Heard) {
        if let Some(channel) = lock(&self.0).get(channel) {
            let _listeners = channel.listeners.send(word);
        }
    }

    fn grant(&self, channel: &str) {
        if let Some(channel) = lock(&self.0).get_mut(channel) {
            channel.granted = true;
        }
    }

    /// The channels that are taken to be subscribed to.
    fn granted(&self) -> Vec<String> {
        let channels = lock(&self.0);
        channels.iter().filter(|(_, channel)| channel.granted).map(|(name, _)| name.clone()).collect()
    }

    /// Forgets the channels that nobody hears any more, and says which.
    fn forget_unheard(&self) -> Vec<String> {
        let mut unheard = Vec::new();
        lock(&self.0).retain(|name, channel| {
            let heard = channel.listeners.receiver_count() > 0;
            if !heard {
                unheard.push(name.clone());
            }
            heard
        });
        unheard
    }
}

/// Hears for ever, on the next server when one is away. Trouble is logged when it begins and when it is over.
async fn hear(servers: Arc<[Client]>, channels: Arc<Channels>, mut wished: mpsc::Receiver<Wish>) {
    let mut troubled = false;
    for server in servers.iter().cycle() {
        let error = hear_once(server, &channels, &mut wished, &mut troubled).await;
        if !troubled {
            warn!(error = &error as &dyn std::error::Error, "changes are not heard for now");
            troubled = true;
        }
        // Who seat requests for a channel meanwhile is told at once that it cannot be.
        while wished.try_recv().is_ok() {}
        sleep(RETRY_AFTER).await;
    }
}

/// Hears on one connection until it breaks.
async fn hear_once(
    server: &Client,
    channels: &Channels,
    wished: &mut mpsc::Receiver<Wish>,
    troubled: &mut bool,
) -> Unavailable {
    let (mut sink, mut words) = match timeout(CONNECT_TIMEOUT, server.get_async_pubsub()).await {
        Ok(Ok(connection)) => connection.split(),
        Ok(Err(error)) => return unavailable(error),
        Err(_) => return Unavailable::of("redis"),
    };
    for channel in channels.granted() {
        if let Err(unavailable) = answered(sink.subscribe(&channel)).await {
            return unavailable;
        }
        // What was published since the last connection broke was not heard.
        channels.pass_on(&channel, Heard::Silence);
    }
    if std::mem::take(troubled) {
        info!("changes are heard again");
    }
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let step = tokio::select! {
            word = words.next() => match word {
                Some(word) => {
                    channels.pass_on(word.get_channel_name(), Heard::Word(word.get_payload_bytes().into()));
                    Ok(())
                }
                None => Err(Unavailable::of("redis")),
            },
            Some(Wish { channel, done }) = wished.recv() => grant(channels, &mut sink, channel, done).await,
            _now = look.tick() => look_after(channels, &mut sink).await,
        };
        if let Err(unavailable) = step {
            return unavailable;
        }
    }
}

/// Subscribing to a channel again does no harm.
async fn grant(
    channels: &Channels,
    sink: &mut PubSubSink,
    channel: String,
    done: oneshot::Sender<()>,
) -> Result<(), Unavailable> {
    answered(sink.subscribe(&channel)).await?;
    channels.grant(&channel);
    // Whoever wished may have given up.
    let _told = done.send(());
    Ok(())
}

/// Leaves the channels without listeners. A connection that is silent may be dead: asking finds out.
async fn look_after(channels: &Channels, sink: &mut PubSubSink) -> Result<(), Unavailable> {
    for channel in channels.forget_unheard() {
        answered(sink.unsubscribe(&channel)).await?;
    }
    answered(sink.ping::<()>()).await
}

async fn answered<T>(question: impl Future<Output = Result<T, RedisError>>) -> Result<T, Unavailable> {
    timeout(COMMAND_TIMEOUT, question).await.map_err(|_| Unavailable::of("redis"))?.map_err(unavailable)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
