use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::Mutex;

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ids::{RequestId, UserId};
use encore_domain::ports::{Seen, SeenRequests};
use encore_domain::request::{Fingerprint, RequestKey};

use crate::lock::lock;

/// How many requests are remembered before the oldest is forgotten: about 30 MB. There is no clock here, so a busy
/// server forgets sooner than after a day, and a quiet one later.
pub const REQUESTS_REMEMBERED_MAX: usize = 200_000;

/// [`SeenRequests`] in process.
#[derive(Default)]
pub struct MemorySeenRequests(Mutex<SeenRecords>);

#[derive(Default)]
struct SeenRecords {
    fingerprints: HashMap<(UserId, RequestId), Fingerprint>,
    oldest_first: VecDeque<(UserId, RequestId)>,
}

#[async_trait]
impl SeenRequests for MemorySeenRequests {
    async fn remember(&self, request: RequestKey) -> Result<Seen, Unavailable> {
        let SeenRecords { fingerprints, oldest_first } = &mut *lock(&self.0);
        let key = (request.user, request.id);
        match fingerprints.entry(key) {
            Entry::Occupied(known) if request.fingerprint.repeats(known.get().as_bytes()) => return Ok(Seen::Same),
            Entry::Occupied(_) => return Ok(Seen::Other),
            Entry::Vacant(unknown) => unknown.insert(request.fingerprint),
        };
        oldest_first.push_back(key);
        if oldest_first.len() > REQUESTS_REMEMBERED_MAX
            && let Some(oldest) = oldest_first.pop_front()
        {
            fingerprints.remove(&oldest);
        }
        Ok(Seen::First)
    }
}

#[cfg(test)]
mod tests {
    use encore_port_tests::fixtures::{id, request};

    use super::*;

    #[tokio::test]
    async fn forgets_the_oldest_first() {
        let seen = MemorySeenRequests::default();
        let user = id();
        let requests: Vec<RequestKey> = (0..=REQUESTS_REMEMBERED_MAX).map(|_| request(user)).collect();
        for request in &requests {
            assert_eq!(seen.remember(*request).await.expect("in process"), Seen::First);
        }
        assert_eq!(seen.remember(requests[1]).await.expect("in process"), Seen::Same);
        assert_eq!(seen.remember(requests[0]).await.expect("in process"), Seen::First);
        assert_eq!(seen.remember(requests[1]).await.expect("in process"), Seen::First, "it was the oldest then");
        assert_eq!(lock(&seen.0).fingerprints.len(), REQUESTS_REMEMBERED_MAX);
    }
}
