//! A tower layer that checks the head of each call. It may refuse the call, and may add extensions for the handler.

use std::future::ready;
use std::mem::replace;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, Either};
use http::{Extensions, HeaderMap, Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// A check that waits for a store. Its refusal is the response to the call.
pub(crate) type PendingCheck = BoxFuture<'static, Result<(), Status>>;

/// A check on the head of a call.
pub(crate) trait CallCheck: Send + Sync + 'static {
    /// Refuses the call, or lets it pass and adds to its extensions what the handler needs. A check that needs a store
    /// is returned, and the call passes when it succeeds. Most calls need none, and pass without an allocation.
    fn check(
        &self,
        path: &str,
        headers: &HeaderMap,
        extensions: &mut Extensions,
    ) -> Result<Option<PendingCheck>, Status>;
}

/// The layer that puts a check in front of a service.
pub(crate) struct CheckLayer<G>(Arc<G>);

impl<G> CheckLayer<G> {
    pub(crate) fn new(check: G) -> Self {
        Self(Arc::new(check))
    }
}

impl<G> Clone for CheckLayer<G> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<G, S> Layer<S> for CheckLayer<G> {
    type Service = CheckService<G, S>;

    fn layer(&self, inner: S) -> Self::Service {
        CheckService { check: Arc::clone(&self.0), inner }
    }
}

/// A service behind a check.
pub(crate) struct CheckService<G, S> {
    check: Arc<G>,
    inner: S,
}

impl<G, S: Clone> Clone for CheckService<G, S> {
    fn clone(&self) -> Self {
        Self { check: Arc::clone(&self.check), inner: self.inner.clone() }
    }
}

impl<G, S, B> Service<Request<B>> for CheckService<G, S>
where
    G: CallCheck,
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let pending = match self.check.check(head.uri.path(), &head.headers, &mut head.extensions) {
            Ok(pending) => pending,
            Err(refusal) => return Either::Right(Box::pin(ready(Ok(refusal.into_http())))),
        };
        let request = Request::from_parts(head, body);
        let Some(pending) = pending else {
            return Either::Left(self.inner.call(request));
        };
        // The service that reported readiness must take the call. Its clone has not been polled yet.
        let clone = self.inner.clone();
        let mut ready = replace(&mut self.inner, clone);
        Either::Right(Box::pin(async move {
            match pending.await {
                Ok(()) => ready.call(request).await,
                Err(refusal) => Ok(refusal.into_http()),
            }
        }))
    }
}
