use std::time::Duration;

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{QueueAnswer, Seen, SeenRequests};
use encore_domain::queue::QueueTokenPayload;
use encore_domain::request::RequestKey;
use uuid::Uuid;

use crate::connection::Redis;
use crate::reply::{end_reason, reason_byte, timestamp, unexpected};

/// How long a request is remembered. Clients do not retry a call for longer.
const REMEMBERED_FOR: Duration = Duration::from_hours(24);

/// [`SeenRequests`] as one string per request, which expires: the length of the fingerprint in one byte, the fingerprint,
/// and the answer as text.
#[derive(Clone)]
pub struct RedisSeenRequests {
    redis: Redis,
}

impl RedisSeenRequests {
    /// Stores requests in this Redis.
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }
}

#[async_trait]
impl SeenRequests for RedisSeenRequests {
    async fn find(&self, request: RequestKey) -> Result<Seen, Unavailable> {
        let mut get = redis::cmd("GET");
        get.arg(self.redis.keys.request(&request));
        seen(&request, self.redis.send(&get).await?)
    }

    async fn remember(&self, request: RequestKey, answer: QueueAnswer) -> Result<Seen, Unavailable> {
        let mut set = redis::cmd("SET");
        set.arg(self.redis.keys.request(&request)).arg(encode(&request, answer));
        set.arg("NX").arg("GET").arg("EX").arg(REMEMBERED_FOR.as_secs());
        seen(&request, self.redis.send(&set).await?)
    }
}

fn encode(request: &RequestKey, answer: QueueAnswer) -> Vec<u8> {
    let fingerprint = request.fingerprint.as_bytes();
    let answer = match answer {
        QueueAnswer::Joined(payload) => {
            let QueueTokenPayload { performance, epoch, lane, index, issued_at, needs_accessible, .. } = payload;
            let (issued_ms, accessible) = (issued_at.timestamp_millis(), u8::from(needs_accessible));
            format!("joined {performance} {epoch} {lane} {index} {issued_ms} {accessible}")
        }
        QueueAnswer::Left(reason) => format!("left {}", char::from(reason_byte(reason))),
    };
    let fingerprint_len = u8::try_from(fingerprint.len()).unwrap_or(u8::MAX);
    [&[fingerprint_len], fingerprint, answer.as_bytes()].concat()
}

fn seen(request: &RequestKey, stored: Option<Vec<u8>>) -> Result<Seen, Unavailable> {
    let Some(stored) = stored else { return Ok(Seen::New) };
    let parts = stored.split_first().and_then(|(len, rest)| rest.split_at_checked(usize::from(*len)));
    let (fingerprint, answer) =
        parts.ok_or_else(|| unexpected(format!("a stored request is cut short: {stored:?}")))?;
    if !request.fingerprint.repeats(fingerprint) {
        return Ok(Seen::Other);
    }
    let text = String::from_utf8_lossy(answer);
    let answer = decode(&text, request.user);
    answer.map(Seen::Answered).ok_or_else(|| unexpected(format!("a stored request has the answer {text:?}")))
}

fn decode(answer: &str, user: UserId) -> Option<QueueAnswer> {
    match *answer.split(' ').collect::<Vec<&str>>().as_slice() {
        ["joined", performance, epoch, lane, index, issued_ms, accessible] => {
            Some(QueueAnswer::Joined(QueueTokenPayload {
                performance: PerformanceId(Uuid::parse_str(performance).ok()?),
                user,
                epoch: epoch.parse().ok()?,
                lane: lane.parse().ok()?,
                index: index.parse().ok()?,
                issued_at: timestamp(issued_ms.parse().ok()?),
                needs_accessible: accessible == "1",
                admitted_until: None,
            }))
        }
        ["left", reason] => end_reason(reason).map(QueueAnswer::Left),
        _ => None,
    }
}
