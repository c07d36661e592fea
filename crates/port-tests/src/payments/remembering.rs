use encore_domain::payment::attempt::{Outcome, Step};
use encore_domain::payment::card::{PaymentState, Purpose};
use encore_domain::payment::fan_payment::FanPayment;
use encore_domain::payment::gateway::FailureReason;
use encore_domain::payment::{Payment, PaymentPlan, Settlement};
use encore_domain::queue::{EndReason, EndedToken, QueueTokenPayload};

use super::payload;
use crate::answers::{made, refused, repeated};
use crate::fixtures::{at_secs, euros, hold, hold_at, just_before, payment, request, start};
use crate::paging::SIZES;
use crate::{RecordBench, card_payments};

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

pub async fn lists_payments_by_card_among_them(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let mut expected = Vec::new();
    for seats in [[0], [1], [2]] {
        let bought = bench.buy(&hold(fan, &sale, &seats)).await;
        expected.push(bought.id);
        let open = bench.start(&card_payments::plan_for(fan, Purpose::TopUp, euros(5), 0, at_secs(1))).await;
        expected.push(open.id);
        let held = hold(fan, &sale, &[seats[0] + 3]);
        bench.place(&held).await;
        let refused = bench.start(&card_payments::plan(&held, at_secs(1))).await;
        let declined = (Step::Authorize, Outcome::Failed(FailureReason::Declined));
        bench.reported(&refused, &[declined], at_secs(2)).await;
        expected.push(refused.id);
    }
    let (sold, card) = bench.charged(&[0]).await;
    assert_eq!(bench.all_payments_of(sold.user, 10).await, [FanPayment::Card(card)], "once");
    expected.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
    for size in SIZES {
        let listed = bench.all_payments_of(fan, size).await;
        assert_eq!(listed.iter().map(FanPayment::id).collect::<Vec<_>>(), expected, "by {size}");
        for payment in listed {
            assert_eq!(bench.payments.find(payment.id()).await.expect("the store answers"), Some(payment.clone()));
            if let FanPayment::Card(card) = payment {
                assert_eq!(bench.card_payments.find(card.id).await.expect("the store answers"), Some(card));
            }
        }
    }
}

pub async fn tells_what_became_of_a_payment(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    bench.top_up(fan, euros(100_000)).await;
    let (first, second) = (hold(fan, &sale, &[0, 1]), hold(fan, &sale, &[2]));
    bench.place(&first).await;
    bench.place(&second).await;
    let key = request(fan);
    let plan = payment(&first, at_secs(1));
    let paid = made(bench.payments.pay_from_wallet(plan, key).await);
    assert_eq!(paid.balance_after, euros(100_000 - first.total.minor));
    made(bench.pay(&payment(&second, at_secs(2)), request(fan)).await);
    assert_eq!(repeated(bench.payments.pay_from_wallet(payment(&first, at_secs(3)), key).await), paid);
    assert_eq!(bench.payments.find_paid(key).await.expect("no reuse"), Some(paid.clone()));
    let now = async || match bench.payments.find(paid.payment.id).await.expect("the store answers") {
        Some(FanPayment::Wallet(it)) => (it.state(), it.refunded(), it.balance_after, it.payment),
        other => panic!("not from the wallet: {other:?}"),
    };
    let told = |state, refunded| (state, euros(refunded), paid.balance_after, paid.payment.clone());
    assert_eq!(now().await, told(PaymentState::Paid, 0));
    let bought = bench.stored(&first).await.expect("a reservation");
    let some = crate::refunds::plan(&bought, &bought.slots()[..1], at_secs(4));
    let part = made(bench.cancel(&some, request(fan)).await).refund.amount().minor;
    assert_eq!(now().await, told(PaymentState::PartlyRefunded, part));
    made(bench.cancel(&crate::refunds::plan(&bought, &[], at_secs(5)), request(fan)).await);
    assert_eq!(now().await, told(PaymentState::Refunded, first.total.minor));
}

pub async fn remembers_used_payloads(bench: RecordBench) {
    let (sale, other, fan) = (bench.open_sale().await, bench.open_sale().await, bench.sign_up().await);
    let first = payload(sale.id, fan, 0, 4_000_000_000);
    let fast = QueueTokenPayload { lane: 1, ..first };
    let (earlier_run, elsewhere) =
        (QueueTokenPayload { epoch: 5, ..first }, QueueTokenPayload { performance: other.id, ..first });
    let stranger = QueueTokenPayload { index: 1, ..first };
    for (seat, payload) in [Some(first), Some(fast), Some(earlier_run), Some(first), None].into_iter().enumerate() {
        let hold = hold(fan, &sale, &[seat]);
        bench.place(&hold).await;
        bench.top_up(fan, hold.total).await;
        let plan = PaymentPlan { payload, ..payment(&hold, at_secs(1)) };
        assert_eq!(bench.ended(payload.unwrap_or(first)).await, seat > 2, "only a paid token is used");
        made(bench.pay(&plan, request(fan)).await);
        bench.payments.mark_propagated(&[plan.payment.id]).await.expect("the store answers");
    }
    let short = bench.held(&[0]).await;
    let refused_plan = PaymentPlan { payload: Some(stranger), ..payment(&short, at_secs(1)) };
    refused(bench.pay(&refused_plan, request(short.user)).await);

    bench.reservations.leave(QueueTokenPayload { lane: 3, ..first }, at_secs(2)).await.expect("the store answers");

    let token = |lane, reason| EndedToken { lane, index: first.index, reason };
    let used = |lane| token(lane, EndReason::Used);
    let left = token(3, EndReason::Left);
    assert_eq!(bench.ended_queue_tokens(sale.id, first.epoch).await, [used(0), used(1), left]);
    assert_eq!(bench.ended_queue_tokens(sale.id, 5).await, [used(0)]);
    assert_eq!(bench.ended_queue_tokens(sale.id, 6).await, []);
    assert_eq!(bench.ended_queue_tokens(other.id, first.epoch).await, []);
    for payload in [first, fast, earlier_run, QueueTokenPayload { admitted_until: Some(at_secs(9)), ..first }] {
        assert!(bench.ended(payload).await, "{payload:?}");
    }
    for payload in
        [stranger, elsewhere, QueueTokenPayload { epoch: 6, ..first }, QueueTokenPayload { lane: 2, ..first }]
    {
        assert!(!bench.ended(payload).await, "{payload:?}");
    }
}

pub async fn remembers_what_to_propagate(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    bench.top_up(fan, euros(100_000)).await;
    let payload = payload(sale.id, fan, 7, 4_000_000_000);
    let mut settlements = Vec::new();
    for (seats, secs, payload) in [(&[1, 2][..], 20, Some(payload)), (&[0], 10, None), (&[5], 30, None)] {
        let hold = hold_at(fan, &sale, seats, start());
        bench.place(&hold).await;
        let plan = PaymentPlan { payload, ..payment(&hold, at_secs(secs)) };
        made(bench.pay(&plan, request(fan)).await);
        let slots = hold.slots();
        let (payment, reservation) = (plan.payment.id, hold.id);
        let payload = payload.map(QueueTokenPayload::bare);
        settlements.push(Settlement { payment, reservation, user: fan, performance: sale.id, slots, payload });
    }
    let [second, first, third] = &settlements[..] else { panic!("three payments") };

    assert_eq!(bench.pending(sale.id, just_before(at_secs(10)), 100).await, []);
    assert_eq!(bench.pending(sale.id, at_secs(20), 100).await, [first.clone(), second.clone()]);
    assert_eq!(bench.pending(sale.id, at_secs(1_000), 2).await, [first.clone(), second.clone()]);
    for _ in 0..2 {
        bench.payments.mark_propagated(&[first.payment, third.payment]).await.expect("the store answers");
        assert_eq!(bench.pending(sale.id, at_secs(1_000), 100).await.as_slice(), std::slice::from_ref(second));
    }
    bench.payments.mark_propagated(&[]).await.expect("the store answers");
    bench.payments.mark_propagated(&[second.payment]).await.expect("the store answers");
    assert_eq!(bench.pending(sale.id, at_secs(1_000), 100).await, []);
    assert_eq!(bench.payments_of(fan, 100).await.len(), 3);
}

pub async fn keeps_pending_performances_apart(bench: RecordBench) {
    let (first, second, fan) = (bench.open_sale().await, bench.open_sale().await, bench.sign_up().await);
    bench.top_up(fan, euros(100_000)).await;
    let mut paid = Vec::new();
    for (sale, seat, secs) in [(&first, 0, 10), (&first, 1, 11), (&first, 2, 12), (&second, 0, 20)] {
        let hold = hold_at(fan, sale, &[seat], start());
        bench.place(&hold).await;
        let plan = payment(&hold, at_secs(secs));
        paid.push(made(bench.pay(&plan, request(fan)).await).id);
    }
    let performances = async |secs| {
        let mut named = bench.payments.performances_pending(at_secs(secs)).await.expect("the store answers");
        named.sort_unstable();
        named
    };
    let both = [first.id.min(second.id), first.id.max(second.id)];

    assert_eq!(performances(9).await, []);
    assert_eq!(performances(10).await, [first.id]);
    assert_eq!(performances(20).await, both);
    let pending = bench.pending(second.id, at_secs(20), 2).await;
    assert_eq!(pending.iter().map(|settlement| settlement.payment).collect::<Vec<_>>(), paid[3..]);
    bench.payments.mark_propagated(&paid[..3]).await.expect("the store answers");
    assert_eq!(performances(20).await, [second.id]);
}
