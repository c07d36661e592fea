//! Page tokens: the cursor of a listing as opaque text.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use encore_domain::booking::ReservationCursor;
use encore_domain::catalog::PerformanceCursor;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{ConcertId, EntryId, PaymentId, PerformanceId, ReservationId};
use encore_domain::time::Timestamp;
use uuid::Uuid;

/// A position in a listing that can be written as a page token.
pub(crate) trait Cursor: Sized {
    /// The bytes of the cursor.
    fn to_bytes(&self) -> Vec<u8>;

    /// The cursor that the bytes encode; none if they are malformed.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;

    /// The page token.
    fn encode(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.to_bytes())
    }

    /// The cursor of a page token; none if it is malformed.
    fn decode(token: &str) -> Option<Self> {
        Self::from_bytes(&BASE64_URL_SAFE_NO_PAD.decode(token).ok()?)
    }
}

/// The token of the next page; empty after the last page.
pub(crate) fn next_page_token<C: Cursor>(next: Option<&C>) -> String {
    next.map(Cursor::encode).unwrap_or_default()
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

id_cursors!(ConcertId, EntryId, PaymentId);

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

dated_cursors!(PerformanceCursor, PerformanceId; ReservationCursor, ReservationId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoded_page_token_equals_the_encoded_cursor() {
        let id = Uuid::from_u128(7);
        let performance: PerformanceCursor =
            (Timestamp::from_timestamp_millis(1_234_567).expect("in range"), PerformanceId(id));
        assert_eq!(PerformanceCursor::decode(&performance.encode()), Some(performance));
        assert_eq!(PaymentId::decode(&PaymentId(id).encode()), Some(PaymentId(id)));
        assert_eq!(Slot::decode(&Slot(9).encode()), Some(Slot(9)));
    }

    #[test]
    fn a_malformed_page_token_is_refused() {
        for token in ["x", "!!!!", "AAAA", &"A".repeat(100)] {
            assert_eq!(PaymentId::decode(token), None, "{token}");
            assert_eq!(PerformanceCursor::decode(token), None, "{token}");
        }
    }
}
