//! The layer that paces each fan: beyond so many calls a second, a call waits for its turn, so that nobody takes the processor of
//! the others. Operators are not paced.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use encore_domain::identity::{Caller, Role};
use encore_domain::ids::UserId;
use encore_domain::rate_limit::{RateLimit, RateLimited};
use encore_domain::time::Timestamp;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use tokio::time::{Instant, sleep};
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
            match pace.take(user, pace.now()) {
                Some(Duration::ZERO) => {}
                Some(wait) => sleep(wait).await,
                None => {
                    sleep(WAIT_MAX).await;
                    return Ok(rate_limited(Quota::CallsPerSecond).into_http());
                }
            }
            let response = inner.call(request).await?;
            if is_refused(response.headers()) {
                pace.charge_refusal(user, pace.now());
            }
            Ok(response)
        })
    }
}

/// Whether a response refuses the call. The status of one that is an error alone is in its head. What the server failed to do is
/// not charged to the caller.
fn is_refused(head: &HeaderMap) -> bool {
    let Some(code) = head.get(Status::GRPC_STATUS) else { return false };
    match Code::from_bytes(code.as_bytes()) {
        Code::Ok | Code::Unavailable | Code::Internal | Code::Unknown | Code::DataLoss | Code::DeadlineExceeded => {
            false
        }
        Code::Cancelled
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => true,
    }
}

/// How far each user is ahead.
struct Pace {
    limit: RateLimit,
    /// Times are counted from here, so that a clock that is set changes nothing.
    began: Instant,
    users: Mutex<Users>,
}

struct Users {
    /// When all of a user's calls have run out. One without an entry has made none for a while.
    empty_at: HashMap<UserId, Timestamp>,
    forget_at: usize,
}

impl Pace {
    fn new(calls_per_second: u32) -> Self {
        let limit = RateLimit {
            burst: calls_per_second.max(1).saturating_mul(BURST_SECONDS),
            ..RateLimit::per(calls_per_second, Duration::from_secs(1))
        };
        let users = Users { empty_at: HashMap::new(), forget_at: FORGET_FROM };
        Self { limit, began: Instant::now(), users: Mutex::new(users) }
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.began.elapsed()
    }

    /// How long a call waits for its turn, at most [`WAIT_MAX`]; none, and no turn is taken, if it would be longer.
    fn take(&self, user: UserId, now: Timestamp) -> Option<Duration> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let before = users.empty_at.get(&user).copied();
        let wait = match self.limit.take(before, now) {
            Ok(_) => Duration::ZERO,
            Err(RateLimited(wait)) if wait <= WAIT_MAX => wait,
            Err(RateLimited(_)) => return None,
        };
        let after = self.limit.take(before, now + wait).ok()?;
        users.forget_before(now);
        users.empty_at.insert(user, after);
        Some(wait)
    }

    /// Counts a refused call for more than one. No call waits for longer than [`WAIT_MAX`] for that alone.
    fn charge_refusal(&self, user: UserId, now: Timestamp) {
        let RateLimit { burst, every } = self.limit;
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let empty_at = users.empty_at.entry(user).or_insert(now);
        let charged = (*empty_at).max(now) + every * (REFUSED_COUNTS_AS - 1);
        let next_waits_most = now + every * (burst - 1) + WAIT_MAX;
        *empty_at = charged.min(next_waits_most).max(*empty_at);
    }
}

impl Users {
    fn forget_before(&mut self, now: Timestamp) {
        if self.empty_at.len() >= self.forget_at {
            self.empty_at.retain(|_, empty_at| *empty_at > now);
            self.forget_at = (self.empty_at.len() * 2).max(FORGET_FROM);
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

    const START: Timestamp = Timestamp::UNIX_EPOCH;
    const NO_WAIT: Option<Duration> = Some(Duration::ZERO);

    /// Ten calls a second and twenty at once, which were made.
    fn used_up() -> Pace {
        let pace = Pace::new(10);
        for number in 0..20 {
            assert_eq!(pace.take(ONE, START), NO_WAIT, "call {number}");
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
        for _ in 0..20 {
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
        let mut waits = Vec::new();
        for _ in 0..6 {
            waits.push(called(&service, fan).await.0.as_millis());
        }
        assert_eq!(waits, [0, 0, 100, 1_000, 1_000, 1_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_fails_to_do_is_not_charged() {
        let limits = ConnectionLimits { calls_per_user_per_second: 10, ..ConnectionLimits::default() };
        let fails =
            service_fn(|_: Request<Body>| async { Ok::<_, Status>(Status::unavailable("no store").into_http()) });
        let service = PaceLayer::new(&limits).layer(fails);
        for _ in 0..20 {
            assert_eq!(called(&service, Caller { user: ONE, role: Role::Fan }).await, (Duration::ZERO, false));
        }
    }

    #[test]
    fn a_pace_of_zero_is_one_a_second() {
        let pace = Pace::new(0);
        assert_eq!(pace.take(ONE, START), NO_WAIT);
    }

    #[test]
    fn beyond_the_pace_a_call_waits_for_its_turn_and_nobody_elses() {
        let pace = used_up();
        assert_eq!(
            [(); 2].map(|()| pace.take(ONE, START)),
            [Some(Duration::from_millis(100)), Some(Duration::from_millis(200))]
        );
        assert_eq!(pace.take(OTHER, START), NO_WAIT);
        assert_eq!(pace.take(ONE, START + Duration::from_millis(300)), NO_WAIT, "the pace goes on");
    }

    #[test]
    fn a_call_that_would_wait_for_too_long_takes_no_turn() {
        let pace = used_up();
        let waits = (0..10).filter_map(|_| pace.take(ONE, START)).count();
        assert_eq!(waits, 10);
        assert_eq!([(); 3].map(|()| pace.take(ONE, START)), [None; 3]);
        assert_eq!(pace.take(ONE, START + Duration::from_secs(1)), Some(Duration::from_millis(100)));
    }

    #[test]
    fn a_refused_call_counts_as_ten() {
        let pace = Pace::new(10);
        for _ in 0..2 {
            assert_eq!(pace.take(ONE, START), NO_WAIT);
            pace.charge_refusal(ONE, START);
        }
        assert_eq!(pace.take(ONE, START), Some(Duration::from_millis(100)));
        for _ in 0..100 {
            pace.charge_refusal(ONE, START);
        }
        assert_eq!(pace.take(ONE, START), Some(WAIT_MAX), "refusals alone make no call wait for longer");
    }

    #[test]
    fn who_has_not_called_for_a_while_takes_no_memory() {
        let pace = Pace::new(10);
        for number in 0..=FORGET_FROM {
            pace.take(UserId(Uuid::from_u128(number as u128)), START + Duration::from_secs(number as u64));
        }
        assert!(pace.users.lock().expect("no panic").empty_at.len() < 10);
    }
}
