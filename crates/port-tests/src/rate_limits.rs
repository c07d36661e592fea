//! The cases of [`RateLimits`](encore_domain::ports::RateLimits).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::time::Duration;

use encore_domain::error::PortError;
use encore_domain::rate_limit::{LimitKey, RateLimit, RateLimited};
use encore_domain::time::Timestamp;
use futures::future::join_all;
use uuid::Uuid;

use crate::SpeedBench;
use crate::fixtures::{at_secs, id};

/// Stamps the cases of the port `RateLimits`.
#[macro_export]
macro_rules! rate_limits {
    ($($with:tt)+) => {
        $crate::suite! { rate_limits [
            takes_a_burst_and_then_one_at_a_time,
            a_refusal_takes_nothing,
            keys_are_apart,
            takes_no_more_at_once_than_one_after_the_other,
        ] $($with)+ }
    };
}

const LIMIT: RateLimit = RateLimit { burst: 3, every: Duration::from_secs(10) };

fn key() -> LimitKey {
    let subject: Uuid = id();
    LimitKey::new("test", &subject.to_string())
}

impl SpeedBench {
    /// Takes one. Returns how long to wait if that is refused.
    async fn take_one(&self, key: &LimitKey, now: Timestamp) -> Option<Duration> {
        match self.rate_limits.take(key, LIMIT, now).await {
            Ok(()) => None,
            Err(PortError::Refused(RateLimited(wait))) => Some(wait),
            Err(PortError::Unavailable(unavailable)) => panic!("the store answers: {unavailable}"),
        }
    }
}

pub async fn takes_a_burst_and_then_one_at_a_time(bench: SpeedBench) {
    let key = key();
    for _ in 0..3 {
        assert_eq!(bench.take_one(&key, at_secs(0)).await, None);
    }
    assert_eq!(bench.take_one(&key, at_secs(0)).await, Some(Duration::from_secs(10)));
    assert_eq!(bench.take_one(&key, at_secs(10)).await, None);
    assert_eq!(bench.take_one(&key, at_secs(10)).await, Some(Duration::from_secs(10)));
    assert_eq!(bench.take_one(&key, at_secs(40)).await, None, "after a quiet time");
}

pub async fn a_refusal_takes_nothing(bench: SpeedBench) {
    let key = key();
    for _ in 0..3 {
        assert_eq!(bench.take_one(&key, at_secs(0)).await, None);
    }
    for second in 0..4 {
        assert_eq!(bench.take_one(&key, at_secs(second)).await, Some(Duration::from_secs(10 - second)));
    }
    assert_eq!(bench.take_one(&key, at_secs(10)).await, None);
}

pub async fn keys_are_apart(bench: SpeedBench) {
    let (one, other) = (key(), key());
    for _ in 0..4 {
        bench.take_one(&one, at_secs(0)).await;
    }
    assert_eq!(bench.take_one(&other, at_secs(0)).await, None);
}

pub async fn takes_no_more_at_once_than_one_after_the_other(bench: SpeedBench) {
    let key = key();
    let answers = join_all((0..20).map(|_| bench.take_one(&key, at_secs(0)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_none()).count(), 3);
}
