//! Money in minor units, without floating point.

use std::fmt;

use thiserror::Error;

/// The most that one top-up may add: 100,000.00 in a currency with two decimals.
pub const TOP_UP_MAX_MINOR: i64 = 10_000_000;
/// The highest balance of a wallet. It is far below `i64::MAX`, so that sums of entries cannot overflow.
pub const BALANCE_MAX_MINOR: i64 = 100_000_000_000;
/// The highest price of a seat.
pub const PRICE_MAX_MINOR: i64 = 100_000_000;

/// An ISO 4217 code: three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// The text is not three capital letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be an ISO 4217 code of three capital letters")]
pub struct NotACurrency;

impl Currency {
    /// Reads a code such as `EUR`.
    pub fn parse(code: &str) -> Result<Self, NotACurrency> {
        match code.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(NotACurrency),
        }
    }

    /// The code as text.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount in the minor unit of its currency (cents for EUR, won for KRW).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// May be negative in a ledger entry only.
    pub minor: i64,
    /// What `minor` counts.
    pub currency: Currency,
}
