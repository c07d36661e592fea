//! Identifiers. Each is a UUID in its own type, so that one cannot be handed over for another.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )*};
}

id! {
    /// A person who has signed up: fan or operator.
    UserId;
    /// A venue with its seat chart.
    VenueId;
    /// A show.
    ConcertId;
    /// One date of a concert at a venue.
    PerformanceId;
    /// A hold, from the moment the seats are kept to the end of its story.
    ReservationId;
    /// What an operator did once to block seats, or to give them back.
    BlockId;
    /// What settles a hold.
    PaymentId;
    /// One movement of money with all its sides.
    TransferId;
    /// One side of a transfer.
    EntryId;
    /// Made by the client, one per intended change; a repeat carries the same one.
    RequestId;
}
