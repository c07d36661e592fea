//! When virtual users arrive.

use std::time::Duration;

use clap::ValueEnum;
use rand::Rng;
use rand_distr::{Distribution, Exp};

/// How arrivals are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Arrivals {
    /// Everybody in the same instant.
    AtOnce,
    /// Slowly at first and then ever faster: the rate grows in proportion to time.
    Ramp,
    /// At random and independently of each other, at a steady mean rate (a Poisson process).
    Poisson,
}

impl Arrivals {
    /// The intended moments of `count` arrivals, rising, counted from the beginning. The last of a ramp is at `within`;
    /// of a Poisson process it is there on average.
    pub fn schedule(self, count: u64, within: Duration, rng: &mut impl Rng) -> Vec<Duration> {
        match self {
            Self::AtOnce => (0..count).map(|_| Duration::ZERO).collect(),
            // With a rate proportional to time, the number of those who came by then is proportional to its square.
            Self::Ramp => (1..=count).map(|n| within.mul_f64((fraction(n) / fraction(count)).sqrt())).collect(),
            Self::Poisson => poisson(count, within, rng),
        }
    }
}

fn poisson(count: u64, within: Duration, rng: &mut impl Rng) -> Vec<Duration> {
    let Ok(gaps) = Exp::new(fraction(count) / within.as_secs_f64()) else {
        // Nobody, or no time at all.
        return (0..count).map(|_| Duration::ZERO).collect();
    };
    let arrivals = (0..count).scan(0.0, |at, _| {
        *at += gaps.sample(rng);
        Some(Duration::from_secs_f64(*at))
    });
    arrivals.collect()
}

#[expect(clippy::cast_precision_loss, reason = "a load has far fewer users than 2^52")]
fn fraction(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    const COUNT: u64 = 10_000;
    const WITHIN: Duration = Duration::from_secs(10);

    fn schedule(arrivals: Arrivals, seed: u64) -> Vec<Duration> {
        arrivals.schedule(COUNT, WITHIN, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    fn by_half_time(arrivals: Arrivals) -> usize {
        schedule(arrivals, 1).iter().filter(|at| **at <= WITHIN / 2).count()
    }

    #[test]
    fn each_way_of_arriving_brings_everybody_in_order() {
        for arrivals in [Arrivals::AtOnce, Arrivals::Ramp, Arrivals::Poisson] {
            let schedule = schedule(arrivals, 1);
            assert_eq!(schedule.len(), 10_000);
            assert!(schedule.is_sorted());
        }
    }

    #[test]
    fn a_ramp_has_brought_a_quarter_by_half_time_and_ends_in_time() {
        assert_eq!(by_half_time(Arrivals::Ramp), 2_500);
        assert_eq!(schedule(Arrivals::Ramp, 1).last(), Some(&WITHIN));
    }

    #[test]
    fn a_poisson_process_is_steady_and_its_gaps_vary_as_much_as_they_last() {
        let half = by_half_time(Arrivals::Poisson);
        assert!((4_700..=5_300).contains(&half), "{half}");
        let schedule = schedule(Arrivals::Poisson, 1);
        let gaps: Vec<f64> = schedule.windows(2).map(|pair| pair[1].as_secs_f64() - pair[0].as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / fraction(gaps.len() as u64);
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / fraction(gaps.len() as u64);
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "the deviation of exponential gaps is their mean");
    }

    #[test]
    fn the_same_seed_gives_the_same_arrivals() {
        assert_eq!(schedule(Arrivals::Poisson, 7), schedule(Arrivals::Poisson, 7));
        assert_ne!(schedule(Arrivals::Poisson, 7), schedule(Arrivals::Poisson, 8));
    }

    #[test]
    fn no_time_at_all_is_at_once() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for arrivals in [Arrivals::AtOnce, Arrivals::Ramp, Arrivals::Poisson] {
            assert!(arrivals.schedule(0, WITHIN, &mut rng).is_empty());
            assert_eq!(arrivals.schedule(3, Duration::ZERO, &mut rng), [Duration::ZERO; 3]);
        }
    }
}
