use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ids::{RequestId, UserId};
use encore_domain::ports::{QueueAnswer, Seen, SeenRequests};
use encore_domain::request::{Fingerprint, RequestKey};

use crate::lock::lock;

/// The most requests that are remembered, about 30 MB. Beyond it the oldest is forgotten, however old it is: requests
/// do not expire after a time.
pub const REQUESTS_REMEMBERED_MAX: usize = 200_000;

/// [`SeenRequests`] in process.
#[derive(Default)]
pub struct MemorySeenRequests(Mutex<SeenRecords>);

#[derive(Default)]
struct SeenRecords {
    answers: HashMap<(UserId, RequestId), (Fingerprint, QueueAnswer)>,
    oldest_first: VecDeque<(UserId, RequestId)>,
}

impl SeenRecords {
    fn find(&self, request: &RequestKey) -> Seen {
        match self.answers.get(&(request.user, request.id)) {
            None => Seen::New,
            Some((known, answer)) if request.fingerprint.repeats(known.as_bytes()) => Seen::Answered(*answer),
            Some(_) => Seen::Other,
        }
    }
}

#[async_trait]
impl SeenRequests for MemorySeenRequests {
    async fn find(&self, request: RequestKey) -> Result<Seen, Unavailable> {
        Ok(lock(&self.0).find(&request))
    }

    async fn remember(&self, request: RequestKey, answer: QueueAnswer) -> Result<Seen, Unavailable> {
        let records = &mut *lock(&self.0);
        let seen = records.find(&request);
        if seen != Seen::New {
            return Ok(seen);
        }
        let key = (request.user, request.id);
        records.answers.insert(key, (request.fingerprint, answer));
        records.oldest_first.push_back(key);
        if records.oldest_first.len() > REQUESTS_REMEMBERED_MAX
            && let Some(oldest) = records.oldest_first.pop_front()
        {
            records.answers.remove(&oldest);
        }
        Ok(Seen::New)
    }
}

#[cfg(test)]
mod tests {
    use encore_domain::queue::EndReason;
    use encore_port_tests::fixtures::{id, request};

    use super::*;

    #[tokio::test]
    async fn the_oldest_request_is_forgotten_first() {
        let seen = MemorySeenRequests::default();
        let user = id();
        let requests: Vec<RequestKey> = (0..=REQUESTS_REMEMBERED_MAX).map(|_| request(user)).collect();
        let answer = QueueAnswer::Left(EndReason::Left);
        let remember = async |request| seen.remember(request, answer).await.expect("the store is available");
        for request in &requests {
            assert_eq!(remember(*request).await, Seen::New);
        }
        assert_eq!(remember(requests[1]).await, Seen::Answered(answer));
        assert_eq!(remember(requests[0]).await, Seen::New);
        assert_eq!(remember(requests[1]).await, Seen::New, "it was the oldest");
        assert_eq!(lock(&seen.0).answers.len(), REQUESTS_REMEMBERED_MAX);
    }
}
