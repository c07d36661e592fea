use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{CutLane, FrozenLane, JoinRefusal, Joining, TokenRefusal};
use encore_domain::queue::snapshot::NumberStatus;
use encore_domain::queue::{
    DRAW_KEY_BYTES, Draw, DrawKey, EndReason, LaneNumber, LaneRecord, QueueRate, QueueRecord, QueueSettings,
    QueueToken, QueueTokenPayload, RestoredQueue, TokenState,
};
use encore_domain::time::Timestamp;

use super::{ACTIVE_DURATION, EPOCH, LANES, a_payload, joining, number, open_doors, period, seen_at, token};
use crate::SpeedBench;
use crate::answers::refused;
use crate::fixtures::{at_secs, id, queue_settings, start};

const KEY: DrawKey = DrawKey([0xD7; DRAW_KEY_BYTES]);
/// The number of fans who join lane 0 before its numbers are drawn.
const JOINED: u64 = 20;

/// A queue with a draw, restored from this record before the draw.
fn pre_queue(record: &QueueRecord) -> RestoredQueue {
    record.restored(Some(KEY), &[], &[], &queue_settings(), start())
}

/// The token of a payload whose lane has drawn this many numbers.
fn drawn(payload: &QueueTokenPayload, count: u64) -> QueueToken {
    payload.token(Some(&Draw::new(KEY, payload.lane, count)))
}

/// The draw of these frozen lanes.
fn cut_of(frozen: &[FrozenLane]) -> Vec<CutLane> {
    let cut = |(lane, frozen): (u8, &FrozenLane)| {
        let draw = Draw::new(KEY, lane, frozen.count);
        let numbers = |indexes: &[u64]| indexes.iter().map(|index| draw.number(*index)).collect();
        CutLane {
            count: frozen.count,
            gone: numbers(&frozen.gone),
            unseen: numbers(&frozen.unseen),
            needs_accessible: numbers(&frozen.needs_accessible),
        }
    };
    (0..).zip(frozen).map(cut).collect()
}

impl SpeedBench {
    /// A queue with a draw, whose lane 0 has [`JOINED`] fans.
    async fn pre_queued(&self) -> Vec<QueueTokenPayload> {
        let performance = self.opened(&pre_queue(&QueueRecord::new(EPOCH, LANES.into(), start()))).await;
        self.join_all(performance, 0, JOINED).await
    }

    async fn freeze(&self, performance: PerformanceId, joined: &[u64]) -> Option<Vec<FrozenLane>> {
        self.queues.freeze(performance, joined).await.expect("the queue is open")
    }

    /// How many joined each lane.
    async fn tails(&self, performance: PerformanceId) -> Vec<u64> {
        self.snapshot(performance).await.lanes.iter().map(|lane| lane.tail).collect()
    }

    async fn cut(&self, performance: PerformanceId, lanes: &[CutLane], now: Timestamp) -> bool {
        self.queues.cut(performance, lanes, seen_at(now)).await.expect("the queue is open")
    }

    /// Draws the numbers, and returns the frozen lanes.
    async fn draw(&self, performance: PerformanceId, now: Timestamp) -> Vec<FrozenLane> {
        let joined = self.tails(performance).await;
        let frozen = self.freeze(performance, &joined).await.expect("the numbers are not drawn yet");
        assert!(self.cut(performance, &cut_of(&frozen), now).await);
        frozen
    }

    async fn state_at(&self, token: &QueueToken, now: Timestamp) -> TokenState {
        self.queues.state(token, now).await.expect("the queue knows the token")
    }

    async fn report_lane_0(&self, performance: PerformanceId, numbers: &[LaneNumber], drawn: bool, now: Timestamp) {
        let reported = self.queues.report_present(performance, numbers, drawn, seen_at(now)).await;
        reported.expect("the queue is open");
    }
}

/// A fan who joins lane 0 with an entry.
fn entering(performance: PerformanceId, user: UserId, entry: u64) -> Joining {
    Joining { entry: Some(entry), ..joining(performance, user, start()) }
}

pub async fn asks_for_the_entry_of_a_fan(bench: SpeedBench) {
    let performance = id();
    bench.open_new(performance, &pre_queue(&QueueRecord::new(EPOCH, LANES.into(), start()))).await;
    let (first, second) = (id(), id());
    let needed = JoinRefusal::EntryNeeded { epoch: EPOCH };
    assert_eq!(refused(bench.queues.join(joining(performance, first, start())).await), needed);
    let no_entry = Joining { may_enter: false, ..joining(performance, first, start()) };
    assert_eq!(refused(bench.queues.join(no_entry).await), JoinRefusal::NoToken);
    let nowhere = Joining { lane: LANES, ..joining(performance, first, start()) };
    assert_eq!(refused(bench.queues.join(nowhere).await), JoinRefusal::NoToken);

    // The second entry comes first, and no limit is needed.
    let later = bench.try_join(entering(performance, second, 2)).await.expect("a token");
    assert_eq!(bench.snapshot(performance).await.waiting(), 2, "the fan of the first entry is about to come");
    let earlier = bench.try_join(entering(performance, first, 1)).await.expect("a token");
    assert_eq!((earlier.index, later.index, earlier.user), (1, 2, first));
    let again = bench.queues.join(joining(performance, first, start())).await.expect("the fan has a token");
    assert_eq!(again.payload, earlier);
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.lanes[0].tail, snapshot.waiting(), snapshot.flow.joined), (2, 2, 2));

    bench.draw(performance, start()).await;
    let newcomer = joining(performance, id(), start());
    assert_eq!(refused(bench.queues.join(newcomer).await), JoinRefusal::NumbersSpent, "numbers follow in order");
    bench.extend(performance, 0, 3).await;
    assert_eq!(bench.queues.join(newcomer).await.expect("a number is left").payload.index, 3);
}

pub async fn returns_to_the_entry(bench: SpeedBench) {
    let queue = bench.pre_queued().await;
    let (performance, fan) = (queue[0].performance, queue[2].user);
    let first = queue[2];
    let at = |secs, needs_accessible| Joining {
        needs_accessible,
        presence: seen_at(at_secs(secs)),
        ..entering(performance, fan, first.index)
    };
    for turn in 1..=3 {
        bench.end(&first, EndReason::Left, at_secs(turn)).await;
        assert_eq!(bench.snapshot(performance).await.waiting(), JOINED - 1);
        let again = bench.try_join(at(turn, turn == 2)).await.expect("the fan's entry");
        let issued_at = at_secs(turn);
        assert_eq!(again, QueueTokenPayload { issued_at, needs_accessible: turn == 2, ..first });
        assert_eq!(bench.state(&again, at_secs(turn)).await, TokenState::Waiting);
        let snapshot = bench.snapshot(performance).await;
        assert_eq!((snapshot.lanes[0].tail, snapshot.waiting()), (JOINED, JOINED));
        assert_eq!(snapshot.lanes[0].waiting_by_need(true), u64::from(turn == 2));

        let noted = bench.queues.note_leave(&token(&first), None, at_secs(turn)).await;
        let left = TokenState::Ended(EndReason::Left);
        assert_eq!(noted.expect("the queue knows the token"), left, "a repeat does not leave again");
        let noted = bench.queues.note_leave(&token(&again), None, at_secs(turn)).await;
        assert_eq!(noted.expect("the queue knows the token"), TokenState::Waiting);
    }

    // To another lane, out of it, and back.
    let moved = Joining { lane: 1, ..entering(performance, fan, 1) };
    let moved = bench.queues.join(moved).await.expect("the fan's entry");
    assert_eq!((moved.payload.lane, moved.payload.index, moved.replaced.map(|ended| ended.index)), (1, 1, Some(3)));
    bench.end(&moved.payload, EndReason::Left, start()).await;
    assert_eq!(bench.try_join(at(9, false)).await.expect("the fan's entry").index, 3);
    assert_eq!(bench.tails(performance).await, [JOINED, 1, 0]);
    let frozen = bench.draw(performance, start()).await;
    assert_eq!((&frozen[0].gone, &frozen[1].gone), (&vec![], &vec![1]));

    // A fan who was not seen since the queue was restored.
    let record = QueueRecord {
        lanes: vec![LaneRecord { head: 0, tail: 0, limit: 10 }; LANES.into()],
        ..QueueRecord::new(EPOCH, LANES.into(), start())
    };
    let restored = bench.opened(&pre_queue(&record)).await;
    let joined = bench.try_join(entering(restored, fan, 4)).await.expect("the fan's entry");
    assert_eq!((joined.index, bench.state(&joined, start()).await), (4, TokenState::Waiting));
    assert_eq!(bench.snapshot(restored).await.waiting(), 1);
    assert_eq!(bench.draw(restored, start()).await[0].unseen, [1, 2, 3, 5, 6, 7, 8, 9, 10]);
}

pub async fn a_late_entry_gets_its_number(bench: SpeedBench) {
    let queue = bench.pre_queued().await;
    let performance = queue[0].performance;
    let (late, in_need) = (entering(performance, id(), JOINED + 1), entering(performance, id(), JOINED + 2));
    let in_need = Joining { needs_accessible: true, ..in_need };
    bench.end(&queue[4], EndReason::Left, start()).await;
    let joined = JOINED + 2;
    let frozen = bench.freeze(performance, &[joined]).await.expect("the numbers are not drawn yet");
    assert_eq!((frozen[0].count, bench.tails(performance).await[0]), (joined, joined));
    for late in [late, in_need] {
        assert_eq!(refused(bench.try_join(late).await), JoinRefusal::Drawing);
    }
    let newcomer = bench.join(performance, id(), start()).await;
    assert_eq!(newcomer.index, joined + 1, "who enters no draw follows");

    assert!(bench.cut(performance, &cut_of(&frozen), start()).await);
    for late in [late, in_need] {
        let entry = late.entry.expect("an entry");
        let payload = QueueTokenPayload {
            performance,
            user: late.user,
            index: entry,
            needs_accessible: late.needs_accessible,
            ..a_payload()
        };
        assert_eq!(refused(bench.try_join(late).await), JoinRefusal::NumberNeeded { payload, drawn: joined });
        let number = drawn(&payload, joined);
        let with_number = Joining { token: Some(number), ..late };
        assert_eq!(bench.try_join(with_number).await.expect("the entry waits"), payload);
        assert_eq!(bench.state_at(&number, start()).await, TokenState::Waiting);
        let without_entry = Joining { entry: None, ..with_number };
        assert_eq!(bench.try_join(without_entry).await.expect("the fan has a token"), payload);
    }
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.waiting(), snapshot.lanes[0].waiting_by_need(true)), (JOINED + 2, 1));

    let left = QueueTokenPayload { issued_at: start(), ..queue[4] };
    let again = Joining { token: Some(drawn(&left, joined)), ..entering(performance, left.user, left.index) };
    let again = bench.try_join(again).await.expect("a new token");
    assert_eq!(again.index, joined + 2, "after all others");
}

pub async fn draws_numbers(bench: SpeedBench) {
    let queue = bench.pre_queued().await;
    let performance = queue[0].performance;
    let others = bench.join_all(performance, 1, 5).await;
    bench.end(&queue[2], EndReason::Left, start()).await;
    let opening = period(10);
    assert_eq!(bench.abandon_absent(performance, opening).await, 0);
    assert_eq!(bench.admit(&queue, &open_doors(), opening).await, 0);
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.draws, snapshot.lanes[0].drawn, snapshot.waiting()), (true, None, JOINED + 4));
    assert_eq!(
        (snapshot.status(number(1)), snapshot.status(number(3))),
        (NumberStatus::PreQueued, NumberStatus::Ended)
    );

    let frozen = bench.draw(performance, opening).await;
    let lane = |count, gone: &[u64]| FrozenLane { count, gone: gone.to_vec(), ..FrozenLane::default() };
    assert_eq!(frozen, [lane(JOINED, &[3]), lane(5, &[]), lane(0, &[])]);
    let newcomer = bench.join(performance, id(), opening).await;
    assert_eq!(newcomer.index, JOINED + 1);
    let snapshot = bench.snapshot(performance).await;
    assert_eq!(snapshot.lanes.iter().map(|lane| lane.drawn).collect::<Vec<_>>(), [Some(JOINED), Some(5), Some(0)]);
    assert_eq!((snapshot.waiting(), snapshot.flow.left), (JOINED + 5, 1));
    assert_eq!(snapshot.status(number(JOINED + 1)), NumberStatus::waiting_at(JOINED));
    let left = drawn(&queue[2], JOINED);
    assert_eq!(bench.state_at(&left, opening).await, TokenState::Ended(EndReason::Left));

    // The tokens of lane 0 by drawn number, without the one that left. Only odd numbers are reported present after the
    // draw.
    let mut numbers: Vec<QueueToken> = queue.iter().map(|payload| drawn(payload, JOINED)).collect();
    numbers.retain(|token| *token != left);
    numbers.sort_by_key(|token| token.number);
    let (odd, even): (Vec<&QueueToken>, Vec<&QueueToken>) = numbers.iter().partition(|token| token.number % 2 == 1);
    let lane_numbers =
        |tokens: &[&QueueToken]| tokens.iter().map(|token| token.lane_number()).collect::<Vec<LaneNumber>>();
    bench.report_lane_0(performance, &lane_numbers(&odd), true, period(12)).await;
    bench.report_lane_0(performance, &lane_numbers(&even), false, period(12)).await;
    let now = period(15);
    assert_eq!(bench.abandon_absent(performance, period(14)).await, 0, "every fan counts as present at the draw");
    let abandoned = even.len() as u64 + others.len() as u64 + 1;
    assert_eq!(bench.abandon_absent(performance, now).await, abandoned, "the newcomer is absent as well");
    let rate = QueueRate { admissions: 1, period: ACTIVE_DURATION };
    let one = QueueSettings { rate, batch: 1, ..open_doors() };
    for (token, at) in odd.iter().zip(1..) {
        let now = now + ACTIVE_DURATION * at;
        assert_eq!(bench.admit(&queue, &one, now).await, 1);
        let called = TokenState::Called { accept_by: now + one.accept_window };
        assert_eq!(bench.state_at(token, now).await, called, "number {}", token.number);
    }

    draws_what_was_restored(&bench).await;
}

/// A queue that was lost before its draw. Unseen fans stay unseen under their drawn numbers, and a draw of more numbers
/// than the queue has given out extends the lane.
async fn draws_what_was_restored(bench: &SpeedBench) {
    let record = QueueRecord {
        lanes: vec![LaneRecord { head: 0, tail: 8, limit: 10 }; LANES.into()],
        ..QueueRecord::new(EPOCH, LANES.into(), start())
    };
    let performance = bench.opened(&pre_queue(&record)).await;
    let payload = |index| QueueTokenPayload { performance, user: id(), index, ..a_payload() };
    let (shown, unseen) = (payload(4), payload(7));
    bench.queues.show(performance, &[token(&shown)], seen_at(start())).await.expect("the queue is open");
    let frozen = bench.freeze(performance, &[10; 3]).await.expect("the numbers are not drawn yet");
    assert_eq!(frozen[0], FrozenLane { count: 10, unseen: vec![1, 2, 3, 5, 6, 7, 8, 9, 10], ..FrozenLane::default() });
    let mut cut = cut_of(&frozen);
    cut[1] = CutLane { count: 30, unseen: (2..=30).collect(), ..CutLane::default() };
    assert!(bench.cut(performance, &cut, start()).await);

    let lane = bench.snapshot(performance).await.lanes.remove(1);
    assert_eq!((lane.tail, lane.drawn, lane.waiting()), (30, Some(30), 1));
    assert_eq!(bench.state_at(&drawn(&shown, 10), start()).await, TokenState::Waiting);
    let unseen = drawn(&unseen, 10);
    assert_eq!(refused(bench.queues.state(&unseen, start()).await), TokenRefusal::Unseen);
    bench.queues.show(performance, &[unseen], seen_at(start())).await.expect("the numbers were drawn");
    assert_eq!(bench.state_at(&unseen, start()).await, TokenState::Waiting);
    assert_eq!(bench.snapshot(performance).await.flow.joined, 0, "nobody joined since the queue was restored");
}

/// Checks that every operation refuses a token because of its draw.
async fn assert_drawn(bench: &SpeedBench, token: &QueueToken, count: Option<u64>) {
    let (queues, expected) = (&bench.queues, TokenRefusal::Drawn { count });
    assert_eq!(refused(queues.state(token, start()).await), expected, "{token:?}");
    assert_eq!(refused(queues.accept(token, ACTIVE_DURATION, start()).await), expected, "{token:?}");
    assert_eq!(refused(queues.end(token, EndReason::Left, start()).await), expected, "{token:?}");
    assert_eq!(refused(queues.spend_hold_try(token, 1, start()).await), expected, "{token:?}");
    let shown = queues.show(token.payload.performance, &[*token], seen_at(start())).await;
    assert_eq!(refused(shown), expected, "{token:?}");
}

pub async fn a_token_of_another_draw_is_refused(bench: SpeedBench) {
    let ordered = bench.queue(2).await;
    assert_drawn(&bench, &drawn(&ordered[0], 2), None).await;

    let queue = bench.pre_queued().await;
    let performance = queue[0].performance;
    assert_drawn(&bench, &drawn(&queue[0], JOINED), None).await;
    bench.draw(performance, start()).await;
    let newcomer = bench.join(performance, id(), start()).await;
    let before = bench.snapshot(performance).await;
    for other in [token(&queue[0]), drawn(&queue[0], JOINED - 1), drawn(&newcomer, JOINED + 1)] {
        assert_drawn(&bench, &other, Some(JOINED)).await;
    }
    assert_eq!(bench.snapshot(performance).await, before);
    for fits in [drawn(&queue[0], JOINED), drawn(&newcomer, JOINED), token(&newcomer)] {
        assert_eq!(bench.state_at(&fits, start()).await, TokenState::Waiting);
    }
}

pub async fn joins_with_a_drawn_number(bench: SpeedBench) {
    let queue = bench.pre_queued().await;
    let performance = queue[0].performance;
    bench.draw(performance, start()).await;
    let newcomer = bench.join(performance, id(), start()).await;
    assert_eq!(bench.join(performance, newcomer.user, start()).await, newcomer, "its number is given out");

    for payload in &queue[..4] {
        let fan = joining(performance, payload.user, start());
        let needed = JoinRefusal::NumberNeeded { payload: *payload, drawn: JOINED };
        let wrong = [None, Some(token(payload)), Some(drawn(&queue[9], JOINED)), Some(drawn(payload, JOINED - 1))];
        for token in wrong {
            assert_eq!(refused(bench.try_join(Joining { token, ..fan }).await), needed, "{token:?}");
            let guest = Joining { token, may_enter: false, ..fan };
            assert_eq!(refused(bench.try_join(guest).await), needed, "{token:?}");
            let elsewhere = Joining { token, lane: 1, ..fan };
            assert_eq!(refused(bench.try_join(elsewhere).await), needed, "{token:?}");
        }
    }
    let with_token = |payload: &QueueTokenPayload, now| Joining {
        token: Some(drawn(payload, JOINED)),
        ..joining(performance, payload.user, now)
    };
    assert_eq!(bench.try_join(with_token(&queue[0], start())).await.expect("it waits"), queue[0]);
    let guest = Joining { may_enter: false, ..with_token(&queue[1], start()) };
    assert_eq!(bench.try_join(guest).await.expect("it waits"), queue[1]);

    let moved = bench.try_join(Joining { lane: 1, ..with_token(&queue[2], start()) }).await.expect("a number is left");
    assert_eq!((moved.lane, moved.index), (1, 1));
    let replaced = TokenState::Ended(EndReason::Replaced);
    assert_eq!(bench.state_at(&drawn(&queue[2], JOINED), start()).await, replaced);

    // All are called and nobody accepts. A fan who joins after that gets a new number at the end.
    assert_eq!(bench.admit(&queue, &open_doors(), start()).await, JOINED + 1);
    assert_eq!(bench.try_join(with_token(&queue[3], start())).await.expect("it is called"), queue[3]);
    let late = at_secs(60);
    let again = bench.try_join(with_token(&queue[3], late)).await.expect("a number is left");
    assert_eq!(again, QueueTokenPayload { index: JOINED + 2, issued_at: late, ..queue[3] });
    assert_eq!(bench.state(&again, late).await, TokenState::Waiting);
    assert_eq!(bench.join(performance, queue[3].user, late).await, again);
}

pub async fn nobody_leaves_while_numbers_are_drawn(bench: SpeedBench) {
    let queue = bench.pre_queued().await;
    let performance = queue[0].performance;
    bench.end(&queue[2], EndReason::Left, start()).await;
    let frozen = bench.freeze(performance, &[JOINED]).await;
    for payload in &queue[..3] {
        let token = token(payload);
        let ended = bench.queues.end(&token, EndReason::Left, start()).await;
        assert_eq!(refused(ended), TokenRefusal::Drawing);
        assert_eq!(refused(bench.queues.accept(&token, ACTIVE_DURATION, start()).await), TokenRefusal::Drawing);
        let shown = bench.queues.show(performance, &[token], seen_at(start())).await;
        assert_eq!(refused(shown), TokenRefusal::Drawing);
    }
    assert_eq!(bench.state(&queue[0], start()).await, TokenState::Waiting);
    assert_eq!(bench.join(performance, queue[0].user, start()).await, queue[0]);
    assert_eq!(bench.join_lane(performance, queue[0].user, 1, start()).await, queue[0], "nobody moves to another lane");
    let newcomers = bench.join_all(performance, 0, 3).await;
    let left = TokenState::Ended(EndReason::Left);
    assert_eq!(
        bench.end(&newcomers[1], EndReason::Left, start()).await,
        left,
        "a number after the drawn ones can leave"
    );
    assert_eq!(bench.abandon_absent(performance, period(10)).await, 0);

    assert_eq!(bench.freeze(performance, &[JOINED]).await, frozen);
    let frozen = frozen.expect("the numbers are not drawn yet");
    assert_eq!((frozen[0].count, &frozen[0].gone), (JOINED, &vec![3]));
    assert!(bench.cut(performance, &cut_of(&frozen), start()).await);
    let after = bench.snapshot(performance).await;
    assert_eq!(bench.states(&newcomers, start()).await, [TokenState::Waiting, left, TokenState::Waiting]);
    assert_eq!((after.lanes[0].tail, after.waiting()), (JOINED + 3, JOINED + 1));

    assert_eq!(bench.freeze(performance, &[JOINED]).await, None);
    let other = CutLane { count: 5, gone: vec![1, 2], unseen: vec![3], ..CutLane::default() };
    assert!(!bench.cut(performance, &vec![other.clone(); LANES.into()], start()).await);
    assert_eq!(bench.snapshot(performance).await, after);
    let token = drawn(&queue[0], JOINED);
    assert_eq!(bench.queues.end(&token, EndReason::Left, start()).await.expect("the numbers were drawn"), left);

    let ordered = bench.queue(1).await[0].performance;
    assert_eq!(bench.freeze(ordered, &[1]).await, None, "a queue without a draw");
    assert!(!bench.cut(ordered, &vec![other; LANES.into()], start()).await);
}
