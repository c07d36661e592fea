//! Users and their sessions as messages.

use encore_domain::identity::contact::{AddressParts, PostalAddress};
use encore_domain::identity::session::Session;
use encore_domain::identity::{Role, User};
use encore_domain::ids::SessionId;
use encore_proto::identity::v1 as pb;

use crate::to_proto::timestamp;

/// A user as users see themselves.
pub(crate) fn user_to_proto(user: &User) -> pb::User {
    pb::User {
        user_id: user.id.to_string(),
        email: user.email.as_str().to_owned(),
        display_name: user.display_name.as_str().to_owned(),
        role: role_to_proto(user.role).into(),
        created_at: Some(timestamp(user.created_at)),
        phone: user.contact.phone.as_ref().map(|phone| phone.as_str().to_owned()).unwrap_or_default(),
        postal_address: user.contact.address.as_ref().map(address_to_proto),
        email_verified_at: user.email_verified_at.map(timestamp),
    }
}

/// A role.
pub(crate) fn role_to_proto(role: Role) -> pb::Role {
    match role {
        Role::Fan => pb::Role::Fan,
        Role::Support => pb::Role::Support,
        Role::BoxOffice => pb::Role::BoxOffice,
        Role::Operator => pb::Role::Operator,
        Role::Auditor => pb::Role::Auditor,
        Role::CheckIn => pb::Role::CheckIn,
    }
}

fn address_to_proto(address: &PostalAddress) -> pb::PostalAddress {
    let AddressParts { street_address, postal_code, locality, region, country } = address.parts();
    pb::PostalAddress {
        street_address: street_address.to_vec(),
        postal_code: postal_code.to_owned(),
        locality: locality.to_owned(),
        region: region.to_owned(),
        country_code: country.to_owned(),
    }
}

/// A session as its user sees it.
pub(crate) fn session_to_proto(session: Session, own: Option<SessionId>) -> pb::Session {
    pb::Session {
        session_id: session.id.to_string(),
        device_name: session.device.map(|device| device.as_str().to_owned()).unwrap_or_default(),
        is_current: own == Some(session.id),
        started_at: Some(timestamp(session.started_at)),
        refreshed_at: Some(timestamp(session.refreshed_at)),
        expires_at: Some(timestamp(session.expires_at)),
    }
}
