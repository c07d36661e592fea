use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use encore_domain::identity::session::SessionRecord;
use encore_domain::ids::{SessionId, UserId};
use encore_domain::ports::EndedSession;
use encore_domain::time::Timestamp;

#[derive(Default)]
pub struct SessionRecords {
    /// Those that have not ended.
    pub live: HashMap<SessionId, SessionRecord>,
    /// Those that have.
    pub ended: BTreeSet<EndedSession>,
}

impl SessionRecords {
    /// The sessions of a user that have not ended, the last refreshed first.
    pub fn of_user(&self, user: UserId) -> Vec<&SessionRecord> {
        let mut own: Vec<_> = self.live.values().filter(|record| record.session.user == user).collect();
        own.sort_by_key(|record| Reverse((record.session.refreshed_at, record.session.id)));
        own
    }

    /// Ends a session. Returns whether it had not ended.
    pub fn end(&mut self, id: SessionId, ended_at: Timestamp) -> bool {
        let was_live = self.live.remove(&id).is_some();
        if was_live {
            self.ended.insert(EndedSession { ended_at, id });
        }
        was_live
    }

    /// Ends all sessions of a user but one.
    pub fn end_all_but(&mut self, user: UserId, kept: Option<SessionId>, at: Timestamp) -> Vec<SessionId> {
        let ids: Vec<SessionId> = self.of_user(user).iter().map(|record| record.session.id).collect();
        ids.into_iter().filter(|id| Some(*id) != kept && self.end(*id, at)).collect()
    }
}
