//! The cases of [`PerformanceChanges`](encore_domain::ports::PerformanceChanges).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;
use std::time::Duration;

use encore_domain::audit_log::{AuditEntry, AuditFilter, StaffAct};
use encore_domain::booking::seat_block::{BlockReason, SeatBlock};
use encore_domain::booking::seat_state::Locker;
use encore_domain::catalog::listing::{PerformanceFilter, PerformanceOrder};
use encore_domain::catalog::performance_change::{
    Amendments, BlockedSale, ChangeRefusal, PerformanceChange, Postponed, Postponement, SaleTerms,
};
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::error::RequestError;
use encore_domain::event::Event;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::money::Money;
use encore_domain::page::PageRequest;
use encore_domain::payment::refund::OperatorReason;
use encore_domain::request::Applied;

use crate::RecordBench;
use crate::answers::{assert_reused, made, refused, repeated};
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{SMALL_CHART_SEATS, act, altered, at_secs, euros, hold, id, request, slots, start};
use crate::paging::{SIZES, read_all};

/// Stamps the cases of the port `PerformanceChanges`.
#[macro_export]
macro_rules! performance_changes {
    ($($with:tt)+) => {
        $crate::suite! { performance_changes [
            postpones_a_performance,
            changes_the_terms_of_a_sale,
            withdraws_a_performance,
            withdraws_only_what_nobody_has,
            withdraws_or_holds_under_contention,
            notes_no_change_to_the_same,
            refuses_what_cannot_work,
            changes_only_what_there_is,
            repeats_a_change,
            changes_one_after_the_other,
            lists_what_was_changed,
        ] $($with)+ }
    };
}

const DAY: Duration = Duration::from_hours(24);

fn reason() -> OperatorReason {
    OperatorReason::parse("illness").expect("a reason")
}

/// Postpones the performances of the fixtures, which start after 30 days, to this day. Refunds end a day before.
fn postpone(day: u32) -> PerformanceChange {
    let starts_at = start() + DAY * day;
    PerformanceChange::Postpone(Postponement { starts_at, refunds_until: starts_at - DAY, reason: reason() })
}

fn terms(terms: SaleTerms) -> PerformanceChange {
    PerformanceChange::Terms(terms)
}

fn limit(seats_per_fan: u32) -> PerformanceChange {
    terms(SaleTerms { seats_per_fan: Some(seats_per_fan), ..SaleTerms::default() })
}

fn changes(entry: &AuditEntry) -> Vec<(&str, Option<&str>, Option<&str>)> {
    let change = entry.changes.iter();
    change.map(|change| (change.field.as_str(), change.before.as_deref(), change.after.as_deref())).collect()
}

/// An act of this user at this second, which is noted with it.
fn act_at(user: UserId, seconds: u64) -> StaffAct {
    StaffAct { at: at_secs(seconds), ..act(request(user)) }
}

impl RecordBench {
    async fn change(
        &self,
        performance: &Performance,
        change: &PerformanceChange,
        act: &StaffAct,
    ) -> Result<Applied<Performance>, RequestError<ChangeRefusal>> {
        self.performance_changes.change(performance.id, change.clone(), act.clone()).await
    }

    async fn now_stored(&self, performance: &Performance) -> Performance {
        let stored = self.catalog.performance(performance.id).await.expect("the store answers");
        stored.expect("it is found by its id")
    }

    async fn entries_about(&self, performance: &Performance) -> Vec<AuditEntry> {
        let filter = AuditFilter { target: Some(performance.id.0), ..AuditFilter::default() };
        read_all(100, |page| self.audit_log.list(&filter, page)).await
    }

    /// Withdraws a performance at the small chart.
    async fn withdrawal(&self, performance: PerformanceId) -> PerformanceChange {
        let operator = self.sign_up().await;
        let seats: Vec<usize> = (0..SMALL_CHART_SEATS).collect();
        let block = |seats: &[usize]| SeatBlock {
            id: id(),
            performance,
            operator,
            reason: BlockReason::parse("illness").expect("a reason"),
            slots: slots(seats),
            at: at_secs(9),
        };
        let blocks = seats.chunks(20).map(block).collect();
        PerformanceChange::Withdraw(BlockedSale { blocks, reason: reason() })
    }

    async fn blocked_seats(&self, performance: PerformanceId) -> usize {
        let claims = self.claims(performance).await;
        claims.iter().filter(|claim| claim.owner.locker() == Locker::Operators).count()
    }
}

pub async fn postpones_a_performance(bench: RecordBench) {
    let (sale, operator) = (bench.open_sale().await, bench.sign_up().await);
    let act = act_at(operator, 9);
    let postponed = made(bench.change(&sale, &postpone(40), &act).await);
    let until = start() + DAY * 39;
    let amended = Amendments {
        revision: 1,
        postponed: Some(Postponed { from: sale.starts_at, at: at_secs(9), refunds_until: until }),
        withdrawn_at: None,
    };
    assert_eq!(postponed, Performance { starts_at: start() + DAY * 40, amended, ..sale.clone() });
    assert_eq!(bench.now_stored(&sale).await, postponed);

    let before = PerformanceFilter { starts_before: Some(start() + DAY * 31), ..PerformanceFilter::default() };
    let after = PerformanceFilter { starts_from: Some(start() + DAY * 40), ..PerformanceFilter::default() };
    for (filter, found) in [(before, vec![]), (after, vec![postponed.clone()])] {
        let page = bench
            .catalog
            .performances(&filter, PerformanceOrder::Start, PageRequest::first(9))
            .await
            .expect("the store answers");
        assert_eq!(page.items, found);
    }
    let entry = bench.entries_about(&sale).await.remove(0);
    assert_eq!((entry.id, entry.reason.as_deref()), (act.id, Some("because")));
    let expected = [
        ("starts_at", Some("2026-07-01T10:00:00Z"), Some("2026-07-11T10:00:00Z")),
        ("postponed_from", None, Some("2026-07-01T10:00:00Z")),
        ("refunds_until", None, Some("2026-07-10T10:00:00Z")),
    ];
    assert_eq!(changes(&entry), expected);

    let again = made(bench.change(&sale, &postpone(50), &act_at(operator, 12)).await);
    assert_eq!(again.amended.postponed.map(|postponed| postponed.from), Some(sale.starts_at));
    let events = bench.read_events().await;
    let event = |before: &Performance, after: &Performance, act: &StaffAct| {
        Event::of_change(&postpone(40), before, after, act).expect("it was postponed")
    };
    assert_eq!(events.len(), 2);
    assert_eq!(events[0], event(&sale, &postponed, &act));
    assert!(matches!(&events[1], Event::PerformancePostponed { before, .. } if *before == postponed.starts_at));
}

pub async fn changes_the_terms_of_a_sale(bench: RecordBench) {
    let (sale, operator, fan) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let held = hold(fan, &sale, &[0]);
    bench.place(&held).await;
    let closes_at = start() + DAY * 2;
    let change = terms(SaleTerms {
        closes_at: Some(closes_at),
        prices: vec![(0, euros(9_900))],
        seats_per_fan: Some(2),
        hold_for: Some(Duration::from_mins(1)),
        ..SaleTerms::default()
    });
    let act = act_at(operator, 9);
    let changed = made(bench.change(&sale, &change, &act).await);
    let mut expected = Performance { seats_per_fan: 2, hold_for: Duration::from_mins(1), ..sale.clone() };
    expected.on_sale.closes_at = closes_at;
    expected.prices.minor_by_grade[0] = Some(9_900);
    expected.amended.revision = 1;
    assert_eq!(changed, expected);
    assert_eq!(bench.now_stored(&sale).await, changed);
    assert_eq!(bench.stored(&held).await, Some(held), "it keeps its price and its deadline");
    let on_sale = bench.catalog.on_sale(start() + DAY + DAY / 2).await.expect("the store answers");
    assert!(on_sale.iter().any(|sale| sale.performance == changed.id), "the sale closes later");

    let entry = bench.entries_about(&sale).await.remove(0);
    let fields: Vec<&str> = changes(&entry).into_iter().map(|(field, ..)| field).collect();
    assert_eq!(fields, ["on_sale_closes_at", "prices", "seats_per_fan", "hold_duration_ms"]);
    let events = bench.read_events().await;
    let event = Event::of_change(&change, &sale, &changed, &act).expect("it was changed");
    assert_eq!(events[1..], [event]);
}

pub async fn withdraws_a_performance(bench: RecordBench) {
    let (sale, operator) = (bench.open_sale().await, bench.sign_up().await);
    let block = SeatBlock {
        id: id(),
        performance: sale.id,
        operator,
        reason: BlockReason::parse("house seats").expect("a reason"),
        slots: slots(&[3]),
        at: at_secs(1),
    };
    made(bench.seat_blocks.block(block, None).await);
    let (withdraw, act) = (bench.withdrawal(sale.id).await, act_at(operator, 9));
    let withdrawn = made(bench.change(&sale, &withdraw, &act).await);
    let amended = Amendments { revision: 1, postponed: None, withdrawn_at: Some(at_secs(9)) };
    assert_eq!(withdrawn, Performance { amended, ..sale.clone() });
    assert_eq!(bench.now_stored(&sale).await, withdrawn);
    let of_concert = PerformanceFilter::of_concert(sale.concert);
    let listed = bench
        .catalog
        .performances(&of_concert, PerformanceOrder::Start, PageRequest::first(9))
        .await
        .expect("the store answers");
    assert_eq!(listed.items, []);
    assert_eq!(bench.catalog.on_sale(at_secs(9)).await.expect("the store answers"), []);
    assert_eq!(bench.blocked_seats(sale.id).await, SMALL_CHART_SEATS);
    let fan = bench.sign_up().await;
    let late = bench.reservations.place(hold(fan, &sale, &[0]), SEATS_PER_FAN_MAX, None, request(fan)).await;
    refused(late);
    let entry = bench.entries_about(&sale).await.remove(0);
    assert_eq!(changes(&entry), [("withdrawn_at", None, Some("2026-06-01T10:00:09Z"))]);
    let kinds: Vec<&str> = bench.read_events().await.iter().map(Event::kind).collect();
    let blocked = "booking.seats_blocked";
    assert_eq!(kinds, [blocked, blocked, blocked, "catalog.performance_withdrawn"]);
}

pub async fn withdraws_only_what_nobody_has(bench: RecordBench) {
    let (sale, operator, fan) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    bench.buy(&hold(fan, &sale, &[0])).await;
    let held = hold(fan, &sale, &[1, 22]);
    bench.place(&held).await;
    let withdraw = bench.withdrawal(sale.id).await;
    let refusal = refused(bench.change(&sale, &withdraw, &act_at(operator, 9)).await);
    assert_eq!(refusal, ChangeRefusal::InUse { seats: 3 });
    assert_eq!(bench.now_stored(&sale).await, sale);
    assert_eq!(bench.blocked_seats(sale.id).await, 0);
    assert_eq!(bench.entries_about(&sale).await, []);
    assert!(bench.read_events().await.iter().all(|event| !event.kind().starts_with("catalog.")));
}

pub async fn withdraws_or_holds_under_contention(bench: RecordBench) {
    for _ in 0..3 {
        let (sale, operator) = (bench.open_sale().await, bench.sign_up().await);
        let mut holds = Vec::new();
        for seat in 0..TWENTY {
            holds.push(hold(bench.sign_up().await, &sale, &[seat]));
        }
        let withdraw = bench.withdrawal(sale.id).await;
        let calls = holds.into_iter().map(Some).chain([None]).map(|hold| {
            let (reservations, changes) = (Arc::clone(&bench.reservations), Arc::clone(&bench.performance_changes));
            let (withdraw, act) = (withdraw.clone(), act_at(operator, 9));
            async move {
                match hold {
                    Some(hold) => {
                        let request = request(hold.user);
                        (true, reservations.place(hold, SEATS_PER_FAN_MAX, None, request).await.is_ok())
                    }
                    None => (false, changes.change(sale.id, withdraw, act).await.is_ok()),
                }
            }
        });
        let outcomes = at_once(calls).await;
        let held = outcomes.iter().filter(|(is_hold, is_done)| *is_hold && *is_done).count();
        let is_withdrawn = outcomes.contains(&(false, true));
        assert_ne!(is_withdrawn, held > 0, "{outcomes:?}");
        let blocked = if is_withdrawn { SMALL_CHART_SEATS } else { 0 };
        assert_eq!((bench.blocked_seats(sale.id).await, bench.claims(sale.id).await.len()), (blocked, blocked + held));
    }
}

pub async fn notes_no_change_to_the_same(bench: RecordBench) {
    let (sale, operator) = (bench.open_sale().await, bench.sign_up().await);
    let same = SaleTerms { opens_at: Some(sale.on_sale.opens_at), ..SaleTerms::default() };
    for change in [limit(sale.seats_per_fan), terms(same), terms(SaleTerms::default())] {
        assert_eq!(made(bench.change(&sale, &change, &act_at(operator, 9)).await), sale);
    }
    assert_eq!((bench.entries_about(&sale).await, bench.read_events().await), (vec![], vec![]));
    let withdraw = bench.withdrawal(sale.id).await;
    let withdrawn = made(bench.change(&sale, &withdraw, &act_at(operator, 10)).await);
    let again = bench.withdrawal(sale.id).await;
    assert_eq!(made(bench.change(&sale, &again, &act_at(operator, 11)).await), withdrawn);
    assert_eq!((bench.entries_about(&sale).await.len(), bench.read_events().await.len()), (1, 3));
}

pub async fn refuses_what_cannot_work(bench: RecordBench) {
    let (sale, operator) = (bench.open_sale().await, bench.sign_up().await);
    let dollars = Money { currency: crate::fixtures::money(0, "USD").currency, ..euros(1) };
    let late = SaleTerms { closes_at: Some(start() + DAY * 31), ..SaleTerms::default() };
    let other = SaleTerms { prices: vec![(0, dollars)], ..SaleTerms::default() };
    for (change, field) in [
        (postpone(20), "starts_at"),
        (terms(late), "on_sale_closes_at"),
        (terms(other), "prices[0].price.currency_code"),
    ] {
        let refusal = refused(bench.change(&sale, &change, &act_at(operator, 9)).await);
        let ChangeRefusal::Invalid(broken) = refusal else { panic!("{refusal:?}") };
        assert!(broken.iter().any(|broken| broken.field == field), "{broken:?}");
    }
    assert_eq!(bench.now_stored(&sale).await, sale);
    assert_eq!((bench.entries_about(&sale).await, bench.read_events().await), (vec![], vec![]));
}

pub async fn changes_only_what_there_is(bench: RecordBench) {
    let (sale, operator) = (bench.open_sale().await, bench.sign_up().await);
    let unknown = Performance { id: id(), ..sale.clone() };
    let refusal = refused(bench.change(&unknown, &limit(2), &act_at(operator, 9)).await);
    assert_eq!(refusal, ChangeRefusal::Unknown(unknown.id));
    let withdraw = bench.withdrawal(sale.id).await;
    made(bench.change(&sale, &withdraw, &act_at(operator, 10)).await);
    for change in [limit(2), postpone(40)] {
        let refusal = refused(bench.change(&sale, &change, &act_at(operator, 11)).await);
        assert_eq!(refusal, ChangeRefusal::Withdrawn { at: at_secs(10) });
    }
}

pub async fn repeats_a_change(bench: RecordBench) {
    let (sale, operator) = (bench.open_sale().await, bench.sign_up().await);
    let act = act_at(operator, 9);
    let request = act.request.expect("it has a request");
    let find = async |request| bench.performance_changes.find_changed(request).await;
    assert_eq!(find(request).await.expect("no reuse"), None);
    let first = made(bench.change(&sale, &postpone(40), &act).await);
    made(bench.change(&sale, &limit(2), &act_at(operator, 10)).await);
    let other = StaffAct { request: Some(altered(request)), ..act.clone() };
    assert_eq!(repeated(bench.change(&sale, &postpone(40), &act).await), first);
    assert_eq!(find(request).await.expect("no reuse"), Some(first));
    assert_reused(&bench.change(&sale, &postpone(41), &other).await);
    assert_reused(&find(altered(request)).await);
    assert_eq!((bench.entries_about(&sale).await.len(), bench.read_events().await.len()), (2, 2));
    // A change that was refused is not remembered.
    let refused_act = act_at(operator, 11);
    refused(bench.change(&sale, &postpone(20), &refused_act).await);
    made(bench.change(&sale, &limit(3), &refused_act).await);
}

pub async fn changes_one_after_the_other(bench: RecordBench) {
    let (sale, operator) = (bench.open_sale().await, bench.sign_up().await);
    let calls = (0..TWENTY).map(|index| {
        let (changes, id) = (Arc::clone(&bench.performance_changes), sale.id);
        let minor = i64::try_from(index).expect("a small number") + 1;
        let change = match index % 2 {
            0 => terms(SaleTerms { prices: vec![(0, euros(minor))], ..SaleTerms::default() }),
            _ => terms(SaleTerms { prices: vec![(1, euros(minor))], ..SaleTerms::default() }),
        };
        let act = act_at(operator, 9);
        async move { changes.change(id, change, act).await }
    });
    let made = at_once(calls).await.into_iter().flatten().count();
    let stored = bench.now_stored(&sale).await;
    assert_eq!((made, stored.amended.revision), (TWENTY, 20));
    assert_eq!((bench.entries_about(&sale).await.len(), bench.read_events().await.len()), (TWENTY, TWENTY));
    let odd = |minor: Option<i64>| minor.is_some_and(|minor| minor < 21 && minor % 2 == 1);
    let [front, rear] = stored.prices.minor_by_grade[..] else { panic!("two grades") };
    assert!(odd(front) && !odd(rear) && rear.is_some_and(|rear| rear < 21), "{front:?} {rear:?}");
}

pub async fn lists_what_was_changed(bench: RecordBench) {
    let operator = bench.sign_up().await;
    let mut changed = Vec::new();
    for second in [3, 1, 2, 2, 5, 4, 1] {
        let sale = bench.open_sale().await;
        changed.push((second, made(bench.change(&sale, &limit(2), &act_at(operator, second)).await)));
    }
    // One of them was changed at 1 and is changed again; one was never changed.
    let again = made(bench.change(&changed[1].1, &limit(3), &act_at(operator, 6)).await);
    changed[1] = (6, again);
    bench.open_sale().await;
    changed.retain(|(second, _)| *second >= 2);
    changed.sort_by_key(|(second, performance)| (*second, performance.id));
    let expected: Vec<Performance> = changed.into_iter().map(|(_, performance)| performance).collect();
    assert_eq!(expected.len(), 6);
    for size in SIZES {
        let listed = read_all(size, |page| bench.catalog.changed_performances(at_secs(2), page)).await;
        assert_eq!(listed, expected, "by {size}");
    }
    let none = bench.catalog.changed_performances(at_secs(7), PageRequest::first(9)).await;
    assert_eq!(none.expect("the store answers").items, []);
}
