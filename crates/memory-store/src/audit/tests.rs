//! The audit reports each kind of damage, and nothing else.

use encore_domain::audit::{Finding, Promise};
use encore_domain::booking::{Claim, Reservation, ReservationState};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::event::{CardPaymentRef, Event, PaymentChange, PaymentStep, QueueOpening};
use encore_domain::ids::{PaymentId, PerformanceId, UserId};
use encore_domain::payment::card::Purpose;
use encore_domain::payment::{Paid, Payment, PaymentPlan};
use encore_domain::ports::{Audit, Payments, Reservations, Wallets};
use encore_domain::wallet::Transfer;
use encore_port_tests::fixtures::{self, at_secs, euros, hold, id, just_before, payment, request, start, top_up};

use crate::records::{MemoryRecords, Milestone, Records};
use crate::{MemoryAudit, MemoryPayments, MemoryReservations, MemoryWallets};

/// Records in which seats 0 and 9 are sold, 1 is held, and a hold on 2 was released.
struct Fixture {
    records: MemoryRecords,
    fan: UserId,
    performance: PerformanceId,
    paid: Reservation,
    held: Reservation,
    released: Reservation,
    plan: PaymentPlan,
    top_up: Transfer,
}

async fn fixture() -> Fixture {
    let records = MemoryRecords::default();
    let reservations = MemoryReservations::new(records.clone());
    let fan: UserId = id();
    let sale = fixtures::performance(id(), id());
    let [paid, held, released] = [[0, 9].as_slice(), &[1], &[2]].map(|seats| hold(fan, &sale, seats));
    for hold in [&paid, &held, &released] {
        reservations.place(hold.clone(), 8, None, request(fan)).await.expect("placed");
    }
    reservations.release(released.id, at_secs(1), None).await.expect("released");
    let top_up = top_up(fan, euros(50_000));
    MemoryWallets::new(records.clone()).top_up(top_up.clone(), request(fan)).await.expect("topped up");
    let plan = payment(&paid, start());
    MemoryPayments::new(records.clone()).pay_from_wallet(plan.clone(), request(fan)).await.expect("paid");
    Fixture { records, fan, performance: sale.id, paid, held, released, plan, top_up }
}

impl Fixture {
    async fn findings(&self, scope: Option<PerformanceId>) -> Vec<Finding> {
        let report = MemoryAudit::new(self.records.clone()).sweep(scope).await.expect("the store is available");
        report.findings().cloned().collect()
    }

    fn slot(&self, index: usize) -> Slot {
        [self.paid.slots(), self.held.slots(), self.released.slots()].concat()[index]
    }

    fn seat(&self, index: usize) -> String {
        format!("performance {} slot {}", self.performance, self.slot(index).0)
    }
}

/// Damages the records of a fixture, and expects exactly these findings, in any order.
async fn assert_reported(
    damage: impl FnOnce(&Fixture, &mut Records),
    expected: impl FnOnce(&Fixture) -> Vec<(Promise, String)>,
) {
    let fixture = fixture().await;
    assert_eq!(fixture.findings(None).await, [], "before the damage");
    damage(&fixture, &mut fixture.records.lock());
    let mut expected = expected(&fixture);
    expected.sort();
    for scope in [None, Some(fixture.performance)] {
        let found = fixture.findings(scope).await;
        let mut reported: Vec<_> = found.iter().map(|finding| (finding.promise, finding.subject.clone())).collect();
        reported.sort();
        // Top-ups belong to no performance.
        let of_scope = |(_, subject): &&(Promise, String)| scope.is_none() || !subject.starts_with("top-up ");
        assert_eq!(reported, expected.iter().filter(of_scope).cloned().collect::<Vec<_>>(), "{found:?}");
    }
    assert_eq!(fixture.findings(Some(id())).await, [], "in the scope of another performance");
}

fn reservation<'records>(records: &'records mut Records, of: &Reservation) -> &'records mut Reservation {
    records.reservations.reservations.get_mut(&of.id).expect("it exists")
}

fn payment_of<'records>(records: &'records mut Records, fixture: &Fixture) -> &'records mut Payment {
    records.payments.payments.get_mut(&fixture.plan.payment.id).expect("it exists")
}

#[tokio::test]
async fn a_seat_in_two_live_reservations() {
    assert_reported(
        |fixture, records| {
            let seat = fixture.paid.seats[0];
            let held = reservation(records, &fixture.held);
            held.seats.push(seat);
            held.total.minor += seat.price_minor;
        },
        |fixture| vec![(Promise::DoubleSoldSeat, fixture.seat(0))],
    )
    .await;
}

#[tokio::test]
async fn seats_without_their_claims() {
    assert_reported(
        |fixture, records| {
            let claims = records.reservations.claims.get_mut(&fixture.performance).expect("claims");
            claims.remove(&fixture.slot(1));
            claims.remove(&fixture.slot(2));
        },
        |fixture| vec![(Promise::PaidWithoutSeat, fixture.seat(1)), (Promise::OrphanHold, fixture.seat(2))],
    )
    .await;
}

#[tokio::test]
async fn claims_without_a_live_reservation_that_lists_the_seat() {
    assert_reported(
        |fixture, records| {
            let claims = records.reservations.claims.get_mut(&fixture.performance).expect("claims");
            let claim = |slot, reservation| (slot, Claim::sold(slot, reservation, id()));
            let without_reservation = claim(Slot(900), id());
            claims.extend([
                claim(fixture.slot(3), fixture.released.id),
                claim(Slot(901), fixture.paid.id),
                without_reservation,
            ]);
        },
        |fixture| {
            let slot = |slot| format!("performance {} slot {slot}", fixture.performance);
            let subjects = [fixture.seat(3), slot(900), slot(901)];
            subjects.map(|subject| (Promise::OrphanHold, subject)).into()
        },
    )
    .await;
}

#[tokio::test]
async fn a_payment_of_a_hold_that_was_released() {
    assert_reported(
        |fixture, records| {
            let (released, price) = (fixture.released.id, fixture.released.total);
            payment_of(records, fixture).reservation = released;
            reservation(records, &fixture.released).total = price;
        },
        |fixture| {
            let payment = format!("payment {}", fixture.plan.payment.id);
            let reservation = format!("reservation {}", fixture.paid.id);
            [
                (Promise::PaidWithoutSeat, payment.clone()),
                (Promise::MoneyMadeOrLost, payment),
                (Promise::MoneyMadeOrLost, reservation),
            ]
            .into()
        },
    )
    .await;
}

#[tokio::test]
async fn a_transfer_with_a_wrong_entry() {
    assert_reported(
        |fixture, records| {
            let entries = records.wallets.ledger_entries.get_mut(&fixture.plan.transfer.id).expect("entries");
            entries[1].amount_minor += 1;
        },
        |fixture| vec![(Promise::MoneyMadeOrLost, format!("transfer {}", fixture.plan.transfer.id))],
    )
    .await;
}

#[tokio::test]
async fn a_wrong_amount_total_or_balance() {
    assert_reported(
        |fixture, records| {
            payment_of(records, fixture).amount.minor += 1;
            reservation(records, &fixture.held).total.minor += 1;
            let wallet = records.wallets.balances.get_mut(&fixture.fan).expect("a wallet");
            *wallet.get_mut(&euros(0).currency).expect("of euros") += 1;
        },
        |fixture| {
            let payment = format!("payment {}", fixture.plan.payment.id);
            let wallet = format!("wallet of user {} in EUR", fixture.fan);
            let subjects = [payment.clone(), payment, wallet, format!("reservation {}", fixture.held.id)];
            subjects.map(|subject| (Promise::MoneyMadeOrLost, subject)).into()
        },
    )
    .await;
}

#[tokio::test]
async fn a_negative_balance() {
    assert_reported(
        |fixture, records| {
            let wallet = records.wallets.balances.get_mut(&fixture.fan).expect("a wallet");
            *wallet.get_mut(&euros(0).currency).expect("of euros") = -1;
        },
        |fixture| {
            let wallet = format!("wallet of user {} in EUR", fixture.fan);
            vec![(Promise::NegativeWallet, wallet.clone()), (Promise::MoneyMadeOrLost, wallet)]
        },
    )
    .await;
}

#[tokio::test]
async fn effects_without_their_request() {
    assert_reported(
        |_, records| records.requests = crate::requests::Requests::default(),
        |fixture| {
            let holds =
                [&fixture.paid, &fixture.held, &fixture.released].map(|hold| format!("reservation {}", hold.id));
            let payment = format!("payment {}", fixture.plan.payment.id);
            let top_up = format!("top-up {}", fixture.top_up.wallet_entry.id);
            holds.into_iter().chain([payment, top_up]).map(|subject| (Promise::RepeatedEffect, subject)).collect()
        },
    )
    .await;
}

/// The answer to a request that made this payment.
fn paid(payment: &Payment) -> Paid {
    Paid { payment: payment.clone(), balance_after: payment.amount, ended_token: None }
}

#[tokio::test]
async fn a_payment_of_two_requests() {
    assert_reported(
        |fixture, records| records.requests.remember(Some(request(fixture.fan)), paid(&fixture.plan.payment)),
        |fixture| vec![(Promise::RepeatedEffect, format!("payment {}", fixture.plan.payment.id))],
    )
    .await;
}

#[tokio::test]
async fn events_that_are_missing_wrong_or_out_of_order() {
    assert_reported(
        |fixture, records| {
            // What is older was forgotten, which excuses none of these.
            records.outbox.forgotten_before = Some(just_before(start()));
            let events = &mut records.outbox.records;
            // The events are those of three holds, the release, the top-up, and the payment.
            let kinds: Vec<&str> = events.iter().map(|written| written.kind.as_str()).collect();
            assert_eq!(kinds[3..], ["booking.hold_released", "wallet.topped_up", "booking.reservation_confirmed"]);
            events[0].place.sequence = 100;
            events[3].key = id();
            events.remove(1);
            assert_eq!(fixture.held.state, ReservationState::Held);
        },
        |fixture| {
            [
                (Promise::OutboxGap, format!("reservation {}", fixture.paid.id)),
                (Promise::OutboxGap, format!("event booking.hold_placed/{}", fixture.held.id)),
                (Promise::OutboxGap, format!("event booking.hold_released/{}", fixture.released.id)),
            ]
            .into()
        },
    )
    .await;
}

#[tokio::test]
async fn an_event_of_another_kind_that_is_written_twice() {
    let fixture = fixture().await;
    let [once, twice] = [id(), id()].map(|user| Event::UserDeleted { user, at: start() });
    for event in [&once, &twice, &twice] {
        fixture.records.lock().outbox.write(event);
    }
    let found = fixture.findings(None).await;
    let found: Vec<_> = found.iter().map(|finding| (finding.promise, finding.subject.clone())).collect();
    assert_eq!(found, [(Promise::OutboxGap, format!("event {}", twice.id()))]);
}

#[tokio::test]
async fn events_of_what_did_not_happen_and_milestones_without_their_event() {
    let fixture = fixture().await;
    let performance = fixture.performance;
    let opening = |performance| QueueOpening { performance, opened_at: start(), calls_from: start(), at: start() };
    let payment = CardPaymentRef {
        id: id(),
        user: fixture.fan,
        purpose: Purpose::Seats { reservation: fixture.held.id, performance },
        amount: euros(12_000),
        attempt: 1,
        request: None,
    };
    let captured = Event::PaymentChanged(PaymentStep { payment, change: PaymentChange::Captured, at: start() });
    {
        let records = &mut *fixture.records.lock();
        records.outbox.write(&captured);
        records.outbox.write(&Event::QueueOpened(opening(performance)));
        assert!(records.catalog.reach(performance, Milestone::Cancelled, start()));
    }
    let mut expected = [
        format!("event {}", captured.id()),
        format!("event queue.opened/{performance}"),
        format!("event catalog.performance_cancelled/{performance}"),
    ];
    expected.sort();
    for scope in [None, Some(performance)] {
        let mut found: Vec<_> = fixture.findings(scope).await.into_iter().map(|finding| finding.subject).collect();
        found.sort();
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn two_payments_of_a_reservation() {
    assert_reported(
        |fixture, records| {
            let again: PaymentId = id();
            let payment = Payment { id: again, ..fixture.plan.payment.clone() };
            records.requests.remember(Some(request(fixture.fan)), paid(&payment));
            records.payments.payments.insert(again, payment);
        },
        |fixture| {
            let again = |payment: &PaymentId| format!("payment {payment}");
            let mut records = fixture.records.lock();
            records.payments.payments.remove(&fixture.plan.payment.id);
            let other = records.payments.payments.keys().map(again).next().expect("the other payment");
            records.payments.payments.insert(fixture.plan.payment.id, fixture.plan.payment.clone());
            let reservation = format!("reservation {}", fixture.paid.id);
            vec![(Promise::RepeatedEffect, reservation), (Promise::MoneyMadeOrLost, other)]
        },
    )
    .await;
}
