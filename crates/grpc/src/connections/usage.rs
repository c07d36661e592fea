//! What one connection takes: calls without a token, and bytes in flight.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use prost::bytes::Bytes;
use tokio::time::Instant;

use super::limits::Budget;

/// What a connection may always have in flight: some small calls and their replies.
const LITTLE_BYTES: usize = 32 * 1024;

/// What is left of a large reply. It is taken away if its client does not read for too long.
pub(crate) struct UnsentReply(Arc<Mutex<Unsent>>);

struct Unsent {
    /// None if it was taken away.
    rest: Option<Bytes>,
    /// When the last part was handed to the connection.
    since: Instant,
}

/// A part of a large reply.
pub(crate) struct ReplyPart {
    pub(crate) data: Bytes,
    pub(crate) is_last: bool,
}

/// What a connection takes. Clones share it.
#[derive(Clone)]
pub(crate) struct Usage(Arc<Shared>);

struct Shared {
    address: Option<IpAddr>,
    is_for_health: bool,
    opened: Instant,
    anonymous_calls: AtomicUsize,
    bytes: AtomicUsize,
    /// Bytes of all connections.
    all_bytes: Arc<AtomicUsize>,
    /// Parts of replies that were not sent yet.
    waiting: AtomicUsize,
    /// When one was sent last or began to wait alone, in milliseconds after the opening.
    sent_at_ms: AtomicU64,
    large_replies: Mutex<Vec<Weak<Mutex<Unsent>>>>,
}

/// Bytes that count as in flight until this is dropped.
pub(crate) struct BytesInFlight {
    usage: Usage,
    bytes: AtomicUsize,
}

/// A call without a token, until this is dropped.
pub(crate) struct AnonymousCall(Usage);

impl Usage {
    pub(super) fn new(address: Option<IpAddr>, is_for_health: bool, all_bytes: Arc<AtomicUsize>) -> Self {
        Self(Arc::new(Shared {
            address,
            is_for_health,
            opened: Instant::now(),
            anonymous_calls: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            all_bytes,
            waiting: AtomicUsize::new(0),
            sent_at_ms: AtomicU64::new(0),
            large_replies: Mutex::default(),
        }))
    }

    /// The address of the client; none if the connection has no address.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.0.address
    }

    /// Whether the connection is beyond the caps, and only asks for health.
    pub(crate) fn is_for_health(&self) -> bool {
        self.0.is_for_health
    }

    /// When the connection was accepted.
    pub(super) fn opened(&self) -> Instant {
        self.0.opened
    }

    /// Counts a call without a token, if there are fewer than `max`.
    pub(crate) fn begin_anonymous(&self, max: usize) -> Option<AnonymousCall> {
        let begun = self.0.anonymous_calls.fetch_add(1, Ordering::Relaxed);
        let call = AnonymousCall(self.clone());
        (begun < max).then_some(call)
    }

    /// Counts bytes as in flight.
    pub(crate) fn hold(&self, bytes: usize) -> BytesInFlight {
        let in_flight = BytesInFlight { usage: self.clone(), bytes: AtomicUsize::new(0) };
        in_flight.grow(bytes);
        in_flight
    }

    /// Whether what is in flight is within a budget. Beyond the budget of all connections, those that take little go on: whoever
    /// fills it must not lock the others out.
    pub(crate) fn fits(&self, Budget { of_connection, of_all }: Budget) -> bool {
        let bytes = self.0.bytes.load(Ordering::Relaxed);
        bytes <= of_connection && (bytes <= LITTLE_BYTES || self.0.all_bytes.load(Ordering::Relaxed) <= of_all)
    }

    /// Part of a reply, which counts as waiting, and its bytes as in flight, until it is sent or not wanted any more. What is
    /// shared by all who ask takes no memory of its own.
    pub(crate) fn reply(&self, part: Bytes, is_shared: bool) -> Bytes {
        if self.0.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            self.note_sending();
        }
        let in_flight = self.hold(if is_shared { 0 } else { part.len() });
        Bytes::from_owner(WaitingReply { part, in_flight })
    }

    /// Keeps a large reply until it is handed to the connection.
    pub(crate) fn watch(&self, reply: Bytes) -> UnsentReply {
        let unsent = Arc::new(Mutex::new(Unsent { rest: Some(reply), since: Instant::now() }));
        self.large_replies().push(Arc::downgrade(&unsent));
        UnsentReply(unsent)
    }

    /// Takes away the large replies of which no part was handed to the connection for this long.
    pub(super) fn drop_unsent(&self, after: Duration) {
        let now = Instant::now();
        self.large_replies().retain(|reply| {
            let Some(reply) = reply.upgrade() else { return false };
            let mut unsent = locked(&reply);
            let waits = now.duration_since(unsent.since) < after;
            if !waits {
                unsent.rest = None;
            }
            waits
        });
    }

    /// Whether replies wait and none has been sent for this long.
    pub(super) fn is_stalled(&self, after: Duration) -> bool {
        let waits = self.0.waiting.load(Ordering::Relaxed) > 0;
        let sent_at = Duration::from_millis(self.0.sent_at_ms.load(Ordering::Relaxed));
        waits && self.0.opened.elapsed().saturating_sub(sent_at) >= after
    }

    /// Notes that the client takes what it is sent.
    pub(crate) fn note_sending(&self) {
        let now_ms = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.sent_at_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    fn large_replies(&self) -> MutexGuard<'_, Vec<Weak<Mutex<Unsent>>>> {
        locked(&self.0.large_replies)
    }
}

impl UnsentReply {
    /// The next part, of at most so many bytes; none if the reply was taken away. The part is a copy: otherwise it would keep the
    /// memory of the whole reply.
    pub(crate) fn part(&self, bytes: usize) -> Option<ReplyPart> {
        let mut unsent = locked(&self.0);
        unsent.since = Instant::now();
        let rest = unsent.rest.as_mut()?;
        let data = Bytes::copy_from_slice(&rest.split_to(bytes.min(rest.len())));
        Some(ReplyPart { data, is_last: rest.is_empty() })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Part of a reply that was not sent yet. The HTTP library drops it when it has written it.
struct WaitingReply {
    part: Bytes,
    in_flight: BytesInFlight,
}

impl AsRef<[u8]> for WaitingReply {
    fn as_ref(&self) -> &[u8] {
        &self.part
    }
}

impl Drop for WaitingReply {
    fn drop(&mut self) {
        let usage = &self.in_flight.usage;
        usage.0.waiting.fetch_sub(1, Ordering::Relaxed);
        usage.note_sending();
    }
}

impl BytesInFlight {
    /// Counts more bytes.
    pub(crate) fn grow(&self, bytes: usize) {
        for count in [&self.bytes, &self.usage.0.bytes, &self.usage.0.all_bytes] {
            count.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// See [`Usage::fits`].
    pub(crate) fn fits(&self, budget: Budget) -> bool {
        self.usage.fits(budget)
    }
}

impl Drop for BytesInFlight {
    fn drop(&mut self) {
        let bytes = *self.bytes.get_mut();
        self.usage.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.usage.0.all_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for AnonymousCall {
    fn drop(&mut self) {
        self.0.0.anonymous_calls.fetch_sub(1, Ordering::Relaxed);
    }
}
