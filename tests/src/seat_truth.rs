//! The true state of the seats of a performance, computed from the claims.

use std::time::Duration;

use encore_domain::booking::seat_repair::differences;
use encore_domain::booking::seat_state::{self, SeatLock, all_free, show_locks};
use encore_domain::catalog::seat_chart::SeatChart;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::Clock;
use encore_proto::catalog::v1::SeatStatus;

use crate::world::{World, until};

/// The clock's advance between two checks.
const MOMENT: Duration = Duration::from_millis(100);

/// Converts a seat state to the statuses in the order of the chart.
pub fn statuses(chart: &SeatChart, state: &[Option<seat_state::SeatStatus>]) -> Vec<SeatStatus> {
    let status = |status| match status {
        seat_state::SeatStatus::Free => SeatStatus::Free,
        seat_state::SeatStatus::Held => SeatStatus::Held,
        seat_state::SeatStatus::Blocked => SeatStatus::Blocked,
        seat_state::SeatStatus::Sold => SeatStatus::Sold,
    };
    chart.seats().iter().map(|seat| status(state[seat.slot.0 as usize].expect("a seat"))).collect()
}

/// The statuses according to the current claims.
pub async fn claimed_map(world: &World, performance: PerformanceId, chart: &SeatChart) -> Vec<SeatStatus> {
    let claims = world.ports.reservations.claims(performance).await.expect("Postgres is available");
    let locks: Vec<SeatLock> = claims.iter().map(SeatLock::from).collect();
    let mut state = all_free(chart);
    show_locks(&mut state, &locks);
    statuses(chart, &state)
}

/// Advances the clock until the locks match the claims and no hold is past its deadline. From then on nothing changes
/// until the clock advances or a call is made. Returns the statuses.
pub async fn settled_map(world: &World, performance: PerformanceId, chart: &SeatChart) -> Vec<SeatStatus> {
    until("locks that match the claims", || async {
        let settled = is_settled(world, performance, chart).await;
        if !settled {
            world.clock.advance(MOMENT);
        }
        settled
    })
    .await;
    claimed_map(world, performance, chart).await
}

async fn is_settled(world: &World, performance: PerformanceId, chart: &SeatChart) -> bool {
    let (locks, now) = (&world.ports.seat_locks, world.clock.now());
    let claims = world.ports.reservations.claims(performance).await.expect("Postgres is available");
    let slots: Vec<_> = chart.seats().iter().map(|seat| seat.slot).collect();
    let (Ok(Some(state)), Ok(holders)) = (locks.snapshot(performance).await, locks.holders(performance, &slots).await)
    else {
        return false;
    };
    let over = claims.iter().any(|claim| claim.owner.held_until().is_some_and(|until| until <= now));
    !over && differences(&state, &holders, &claims).is_empty()
}
