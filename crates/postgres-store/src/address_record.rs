//! A postal address as JSON.

use diesel::QueryResult;
use encore_domain::identity::contact::{AddressParts, PostalAddress};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::error::corrupt;

#[derive(Serialize, Deserialize)]
struct AddressRecord {
    street_address: Vec<String>,
    postal_code: String,
    locality: String,
    region: String,
    country: String,
}

/// Encodes an address.
pub fn to_json(address: &PostalAddress) -> Value {
    let AddressParts { street_address, postal_code, locality, region, country } = address.parts();
    serde_json::json!(AddressRecord {
        street_address: street_address.to_vec(),
        postal_code: postal_code.to_owned(),
        locality: locality.to_owned(),
        region: region.to_owned(),
        country: country.to_owned(),
    })
}

/// Decodes the address of a user. The error names the user, not the address.
pub fn from_json(value: Value, user: &Uuid) -> QueryResult<PostalAddress> {
    let unreadable = || corrupt("postal address of a user", user);
    let record: AddressRecord = serde_json::from_value(value).map_err(|_| unreadable())?;
    let AddressRecord { street_address, postal_code, locality, region, country } = &record;
    PostalAddress::parse(&AddressParts { street_address, postal_code, locality, region, country })
        .map_err(|_| unreadable())
}
