//! The layer that knows which calls are being answered, and lets none be answered for ever.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::status::no_answer_in_time;

/// How long a call may take to be answered. Longer than any store may take by its own timeouts, so that it is reached only
/// when a store takes a call and says nothing. A write goes on without its caller, and its repeat finds what it did.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);

/// Counts the calls until they are answered. A stream is answered when it opens.
#[derive(Clone, Default)]
pub(crate) struct InFlight(TaskTracker);

impl InFlight {
    /// Waits until no call is being answered. No more are expected.
    pub(crate) async fn finish(&self) {
        self.0.close();
        self.0.wait().await;
    }
}

impl<S> Layer<S> for InFlight {
    type Service = CountedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CountedService { calls: self.0.clone(), inner }
    }
}

/// A service whose calls are counted.
#[derive(Clone)]
pub(crate) struct CountedService<S> {
    calls: TaskTracker,
    inner: S,
}

impl<S, B> Service<Request<B>> for CountedService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answering = timeout(ANSWER_WITHIN, self.inner.call(request));
        Box::pin(
            self.calls
                .track_future(async move { answering.await.unwrap_or_else(|_| Ok(no_answer_in_time().into_http())) }),
        )
    }
}
