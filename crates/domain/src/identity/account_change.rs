//! What a user may change about the account, and when it may be deleted.

use thiserror::Error;

use crate::identity::DisplayName;
use crate::identity::contact::{Contact, Phone, PostalAddress};
use crate::money::Money;

/// What a user changes about the profile. What is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// The name to display.
    pub display_name: Option<DisplayName>,
    /// The phone number; none removes it.
    pub phone: Option<Option<Phone>>,
    /// The postal address; none removes it.
    pub address: Option<Option<PostalAddress>>,
}

impl ProfileChange {
    /// Applies it.
    pub fn apply(self, display_name: &mut DisplayName, contact: &mut Contact) {
        if let Some(changed) = self.display_name {
            *display_name = changed;
        }
        if let Some(changed) = self.phone {
            contact.phone = changed;
        }
        if let Some(changed) = self.address {
            contact.address = changed;
        }
    }
}

/// What still happens in the name of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenBusiness {
    /// Live holds, holds that are being paid, and paid reservations of shows that have not begun.
    pub reservations: u64,
    /// Payments and refunds by card that are under way.
    pub card_payments: u64,
    /// What is left in wallets.
    pub balances: Vec<Money>,
}

/// Why an account is not deleted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeleteRefusal {
    /// The account is no longer the one whose password was checked.
    #[error("the account has changed since the password was checked")]
    Changed,
    /// Something would have nobody to whom it belongs.
    #[error("the account has open reservations, payments or balances")]
    Open(OpenBusiness),
}

impl OpenBusiness {
    /// Whether the account may be deleted. A user may give up what is left in the wallets, and nothing else.
    pub fn allows_deletion(self, gives_up_balances: bool) -> Result<(), DeleteRefusal> {
        let is_open = self.reservations > 0 || self.card_payments > 0;
        let has_money = !self.balances.is_empty() && !gives_up_balances;
        if is_open || has_money { Err(DeleteRefusal::Open(self)) } else { Ok(()) }
    }
}
