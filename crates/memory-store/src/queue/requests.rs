use std::collections::{HashMap, VecDeque};

use encore_domain::ids::{RequestId, UserId};
use encore_domain::ports::{REQUESTS_KEPT, RequestReused};
use encore_domain::request::{Fingerprint, RequestKey};

use super::Member;

/// The latest requests of each fan to join or to leave a queue.
#[derive(Default)]
pub struct Requests(HashMap<UserId, VecDeque<Kept>>);

struct Kept {
    id: RequestId,
    fingerprint: Fingerprint,
    /// The token that the request gave out; none if the fan asked to leave.
    token: Option<Member>,
}

impl Requests {
    /// The token that an earlier join with this request gave out.
    pub fn joined(&self, request: &RequestKey) -> Result<Option<Member>, RequestReused> {
        match self.find(request)? {
            Some(kept) => kept.token.map(Some).ok_or(RequestReused),
            None => Ok(None),
        }
    }

    /// Keeps a request, unless it is kept. The oldest one of the fan is dropped.
    pub fn keep(&mut self, request: &RequestKey, token: Option<Member>) -> Result<(), RequestReused> {
        if self.find(request)?.is_some() {
            return Ok(());
        }
        let of_fan = self.0.entry(request.user).or_default();
        of_fan.push_back(Kept { id: request.id, fingerprint: request.fingerprint, token });
        if of_fan.len() > REQUESTS_KEPT {
            of_fan.pop_front();
        }
        Ok(())
    }

    fn find(&self, request: &RequestKey) -> Result<Option<&Kept>, RequestReused> {
        let kept = self.0.get(&request.user).into_iter().flatten().find(|kept| kept.id == request.id);
        let repeats = |kept: &&Kept| request.fingerprint.repeats(kept.fingerprint.as_bytes());
        match kept {
            Some(kept) => Some(kept).filter(repeats).map(Some).ok_or(RequestReused),
            None => Ok(None),
        }
    }
}
