use std::cmp::Reverse;

use async_trait::async_trait;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::identity::email_verification::{EmailVerification, NoSuchVerification, VERIFICATIONS_PER_USER_MAX};
use encore_domain::identity::session::SecretDigest;
use encore_domain::ids::UserId;
use encore_domain::ports::EmailVerifications;
use encore_domain::time::Timestamp;

use crate::records::{MemoryRecords, Records};

/// [`EmailVerifications`] in process.
pub struct MemoryEmailVerifications(MemoryRecords);

impl MemoryEmailVerifications {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl EmailVerifications for MemoryEmailVerifications {
    async fn add(&self, verification: EmailVerification) -> Result<(), Unavailable> {
        let verifications = &mut self.0.lock().users.verifications;
        verifications.insert(verification.digest, verification);
        let of_user = verifications.values().filter(|it| it.user == verification.user);
        let mut own: Vec<EmailVerification> = of_user.copied().collect();
        own.sort_by_key(|it| Reverse(it.made_at));
        for old in own.iter().skip(VERIFICATIONS_PER_USER_MAX) {
            verifications.remove(&old.digest);
        }
        Ok(())
    }

    async fn verify(&self, digest: SecretDigest, at: Timestamp) -> Result<UserId, PortError<NoSuchVerification>> {
        let Records { users, outbox, .. } = &mut *self.0.lock();
        let usable = users.verifications.get(&digest).filter(|it| at < it.expires_at);
        let user = usable.ok_or(PortError::Refused(NoSuchVerification))?.user;
        if !users.accounts.contains_key(&user) {
            return Err(PortError::Refused(NoSuchVerification));
        }
        users.verify_email(user, at, outbox);
        Ok(user)
    }

    async fn of_user(&self, user: UserId) -> Result<Vec<EmailVerification>, Unavailable> {
        let verifications = &self.0.lock().users.verifications;
        let mut own: Vec<EmailVerification> = verifications.values().filter(|it| it.user == user).copied().collect();
        own.sort_by_key(|it| Reverse(it.made_at));
        Ok(own)
    }

    async fn forget(&self, expired_by: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        let verifications = &mut self.0.lock().users.verifications;
        let expired = verifications.values().filter(|it| it.expires_at <= expired_by);
        let expired: Vec<SecretDigest> = expired.take(limit as usize).map(|it| it.digest).collect();
        for digest in &expired {
            verifications.remove(digest);
        }
        Ok(expired.len() as u64)
    }
}
