//! Those who watch, each in a manner of their own.

use std::sync::Arc;

use encore_proto::catalog::v1::SeatStatus;
use encore_proto::catalog::v1::watch_seats_response::Frame;
use encore_tests::fan::Fan;
use encore_tests::watched_seats::WatchedSeats;
use tonic::transport::Channel;

use crate::buyers::STEPS;
use crate::{BUYERS, StressTest};

/// After how many frames somebody comes back.
const FRAMES: usize = 7;
/// How many steps of the stress test somebody who hesitates lets pass before the next frame.
const PAUSE: usize = 40;
/// How often somebody is told that nothing changes, once nothing does, before they should know everything.
const HEARTBEATS_MAX: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Stays where they are.
    Staying,
    /// Watches one section or two.
    Partly,
    /// Comes back to the same instance now and then, with the version that they have.
    Returning,
    /// Comes back to the other instance now and then, with the version that they have.
    Moving,
    /// Comes back now and then, and begins anew.
    Forgetting,
    /// Reads a frame now and then.
    Hesitant,
    /// Reads nothing before the stress test is over.
    Slow,
    /// Is with the instance that is killed.
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

    /// That it was what it is meant to be.
    pub(crate) fn check(self, seen: &Seen) {
        let [snapshots, _deltas, _heartbeats] = seen.frames;
        match self {
            Self::Staying | Self::Partly | Self::Hesitant => assert!(snapshots > 0 && seen.maps.len() > 1, "{seen:?}"),
            Self::Returning | Self::Moving | Self::Forgetting => assert!(seen.came_back > 0, "{seen:?}"),
            Self::Slow => assert!(snapshots > 1, "who is slow is told all anew: {seen:?}"),
            Self::Dropped => assert_eq!(seen.came_back, 1, "{seen:?}"),
        }
    }
}

/// What somebody saw.
pub(crate) struct Seen {
    pub(crate) manner: Manner,
    /// The map after each frame, with its version.
    pub(crate) maps: Vec<(u64, Vec<SeatStatus>)>,
    frames: [usize; 3],
    came_back: usize,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {:?} frames, came back {} times", self.manner, self.frames, self.came_back)
    }
}

pub(crate) struct Watcher {
    fan: Fan,
    seats: WatchedSeats,
    /// Where to go on.
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
        let fan = world.passer_by(&home);
        let seats = WatchedSeats::open(&fan, stress.performance, sections).await.expect("a stream");
        let seen = Seen { manner, maps: Vec::new(), frames: [0; 3], came_back: 0 };
        Self { fan, seats, elsewhere, sections, seen }
    }

    /// Watches until the map is the truth.
    pub(crate) async fn watch(mut self, stress: Arc<StressTest>) -> Seen {
        if self.seen.manner == Manner::Slow {
            stress.over.cancelled().await;
        }
        let mut heartbeats = 0;
        while !self.shows_the_truth(&stress) {
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
                    assert!(heartbeats <= HEARTBEATS_MAX, "{:?} was not told a change", self.seen.manner);
                    self.seen.maps.push((self.seats.version, self.seats.statuses.clone()));
                }
                Err(_) if self.seen.manner == Manner::Dropped => self.come_back(&stress).await,
                Err(end) => panic!("an instance that lives keeps its streams: {end}"),
            }
            let comes_back = matches!(self.seen.manner, Manner::Returning | Manner::Moving | Manner::Forgetting);
            if comes_back && self.seen.maps.len().is_multiple_of(FRAMES) {
                self.come_back(&stress).await;
            }
        }
        Seen { frames: self.seats.frames_told, ..self.seen }
    }

    async fn come_back(&mut self, stress: &StressTest) {
        self.seen.came_back += 1;
        let there = self.fan.on(&self.elsewhere);
        self.elsewhere = std::mem::replace(&mut self.fan, there).channel;
        if self.seen.manner == Manner::Forgetting {
            self.seats.version = 0;
            self.seats.statuses.clear();
        }
        self.seats.reopen(&self.fan, stress.performance, self.sections).await.expect("a stream");
    }

    fn shows_the_truth(&self, stress: &StressTest) -> bool {
        let Some(truth) = stress.truth.get() else { return false };
        let mut pairs = self.seats.statuses.iter().zip(truth);
        let shows = pairs.all(|(shown, truth)| shown == truth || *shown == SeatStatus::Unspecified);
        shows && !self.seats.statuses.is_empty()
    }
}
