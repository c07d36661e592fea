use std::collections::HashMap;

use encore_domain::event::Event;
use encore_domain::identity::email_verification::EmailVerification;
use encore_domain::identity::password_reset::PasswordReset;
use encore_domain::identity::session::SecretDigest;
use encore_domain::identity::{Account, Email};
use encore_domain::ids::UserId;
use encore_domain::time::Timestamp;

use super::outbox::OutboxRecords;

#[derive(Default)]
pub struct UserRecords {
    pub accounts: HashMap<UserId, Account>,
    pub by_email: HashMap<Email, UserId>,
    pub resets: HashMap<SecretDigest, PasswordReset>,
    pub verifications: HashMap<SecretDigest, EmailVerification>,
}

impl UserRecords {
    /// Notes that a user receives mails at the address. The first time counts.
    pub fn verify_email(&mut self, user: UserId, at: Timestamp, outbox: &mut OutboxRecords) {
        self.verifications.retain(|_, verification| verification.user != user);
        let Some(account) = self.accounts.get_mut(&user) else { return };
        if account.user.email_verified_at.is_none() {
            account.user.email_verified_at = Some(at);
            outbox.write(&Event::UserEmailVerified { user, at });
        }
    }
}
