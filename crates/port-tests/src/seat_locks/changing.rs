use encore_domain::booking::seat_state::all_free;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ports::TakeRefusal;

use super::{lock, statuses};
use crate::SpeedBench;
use crate::answers::refused;
use crate::fixtures::{at_secs, id, slots, small_chart};

pub async fn refuses_slots_that_are_no_seat(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let free = all_free(&small_chart());
    let separator = free.iter().position(Option::is_none).expect("rows are apart");
    let past_the_end = u32::try_from(free.len()).expect("a small context");
    let no_seats = [Slot(u32::try_from(separator).expect("a small context")), Slot(past_the_end), Slot(1_000_000)];
    let before = bench.seats(performance).await;

    for slot in no_seats {
        let wanted = [slots(&[0]), vec![slot]].concat();
        let refusal = refused(bench.take(performance, &wanted, id()).await);
        assert_eq!(refusal, TakeRefusal::Taken { slots: vec![slot], version: bench.version(performance).await });
    }
    assert_eq!(bench.seats(performance).await, before);
}

pub async fn releases_only_its_own(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let owner = bench.taken(performance, &[0, 1, 2, 3], at_secs(60)).await;
    let other = bench.taken(performance, &[4], at_secs(60)).await;
    bench.mark(performance, &[lock(3, owner, None)]).await;

    let between_rows = Slot(slots(&[8])[0].0 - 1);
    let asked = [slots(&[0, 1, 3, 4, 5]), vec![between_rows, Slot(1_000_000)]].concat();
    bench.release_seats(performance, &asked, owner).await;
    assert_eq!(bench.seat_statuses(performance).await, statuses(&[2, 4], &[3]));
    let left = [lock(2, owner, Some(at_secs(60))), lock(4, other, Some(at_secs(60)))];
    let mut overdue = bench.overdue(performance, at_secs(60), 100).await;
    overdue.sort_by_key(|lock| lock.slot);
    assert_eq!(overdue, left);
    bench.take(performance, &slots(&[0, 1]), id()).await.expect("the seats are free again");
}

pub async fn marks_over_anything(bench: SpeedBench) {
    let performance = bench.loaded().await;
    let loser = bench.taken(performance, &[1, 2], at_secs(60)).await;
    let (holder, buyer) = (id(), id());
    bench.mark(performance, &[lock(5, buyer, None)]).await;

    let held_until = Some(at_secs(90));
    let held = [lock(0, holder, held_until), lock(1, holder, held_until), lock(5, holder, held_until)];
    let sold = [lock(2, buyer, None), lock(3, buyer, None)];
    bench.mark(performance, &[held.as_slice(), &sold].concat()).await;
    assert_eq!(bench.seat_statuses(performance).await, statuses(&[0, 1, 5], &[2, 3]));

    bench.release_seats(performance, &slots(&[0, 1, 2, 3, 5]), loser).await;
    assert_eq!(bench.seat_statuses(performance).await, statuses(&[0, 1, 5], &[2, 3]));
    let mut overdue = bench.overdue(performance, at_secs(90), 100).await;
    overdue.sort_by_key(|lock| lock.slot);
    assert_eq!(overdue, held);
    bench.release_seats(performance, &slots(&[0, 1, 5]), holder).await;
    assert_eq!(bench.seat_statuses(performance).await, statuses(&[], &[2, 3]));
}
