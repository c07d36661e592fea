//! The layer that measures calls: how long each took and how it ended, how many are under way, and a log line for each.
//!
//! Names and attributes are those of OpenTelemetry's semantic conventions for RPC servers. A stream is measured until it
//! ends; one that its client closes ends as `CANCELLED`.

use std::collections::{HashMap, HashSet};
use std::mem::replace;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use metrics::{Gauge, Histogram, gauge, histogram};
use pin_project_lite::pin_project;
use prost::bytes::Bytes;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Span, debug, info};

/// Stands for every path that is no RPC of this server, so that clients cannot make labels.
const OTHER: &str = "_OTHER";
/// The names of the status codes, in the order of their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The layer that measures the calls of a service.
#[derive(Clone)]
pub(crate) struct MeasureLayer(Arc<Rpcs>);

struct Rpcs {
    by_path: HashMap<String, Arc<Rpc>>,
    other: Arc<Rpc>,
}

impl MeasureLayer {
    /// Measures each of these paths by itself, and all others as one.
    pub(crate) fn new(served: &HashSet<String>) -> Self {
        let rpc = |path: &String| (path.clone(), Arc::new(Rpc::new(path.trim_start_matches('/'))));
        Self(Arc::new(Rpcs { by_path: served.iter().map(rpc).collect(), other: Arc::new(Rpc::new(OTHER)) }))
    }
}

impl<S> Layer<S> for MeasureLayer {
    type Service = Measured<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Measured { rpcs: Arc::clone(&self.0), inner }
    }
}

/// A service whose calls are measured.
#[derive(Clone)]
pub(crate) struct Measured<S> {
    rpcs: Arc<Rpcs>,
    inner: S,
}

impl<S, B> Service<Request<B>> for Measured<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = MeasuredCall<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let rpc = self.rpcs.by_path.get(request.uri().path()).unwrap_or(&self.rpcs.other);
        let call = UnderWay::new(Arc::clone(rpc));
        MeasuredCall { inner: self.inner.call(request), call: Some(call) }
    }
}

pin_project! {
    /// A call until the head of its response.
    pub(crate) struct MeasuredCall<F> {
        #[pin]
        inner: F,
        call: Option<UnderWay>,
    }
}

impl<F, E> Future for MeasuredCall<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(context))?;
        let Some(mut call) = this.call.take() else { return Poll::Ready(Ok(response)) };
        if let Some(code) = code_of(response.headers()) {
            call.end(code);
            return Poll::Ready(Ok(response));
        }
        Poll::Ready(Ok(response.map(|body| Body::new(MeasuredBody { inner: body, call }))))
    }
}

/// The body of a response. Its trailers say how the call ended.
struct MeasuredBody {
    inner: Body,
    call: UnderWay,
}

impl http_body::Body for MeasuredBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let polled = ready!(Pin::new(&mut this.inner).poll_frame(context));
        match &polled {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.call.end(code_of(trailers).unwrap_or(Code::Unknown));
                }
            }
            Some(Err(status)) => this.call.end(status.code()),
            None => this.call.end(Code::Unknown),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get(Status::GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes()))
}

/// The metrics of an RPC.
struct Rpc {
    name: String,
    under_way: Gauge,
    /// One for each status code that was answered.
    ended: [OnceLock<Histogram>; CODES.len()],
}

impl Rpc {
    fn new(name: &str) -> Self {
        let under_way = gauge!("encore_rpc_server_active_calls", "rpc_method" => name.to_owned());
        Self { name: name.to_owned(), under_way, ended: <[OnceLock<Histogram>; CODES.len()]>::default() }
    }

    fn duration(&self, code: Code) -> &Histogram {
        let code = usize::try_from(i32::from(code)).unwrap_or_default();
        self.ended[code].get_or_init(|| {
            histogram!(
                "rpc_server_call_duration_seconds",
                "rpc_system_name" => "grpc",
                "rpc_method" => self.name.clone(),
                "rpc_response_status_code" => CODES[code],
            )
        })
    }
}

/// A call that has not ended. If it is dropped, its client has cancelled it.
struct UnderWay {
    rpc: Arc<Rpc>,
    began: Instant,
    span: Span,
    has_ended: bool,
}

impl UnderWay {
    fn new(rpc: Arc<Rpc>) -> Self {
        rpc.under_way.increment(1);
        Self { rpc, began: Instant::now(), span: Span::current(), has_ended: false }
    }

    /// Measures and logs the call, the first time.
    fn end(&mut self, code: Code) {
        if replace(&mut self.has_ended, true) {
            return;
        }
        let took = self.began.elapsed();
        self.rpc.under_way.decrement(1);
        self.rpc.duration(code).record(took);
        let (status, seconds) = (code_name(code), took.as_secs_f64());
        // Two callsites, because the lines of each are limited: refusals are logged beside any number of successes.
        self.span.in_scope(|| {
            if code == Code::Ok {
                info!(status, seconds, "call answered");
            } else if code == Code::Cancelled {
                debug!(status, seconds, "call ended by its client");
            } else {
                info!(status, seconds, "call refused or failed");
            }
        });
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

fn code_name(code: Code) -> &'static str {
    usize::try_from(i32::from(code)).ok().and_then(|code| CODES.get(code)).copied().unwrap_or_default()
}
