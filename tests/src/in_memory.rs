//! A server and its clients in one process, connected without ports or sockets.

use encore_grpc::GuardedRpcs;
use encore_server::encore::Encore;
use encore_server::ports::Ports;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

/// The buffer of a connection: how much one side may write before the other side reads.
const BUFFER_BYTES: usize = 64 * 1024;
/// The flow-control window of a stream on a narrow connection.
const NARROW_BYTES: u32 = 64;

/// A running instance. It shuts down when it is dropped.
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
    /// Starts the API and the workers.
    pub async fn start(encore: Encore) -> Self {
        Box::pin(Self::start_on(encore, &Handle::current())).await
    }

    async fn start_on(encore: Encore, threads: &Handle) -> Self {
        let stop = CancellationToken::new();
        threads.spawn(encore.workers.clone().run(stop.clone()));
        Box::pin(Self::serve(encore, stop, threads)).await
    }

    /// Starts the API without the workers, so that nothing happens except by calls.
    pub async fn start_without_workers(encore: Encore) -> Self {
        Box::pin(Self::serve(encore, CancellationToken::new(), &Handle::current())).await
    }

    /// Shuts the instance down gracefully, like a signal.
    pub fn shut_down(&self) {
        self.stop.cancel();
    }

    /// Waits until the instance has stopped.
    pub async fn stopped(&mut self) {
        (&mut self.serving).await.expect("a graceful shutdown");
    }

    async fn serve(encore: Encore, stop: CancellationToken, threads: &Handle) -> Self {
        let (dial, connections) = tokio::sync::mpsc::unbounded_channel();
        let incoming = UnboundedReceiverStream::new(connections).map(Ok::<_, std::io::Error>);
        // Boxed, because the future of a server is large.
        let serving = Box::pin(encore.api.serve(incoming, stop.clone()));
        let serving = threads.spawn(async move { serving.await.expect("the server serves") });
        let channel = open(&dial, Endpoint::from_static("http://in-memory")).await;
        Self { channel, dial, serving, _stop_on_drop: stop.clone().drop_guard(), stop }
    }

    /// A connection with a small flow-control window: a client that does not read a stream soon blocks it.
    pub async fn narrow_channel(&self) -> Channel {
        let endpoint = Endpoint::from_static("http://in-memory").initial_stream_window_size(NARROW_BYTES);
        open(&self.dial, endpoint).await
    }

    /// A raw connection, for a client with a protocol other than gRPC over HTTP/2.
    pub fn connect(&self) -> DuplexStream {
        self.connect_with(BUFFER_BYTES)
    }

    /// The same with a buffer of this size: as much can be written before the server reads.
    pub fn connect_with(&self, buffer_bytes: usize) -> DuplexStream {
        connect(&self.dial, buffer_bytes).expect("a running server")
    }
}

/// An instance on a runtime of its own, which can be killed. A killed instance sends nothing more and completes
/// nothing. Dropping it kills it.
#[derive(Debug)]
pub struct KillableInstance {
    /// A connection to the instance.
    pub channel: Channel,
    _instance: Instance,
    threads: Option<Runtime>,
}

impl KillableInstance {
    /// Starts the API and the workers.
    pub async fn start(ports: Ports) -> Self {
        let threads = Runtime::new().expect("threads");
        let encore = {
            let _entered = threads.enter();
            Encore::new(ports, GuardedRpcs::default())
        };
        let instance = Box::pin(Instance::start_on(encore, threads.handle())).await;
        Self { channel: instance.channel.clone(), _instance: instance, threads: Some(threads) }
    }

    /// Kills the instance.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for KillableInstance {
    fn drop(&mut self) {
        // The runtime is stopped first, because dropping the instance starts a graceful shutdown.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

async fn open(dial: &UnboundedSender<DuplexStream>, endpoint: Endpoint) -> Channel {
    let dial = dial.clone();
    let connector = service_fn(move |_: Uri| {
        let connection = connect(&dial, BUFFER_BYTES);
        async move { connection.map(TokioIo::new) }
    });
    endpoint.connect_with_connector(connector).await.expect("the server answers")
}

fn connect(dial: &UnboundedSender<DuplexStream>, buffer_bytes: usize) -> std::io::Result<DuplexStream> {
    let (client, server) = tokio::io::duplex(buffer_bytes);
    dial.send(server).map_err(std::io::Error::other)?;
    Ok(client)
}
