//! Numbers as people read them: digits in threes, no more places than are significant, and a dash for what is no number.

/// What stands where there is no number.
pub(crate) const NONE: &str = "–";

/// A count, such as `12 345`.
pub(crate) fn count(value: u64) -> String {
    in_threes(&value.to_string())
}

/// A number without a unit: `0.042`, `0.42`, `4.2`, `420`, `12 345`. A whole number has no places.
pub(crate) fn quantity(value: f64) -> String {
    let size = value.abs();
    // The bounds lie where rounding would add a digit: 99.96 is `100`, not `100.0`.
    let places = if value.fract() == 0.0 || size >= 99.95 {
        0
    } else if size >= 0.995 {
        1
    } else if size >= 0.0995 {
        2
    } else {
        3
    };
    decimal(value, places)
}

/// Milliseconds with their unit, from a second on as seconds: `0.42 ms`, `1.2 s`.
pub(crate) fn millis(value: f64) -> String {
    if value.is_finite() && value.abs() >= 999.5 { seconds(value / 1_000.0) } else { with_unit(&quantity(value), "ms") }
}

/// Seconds with their unit, such as `62.4 s`.
pub(crate) fn seconds(value: f64) -> String {
    with_unit(&quantity(value), "s")
}

/// How many times as much, such as `0.31×` or `12.4×`.
pub(crate) fn ratio(value: f64) -> String {
    let places = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.0995 => 2,
        _ => 3,
    };
    if value.is_finite() { format!("{}×", decimal(value, places)) } else { NONE.to_owned() }
}

/// From one ratio to another, such as `0.31× to 0.44×`.
pub(crate) fn span(low: f64, high: f64) -> String {
    format!("{} to {}", ratio(low), ratio(high))
}

/// A part of a whole, such as `12.3 %`; a dash if the whole is nothing.
pub(crate) fn share(part: u64, whole: u64) -> String {
    with_unit(&quantity(100.0 * real(part) / real(whole)), "%")
}

/// A part that is less than its whole, such as `99.2 %`. Rounding does not make it all of it.
pub(crate) fn share_of_most(part: u64, whole: u64) -> String {
    let share = share(part, whole);
    if share == "100 %" { "> 99.9 %".to_owned() } else { share }
}

/// A number and its unit, or the number alone if it has none.
pub(crate) fn with_unit(number: &str, unit: &str) -> String {
    if unit.is_empty() || number == NONE { number.to_owned() } else { format!("{number} {unit}") }
}

/// A count to calculate with. Counts of a rehearsal are far below the 2^53 from which on an `f64` skips whole numbers.
#[expect(clippy::cast_precision_loss, reason = "a rehearsal counts to millions, and an f64 is exact up to 2^53")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

fn decimal(value: f64, places: usize) -> String {
    if value.is_finite() { in_threes(&format!("{value:.places$}")) } else { NONE.to_owned() }
}

/// Puts a space between groups of three digits before the point.
fn in_threes(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut grouped = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_in_threes() {
        let counts = [0, 7, 999, 1_000, 12_345, 1_234_567].map(count);
        assert_eq!(counts, ["0", "7", "999", "1 000", "12 345", "1 234 567"]);
    }

    #[test]
    fn quantities_have_as_many_places_as_tell_something() {
        let quantities = [0.0, 0.0421, 0.42, 4.21, 12.0, 42.13, 99.96, 420.4, 12_345.6, -1_234.5].map(quantity);
        assert_eq!(quantities, ["0", "0.042", "0.42", "4.2", "12", "42.1", "100", "420", "12 346", "-1 234"]);
    }

    #[test]
    fn a_second_is_where_milliseconds_end() {
        let times = [0.042, 0.42, 12.34, 999.4, 999.6, 1_234.0, 62_400.0].map(millis);
        assert_eq!(times, ["0.042 ms", "0.42 ms", "12.3 ms", "999 ms", "1.0 s", "1.2 s", "62.4 s"]);
    }

    #[test]
    fn ratios_keep_two_places_while_they_are_small() {
        let ratios = [0.0312, 0.31, 2.768, 12.44, 123.4].map(ratio);
        assert_eq!(ratios, ["0.031×", "0.31×", "2.77×", "12.4×", "123×"]);
    }

    #[test]
    fn what_is_no_number_is_a_dash() {
        assert_eq!(quantity(f64::NAN), NONE);
        assert_eq!(millis(f64::INFINITY), NONE);
        assert_eq!(ratio(f64::INFINITY), NONE);
        assert_eq!(share(0, 0), NONE);
        assert_eq!(share(1, 8), "12.5 %");
        assert_eq!(with_unit("5 000", ""), "5 000");
    }
}
