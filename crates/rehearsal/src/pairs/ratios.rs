//! What the ratios of several pairs say together: distribution-free order statistics.
//!
//! Nothing is assumed about how ratios are distributed but that pairs are independent. Each ratio is then below the true median with
//! probability ½, so the number of ratios below it follows a binomial distribution, and the k-th smallest and the k-th largest ratio
//! enclose the median with a probability that is computed exactly (David and Nagaraja, *Order Statistics*, section 7.1).

use serde::{Deserialize, Serialize};

/// With which probability the reported interval encloses the median, at least.
pub const CONFIDENCE: f64 = 0.95;

/// The ratios of several pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RatioSummary {
    /// How many ratios there are.
    pub pairs: usize,
    /// The middle ratio; the mean of the two middle ones of an even number.
    pub median: f64,
    /// The confidence interval of the median. Fewer than six pairs have none.
    pub interval: Option<Interval>,
    /// The smallest ratio.
    pub min: f64,
    /// The largest ratio.
    pub max: f64,
}

/// A confidence interval between two of the ratios.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// With which probability such an interval encloses the median: the lowest possible that is at least [`CONFIDENCE`].
    pub confidence: f64,
}

/// Summarizes ratios, in any order; none if there is no ratio. Ratios that are not finite are left out.
pub fn summarize(ratios: &[f64]) -> Option<RatioSummary> {
    let mut sorted: Vec<f64> = ratios.iter().copied().filter(|ratio| ratio.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let pairs = sorted.len();
    let median = f64::midpoint(sorted[(pairs - 1) / 2], sorted[pairs / 2]);
    let interval = rank(pairs).map(|(rank, confidence)| Interval {
        low: sorted[rank - 1],
        high: sorted[pairs - rank],
        confidence,
    });
    Some(RatioSummary { pairs, median, interval, min, max })
}

/// The rank, from 1 and from either end, of the ratios that enclose the median of so many, and with which probability. None if even the
/// extremes do not enclose it often enough.
fn rank(pairs: usize) -> Option<(usize, f64)> {
    // 2 to the power of minus `pairs`: the probability of each single arrangement of ratios below and above the median.
    let arrangement = (0..pairs).fold(1.0, |probability, _| probability / 2.0);
    let (mut binomial, mut below) = (arrangement, 0.0);
    let mut found = None;
    for rank in 1..=pairs / 2 {
        below += binomial;
        let confidence = 1.0 - 2.0 * below;
        if confidence < CONFIDENCE {
            break;
        }
        found = Some((rank, confidence));
        binomial *= real(pairs - rank + 1) / real(rank);
    }
    found
}

#[expect(clippy::cast_precision_loss, reason = "a rehearsal has far fewer than 2^52 pairs")]
fn real(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranks_are_those_of_the_binomial_table() {
        // Published tables of the 95 % interval of the median: ranks by sample size.
        for (pairs, expected) in
            [(6, 1), (7, 1), (8, 1), (9, 2), (10, 2), (11, 2), (12, 3), (15, 4), (20, 6), (25, 8), (30, 10), (50, 18)]
        {
            assert_eq!(rank(pairs).map(|(rank, _)| rank), Some(expected), "{pairs} pairs");
        }
        let confidence = |pairs| rank(pairs).map(|(_, confidence)| confidence).unwrap();
        assert!((confidence(7) - (1.0 - 2.0 / 128.0)).abs() < 1e-12);
        assert!((confidence(9) - (1.0 - 20.0 / 512.0)).abs() < 1e-12);
    }

    #[test]
    fn fewer_than_six_pairs_have_a_median_and_no_interval() {
        for pairs in 0..6 {
            assert_eq!(rank(pairs), None, "{pairs} pairs");
        }
        let summary = summarize(&[2.0, 1.0, 4.0, 3.0]).expect("four ratios");
        assert_eq!((summary.pairs, summary.median, summary.interval), (4, 2.5, None));
        assert_eq!((summary.min, summary.max), (1.0, 4.0));
        assert_eq!(summarize(&[]), None);
    }

    #[test]
    fn a_summary_does_not_depend_on_the_order_and_leaves_out_what_is_no_number() {
        let summary = summarize(&[1.3, f64::NAN, 0.9, 1.0, f64::INFINITY, 1.1, 0.8, 1.2, 5.0]).expect("seven ratios");
        assert_eq!((summary.pairs, summary.median, summary.min, summary.max), (7, 1.1, 0.8, 5.0));
        let interval = summary.interval.expect("seven pairs have an interval");
        assert_eq!((interval.low, interval.high), (0.8, 5.0));
        let nine = summarize(&[9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0]).expect("nine ratios");
        let interval = nine.interval.expect("nine pairs have an interval");
        assert_eq!((nine.median, interval.low, interval.high), (5.0, 2.0, 8.0), "the extremes are left out");
    }

    /// Of many samples, the interval misses the median no more often than it says.
    #[test]
    fn the_interval_encloses_the_median_as_often_as_it_says() {
        use rand::rngs::ChaCha8Rng;
        use rand::{RngExt, SeedableRng};
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let samples = 20_000_u32;
        let enclosed = (0..samples).filter(|_| {
            // A skewed distribution whose median is 1.
            let ratios: Vec<f64> = (0..9).map(|_| (3.0 * rng.random_range(-1.0_f64..1.0)).exp()).collect();
            let interval =
                summarize(&ratios).and_then(|summary| summary.interval).expect("nine pairs have an interval");
            (interval.low..=interval.high).contains(&1.0)
        });
        let share = f64::from(u32::try_from(enclosed.count()).unwrap()) / f64::from(samples);
        assert!((share - 0.961).abs() < 0.006, "{share}");
    }
}
