//! Accepts connections, within the caps.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;
use tracing::{error, info};

use super::ConnectionLimits;
use super::caps::{Caps, PeerAddress};
use super::connection::Connection;
use super::tls::{ListenerTls, Transport};
use super::usage::Usage;

/// How long to wait after a first failure to accept.
const BACK_OFF_MIN: Duration = Duration::from_millis(50);
/// How long to wait at most: an instance that has file descriptors again accepts within this time.
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// The connections that come in, each with its limits, and encrypted if there is TLS. It never fails: a listener that fails is tried again, at growing
/// intervals, and the log says once when that begins and once when it is over.
pub(crate) fn accepted<L, C, E>(
    incoming: L,
    limits: ConnectionLimits,
    tls: Option<ListenerTls>,
) -> impl Stream<Item = Result<Connection<Transport<C>>, std::io::Error>>
where
    L: Stream<Item = Result<C, E>>,
    C: AsyncRead + AsyncWrite + PeerAddress + Unpin,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let accepting = Accepting {
        incoming: Box::pin(incoming),
        caps: Caps::new(limits.connections_max, limits.per_address_max),
        all_bytes: Arc::default(),
        limits,
        tls,
        back_off: None,
    };
    stream::unfold(accepting, |mut accepting| async move {
        let connection = accepting.next().await?;
        Some((Ok(connection), accepting))
    })
}

struct Accepting<L> {
    incoming: L,
    caps: Caps,
    all_bytes: Arc<AtomicUsize>,
    limits: ConnectionLimits,
    tls: Option<ListenerTls>,
    /// How long to wait after the next failure; none if the last connection was accepted.
    back_off: Option<Duration>,
}

impl<L, C, E> Accepting<L>
where
    L: Stream<Item = Result<C, E>> + Unpin,
    C: AsyncRead + AsyncWrite + PeerAddress + Unpin,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    async fn next(&mut self) -> Option<Connection<Transport<C>>> {
        loop {
            match self.incoming.next().await? {
                Ok(io) => {
                    if self.back_off.take().is_some() {
                        info!("connections are accepted again");
                    }
                    return Some(self.connection(io));
                }
                Err(error) => self.failed(&*error.into()).await,
            }
        }
    }

    fn connection(&self, io: C) -> Connection<Transport<C>> {
        let address = io.peer_address();
        let (place, evicted) = self.caps.enter(address);
        let usage = Usage::new(address, evicted.is_some(), Arc::clone(&self.all_bytes));
        let io = Transport::new(io, self.tls.as_ref(), address);
        Connection::new(io, usage, self.limits, place, evicted)
    }

    async fn failed(&mut self, error: &(dyn Error + Send + Sync + 'static)) {
        let back_off = self.back_off.unwrap_or_else(|| {
            error!(error = error as &dyn Error, "connections cannot be accepted; trying again");
            BACK_OFF_MIN
        });
        sleep(back_off).await;
        self.back_off = Some((back_off * 2).min(BACK_OFF_MAX));
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::io::{DuplexStream, duplex};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_fails_is_tried_again_at_growing_intervals() {
        let failure = || Err(io::Error::other("too many open files"));
        let results: Vec<io::Result<DuplexStream>> =
            (0..10).map(|_| failure()).chain([Ok(duplex(64).0), failure(), Ok(duplex(64).0)]).collect();
        let mut connections = Box::pin(accepted(stream::iter(results), ConnectionLimits::default(), None));
        let began = Instant::now();
        assert!(connections.next().await.is_some());
        // 50, 100, 200, 400 and 800 milliseconds, and then a second each time.
        assert_eq!(began.elapsed(), Duration::from_millis(1_550 + 5_000));
        assert!(connections.next().await.is_some());
        assert_eq!(began.elapsed(), Duration::from_millis(1_550 + 5_000 + 50), "a success forgets the failures");
        assert!(connections.next().await.is_none());
    }
}
