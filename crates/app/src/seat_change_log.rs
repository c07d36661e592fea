//! What has become of the seats of a performance lately, in ticks, so that who was sent an earlier state need not be sent all
//! of the latest.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock};

use encore_domain::booking::seat_state::{SeatChange, SeatState};
use encore_domain::catalog::seat_chart::{SeatChart, Slot};

use crate::seat_frames::{self, AreaLeft, Changes, Part, SeatFrame, SeatRange};

/// How many ticks are kept for those who were away or are slow: a minute of a sale in which something changes all the time.
const TICKS_KEPT: usize = 600;
/// How many changed seats are kept in all of them.
const CHANGES_KEPT: usize = 50_000;
/// A change takes about as many bytes as the statuses of this many seats.
const SEATS_PER_CHANGE: usize = 12;
/// Changes up to this number are always sent as such.
const CHANGES_ALWAYS_TOLD: usize = 64;

/// A state, and how it came to be from the tick before.
#[derive(Debug)]
pub(crate) struct SeatTick {
    /// Of this change log, from 1.
    pub(crate) number: u64,
    /// The state since then.
    pub(crate) state: Arc<SeatState>,
    /// The seats that are not as at the tick before, packed; none if all may be.
    changes: Option<Changes>,
    /// All seats and areas, packed when somebody first needs them.
    whole: OnceLock<(SeatRange, Arc<[AreaLeft]>)>,
}

/// A tick as it is kept for those who need several at once.
#[derive(Debug)]
struct Past {
    number: u64,
    /// The versions that it leads from and to.
    after: u64,
    version: u64,
    /// Of an area only the first slot.
    slots: Vec<Slot>,
}

/// The latest ticks.
#[derive(Debug, Default)]
pub(crate) struct SeatChangeLog {
    ticks: u64,
    /// The state of the latest tick.
    latest: Option<Arc<SeatState>>,
    past: VecDeque<Past>,
    /// How many slots are in the past.
    slots: usize,
    /// Seats that may have changed since the latest tick.
    touched: BTreeSet<Slot>,
    /// Whether all may have.
    broken: bool,
    /// Who has an earlier version than this may have anything.
    resumable_from: u64,
}

impl SeatChangeLog {
    /// Notes a change that was followed.
    pub(crate) fn note(&mut self, change: &SeatChange) {
        self.touched.extend(change.seats.iter().map(|(slot, _)| *slot));
    }

    /// Notes that a state was read. `resumable` says whether its version means the same wherever it was read: then those who
    /// have it can be sent what comes after. What happened on the way to it is not known.
    pub(crate) fn note_state(&mut self, before: Option<&SeatState>, state: &SeatState, resumable: bool) {
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

    /// Whether the latest tick is not the latest state.
    pub(crate) fn is_due(&self, state: &SeatState) -> bool {
        self.broken
            || self.latest.as_ref().is_none_or(|latest| latest.version != state.version)
            || !self.touched.is_empty()
    }

    /// The tick that leads to this state.
    pub(crate) fn tick(&mut self, chart: &SeatChart, state: &Arc<SeatState>) -> SeatTick {
        self.ticks += 1;
        // Whichever units have changed, the area is sent once.
        let told_as = |slot| chart.area_at(slot).map_or(slot, |area| area.first);
        let slots: BTreeSet<Slot> = std::mem::take(&mut self.touched).into_iter().map(told_as).collect();
        let slots: Vec<Slot> = slots.into_iter().collect();
        let before = self.latest.replace(Arc::clone(state)).filter(|_| !std::mem::take(&mut self.broken));
        let changes = before.as_ref().map(|_| seat_frames::changes(chart, state, &slots));
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
        SeatTick { number: self.ticks, state: Arc::clone(state), changes, whole: OnceLock::new() }
    }

    /// What leads from an earlier tick to this one; none if that is not known any more.
    fn since_tick(&self, number: u64, chart: &SeatChart, tick: &SeatTick) -> Option<Changes> {
        let kept = self.past.front().is_some_and(|past| past.number <= number + 1);
        kept.then(|| self.past_changes(chart, tick, |past| past.number > number))
    }

    /// What leads from a version to this tick; none if that is not known.
    fn since_version(&self, version: u64, chart: &SeatChart, tick: &SeatTick) -> Option<Changes> {
        if version < self.resumable_from || version > tick.state.version {
            return None;
        }
        let oldest = self.past.front().map_or(tick.state.version, |past| past.after);
        (oldest <= version).then(|| self.past_changes(chart, tick, |past| past.version > version))
    }

    fn past_changes(&self, chart: &SeatChart, tick: &SeatTick, is_new: impl Fn(&Past) -> bool) -> Changes {
        let slots: BTreeSet<Slot> =
            self.past.iter().filter(|past| is_new(past)).flat_map(|past| &past.slots).copied().collect();
        seat_frames::changes(chart, &tick.state, &slots.into_iter().collect::<Vec<_>>())
    }

    /// What to tell somebody who was sent the tick of a number, if anything.
    pub(crate) fn news(&self, sent: u64, chart: &SeatChart, tick: &SeatTick, part: &Part) -> Option<SeatFrame> {
        tick.news_of(self.since_tick(sent, chart, tick), chart, part)
    }

    /// What to tell somebody who has a version from elsewhere, or none.
    pub(crate) fn first(&self, version: Option<u64>, chart: &SeatChart, tick: &SeatTick, part: &Part) -> SeatFrame {
        match version.and_then(|version| self.since_version(version, chart, tick)) {
            None => tick.snapshot(chart, part),
            Some(changes) => match part.of_changes(&changes) {
                changes if changes.is_empty() => SeatFrame::Heartbeat,
                changes => tick.sent(chart, part, changes),
            },
        }
    }
}

impl SeatTick {
    /// What to tell somebody who was sent the tick before, if anything.
    pub(crate) fn news(&self, chart: &SeatChart, part: &Part) -> Option<SeatFrame> {
        self.news_of(self.changes.clone(), chart, part)
    }

    fn news_of(&self, changes: Option<Changes>, chart: &SeatChart, part: &Part) -> Option<SeatFrame> {
        let Some(changes) = changes else { return Some(self.snapshot(chart, part)) };
        let changes = part.of_changes(&changes);
        (!changes.is_empty()).then(|| self.sent(chart, part, changes))
    }

    /// The changes, or all seats where these are the shorter story.
    fn sent(&self, chart: &SeatChart, part: &Part, changes: Changes) -> SeatFrame {
        let seats = part.seats(chart.seats().len());
        if changes.seats.len() > CHANGES_ALWAYS_TOLD && changes.seats.len() * SEATS_PER_CHANGE > seats {
            return self.snapshot(chart, part);
        }
        SeatFrame::Delta(changes)
    }

    fn snapshot(&self, chart: &SeatChart, part: &Part) -> SeatFrame {
        let all = 0..u32::try_from(chart.seats().len()).unwrap_or(u32::MAX);
        match part {
            Part::Whole => {
                let areas = 0..chart.areas().len();
                let pack = || {
                    (seat_frames::range(chart, &self.state, all), seat_frames::areas_left(chart, &self.state, areas))
                };
                let (range, areas) = self.whole.get_or_init(pack);
                SeatFrame::Snapshot(vec![range.clone()], Arc::clone(areas))
            }
            Part::Sections { seats, areas } => {
                let ranges = seats.iter().map(|places| seat_frames::range(chart, &self.state, places.clone()));
                let areas = areas.iter().map(|area| *area as usize);
                SeatFrame::Snapshot(ranges.collect(), seat_frames::areas_left(chart, &self.state, areas))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encore_domain::booking::seat_copy::SeatCopy;
    use encore_domain::booking::seat_state::{SeatStatus, all_free};
    use encore_port_tests::fixtures::{festival_chart, large_chart, slots, small_chart};

    /// A copy with its change log, as a replica keeps them.
    struct Desk {
        chart: SeatChart,
        copy: SeatCopy,
        change_log: SeatChangeLog,
        tick: SeatTick,
    }

    impl Desk {
        fn new(chart: SeatChart) -> Self {
            let copy = SeatCopy::new(SeatState { statuses: all_free(&chart), version: 100 });
            let mut change_log = SeatChangeLog::default();
            change_log.note_state(None, copy.state(), true);
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
            self.change_log.note(&change);
        }

        fn read(&mut self, state: SeatState, resumable: bool) {
            self.change_log.note_state(Some(self.copy.state()), &state, resumable);
            self.copy = SeatCopy::new(state);
        }

        fn tick(&mut self) {
            assert!(self.change_log.is_due(self.copy.state()));
            self.tick = self.change_log.tick(&self.chart, self.copy.state());
            assert!(!self.change_log.is_due(self.copy.state()));
        }

        fn news(&self, sent: u64) -> Option<SeatFrame> {
            if sent + 1 == self.tick.number {
                let next = self.tick.news(&self.chart, &Part::Whole);
                assert_eq!(self.change_log.news(sent, &self.chart, &self.tick, &Part::Whole), next);
            }
            self.change_log.news(sent, &self.chart, &self.tick, &Part::Whole)
        }

        fn first(&self, version: u64) -> SeatFrame {
            self.change_log.first(Some(version), &self.chart, &self.tick, &Part::Whole)
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
    fn a_tick_tells_what_seats_are_and_not_what_they_were_between() {
        let mut desk = Desk::new(small_chart());
        desk.change(&[(0, SeatStatus::Held), (1, SeatStatus::Held)]);
        desk.change(&[(0, SeatStatus::Sold)]);
        desk.change(&[(1, SeatStatus::Free)]);
        desk.tick();
        assert_eq!(desk.news(1), Some(delta(&[(0, 3), (1, 1)])), "somebody may know seat 1 as held from elsewhere");
    }

    #[test]
    fn an_area_is_told_once_however_many_of_its_units_change() {
        let mut desk = Desk::new(festival_chart(300));
        let unit = |area: usize, unit: u32| Slot(festival_chart(300).areas()[area].first.0 + unit);
        let left = |areas: &[(u32, u32)]| {
            let areas = areas.iter().map(|(area, left)| AreaLeft { area: *area, left: *left }).collect();
            SeatFrame::Delta(Changes { seats: [].into(), areas })
        };
        desk.change_slots(&(0..40).map(|n| (unit(0, n * 7), SeatStatus::Held)).collect::<Vec<_>>());
        desk.tick();
        assert_eq!((desk.news(1), desk.change_log.slots), (Some(left(&[(0, 260)])), 1));
        desk.change_slots(&[(unit(1, 11), SeatStatus::Held), (unit(0, 7), SeatStatus::Free)]);
        desk.tick();
        assert_eq!(desk.news(2), Some(left(&[(0, 261), (1, 11)])));
        assert_eq!(desk.first(101), left(&[(0, 261), (1, 11)]));
        let SeatFrame::Snapshot(ranges, areas) = desk.first(1) else { panic!("nothing is known of version 1") };
        assert_eq!((ranges.len(), ranges[0].seats), (1, 26));
        assert_eq!(areas.iter().map(|area| area.left).collect::<Vec<_>>(), [261, 11]);
    }

    #[test]
    fn who_is_behind_is_told_all_that_is_missing_at_once() {
        let mut desk = Desk::new(small_chart());
        for (seat, status) in [(0, SeatStatus::Held), (1, SeatStatus::Held), (0, SeatStatus::Sold)] {
            desk.change(&[(seat, status)]);
            desk.tick();
        }
        assert_eq!(desk.news(1), Some(delta(&[(0, 3), (1, 2)])));
        assert_eq!(desk.news(2), Some(delta(&[(0, 3), (1, 2)])));
        assert_eq!(desk.news(3), Some(delta(&[(0, 3)])));
    }

    #[test]
    fn who_comes_back_with_a_version_is_told_what_came_after_it() {
        let mut desk = Desk::new(small_chart());
        desk.change(&[(0, SeatStatus::Held)]);
        desk.change(&[(1, SeatStatus::Held)]);
        desk.tick();
        desk.change(&[(2, SeatStatus::Held)]);
        desk.tick();
        assert_eq!(desk.first(103), SeatFrame::Heartbeat);
        assert_eq!(desk.first(102), delta(&[(2, 2)]));
        // Another instance ticks at other moments.
        assert_eq!(desk.first(101), delta(&[(0, 2), (1, 2), (2, 2)]));
        assert_eq!(desk.first(100), desk.first(101));
        assert!(is_snapshot(&desk.first(99)), "from before this began");
        assert!(is_snapshot(&desk.first(104)), "from another world");
    }

    #[test]
    fn what_was_read_is_told_to_those_here_and_not_to_those_who_come_back_to_it() {
        let mut desk = Desk::new(small_chart());
        let mut state = (**desk.copy.state()).clone();
        state.statuses[slots(&[5])[0].0 as usize] = Some(SeatStatus::Sold);
        state.version += 10;
        desk.read(state, true);
        desk.tick();
        assert_eq!(desk.news(1), Some(delta(&[(5, 3)])));
        assert!(is_snapshot(&desk.first(105)), "nobody knows what was between");
        assert_eq!(desk.first(110), SeatFrame::Heartbeat);
        desk.change(&[(6, SeatStatus::Held)]);
        desk.tick();
        assert_eq!(desk.news(1), Some(delta(&[(5, 3), (6, 2)])));
        assert_eq!(desk.first(110), delta(&[(6, 2)]));
    }

    #[test]
    fn a_version_that_is_made_up_is_no_version_to_come_back_with() {
        let mut desk = Desk::new(small_chart());
        let claimed = SeatState { version: 500, ..(**desk.copy.state()).clone() };
        desk.read(claimed, false);
        desk.tick();
        assert_eq!(desk.news(1), None, "nothing has changed");
        assert!(is_snapshot(&desk.first(500)));
        // The locks are back, as they were.
        let back = SeatState { version: 103, ..(**desk.copy.state()).clone() };
        desk.read(back, false);
        desk.tick();
        assert!(is_snapshot(&desk.news(2).expect("news")), "the version is lower: all is sent");
        assert!(is_snapshot(&desk.news(1).expect("news")));
        assert!(is_snapshot(&desk.first(103)) && is_snapshot(&desk.first(500)));
    }

    #[test]
    fn a_state_that_differs_at_the_same_version_is_told_to_everybody() {
        let mut desk = Desk::new(small_chart());
        let mut state = (**desk.copy.state()).clone();
        state.statuses[0] = Some(SeatStatus::Sold);
        desk.read(state, true);
        desk.tick();
        assert_eq!(desk.news(1), Some(delta(&[(0, 3)])));
        assert!(is_snapshot(&desk.first(100)));
    }

    #[test]
    fn many_changes_are_told_as_all_seats() {
        let mut desk = Desk::new(large_chart());
        desk.change(&(0..5_001).map(|seat| (seat, SeatStatus::Held)).collect::<Vec<_>>());
        desk.tick();
        assert!(is_snapshot(&desk.news(1).expect("news")));
        desk.change(&[(0, SeatStatus::Sold)]);
        desk.tick();
        assert_eq!(desk.news(2), Some(delta(&[(0, 3)])));
    }

    #[test]
    fn only_so_much_is_kept() {
        let mut desk = Desk::new(small_chart());
        for turn in 0..=TICKS_KEPT {
            desk.change(&[(3, if turn % 2 == 0 { SeatStatus::Held } else { SeatStatus::Free })]);
            desk.tick();
        }
        assert_eq!(desk.change_log.past.len(), TICKS_KEPT);
        assert!(is_snapshot(&desk.news(1).expect("news")));
        assert_eq!(desk.news(2), Some(delta(&[(3, 2)])));
        assert!(is_snapshot(&desk.first(100)));
        assert_eq!(desk.first(101), delta(&[(3, 2)]));

        let mut desk = Desk::new(large_chart());
        let all = |byte| (0..60_000).map(|seat| (seat, byte)).collect::<Vec<_>>();
        desk.change(&all(SeatStatus::Held));
        desk.tick();
        assert_eq!((desk.change_log.past.len(), desk.change_log.slots), (0, 0));
        desk.change(&[(0, SeatStatus::Sold)]);
        desk.tick();
        assert_eq!(desk.news(2), Some(delta(&[(0, 3)])));
        assert!(is_snapshot(&desk.news(1).expect("news")));
    }
}
