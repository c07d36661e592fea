//! Everybody who had bought seats of a show is told when it is postponed.

use std::time::Duration;

use encore_domain::audit_log::StaffAct;
use encore_domain::booking::{Reservation, ReservedSeat};
use encore_domain::catalog::performance_change::{PerformanceChange, Postponement};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::UserId;
use encore_domain::money::Money;
use encore_domain::payment::refund::OperatorReason;
use encore_domain::time::Timestamp;
use encore_port_tests::fixtures::{self, at_secs, start};

use crate::mail_bench::{Bench, Refusal, sorted, step};

const DAY: Duration = Duration::from_hours(24);

/// Buys these seats at this time.
async fn buy(bench: &Bench, fan: UserId, slots: std::ops::Range<u32>, at: Timestamp) {
    let price_minor = 100;
    let seats: Vec<ReservedSeat> = slots.map(|slot| ReservedSeat { slot: Slot(slot), price_minor }).collect();
    let hold = fixtures::hold_at(fan, &bench.performance, &[0], at);
    let minor = price_minor * i64::try_from(seats.len()).expect("some seats");
    let hold = Reservation { seats, total: Money { minor, ..hold.total }, ..hold };
    let request = || fixtures::request(fan);
    bench.ports.reservations.place(hold.clone(), 1_000, None, request()).await.expect("a hold");
    bench.ports.wallets.top_up(fixtures::top_up(fan, hold.total), request()).await.expect("money");
    bench.ports.payments.pay_from_wallet(fixtures::payment(&hold, at), request()).await.expect("a payment");
    bench.ports.outbox.close_window().await.expect("the store answers");
}

/// Postpones the show at this second.
async fn postpone(bench: &Bench, second: u64) {
    let reason = OperatorReason::parse("illness").expect("a reason");
    let (starts_at, refunds_until) = (start() + DAY * 40, start() + DAY * 35);
    let change = PerformanceChange::Postpone(Postponement { starts_at, refunds_until, reason });
    let act = StaffAct { at: at_secs(second), ..fixtures::act(fixtures::request(fixtures::id())) };
    bench.ports.performance_changes.change(bench.performance.id, change, act).await.expect("postponed");
    bench.ports.outbox.close_window().await.expect("the store answers");
}

/// Forgets the mails that were sent until now.
fn forget_mails(bench: &Bench) {
    bench.mailer.sent.lock().expect("not poisoned").clear();
}

#[tokio::test]
async fn who_had_bought_is_told_once_and_who_buys_later_is_not() {
    for bench in Bench::both().await {
        let [(one, first), (two, second), (late, _)] = [bench.fan().await, bench.fan().await, bench.fan().await];
        let notifier = bench.notifier();
        step(&notifier).await.expect("it begins");
        buy(&bench, one, 0..2, start()).await;
        buy(&bench, one, 5..6, start()).await;
        buy(&bench, two, 3..4, start()).await;
        postpone(&bench, 9).await;
        buy(&bench, late, 7..8, at_secs(10)).await;
        step(&notifier).await.expect("the mailer answers");
        assert_eq!(bench.told().len(), 4, "of what they bought");
        forget_mails(&bench);
        for _ in 0..3 {
            step(&notifier).await.expect("the mailer answers");
        }
        assert_eq!(bench.told(), sorted([&first, &second]));
        let mail = bench.mailer.sent.lock().expect("not poisoned")[0].clone();
        assert_eq!(mail.subject, "Postponed: Winterreise");
        for said in ["Old date: 2026-07-01 10:00 UTC", "New date: 2026-07-11 10:00 UTC", "by 2026-07-06 10:00 UTC"] {
            assert!(mail.text.contains(said), "{said}: {}", mail.text);
        }
        notifier.release().await.expect("the store answers");
        let other = bench.notifier();
        for _ in 0..3 {
            step(&other).await.expect("another goes on");
        }
        assert_eq!(bench.told(), sorted([&first, &second]));
    }
}

#[tokio::test]
async fn fans_are_told_page_by_page_with_other_mails_in_between() {
    for bench in Bench::both().await {
        let [(one, first), (two, second), (three, third)] = [bench.fan().await, bench.fan().await, bench.fan().await];
        let (later, fourth) = bench.fan().await;
        let notifier = bench.notifier();
        step(&notifier).await.expect("it begins");
        for (fan, seats) in [(one, 0..50), (two, 50..100), (three, 100..150)] {
            buy(&bench, fan, seats, start()).await;
        }
        postpone(&bench, 9).await;
        step(&notifier).await.expect("the mailer answers");
        forget_mails(&bench);
        buy(&bench, later, 200..201, at_secs(10)).await;
        step(&notifier).await.expect("the mailer answers");
        assert_eq!(bench.told(), sorted([&first, &second, &fourth]), "a page, and who bought meanwhile");

        // Another that takes over begins with the first seat, and tells nobody twice.
        notifier.release().await.expect("the store answers");
        let other = bench.notifier();
        for _ in 0..4 {
            step(&other).await.expect("another goes on");
        }
        assert_eq!(bench.told(), sorted([&first, &second, &third, &fourth]));
        other.release().await.expect("the store answers");
        let last = bench.notifier();
        for _ in 0..3 {
            step(&last).await.expect("there is nothing to be told");
        }
        assert_eq!(bench.told().len(), 4);
    }
}

#[tokio::test]
async fn a_fan_whose_mail_is_not_accepted_is_told_later_and_no_other_again() {
    for bench in Bench::both().await {
        let [(one, first), (two, second)] = [bench.fan().await, bench.fan().await];
        let notifier = bench.notifier();
        step(&notifier).await.expect("it begins");
        buy(&bench, one, 0..1, start()).await;
        buy(&bench, two, 1..2, start()).await;
        postpone(&bench, 9).await;
        step(&notifier).await.expect("the mailer answers");
        forget_mails(&bench);
        bench.refuse(&first, Some(Refusal::ForNow));
        step(&notifier).await.expect_err("a mail was not accepted");
        assert_eq!(bench.told(), std::slice::from_ref(&second));
        step(&notifier).await.expect("it waits");
        bench.refuse(&first, None);
        bench.clock.advance(Duration::from_secs(30));
        step(&notifier).await.expect("all are accepted");
        assert_eq!(bench.told(), sorted([&first, &second]));
        bench.clock.advance(Duration::from_secs(30));
        step(&notifier).await.expect("all were told");
        assert_eq!(bench.told().len(), 2);
    }
}
