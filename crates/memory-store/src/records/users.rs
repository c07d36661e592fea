use std::collections::HashMap;

use encore_domain::identity::{Account, Email};
use encore_domain::ids::UserId;

#[derive(Default)]
pub struct UserRecords {
    pub accounts: HashMap<UserId, Account>,
    pub by_email: HashMap<Email, UserId>,
}
