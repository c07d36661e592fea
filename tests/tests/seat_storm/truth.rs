//! What the map is at each version, by what the locks tell, and in the end, by the claims.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::ports::{Clock, SeatListener};
use encore_domain::seat_copy::{SeatCopy, Step};
use encore_domain::seat_mending::differences;
use encore_domain::seat_state::{FREE, HELD, SeatLock, SeatNews, SeatState, all_free, show_locks};
use encore_proto::catalog::v1::SeatStatus;
use encore_tests::world::until;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Storm;
use crate::watchers::Seen;

/// The map as apps know it, by place.
fn statuses(storm: &Storm, bytes: &[u8]) -> Vec<SeatStatus> {
    let status = |byte| match byte {
        FREE => SeatStatus::Free,
        HELD => SeatStatus::Held,
        _ => SeatStatus::Sold,
    };
    storm.chart.seats().iter().map(|seat| status(bytes[seat.slot.0 as usize])).collect()
}

/// The maps by version.
pub(crate) type Maps = HashMap<u64, Vec<SeatStatus>>;

/// Writes down every state of the seats.
pub(crate) struct SeatLog {
    over: oneshot::Sender<()>,
    writing: JoinHandle<Maps>,
}

impl SeatLog {
    pub(crate) async fn begin(storm: &Arc<Storm>) -> Self {
        // Whoever looks first has them loaded.
        storm.world.fan(0).await.seats(storm.performance).await.expect("seats");
        let listener = storm.world.ports.seat_changes.listen(storm.performance).await.expect("Redis is there");
        let (over, end) = oneshot::channel();
        Self { over, writing: tokio::spawn(write(Arc::clone(storm), listener, end)) }
    }

    pub(crate) async fn end(self) -> Maps {
        self.over.send(()).expect("it is still written");
        self.writing.await.expect("it was written to the end")
    }
}

async fn live(storm: &Storm) -> SeatState {
    let state = storm.world.ports.seat_locks.snapshot(storm.performance).await;
    state.expect("Redis is there").expect("the seats are loaded")
}

async fn write(storm: Arc<Storm>, mut listener: Box<dyn SeatListener>, mut end: oneshot::Receiver<()>) -> Maps {
    let mut copy = SeatCopy::new(live(&storm).await);
    let mut maps = Maps::new();
    loop {
        maps.insert(copy.state().version, statuses(&storm, &copy.state().bytes));
        let gap = tokio::select! {
            news = listener.next() => match news {
                SeatNews::Changed(change) => copy.follow(&change) == Step::Gap,
                SeatNews::Missed => true,
            },
            _over = &mut end => return maps,
        };
        if gap {
            copy = SeatCopy::new(live(&storm).await);
        }
    }
}

/// Waits until what is sold and held is the same by the locks as by the claims, and stays so unless time passes. Answers the
/// map.
pub(crate) async fn settled(storm: &Storm) -> Vec<SeatStatus> {
    const MOMENT: Duration = Duration::from_millis(250);
    let (ports, performance) = (&storm.world.ports, storm.performance);
    let claims = || async { ports.reservations.claims(performance).await.expect("Postgres is there") };
    until("locks that say what the claims say", || async {
        let (claims, state, now) = (claims().await, live(storm).await, storm.world.clock.now());
        let slots: Vec<_> = storm.chart.seats().iter().map(|seat| seat.slot).collect();
        let holders = ports.seat_locks.holders(performance, &slots).await.expect("Redis is there");
        let over = claims.iter().any(|claim| claim.owner.held_until().is_some_and(|until| until <= now));
        let settled = !over && differences(&state, &holders, &claims).is_empty();
        if !settled {
            storm.world.clock.advance(MOMENT);
        }
        settled
    })
    .await;
    let locks: Vec<SeatLock> = claims().await.iter().map(SeatLock::from).collect();
    let mut bytes = all_free(&storm.chart);
    show_locks(&mut bytes, &locks);
    statuses(storm, &bytes)
}

/// Every map that anybody ever saw was the map of its version.
pub(crate) fn assert_agree(maps: &Maps, seen: &[Seen]) {
    let mut compared = 0;
    let (mut all, mut known) = (0, 0);
    for seen in seen {
        for (version, map) in &seen.maps {
            all += 1;
            let Some(right) = maps.get(version) else { continue };
            known += 1;
            for (place, (status, right)) in map.iter().zip(right).enumerate() {
                if *status != SeatStatus::Unspecified {
                    compared += 1;
                    assert_eq!(status, right, "place {place} at version {version}, {:?}", seen.manner);
                }
            }
        }
    }
    assert!(known > all / 2 && compared > 0, "{known} of {all} maps are of a version that was written down");
}
