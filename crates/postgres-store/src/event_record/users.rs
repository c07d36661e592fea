use diesel::QueryResult;
use encore_domain::event::{Event, StaffCause};
use encore_domain::identity::Role;
use encore_domain::ids::{RequestId, UserId};
use encore_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::codec::read_role;
use crate::event_record::cause::CauseRecord;
use crate::event_record::{id, optional_id, time};

/// A user signed up.
#[derive(Serialize, Deserialize)]
pub struct SignedUp {
    user_id: String,
    request_id: Option<String>,
    at_ms: i64,
}

impl SignedUp {
    pub fn of(user: UserId, request: Option<RequestId>, at: Timestamp) -> Self {
        let request_id = request.map(|id| id.to_string());
        Self { user_id: user.to_string(), request_id, at_ms: at.timestamp_millis() }
    }

    pub fn read(self) -> QueryResult<Event> {
        let request = optional_id(self.request_id.as_deref())?;
        Ok(Event::UserSignedUp { user: id(&self.user_id)?, request, at: time(self.at_ms)? })
    }
}

/// A user showed that mails are received at the address.
#[derive(Serialize, Deserialize)]
pub struct EmailVerified {
    user_id: String,
    at_ms: i64,
}

impl EmailVerified {
    pub fn of(user: UserId, at: Timestamp) -> Self {
        Self { user_id: user.to_string(), at_ms: at.timestamp_millis() }
    }

    pub fn read(self) -> QueryResult<Event> {
        Ok(Event::UserEmailVerified { user: id(&self.user_id)?, at: time(self.at_ms)? })
    }
}

/// A user's personal data was removed.
#[derive(Serialize, Deserialize)]
pub struct Deleted {
    user_id: String,
    at_ms: i64,
}

impl Deleted {
    pub fn of(user: UserId, at: Timestamp) -> Self {
        Self { user_id: user.to_string(), at_ms: at.timestamp_millis() }
    }

    pub fn read(self) -> QueryResult<Event> {
        Ok(Event::UserDeleted { user: id(&self.user_id)?, at: time(self.at_ms)? })
    }
}

/// A user got another role.
#[derive(Serialize, Deserialize)]
pub struct RoleChanged {
    user_id: String,
    before: String,
    after: String,
    cause: CauseRecord,
}

impl RoleChanged {
    pub fn of(user: UserId, (before, after): (Role, Role), cause: &StaffCause) -> Self {
        let [before, after] = [before, after].map(|role| role.name().to_owned());
        Self { user_id: user.to_string(), before, after, cause: cause.into() }
    }

    pub fn read(self) -> QueryResult<Event> {
        let (before, after) = (read_role(&self.before)?, read_role(&self.after)?);
        Ok(Event::UserRoleChanged { user: id(&self.user_id)?, before, after, cause: self.cause.read()? })
    }
}
