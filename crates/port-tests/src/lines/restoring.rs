use std::time::Duration;

use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::line_snapshot::Standing;
use encore_domain::ports::TicketRefusal;
use encore_domain::queue::{
    EndReason, Inside, LaneRecord, LineRecord, LineSettings, QueueTicket, RESTORE_QUIET, RestoredLine, TokenState,
    UsedPlace,
};
use encore_domain::time::Timestamp;

use super::{ACTIVE_FOR, EPOCH, LANES, number, open_doors, place, seen_at};
use crate::SpeedBench;
use crate::answers::refused;
use crate::fixtures::{at_secs, id, just_before, line_settings, start};

/// What was last kept of a line whose lane 0 had called two numbers of ten and may have given out twenty.
fn record() -> LineRecord {
    let mut lanes = vec![LaneRecord::default(); LANES.into()];
    lanes[0] = LaneRecord { head: 2, tail: 10, limit: 20 };
    LineRecord { lanes, ..LineRecord::new(EPOCH, LANES.into(), start()) }
}

fn restored(record: &LineRecord, used: &[UsedPlace]) -> RestoredLine {
    record.restored(None, &[], used, &line_settings(), start())
}

/// The first moment at which a line that was put in place at the start calls somebody.
fn after_the_quiet() -> Timestamp {
    start() + RESTORE_QUIET + Duration::from_secs(1)
}

fn ticket(performance: PerformanceId, user: UserId, index: u64) -> QueueTicket {
    QueueTicket { performance, user, epoch: EPOCH, lane: 0, index, admitted_until: None }
}

/// As many are called as may.
fn no_reserve(line: RestoredLine) -> RestoredLine {
    RestoredLine { reserved: 0, ..line }
}

impl SpeedBench {
    async fn show(&self, tickets: &[QueueTicket], now: Timestamp) {
        let places: Vec<_> = tickets.iter().map(place).collect();
        let shown = self.lines.show(tickets[0].performance, &places, seen_at(now)).await;
        shown.expect("the line is in place");
    }

    /// A line that was put in place from the record, and the tickets of its first ten.
    async fn lost_line(&self) -> Vec<QueueTicket> {
        let performance = self.opened(&no_reserve(restored(&record(), &[]))).await;
        (1..=10).map(|index| ticket(performance, id(), index)).collect()
    }
}

pub async fn a_restored_line_calls_only_who_was_seen(bench: SpeedBench) {
    let line = bench.lost_line().await;
    let unseen = line[3];
    assert_eq!(refused(bench.lines.state(&place(&unseen), start()).await), TicketRefusal::Unseen);
    assert_eq!(refused(bench.lines.claim(&place(&unseen), ACTIVE_FOR, start()).await), TicketRefusal::Unseen);
    assert_eq!(refused(bench.lines.end(&place(&unseen), EndReason::Left, start()).await), TicketRefusal::Unseen);
    bench.show(&[line[4], line[7]], start()).await;
    let snapshot = bench.snapshot(line[0].performance).await;
    assert_eq!((snapshot.waiting(), snapshot.lanes[0].tail), (2, 20));
    assert_eq!(snapshot.standing(number(8)), Standing::Waiting { position: 2 });
    assert_eq!(snapshot.standing(number(4)), Standing::Ended);
    let newcomer = bench.join(line[0].performance, id(), start()).await;
    assert_eq!(newcomer.index, 21, "no number is given out again");
    let again = bench.join(line[0].performance, line[4].user, start()).await;
    assert_eq!(again, line[4], "who has shown the place has it");

    let now = after_the_quiet();
    assert_eq!(bench.admit(&line, &open_doors(), now).await, 3);
    let called = TokenState::Called { claim_by: now + open_doors().claim_window };
    for ticket in [&line[4], &line[7], &newcomer] {
        assert_eq!(bench.state(ticket, now).await, called);
    }
    assert_eq!(refused(bench.lines.state(&place(&unseen), now).await), TicketRefusal::Unseen);
}

pub async fn who_shows_late_is_called_first(bench: SpeedBench) {
    let line = bench.lost_line().await;
    bench.show(&line[7..], start()).await;
    let one = LineSettings { batch: 1, ..open_doors() };
    let now = after_the_quiet();
    assert_eq!(bench.admit(&line, &one, now).await, 1);
    assert!(matches!(bench.state(&line[7], now).await, TokenState::Called { .. }));

    // Numbers 5 and 4 were passed over: they are ahead of 9 and 10, in their order.
    bench.show(&[line[4], line[3]], now).await;
    let snapshot = bench.snapshot(line[0].performance).await;
    assert_eq!(snapshot.lanes[0].late, [4, 5]);
    let positions = [4, 5, 9, 10].map(|at| snapshot.standing(number(at)));
    assert_eq!(positions, [1, 2, 3, 4].map(|position| Standing::Waiting { position }));
    assert_eq!(bench.state(&line[3], now).await, TokenState::Waiting);
    for (expected, secs) in [3, 4, 8, 9].into_iter().zip(1..) {
        let now = now + Duration::from_secs(secs);
        assert_eq!(bench.admit(&line, &one, now).await, 1);
        assert!(matches!(bench.state(&line[expected], now).await, TokenState::Called { .. }), "{expected}");
    }
    assert!(bench.snapshot(line[0].performance).await.lanes[0].late.is_empty());

    let left = bench.lost_line().await;
    bench.show(&left[9..], start()).await;
    assert_eq!(bench.admit(&left, &one, now).await, 1);
    bench.show(&left[4..5], now).await;
    assert_eq!(bench.end(&left[4], EndReason::Left, now).await, TokenState::Ended(EndReason::Left));
    assert_eq!(bench.admit(&left, &open_doors(), now + Duration::from_secs(5)).await, 0, "who was late may leave");
}

pub async fn a_restored_line_keeps_who_is_inside(bench: SpeedBench) {
    let until = at_secs(100);
    let mut record = record();
    let inside = |at, active| Inside { place: number(at), until, active };
    record.inside = vec![inside(1, true), inside(2, false)];
    let performance = bench.opened(&no_reserve(restored(&record, &[]))).await;
    let tickets: Vec<_> = (1..=6).map(|index| ticket(performance, id(), index)).collect();
    assert_eq!(bench.state(&tickets[0], start()).await, TokenState::Active { until });
    assert_eq!(bench.state(&tickets[1], start()).await, TokenState::Called { claim_by: until });

    // Number 5 was admitted after the record was made, so 3 and 4 were called before; 6 was admitted, and is no longer.
    let admitted = QueueTicket { admitted_until: Some(until), ..tickets[4] };
    let expired = QueueTicket { admitted_until: Some(start()), ..tickets[5] };
    bench.show(&[tickets[2], admitted, expired], start()).await;
    assert_eq!(bench.state(&admitted, start()).await, TokenState::Active { until });
    assert_eq!(bench.state(&expired, start()).await, TokenState::Ended(EndReason::Expired));
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.active.len(), snapshot.called.len(), snapshot.lanes[0].head), (2, 1, 5));
    assert_eq!(snapshot.standing(number(3)), Standing::Waiting { position: 1 });
    bench.show(&[tickets[3]], start()).await;
    assert_eq!(bench.snapshot(performance).await.standing(number(4)), Standing::Waiting { position: 2 });
    assert_eq!(bench.state(&admitted, until).await, TokenState::Ended(EndReason::Expired));
    assert_eq!(bench.claim(&tickets[1], start()).await, TokenState::Active { until: start() + ACTIVE_FOR });
}

pub async fn a_restored_line_lets_in_who_claimed_unrecorded(bench: SpeedBench) {
    // Both were called when the record was made and claimed just after it; when the line is put in place, the time to claim is over
    // for one of them.
    let mut record = record();
    let called = |at, secs| Inside { place: number(at), until: at_secs(secs), active: false };
    record.inside = vec![called(1, 20), called(2, 40)];
    let now = at_secs(25);
    let line = record.restored(None, &[], &[], &line_settings(), now);
    let performance = bench.opened(&RestoredLine { reserved: 1, ..line }).await;
    let until = at_secs(301);
    let waiting = [1, 2].map(|index| ticket(performance, id(), index));
    let admitted = waiting.map(|ticket| QueueTicket { admitted_until: Some(until), ..ticket });
    let expired = QueueTicket { admitted_until: Some(now), ..admitted[0] };
    assert_eq!(bench.state(&waiting[0], now).await, TokenState::Ended(EndReason::Abandoned));
    assert_eq!(bench.state(&waiting[1], now).await, TokenState::Called { claim_by: now + line_settings().grace });
    assert_eq!(bench.state(&expired, now).await, TokenState::Ended(EndReason::Expired));
    for ticket in &admitted {
        assert_eq!(refused(bench.lines.state(&place(ticket), now).await), TicketRefusal::Unseen);
        assert_eq!(refused(bench.lines.claim(&place(ticket), ACTIVE_FOR, now).await), TicketRefusal::Unseen);
    }

    bench.show(&[waiting[0], expired], now).await;
    bench.show(&admitted, now).await;
    for ticket in &admitted {
        assert_eq!(bench.state(ticket, now).await, TokenState::Active { until });
    }
    let newcomers = bench.join_all(performance, 0, 5).await;
    let three = LineSettings { cap: 3, ..open_doors() };
    let now = now + RESTORE_QUIET + Duration::from_secs(1);
    assert_eq!(bench.admit(&newcomers, &three, now).await, 1, "two are inside, and nobody else may be");

    // A fan with two devices, of which the one that shows first does not know of the admission.
    let performance = bench.opened(&no_reserve(restored(&record, &[]))).await;
    let devices = [7, 8].map(|index| {
        let waiting = ticket(performance, id(), index);
        (waiting, QueueTicket { admitted_until: Some(until), ..waiting })
    });
    for (waiting, admitted) in devices.into_iter().rev() {
        bench.show(&[waiting], start()).await;
        assert_eq!(bench.state(&waiting, start()).await, TokenState::Waiting);
        bench.show(&devices.map(|(waiting, _)| waiting), start()).await;
        bench.show(&[admitted], start()).await;
        assert_eq!(bench.state(&waiting, start()).await, TokenState::Active { until });
    }
    assert_eq!(bench.snapshot(performance).await.waiting(), 0);

    // Who shows nowhere within the grace is gone, whatever the ticket says.
    let performance = bench.opened(&record.restored(None, &[], &[], &line_settings(), at_secs(25))).await;
    let late = QueueTicket { admitted_until: Some(until), ..ticket(performance, id(), 1) };
    let grace_is_over = at_secs(25) + line_settings().grace;
    bench.abandon_absent(performance, grace_is_over).await;
    bench.show(&[late], grace_is_over).await;
    assert_eq!(bench.state(&late, grace_is_over).await, TokenState::Ended(EndReason::Expired));
}

pub async fn a_restored_line_ends_who_paid(bench: SpeedBench) {
    let mut record = record();
    record.inside = vec![Inside { place: number(1), until: at_secs(100), active: true }];
    let used = [1, 5].map(|index| UsedPlace { lane: 0, index });
    let performance = bench.opened(&no_reserve(restored(&record, &used))).await;
    for index in [1, 5] {
        let paid = ticket(performance, id(), index);
        let admitted = QueueTicket { admitted_until: Some(at_secs(100)), ..paid };
        for shown in [paid, admitted] {
            bench.show(&[shown], start()).await;
            assert_eq!(bench.state(&shown, start()).await, TokenState::Ended(EndReason::Used), "{index}");
        }
    }
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.active.len(), snapshot.waiting()), (0, 0));
    bench.show(&[ticket(performance, id(), 6)], start()).await;
    let position = bench.snapshot(performance).await.standing(number(6));
    assert_eq!(position, Standing::Waiting { position: 1 }, "who paid does not wait");
}

pub async fn a_restored_line_is_quiet_at_first(bench: SpeedBench) {
    let line = bench.lost_line().await;
    bench.show(&line[2..], start()).await;
    let quiet_until = start() + RESTORE_QUIET;
    let snapshot = bench.snapshot(line[0].performance).await;
    assert_eq!((snapshot.restored_at, snapshot.quiet_until), (start(), quiet_until));
    assert_eq!(snapshot.unspent(start(), &line_settings()), 0);
    assert_eq!(bench.admit(&line, &open_doors(), just_before(quiet_until)).await, 0);
    // The bucket has filled since the start, at ten a second.
    let slow = LineSettings { batch: 1_000, ..line_settings() };
    assert_eq!(bench.admit(&line, &slow, quiet_until).await, 8);
    let more = bench.join_all(line[0].performance, 0, 30).await;
    assert_eq!(bench.admit(&more, &slow, quiet_until).await, 12, "twenty in two seconds, and no batch at first");
}

pub async fn a_restored_line_keeps_the_cap(bench: SpeedBench) {
    let mut line = restored(&record(), &[]);
    (line.reserved, line.reserved_until) = (3, at_secs(60));
    let performance = bench.opened(&line).await;
    let tickets: Vec<_> = (3..=12).map(|index| ticket(performance, id(), index)).collect();
    bench.show(&tickets[2..], start()).await;
    let four = LineSettings { cap: 4, ..open_doors() };
    let now = after_the_quiet();
    assert_eq!(bench.admit(&tickets, &four, now).await, 1, "three may be inside and not have shown it");
    let admitted = QueueTicket { admitted_until: Some(at_secs(100)), ..tickets[0] };
    let reserved = async || bench.snapshot(performance).await.reserved;
    assert_eq!(reserved().await, 3);
    bench.show(&[admitted], now).await;
    assert_eq!(reserved().await, 2);
    assert_eq!(bench.admit(&tickets, &four, now).await, 0, "one of the three has");
    bench.end(&tickets[2], EndReason::Left, now).await;
    assert_eq!(bench.admit(&tickets, &four, now).await, 1);
    assert_eq!(bench.admit(&tickets, &four, just_before(at_secs(60))).await, 1, "the call was missed");
    bench.end(&tickets[4], EndReason::Left, at_secs(60)).await;
    assert_eq!(bench.admit(&tickets, &four, at_secs(60)).await, 3, "the time of the others is over");
    let snapshot = bench.snapshot(performance).await;
    assert_eq!(snapshot.active.len() + snapshot.called.len(), 4);
}

pub async fn a_user_shows_one_place(bench: SpeedBench) {
    let line = bench.lost_line().await;
    let replaced = TokenState::Ended(EndReason::Replaced);
    // Whoever joins before showing the place gets another one, which ends when the earlier one is shown.
    let newer = bench.join(line[0].performance, line[4].user, start()).await;
    bench.show(&line[4..5], start()).await;
    assert_eq!(
        (bench.state(&line[4], start()).await, bench.state(&newer, start()).await),
        (TokenState::Waiting, replaced)
    );
    assert_eq!(bench.join(line[0].performance, line[4].user, start()).await, line[4]);

    let later = QueueTicket { user: line[5].user, ..line[8] };
    bench.show(&[line[5], later], start()).await;
    assert_eq!(
        (bench.state(&line[5], start()).await, bench.state(&later, start()).await),
        (TokenState::Waiting, replaced)
    );

    // Unless it is known that the later one was admitted.
    let admitted = QueueTicket { user: line[3].user, admitted_until: Some(at_secs(100)), ..line[6] };
    bench.show(&[line[3]], start()).await;
    bench.show(&[admitted], start()).await;
    assert_eq!(
        (bench.state(&line[3], start()).await, bench.state(&admitted, start()).await),
        (replaced, TokenState::Active { until: at_secs(100) })
    );
    bench.end(&admitted, EndReason::Left, start()).await;

    // Who came in with the newer one stays inside with it.
    let inside = bench.join(line[0].performance, line[7].user, start()).await;
    for ticket in [&line[4], &line[5]] {
        bench.end(ticket, EndReason::Left, start()).await;
    }
    assert_eq!(bench.admit(&line, &open_doors(), after_the_quiet()).await, 1);
    bench.claim(&inside, after_the_quiet()).await;
    bench.show(&line[7..8], after_the_quiet()).await;
    assert_eq!(bench.state(&line[7], after_the_quiet()).await, replaced);
    assert!(matches!(bench.state(&inside, after_the_quiet()).await, TokenState::Active { .. }));
}

pub async fn unseen_places_end_with_the_grace(bench: SpeedBench) {
    let line = bench.lost_line().await;
    let performance = line[0].performance;
    let grace = line_settings().grace;
    bench.show(&line[9..], start()).await;
    bench.report(&line, [10], just_before(start() + grace)).await;
    assert_eq!(bench.abandon_absent(performance, just_before(start() + grace)).await, 0);
    assert_eq!(refused(bench.lines.state(&place(&line[3]), start() + grace).await), TicketRefusal::Unseen);
    assert_eq!(bench.abandon_absent(performance, start() + grace).await, 0, "they had not waited");
    for ticket in [line[3], QueueTicket { admitted_until: Some(start() + grace * 2), ..line[4] }] {
        bench.show(&[ticket], start() + grace).await;
        assert!(matches!(bench.state(&ticket, start() + grace).await, TokenState::Ended(_)), "{ticket:?}");
    }
    assert_eq!(bench.state(&line[9], start() + grace).await, TokenState::Waiting);
    assert_eq!(bench.snapshot(performance).await.waiting(), 1);
}
