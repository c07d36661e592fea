use encore_domain::ids::PerformanceId;
use encore_domain::line_snapshot::Standing;
use encore_domain::ports::{CutLane, FrozenLane, JoinRefusal, Joining, TicketRefusal};
use encore_domain::queue::{
    DRAW_KEY_BYTES, Draw, DrawKey, EndReason, LaneNumber, LaneRecord, LineRecord, LineSettings, Place, QueueTicket,
    RestoredLine, TokenState,
};
use encore_domain::time::Timestamp;

use super::{ACTIVE_FOR, EPOCH, LANES, joining, number, open_doors, period, place, seen_at};
use crate::SpeedBench;
use crate::answers::refused;
use crate::fixtures::{at_secs, id, line_settings, start};

const KEY: DrawKey = DrawKey([0xD7; DRAW_KEY_BYTES]);
/// How many join lane 0 before its numbers are drawn.
const JOINED: u64 = 20;

/// A line that draws, put in place from this record before the draw.
fn collecting(record: &LineRecord) -> RestoredLine {
    record.restored(Some(KEY), &[], &[], &line_settings(), start())
}

/// The place of a ticket where this many of its lane were drawn.
fn drawn(ticket: &QueueTicket, count: u64) -> Place {
    ticket.place(Some(&Draw::new(KEY, ticket.lane, count)))
}

/// What is drawn of lanes that were frozen so.
fn cut_of(frozen: &[FrozenLane]) -> Vec<CutLane> {
    let cut = |(lane, frozen): (u8, &FrozenLane)| {
        let draw = Draw::new(KEY, lane, frozen.count);
        let numbers = |indexes: &[u64]| indexes.iter().map(|index| draw.number(*index)).collect();
        CutLane { count: frozen.count, gone: numbers(&frozen.gone), unseen: numbers(&frozen.unseen) }
    };
    (0..).zip(frozen).map(cut).collect()
}

impl SpeedBench {
    /// A line that draws, in whose lane 0 [`JOINED`] fans have joined.
    async fn collected(&self) -> Vec<QueueTicket> {
        let performance = self.opened(&collecting(&LineRecord::new(EPOCH, LANES.into(), start()))).await;
        self.join_all(performance, 0, JOINED).await
    }

    async fn freeze(&self, performance: PerformanceId) -> Option<Vec<FrozenLane>> {
        self.lines.freeze(performance).await.expect("the line is in place")
    }

    async fn cut(&self, performance: PerformanceId, lanes: &[CutLane], now: Timestamp) -> bool {
        self.lines.cut(performance, lanes, seen_at(now)).await.expect("the line is in place")
    }

    /// Draws the numbers, and says of whom.
    async fn draw(&self, performance: PerformanceId, now: Timestamp) -> Vec<FrozenLane> {
        let frozen = self.freeze(performance).await.expect("the numbers are still to be drawn");
        assert!(self.cut(performance, &cut_of(&frozen), now).await);
        frozen
    }

    async fn state_at(&self, place: &Place, now: Timestamp) -> TokenState {
        self.lines.state(place, now).await.expect("the line knows the place")
    }

    async fn report_lane_0(&self, performance: PerformanceId, numbers: &[LaneNumber], drawn: bool, now: Timestamp) {
        let reported = self.lines.report_present(performance, numbers, drawn, seen_at(now)).await;
        reported.expect("the line is in place");
    }
}

pub async fn draws_numbers(bench: SpeedBench) {
    let line = bench.collected().await;
    let performance = line[0].performance;
    let others = bench.join_all(performance, 1, 5).await;
    bench.end(&line[2], EndReason::Left, start()).await;
    let opening = period(10);
    assert_eq!(bench.abandon_absent(performance, opening).await, 0);
    assert_eq!(bench.admit(&line, &open_doors(), opening).await, 0);
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.draws, snapshot.lanes[0].drawn, snapshot.waiting()), (true, None, JOINED + 4));
    assert_eq!((snapshot.standing(number(1)), snapshot.standing(number(3))), (Standing::Collected, Standing::Ended));

    let frozen = bench.draw(performance, opening).await;
    let lane = |count, gone: &[u64]| FrozenLane { count, gone: gone.to_vec(), unseen: vec![] };
    assert_eq!(frozen, [lane(JOINED, &[3]), lane(5, &[]), lane(0, &[])]);
    let newcomer = bench.join(performance, id(), opening).await;
    assert_eq!(newcomer.index, JOINED + 1);
    let snapshot = bench.snapshot(performance).await;
    assert_eq!(snapshot.lanes.iter().map(|lane| lane.drawn).collect::<Vec<_>>(), [Some(JOINED), Some(5), Some(0)]);
    assert_eq!((snapshot.waiting(), snapshot.flow.left), (JOINED + 5, 1));
    assert_eq!(snapshot.standing(number(JOINED + 1)), Standing::Waiting { position: JOINED });
    let left = drawn(&line[2], JOINED);
    assert_eq!(bench.state_at(&left, opening).await, TokenState::Ended(EndReason::Left));

    // Those of lane 0 by number: who left is passed over, and all but the odd ones are away after the draw.
    let mut numbers: Vec<Place> = line.iter().map(|ticket| drawn(ticket, JOINED)).collect();
    numbers.retain(|place| *place != left);
    numbers.sort_by_key(|place| place.number);
    let (odd, even): (Vec<&Place>, Vec<&Place>) = numbers.iter().partition(|place| place.number % 2 == 1);
    let lane_numbers = |places: &[&Place]| places.iter().map(|place| place.lane_number()).collect::<Vec<LaneNumber>>();
    bench.report_lane_0(performance, &lane_numbers(&odd), true, period(12)).await;
    bench.report_lane_0(performance, &lane_numbers(&even), false, period(12)).await;
    let now = period(15);
    assert_eq!(bench.abandon_absent(performance, period(14)).await, 0, "the draw counts as being seen");
    let abandoned = even.len() as u64 + others.len() as u64 + 1;
    assert_eq!(bench.abandon_absent(performance, now).await, abandoned, "the newcomer is away as well");
    let one = LineSettings { batch: 1, ..open_doors() };
    for (place, at) in odd.iter().zip(1..) {
        let now = now + ACTIVE_FOR * at;
        assert_eq!(bench.admit(&line, &one, now).await, 1);
        let called = TokenState::Called { claim_by: now + one.claim_window };
        assert_eq!(bench.state_at(place, now).await, called, "number {}", place.number);
    }

    draws_what_was_restored(&bench).await;
}

/// A line that was lost before its draw: those not seen since keep that with their new numbers, and a draw of more than the line
/// knows of makes it longer.
async fn draws_what_was_restored(bench: &SpeedBench) {
    let record = LineRecord {
        lanes: vec![LaneRecord { head: 0, tail: 8, limit: 10 }; LANES.into()],
        ..LineRecord::new(EPOCH, LANES.into(), start())
    };
    let performance = bench.opened(&collecting(&record)).await;
    let ticket = |index| QueueTicket { performance, user: id(), epoch: EPOCH, lane: 0, index, admitted_until: None };
    let (shown, unseen) = (ticket(4), ticket(7));
    bench.lines.show(performance, &[place(&shown)], seen_at(start())).await.expect("the line is in place");
    let frozen = bench.freeze(performance).await.expect("the numbers are still to be drawn");
    assert_eq!(frozen[0], FrozenLane { count: 10, gone: vec![], unseen: vec![1, 2, 3, 5, 6, 7, 8, 9, 10] });
    let mut cut = cut_of(&frozen);
    cut[1] = CutLane { count: 30, gone: vec![], unseen: (2..=30).collect() };
    assert!(bench.cut(performance, &cut, start()).await);

    let lane = bench.snapshot(performance).await.lanes.remove(1);
    assert_eq!((lane.tail, lane.drawn, lane.waiting()), (30, Some(30), 1));
    assert_eq!(bench.state_at(&drawn(&shown, 10), start()).await, TokenState::Waiting);
    let unseen = drawn(&unseen, 10);
    assert_eq!(refused(bench.lines.state(&unseen, start()).await), TicketRefusal::Unseen);
    bench.lines.show(performance, &[unseen], seen_at(start())).await.expect("the numbers were drawn");
    assert_eq!(bench.state_at(&unseen, start()).await, TokenState::Waiting);
    assert_eq!(bench.snapshot(performance).await.flow.joined, 0, "nobody joined since it was put in place");
}

/// Checks that a place is refused for its draw, whatever is asked of it.
async fn assert_drawn(bench: &SpeedBench, place: &Place, count: Option<u64>) {
    let (lines, expected) = (&bench.lines, TicketRefusal::Drawn { count });
    assert_eq!(refused(lines.state(place, start()).await), expected, "{place:?}");
    assert_eq!(refused(lines.claim(place, ACTIVE_FOR, start()).await), expected, "{place:?}");
    assert_eq!(refused(lines.end(place, EndReason::Left, start()).await), expected, "{place:?}");
    assert_eq!(refused(lines.spend_hold_try(place, 1, start()).await), expected, "{place:?}");
    let shown = lines.show(place.ticket.performance, &[*place], seen_at(start())).await;
    assert_eq!(refused(shown), expected, "{place:?}");
}

pub async fn a_place_of_another_draw_is_refused(bench: SpeedBench) {
    let ordered = bench.line(2).await;
    assert_drawn(&bench, &drawn(&ordered[0], 2), None).await;

    let line = bench.collected().await;
    let performance = line[0].performance;
    assert_drawn(&bench, &drawn(&line[0], JOINED), None).await;
    bench.draw(performance, start()).await;
    let newcomer = bench.join(performance, id(), start()).await;
    let before = bench.snapshot(performance).await;
    for other in [place(&line[0]), drawn(&line[0], JOINED - 1), drawn(&newcomer, JOINED + 1)] {
        assert_drawn(&bench, &other, Some(JOINED)).await;
    }
    assert_eq!(bench.snapshot(performance).await, before);
    for fits in [drawn(&line[0], JOINED), drawn(&newcomer, JOINED), place(&newcomer)] {
        assert_eq!(bench.state_at(&fits, start()).await, TokenState::Waiting);
    }
}

pub async fn joins_with_a_drawn_number(bench: SpeedBench) {
    let line = bench.collected().await;
    let performance = line[0].performance;
    bench.draw(performance, start()).await;
    let newcomer = bench.join(performance, id(), start()).await;
    assert_eq!(bench.join(performance, newcomer.user, start()).await, newcomer, "its number is known");

    for ticket in &line[..4] {
        let fan = joining(performance, ticket.user, start());
        let needed = JoinRefusal::NumberNeeded { ticket: *ticket, drawn: JOINED };
        let wrong = [None, Some(place(ticket)), Some(drawn(&line[9], JOINED)), Some(drawn(ticket, JOINED - 1))];
        for place in wrong {
            assert_eq!(refused(bench.try_join(Joining { place, ..fan }).await), needed, "{place:?}");
            let guest = Joining { place, may_enter: false, ..fan };
            assert_eq!(refused(bench.try_join(guest).await), needed, "{place:?}");
            let elsewhere = Joining { place, lane: 1, ..fan };
            assert_eq!(refused(bench.try_join(elsewhere).await), needed, "{place:?}");
        }
    }
    let told = |ticket: &QueueTicket, now| Joining {
        place: Some(drawn(ticket, JOINED)),
        ..joining(performance, ticket.user, now)
    };
    assert_eq!(bench.try_join(told(&line[0], start())).await.expect("it waits"), line[0]);
    let guest = Joining { may_enter: false, ..told(&line[1], start()) };
    assert_eq!(bench.try_join(guest).await.expect("it waits"), line[1]);

    let moved = bench.try_join(Joining { lane: 1, ..told(&line[2], start()) }).await.expect("a number is left");
    assert_eq!((moved.lane, moved.index), (1, 1));
    let replaced = TokenState::Ended(EndReason::Replaced);
    assert_eq!(bench.state_at(&drawn(&line[2], JOINED), start()).await, replaced);

    // All are called and nobody comes: who joins then gets a new number at the end.
    assert_eq!(bench.admit(&line, &open_doors(), start()).await, JOINED + 1);
    assert_eq!(bench.try_join(told(&line[3], start())).await.expect("it is called"), line[3]);
    let late = at_secs(60);
    let again = bench.try_join(told(&line[3], late)).await.expect("a number is left");
    assert_eq!(again, QueueTicket { index: JOINED + 2, ..line[3] });
    assert_eq!(bench.state(&again, late).await, TokenState::Waiting);
    assert_eq!(bench.join(performance, line[3].user, late).await, again);
}

pub async fn nobody_leaves_while_numbers_are_drawn(bench: SpeedBench) {
    let line = bench.collected().await;
    let performance = line[0].performance;
    bench.end(&line[2], EndReason::Left, start()).await;
    let frozen = bench.freeze(performance).await;
    for ticket in &line[..3] {
        let place = place(ticket);
        let ended = bench.lines.end(&place, EndReason::Left, start()).await;
        assert_eq!(refused(ended), TicketRefusal::Drawing);
        assert_eq!(refused(bench.lines.claim(&place, ACTIVE_FOR, start()).await), TicketRefusal::Drawing);
        let shown = bench.lines.show(performance, &[place], seen_at(start())).await;
        assert_eq!(refused(shown), TicketRefusal::Drawing);
    }
    assert_eq!(bench.state(&line[0], start()).await, TokenState::Waiting);
    assert_eq!(bench.join(performance, line[0].user, start()).await, line[0]);
    assert_eq!(bench.join_lane(performance, line[0].user, 1, start()).await, line[0], "nor does anybody move");
    let newcomers = bench.join_all(performance, 0, 3).await;
    let left = TokenState::Ended(EndReason::Left);
    assert_eq!(bench.end(&newcomers[1], EndReason::Left, start()).await, left, "it comes after the drawn numbers");
    assert_eq!(bench.abandon_absent(performance, period(10)).await, 0);

    assert_eq!(bench.freeze(performance).await, frozen);
    let frozen = frozen.expect("the numbers are still to be drawn");
    assert_eq!((frozen[0].count, &frozen[0].gone), (JOINED, &vec![3]));
    assert!(bench.cut(performance, &cut_of(&frozen), start()).await);
    let after = bench.snapshot(performance).await;
    assert_eq!(bench.states(&newcomers, start()).await, [TokenState::Waiting, left, TokenState::Waiting]);
    assert_eq!((after.lanes[0].tail, after.waiting()), (JOINED + 3, JOINED + 1));

    assert_eq!(bench.freeze(performance).await, None);
    let other = CutLane { count: 5, gone: vec![1, 2], unseen: vec![3] };
    assert!(!bench.cut(performance, &vec![other.clone(); LANES.into()], start()).await);
    assert_eq!(bench.snapshot(performance).await, after);
    let place = drawn(&line[0], JOINED);
    assert_eq!(bench.lines.end(&place, EndReason::Left, start()).await.expect("the numbers were drawn"), left);

    let ordered = bench.line(1).await[0].performance;
    assert_eq!(bench.freeze(ordered).await, None, "nothing is drawn in this one");
    assert!(!bench.cut(ordered, &vec![other; LANES.into()], start()).await);
}
