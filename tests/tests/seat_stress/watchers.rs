//! Watchers: each kind reads and reconnects in its own manner.

use std::sync::Arc;

use encore_proto::catalog::v1::SeatStatus;
use encore_proto::catalog::v1::watch_seats_response::Frame;
use encore_tests::fan::Fan;
use encore_tests::watched_seats::WatchedSeats;
use tonic::transport::Channel;

use crate::buyers::STEPS;
use crate::{BUYERS, StressTest};

/// The number of frames after which a watcher reconnects.
const FRAMES: usize = 7;
/// The number of steps that a hesitant watcher waits before the next frame.
const PAUSE: usize = 40;
/// The most heartbeats after the last change before a watcher's map must be final.
const HEARTBEATS_MAX: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Keeps one stream open.
    Staying,
    /// Watches one or two sections.
    Partly,
    /// Reconnects to the same instance from time to time, with the version of its map.
    Returning,
    /// Reconnects to the other instance from time to time, with the version of its map.
    Moving,
    /// Reconnects from time to time without a version.
    Forgetting,
    /// Reads a frame from time to time.
    Hesitant,
    /// Reads nothing before the buyers are done.
    Slow,
    /// Is connected to the instance that is killed.
    Dropped,
}

impl Manner {
    pub(crate) const ALL: [Self; 8] = [
        Self::Staying,
        Self::Partly,
        Self::Returning,
        Self::Moving,
        Self::Forgetting,
        Self::Hesitant,
        Self::Slow,
        Self::Dropped,
    ];

    /// Checks that the watcher behaved in its manner.
    pub(crate) fn check(self, seen: &Seen) {
        let [snapshots, _deltas, _heartbeats] = seen.frames;
        match self {
            Self::Staying | Self::Partly | Self::Hesitant => assert!(snapshots > 0 && seen.maps.len() > 1, "{seen:?}"),
            Self::Returning | Self::Moving | Self::Forgetting => assert!(seen.reconnects > 0, "{seen:?}"),
            Self::Slow => assert!(snapshots > 1, "a slow watcher gets a second snapshot: {seen:?}"),
            Self::Dropped => assert_eq!(seen.reconnects, 1, "{seen:?}"),
        }
    }
}

/// What a watcher received.
pub(crate) struct Seen {
    pub(crate) manner: Manner,
    /// The map after each frame, with its version.
    pub(crate) maps: Vec<(u64, Vec<SeatStatus>)>,
    frames: [usize; 3],
    reconnects: usize,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {:?} frames, reconnected {} times", self.manner, self.frames, self.reconnects)
    }
}

pub(crate) struct Watcher {
    fan: Fan,
    seats: WatchedSeats,
    /// The instance to reconnect to.
    elsewhere: Channel,
    sections: &'static [&'static str],
    seen: Seen,
}

impl Watcher {
    pub(crate) async fn begin(stress: &StressTest, manner: Manner, turn: usize, doomed: &Channel) -> Self {
        let world = &stress.world;
        let home = match manner {
            Manner::Dropped => doomed.clone(),
            Manner::Hesitant | Manner::Slow => world.instances[turn % 2].narrow_channel().await,
            Manner::Staying | Manner::Partly | Manner::Returning | Manner::Moving | Manner::Forgetting => {
                world.channel(turn).clone()
            }
        };
        let elsewhere = if manner == Manner::Returning { &home } else { world.channel(turn + 1) }.clone();
        let parts = [&["Block 2"][..], &["Block 4", "Block 1"]];
        let sections = if manner == Manner::Partly { parts[turn % 2] } else { &[] };
        let fan = world.fan_without_account(&home);
        let seats = WatchedSeats::open(&fan, stress.performance, sections).await.expect("a stream");
        let seen = Seen { manner, maps: Vec::new(), frames: [0; 3], reconnects: 0 };
        Self { fan, seats, elsewhere, sections, seen }
    }

    /// Watches until the map is the final one.
    pub(crate) async fn watch(mut self, stress: Arc<StressTest>) -> Seen {
        if self.seen.manner == Manner::Slow {
            stress.over.cancelled().await;
        }
        let mut heartbeats = 0;
        while !self.is_final(&stress) {
            if self.seen.manner == Manner::Hesitant {
                stress.reaches((self.seen.maps.len() * PAUSE).min(BUYERS * STEPS)).await;
            }
            let frame = tokio::select! {
                frame = self.seats.next() => frame,
                () = stress.over.cancelled(), if stress.truth.get().is_none() => continue,
            };
            match frame {
                Ok(frame) => {
                    heartbeats += usize::from(stress.truth.get().is_some() && matches!(frame, Frame::Heartbeat(_)));
                    assert!(heartbeats <= HEARTBEATS_MAX, "a {:?} watcher missed a change", self.seen.manner);
                    self.seen.maps.push((self.seats.version, self.seats.statuses.clone()));
                }
                Err(_) if self.seen.manner == Manner::Dropped => self.reconnect(&stress).await,
                Err(end) => panic!("a running instance keeps its streams open: {end}"),
            }
            let is_due = matches!(self.seen.manner, Manner::Returning | Manner::Moving | Manner::Forgetting);
            if is_due && self.seen.maps.len().is_multiple_of(FRAMES) {
                self.reconnect(&stress).await;
            }
        }
        Seen { frames: self.seats.frame_counts, ..self.seen }
    }

    async fn reconnect(&mut self, stress: &StressTest) {
        self.seen.reconnects += 1;
        let there = self.fan.on(&self.elsewhere);
        self.elsewhere = std::mem::replace(&mut self.fan, there).channel;
        if self.seen.manner == Manner::Forgetting {
            self.seats.version = 0;
            self.seats.statuses.clear();
        }
        self.seats.reopen(&self.fan, stress.performance, self.sections).await.expect("a stream");
    }

    fn is_final(&self, stress: &StressTest) -> bool {
        let Some(truth) = stress.truth.get() else { return false };
        let mut pairs = self.seats.statuses.iter().zip(truth);
        let shows = pairs.all(|(shown, truth)| shown == truth || *shown == SeatStatus::Unspecified);
        shows && !self.seats.statuses.is_empty()
    }
}
