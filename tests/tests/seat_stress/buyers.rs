//! Buyers: each holds seats, extends, releases and pays at random.

use encore_proto::booking::v1::{BestAvailable, Reservation};
use encore_tests::fan::{Fan, reason, request_id};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tonic::Status;
use tonic::transport::Channel;

use crate::StressTest;

/// The number of steps of each buyer.
pub(crate) const STEPS: usize = 25;

/// The refusals that a buyer may get.
const REFUSALS: [&str; 7] = [
    "SEATS_TAKEN",
    "SEAT_LIMIT_EXCEEDED",
    "NO_SEATS_FIT",
    "WOULD_ORPHAN_SEATS",
    "HOLD_EXPIRED",
    "HOLD_AT_LIMIT",
    "RESERVATION_NOT_HELD",
];

pub(crate) struct Buyer {
    fan: Fan,
    /// The instance to call if this instance is killed.
    elsewhere: Channel,
    rng: ChaCha8Rng,
    holds: Vec<Reservation>,
    bought: Vec<String>,
}

impl Buyer {
    pub(crate) async fn new(stress: &StressTest, turn: usize, home: &Channel) -> Self {
        let fan = stress.world.fan(0).await.on(home);
        fan.top_up(1_000_000).await.expect("a credit");
        let rng = ChaCha8Rng::seed_from_u64(turn as u64);
        let elsewhere = stress.world.channel(turn).clone();
        Self { fan, elsewhere, rng, holds: Vec::new(), bought: Vec::new() }
    }

    /// Takes all steps, and returns the paid seats.
    pub(crate) async fn buy(mut self, stress: &StressTest) -> Vec<String> {
        for _ in 0..STEPS {
            self.step(stress).await;
            stress.step();
        }
        self.bought
    }

    async fn step(&mut self, stress: &StressTest) {
        let choice = self.rng.random_range(0..100);
        if self.holds.is_empty() || choice < 15 {
            return self.hold(stress).await;
        }
        let hold = self.holds.swap_remove(self.rng.random_range(0..self.holds.len()));
        let (request, id) = (request_id(), hold.reservation_id.clone());
        match choice {
            15..35 => {
                let extended = self.retry(async |fan| fan.extend_as(&request, &id).await).await;
                // After a refusal the hold is unchanged, or has expired.
                self.holds.push(extended.unwrap_or(hold));
            }
            35..55 => {
                let count = self.rng.random_range(1..=hold.seats.len());
                let seats: Vec<&str> = hold.seats[..count].iter().map(|seat| seat.seat_id.as_str()).collect();
                let left = self.retry(async |fan| fan.release_as(&request, &id, &seats).await).await;
                self.holds.extend(left.filter(|_| count < seats.len()));
            }
            55..65 => {
                self.retry(async |fan| fan.release_as(&request, &id, &[]).await).await;
            }
            65..90 => {
                let paid = self.retry(async |fan| fan.pay_as(&request, &id).await).await;
                let seats = hold.seats.into_iter().map(|seat| seat.seat_id);
                self.bought.extend(seats.filter(|_| paid.is_some()));
            }
            // The hold is dropped and expires.
            _ => {}
        }
    }

    async fn hold(&mut self, stress: &StressTest) {
        let (request, count) = (request_id(), self.rng.random_range(1..=4));
        let held = if self.rng.random_bool(0.5) {
            let sections = if self.rng.random_bool(0.5) { vec![] } else { vec!["Block 2".to_owned()] };
            let seat_request = BestAvailable { count, sections, ..BestAvailable::default() };
            self.retry(async |fan| fan.hold_best_as(&request, stress.performance, seat_request.clone()).await).await
        } else {
            let seats = stress.chart.seats();
            let first = self.rng.random_range(0..seats.len() - 4);
            let seats: Vec<&str> = seats[first..first + count as usize].iter().map(|seat| seat.id.as_str()).collect();
            self.retry(async |fan| fan.hold_as(&request, stress.performance, &seats).await).await
        };
        self.holds.extend(held);
    }

    /// Calls an instance, and retries the same request at the other if the connection is lost. Returns none for an
    /// expected refusal.
    async fn retry<T>(&mut self, call: impl AsyncFn(&Fan) -> Result<T, Status>) -> Option<T> {
        loop {
            match call(&self.fan).await {
                Ok(answer) => return Some(answer),
                // A lost connection has no reason.
                Err(end) if reason(&end).is_empty() => self.fan = self.fan.on(&self.elsewhere),
                Err(refusal) => {
                    let why = reason(&refusal);
                    assert!(REFUSALS.contains(&why.as_str()), "{refusal}");
                    return None;
                }
            }
        }
    }
}
