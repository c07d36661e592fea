//! The cases of [`Audit`](encore_domain::ports::Audit). Findings in damaged records are tested in each adapter's crate,
//! because no port can damage records.
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use encore_domain::audit::{AuditReport, Finding, HOLD_OVERDUE_AFTER, Promise};
use encore_domain::booking::Reservation;
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::event::OutboxPlace;
use encore_domain::ids::PerformanceId;
use encore_domain::wallet::Transfer;

use crate::RecordBench;
use crate::answers::{made, repeated};
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{at_secs, euros, hold, hold_at, just_before, money, payment, request, start, top_up};

/// Stamps the cases of the port `Audit`.
#[macro_export]
macro_rules! audit {
    ($($with:tt)+) => {
        $crate::suite! { audit [
            finds_nothing_in_an_empty_store,
            finds_nothing_in_a_clean_history,
            counts_what_it_examined,
            finds_nothing_while_sales_go_on,
            finds_an_overdue_hold,
            misses_no_event_that_was_forgotten,
            keeps_performances_apart,
        ] $($with)+ }
    };
}

/// The promises that can be checked on durable records.
const SEEN: [Promise; 8] = [
    Promise::DoubleSoldSeat,
    Promise::PaidWithoutSeat,
    Promise::OrphanHold,
    Promise::MoneyMadeOrLost,
    Promise::NegativeWallet,
    Promise::RepeatedEffect,
    Promise::OutboxGap,
    Promise::OverdueHold,
];

impl RecordBench {
    async fn sweep(&self, scope: Option<PerformanceId>) -> AuditReport {
        self.audit.sweep(scope).await.expect("the store answers")
    }

    async fn findings(&self, scope: Option<PerformanceId>) -> Vec<Finding> {
        self.sweep(scope).await.findings().cloned().collect()
    }

    /// Adds one reservation in each state: a live hold, a released one, an expired one, and a paid one of two seats.
    async fn add_history(&self, sale: &Performance) {
        let (fan, other) = (self.sign_up().await, self.sign_up().await);
        self.place(&hold(fan, sale, &[0])).await;
        let released = hold(fan, sale, &[1]);
        self.place(&released).await;
        let request_key = request(fan);
        made(self.reservations.release(released.id, at_secs(1), Some(request_key)).await);
        repeated(self.reservations.release(released.id, at_secs(2), Some(request_key)).await);
        self.top_up(other, money(700, "USD")).await;
        let bought = hold(other, sale, &[1, 9]);
        self.buy(&bought).await;
        let expired = Reservation { expires_at: at_secs(60), ..hold(other, sale, &[2]) };
        self.place(&expired).await;
        let due = self.reservations.expire_due(at_secs(60), 100).await.expect("the store answers");
        assert_eq!(due.len(), 1, "the hold with the early deadline: {due:?}");
    }
}

fn examined(report: &AuditReport) -> [u64; 8] {
    SEEN.map(|promise| report.of(promise).map(|found| found.examined).expect("it was examined"))
}

pub async fn finds_nothing_in_an_empty_store(bench: RecordBench) {
    let sale = bench.open_sale().await;
    for scope in [None, Some(sale.id)] {
        let report = bench.sweep(scope).await;
        assert_eq!(examined(&report), [0; 8]);
        assert!(report.is_clean(), "{report:?}");
        let others = Promise::ALL.into_iter().filter(|promise| !SEEN.contains(promise));
        assert!(others.into_iter().all(|promise| report.of(promise).is_none()), "{report:?}");
    }
}

pub async fn finds_nothing_in_a_clean_history(bench: RecordBench) {
    let sale = bench.open_sale().await;
    bench.add_history(&sale).await;
    let fan = bench.sign_up().await;
    let (first, again, request) = (top_up(fan, euros(500)), top_up(fan, euros(500)), request(fan));
    made(bench.wallets.top_up(first, request).await);
    repeated(bench.wallets.top_up(again, request).await);
    let free = Performance { prices: prices_of(0, &sale), ..sale.clone() };
    // A hold with a total of zero is paid without a wallet.
    let hold = hold(bench.sign_up().await, &free, &[4]);
    bench.place(&hold).await;
    made(bench.payments.pay_from_wallet(payment(&hold, start()), crate::fixtures::request(hold.user)).await);
    for scope in [None, Some(sale.id)] {
        assert_eq!(bench.findings(scope).await, []);
    }
}

fn prices_of(minor: i64, sale: &Performance) -> encore_domain::catalog::PriceList {
    let grades = sale.prices.minor_by_grade.len();
    encore_domain::catalog::PriceList { minor_by_grade: vec![Some(minor); grades], ..sale.prices.clone() }
}

pub async fn counts_what_it_examined(bench: RecordBench) {
    let (sale, other_sale) = (bench.open_sale().await, bench.open_sale().await);
    bench.add_history(&sale).await;
    // The numbers of live seats, confirmed reservations, claims, transfers, wallets, effects, events and holds.
    assert_eq!(examined(&bench.sweep(Some(sale.id)).await), [3, 1, 3, 1, 2, 5, 7, 1]);
    assert_eq!(examined(&bench.sweep(Some(other_sale.id)).await), [0; 8]);
    bench.add_history(&other_sale).await;
    bench.top_up(bench.sign_up().await, euros(1)).await;
    assert_eq!(examined(&bench.sweep(None).await), [6, 2, 6, 7, 5, 15, 19, 2]);
}

pub async fn finds_nothing_while_sales_go_on(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let bench = Arc::new(bench);
    let selling = Arc::new(AtomicBool::new(true));
    let auditor = tokio::spawn({
        let (bench, selling, sale) = (Arc::clone(&bench), Arc::clone(&selling), sale.id);
        async move {
            let mut sweeps = 0;
            while selling.load(Ordering::SeqCst) || sweeps == 0 {
                for scope in [None, Some(sale)] {
                    assert_eq!(bench.findings(scope).await, []);
                }
                sweeps += 1;
            }
        }
    });
    at_once((0..TWENTY).map(|turn| {
        let (bench, sale) = (Arc::clone(&bench), sale.clone());
        async move {
            let fan = bench.sign_up().await;
            let bought = hold(fan, &sale, &[turn]);
            bench.buy(&bought).await;
            for _ in 0..3 {
                let given_back = hold(fan, &sale, &[25 - turn % 5]);
                let placed = bench.reservations.place(given_back.clone(), SEATS_PER_FAN_MAX, None, request(fan)).await;
                if placed.is_ok() {
                    made(bench.reservations.release(given_back.id, at_secs(1), None).await);
                }
            }
        }
    }))
    .await;
    selling.store(false, Ordering::SeqCst);
    auditor.await.expect("no sweep has findings");
}

pub async fn finds_an_overdue_hold(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let hold = hold(fan, &sale, &[0]);
    bench.place(&hold).await;
    // The audit measures time by the latest record. In a stopped system no hold becomes overdue.
    assert_eq!(bench.findings(None).await, []);
    let credit = |at| Transfer { at, ..top_up(fan, euros(1)) };
    let late = hold.expires_at + HOLD_OVERDUE_AFTER;
    made(bench.wallets.top_up(credit(late), request(fan)).await);
    assert_eq!(bench.findings(None).await, []);

    let too_late = late + Duration::from_millis(1);
    made(bench.wallets.top_up(credit(too_late), request(fan)).await);
    for scope in [None, Some(sale.id)] {
        let findings = bench.findings(scope).await;
        let subjects: Vec<_> = findings.iter().map(|finding| (finding.promise, finding.subject.as_str())).collect();
        assert_eq!(subjects, [(Promise::OverdueHold, format!("reservation {}", hold.id).as_str())]);
    }
    assert_eq!(bench.reservations.expire_due(too_late, 100).await.expect("the store answers").len(), 1);
    assert_eq!(bench.findings(None).await, []);
}

pub async fn misses_no_event_that_was_forgotten(bench: RecordBench) {
    let sale = bench.open_sale().await;
    bench.add_history(&sale).await;
    let examined = bench.sweep(None).await.of(Promise::OutboxGap).map_or(0, |gaps| gaps.examined);
    bench.close_window().await;
    let end = bench.outbox.after(OutboxPlace::default(), 1_000).await.expect("the store answers").end;
    let forgotten = bench.outbox.forget(end, at_secs(86_400), 1_000).await.expect("the store answers");
    assert!(forgotten > 0 && forgotten == examined, "{forgotten} of {examined}");
    let gaps = async |scope| bench.sweep(scope).await.of(Promise::OutboxGap).map(|gaps| (gaps.examined, gaps.broken));
    for scope in [None, Some(sale.id)] {
        assert_eq!(gaps(scope).await, Some((0, 0)));
    }
    let fan = bench.sign_up().await;
    bench.place(&hold_at(fan, &sale, &[20], at_secs(86_401))).await;
    assert_eq!(gaps(None).await, Some((1, 0)));
}

pub async fn keeps_performances_apart(bench: RecordBench) {
    let (sale, other_sale) = (bench.open_sale().await, bench.open_sale().await);
    let fan = bench.sign_up().await;
    let (overdue, in_order) = (hold(fan, &sale, &[0]), hold(fan, &other_sale, &[0]));
    bench.place(&overdue).await;
    bench.buy(&in_order).await;
    let later = just_before(overdue.expires_at) + HOLD_OVERDUE_AFTER + Duration::from_secs(1);
    made(bench.wallets.top_up(Transfer { at: later, ..top_up(fan, euros(1)) }, request(fan)).await);
    assert_eq!(bench.findings(Some(sale.id)).await.len(), 1);
    assert_eq!(bench.findings(Some(other_sale.id)).await, []);
    assert_eq!(bench.findings(None).await.len(), 1);
}
