//! The latest changes of the seats of a performance, by tick. A watcher who has an earlier state is sent the difference instead
//! of the whole state.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use encore_domain::booking::seat_state::{SeatChange, SeatState};
use encore_domain::catalog::seat_chart::{SeatChart, Slot};

use crate::frames::{Changes, Part, SeatFrame, changes};
use crate::tick::Tick;

/// How many ticks are kept for watchers that reconnect or are slow: one minute of a sale with a change in every tick.
const TICKS_KEPT: usize = 600;
/// How many changed seats are kept in all ticks together.
const CHANGES_KEPT: usize = 50_000;

/// A tick as it is kept for watchers who need several at once.
#[derive(Debug)]
struct Past {
    number: u64,
    /// The version of the tick before.
    after: u64,
    /// The version of this tick.
    version: u64,
    /// The changed slots; of an area only the first.
    slots: Vec<Slot>,
}

/// The latest ticks.
#[derive(Debug, Default)]
pub(crate) struct ChangeLog {
    ticks: u64,
    /// The state of the latest tick.
    latest: Option<Arc<SeatState>>,
    past: VecDeque<Past>,
    /// How many slots all past ticks have.
    slots: usize,
    /// Seats that may have changed since the latest tick.
    touched: BTreeSet<Slot>,
    /// Whether any seat may have changed since the latest tick.
    broken: bool,
    /// The lowest version that a watcher may resume from. A lower one may be of any state.
    resumable_from: u64,
}

impl ChangeLog {
    /// Records a change that was applied.
    pub(crate) fn record(&mut self, change: &SeatChange) {
        self.touched.extend(change.seats.iter().map(|(slot, _)| *slot));
    }

    /// Records that a state was read in place of `before`. `resumable` says that its version denotes the same state on every
    /// instance, so that a watcher may resume from it. The versions between the two states are unknown.
    pub(crate) fn record_read(&mut self, before: Option<&SeatState>, state: &SeatState, resumable: bool) {
        let Some(before) = before else {
            self.resumable_from = state.version + u64::from(!resumable);
            return;
        };
        if before == state && resumable {
            return;
        }
        let grows = state.version > before.version;
        self.resumable_from = if grows && resumable { state.version } else { before.version.max(state.version) + 1 };
        if state.version < before.version || state.statuses.len() != before.statuses.len() {
            self.broken = true;
            return;
        }
        let pairs = before.statuses.iter().zip(&state.statuses);
        self.touched.extend((0..).map(Slot).zip(pairs).filter(|(_, (was, is))| was != is).map(|(slot, _)| slot));
    }

    /// Whether the state differs from that of the latest tick.
    pub(crate) fn is_due(&self, state: &SeatState) -> bool {
        self.broken
            || self.latest.as_ref().is_none_or(|latest| latest.version != state.version)
            || !self.touched.is_empty()
    }

    /// The next tick, with this state.
    pub(crate) fn tick(&mut self, chart: &SeatChart, state: &Arc<SeatState>) -> Tick {
        self.ticks += 1;
        // An area is sent once, however many of its units have changed.
        let sent_as = |slot| chart.area_at(slot).map_or(slot, |area| area.first);
        let slots: BTreeSet<Slot> = std::mem::take(&mut self.touched).into_iter().map(sent_as).collect();
        let slots: Vec<Slot> = slots.into_iter().collect();
        let before = self.latest.replace(Arc::clone(state)).filter(|_| !std::mem::take(&mut self.broken));
        let changes = before.as_ref().map(|_| changes(chart, state, &slots));
        if let Some(before) = before {
            self.slots += slots.len();
            self.past.push_back(Past { number: self.ticks, after: before.version, version: state.version, slots });
        } else {
            self.past.clear();
            self.slots = 0;
        }
        while self.past.len() > TICKS_KEPT || self.slots > CHANGES_KEPT {
            self.slots -= self.past.pop_front().map_or(0, |past| past.slots.len());
        }
        Tick::new(self.ticks, Arc::clone(state), changes)
    }

    /// The frame for a watcher who was sent the tick of a number; none if nothing it watches has changed.
    pub(crate) fn frame_since(&self, sent: u64, chart: &SeatChart, tick: &Tick, part: &Part) -> Option<SeatFrame> {
        tick.frame_of(self.since_tick(sent, chart, tick).as_ref(), chart, part)
    }

    /// The first frame for a watcher who has the state of a version, or none.
    pub(crate) fn first_frame(&self, version: Option<u64>, chart: &SeatChart, tick: &Tick, part: &Part) -> SeatFrame {
        let changes = version.and_then(|version| self.since_version(version, chart, tick));
        tick.frame_of(changes.as_ref(), chart, part).unwrap_or(SeatFrame::Heartbeat)
    }

    /// The changes from an earlier tick to this one; none if they are not kept any more.
    fn since_tick(&self, number: u64, chart: &SeatChart, tick: &Tick) -> Option<Changes> {
        let kept = self.past.front().is_some_and(|past| past.number <= number + 1);
        kept.then(|| self.past_changes(chart, tick, |past| past.number > number))
    }

    /// The changes from a version to this tick; none if they are unknown.
    fn since_version(&self, version: u64, chart: &SeatChart, tick: &Tick) -> Option<Changes> {
        if version < self.resumable_from || version > tick.state.version {
            return None;
        }
        let oldest = self.past.front().map_or(tick.state.version, |past| past.after);
        (oldest <= version).then(|| self.past_changes(chart, tick, |past| past.version > version))
    }

    fn past_changes(&self, chart: &SeatChart, tick: &Tick, is_new: impl Fn(&Past) -> bool) -> Changes {
        let slots: BTreeSet<Slot> =
            self.past.iter().filter(|past| is_new(past)).flat_map(|past| &past.slots).copied().collect();
        changes(chart, &tick.state, &slots.into_iter().collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::AreaLeft;
    use encore_domain::booking::seat_copy::SeatCopy;
    use encore_domain::booking::seat_state::{SeatStatus, all_free};
    use encore_port_tests::fixtures::{festival_chart, large_chart, slots, small_chart};

    /// A seat state with its change log, as a replica keeps them.
    struct Fixture {
        chart: SeatChart,
        copy: SeatCopy,
        change_log: ChangeLog,
        tick: Tick,
    }

    impl Fixture {
        fn new(chart: SeatChart) -> Self {
            let copy = SeatCopy::new(SeatState { statuses: all_free(&chart), version: 100 });
            let mut change_log = ChangeLog::default();
            change_log.record_read(None, copy.state(), true);
            let tick = change_log.tick(&chart, copy.state());
            Self { chart, copy, change_log, tick }
        }

        fn change(&mut self, seats: &[(usize, SeatStatus)]) {
            let slots: Vec<_> = seats.iter().map(|(seat, status)| (self.chart.seats()[*seat].slot, *status)).collect();
            self.change_slots(&slots);
        }

        fn change_slots(&mut self, seats: &[(Slot, SeatStatus)]) {
            let seats = seats.to_vec();
            let change = SeatChange { version: self.copy.state().version + 1, seats };
            self.copy.follow(&change);
            self.change_log.record(&change);
        }

        fn read(&mut self, state: SeatState, resumable: bool) {
            self.change_log.record_read(Some(self.copy.state()), &state, resumable);
            self.copy = SeatCopy::new(state);
        }

        fn tick(&mut self) {
            assert!(self.change_log.is_due(self.copy.state()));
            self.tick = self.change_log.tick(&self.chart, self.copy.state());
            assert!(!self.change_log.is_due(self.copy.state()));
        }

        fn frame_since(&self, sent: u64) -> Option<SeatFrame> {
            if sent + 1 == self.tick.number {
                let next = self.tick.frame(&self.chart, &Part::Whole);
                assert_eq!(self.change_log.frame_since(sent, &self.chart, &self.tick, &Part::Whole), next);
            }
            self.change_log.frame_since(sent, &self.chart, &self.tick, &Part::Whole)
        }

        fn first_frame(&self, version: u64) -> SeatFrame {
            self.change_log.first_frame(Some(version), &self.chart, &self.tick, &Part::Whole)
        }
    }

    fn delta(seats: &[(u32, u32)]) -> SeatFrame {
        let seats = seats.iter().map(|(place, status)| place * 4 + status).collect();
        SeatFrame::Delta(Changes { seats, areas: [].into() })
    }

    fn is_snapshot(frame: &SeatFrame) -> bool {
        matches!(frame, SeatFrame::Snapshot(..))
    }

    #[test]
    fn a_tick_sends_the_last_status_of_each_seat_only() {
        let mut log = Fixture::new(small_chart());
        log.change(&[(0, SeatStatus::Held), (1, SeatStatus::Held)]);
        log.change(&[(0, SeatStatus::Sold)]);
        log.change(&[(1, SeatStatus::Free)]);
        log.tick();
        assert_eq!(
            log.frame_since(1),
            Some(delta(&[(0, 3), (1, 1)])),
            "a watcher may have seen seat 1 as held on another instance"
        );
    }

    #[test]
    fn an_area_is_sent_once_however_many_of_its_units_change() {
        let mut log = Fixture::new(festival_chart(300));
        let unit = |area: usize, unit: u32| Slot(festival_chart(300).areas()[area].first.0 + unit);
        let left = |areas: &[(u32, u32)]| {
            let areas = areas.iter().map(|(area, left)| AreaLeft { area: *area, left: *left }).collect();
            SeatFrame::Delta(Changes { seats: [].into(), areas })
        };
        log.change_slots(&(0..40).map(|n| (unit(0, n * 7), SeatStatus::Held)).collect::<Vec<_>>());
        log.tick();
        assert_eq!((log.frame_since(1), log.change_log.slots), (Some(left(&[(0, 260)])), 1));
        log.change_slots(&[(unit(1, 11), SeatStatus::Held), (unit(0, 7), SeatStatus::Free)]);
        log.tick();
        assert_eq!(log.frame_since(2), Some(left(&[(0, 261), (1, 11)])));
        assert_eq!(log.first_frame(101), left(&[(0, 261), (1, 11)]));
        let SeatFrame::Snapshot(ranges, areas) = log.first_frame(1) else { panic!("version 1 is older than the log") };
        assert_eq!((ranges.len(), ranges[0].seats), (1, 26));
        assert_eq!(areas.iter().map(|area| area.left).collect::<Vec<_>>(), [261, 11]);
    }

    #[test]
    fn a_watcher_that_is_behind_is_sent_all_missing_changes_at_once() {
        let mut log = Fixture::new(small_chart());
        for (seat, status) in [(0, SeatStatus::Held), (1, SeatStatus::Held), (0, SeatStatus::Sold)] {
            log.change(&[(seat, status)]);
            log.tick();
        }
        assert_eq!(log.frame_since(1), Some(delta(&[(0, 3), (1, 2)])));
        assert_eq!(log.frame_since(2), Some(delta(&[(0, 3), (1, 2)])));
        assert_eq!(log.frame_since(3), Some(delta(&[(0, 3)])));
    }

    #[test]
    fn a_watcher_that_resumes_from_a_version_is_sent_the_changes_after_it() {
        let mut log = Fixture::new(small_chart());
        log.change(&[(0, SeatStatus::Held)]);
        log.change(&[(1, SeatStatus::Held)]);
        log.tick();
        log.change(&[(2, SeatStatus::Held)]);
        log.tick();
        assert_eq!(log.first_frame(103), SeatFrame::Heartbeat);
        assert_eq!(log.first_frame(102), delta(&[(2, 2)]));
        // Another instance ticks at other times, so that its watchers have other versions.
        assert_eq!(log.first_frame(101), delta(&[(0, 2), (1, 2), (2, 2)]));
        assert_eq!(log.first_frame(100), log.first_frame(101));
        assert!(is_snapshot(&log.first_frame(99)), "older than the log");
        assert!(is_snapshot(&log.first_frame(104)), "newer than the latest state");
    }

    #[test]
    fn a_read_is_sent_as_a_delta_here_and_as_a_snapshot_to_those_who_resume_from_before_it() {
        let mut log = Fixture::new(small_chart());
        let mut state = (**log.copy.state()).clone();
        state.statuses[slots(&[5])[0].0 as usize] = Some(SeatStatus::Sold);
        state.version += 10;
        log.read(state, true);
        log.tick();
        assert_eq!(log.frame_since(1), Some(delta(&[(5, 3)])));
        assert!(is_snapshot(&log.first_frame(105)), "the versions between the two states are unknown");
        assert_eq!(log.first_frame(110), SeatFrame::Heartbeat);
        log.change(&[(6, SeatStatus::Held)]);
        log.tick();
        assert_eq!(log.frame_since(1), Some(delta(&[(5, 3), (6, 2)])));
        assert_eq!(log.first_frame(110), delta(&[(6, 2)]));
    }

    #[test]
    fn a_watcher_cannot_resume_from_a_version_of_the_claims() {
        let mut log = Fixture::new(small_chart());
        let claimed = SeatState { version: 500, ..(**log.copy.state()).clone() };
        log.read(claimed, false);
        log.tick();
        assert_eq!(log.frame_since(1), None, "no seat has changed");
        assert!(is_snapshot(&log.first_frame(500)));
        // The locks are available again, with the state of before.
        let back = SeatState { version: 103, ..(**log.copy.state()).clone() };
        log.read(back, false);
        log.tick();
        assert!(is_snapshot(&log.frame_since(2).expect("a frame")), "the version is lower, so that a snapshot is sent");
        assert!(is_snapshot(&log.frame_since(1).expect("a frame")));
        assert!(is_snapshot(&log.first_frame(103)) && is_snapshot(&log.first_frame(500)));
    }

    #[test]
    fn a_state_that_differs_at_the_same_version_is_sent_to_all() {
        let mut log = Fixture::new(small_chart());
        let mut state = (**log.copy.state()).clone();
        state.statuses[0] = Some(SeatStatus::Sold);
        log.read(state, true);
        log.tick();
        assert_eq!(log.frame_since(1), Some(delta(&[(0, 3)])));
        assert!(is_snapshot(&log.first_frame(100)));
    }

    #[test]
    fn many_changes_are_sent_as_a_snapshot() {
        let mut log = Fixture::new(large_chart());
        log.change(&(0..5_001).map(|seat| (seat, SeatStatus::Held)).collect::<Vec<_>>());
        log.tick();
        assert!(is_snapshot(&log.frame_since(1).expect("a frame")));
        log.change(&[(0, SeatStatus::Sold)]);
        log.tick();
        assert_eq!(log.frame_since(2), Some(delta(&[(0, 3)])));
    }

    #[test]
    fn the_log_is_bounded() {
        let mut log = Fixture::new(small_chart());
        for turn in 0..=TICKS_KEPT {
            log.change(&[(3, if turn % 2 == 0 { SeatStatus::Held } else { SeatStatus::Free })]);
            log.tick();
        }
        assert_eq!(log.change_log.past.len(), TICKS_KEPT);
        assert!(is_snapshot(&log.frame_since(1).expect("a frame")));
        assert_eq!(log.frame_since(2), Some(delta(&[(3, 2)])));
        assert!(is_snapshot(&log.first_frame(100)));
        assert_eq!(log.first_frame(101), delta(&[(3, 2)]));

        let mut log = Fixture::new(large_chart());
        let all = |status| (0..60_000).map(|seat| (seat, status)).collect::<Vec<_>>();
        log.change(&all(SeatStatus::Held));
        log.tick();
        assert_eq!((log.change_log.past.len(), log.change_log.slots), (0, 0));
        log.change(&[(0, SeatStatus::Sold)]);
        log.tick();
        assert_eq!(log.frame_since(2), Some(delta(&[(0, 3)])));
        assert!(is_snapshot(&log.frame_since(1).expect("a frame")));
    }
}
