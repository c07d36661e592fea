use std::cmp::Reverse;

use async_trait::async_trait;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::identity::PasswordHash;
use encore_domain::identity::password_reset::{NoSuchReset, PasswordReset, RESETS_PER_USER_MAX};
use encore_domain::identity::session::SecretDigest;
use encore_domain::ids::{SessionId, UserId};
use encore_domain::ports::PasswordResets;
use encore_domain::time::Timestamp;

use crate::records::{MemoryRecords, Records};

/// [`PasswordResets`] in process.
pub struct MemoryPasswordResets(MemoryRecords);

impl MemoryPasswordResets {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl PasswordResets for MemoryPasswordResets {
    async fn add(&self, reset: PasswordReset) -> Result<(), Unavailable> {
        let resets = &mut self.0.lock().users.resets;
        resets.insert(reset.digest, reset);
        let mut own: Vec<PasswordReset> = resets.values().filter(|it| it.user == reset.user).copied().collect();
        own.sort_by_key(|it| Reverse(it.made_at));
        for old in own.iter().skip(RESETS_PER_USER_MAX) {
            resets.remove(&old.digest);
        }
        Ok(())
    }

    async fn find(&self, digest: SecretDigest, at: Timestamp) -> Result<Option<UserId>, Unavailable> {
        let users = &self.0.lock().users;
        let usable = users.resets.get(&digest).filter(|reset| at < reset.expires_at).map(|reset| reset.user);
        Ok(usable.filter(|user| users.accounts.contains_key(user)))
    }

    async fn set_password(
        &self,
        digest: SecretDigest,
        password_hash: PasswordHash,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, PortError<NoSuchReset>> {
        let Records { users, sessions, outbox, .. } = &mut *self.0.lock();
        let reset = users.resets.get(&digest).filter(|reset| at < reset.expires_at);
        let user = reset.ok_or(PortError::Refused(NoSuchReset))?.user;
        let account = users.accounts.get_mut(&user).ok_or(PortError::Refused(NoSuchReset))?;
        account.password_hash = password_hash;
        users.resets.retain(|_, reset| reset.user != user);
        users.verify_email(user, at, outbox);
        Ok(sessions.end_all_but(user, None, at))
    }

    async fn of_user(&self, user: UserId) -> Result<Vec<PasswordReset>, Unavailable> {
        let resets = &self.0.lock().users.resets;
        let mut own: Vec<PasswordReset> = resets.values().filter(|it| it.user == user).copied().collect();
        own.sort_by_key(|it| Reverse(it.made_at));
        Ok(own)
    }

    async fn forget(&self, expired_by: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        let resets = &mut self.0.lock().users.resets;
        let expired = resets.values().filter(|reset| reset.expires_at <= expired_by);
        let expired: Vec<SecretDigest> = expired.take(limit as usize).map(|reset| reset.digest).collect();
        for digest in &expired {
            resets.remove(digest);
        }
        Ok(expired.len() as u64)
    }
}
