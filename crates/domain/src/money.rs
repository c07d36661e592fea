//! Money in minor units, without floating point.

use std::fmt;

use iso_currency::Currency as IsoCurrency;
use thiserror::Error;

/// The highest price of a seat, in [ordinary units](Currency::ordinary_units).
pub const PRICE_MAX_UNITS: i64 = 1_000_000;
/// The most that one top-up may add, in [ordinary units](Currency::ordinary_units).
pub const TOP_UP_MAX_UNITS: i64 = 100_000;
/// The highest balance of a wallet, in [ordinary units](Currency::ordinary_units).
const BALANCE_MAX_UNITS: i64 = 1_000_000_000;
/// The highest balance of a wallet in any currency: thousands of full wallets can be summed up in an `i64`.
const BALANCE_MAX_MINOR: i64 = 1_000_000_000_000_000;

/// Currencies of whose unit a euro bought some hundred in 2026. Only the power of ten matters, because only limits depend on it.
const HUNDREDS: &str = "AFN ALL AMD BDT CVE DJF DOP DZD ETB GMD GYD HTG HUF INR ISK JMD JPY KES KGS KMF KZT LKR LRD MKD MUR NPR PHP \
                        PKR RSD RUB SDG SOS VES VED VUV XPF YER";
/// Of whose unit it bought some thousand.
const THOUSANDS: &str = "AOA ARS BIF CDF CLP COP CRC IQD KHR KRW MGA MMK MNT MWK NGN RWF SSP TZS UGX XAF XOF";
/// Of whose unit it bought some ten thousand.
const TEN_THOUSANDS: &str = "GNF IDR LAK PYG SLL SYP UZS VND";
/// Of whose unit it bought a hundred thousand and more.
const HUNDRED_THOUSANDS: &str = "IRR LBP";

/// A currency of the list of ISO 4217 that has a minor unit. Those of past times are in it, because prices and balances may be older than
/// their end; funds and metals are not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// The text is no code of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be the code of a currency in ISO 4217, such as EUR")]
pub struct NotACurrency;

impl Currency {
    /// Reads a code such as `EUR`.
    pub fn parse(code: &str) -> Result<Self, NotACurrency> {
        let listed = IsoCurrency::from_code(code).filter(|it| !it.is_special() && it.exponent().is_some());
        match listed.map(|listed| listed.code().as_bytes()) {
            Some(&[a, b, c]) => Ok(Self([a, b, c])),
            _ => Err(NotACurrency),
        }
    }

    /// The code as text.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// How many decimals an amount has: 2 for EUR, 0 for JPY, 3 for KWD.
    pub fn decimals(&self) -> u32 {
        IsoCurrency::from_code(self.code()).and_then(IsoCurrency::exponent).map_or(2, u32::from)
    }

    /// So many units of this currency in minor units, where a unit is worth some euros: the unit of the currency itself, times the power
    /// of ten by which it is worth less. Limits are in these units, since a seat for 11,000,000.00 IDR is an ordinary one.
    pub fn ordinary_units(&self, units: i64) -> i64 {
        let is_one_of = |codes: &str| codes.split_ascii_whitespace().any(|code| code == self.code());
        let zeros = if is_one_of(HUNDRED_THOUSANDS) {
            5
        } else if is_one_of(TEN_THOUSANDS) {
            4
        } else if is_one_of(THOUSANDS) {
            3
        } else if is_one_of(HUNDREDS) {
            2
        } else {
            0
        };
        units.saturating_mul(10_i64.saturating_pow(zeros + self.decimals()))
    }

    /// The highest price of a seat, in minor units.
    pub fn price_max_minor(&self) -> i64 {
        self.ordinary_units(PRICE_MAX_UNITS)
    }

    /// The most that one top-up may add, in minor units.
    pub fn top_up_max_minor(&self) -> i64 {
        self.ordinary_units(TOP_UP_MAX_UNITS)
    }

    /// The highest balance of a wallet, in minor units.
    pub fn balance_max_minor(&self) -> i64 {
        self.ordinary_units(BALANCE_MAX_UNITS).min(BALANCE_MAX_MINOR)
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

impl Money {
    /// The amount with the decimals of its currency and without its code, such as `-12.50`.
    pub fn decimal(&self) -> String {
        let sign = if self.minor < 0 { "-" } else { "" };
        let minor = self.minor.unsigned_abs();
        match (self.currency.decimals(), 10_u64.pow(self.currency.decimals())) {
            (0, _) => format!("{sign}{minor}"),
            (decimals, unit) => format!("{sign}{}.{:0width$}", minor / unit, minor % unit, width = decimals as usize),
        }
    }
}

impl fmt::Display for Money {
    /// Such as `12.50 EUR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).expect("a currency")
    }

    #[test]
    fn a_currency_is_one_of_the_list() {
        for code in ["EUR", "USD", "KRW", "JPY", "KWD", "IDR", "XOF", "SLE", "ZWG", "HRK"] {
            assert_eq!(currency(code).code(), code);
        }
        for code in ["EUX", "eur", "EU", "EURO", "", "XXX", "XTS", "XAU", "XDR", "ÄÖ", "\0\0\0"] {
            assert_eq!(Currency::parse(code), Err(NotACurrency), "{code:?}");
        }
    }

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        for (minor, code, expected) in [
            (1_250, "EUR", "12.50 EUR"),
            (-5, "EUR", "-0.05 EUR"),
            (0, "EUR", "0.00 EUR"),
            (1_200, "JPY", "1200 JPY"),
            (-1, "KRW", "-1 KRW"),
            (1_234, "KWD", "1.234 KWD"),
            (5, "KWD", "0.005 KWD"),
            (12_345, "CLF", "1.2345 CLF"),
            (i64::MIN, "EUR", "-92233720368547758.08 EUR"),
        ] {
            assert_eq!(Money { minor, currency: currency(code) }.to_string(), expected);
        }
    }

    #[test]
    fn limits_fit_what_a_currency_is_worth() {
        assert!(1_100_000_000 <= currency("IDR").price_max_minor(), "11,000,000.00 IDR is an ordinary seat");
        assert_eq!(currency("EUR").price_max_minor(), 100_000_000);
        assert_eq!(currency("JPY").price_max_minor(), 100_000_000);
        assert_eq!(currency("KWD").price_max_minor(), 1_000_000_000);
        assert_eq!(currency("EUR").top_up_max_minor(), 10_000_000);
        assert_eq!(currency("EUR").balance_max_minor(), 100_000_000_000);
        let codes = [HUNDREDS, THOUSANDS, TEN_THOUSANDS, HUNDRED_THOUSANDS];
        let codes: Vec<&str> = codes.iter().flat_map(|codes| codes.split_ascii_whitespace()).collect();
        for (index, code) in codes.iter().enumerate() {
            let max = currency(code);
            assert!(!codes[..index].contains(code), "{code} twice");
            assert!(max.top_up_max_minor() < max.price_max_minor() && max.price_max_minor() <= max.balance_max_minor());
        }
    }
}
