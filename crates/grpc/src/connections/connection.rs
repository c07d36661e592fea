//! A connection that ends when its client begins something and does not end it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;
use tracing::info;

use super::ConnectionLimits;
use super::caps::ConnectionPermit;
use super::frames::{FrameMeter, Unfinished};
use super::usage::Usage;

/// How long a connection for health alone may last.
const HEALTH_LIFETIME: Duration = Duration::from_secs(10);
/// The frames that carry nothing (pings, priorities, settings, window updates, empty data) that a client may send at once.
const IDLE_FRAMES_BURST: u64 = 10_000;
/// How many of them it may send a second.
const IDLE_FRAMES_PER_SECOND: u64 = 1_000;
/// How many of them it may send for each call: updates of the call's window, a priority.
const IDLE_FRAMES_PER_CALL: u64 = 4;
/// It may send one more for each so many bytes that it reads: updates of windows.
const BYTES_PER_IDLE_FRAME: u64 = 256;

/// A connection of a client, with what it takes.
pub(crate) struct Connection<C> {
    io: C,
    usage: Usage,
    limits: ConnectionLimits,
    meter: FrameMeter,
    looks: Interval,
    evicted: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// Since when the client owes the rest of a frame or of a head.
    unfinished_since: Option<Instant>,
    /// Since when nothing can be written, because the client does not read.
    blocked_since: Option<Instant>,
    /// Since when what was written has not all been sent. TLS takes what is written into a buffer of its own, so that only a flush
    /// shows that its client does not read.
    unflushed_since: Option<Instant>,
    written: u64,
    closed: Option<&'static str>,
    _place: ConnectionPermit,
}

impl<C> Connection<C> {
    pub(super) fn new(
        io: C,
        usage: Usage,
        limits: ConnectionLimits,
        place: ConnectionPermit,
        evicted: Option<CancellationToken>,
    ) -> Self {
        let mut looks = interval_at(Instant::now() + limits.look_every, limits.look_every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let evicted = evicted.map(|evicted| Box::pin(evicted.cancelled_owned()));
        Self {
            io,
            usage,
            limits,
            meter: FrameMeter::default(),
            looks,
            evicted,
            unfinished_since: None,
            blocked_since: None,
            unflushed_since: None,
            written: 0,
            closed: None,
            _place: place,
        }
    }

    /// Fails if the connection must end.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.closed.is_none() {
            let evicted = self.evicted.as_mut().is_some_and(|evicted| evicted.as_mut().poll(context).is_ready());
            if evicted {
                self.close("its place is needed");
            }
            while self.closed.is_none() && self.looks.poll_tick(context).is_ready() {
                if let Some(why) = self.overdue() {
                    self.close(why);
                }
                self.usage.drop_unsent(self.limits.stall_timeout);
            }
        }
        self.closed.map_or(Ok(()), |why| Err(io::Error::new(io::ErrorKind::ConnectionAborted, why)))
    }

    /// Ends the connection. A client can cause this line, so the log limits it like any other.
    fn close(&mut self, why: &'static str) {
        info!(why, address = ?self.usage.address(), "connection closed");
        self.closed = Some(why);
    }

    /// Why the connection must end now.
    fn overdue(&self) -> Option<&'static str> {
        let ConnectionLimits { handshake_timeout, frame_timeout, stall_timeout, .. } = self.limits;
        let lasts = |since: Option<Instant>, timeout| since.is_some_and(|since| since.elapsed() >= timeout);
        let opened = Some(self.usage.opened());
        if self.meter.unfinished() == Unfinished::Handshake && lasts(opened, handshake_timeout) {
            Some("the handshake did not come")
        } else if lasts(self.unfinished_since, frame_timeout) {
            Some("the rest of a frame or of a head did not come")
        } else if lasts(self.blocked_since, stall_timeout)
            || lasts(self.unflushed_since, stall_timeout)
            || self.usage.is_stalled(stall_timeout)
        {
            Some("its client reads no replies")
        } else if self.usage.is_for_health() && lasts(opened, HEALTH_LIFETIME) {
            Some("it is beyond the cap of connections")
        } else {
            None
        }
    }

    /// Follows what was read.
    fn note_read(&mut self, bytes: &[u8]) {
        let has_ended_one = self.meter.read(bytes);
        match self.meter.unfinished() {
            Unfinished::Nothing | Unfinished::Handshake => self.unfinished_since = None,
            // The rest of a head is due since the head began, whatever frames it comes in.
            Unfinished::Frame if has_ended_one && !self.meter.is_in_head() => {
                self.unfinished_since = Some(Instant::now());
            }
            Unfinished::Frame => _ = self.unfinished_since.get_or_insert_with(Instant::now),
        }
        let seen = self.meter.seen();
        if seen.idle > IDLE_FRAMES_BURST {
            let earned = self.usage.opened().elapsed().as_secs() * IDLE_FRAMES_PER_SECOND
                + seen.calls * IDLE_FRAMES_PER_CALL
                + self.written / BYTES_PER_IDLE_FRAME;
            if seen.idle > IDLE_FRAMES_BURST + earned {
                self.close("it sends too many frames that carry nothing");
            }
        }
    }

    fn note_written(&mut self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending => _ = self.blocked_since.get_or_insert_with(Instant::now),
            Poll::Ready(Ok(bytes)) => {
                if self.blocked_since.take().is_some() {
                    // There is room again, so something was read.
                    self.unflushed_since = None;
                }
                self.written += *bytes as u64;
            }
            Poll::Ready(Err(_)) => {}
        }
    }

    fn note_flushed(&mut self, flushed: &Poll<io::Result<()>>) {
        if flushed.is_pending() {
            self.unflushed_since.get_or_insert_with(Instant::now);
        } else {
            self.unflushed_since = None;
        }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Connection<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        self.note_read(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Connection<C> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.note_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        let written = Pin::new(&mut self.io).poll_write_vectored(context, bytes);
        self.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.note_flushed(&flushed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        let shut_down = Pin::new(&mut self.io).poll_shutdown(context);
        self.note_flushed(&shut_down);
        shut_down
    }
}

impl<C> Connected for Connection<C> {
    type ConnectInfo = Usage;

    fn connect_info(&self) -> Usage {
        self.usage.clone()
    }
}
