use async_trait::async_trait;
use encore_domain::audit_log::StaffAct;
use encore_domain::booking::ReservationState;
use encore_domain::error::{PortError, RequestError, Unavailable};
use encore_domain::event::{Event, StaffCause};
use encore_domain::identity::account_change::{DeleteRefusal, OpenBusiness, ProfileChange};
use encore_domain::identity::{Account, Email, PasswordHash, Role, User};
use encore_domain::ids::{SessionId, UserId};
use encore_domain::money::Money;
use encore_domain::ports::{AccountChanged, EmailTaken, Users};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;

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
        let Records { users, requests, outbox, .. } = &mut *self.0.lock();
        if let Some(before) = requests.before(request)? {
            return Ok(Applied::Before(before));
        }
        let User { id, email, created_at, .. } = &account.user;
        if users.by_email.contains_key(email) {
            return Err(RequestError::Refused(EmailTaken));
        }
        users.by_email.insert(email.clone(), *id);
        users.accounts.insert(*id, account.clone());
        outbox.write(&Event::UserSignedUp { user: *id, request: request.map(|request| request.id), at: *created_at });
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

    async fn change_profile(&self, id: UserId, change: ProfileChange) -> Result<Option<Account>, Unavailable> {
        let users = &mut self.0.lock().users;
        Ok(users.accounts.get_mut(&id).map(|account| {
            change.apply(&mut account.user.display_name, &mut account.user.contact);
            account.clone()
        }))
    }

    async fn change_password(
        &self,
        checked: &Account,
        password_hash: PasswordHash,
        kept: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, PortError<AccountChanged>> {
        let Records { users, sessions, .. } = &mut *self.0.lock();
        let account = users.accounts.get_mut(&checked.user.id);
        let account = account.filter(|account| account.password_hash == checked.password_hash);
        account.ok_or(PortError::Refused(AccountChanged))?.password_hash = password_hash;
        users.resets.retain(|_, reset| reset.user != checked.user.id);
        Ok(sessions.end_all_but(checked.user.id, kept, at))
    }

    async fn change_role(
        &self,
        id: UserId,
        role: Role,
        at: Timestamp,
        act: Option<StaffAct>,
    ) -> Result<Option<Vec<SessionId>>, Unavailable> {
        let Records { users, sessions, audit_log, outbox, .. } = &mut *self.0.lock();
        let Some(account) = users.accounts.get_mut(&id) else { return Ok(None) };
        if account.user.role == role {
            return Ok(Some(Vec::new()));
        }
        let before = std::mem::replace(&mut account.user.role, role);
        if let Some(cause) = act.as_ref().map(StaffCause::from) {
            outbox.write(&Event::UserRoleChanged { user: id, before, after: role, cause });
        }
        audit_log.note(act.map(|act| act.changed_role(id, before, role)));
        Ok(Some(sessions.end_all_but(id, None, at)))
    }

    async fn delete(
        &self,
        checked: &Account,
        gives_up_balances: bool,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, PortError<DeleteRefusal>> {
        let records = &mut *self.0.lock();
        let id = checked.user.id;
        let stored = records.users.accounts.get(&id);
        if stored.is_none_or(|stored| stored.password_hash != checked.password_hash) {
            return Err(PortError::Refused(DeleteRefusal::Changed));
        }
        open_business(records, id, at).allows_deletion(gives_up_balances).map_err(PortError::Refused)?;
        if let Some(account) = records.users.accounts.remove(&id) {
            records.users.by_email.remove(&account.user.email);
        }
        records.users.resets.retain(|_, reset| reset.user != id);
        records.users.verifications.retain(|_, verification| verification.user != id);
        records.outbox.write(&Event::UserDeleted { user: id, at });
        Ok(records.sessions.end_all_but(id, None, at))
    }

    async fn find(&self, id: UserId) -> Result<Option<Account>, Unavailable> {
        Ok(self.0.lock().users.accounts.get(&id).cloned())
    }

    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, Unavailable> {
        let users = &self.0.lock().users;
        Ok(users.by_email.get(email).and_then(|id| users.accounts.get(id)).cloned())
    }
}

fn open_business(records: &Records, user: UserId, now: Timestamp) -> OpenBusiness {
    let Records { reservations, catalog, cards, wallets, .. } = records;
    let begins = |performance| catalog.performances.get(&performance).is_some_and(|it| now < it.starts_at);
    let of_user = reservations.by_user.get(&user).into_iter().flatten().filter_map(|(_, id)| reservations.find(*id));
    let open = of_user.filter(|reservation| match reservation.state_at(now) {
        ReservationState::Held | ReservationState::Paying => true,
        ReservationState::Confirmed => begins(reservation.performance),
        ReservationState::Expired | ReservationState::Released | ReservationState::Cancelled => false,
    });
    let card_payments = cards.by_user.get(&user).into_iter().flatten().filter(|payment| cards.is_open(**payment));
    let balances = wallets.balances.get(&user).into_iter().flatten().filter(|(_, minor)| **minor > 0);
    OpenBusiness {
        reservations: open.count() as u64,
        card_payments: card_payments.count() as u64,
        balances: balances.map(|(currency, minor)| Money { minor: *minor, currency: *currency }).collect(),
    }
}
