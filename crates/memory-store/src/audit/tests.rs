//! One damage at a time, and what is found.

use encore_domain::audit::{Finding, Promise};
use encore_domain::booking::{Claim, Reservation, ReservationState};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{PaymentId, PerformanceId, UserId};
use encore_domain::payment::{Payment, PaymentPlan};
use encore_domain::ports::{Audit, Payments, Reservations, Wallets};
use encore_domain::wallet::Transfer;
use encore_port_tests::fixtures::{self, at_secs, euros, hold, id, payment, request, start, top_up};

use crate::records::{MemoryRecords, Records};
use crate::{MemoryAudit, MemoryPayments, MemoryReservations, MemoryWallets};

/// Seats 0 and 9 are sold, 1 is held, and a hold on 2 was released.
struct Story {
    records: MemoryRecords,
    fan: UserId,
    performance: PerformanceId,
    paid: Reservation,
    held: Reservation,
    released: Reservation,
    plan: PaymentPlan,
    top_up: Transfer,
}

async fn story() -> Story {
    let records = MemoryRecords::default();
    let reservations = MemoryReservations::new(records.clone());
    let fan: UserId = id();
    let sale = fixtures::performance(id(), id());
    let [paid, held, released] = [[0, 9].as_slice(), &[1], &[2]].map(|seats| hold(fan, &sale, seats));
    for hold in [&paid, &held, &released] {
        reservations.place(hold.clone(), 8, request(fan)).await.expect("placed");
    }
    reservations.release(released.id, at_secs(1), None).await.expect("released");
    let top_up = top_up(fan, euros(50_000));
    MemoryWallets::new(records.clone()).top_up(top_up.clone(), request(fan)).await.expect("topped up");
    let plan = payment(&paid, start());
    MemoryPayments::new(records.clone()).pay_from_wallet(plan.clone(), request(fan)).await.expect("paid");
    Story { records, fan, performance: sale.id, paid, held, released, plan, top_up }
}

impl Story {
    async fn findings(&self, scope: Option<PerformanceId>) -> Vec<Finding> {
        let report = MemoryAudit::new(self.records.clone()).sweep(scope).await.expect("the store answers");
        report.findings().cloned().collect()
    }

    fn slot(&self, index: usize) -> Slot {
        [self.paid.slots(), self.held.slots(), self.released.slots()].concat()[index]
    }

    fn seat(&self, index: usize) -> String {
        format!("performance {} slot {}", self.performance, self.slot(index).0)
    }
}

/// Damages the records of a story and says which promise is found broken by which rows, in any order.
async fn damaged(damage: impl FnOnce(&Story, &mut Records), expected: impl FnOnce(&Story) -> Vec<(Promise, String)>) {
    let story = story().await;
    assert_eq!(story.findings(None).await, [], "before the damage");
    damage(&story, &mut story.records.lock());
    let mut expected = expected(&story);
    expected.sort();
    for scope in [None, Some(story.performance)] {
        let found = story.findings(scope).await;
        let mut told: Vec<_> = found.iter().map(|finding| (finding.promise, finding.subject.clone())).collect();
        told.sort();
        // Top-ups belong to no performance.
        let of_scope = |(_, subject): &&(Promise, String)| scope.is_none() || !subject.starts_with("top-up ");
        assert_eq!(told, expected.iter().filter(of_scope).cloned().collect::<Vec<_>>(), "{found:?}");
    }
    assert_eq!(story.findings(Some(id())).await, [], "of another performance");
}

fn reservation<'records>(records: &'records mut Records, of: &Reservation) -> &'records mut Reservation {
    records.reservations.reservations.get_mut(&of.id).expect("it is there")
}

fn payment_of<'records>(records: &'records mut Records, story: &Story) -> &'records mut Payment {
    records.payments.payments.get_mut(&story.plan.payment.id).expect("it is there")
}

#[tokio::test]
async fn a_seat_sold_twice() {
    damaged(
        |story, records| {
            let seat = story.paid.seats[0];
            let held = reservation(records, &story.held);
            held.seats.push(seat);
            held.total.minor += seat.price_minor;
        },
        |story| vec![(Promise::DoubleSoldSeat, story.seat(0))],
    )
    .await;
}

#[tokio::test]
async fn seats_without_their_claims() {
    damaged(
        |story, records| {
            let claims = records.reservations.claims.get_mut(&story.performance).expect("claims");
            claims.remove(&story.slot(1));
            claims.remove(&story.slot(2));
        },
        |story| vec![(Promise::PaidWithoutSeat, story.seat(1)), (Promise::OrphanHold, story.seat(2))],
    )
    .await;
}

#[tokio::test]
async fn claims_that_nobody_accounts_for() {
    damaged(
        |story, records| {
            let claims = records.reservations.claims.get_mut(&story.performance).expect("claims");
            let claim = |slot, reservation| (slot, Claim::sold(slot, reservation));
            let of_nobody = claim(Slot(900), id());
            claims.extend([claim(story.slot(3), story.released.id), claim(Slot(901), story.paid.id), of_nobody]);
        },
        |story| {
            let slot = |slot| format!("performance {} slot {slot}", story.performance);
            let subjects = [story.seat(3), slot(900), slot(901)];
            subjects.map(|subject| (Promise::OrphanHold, subject)).into()
        },
    )
    .await;
}

#[tokio::test]
async fn a_payment_of_a_hold_that_was_released() {
    damaged(
        |story, records| {
            let (released, price) = (story.released.id, story.released.total);
            payment_of(records, story).reservation = released;
            reservation(records, &story.released).total = price;
        },
        |story| {
            let payment = format!("payment {}", story.plan.payment.id);
            let reservation = format!("reservation {}", story.paid.id);
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
async fn a_transfer_with_a_wrong_side() {
    damaged(
        |story, records| {
            let lines = records.wallets.ledger_entries.get_mut(&story.plan.transfer.id).expect("lines");
            lines[1].amount_minor += 1;
        },
        |story| vec![(Promise::MoneyMadeOrLost, format!("transfer {}", story.plan.transfer.id))],
    )
    .await;
}

#[tokio::test]
async fn a_wrong_amount_total_or_balance() {
    damaged(
        |story, records| {
            payment_of(records, story).amount.minor += 1;
            reservation(records, &story.held).total.minor += 1;
            let wallet = records.wallets.balances.get_mut(&story.fan).expect("a wallet");
            *wallet.get_mut(&euros(0).currency).expect("of euros") += 1;
        },
        |story| {
            let payment = format!("payment {}", story.plan.payment.id);
            let wallet = format!("wallet of user {} in EUR", story.fan);
            let subjects = [payment.clone(), payment, wallet, format!("reservation {}", story.held.id)];
            subjects.map(|subject| (Promise::MoneyMadeOrLost, subject)).into()
        },
    )
    .await;
}

#[tokio::test]
async fn a_wallet_below_zero() {
    damaged(
        |story, records| {
            let wallet = records.wallets.balances.get_mut(&story.fan).expect("a wallet");
            *wallet.get_mut(&euros(0).currency).expect("of euros") = -1;
        },
        |story| {
            let wallet = format!("wallet of user {} in EUR", story.fan);
            vec![(Promise::NegativeWallet, wallet.clone()), (Promise::MoneyMadeOrLost, wallet)]
        },
    )
    .await;
}

#[tokio::test]
async fn effects_without_their_request() {
    damaged(
        |_, records| records.requests = crate::requests::Requests::default(),
        |story| {
            let holds = [&story.paid, &story.held, &story.released].map(|hold| format!("reservation {}", hold.id));
            let payment = format!("payment {}", story.plan.payment.id);
            let top_up = format!("top-up {}", story.top_up.wallet_entry.id);
            holds.into_iter().chain([payment, top_up]).map(|subject| (Promise::RepeatedEffect, subject)).collect()
        },
    )
    .await;
}

#[tokio::test]
async fn a_request_that_did_it_twice() {
    damaged(
        |story, records| records.requests.remember(Some(request(story.fan)), story.plan.payment.clone()),
        |story| vec![(Promise::RepeatedEffect, format!("payment {}", story.plan.payment.id))],
    )
    .await;
}

#[tokio::test]
async fn events_that_are_missing_wrong_or_out_of_order() {
    damaged(
        |story, records| {
            let events = &mut records.outbox.0;
            // The events are those of three holds, the release, the top-up, and the payment.
            let kinds: Vec<&str> = events.iter().map(|written| written.record.kind.as_str()).collect();
            assert_eq!(kinds[3..], ["booking.hold_released", "wallet.topped_up", "booking.reservation_confirmed"]);
            events[0].record.sequence = 100;
            events[3].record.key = id();
            events.remove(1);
            assert_eq!(story.held.state, ReservationState::Held);
        },
        |story| {
            [
                (Promise::OutboxGap, format!("reservation {}", story.paid.id)),
                (Promise::OutboxGap, format!("event booking.hold_placed/{}", story.held.id)),
                (Promise::OutboxGap, format!("event booking.hold_released/{}", story.released.id)),
            ]
            .into()
        },
    )
    .await;
}

#[tokio::test]
async fn a_payment_made_twice() {
    damaged(
        |story, records| {
            let again: PaymentId = id();
            let payment = Payment { id: again, ..story.plan.payment.clone() };
            records.requests.remember(Some(request(story.fan)), payment.clone());
            records.payments.payments.insert(again, payment);
        },
        |story| {
            let again = |payment: &PaymentId| format!("payment {payment}");
            let mut records = story.records.lock();
            records.payments.payments.remove(&story.plan.payment.id);
            let other = records.payments.payments.keys().map(again).next().expect("the other");
            records.payments.payments.insert(story.plan.payment.id, story.plan.payment.clone());
            let reservation = format!("reservation {}", story.paid.id);
            vec![(Promise::RepeatedEffect, reservation), (Promise::MoneyMadeOrLost, other)]
        },
    )
    .await;
}
