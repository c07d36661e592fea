//! The sessions that have ended and whose access tokens have not expired. Each call is compared with them in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use encore_domain::ids::SessionId;
use encore_domain::time::Timestamp;
use tokio_util::sync::CancellationToken;

/// What this instance knows of ended sessions, and the streams that end with theirs. Clones share it.
///
/// An entry takes about 50 bytes and lives for a day, as long as any access token can. Each was a log-in once, which cost a password
/// hash, so their number is bounded by what the cores hash in that time.
#[derive(Clone, Default)]
pub struct EndedSessions(Arc<State>);

#[derive(Default)]
struct State {
    /// Until when each is remembered.
    ended: RwLock<HashMap<SessionId, Timestamp>>,
    /// The sessions with open streams.
    open: Mutex<HashMap<SessionId, Open>>,
}

struct Open {
    ends: CancellationToken,
    streams: usize,
}

/// A stream that ends with its session.
pub struct SessionWatch {
    session: SessionId,
    ends: CancellationToken,
    sessions: EndedSessions,
}

impl EndedSessions {
    /// Whether a session has ended.
    pub fn contains(&self, session: SessionId) -> bool {
        self.0.ended.read().unwrap_or_else(PoisonError::into_inner).contains_key(&session)
    }

    /// Watches a session, for a stream.
    pub fn watch(&self, session: SessionId) -> SessionWatch {
        let ends = {
            let mut open = self.open();
            let open = open.entry(session).or_insert_with(|| Open { ends: CancellationToken::new(), streams: 0 });
            open.streams += 1;
            open.ends.clone()
        };
        // After the entry was made: a session that ends meanwhile finds it.
        if self.contains(session) {
            ends.cancel();
        }
        SessionWatch { session, ends, sessions: self.clone() }
    }

    /// Adds a session, which is remembered until its last access token has expired, and ends its streams.
    pub(super) fn add(&self, session: SessionId, until: Timestamp) {
        let known = self.0.ended.write().unwrap_or_else(PoisonError::into_inner).insert(session, until);
        if known.is_none()
            && let Some(open) = self.open().get(&session)
        {
            open.ends.cancel();
        }
    }

    /// Forgets the sessions whose access tokens have expired.
    pub(super) fn forget(&self, now: Timestamp) {
        self.0.ended.write().unwrap_or_else(PoisonError::into_inner).retain(|_, until| now < *until);
    }

    fn open(&self) -> MutexGuard<'_, HashMap<SessionId, Open>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionWatch {
    /// Is cancelled when the session ends.
    pub fn ends(&self) -> &CancellationToken {
        &self.ends
    }
}

impl Drop for SessionWatch {
    fn drop(&mut self) {
        let mut open = self.sessions.open();
        if let Some(watched) = open.get_mut(&self.session) {
            watched.streams -= 1;
            if watched.streams == 0 {
                open.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn session(n: u128) -> SessionId {
        SessionId(Uuid::from_u128(n))
    }

    #[test]
    fn a_session_is_remembered_until_its_last_token_expires() {
        let ended = EndedSessions::default();
        let until = NOW + Duration::from_mins(10);
        ended.add(session(1), until);
        ended.forget(until - Duration::from_millis(1));
        assert!(ended.contains(session(1)) && !ended.contains(session(2)));
        ended.forget(until);
        assert!(!ended.contains(session(1)));
    }

    #[test]
    fn every_stream_of_an_ended_session_ends_and_no_other() {
        let ended = EndedSessions::default();
        let streams = [ended.watch(session(1)), ended.watch(session(1)), ended.watch(session(2))];
        ended.add(session(1), NOW);
        assert_eq!(streams.each_ref().map(|stream| stream.ends().is_cancelled()), [true, true, false]);
        assert!(ended.watch(session(1)).ends().is_cancelled(), "one that is opened afterwards");
    }

    #[test]
    fn closed_streams_leave_nothing_behind() {
        let ended = EndedSessions::default();
        let (first, second) = (ended.watch(session(1)), ended.watch(session(1)));
        drop(first);
        assert_eq!(ended.open().len(), 1);
        drop(second);
        assert!(ended.open().is_empty());
    }
}
