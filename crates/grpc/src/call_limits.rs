//! The layer that limits what is open at once: calls by who calls, and bytes by connection.
//!
//! HTTP/2 has one limit of streams per connection, which is set before anybody has said who they are. It is high, for BFFs; the
//! limits here are those that hold.

mod reply_body;
mod request_body;

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use encore_domain::identity::Caller;
use encore_domain::ids::UserId;
use futures::future::{BoxFuture, Either, Ready, ready};
use http::{HeaderMap, Request, Response};
use http_body::Body as _;
use tokio::time::sleep;
use tonic::body::Body;
use tower::{Layer, Service};

use self::reply_body::ReplyBody;
use self::request_body::{BodyLimits, RequestBody};
use crate::client_address::{ClientAddress, TrustedProxies};
use crate::connections::{AnonymousCall, Budget, BytesInFlight, ConnectionLimits, Usage};
use crate::pace::WAIT_MAX;
use crate::shared_reply::IsShared;
use crate::shares::ShareOf;
use crate::status::{Quota, rate_limited};

/// The service that is answered beyond the cap of connections, too.
const HEALTH_SERVICE: &str = "/grpc.health.v1.Health/";
/// What HTTP/2 counts for a field of a head beside its name and its value (RFC 9113, section 6.5.2).
const FIELD_OVERHEAD_BYTES: usize = 32;

/// Limits what is open at once.
#[derive(Clone)]
pub(crate) struct CallLimitsLayer {
    limits: ConnectionLimits,
    proxies: Arc<TrustedProxies>,
    by_user: Arc<Mutex<HashMap<UserId, usize>>>,
}

impl CallLimitsLayer {
    pub(crate) fn new(limits: ConnectionLimits, proxies: TrustedProxies) -> Self {
        Self { limits, proxies: Arc::new(proxies), by_user: Arc::default() }
    }
}

impl<S> Layer<S> for CallLimitsLayer {
    type Service = WithCallLimits<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithCallLimits { open: self.clone(), inner }
    }
}

/// A service with limits on what is open.
#[derive(Clone)]
pub(crate) struct WithCallLimits<S> {
    open: CallLimitsLayer,
    inner: S,
}

/// A call that counts as open until this is dropped.
enum OpenCall {
    /// Without a valid access token: it counts for its connection.
    Anonymous { _call: AnonymousCall },
    /// With one: it counts for the user, whatever connection it came on.
    OfUser { user: UserId, by_user: Arc<Mutex<HashMap<UserId, usize>>> },
}

impl CallLimitsLayer {
    /// Counts a call, and refuses it beyond a limit.
    fn begin(&self, usage: &Usage, path: &str, caller: Option<Caller>) -> Result<OpenCall, Quota> {
        let asks_for_health = path.starts_with(HEALTH_SERVICE);
        if usage.is_for_health() && !asks_for_health {
            return Err(Quota::Connections);
        }
        if !asks_for_health && !usage.fits(self.limits.budget(caller.is_none())) {
            return Err(Quota::BytesInFlight);
        }
        match caller {
            None => {
                let call = usage.begin_anonymous(self.limits.anonymous_calls_max);
                let call = call.ok_or(Quota::AnonymousCalls)?;
                Ok(OpenCall::Anonymous { _call: call })
            }
            Some(Caller { user, .. }) => self.begin_of(user).ok_or(Quota::CallsOfUser),
        }
    }

    fn begin_of(&self, user: UserId) -> Option<OpenCall> {
        let mut by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        let open = by_user.entry(user).or_default();
        (*open < self.limits.calls_per_user_max).then(|| {
            *open += 1;
            OpenCall::OfUser { user, by_user: Arc::clone(&self.by_user) }
        })
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if let Self::OfUser { user, by_user } = self {
            let mut by_user = by_user.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(open) = by_user.get_mut(user) {
                *open -= 1;
                if *open == 0 {
                    by_user.remove(user);
                }
            }
        }
    }
}

impl<S> Service<Request<Body>> for WithCallLimits<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<BoxFuture<'static, Result<S::Response, S::Error>>, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(usage) = request.extensions().get::<Usage>().cloned() else {
            return Either::Left(Box::pin(self.inner.call(request)));
        };
        let caller = request.extensions().get::<Caller>().copied();
        let open = match self.open.begin(&usage, request.uri().path(), caller) {
            Ok(open) => open,
            Err(Quota::CallsOfUser) => {
                // Whoever repeats the call at once is not answered more often for that.
                let in_flight = usage.hold(head_bytes(request.headers()));
                return Either::Left(Box::pin(async move {
                    sleep(WAIT_MAX).await;
                    drop(in_flight);
                    Ok(rate_limited(Quota::CallsOfUser).into_http())
                }));
            }
            Err(quota) => return Either::Right(ready(Ok(rate_limited(quota).into_http()))),
        };
        let limits = self.open.limits;
        let in_flight = Arc::new(usage.hold(head_bytes(request.headers())));
        let budget = limits.budget(caller.is_none());
        let address = self.open.proxies.client(usage.address(), request.headers());
        let mut request = with_limited_body(request, &in_flight, BodyLimits::of(caller, limits.body_timeout, budget));
        request.extensions_mut().insert(ClientAddress(address));
        let answered = ShareOf::caller(caller, address).scope(self.inner.call(request));
        Either::Left(Box::pin(async move {
            let response = answered.await?;
            drop(in_flight);
            Ok(limited(response, open, usage, budget).await)
        }))
    }
}

fn head_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD_BYTES).sum()
}

fn with_limited_body(request: Request<Body>, in_flight: &Arc<BytesInFlight>, limits: BodyLimits) -> Request<Body> {
    if request.body().is_end_stream() {
        return request;
    }
    let in_flight = Arc::clone(in_flight);
    request.map(|body| Body::new(RequestBody::new(body, in_flight, limits)))
}

/// The response, whose body counts as in flight. The first message is encoded at once: encoded it takes less memory, and its size
/// is known.
async fn limited(response: Response<Body>, open: OpenCall, usage: Usage, budget: Budget) -> Response<Body> {
    if response.body().is_end_stream() {
        return response;
    }
    let is_shared = response.extensions().get::<IsShared>().is_some();
    let (head, mut body) = response.into_parts();
    let first = poll_fn(|context| Poll::Ready(Pin::new(&mut body).poll_frame(context))).await;
    let body = ReplyBody::new(first, body, is_shared, open, usage.clone());
    // The reply of a call that changed something is small, and is always sent.
    if body.is_large() && !usage.fits(budget) {
        return rate_limited(Quota::BytesInFlight).into_http();
    }
    Response::from_parts(head, Body::new(body))
}
