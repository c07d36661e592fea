//! The body of a request: it must come in time, and its bytes count as in flight until the call is answered.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use encore_domain::identity::{Caller, Role};
use http_body::Frame;
use prost::bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;

use crate::connections::{Budget, BytesInFlight};
use crate::status::{Quota, body_overdue, rate_limited};

/// How long the body of an operator may take: a seating plan has up to 64 MiB.
const OPERATOR_BODY_TIMEOUT: Duration = Duration::from_mins(5);

/// The limits of a body.
#[derive(Clone, Copy)]
pub(super) struct BodyLimits {
    /// From the head to the end of the body.
    timeout: Duration,
    /// None for operators, whose messages are large.
    budget: Option<Budget>,
}

impl BodyLimits {
    pub(super) fn of(caller: Option<Caller>, timeout: Duration, budget: Budget) -> Self {
        match caller {
            Some(Caller { role: Role::Operator, .. }) => Self { timeout: OPERATOR_BODY_TIMEOUT, budget: None },
            Some(_) | None => Self { timeout, budget: Some(budget) },
        }
    }
}

pub(super) struct RequestBody {
    body: Body,
    in_flight: Arc<BytesInFlight>,
    limits: BodyLimits,
    began: Instant,
    /// Set when the body is waited for. Most come with their head.
    overdue: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    pub(super) fn new(body: Body, in_flight: Arc<BytesInFlight>, limits: BodyLimits) -> Self {
        Self { body, in_flight, limits, began: Instant::now(), overdue: None }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref).map(Bytes::len);
            this.in_flight.grow(bytes.unwrap_or_default());
            if this.limits.budget.is_some_and(|budget| !this.in_flight.fits(budget)) {
                return Poll::Ready(Some(Err(rate_limited(Quota::BytesInFlight))));
            }
            return Poll::Ready(frame);
        }
        let due = this.began + this.limits.timeout;
        let overdue = this.overdue.get_or_insert_with(|| Box::pin(sleep_until(due)));
        overdue.as_mut().poll(context).map(|()| Some(Err(body_overdue())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
