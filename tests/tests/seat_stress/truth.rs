//! The map at each version, recorded from the changes of the seat locks.

use std::collections::HashMap;
use std::sync::Arc;

use encore_domain::booking::seat_copy::{SeatCopy, Step};
use encore_domain::booking::seat_state::{SeatNews, SeatState};
use encore_domain::ports::SeatListener;
use encore_proto::catalog::v1::SeatStatus;
use encore_tests::seat_truth::statuses;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::StressTest;
use crate::watchers::Seen;

/// The maps by version.
pub(crate) type Maps = HashMap<u64, Vec<SeatStatus>>;

/// Records every version of the map.
pub(crate) struct SeatLog {
    over: oneshot::Sender<()>,
    writing: JoinHandle<Maps>,
}

impl SeatLog {
    pub(crate) async fn begin(stress: &Arc<StressTest>) -> Self {
        // The first read loads the seats.
        stress.world.fan(0).await.seats(stress.performance).await.expect("seats");
        let listener = stress.world.ports.seat_changes.listen(stress.performance).await.expect("Redis is available");
        let (over, end) = oneshot::channel();
        Self { over, writing: tokio::spawn(write(Arc::clone(stress), listener, end)) }
    }

    pub(crate) async fn end(self) -> Maps {
        self.over.send(()).expect("the log is still running");
        self.writing.await.expect("the log ended without a panic")
    }
}

async fn live(stress: &StressTest) -> SeatState {
    let state = stress.world.ports.seat_locks.snapshot(stress.performance).await;
    state.expect("Redis is available").expect("the seats are loaded")
}

async fn write(stress: Arc<StressTest>, mut listener: Box<dyn SeatListener>, mut end: oneshot::Receiver<()>) -> Maps {
    let mut copy = SeatCopy::new(live(&stress).await);
    let mut maps = Maps::new();
    loop {
        maps.insert(copy.state().version, statuses(&stress.chart, &copy.state().statuses));
        let gap = tokio::select! {
            news = listener.next() => match news {
                SeatNews::Changed(change) => copy.follow(&change) == Step::Gap,
                SeatNews::Missed => true,
            },
            _over = &mut end => return maps,
        };
        if gap {
            copy = SeatCopy::new(live(&stress).await);
        }
    }
}

/// Checks every map that a watcher saw against the recorded map of its version.
pub(crate) fn assert_agree(maps: &Maps, seen: &[Seen]) {
    let mut compared = 0;
    let (mut all, mut known) = (0, 0);
    for seen in seen {
        for (version, map) in &seen.maps {
            all += 1;
            let Some(right) = maps.get(version) else { continue };
            known += 1;
            for (index, (status, right)) in map.iter().zip(right).enumerate() {
                if *status != SeatStatus::Unspecified {
                    compared += 1;
                    assert_eq!(status, right, "seat {index} at version {version}, {:?}", seen.manner);
                }
            }
        }
    }
    assert!(known > all / 2 && compared > 0, "{known} of {all} maps have a recorded version");
}
