//! A seat map that follows a seat stream, as in a client app.

use std::collections::BTreeMap;
use std::time::Duration;

use encore_domain::ids::PerformanceId;
use encore_proto::catalog::v1 as catalog;
use encore_proto::catalog::v1::SeatStatus;
use encore_proto::catalog::v1::watch_seats_response::Frame;
use tonic::{Status, Streaming};

use crate::fan::Fan;

/// The deadline for a frame. It is longer than any frame takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A seat stream and the map that follows it.
pub struct WatchedSeats {
    frames: Streaming<catalog::WatchSeatsResponse>,
    /// The version of the map.
    pub version: u64,
    /// The version of the chart that the indexes refer to.
    pub chart_version: String,
    /// The statuses by index; unspecified for seats that are not watched.
    pub statuses: Vec<SeatStatus>,
    /// The free units of each general admission area, by its index in the chart.
    pub left: BTreeMap<u32, u32>,
    /// The numbers of received snapshots, deltas and heartbeats.
    pub frame_counts: [usize; 3],
    sequence: u64,
}

impl WatchedSeats {
    /// Opens a stream for an empty map.
    pub async fn open(fan: &Fan, performance: PerformanceId, sections: &[&str]) -> Result<Self, Status> {
        let frames = stream(fan, performance, sections, 0).await?;
        let (version, chart_version, statuses) = (0, String::new(), Vec::new());
        let left = BTreeMap::new();
        Ok(Self { frames, version, chart_version, statuses, left, frame_counts: [0; 3], sequence: 0 })
    }

    /// Reopens the stream from the version of the map.
    pub async fn reopen(&mut self, fan: &Fan, performance: PerformanceId, sections: &[&str]) -> Result<(), Status> {
        self.frames = stream(fan, performance, sections, self.version).await?;
        self.sequence = 0;
        Ok(())
    }

    /// Applies the next frame to the map.
    pub async fn next(&mut self) -> Result<Frame, Status> {
        let message = tokio::time::timeout(TIMEOUT, self.frames.message()).await.expect("a frame in time")?;
        let message = message.ok_or_else(|| Status::aborted("the stream has ended"))?;
        self.sequence += 1;
        assert_eq!(message.sequence, self.sequence);
        let frame = message.frame.expect("a frame");
        self.version = message.version;
        match &frame {
            Frame::Snapshot(snapshot) => self.replace(snapshot),
            Frame::Delta(delta) => {
                self.frame_counts[1] += 1;
                assert!(!delta.changes.is_empty() || !delta.areas.is_empty());
                self.left.extend(delta.areas.iter().map(|area| (area.area, area.left)));
                for change in &delta.changes {
                    self.statuses[(change >> 2) as usize] = status(change & 3);
                }
            }
            Frame::Heartbeat(_) => self.frame_counts[2] += 1,
        }
        Ok(frame)
    }

    /// Applies frames until the watched areas have these numbers of free units. Panics at the deadline, because
    /// heartbeats never end.
    pub async fn until_left<const N: usize>(&mut self, left: [(u32, u32); N]) -> Result<(), Status> {
        let left = BTreeMap::from(left);
        let watching = async {
            while self.left != left {
                self.next().await?;
            }
            Ok(())
        };
        tokio::time::timeout(TIMEOUT, watching).await.expect("the free units before the deadline")
    }

    fn replace(&mut self, snapshot: &catalog::SeatsSnapshot) {
        self.frame_counts[0] += 1;
        self.chart_version.clone_from(&snapshot.chart_version);
        self.statuses.clear();
        self.left = snapshot.areas.iter().map(|area| (area.area, area.left)).collect();
        for range in &snapshot.ranges {
            let (first, seats) = (range.first_seat as usize, range.seats as usize);
            self.statuses.resize(first.max(self.statuses.len()), SeatStatus::Unspecified);
            self.statuses.truncate(first);
            for seat in 0..seats {
                let bits = (range.statuses[seat / 4] >> (seat % 4 * 2)) & 3;
                self.statuses.push(status(u32::from(bits)));
            }
        }
    }

    /// Applies frames until the map meets a condition.
    pub async fn until(&mut self, is_so: impl Fn(&[SeatStatus]) -> bool) {
        while !is_so(&self.statuses) {
            self.next().await.expect("a frame");
        }
    }

    /// The numbers of held and of sold seats.
    pub fn taken(&self) -> (usize, usize) {
        let of = |wanted| self.statuses.iter().filter(|status| **status == wanted).count();
        (of(SeatStatus::Held), of(SeatStatus::Sold))
    }
}

/// The status that two bits encode.
fn status(bits: u32) -> SeatStatus {
    match bits {
        0 => SeatStatus::Blocked,
        1 => SeatStatus::Free,
        2 => SeatStatus::Held,
        _ => SeatStatus::Sold,
    }
}

async fn stream(
    fan: &Fan,
    performance: PerformanceId,
    sections: &[&str],
    after_version: u64,
) -> Result<Streaming<catalog::WatchSeatsResponse>, Status> {
    let message = catalog::WatchSeatsRequest {
        performance_id: performance.to_string(),
        sections: sections.iter().map(|&section| section.to_owned()).collect(),
        after_version,
    };
    Ok(fan.catalog().watch_seats(fan.request(message)).await?.into_inner())
}
