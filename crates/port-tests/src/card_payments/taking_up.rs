use std::sync::Arc;

use encore_domain::ids::PaymentId;
use encore_domain::payment::attempt::{Outcome, Progress, Step};
use encore_domain::payment::card::Purpose;
use encore_domain::payment::card_change::TakeUp;
use encore_domain::payment::card_plan::CardPlan;
use encore_domain::payment::gateway::FailureReason;

use super::{DECLINED, plan_for, report};
use crate::RecordBench;
use crate::answers::made;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{at_secs, euros, id, request};

pub async fn takes_up_what_is_due(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let mut cards = Vec::new();
    for secs in [3, 1, 2] {
        let plan = plan_for(fan, Purpose::TopUp, euros(1), 0, at_secs(secs));
        cards.push(bench.start(&CardPlan { lease_until: at_secs(10 + secs), ..plan }).await);
    }
    let take = async |now: u64, limit| {
        let taken = bench.card_payments.take_due(at_secs(now), at_secs(now + 30), limit).await;
        taken.expect("the store answers").into_iter().map(|card| card.id).collect::<Vec<_>>()
    };
    assert_eq!(take(10, 10).await, []);
    let mut first = take(12, 10).await;
    first.sort_unstable();
    assert_eq!(first, [cards[1].id, cards[2].id]);
    assert_eq!(take(13, 10).await, [cards[0].id]);
    assert_eq!(take(13, 10).await, [], "they are leased");
    assert_eq!(bench.card(cards[0].id).await.tries, 1);
    assert_eq!(take(42, 1).await.len(), 1, "the lease is over");
    bench.reported(&cards[0], &[(Step::Authorize, DECLINED)], at_secs(50)).await;
    let left = at_once((0..TWENTY).map(|_| {
        let cards = Arc::clone(&bench.card_payments);
        async move { cards.take_due(at_secs(100), at_secs(130), 10).await.expect("the store answers") }
    }))
    .await;
    let mut left: Vec<PaymentId> = left.into_iter().flatten().map(|card| card.id).collect();
    left.sort_unstable();
    assert_eq!(left, [cards[1].id, cards[2].id], "each to one, and not what is over");
}

pub async fn hastens_what_a_hint_names(bench: RecordBench) {
    let (_, open) = bench.authorized(&[0]).await;
    bench
        .card_payments
        .apply(open.id, report(&[], at_secs(5)), TakeUp::Due(Some(at_secs(60))))
        .await
        .expect("the store answers");
    let (_, over) = bench.charged(&[0]).await;
    let before = (bench.card(open.id).await, bench.card(over.id).await);
    let hasten = async |id, at| bench.card_payments.hasten(id, at_secs(at)).await.expect("the store answers");
    let due = async |at| bench.card_payments.take_due(at_secs(at), at_secs(at + 30), 10).await.expect("it answers");
    assert_eq!(due(9).await, []);
    assert!(hasten(open.id, 10).await && hasten(open.id, 20).await);
    assert!(!hasten(over.id, 10).await && !hasten(id(), 10).await);
    assert_eq!((bench.card(open.id).await, bench.card(over.id).await), before);
    assert_eq!(due(10).await.iter().map(|card| card.id).collect::<Vec<_>>(), [open.id]);
}

pub async fn keeps_a_hint_for_the_end_of_the_lease(bench: RecordBench) {
    let take = async |now: u64| {
        let taken = bench.card_payments.take_due(at_secs(now), at_secs(now + 30), 10).await;
        taken.expect("the store answers").into_iter().map(|card| card.id).collect::<Vec<_>>()
    };
    let apply = async |id, change, take_up| {
        bench.card_payments.apply(id, change, take_up).await.expect("the store answers");
    };
    let (_, card) = bench.authorized(&[0]).await;
    assert_eq!(take(10).await, [card.id]);
    assert!(bench.card_payments.hasten(card.id, at_secs(12)).await.expect("the store answers"));
    assert_eq!(take(13).await, [], "it is leased");
    apply(card.id, report(&[], at_secs(14)), TakeUp::Leased(at_secs(44))).await;
    assert_eq!(take(15).await, [], "whoever has it goes on");
    apply(card.id, report(&[], at_secs(16)), TakeUp::Due(Some(at_secs(60)))).await;
    assert_eq!(take(16).await, [card.id], "the look may have been before the news");
    apply(card.id, report(&[], at_secs(17)), TakeUp::Due(Some(at_secs(60)))).await;
    assert_eq!(take(17).await, [], "it was looked at again");

    let (bought, paid) = bench.charged(&[1, 2]).await;
    let some = crate::refunds::plan(&bought, &bought.slots()[..1], at_secs(18));
    let first = made(bench.cancel(&some, request(bought.user)).await).refund;
    assert_eq!(take(20).await, [paid.id]);
    made(bench.cancel(&crate::refunds::plan(&bought, &[], at_secs(21)), request(bought.user)).await);
    assert_eq!(take(22).await, [], "it is leased");
    let refunded = report(&[(Step::Refund(first.id), Outcome::Succeeded)], at_secs(23));
    apply(paid.id, refunded, TakeUp::Due(Some(at_secs(600)))).await;
    assert_eq!(take(23).await, [paid.id], "the other refund is left to do");
}

pub async fn hears_of_a_dispute(bench: RecordBench) {
    let due = async |now: u64| {
        let taken = bench.card_payments.take_due(at_secs(now), at_secs(now + 30), 10).await;
        taken.expect("the store answers").into_iter().map(|card| card.id).collect::<Vec<_>>()
    };
    let apply = async |id, change, take_up| {
        bench.card_payments.apply(id, change, take_up).await.expect("the store answers").1.events.len()
    };
    let heard = |at| report(&[(Step::Dispute, Outcome::Requested)], at_secs(at));
    let (_, open) = bench.authorized(&[0]).await;
    assert_eq!(apply(open.id, heard(3), TakeUp::Due(Some(at_secs(900)))).await, 0, "nothing was taken");
    let (sold, card) = bench.charged(&[1]).await;
    assert_eq!(due(20).await, [], "it is over");
    let before = (bench.stored(&sold).await, bench.balances(sold.user).await, card.state());
    assert_eq!(apply(card.id, heard(21), TakeUp::Hinted).await, 1);
    assert_eq!(due(21).await, [card.id]);
    assert_eq!(apply(card.id, heard(22), TakeUp::Hinted).await, 0, "once");
    assert_eq!(due(22).await, [], "it is leased");
    let confirmed = report(&[(Step::Dispute, Outcome::Unknown)], at_secs(23));
    assert_eq!(apply(card.id, confirmed, TakeUp::Due(Some(at_secs(900)))).await, 1);
    assert_eq!(due(23).await, [card.id], "there was news since it was leased");
    let lost = report(&[(Step::Dispute, Outcome::Succeeded)], at_secs(24));
    assert_eq!(apply(card.id, lost, TakeUp::Due(Some(at_secs(900)))).await, 1);
    assert_eq!(apply(card.id, heard(25), TakeUp::Hinted).await, 0);
    let now = bench.card(card.id).await;
    assert_eq!(now.latest().dispute, Progress::Succeeded);
    let after = (bench.stored(&sold).await, bench.balances(sold.user).await, now.state());
    assert_eq!(after, before);
    bench.assert_audited(&sold).await;
}

pub async fn hears_of_another_dispute(bench: RecordBench) {
    let heard = (Step::Dispute, Outcome::Requested);
    let won = (Step::Dispute, Outcome::Failed(FailureReason::DisputeWon));
    let (sold, card) = bench.charged(&[0]).await;
    let counted = async || {
        let settled = bench.settlements.of(sold.performance, sold.total.currency).await.expect("the store answers");
        (bench.card(card.id).await.latest().dispute, settled.open_disputes, settled.lost_disputes)
    };
    bench.reported(&card, &[heard.clone(), won], at_secs(5)).await;
    assert_eq!(counted().await, (Progress::Failed, 0, 0));
    let again = bench.reported(&card, std::slice::from_ref(&heard), at_secs(6)).await;
    assert_eq!(again.events.len(), 1);
    assert_eq!(counted().await, (Progress::Requested, 1, 0));
    let due = bench.card_payments.take_due(at_secs(6), at_secs(36), 10).await.expect("the store answers");
    assert_eq!(due.iter().map(|it| it.id).collect::<Vec<_>>(), [card.id]);
    bench.reported(&card, &[(Step::Dispute, Outcome::Unknown), (Step::Dispute, Outcome::Succeeded)], at_secs(7)).await;
    assert_eq!(bench.reported(&card, &[heard], at_secs(8)).await.events, []);
    assert_eq!(counted().await, (Progress::Succeeded, 0, 1));
    bench.assert_audited(&sold).await;
}
