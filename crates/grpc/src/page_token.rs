//! Page tokens: the cursor of a listing as opaque text, which is valid in this listing only.

use std::sync::Arc;

use encore_domain::audit_log::AuditCursor;
use encore_domain::booking::ReservationCursor;
use encore_domain::catalog::listing::{ConcertCursor, PerformanceCursor, VenueCursor};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::catalog::sort_key::SortKey;
use encore_domain::ids::{
    AuditEntryId, ConcertId, EndpointId, EntryId, PaymentId, PerformanceId, ReservationId, UserId, VenueId,
};
use encore_domain::payment::fan_payment::FanPaymentCursor;
use encore_domain::ports::{DeliveryCursor, LISTING_NAME_LEN, PageTokens};
use encore_domain::time::Timestamp;
use encore_domain::wallet::WalletEntryCursor;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The listings of a service.
#[derive(Clone)]
pub(crate) struct Listings(pub(crate) Arc<dyn PageTokens>);

/// A moment as part of a filter, which has whole milliseconds; empty if there is none.
pub(crate) fn moment(at: Option<Timestamp>) -> String {
    at.map(|at| at.timestamp_millis().to_string()).unwrap_or_default()
}

/// A listing: what an RPC lists for a user with a filter.
pub(crate) struct Listing<'a> {
    tokens: &'a dyn PageTokens,
    name: [u8; LISTING_NAME_LEN],
}

impl Listings {
    /// The listing of this RPC and filter. A listing that is the same for everybody has no user.
    pub(crate) fn of<'f>(
        &self,
        rpc: &'static str,
        user: Option<UserId>,
        filter: impl IntoIterator<Item = &'f str>,
    ) -> Listing<'_> {
        let mut hash = Sha256::new();
        let mut add = |part: &str| {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        };
        add(rpc);
        add(&user.map(|user| user.to_string()).unwrap_or_default());
        filter.into_iter().for_each(add);
        Listing { tokens: self.0.as_ref(), name: hash.finalize().into() }
    }
}

impl Listing<'_> {
    /// The token of the next page; empty after the last page.
    pub(crate) fn next_page_token<C: Cursor>(&self, next: Option<&C>) -> String {
        next.map(|cursor| self.tokens.sign(&self.name, &cursor.to_bytes())).unwrap_or_default()
    }

    /// The cursor of a page token; none if it was not issued for this listing.
    pub(crate) fn cursor<C: Cursor>(&self, token: &str) -> Option<C> {
        C::from_bytes(&self.tokens.read(&self.name, token)?)
    }
}

/// A position in a listing that can be written as a page token.
pub(crate) trait Cursor: Sized {
    /// The bytes of the cursor.
    fn to_bytes(&self) -> Vec<u8>;

    /// The cursor that the bytes encode; none if they are malformed.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

macro_rules! id_cursors {
    ($($id:ident),*) => {$(
        impl Cursor for $id {
            fn to_bytes(&self) -> Vec<u8> {
                self.0.as_bytes().to_vec()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self)
            }
        }
    )*};
}

id_cursors!(ConcertId, EndpointId, PaymentId, PerformanceId);

impl Cursor for WalletEntryCursor {
    fn to_bytes(&self) -> Vec<u8> {
        let (position, id) = self;
        [&position.to_be_bytes()[..], id.0.as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (position, id) = bytes.split_at_checked(8)?;
        Some((i64::from_be_bytes(position.try_into().ok()?), EntryId(Uuid::from_slice(id).ok()?)))
    }
}

impl Cursor for Slot {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(u32::from_be_bytes).map(Self)
    }
}

macro_rules! dated_cursors {
    ($($cursor:ty, $id:ident);*) => {$(
        impl Cursor for $cursor {
            fn to_bytes(&self) -> Vec<u8> {
                let (moment, id) = self;
                [&moment.timestamp_millis().to_be_bytes()[..], id.0.as_bytes()].concat()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                let (millis, id) = bytes.split_at_checked(8)?;
                let moment = Timestamp::from_timestamp_millis(i64::from_be_bytes(millis.try_into().ok()?))?;
                Some((moment, $id(Uuid::from_slice(id).ok()?)))
            }
        }
    )*};
}

dated_cursors!((Timestamp, PerformanceId), PerformanceId; ReservationCursor, ReservationId; AuditCursor, AuditEntryId; FanPaymentCursor, PaymentId);

macro_rules! named_cursors {
    ($($cursor:ty, $id:ident);*) => {$(
        impl Cursor for $cursor {
            fn to_bytes(&self) -> Vec<u8> {
                let (name, id) = self;
                [&id.0.as_bytes()[..], name.as_str().as_bytes()].concat()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                let (id, name) = bytes.split_at_checked(16)?;
                Some((SortKey::read(std::str::from_utf8(name).ok()?), $id(Uuid::from_slice(id).ok()?)))
            }
        }
    )*};
}

named_cursors!(ConcertCursor, ConcertId; VenueCursor, VenueId);

impl Cursor for PerformanceCursor {
    fn to_bytes(&self) -> Vec<u8> {
        let Self { title, at, id } = self;
        [(*at, *id).to_bytes().as_slice(), title.as_str().as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (dated, title) = bytes.split_at_checked(24)?;
        let (at, id) = <(Timestamp, PerformanceId)>::from_bytes(dated)?;
        Some(Self { title: SortKey::read(std::str::from_utf8(title).ok()?), at, id })
    }
}

impl Cursor for DeliveryCursor {
    fn to_bytes(&self) -> Vec<u8> {
        let (moment, event_id) = self;
        [&moment.timestamp_millis().to_be_bytes()[..], event_id.as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (millis, event_id) = bytes.split_at_checked(8)?;
        let moment = Timestamp::from_timestamp_millis(i64::from_be_bytes(millis.try_into().ok()?))?;
        Some((moment, String::from_utf8(event_id.to_vec()).ok()?))
    }
}

/// Page tokens that any listing reads, for tests of this crate.
#[cfg(test)]
pub(crate) fn unsigned_listings() -> Listings {
    struct Unsigned;

    impl PageTokens for Unsigned {
        fn sign(&self, _: &[u8; LISTING_NAME_LEN], cursor: &[u8]) -> String {
            cursor
                .iter()
                .flat_map(|byte| [byte >> 4, byte & 15])
                .filter_map(|digit| char::from_digit(digit.into(), 16))
                .collect()
        }

        fn read(&self, _: &[u8; LISTING_NAME_LEN], token: &str) -> Option<Vec<u8>> {
            let digits = token.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
            digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
        }
    }

    Listings(Arc::new(Unsigned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        let listings = unsigned_listings();
        let listing = listings.of("ListPayments", None, []);
        let id = Uuid::from_u128(7);
        let at = Timestamp::from_timestamp_millis(1_234_567).expect("in range");
        for title in ["", "Étude No. 2", "방탄소년단"] {
            let title = SortKey::of(title);
            let concert: ConcertCursor = (title.clone(), ConcertId(id));
            assert_eq!(listing.cursor(&listing.next_page_token(Some(&concert))), Some(concert));
            let performance = PerformanceCursor { title, at, id: PerformanceId(id) };
            assert_eq!(listing.cursor(&listing.next_page_token(Some(&performance))), Some(performance));
        }
        assert_eq!(listing.cursor(&listing.next_page_token(Some(&PaymentId(id)))), Some(PaymentId(id)));
        assert_eq!(listing.cursor(&listing.next_page_token(Some(&Slot(9)))), Some(Slot(9)));
        let delivery: DeliveryCursor = (at, "wallet.topped_up/7".to_owned());
        assert_eq!(listing.cursor(&listing.next_page_token(Some(&delivery))), Some(delivery));
        assert_eq!(listing.cursor::<PaymentId>("0102"), None);
        assert_eq!(listing.cursor::<PerformanceCursor>("0102"), None);
    }

    #[test]
    fn every_part_of_a_listing_is_in_its_name() {
        let listings = unsigned_listings();
        let user = |n| Some(UserId(Uuid::from_u128(n)));
        let names = [
            listings.of("ListPayments", None, []).name,
            listings.of("ListPayments", user(1), []).name,
            listings.of("ListPayments", user(2), []).name,
            listings.of("ListSeats", user(1), ["a", "bc"]).name,
            listings.of("ListSeats", user(1), ["ab", "c"]).name,
            listings.of("ListSeats", user(1), ["a", "bc", ""]).name,
        ];
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{at}");
        }
    }
}
