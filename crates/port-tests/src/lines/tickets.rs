use encore_domain::line_snapshot::Standing;
use encore_domain::queue::{EndReason, LineSettings, QueueTicket, TokenState};
use encore_domain::time::Timestamp;

use super::{ACTIVE_FOR, EPOCH, LANES, number, open_doors, place};
use crate::SpeedBench;
use crate::fixtures::{at_secs, just_before, line_settings, start};

const RESET: TokenState = TokenState::Ended(EndReason::Reset);

impl SpeedBench {
    async fn spend(&self, ticket: &QueueTicket, tries: u32, now: Timestamp) -> bool {
        self.lines.spend_hold_try(&place(ticket), tries, now).await.expect("the line knows the place")
    }
}

pub async fn claims_a_call(bench: SpeedBench) {
    let line = bench.line(2).await;
    bench.admit(&line, &open_doors(), start()).await;
    let active = TokenState::Active { until: at_secs(5) + ACTIVE_FOR };
    assert_eq!(bench.claim(&line[0], at_secs(5)).await, active);
    assert_eq!(bench.claim(&line[0], at_secs(9)).await, active);
    assert_eq!(bench.state(&line[0], at_secs(9)).await, active);

    let snapshot = bench.snapshot(line[0].performance).await;
    assert_eq!(snapshot.active.into_iter().collect::<Vec<_>>(), [(number(1), at_secs(5) + ACTIVE_FOR)]);
    let claim_by = start() + open_doors().claim_window;
    assert_eq!(snapshot.called.into_iter().collect::<Vec<_>>(), [(number(2), claim_by)]);
}

pub async fn claims_only_a_call(bench: SpeedBench) {
    let line = bench.line(2).await;
    bench.end(&line[1], EndReason::Left, start()).await;
    let before = bench.snapshot(line[0].performance).await;
    assert_eq!(bench.claim(&line[0], start()).await, TokenState::Waiting);
    assert_eq!(bench.claim(&line[1], start()).await, TokenState::Ended(EndReason::Left));
    assert_eq!(bench.snapshot(line[0].performance).await, before);
}

pub async fn a_missed_call_is_abandoned(bench: SpeedBench) {
    let line = bench.line(2).await;
    let settings = LineSettings { cap: 1, ..line_settings() };
    bench.admit(&line, &settings, start()).await;
    let claim_by = start() + settings.claim_window;
    let abandoned = TokenState::Ended(EndReason::Abandoned);
    assert_eq!(bench.state(&line[0], just_before(claim_by)).await, TokenState::Called { claim_by });
    assert_eq!(bench.admit(&line, &settings, just_before(claim_by)).await, 0);
    assert_eq!(bench.state(&line[0], claim_by).await, abandoned);
    assert_eq!(bench.claim(&line[0], claim_by).await, abandoned);
    assert_eq!(bench.end(&line[0], EndReason::Left, claim_by).await, abandoned);

    assert_eq!(bench.admit(&line, &settings, claim_by).await, 1);
    let next = TokenState::Called { claim_by: claim_by + settings.claim_window };
    assert_eq!(bench.states(&line, claim_by).await, [abandoned, next]);
}

pub async fn an_active_token_expires(bench: SpeedBench) {
    let line = bench.line(2).await;
    let settings = LineSettings { cap: 1, ..line_settings() };
    bench.admit(&line, &settings, start()).await;
    bench.claim(&line[0], at_secs(1)).await;
    let until = at_secs(1) + ACTIVE_FOR;
    let expired = TokenState::Ended(EndReason::Expired);
    assert_eq!(bench.state(&line[0], just_before(until)).await, TokenState::Active { until });
    assert_eq!(bench.admit(&line, &settings, just_before(until)).await, 0);
    assert_eq!(bench.state(&line[0], until).await, expired);
    assert_eq!(bench.claim(&line[0], until).await, expired);
    assert_eq!(bench.end(&line[0], EndReason::Used, until).await, expired);

    assert_eq!(bench.admit(&line, &settings, until).await, 1);
    let next = TokenState::Called { claim_by: until + settings.claim_window };
    assert_eq!(bench.states(&line, until).await, [expired, next]);
}

pub async fn ends_a_waiting_number(bench: SpeedBench) {
    let line = bench.line(5).await;
    let left = TokenState::Ended(EndReason::Left);
    assert_eq!(bench.end(&line[1], EndReason::Left, start()).await, left);
    assert_eq!(bench.end(&line[1], EndReason::Abandoned, start()).await, left);

    let snapshot = bench.snapshot(line[0].performance).await;
    let standings: Vec<Standing> = (1..=5).map(|n| snapshot.standing(number(n))).collect();
    let at = |position| Standing::Waiting { position };
    assert_eq!(standings, [at(1), Standing::Ended, at(2), at(3), at(4)]);
    assert_eq!(snapshot.waiting(), 4);
    assert_eq!(bench.admit(&line, &open_doors(), at_secs(1)).await, 4);
    assert_eq!(bench.state(&line[1], at_secs(1)).await, left);
    assert!(!bench.snapshot(line[0].performance).await.called.contains_key(&number(2)));
}

pub async fn ends_an_active_number(bench: SpeedBench) {
    let line = bench.line(3).await;
    let settings = LineSettings { cap: 1, ..line_settings() };
    bench.admit(&line, &settings, start()).await;
    bench.claim(&line[0], start()).await;
    let used = TokenState::Ended(EndReason::Used);
    assert_eq!(bench.end(&line[0], EndReason::Used, at_secs(1)).await, used);
    assert_eq!(bench.end(&line[0], EndReason::Left, at_secs(2)).await, used);
    assert_eq!(bench.claim(&line[0], at_secs(2)).await, used);
    assert_eq!(bench.state(&line[0], start() + ACTIVE_FOR).await, used, "though its deadline has passed since");

    assert_eq!(bench.admit(&line, &settings, at_secs(2)).await, 1);
    assert_eq!(bench.end(&line[1], EndReason::Left, at_secs(2)).await, TokenState::Ended(EndReason::Left));
    assert_eq!(bench.admit(&line, &settings, at_secs(2)).await, 1);
    let snapshot = bench.snapshot(line[0].performance).await;
    assert_eq!(snapshot.called.into_keys().collect::<Vec<_>>(), [number(3)]);
    assert!(snapshot.active.is_empty());
}

pub async fn limits_hold_tries(bench: SpeedBench) {
    let line = bench.line(4).await;
    assert!(!bench.spend(&line[0], 2, start()).await, "it waits");
    bench.admit(&line, &LineSettings { cap: 3, ..open_doors() }, start()).await;
    assert!(!bench.spend(&line[0], 2, start()).await, "it is called and did not come");
    for ticket in &line[..2] {
        bench.claim(ticket, start()).await;
        assert!(bench.spend(ticket, 2, start()).await);
        assert!(bench.spend(ticket, 2, at_secs(1)).await);
        assert!(!bench.spend(ticket, 2, at_secs(1)).await);
    }
    assert!(bench.spend(&line[0], 3, at_secs(2)).await, "more are allowed now");
    assert!(!bench.spend(&line[0], 3, at_secs(2)).await);
    assert!(!bench.spend(&line[3], 2, at_secs(2)).await, "it waits still");

    bench.end(&line[0], EndReason::Left, at_secs(3)).await;
    assert!(!bench.spend(&line[0], 100, at_secs(3)).await);
    assert!(bench.spend(&line[1], 100, just_before(start() + ACTIVE_FOR)).await);
    assert!(!bench.spend(&line[1], 100, start() + ACTIVE_FOR).await, "its time is over");
}

/// Checks that a ticket is of no use and changes nothing.
async fn assert_reset(bench: &SpeedBench, ticket: &QueueTicket) {
    assert_eq!(bench.state(ticket, start()).await, RESET, "{ticket:?}");
    assert_eq!(bench.claim(ticket, start()).await, RESET, "{ticket:?}");
    assert_eq!(bench.end(ticket, EndReason::Left, start()).await, RESET, "{ticket:?}");
    assert!(!bench.spend(ticket, 100, start()).await, "{ticket:?}");
}

pub async fn a_ticket_of_another_epoch_has_ended(bench: SpeedBench) {
    let line = bench.line(3).await;
    bench.admit(&line, &LineSettings { batch: 2, ..line_settings() }, start()).await;
    bench.claim(&line[0], start()).await;
    let (before, states) = (bench.snapshot(line[0].performance).await, bench.states(&line, start()).await);
    for ticket in &line {
        for epoch in [EPOCH - 1, EPOCH + 1] {
            assert_reset(&bench, &QueueTicket { epoch, ..*ticket }).await;
        }
    }
    assert_eq!(bench.snapshot(line[0].performance).await, before);
    assert_eq!(bench.states(&line, start()).await, states);
}

pub async fn a_number_never_given_out_has_ended(bench: SpeedBench) {
    let line = bench.line(2).await;
    let never = [
        QueueTicket { index: 3, ..line[0] },
        QueueTicket { index: 0, ..line[0] },
        QueueTicket { lane: 1, ..line[0] },
        QueueTicket { lane: LANES, ..line[0] },
    ];
    for ticket in never {
        assert_reset(&bench, &ticket).await;
    }
    let third = bench.join_all(line[0].performance, 0, 1).await;
    assert_eq!(bench.states(&third, start()).await, [TokenState::Waiting], "its number was not ended ahead");
}
