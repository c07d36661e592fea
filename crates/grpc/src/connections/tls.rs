//! TLS of the listener. The handshake is a part of the connection: it has a place within the caps, and the time-out of a connection
//! whose client does not begin. So one that hangs stops no other from being accepted.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};
use tracing::info;

/// The settings of TLS. They may change while the server runs: a connection keeps those with which it began.
#[derive(Clone, Debug)]
pub struct ListenerTls(watch::Receiver<Arc<ServerConfig>>);

impl ListenerTls {
    /// The settings that this channel has last.
    pub fn new(settings: watch::Receiver<Arc<ServerConfig>>) -> Self {
        Self(settings)
    }

    fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.borrow()))
    }
}

/// What the bytes of a connection go through.
pub(crate) enum Transport<C> {
    /// Nothing.
    Plain(C),
    /// TLS, whose handshake goes on with the first bytes that are read or written.
    Handshake(Box<Accept<C>>, Option<IpAddr>),
    /// TLS.
    Encrypted(Box<TlsStream<C>>),
    /// The handshake failed.
    Failed,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Transport<C> {
    /// A connection from this address.
    pub(super) fn new(io: C, tls: Option<&ListenerTls>, address: Option<IpAddr>) -> Self {
        match tls {
            None => Self::Plain(io),
            Some(tls) => Self::Handshake(Box::new(tls.acceptor().accept(io)), address),
        }
    }

    /// Ready when bytes can be read and written.
    fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self::Handshake(accepting, address) = self else { return Poll::Ready(Ok(())) };
        match ready!(Pin::new(&mut **accepting).poll(context)) {
            Ok(stream) => {
                *self = Self::Encrypted(Box::new(stream));
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                // A client can cause this line, so the log limits it like any other.
                info!(%error, ?address, "TLS handshake failed");
                *self = Self::Failed;
                Poll::Ready(Err(error))
            }
        }
    }
}

/// What is written or read before the handshake is over, or after it failed.
fn not_connected<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncRead for Transport<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_handshake(context))?;
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(context, buffer),
            Self::Encrypted(io) => Pin::new(&mut **io).poll_read(context, buffer),
            Self::Handshake(..) | Self::Failed => not_connected(),
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Transport<C> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_handshake(context))?;
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(context, bytes),
            Self::Encrypted(io) => Pin::new(&mut **io).poll_write(context, bytes),
            Self::Handshake(..) | Self::Failed => not_connected(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_handshake(context))?;
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write_vectored(context, bytes),
            Self::Encrypted(io) => Pin::new(&mut **io).poll_write_vectored(context, bytes),
            Self::Handshake(..) | Self::Failed => not_connected(),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            Self::Handshake(..) | Self::Encrypted(_) | Self::Failed => true,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(context),
            Self::Encrypted(io) => Pin::new(&mut **io).poll_flush(context),
            // There is nothing to flush: writing waits for the handshake.
            Self::Handshake(..) | Self::Failed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(context),
            Self::Encrypted(io) => Pin::new(&mut **io).poll_shutdown(context),
            Self::Handshake(..) | Self::Failed => Poll::Ready(Ok(())),
        }
    }
}
