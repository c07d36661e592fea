//! Amounts as Stripe counts them.
//!
//! Stripe takes minor units as ISO 4217 has them, but for a few currencies: <https://docs.stripe.com/currencies#zero-decimal>.

use encore_domain::money::Money;

/// Whole units in ISO 4217, and hundredths at Stripe.
const HUNDREDTHS_AT_STRIPE: [&str; 2] = ["ISK", "UGX"];
/// Hundredths in ISO 4217, and whole units at Stripe.
const WHOLE_AT_STRIPE: [&str; 1] = ["MGA"];
/// Thousandths at both, of which Stripe takes multiples of ten only.
const TENS_AT_STRIPE: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];

/// The amount as Stripe counts it; none if Stripe cannot take it.
pub(super) fn at_stripe(money: Money) -> Option<i64> {
    let code = money.currency.code();
    if HUNDREDTHS_AT_STRIPE.contains(&code) {
        money.minor.checked_mul(100)
    } else if WHOLE_AT_STRIPE.contains(&code) {
        (money.minor % 100 == 0).then_some(money.minor / 100)
    } else if TENS_AT_STRIPE.contains(&code) {
        (money.minor % 10 == 0).then_some(money.minor)
    } else {
        Some(money.minor)
    }
}

#[cfg(test)]
mod tests {
    use encore_domain::money::Currency;

    use super::*;

    #[test]
    fn amounts_are_counted_as_stripe_counts_them() {
        for (code, minor, expected) in [
            ("EUR", 12_000, Some(12_000)),
            ("JPY", 12_000, Some(12_000)),
            ("KRW", 150_000, Some(150_000)),
            ("ISK", 5, Some(500)),
            ("UGX", 5, Some(500)),
            ("MGA", 500, Some(5)),
            ("MGA", 501, None),
            ("KWD", 5_120, Some(5_120)),
            ("KWD", 5_124, None),
            ("ISK", i64::MAX, None),
        ] {
            let money = Money { minor, currency: Currency::parse(code).expect("a currency") };
            assert_eq!(at_stripe(money), expected, "{minor} {code}");
        }
    }
}
