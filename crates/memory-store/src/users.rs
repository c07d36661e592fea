use async_trait::async_trait;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::identity::{Account, Email, User};
use encore_domain::ids::UserId;
use encore_domain::ports::{EmailTaken, Users};
use encore_domain::request::{Applied, RequestKey};

use crate::records::{MemoryRecords, Records};

/// [`Users`] in process.
pub struct MemoryUsers(MemoryRecords);

impl MemoryUsers {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl Users for MemoryUsers {
    async fn create(
        &self,
        account: Account,
        request: Option<RequestKey>,
    ) -> Result<Applied<Account>, RequestError<EmailTaken>> {
        let Records { users, requests, .. } = &mut *self.0.lock();
        if let Some(before) = requests.before(request)? {
            return Ok(Applied::Before(before));
        }
        let User { id, email, .. } = &account.user;
        if users.by_email.contains_key(email) {
            return Err(RequestError::Refused(EmailTaken));
        }
        users.by_email.insert(email.clone(), *id);
        users.accounts.insert(*id, account.clone());
        requests.remember(request, account.clone());
        Ok(Applied::Now(account))
    }

    async fn add_all(&self, accounts: Vec<Account>) -> Result<u64, Unavailable> {
        let users = &mut self.0.lock().users;
        let mut added = 0;
        for account in accounts {
            let User { id, email, .. } = &account.user;
            if !users.by_email.contains_key(email) {
                users.by_email.insert(email.clone(), *id);
                users.accounts.insert(*id, account);
                added += 1;
            }
        }
        Ok(added)
    }

    async fn find(&self, id: UserId) -> Result<Option<Account>, Unavailable> {
        Ok(self.0.lock().users.accounts.get(&id).cloned())
    }

    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, Unavailable> {
        let users = &self.0.lock().users;
        Ok(users.by_email.get(email).and_then(|id| users.accounts.get(id)).cloned())
    }
}
