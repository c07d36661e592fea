//! The layer that answers a call at its deadline.
//!
//! tonic would answer CANCELLED without details, and only until the head of the response is sent.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::{BoxFuture, Either};
use http::{HeaderMap, Request, Response};
use http_body::{Body as _, Frame};
use prost::bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::status::deadline_exceeded;

/// The metadata of the time that a client gives a call.
const GRPC_TIMEOUT: &str = "grpc-timeout";
/// The most digits of a time-out (PROTOCOL-HTTP2).
const TIMEOUT_MAX_DIGITS: usize = 8;

/// The layer that puts deadlines around a service.
#[derive(Clone, Copy)]
pub(crate) struct DeadlineLayer;

impl<S> Layer<S> for DeadlineLayer {
    type Service = WithDeadlines<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithDeadlines(inner)
    }
}

/// A service whose calls end at their deadlines.
#[derive(Clone)]
pub(crate) struct WithDeadlines<S>(S);

impl<S, B> Service<Request<B>> for WithDeadlines<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let timeout = timeout_of(request.headers());
        // tonic starts its timer after this call returns, so this deadline is the earlier one.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let call = self.0.call(request);
        match deadline {
            None => Either::Left(call),
            Some(deadline) => Either::Right(Box::pin(async move {
                match until(deadline, call).await {
                    None => Ok(deadline_exceeded().into_http()),
                    Some(response) => Ok(response?.map(|body| cut_at(deadline, body))),
                }
            })),
        }
    }
}

/// The output of a future; `None` if the deadline passes first. The clock is asked, because tonic's timer may wake this
/// task before the timer of this layer is marked as elapsed.
async fn until<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut sleep = pin!(sleep_until(deadline));
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        let elapsed = Instant::now() >= deadline || sleep.as_mut().poll(context).is_ready();
        if elapsed { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}

/// The body, which ends with `DEADLINE_EXCEEDED` at the deadline unless it has ended before.
fn cut_at(deadline: Instant, body: Body) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::new(CutBody { body, sleep: Box::pin(sleep_until(deadline)), is_cut: false })
}

struct CutBody {
    body: Body,
    sleep: Pin<Box<Sleep>>,
    is_cut: bool,
}

impl http_body::Body for CutBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.is_cut {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        ready!(this.sleep.as_mut().poll(context));
        this.is_cut = true;
        let mut trailers = HeaderMap::new();
        deadline_exceeded().add_header(&mut trailers)?;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_cut || self.body.is_end_stream()
    }
}

/// The time-out of a call; none if it has none, or one that cannot be read.
fn timeout_of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let plain = (1..=TIMEOUT_MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value: u64 = plain.then(|| digits.parse().ok()).flatten()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3_600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_number_of_at_most_eight_digits_and_a_unit() {
        let of = |text: &str| {
            let headers = HeaderMap::from_iter([(http::HeaderName::from_static(GRPC_TIMEOUT), text.parse().ok()?)]);
            timeout_of(&headers)
        };
        assert_eq!(of("99999999H"), Some(Duration::from_hours(99_999_999)));
        assert_eq!(of("2M"), Some(Duration::from_mins(2)));
        assert_eq!(of("3S"), Some(Duration::from_secs(3)));
        assert_eq!(of("4m"), Some(Duration::from_millis(4)));
        assert_eq!(of("5u"), Some(Duration::from_micros(5)));
        assert_eq!(of("0n"), Some(Duration::ZERO));
        for text in ["", "S", "5", "5s", "+5S", "-5S", "5 S", "123456789S", "5.0S"] {
            assert_eq!(of(text), None, "{text:?}");
        }
    }
}
