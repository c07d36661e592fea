//! The rows of users.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use encore_domain::identity::contact::{Contact, Phone};
use encore_domain::identity::{Account, DisplayName, Email, PasswordHash, User};
use encore_domain::ids::UserId;
use serde_json::Value;
use uuid::Uuid;

use crate::address_record;
use crate::codec::read_role;
use crate::error::corrupt;
use crate::schema::users;

/// A user with the password hash. Of a user who was deleted, it has no personal data.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = users)]
pub struct UserRow {
    id: Uuid,
    email: String,
    display_name: String,
    role: String,
    password_hash: String,
    created_at: DateTime<Utc>,
    phone: Option<String>,
    address: Option<Value>,
    email_verified_at: Option<DateTime<Utc>>,
}

impl UserRow {
    pub fn of(account: &Account) -> Self {
        let User { id, email, display_name, contact, role, created_at, email_verified_at } = &account.user;
        Self {
            id: id.0,
            email: email.as_str().to_owned(),
            display_name: display_name.as_str().to_owned(),
            role: role.name().to_owned(),
            password_hash: account.password_hash.0.clone(),
            created_at: *created_at,
            phone: contact.phone.as_ref().map(|phone| phone.as_str().to_owned()),
            address: contact.address.as_ref().map(address_record::to_json),
            email_verified_at: *email_verified_at,
        }
    }

    pub fn into_account(self) -> QueryResult<Account> {
        // The id is logged, not the personal data.
        let email = Email::parse(&self.email).map_err(|_| corrupt("e-mail address of a user", &self.id))?;
        let display_name =
            DisplayName::parse(&self.display_name).map_err(|_| corrupt("display name of a user", &self.id))?;
        let phone = self.phone.as_deref().map(Phone::parse).transpose();
        let phone = phone.map_err(|_| corrupt("phone number of a user", &self.id))?;
        let address = self.address.map(|address| address_record::from_json(address, &self.id)).transpose()?;
        let user = User {
            id: UserId(self.id),
            email,
            display_name,
            contact: Contact { phone, address },
            role: read_role(&self.role)?,
            created_at: self.created_at,
            email_verified_at: self.email_verified_at,
        };
        Ok(Account { user, password_hash: PasswordHash(self.password_hash) })
    }
}
