use std::time::Duration;

use encore_domain::line_snapshot::{LineSnapshot, Standing};
use encore_domain::ports::{Joining, Presence};
use encore_domain::queue::{
    EndReason, LaneNumber, LineRate, LineRecord, LineSettings, Place, QueueTicket, RestoredLine,
};
use encore_port_tests::fixtures::{at_secs, id, start};

use super::Line;

const MILLION: u64 = 1_000_000;

fn settings() -> LineSettings {
    LineSettings {
        rate: LineRate { admissions: 10, period: Duration::from_secs(1) },
        batch: 5,
        cap: 100,
        ..LineSettings::default()
    }
}

fn new_line() -> RestoredLine {
    LineRecord::new(1, 1, start()).restored(None, &[], &[], &settings(), start())
}

fn away_at(secs: u64) -> Presence {
    Presence { now: at_secs(secs), grace: settings().grace }
}

fn place(ticket: QueueTicket) -> Place {
    ticket.place(None)
}

fn number(number: u64) -> LaneNumber {
    LaneNumber { lane: 0, number }
}

#[test]
fn a_million_wait_and_each_knows_the_position() {
    let mut line = Line::open(id(), &new_line());
    line.extend(0, MILLION);
    let join = |line: &mut Line| {
        let joining =
            Joining { performance: id(), user: id(), lane: 0, may_enter: true, place: None, presence: away_at(0) };
        line.join(&joining).expect("a number is left")
    };
    let tickets: Vec<QueueTicket> = (0..MILLION).map(|_| join(&mut line)).collect();
    for ticket in tickets.iter().step_by(3) {
        line.end(&place(*ticket), EndReason::Left, start()).expect("the place is known");
    }
    let left = MILLION.div_ceil(3);

    assert_eq!(line.admit(&settings().terms(None, start(), at_secs(1)), at_secs(1)), 5);
    let snapshot = LineSnapshot::from(line.copy());
    let lane = &snapshot.lanes[0];
    assert_eq!((lane.head, lane.tail, snapshot.waiting()), (8, MILLION, MILLION - left - 5));
    assert_eq!(snapshot.standing(number(MILLION - 1)), Standing::Waiting { position: MILLION - left - 5 });
    assert_eq!(snapshot.standing(number(MILLION)), Standing::Ended);
    assert_eq!(line.abandon_absent(away_at(1_000)), MILLION - left - 5);
}
