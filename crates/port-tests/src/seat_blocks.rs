//! The cases of [`SeatBlocks`](encore_domain::ports::SeatBlocks).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;

use encore_domain::booking::Claim;
use encore_domain::booking::seat_block::{
    BlockReason, BlockRefusal, BlockedSeat, SeatBlock, SeatUnblock, UnblockRefusal,
};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::error::RequestError;
use encore_domain::event::Event;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::page::PageRequest;
use encore_domain::ports::PlaceRefusal;
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;

use crate::RecordBench;
use crate::answers::{assert_reused, made, made_and_refused, refused, repeated};
use crate::bench::identity_of;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{SMALL_CHART_SEATS, act, altered, at_secs, hold, id, request, slots};
use crate::paging::{SIZES, read_all};
use crate::reservations::held;

/// Stamps the cases of the port `SeatBlocks`.
#[macro_export]
macro_rules! seat_blocks {
    ($($with:tt)+) => {
        $crate::suite! { seat_blocks [
            blocks_seats,
            refuses_to_block_taken_seats,
            blocks_again,
            repeats_a_block,
            gives_blocked_seats_back,
            gives_back_only_what_is_blocked,
            repeats_an_unblock,
            claims_a_seat_once_whoever_asks,
            lists_blocked_seats,
            starts_a_page_of_blocked_seats_anywhere,
            writes_events_of_blocks,
        ] $($with)+ }
    };
}

impl RecordBench {
    async fn try_block(
        &self,
        block: &SeatBlock,
        request: Option<RequestKey>,
    ) -> Result<Applied<SeatBlock>, RequestError<BlockRefusal>> {
        self.seat_blocks.block(block.clone(), request.map(act)).await
    }

    /// Blocks seats, which must succeed.
    async fn block(&self, operator: UserId, sale: &Performance, seats: &[usize]) -> SeatBlock {
        let block = block(operator, sale.id, seats, "House seats");
        assert_eq!(made(self.try_block(&block, None).await), block);
        block
    }

    async fn try_unblock(
        &self,
        unblock: &SeatUnblock,
        request: Option<RequestKey>,
    ) -> Result<Applied<SeatUnblock>, RequestError<UnblockRefusal>> {
        self.seat_blocks.unblock(unblock.clone(), request.map(act)).await
    }

    async fn blocked(&self, performance: PerformanceId, page_size: u32) -> Vec<BlockedSeat> {
        read_all(page_size, |page: PageRequest<Slot>| self.seat_blocks.blocked(performance, page)).await
    }
}

fn block(operator: UserId, performance: PerformanceId, seats: &[usize], reason: &str) -> SeatBlock {
    let reason = BlockReason::parse(reason).expect("a reason");
    SeatBlock { id: id(), performance, operator, reason, slots: slots(seats), at: at_secs(5) }
}

fn unblock(operator: UserId, performance: PerformanceId, seats: &[usize], at: Timestamp) -> SeatUnblock {
    SeatUnblock { id: id(), performance, operator, slots: slots(seats), at }
}

/// The claims of blocks, in the order of their slots.
fn claims<'a>(blocks: impl IntoIterator<Item = &'a SeatBlock>) -> Vec<Claim> {
    let of_block = |block: &'a SeatBlock| block.slots.iter().map(|slot| Claim::blocked(*slot, block.id));
    let mut claims: Vec<Claim> = blocks.into_iter().flat_map(of_block).collect();
    claims.sort_by_key(|claim| claim.slot);
    claims
}

pub async fn blocks_seats(bench: RecordBench) {
    let (sale, operator, fan) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let blocked = bench.block(operator, &sale, &[2, 3, 9]).await;
    assert_eq!(bench.claims(sale.id).await, claims([&blocked]));
    let asked = slots(&[3, 4]);
    let claimed = bench.reservations.claims_on(sale.id, &asked).await.expect("the store answers");
    assert_eq!(claimed, [Claim::blocked(asked[0], blocked.id)]);

    for user in [fan, operator] {
        let wanted = hold(user, &sale, &[1, 2, 3]);
        let refusal = refused(bench.reservations.place(wanted, SEATS_PER_FAN_MAX, None, request(user)).await);
        assert_eq!(refusal, PlaceRefusal::SeatsTaken { slots: slots(&[2, 3]) });
    }
    let own = hold(operator, &sale, &[0]);
    made(bench.reservations.place(own.clone(), 1, None, request(operator)).await);
    let matinee = Performance { id: id(), ..sale.clone() };
    made(bench.catalog.add_performance(matinee.clone(), None, None).await);
    bench.place(&hold(fan, &matinee, &[2, 3])).await;
    assert_eq!(bench.claims(sale.id).await, [held([&own]), claims([&blocked])].concat());
}

pub async fn refuses_to_block_taken_seats(bench: RecordBench) {
    let (sale, operator, fan) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let live = hold(fan, &sale, &[1, 2]);
    bench.place(&live).await;
    bench.buy(&hold(fan, &sale, &[5])).await;
    bench.block(operator, &sale, &[7]).await;
    let (before, events) = (bench.claims(sale.id).await, bench.events().await);

    let wanted = block(operator, sale.id, &[0, 2, 3, 5, 7], "Sponsor");
    let refusal = refused(bench.try_block(&wanted, Some(request(operator))).await);
    assert_eq!(refusal, BlockRefusal::SeatsTaken { slots: slots(&[2, 5]) });
    assert_eq!(bench.claims(sale.id).await, before);
    assert_eq!(bench.events().await, events);

    made(bench.reservations.release(live.id, at_secs(6), None).await);
    bench.block(operator, &sale, &[0, 1, 2]).await;
}

pub async fn blocks_again(bench: RecordBench) {
    let (sale, operator, other) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let first = bench.block(operator, &sale, &[0, 1]).await;
    let second = block(other, sale.id, &[1, 2], "Sponsor — 후원");
    assert_eq!(made(bench.try_block(&second, None).await), second);
    let blocked = bench.blocked(sale.id, 100).await;
    let blocks: Vec<_> = blocked.iter().map(|seat| (seat.block, seat.operator, seat.reason.as_str())).collect();
    let (house, sponsor) = ((first.id, operator, "House seats"), (second.id, other, "Sponsor — 후원"));
    assert_eq!(blocks, [house, sponsor, sponsor]);
    assert_eq!(bench.claims(sale.id).await.len(), 3);
}

pub async fn repeats_a_block(bench: RecordBench) {
    let (sale, operator, fan) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let (first, key) = (block(operator, sale.id, &[0, 1], "House seats"), request(operator));
    made(bench.try_block(&first, Some(key)).await);
    let again = SeatBlock { id: id(), at: at_secs(50), ..first.clone() };
    assert_eq!(repeated(bench.try_block(&again, Some(key)).await), first);
    assert_reused(&bench.try_block(&again, Some(altered(key))).await);
    let giving_back = unblock(operator, sale.id, &[0], at_secs(6));
    assert_reused(&bench.try_unblock(&giving_back, Some(key)).await);

    made(bench.try_unblock(&giving_back, None).await);
    assert_eq!(repeated(bench.try_block(&again, Some(key)).await), first);
    assert_eq!(bench.claims(sale.id).await, claims([&SeatBlock { slots: slots(&[1]), ..first }]));

    let (live, refused_key) = (hold(fan, &sale, &[4]), request(operator));
    bench.place(&live).await;
    let wanted = block(operator, sale.id, &[4], "House seats");
    refused(bench.try_block(&wanted, Some(refused_key)).await);
    made(bench.reservations.release(live.id, at_secs(6), None).await);
    made(bench.try_block(&wanted, Some(refused_key)).await);
}

pub async fn gives_blocked_seats_back(bench: RecordBench) {
    let (sale, operator, fan) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let blocked = bench.block(operator, &sale, &[0, 1, 2, 3]).await;
    let given_back = unblock(fan, sale.id, &[1, 2], at_secs(9));
    assert_eq!(made(bench.try_unblock(&given_back, None).await), given_back);
    let live = hold(fan, &sale, &[1, 2]);
    bench.place(&live).await;
    let left = SeatBlock { slots: slots(&[0, 3]), ..blocked };
    let mut expected = [claims([&left]), held([&live])].concat();
    expected.sort_by_key(|claim| claim.slot);
    assert_eq!(bench.claims(sale.id).await, expected);
}

pub async fn gives_back_only_what_is_blocked(bench: RecordBench) {
    let (sale, operator, fan) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    bench.block(operator, &sale, &[0, 1]).await;
    bench.place(&hold(fan, &sale, &[3])).await;
    bench.buy(&hold(fan, &sale, &[4])).await;
    let (before, events) = (bench.claims(sale.id).await, bench.events().await);
    let too_many = unblock(operator, sale.id, &[0, 2, 3, 4], at_secs(9));
    let refusal = refused(bench.try_unblock(&too_many, Some(request(operator))).await);
    assert_eq!(refusal, UnblockRefusal::NotBlocked { slots: slots(&[2, 3, 4]) });
    let elsewhere = Performance { id: id(), ..sale.clone() };
    made(bench.catalog.add_performance(elsewhere.clone(), None, None).await);
    let refusal = refused(bench.try_unblock(&unblock(operator, elsewhere.id, &[0], at_secs(9)), None).await);
    assert_eq!(refusal, UnblockRefusal::NotBlocked { slots: slots(&[0]) });
    assert_eq!(bench.claims(sale.id).await, before);
    assert_eq!(bench.events().await, events);
}

pub async fn repeats_an_unblock(bench: RecordBench) {
    let (sale, operator) = (bench.open_sale().await, bench.sign_up().await);
    bench.block(operator, &sale, &[0, 1]).await;
    let (first, key) = (unblock(operator, sale.id, &[0], at_secs(9)), request(operator));
    made(bench.try_unblock(&first, Some(key)).await);
    let blocked = bench.block(operator, &sale, &[0]).await;
    let again = SeatUnblock { id: id(), at: at_secs(60), ..first.clone() };
    assert_eq!(repeated(bench.try_unblock(&again, Some(key)).await), first);
    assert_reused(&bench.try_unblock(&again, Some(altered(key))).await);
    assert!(bench.claims(sale.id).await.contains(&Claim::blocked(blocked.slots[0], blocked.id)));
    refused(bench.try_unblock(&unblock(operator, sale.id, &[5], at_secs(9)), Some(request(operator))).await);
}

pub async fn claims_a_seat_once_whoever_asks(bench: RecordBench) {
    let (sale, operator) = (bench.open_sale().await, bench.sign_up().await);
    // A chain of overlaps: half are holds, half are blocks.
    let seats = |n: usize| [n % 7, n % 7 + 1, n % 7 + 2];
    let mut holds = Vec::new();
    for n in 0..TWENTY {
        holds.push(hold(bench.sign_up().await, &sale, &seats(n)));
    }
    let blocks: Vec<SeatBlock> = (0..TWENTY).map(|n| block(operator, sale.id, &seats(n + 3), "Sponsor")).collect();
    let holding = at_once(holds.iter().cloned().map(|hold| {
        let reservations = Arc::clone(&bench.reservations);
        async move { reservations.place(hold.clone(), SEATS_PER_FAN_MAX, None, request(hold.user)).await }
    }));
    let blocking = at_once(blocks.iter().cloned().map(|block| {
        let seat_blocks = Arc::clone(&bench.seat_blocks);
        async move { seat_blocks.block(block, None).await }
    }));
    let (held_answers, blocked_answers) = futures::join!(holding, blocking);
    let (placed, _) = made_and_refused(held_answers);
    let (made, _) = made_and_refused(blocked_answers);
    assert!(!placed.is_empty() || !made.is_empty(), "at least one call succeeds");

    let claimed = bench.claims(sale.id).await;
    for hold in &placed {
        assert!(held([hold]).iter().all(|claim| claimed.contains(claim)), "{hold:?} of {claimed:?}");
    }
    let blocked = bench.blocked(sale.id, 100).await;
    let blocked_slots: Vec<Slot> = blocked.iter().map(|seat| seat.slot).collect();
    for block in &made {
        assert!(block.slots.iter().all(|slot| blocked_slots.contains(slot)), "{block:?} of {claimed:?}");
    }
    let of_holds: usize = placed.iter().map(|hold| hold.seats.len()).sum();
    assert_eq!(of_holds + blocked.len(), claimed.len(), "every claim belongs to a hold or a block");
}

pub async fn lists_blocked_seats(bench: RecordBench) {
    let (sale, operator, fan) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    assert_eq!(bench.blocked(sale.id, 100).await, []);
    let seats: Vec<usize> = (0..SMALL_CHART_SEATS).filter(|seat| seat % 5 != 0).collect();
    let blocked = bench.block(operator, &sale, &seats).await;
    bench.place(&hold(fan, &sale, &[0, 5])).await;
    let expected: Vec<BlockedSeat> = blocked
        .slots
        .iter()
        .map(|slot| BlockedSeat {
            slot: *slot,
            block: blocked.id,
            reason: blocked.reason.clone(),
            operator,
            at: blocked.at,
        })
        .collect();
    for size in SIZES {
        assert_eq!(bench.blocked(sale.id, size).await, expected);
    }
    assert_eq!(bench.blocked(id(), 100).await, []);
}

pub async fn starts_a_page_of_blocked_seats_anywhere(bench: RecordBench) {
    let (sale, operator) = (bench.open_sale().await, bench.sign_up().await);
    let blocked = bench.block(operator, &sale, &[1, 2]).await;
    let found = async |after| {
        let page = PageRequest { after: Some(Slot(after)), size: 10 };
        let page = bench.seat_blocks.blocked(sale.id, page).await.expect("the store answers");
        page.items.iter().map(|seat| seat.slot).collect::<Vec<_>>()
    };
    let [first, second] = [blocked.slots[0], blocked.slots[1]];
    assert_eq!(found(0).await, [first, second]);
    assert_eq!(found(first.0).await, [second]);
    for after in [second.0, 1 << 31, (1 << 31) - 1, u32::MAX] {
        assert_eq!(found(after).await, [], "{after}");
    }
}

pub async fn writes_events_of_blocks(bench: RecordBench) {
    let (sale, operator) = (bench.open_sale().await, bench.sign_up().await);
    let (first, key) = (block(operator, sale.id, &[0, 1], "House seats"), request(operator));
    made(bench.try_block(&first, Some(key)).await);
    repeated(bench.try_block(&first, Some(key)).await);
    let again = bench.block(operator, &sale, &[1]).await;
    let given_back = unblock(operator, sale.id, &[0], at_secs(9));
    made(bench.try_unblock(&given_back, None).await);
    let expected = [Event::SeatsBlocked(first), Event::SeatsBlocked(again), Event::SeatsUnblocked(given_back)]
        .map(|it| identity_of(&it));
    assert_eq!(bench.events().await, expected);
    for scope in [None, Some(sale.id)] {
        let report = bench.audit.sweep(scope).await.expect("the store answers");
        assert!(report.is_clean(), "{report:?}");
    }
}
