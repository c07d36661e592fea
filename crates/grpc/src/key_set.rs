//! The layer that publishes the public keys of access tokens, by plain HTTP: whoever verifies tokens by a library of JWTs reads keys
//! from a URL.

use std::sync::Arc;
use std::task::{Context, Poll};

use encore_domain::ports::{AccessTokens, Clock};
use futures::future::{Either, Ready, ready};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::Full;
use tonic::body::Body;
use tower::{Layer, Service};

/// Where the keys are.
const KEY_SET_PATH: &str = "/.well-known/jwks.json";
/// RFC 7517, section 8.5.1.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/jwk-set+json");
/// How long the answer may be kept: half of what a new key is published before it signs, if it is made by `encore make-token-key`.
const FRESH_FOR: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The layer.
#[derive(Clone)]
pub(crate) struct KeySetLayer {
    pub(crate) access_tokens: Arc<dyn AccessTokens>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether the keys are published. Otherwise the layer does nothing.
    pub(crate) is_public: bool,
}

impl<S> Layer<S> for KeySetLayer {
    type Service = KeySet<S>;

    fn layer(&self, inner: S) -> Self::Service {
        KeySet { layer: self.clone(), inner }
    }
}

/// A service beside the keys.
#[derive(Clone)]
pub(crate) struct KeySet<S> {
    layer: KeySetLayer,
    inner: S,
}

impl<S, B> Service<Request<B>> for KeySet<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let KeySetLayer { access_tokens, clock, is_public } = &self.layer;
        if !is_public || request.method() != Method::GET || request.uri().path() != KEY_SET_PATH {
            return Either::Left(self.inner.call(request));
        }
        let mut answer = Response::new(Body::new(Full::from(access_tokens.key_set(clock.now()))));
        answer.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
        answer.headers_mut().insert(CACHE_CONTROL, FRESH_FOR);
        Either::Right(ready(Ok(answer)))
    }
}
