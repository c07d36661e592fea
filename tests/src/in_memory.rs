//! A server and a client in one process, with no port and no socket between them.

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

/// How much one side may write before the other has read.
const BUFFER_BYTES: usize = 64 * 1024;
/// How much of a stream a narrow connection takes before its reader has read on.
const NARROW_BYTES: u32 = 64;

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
        // Boxed, since a whole server is large.
        Box::pin(Self::start_on(encore, &Handle::current())).await
    }

    async fn start_on(encore: Encore, threads: &Handle) -> Self {
        let stop = CancellationToken::new();
        threads.spawn(encore.workers.clone().run(stop.clone()));
        Self::serve(encore, stop, threads).await
    }

    /// Serves the API alone: nothing happens but what is called.
    pub async fn start_without_workers(encore: Encore) -> Self {
        Self::serve(encore, CancellationToken::new(), &Handle::current()).await
    }

    /// Shuts the instance down in order, as a signal would.
    pub fn shut_down(&self) {
        self.stop.cancel();
    }

    /// Waits until it serves no more.
    pub async fn stopped(&mut self) {
        (&mut self.serving).await.expect("the server ends well");
    }

    async fn serve(encore: Encore, stop: CancellationToken, threads: &Handle) -> Self {
        let (dial, connections) = tokio::sync::mpsc::unbounded_channel();
        let incoming = UnboundedReceiverStream::new(connections).map(Ok::<_, std::io::Error>);
        let serving = encore.api.serve(incoming, stop.clone());
        let serving = threads.spawn(async move { serving.await.expect("the server serves") });
        let channel = open(&dial, Endpoint::from_static("http://in-memory")).await;
        Self { channel, dial, serving, _stop_on_drop: stop.clone().drop_guard(), stop }
    }

    /// A connection to it that takes so little at once that whoever does not read a stream soon holds it up.
    pub async fn narrow_channel(&self) -> Channel {
        let endpoint = Endpoint::from_static("http://in-memory").initial_stream_window_size(NARROW_BYTES);
        open(&self.dial, endpoint).await
    }

    /// A bare connection, for a client that speaks something else than gRPC over HTTP/2.
    pub fn connect(&self) -> DuplexStream {
        connect(&self.dial).expect("the server is there")
    }
}

/// An instance on threads of its own, so that it can be killed: it then says no word to anybody and finishes nothing. So it
/// ends as well when this is dropped.
#[derive(Debug)]
pub struct MortalInstance {
    /// A connection to it.
    pub channel: Channel,
    _instance: Instance,
    threads: Option<Runtime>,
}

impl MortalInstance {
    /// Serves the API, with the workers beside it.
    pub async fn start(ports: Ports) -> Self {
        let threads = Runtime::new().expect("threads");
        let encore = {
            let _on_them = threads.enter();
            Encore::new(ports, GuardedRpcs::default())
        };
        let instance = Box::pin(Instance::start_on(encore, threads.handle())).await;
        Self { channel: instance.channel.clone(), _instance: instance, threads: Some(threads) }
    }

    /// Ends it at once.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for MortalInstance {
    fn drop(&mut self) {
        // Before the instance is dropped, which would ask it to shut down in order.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

async fn open(dial: &UnboundedSender<DuplexStream>, endpoint: Endpoint) -> Channel {
    let dial = dial.clone();
    let connector = service_fn(move |_: Uri| {
        let connection = connect(&dial);
        async move { connection.map(TokioIo::new) }
    });
    endpoint.connect_with_connector(connector).await.expect("the server answers")
}

fn connect(dial: &UnboundedSender<DuplexStream>) -> std::io::Result<DuplexStream> {
    let (client, server) = tokio::io::duplex(BUFFER_BYTES);
    dial.send(server).map_err(std::io::Error::other)?;
    Ok(client)
}
