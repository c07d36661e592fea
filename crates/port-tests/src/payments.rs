//! The cases of [`Payments`](encore_domain::ports::Payments).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use encore_domain::booking::{Claim, Reservation, ReservationState};
use encore_domain::error::PortError;
use encore_domain::event::Event;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::money::Money;
use encore_domain::payment::{PayRefusal, Payment, PaymentPlan, Settlement};
use encore_domain::queue::{QueueTicket, UsedPlace};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use encore_domain::wallet::WalletEntry;

use crate::RecordBench;
use crate::answers::{assert_reused, made, made_and_refused, made_once, refused, repeated};
use crate::bench::{Told, told};
use crate::contention::{TWENTY, at_once, meet};
use crate::fixtures::{altered, at_secs, euros, hold, hold_at, id, just_before, money, payment, request, start};
use crate::paging::{SIZES, read_all};

/// Stamps the cases of the port `Payments`.
#[macro_export]
macro_rules! payments {
    ($($with:tt)+) => {
        $crate::suite! { payments [
            pays_from_the_wallet,
            refuses_a_short_balance,
            refuses_without_a_wallet,
            refuses_an_expired_hold,
            refuses_what_is_not_held,
            refuses_what_was_changed,
            repeats_a_payment,
            repeats_a_payment_under_contention,
            pays_once_under_contention,
            never_overdraws_under_contention,
            finds_a_payment_by_its_request,
            refuses_a_reused_request,
            payment_and_expiry_exclude_each_other,
            lists_newest_first,
            remembers_used_tickets,
            remembers_what_to_tell,
        ] $($with)+ }
    };
}

/// Enough rounds for a payment and a sweep to meet in either order.
const ROUNDS: usize = 10;

/// All that a payment could change.
#[derive(Debug, PartialEq)]
struct Books {
    reservation: Option<Reservation>,
    claims: Vec<Claim>,
    balances: Vec<Money>,
    entries: Vec<WalletEntry>,
    payments: Vec<Payment>,
    untold: Vec<Settlement>,
    events: Vec<Told>,
}

impl RecordBench {
    async fn pay(&self, plan: &PaymentPlan, request: RequestKey) -> Result<Applied<Payment>, PortError<PayRefusal>> {
        self.payments.pay_from_wallet(plan.clone(), request).await
    }

    async fn find_paid(&self, request: RequestKey) -> Result<Option<Payment>, PortError<Infallible>> {
        self.payments.find_paid(request).await
    }

    async fn payments_of(&self, user: UserId, page_size: u32) -> Vec<Payment> {
        read_all(page_size, |page| self.payments.list(user, page)).await
    }

    async fn untold(&self, before: Timestamp, limit: u32) -> Vec<Settlement> {
        self.payments.untold(before, limit).await.expect("the store answers")
    }

    /// The used places of a line, each once, in order.
    async fn used_tickets(&self, performance: PerformanceId, epoch: i64) -> Vec<UsedPlace> {
        let used = self.payments.used_tickets(performance, epoch).await.expect("the store answers");
        BTreeSet::from_iter(used).into_iter().collect()
    }

    async fn used(&self, ticket: QueueTicket) -> bool {
        self.payments.has_used(&ticket).await.expect("the store answers")
    }

    async fn books(&self, hold: &Reservation) -> Books {
        Books {
            reservation: self.stored(hold).await,
            claims: self.claims(hold.performance).await,
            balances: self.balances(hold.user).await,
            entries: self.entries(hold.user).await,
            payments: self.payments_of(hold.user, 100).await,
            untold: self.untold(at_secs(1_000_000), 100).await,
            events: self.events().await,
        }
    }

    /// Asks for a payment that must be refused, and checks that it left nothing.
    async fn refused_payment(&self, hold: &Reservation, now: Timestamp) -> PayRefusal {
        let before = self.books(hold).await;
        let plan = payment(hold, now);
        let refusal = refused(self.pay(&plan, request(hold.user)).await);
        assert_eq!(self.books(hold).await, before);
        assert_eq!(self.lines(plan.transfer.id).await, []);
        assert_eq!(self.payments.find(plan.payment.id).await.expect("the store answers"), None);
        refusal
    }

    /// A fan with a hold on seats of a new sale.
    async fn held(&self, seats: &[usize]) -> Reservation {
        let hold = hold(self.sign_up().await, &self.open_sale().await, seats);
        self.place(&hold).await;
        hold
    }
}

/// A ticket of the run of a line that these cases speak of.
fn ticket(performance: PerformanceId, user: UserId, lane: u8, index: u64) -> QueueTicket {
    QueueTicket { performance, user, epoch: 1_780_308_000_123, lane, index, admitted_until: None }
}

fn confirmed(hold: &Reservation, payment: &Payment) -> Reservation {
    Reservation {
        state: ReservationState::Confirmed,
        settled_at: Some(payment.paid_at),
        payment: Some(payment.id),
        ..hold.clone()
    }
}

fn sold(hold: &Reservation) -> Vec<Claim> {
    hold.slots().into_iter().map(|slot| Claim { slot, reservation: hold.id, held_until: None }).collect()
}

pub async fn pays_from_the_wallet(bench: RecordBench) {
    let hold = bench.held(&[0, 13]).await;
    assert_eq!(hold.total, euros(19_500));
    let credit = bench.top_up(hold.user, euros(20_000)).await;
    bench.top_up(hold.user, money(1, "USD")).await;

    let plan = payment(&hold, at_secs(3));
    assert_eq!(made(bench.pay(&plan, request(hold.user)).await), plan.payment);
    assert_eq!(bench.balances(hold.user).await, [euros(500), money(1, "USD")]);
    assert_eq!(bench.stored(&hold).await, Some(confirmed(&hold, &plan.payment)));
    assert_eq!(bench.claims(hold.performance).await, sold(&hold));
    let found = bench.payments.find(plan.payment.id).await.expect("the store answers");
    assert_eq!(found.as_ref(), Some(&plan.payment));

    let lines = bench.lines(plan.transfer.id).await;
    assert_eq!(lines, [plan.transfer.wallet_line, plan.transfer.counter_line]);
    assert_eq!(lines.iter().map(|line| line.amount_minor).sum::<i64>(), 0);
    let entries = bench.entries(hold.user).await;
    assert_eq!(entries.first(), Some(&WalletEntry::of(&plan.transfer, 500)));
    assert_eq!(entries.last(), Some(&credit));

    let event =
        Event::ReservationConfirmed { reservation: confirmed(&hold, &plan.payment), payment: plan.payment.clone() };
    let events = bench.events().await;
    assert_eq!(events.last(), Some(&told(&event)));
    assert_eq!(events.len(), 4, "the hold, two top-ups and the payment: {events:?}");
    assert_eq!(bench.payments.find(id()).await.expect("the store answers"), None);
}

pub async fn refuses_a_short_balance(bench: RecordBench) {
    let hold = bench.held(&[0]).await;
    bench.top_up(hold.user, euros(11_999)).await;
    bench.top_up(hold.user, money(1_000_000, "USD")).await;
    let short = PayRefusal::BalanceShort { balance: euros(11_999), needed: euros(12_000) };
    assert_eq!(bench.refused_payment(&hold, at_secs(1)).await, short);

    // A request that was refused left no trace: its repeat is a first attempt.
    let (plan, request) = (payment(&hold, at_secs(2)), request(hold.user));
    assert_eq!(refused(bench.pay(&plan, request).await), short);
    bench.top_up(hold.user, euros(1)).await;
    assert_eq!(made(bench.pay(&plan, request).await), plan.payment);
    assert_eq!(bench.balances(hold.user).await, [euros(0), money(1_000_000, "USD")]);
}

pub async fn refuses_without_a_wallet(bench: RecordBench) {
    let hold = bench.held(&[0]).await;
    let short = PayRefusal::BalanceShort { balance: euros(0), needed: euros(12_000) };
    assert_eq!(bench.refused_payment(&hold, at_secs(1)).await, short);
    bench.top_up(hold.user, money(1_000_000, "USD")).await;
    assert_eq!(bench.refused_payment(&hold, at_secs(1)).await, short);
}

pub async fn refuses_an_expired_hold(bench: RecordBench) {
    let hold = bench.held(&[0]).await;
    bench.top_up(hold.user, euros(50_000)).await;
    let expired = PayRefusal::HoldExpired { expired_at: hold.expires_at };
    assert_eq!(bench.refused_payment(&hold, hold.expires_at).await, expired);
    bench.reservations.expire_due(hold.expires_at, 100).await.expect("the store answers");
    assert_eq!(bench.refused_payment(&hold, hold.expires_at).await, expired);

    let last_moment = bench.held(&[0]).await;
    bench.top_up(last_moment.user, euros(12_000)).await;
    let plan = payment(&last_moment, just_before(last_moment.expires_at));
    assert_eq!(made(bench.pay(&plan, request(last_moment.user)).await), plan.payment);
}

pub async fn refuses_what_is_not_held(bench: RecordBench) {
    let bought = hold(bench.sign_up().await, &bench.open_sale().await, &[0]);
    bench.buy(&bought).await;
    bench.top_up(bought.user, euros(50_000)).await;
    let refusal = bench.refused_payment(&bought, at_secs(1)).await;
    assert_eq!(refusal, PayRefusal::NotHeld { state: ReservationState::Confirmed });

    let released = bench.held(&[0]).await;
    bench.top_up(released.user, euros(50_000)).await;
    made(bench.reservations.release(released.id, at_secs(1), None).await);
    let refusal = bench.refused_payment(&released, at_secs(1)).await;
    assert_eq!(refusal, PayRefusal::NotHeld { state: ReservationState::Released });
}

pub async fn refuses_what_was_changed(bench: RecordBench) {
    let hold = bench.held(&[0, 1]).await;
    bench.top_up(hold.user, euros(50_000)).await;
    let one = [hold.slots()[0]];
    let left = made(bench.reservations.release_seats(hold.id, &one, at_secs(1), None).await);
    assert_eq!(bench.refused_payment(&hold, at_secs(2)).await, PayRefusal::HoldChanged);
    let plan = payment(&left, at_secs(2));
    assert_eq!(made(bench.pay(&plan, request(hold.user)).await).amount, left.total);
}

pub async fn repeats_a_payment(bench: RecordBench) {
    let hold = bench.held(&[0]).await;
    bench.top_up(hold.user, euros(50_000)).await;
    let request = request(hold.user);
    let first = made(bench.pay(&payment(&hold, at_secs(1)), request).await);
    let before = bench.books(&hold).await;

    for now in [at_secs(2), hold.expires_at] {
        let again = payment(&hold, now);
        assert_eq!(repeated(bench.pay(&again, request).await), first);
        assert_eq!(bench.lines(again.transfer.id).await, []);
        assert_eq!(bench.payments.find(again.payment.id).await.expect("the store answers"), None);
    }
    assert_eq!(bench.books(&hold).await, before);
}

pub async fn repeats_a_payment_under_contention(bench: RecordBench) {
    let hold = bench.held(&[0]).await;
    bench.top_up(hold.user, euros(500_000)).await;
    let request = request(hold.user);
    let answers = at_once((0..TWENTY).map(|_| {
        let (payments, plan) = (Arc::clone(&bench.payments), payment(&hold, at_secs(1)));
        async move { payments.pay_from_wallet(plan, request).await }
    }))
    .await;

    let paid = made_once(answers);
    assert_eq!(bench.balances(hold.user).await, [euros(488_000)]);
    assert_eq!(bench.stored(&hold).await, Some(confirmed(&hold, &paid)));
    assert_eq!(bench.payments_of(hold.user, 100).await, [paid]);
}

pub async fn pays_once_under_contention(bench: RecordBench) {
    let hold = bench.held(&[0]).await;
    bench.top_up(hold.user, euros(500_000)).await;
    let answers = at_once((0..TWENTY).map(|_| {
        let (payments, plan) = (Arc::clone(&bench.payments), payment(&hold, at_secs(1)));
        let request = request(hold.user);
        async move { payments.pay_from_wallet(plan, request).await }
    }))
    .await;

    let (paid, refusals) = made_and_refused(answers);
    assert_eq!(paid.len(), 1);
    for refusal in refusals {
        assert_eq!(refusal, PayRefusal::NotHeld { state: ReservationState::Confirmed });
    }
    assert_eq!(bench.balances(hold.user).await, [euros(488_000)]);
    assert_eq!(bench.stored(&hold).await, Some(confirmed(&hold, &paid[0])));
    assert_eq!(bench.payments_of(hold.user, 100).await, paid);
}

pub async fn never_overdraws_under_contention(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let holds = [hold(fan, &sale, &[0]), hold(fan, &sale, &[1])];
    for hold in &holds {
        bench.place(hold).await;
    }
    bench.top_up(fan, euros(23_999)).await;
    let answers = at_once(holds.iter().map(|hold| {
        let (payments, plan) = (Arc::clone(&bench.payments), payment(hold, at_secs(1)));
        async move { payments.pay_from_wallet(plan, request(fan)).await }
    }))
    .await;

    let (paid, refusals) = made_and_refused(answers);
    assert_eq!(paid.len(), 1);
    assert_eq!(refusals, [PayRefusal::BalanceShort { balance: euros(11_999), needed: euros(12_000) }]);
    assert_eq!(bench.balances(fan).await, [euros(11_999)]);
    for hold in holds {
        let expected = if paid[0].reservation == hold.id { confirmed(&hold, &paid[0]) } else { hold.clone() };
        assert_eq!(bench.stored(&hold).await, Some(expected));
    }
}

pub async fn finds_a_payment_by_its_request(bench: RecordBench) {
    let hold = bench.held(&[0]).await;
    let (paying, short) = (request(hold.user), request(hold.user));
    assert_eq!(bench.find_paid(paying).await.expect("no reuse"), None);
    refused(bench.pay(&payment(&hold, at_secs(1)), short).await);
    assert_eq!(bench.find_paid(short).await.expect("no reuse"), None);

    bench.top_up(hold.user, euros(50_000)).await;
    let paid = made(bench.pay(&payment(&hold, at_secs(1)), paying).await);
    bench.payments.mark_told(&[paid.id]).await.expect("the store answers");
    assert_eq!(bench.find_paid(paying).await.expect("no reuse"), Some(paid));
    let of_another = RequestKey { user: bench.sign_up().await, ..paying };
    assert_eq!(bench.find_paid(of_another).await.expect("no reuse"), None);
}

pub async fn refuses_a_reused_request(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let (first, second) = (hold(fan, &sale, &[0]), hold(fan, &sale, &[1]));
    bench.place(&first).await;
    bench.place(&second).await;
    bench.top_up(fan, euros(50_000)).await;
    let request = request(fan);
    made(bench.pay(&payment(&first, at_secs(1)), request).await);

    let before = bench.books(&second).await;
    let reused = payment(&second, at_secs(1));
    assert_reused(&bench.pay(&reused, altered(request)).await);
    assert_reused(&bench.find_paid(altered(request)).await);
    assert_eq!(bench.books(&second).await, before);
    assert_eq!(bench.lines(reused.transfer.id).await, []);
}

pub async fn payment_and_expiry_exclude_each_other(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    for round in 0..ROUNDS {
        let hold = hold(fan, &sale, &[round]);
        bench.place(&hold).await;
        let funds = bench.top_up(fan, hold.total).await.balance_after_minor;
        let (payments, reservations) = (Arc::clone(&bench.payments), Arc::clone(&bench.reservations));
        let (plan, sweep_at) = (payment(&hold, just_before(hold.expires_at)), hold.expires_at);
        let paying = async move { payments.pay_from_wallet(plan, request(fan)).await };
        let sweeping = async move { reservations.expire_due(sweep_at, 100).await };
        let (paying, sweeping) = meet(paying, sweeping, round % 2 == 0).await;

        let swept = sweeping.expect("the store answers");
        let claims = bench.reservations.claims_on(sale.id, &hold.slots()).await.expect("the store answers");
        let balance = bench.balances(fan).await[0];
        if swept.is_empty() {
            let paid = made(paying);
            assert_eq!(bench.stored(&hold).await, Some(confirmed(&hold, &paid)));
            assert_eq!(claims, sold(&hold));
            assert_eq!(balance, euros(funds - hold.total.minor));
        } else {
            assert_eq!(refused(paying), PayRefusal::HoldExpired { expired_at: hold.expires_at });
            let state = ReservationState::Expired;
            let expired = Reservation { state, settled_at: Some(sweep_at), ..hold.clone() };
            assert_eq!(swept.as_slice(), std::slice::from_ref(&expired));
            assert_eq!(bench.stored(&hold).await, Some(expired));
            assert_eq!(claims, []);
            assert_eq!(balance, euros(funds));
        }
    }
}

pub async fn lists_newest_first(bench: RecordBench) {
    let (sale, fan, other) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    assert_eq!(bench.payments_of(fan, 100).await, []);
    bench.top_up(fan, euros(100_000)).await;
    let mut plans = Vec::new();
    for seat in 0..6 {
        let hold = hold(fan, &sale, &[seat]);
        bench.place(&hold).await;
        plans.push(payment(&hold, at_secs(1)));
    }
    for index in [3, 0, 5, 1, 4, 2] {
        made(bench.pay(&plans[index], request(fan)).await);
    }
    let of_another = bench.buy(&hold(other, &sale, &[7])).await;

    let expected: Vec<Payment> = plans.into_iter().rev().map(|plan| plan.payment).collect();
    for size in SIZES {
        assert_eq!(bench.payments_of(fan, size).await, expected, "by {size}");
    }
    assert_eq!(bench.payments_of(other, 100).await, [of_another]);
}

pub async fn remembers_used_tickets(bench: RecordBench) {
    let (sale, other, fan) = (bench.open_sale().await, bench.open_sale().await, bench.sign_up().await);
    let first = ticket(sale.id, fan, 0, 4_000_000_000);
    let fast = QueueTicket { lane: 1, ..first };
    let (earlier_run, elsewhere) = (QueueTicket { epoch: 5, ..first }, QueueTicket { performance: other.id, ..first });
    let stranger = QueueTicket { index: 1, ..first };
    for (seat, ticket) in [Some(first), Some(fast), Some(earlier_run), Some(first), None].into_iter().enumerate() {
        let hold = hold(fan, &sale, &[seat]);
        bench.place(&hold).await;
        bench.top_up(fan, hold.total).await;
        let plan = PaymentPlan { ticket, ..payment(&hold, at_secs(1)) };
        assert_eq!(bench.used(ticket.unwrap_or(first)).await, seat > 2, "until it has paid");
        made(bench.pay(&plan, request(fan)).await);
        bench.payments.mark_told(&[plan.payment.id]).await.expect("the store answers");
    }
    let short = bench.held(&[0]).await;
    let refused_plan = PaymentPlan { ticket: Some(stranger), ..payment(&short, at_secs(1)) };
    refused(bench.pay(&refused_plan, request(short.user)).await);

    let used = |lane| UsedPlace { lane, index: first.index };
    assert_eq!(bench.used_tickets(sale.id, first.epoch).await, [used(0), used(1)]);
    assert_eq!(bench.used_tickets(sale.id, 5).await, [used(0)]);
    assert_eq!(bench.used_tickets(sale.id, 6).await, []);
    assert_eq!(bench.used_tickets(other.id, first.epoch).await, []);
    for ticket in [first, fast, earlier_run, QueueTicket { admitted_until: Some(at_secs(9)), ..first }] {
        assert!(bench.used(ticket).await, "{ticket:?}");
    }
    for ticket in [stranger, elsewhere, QueueTicket { epoch: 6, ..first }, QueueTicket { lane: 2, ..first }] {
        assert!(!bench.used(ticket).await, "{ticket:?}");
    }
}

pub async fn remembers_what_to_tell(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    bench.top_up(fan, euros(100_000)).await;
    let ticket = ticket(sale.id, fan, 7, 4_000_000_000);
    let mut settlements = Vec::new();
    for (seats, secs, ticket) in [(&[1, 2][..], 20, Some(ticket)), (&[0], 10, None), (&[5], 30, None)] {
        let hold = hold_at(fan, &sale, seats, start());
        bench.place(&hold).await;
        let plan = PaymentPlan { ticket, ..payment(&hold, at_secs(secs)) };
        made(bench.pay(&plan, request(fan)).await);
        let slots = hold.slots();
        let (payment, reservation) = (plan.payment.id, hold.id);
        settlements.push(Settlement { payment, reservation, performance: sale.id, slots, ticket });
    }
    let [second, first, third] = &settlements[..] else { panic!("three payments") };

    assert_eq!(bench.untold(just_before(at_secs(10)), 100).await, []);
    assert_eq!(bench.untold(at_secs(20), 100).await, [first.clone(), second.clone()]);
    assert_eq!(bench.untold(at_secs(1_000), 2).await, [first.clone(), second.clone()]);
    for _ in 0..2 {
        bench.payments.mark_told(&[first.payment, third.payment]).await.expect("the store answers");
        assert_eq!(bench.untold(at_secs(1_000), 100).await.as_slice(), std::slice::from_ref(second));
    }
    bench.payments.mark_told(&[]).await.expect("the store answers");
    bench.payments.mark_told(&[second.payment]).await.expect("the store answers");
    assert_eq!(bench.untold(at_secs(1_000), 100).await, []);
    assert_eq!(bench.payments_of(fan, 100).await.len(), 3);
}
