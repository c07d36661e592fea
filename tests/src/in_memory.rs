//! A server and a client in one process, with no port and no socket between them.

use encore_server::encore::Encore;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

/// How much one side may write before the other has read.
const BUFFER_BYTES: usize = 64 * 1024;

/// A running instance. It stops when this is dropped.
#[derive(Debug)]
pub struct Instance {
    /// A connection to it.
    pub channel: Channel,
    dial: UnboundedSender<DuplexStream>,
    serving: JoinHandle<()>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Instance {
    /// Serves the API, with the workers beside it.
    pub async fn start(encore: Encore) -> Self {
        let stop = CancellationToken::new();
        tokio::spawn(encore.workers.clone().run(stop.clone()));
        Self::serve(encore, stop).await
    }

    /// Serves the API alone: nothing happens but what is called.
    pub async fn start_without_workers(encore: Encore) -> Self {
        Self::serve(encore, CancellationToken::new()).await
    }

    /// Shuts the instance down in order, as a signal would.
    pub fn shut_down(&self) {
        self.stop.cancel();
    }

    /// Waits until it serves no more.
    pub async fn stopped(&mut self) {
        (&mut self.serving).await.expect("the server ends well");
    }

    async fn serve(encore: Encore, stop: CancellationToken) -> Self {
        let (dial, connections) = tokio::sync::mpsc::unbounded_channel();
        let incoming = UnboundedReceiverStream::new(connections).map(Ok::<_, std::io::Error>);
        let serving = encore.api.serve(incoming, stop.clone());
        let serving = tokio::spawn(async move { serving.await.expect("the server serves") });
        let dialer = dial.clone();
        let connector = service_fn(move |_: Uri| {
            let connection = connect(&dialer);
            async move { connection.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://in-memory");
        let channel = endpoint.connect_with_connector(connector).await.expect("the server answers");
        Self { channel, dial, serving, _stop_on_drop: stop.clone().drop_guard(), stop }
    }

    /// A bare connection, for a client that speaks something else than gRPC over HTTP/2.
    pub fn connect(&self) -> DuplexStream {
        connect(&self.dial).expect("the server is there")
    }
}

fn connect(dial: &UnboundedSender<DuplexStream>) -> std::io::Result<DuplexStream> {
    let (client, server) = tokio::io::duplex(BUFFER_BYTES);
    dial.send(server).map_err(std::io::Error::other)?;
    Ok(client)
}
