//! The layer that refuses every HTTP method but POST, the only one of gRPC. What a browser asks before (OPTIONS) is answered by
//! the layer of CORS, and what asks for the keys of access tokens (GET) by that of the key set.

use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use http::header::ALLOW;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tonic::body::Body;
use tower::{Layer, Service};

/// The layer.
#[derive(Clone, Copy)]
pub(crate) struct OnlyPostLayer;

impl<S> Layer<S> for OnlyPostLayer {
    type Service = OnlyPost<S>;

    fn layer(&self, inner: S) -> Self::Service {
        OnlyPost(inner)
    }
}

/// A service that is called with POST.
#[derive(Clone)]
pub(crate) struct OnlyPost<S>(S);

impl<S, B> Service<Request<B>> for OnlyPost<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.method() == Method::POST {
            return Either::Left(self.0.call(request));
        }
        let mut refusal = Response::new(Body::empty());
        *refusal.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        Either::Right(ready(Ok(refusal)))
    }
}
