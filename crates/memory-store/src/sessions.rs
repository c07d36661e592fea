use std::ops::Bound;

use async_trait::async_trait;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::identity::Account;
use encore_domain::identity::session::{
    NextToken, RefreshPlan, SESSIONS_PER_USER_MAX, Session, SessionRecord, SessionTerms, ShownToken,
};
use encore_domain::ids::{SessionId, UserId};
use encore_domain::ports::{AccountChanged, EndedSession, Refreshed, Sessions};
use encore_domain::time::Timestamp;

use crate::records::{MemoryRecords, Records};

/// [`Sessions`] in process.
pub struct MemorySessions(MemoryRecords);

impl MemorySessions {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl Sessions for MemorySessions {
    async fn start(
        &self,
        record: SessionRecord,
        account: &Account,
    ) -> Result<Vec<SessionId>, PortError<AccountChanged>> {
        let Records { users, sessions, .. } = &mut *self.0.lock();
        let unchanged = users.accounts.get(&account.user.id).is_some_and(|stored| {
            stored.password_hash == account.password_hash && stored.user.role == account.user.role
        });
        if !unchanged {
            return Err(PortError::Refused(AccountChanged));
        }
        let at = record.session.started_at;
        let others = sessions.of_user(record.session.user);
        let ended: Vec<SessionId> =
            others.iter().skip(SESSIONS_PER_USER_MAX - 1).map(|record| record.session.id).collect();
        for id in &ended {
            sessions.end(*id, at);
        }
        sessions.live.insert(record.session.id, record);
        Ok(ended)
    }

    async fn refresh(
        &self,
        shown: ShownToken,
        next: NextToken,
        at: Timestamp,
        terms: &SessionTerms,
    ) -> Result<Refreshed, Unavailable> {
        let sessions = &mut self.0.lock().sessions;
        let Some(record) = sessions.live.get_mut(&shown.session) else { return Ok(Refreshed::Refused) };
        Ok(match record.plan_refresh(&shown, next, at, terms) {
            RefreshPlan::Rotate(rotated) => {
                *record = *rotated;
                Refreshed::Rotated(record.session.clone())
            }
            RefreshPlan::Repeat => Refreshed::Again(record.session.clone(), record.chain.current.salt),
            RefreshPlan::Replay => {
                let session = record.session.clone();
                sessions.end(session.id, at);
                Refreshed::Replayed(session)
            }
            RefreshPlan::Refuse => Refreshed::Refused,
        })
    }

    async fn end(&self, user: UserId, session: SessionId, at: Timestamp) -> Result<bool, Unavailable> {
        let sessions = &mut self.0.lock().sessions;
        let is_own = sessions.live.get(&session).is_some_and(|record| record.session.user == user);
        Ok(is_own && sessions.end(session, at))
    }

    async fn end_all(&self, user: UserId, at: Timestamp) -> Result<Vec<SessionId>, Unavailable> {
        Ok(self.0.lock().sessions.end_all_but(user, None, at))
    }

    async fn live(&self, user: UserId, at: Timestamp) -> Result<Vec<Session>, Unavailable> {
        let sessions = &self.0.lock().sessions;
        let own = sessions.of_user(user).into_iter().map(|record| record.session.clone());
        Ok(own.filter(|session| at < session.expires_at).collect())
    }

    async fn ended_after(&self, after: EndedSession, limit: u32) -> Result<Vec<EndedSession>, Unavailable> {
        let sessions = &self.0.lock().sessions;
        let later = sessions.ended.range((Bound::Excluded(after), Bound::Unbounded));
        Ok(later.take(limit as usize).copied().collect())
    }

    async fn expire(&self, at: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        let sessions = &mut self.0.lock().sessions;
        let due = sessions.live.values().filter(|record| record.session.expires_at <= at);
        let due: Vec<SessionId> = due.take(limit as usize).map(|record| record.session.id).collect();
        Ok(due.into_iter().filter(|id| sessions.end(*id, at)).count() as u64)
    }

    async fn forget(&self, ended_by: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        let ended = &mut self.0.lock().sessions.ended;
        let mut forgotten = 0;
        while forgotten < u64::from(limit) && ended.first().is_some_and(|first| first.ended_at <= ended_by) {
            ended.pop_first();
            forgotten += 1;
        }
        Ok(forgotten)
    }
}
