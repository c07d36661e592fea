use encore_domain::payment::{Payment, PaymentPlan, Settlement};
use encore_domain::queue::{QueueTicket, UsedPlace};

use super::ticket;
use crate::RecordBench;
use crate::answers::{made, refused};
use crate::fixtures::{at_secs, euros, hold, hold_at, just_before, payment, request, start};
use crate::paging::SIZES;

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
