use std::collections::HashMap;

use encore_domain::identity::password_reset::PasswordReset;
use encore_domain::identity::session::SecretDigest;
use encore_domain::identity::{Account, Email};
use encore_domain::ids::UserId;

#[derive(Default)]
pub struct UserRecords {
    pub accounts: HashMap<UserId, Account>,
    pub by_email: HashMap<Email, UserId>,
    pub resets: HashMap<SecretDigest, PasswordReset>,
}
