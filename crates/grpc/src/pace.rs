//! The layer that paces each fan: beyond so many calls a second, a call waits for its turn, so that nobody takes the processor of
//! the others. Operators are not paced.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use encore_domain::identity::{Caller, Role};
use encore_domain::ids::UserId;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use tokio::time::{Instant, sleep, sleep_until};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::connections::ConnectionLimits;
use crate::status::{Quota, rate_limited};

/// How many seconds' worth of calls may come at once.
const BURST_SECONDS: u32 = 2;
/// A call that is refused counts as this many: who asks again at once for what was refused has less left than others.
const REFUSED_COUNTS_AS: u32 = 10;
/// How long a call waits for its turn at most. One that would wait for longer is refused after this time, and not at once: a
/// client that repeats it at once would only be answered more often.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(1);
/// Users whose turn is in the past are forgotten when there are this many, and whenever their number has doubled.
const FORGET_FROM: usize = 1024;

/// Paces the calls of each fan.
#[derive(Clone)]
pub(crate) struct PaceLayer {
    pace: Arc<Pace>,
}

impl PaceLayer {
    pub(crate) fn new(limits: &ConnectionLimits) -> Self {
        Self { pace: Arc::new(Pace::new(limits.calls_per_user_per_second)) }
    }
}

impl<S> Layer<S> for PaceLayer {
    type Service = Paced<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Paced { pace: Arc::clone(&self.pace), inner }
    }
}

/// A service that each fan calls at most at a pace.
#[derive(Clone)]
pub(crate) struct Paced<S> {
    pace: Arc<Pace>,
    inner: S,
}

impl<S> Service<Request<Body>> for Paced<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let user = match request.extensions().get::<Caller>() {
            Some(Caller { role: Role::Fan, user }) => *user,
            Some(_) | None => return Box::pin(self.inner.call(request)),
        };
        let pace = Arc::clone(&self.pace);
        // The clone is for later calls: only this service is known to be ready.
        let unready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, unready);
        Box::pin(async move {
            match pace.take(user, Instant::now()) {
                Turn::Now => {}
                Turn::At(turn) => sleep_until(turn).await,
                Turn::TooLate => {
                    sleep(WAIT_MAX).await;
                    return Ok(rate_limited(Quota::CallsPerSecond).into_http());
                }
            }
            let response = inner.call(request).await?;
            if is_refused(response.headers()) {
                pace.charge_refusal(user, Instant::now());
            }
            Ok(response)
        })
    }
}

/// Whether a response is an error alone: its status is then in its head.
fn is_refused(head: &HeaderMap) -> bool {
    Status::from_header_map(head).is_some_and(|status| status.code() != Code::Ok)
}

/// When a call may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Now,
    /// After a wait of at most [`WAIT_MAX`].
    At(Instant),
    TooLate,
}

/// The generic cell rate algorithm (ITU-T I.371), with waiting.
struct Pace {
    /// From one call of a user to the next.
    every: Duration,
    /// How far ahead of the pace a user's calls may be.
    burst: Duration,
    users: Mutex<Users>,
}

struct Users {
    /// When the next call of a user is due at the pace; the time of calls made since then if there is no entry.
    due: HashMap<UserId, Instant>,
    forget_at: usize,
}

impl Pace {
    fn new(calls_per_second: u32) -> Self {
        let every = Duration::from_secs(1) / calls_per_second.max(1);
        let users = Users { due: HashMap::new(), forget_at: FORGET_FROM };
        Self { every, burst: Duration::from_secs(1) * BURST_SECONDS, users: Mutex::new(users) }
    }

    /// The turn of a call. One that is too late takes none.
    fn take(&self, user: UserId, now: Instant) -> Turn {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.forget_before(now);
        let due = users.due.entry(user).or_insert(now);
        let next = (*due).max(now);
        let wait = next.saturating_duration_since(now + self.burst);
        if wait > WAIT_MAX {
            return Turn::TooLate;
        }
        *due = next + self.every;
        if wait.is_zero() { Turn::Now } else { Turn::At(now + wait) }
    }

    /// Counts a refused call for more than one. No call waits for longer than [`WAIT_MAX`] for that alone.
    fn charge_refusal(&self, user: UserId, now: Instant) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let due = users.due.entry(user).or_insert(now);
        let charged = (*due).max(now) + self.every * (REFUSED_COUNTS_AS - 1);
        *due = charged.min(now + self.burst + WAIT_MAX).max(*due);
    }
}

impl Users {
    fn forget_before(&mut self, now: Instant) {
        if self.due.len() >= self.forget_at {
            self.due.retain(|_, due| *due > now);
            self.forget_at = (self.due.len() * 2).max(FORGET_FROM);
        }
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt, service_fn};
    use uuid::Uuid;

    use super::*;

    const ONE: UserId = UserId(Uuid::from_u128(1));
    const OTHER: UserId = UserId(Uuid::from_u128(2));

    /// Ten calls a second, twenty at once and the first.
    fn used_up(now: Instant) -> Pace {
        let pace = Pace::new(10);
        for number in 0..=20 {
            assert_eq!(pace.take(ONE, now), Turn::Now, "call {number}");
        }
        pace
    }

    /// How long the answer takes, and whether the call was refused for its pace.
    async fn called<S>(service: &S, caller: Caller) -> (Duration, bool)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Status> + Clone,
    {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(caller);
        let began = Instant::now();
        let response = service.clone().oneshot(request).await.expect("a response");
        let status = Status::from_header_map(response.headers());
        (began.elapsed(), status.is_some_and(|status| status.code() == Code::ResourceExhausted))
    }

    #[tokio::test(start_paused = true)]
    async fn fans_wait_at_the_layer_and_operators_do_not() {
        let limits = ConnectionLimits { calls_per_user_per_second: 10, ..ConnectionLimits::default() };
        let answers = service_fn(|_: Request<Body>| async { Ok::<_, Status>(Response::new(Body::empty())) });
        let service = PaceLayer::new(&limits).layer(answers);
        let (fan, operator) = (Caller { user: ONE, role: Role::Fan }, Caller { user: OTHER, role: Role::Operator });
        for _ in 0..=20 {
            assert_eq!(called(&service, fan).await, (Duration::ZERO, false));
        }
        assert_eq!(called(&service, fan).await, (Duration::from_millis(100), false));
        for _ in 0..40 {
            assert_eq!(called(&service, operator).await, (Duration::ZERO, false));
        }
        let many = futures::future::join_all((0..12).map(|_| called(&service, fan))).await;
        assert_eq!(many.iter().filter(|(_, is_refused)| *is_refused).count(), 2);
        assert!(many.iter().all(|(wait, _)| *wait <= WAIT_MAX));
        assert_eq!(many.last(), Some(&(WAIT_MAX, true)), "a refusal is held back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_fan_who_is_refused_again_and_again_is_slowed() {
        let limits = ConnectionLimits { calls_per_user_per_second: 10, ..ConnectionLimits::default() };
        let refuses = service_fn(|_: Request<Body>| async { Ok::<_, Status>(Status::aborted("no").into_http()) });
        let service = PaceLayer::new(&limits).layer(refuses);
        let fan = Caller { user: ONE, role: Role::Fan };
        let began = Instant::now();
        for _ in 0..10 {
            called(&service, fan).await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(7), "ten calls that count as a hundred, thirty of them ahead");
    }

    #[test]
    fn beyond_the_pace_a_call_waits_for_its_turn_and_nobody_elses() {
        let now = Instant::now();
        let pace = used_up(now);
        let turns = [(); 2].map(|()| pace.take(ONE, now));
        assert_eq!(turns, [100, 200].map(|wait| Turn::At(now + Duration::from_millis(wait))));
        assert_eq!(pace.take(OTHER, now), Turn::Now);
        assert_eq!(pace.take(ONE, now + Duration::from_millis(300)), Turn::Now, "the pace goes on");
    }

    #[test]
    fn a_call_that_would_wait_for_too_long_takes_no_turn() {
        let now = Instant::now();
        let pace = used_up(now);
        let waits = (0..10).map(|_| pace.take(ONE, now)).filter(|turn| matches!(turn, Turn::At(_))).count();
        assert_eq!(waits, 10);
        assert_eq!([(); 3].map(|()| pace.take(ONE, now)), [Turn::TooLate; 3]);
        assert_eq!(pace.take(ONE, now + Duration::from_secs(1)), Turn::At(now + Duration::from_millis(1_100)));
    }

    #[test]
    fn a_refused_call_counts_as_ten() {
        let now = Instant::now();
        let pace = Pace::new(10);
        for _ in 0..2 {
            assert_eq!(pace.take(ONE, now), Turn::Now);
            pace.charge_refusal(ONE, now);
        }
        assert_eq!([(); 2].map(|()| pace.take(ONE, now)), [Turn::Now, Turn::At(now + Duration::from_millis(100))]);
        for _ in 0..100 {
            pace.charge_refusal(ONE, now);
        }
        let waits_most = Turn::At(now + WAIT_MAX);
        assert_eq!(pace.take(ONE, now), waits_most, "refusals alone make no call wait for longer");
    }

    #[test]
    fn who_has_not_called_for_a_while_takes_no_memory() {
        let now = Instant::now();
        let pace = Pace::new(10);
        for number in 0..=FORGET_FROM {
            pace.take(UserId(Uuid::from_u128(number as u128)), now + Duration::from_secs(number as u64));
        }
        assert!(pace.users.lock().expect("no panic").due.len() < 10);
    }
}
