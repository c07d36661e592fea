//! The cases of [`Draws`](encore_domain::ports::Draws).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;

use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::queue::{DrawEntries, DrawEntry, Drawn, EndReason, QueueTokenPayload};

use crate::RecordBench;
use crate::answers::refused;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{id, pre_queue, start};

/// Stamps the cases of the port `Draws`.
#[macro_export]
macro_rules! draws {
    ($($with:tt)+) => {
        $crate::suite! { draws [
            enters_once,
            enters_under_contention,
            an_entry_takes_back_an_end,
            closes_once,
            closes_under_contention,
            counts_entries,
            lists_the_entries_of_a_fan,
            keeps_a_draw,
            draws_once,
            draws_once_under_contention,
            finds_no_draw,
        ] $($with)+ }
    };
}

impl RecordBench {
    /// A performance whose queue has no draw yet.
    async fn undrawn(&self) -> PerformanceId {
        let sale = self.open_sale().await;
        self.open_queue(&sale, pre_queue(start())).await.id
    }

    async fn keep_draw(&self, performance: PerformanceId, drawn: &[Drawn]) -> Vec<Drawn> {
        self.draws.keep(performance, drawn).await.expect("the store answers")
    }

    async fn find_draw(&self, performance: PerformanceId) -> Option<Vec<Drawn>> {
        self.draws.find(performance).await.expect("the store answers")
    }
}

/// The draw of lanes with these numbers of joined fans.
fn drawn(counts: &[u64]) -> Vec<Drawn> {
    let drawn = |(lane, count): (u8, &u64)| Drawn { lane, count: *count, digest: [lane.wrapping_mul(31) ^ 0xA5; 32] };
    (0..).zip(counts).map(drawn).collect()
}

const EPOCH: i64 = 1_780_308_000_123;

impl RecordBench {
    async fn enter_lane(&self, performance: PerformanceId, user: UserId, lane: u8) -> u64 {
        self.draws.enter(performance, EPOCH, user, lane).await.expect("the draw is open")
    }

    async fn draw_entries(&self, performance: PerformanceId) -> DrawEntries {
        let mut entries = self.draws.entries(performance).await.expect("the store answers");
        while entries.joined.last() == Some(&0) {
            entries.joined.pop();
        }
        entries
    }
}

pub async fn enters_once(bench: RecordBench) {
    let (performance, other) = (bench.undrawn().await, bench.undrawn().await);
    let fans: Vec<UserId> = (0..5).map(|_| id()).collect();
    for _ in 0..2 {
        for (index, fan) in (1..).zip(&fans) {
            assert_eq!(bench.enter_lane(performance, *fan, 0).await, index);
        }
    }
    assert_eq!(bench.enter_lane(performance, fans[3], 1).await, 1, "each lane has its own indexes");
    assert_eq!(bench.enter_lane(performance, fans[3], 0).await, 4);
    assert_eq!(bench.enter_lane(performance, fans[2], 1).await, 2);
    assert_eq!(bench.enter_lane(other, fans[4], 0).await, 1, "each queue has its own indexes");
}

pub async fn enters_under_contention(bench: RecordBench) {
    let performance = bench.undrawn().await;
    let enter = |user| {
        let draws = Arc::clone(&bench.draws);
        async move { draws.enter(performance, EPOCH, user, 0).await.expect("the draw is open") }
    };
    let mut indexes = at_once((0..100).map(|_| enter(id()))).await;
    indexes.sort_unstable();
    assert_eq!(indexes, (1..=100).collect::<Vec<u64>>());
    let fan = id();
    let indexes = at_once((0..TWENTY).map(|_| enter(fan))).await;
    assert_eq!(indexes, [101; TWENTY]);
    assert_eq!(bench.draw_entries(performance).await, DrawEntries { joined: vec![101], closed: false });
}

pub async fn an_entry_takes_back_an_end(bench: RecordBench) {
    let performance = bench.undrawn().await;
    let (fan, other) = (id(), id());
    let payload = |user, index| QueueTokenPayload {
        performance,
        user,
        epoch: EPOCH,
        lane: 0,
        index,
        issued_at: start(),
        needs_accessible: false,
        admitted_until: None,
    };
    for (index, user) in [(1, fan), (2, other)] {
        assert_eq!(bench.enter_lane(performance, user, 0).await, index);
        let released = bench.reservations.leave(payload(user, index), start()).await.expect("the store answers");
        assert_eq!(released, []);
    }
    assert_eq!(bench.enter_lane(performance, fan, 0).await, 1);
    let find = async |user, index| bench.queue_records.find_ended(&payload(user, index)).await;
    assert_eq!(find(fan, 1).await.expect("the store answers"), None);
    assert_eq!(find(other, 2).await.expect("the store answers"), Some(EndReason::Left));

    // Ends of another run, and those of a draw that is closed, stay.
    assert_eq!(bench.draws.enter(performance, EPOCH + 1, other, 0).await.expect("the draw is open"), 2);
    assert_eq!(find(other, 2).await.expect("the store answers"), Some(EndReason::Left));
    bench.draws.close(performance).await.expect("the store answers");
    assert_eq!(refused(bench.draws.enter(performance, EPOCH, other, 0).await).joined[0], 2);
    assert_eq!(find(other, 2).await.expect("the store answers"), Some(EndReason::Left));
}

pub async fn closes_once(bench: RecordBench) {
    let (performance, empty) = (bench.undrawn().await, bench.undrawn().await);
    let fans: Vec<UserId> = (0..3).map(|_| id()).collect();
    for fan in &fans {
        bench.enter_lane(performance, *fan, 0).await;
    }
    bench.enter_lane(performance, fans[0], 1).await;
    let closed = bench.draws.close(performance).await.expect("the store answers");
    assert_eq!(closed[..2], [3, 1]);
    for fan in [fans[0], id()] {
        let refusal = refused(bench.draws.enter(performance, EPOCH, fan, 0).await);
        assert_eq!(refusal.joined, closed);
    }
    assert_eq!(bench.draws.close(performance).await.expect("the store answers"), closed);
    let nobody = bench.draws.close(empty).await.expect("the store answers");
    assert_eq!(nobody.iter().sum::<u64>(), 0);
    refused(bench.draws.enter(empty, EPOCH, fans[0], 0).await);
}

pub async fn closes_under_contention(bench: RecordBench) {
    let performance = bench.undrawn().await;
    let entering = (0..100).map(|turn| {
        let draws = Arc::clone(&bench.draws);
        async move {
            if turn == 50 {
                return draws.close(performance).await.map(|joined| (None, joined)).expect("the store answers");
            }
            match draws.enter(performance, EPOCH, id(), 0).await {
                Ok(index) => (Some(index), Vec::new()),
                error => (None, refused(error).joined),
            }
        }
    });
    let answers = at_once(entering.collect::<Vec<_>>()).await;
    let mut indexes: Vec<u64> = answers.iter().filter_map(|(index, _)| *index).collect();
    indexes.sort_unstable();
    let joined = bench.draw_entries(performance).await;
    assert_eq!(joined.joined.first().copied().unwrap_or(0), indexes.len() as u64);
    assert_eq!(indexes, (1..=indexes.len() as u64).collect::<Vec<u64>>());
    let said = answers.iter().filter(|(index, _)| index.is_none()).map(|(_, joined)| joined.iter().sum::<u64>());
    assert!(said.into_iter().all(|said| said == indexes.len() as u64), "{answers:?}");
}

pub async fn counts_entries(bench: RecordBench) {
    let performance = bench.undrawn().await;
    assert_eq!(bench.draw_entries(performance).await, DrawEntries::default());
    assert_eq!(bench.draw_entries(id()).await, DrawEntries::default());
    bench.enter_lane(performance, id(), 1).await;
    bench.enter_lane(performance, id(), 1).await;
    assert_eq!(bench.draw_entries(performance).await, DrawEntries { joined: vec![0, 2], closed: false });
    bench.draws.close(performance).await.expect("the store answers");
    assert_eq!(bench.draw_entries(performance).await, DrawEntries { joined: vec![0, 2], closed: true });
}

pub async fn lists_the_entries_of_a_fan(bench: RecordBench) {
    let (fan, other): (UserId, UserId) = (id(), id());
    let mut performances = [bench.undrawn().await, bench.undrawn().await, bench.undrawn().await];
    performances.sort_unstable();
    let [first, second, others] = performances;
    bench.enter_lane(first, other, 0).await;
    bench.enter_lane(others, other, 0).await;
    bench.enter_lane(second, fan, 0).await;
    bench.enter_lane(first, fan, 1).await;
    bench.enter_lane(first, fan, 0).await;
    bench.draws.close(first).await.expect("the store answers");
    let expected = [(first, 0, 2), (first, 1, 1), (second, 0, 1)];
    let expected = expected.map(|(performance, lane, index)| DrawEntry { performance, lane, index });
    for size in 1..=3 {
        let mut listed = Vec::new();
        let mut page = PageRequest::first(size);
        loop {
            let answer = bench.draws.entries_of(fan, page).await.expect("the store answers");
            assert!(answer.items.len() <= size as usize);
            listed.extend(answer.items);
            let Some(next) = answer.next else { break };
            page.after = Some(next);
        }
        assert_eq!(listed, expected, "{size}");
    }
    let none = bench.draws.entries_of(id(), PageRequest::first(9)).await.expect("the store answers");
    assert_eq!(none, Page { items: Vec::new(), next: None });
}

pub async fn keeps_a_draw(bench: RecordBench) {
    let (one, many) = (bench.undrawn().await, bench.undrawn().await);
    let (small, large) = (drawn(&[0]), drawn(&[1_000_000, 0, 7, 4_000_000_000, 1, 2, 3, 4]));
    assert_eq!(bench.keep_draw(one, &small).await, small);
    assert_eq!(bench.keep_draw(many, &large).await, large);
    assert_eq!(bench.find_draw(one).await, Some(small));
    assert_eq!(bench.find_draw(many).await, Some(large));
}

pub async fn draws_once(bench: RecordBench) {
    let performance = bench.undrawn().await;
    let first = bench.keep_draw(performance, &drawn(&[5, 6])).await;
    for later in [drawn(&[7, 6]), drawn(&[5, 6, 1]), drawn(&[5])] {
        assert_eq!(bench.keep_draw(performance, &later).await, first);
        assert_eq!(bench.find_draw(performance).await.as_ref(), Some(&first));
    }
    assert_eq!(first, drawn(&[5, 6]));
}

pub async fn draws_once_under_contention(bench: RecordBench) {
    let performance = bench.undrawn().await;
    let answers = at_once((1..=TWENTY as u64).map(|count| {
        let draws = Arc::clone(&bench.draws);
        async move { draws.keep(performance, &drawn(&[count, count + 1])).await.expect("the store answers") }
    }))
    .await;
    let kept = bench.find_draw(performance).await.expect("a stored draw");
    assert_eq!(kept, drawn(&[kept[0].count, kept[0].count + 1]), "all lanes belong to one draw");
    assert!(answers.iter().all(|answer| *answer == kept), "{answers:?}");
}

pub async fn finds_no_draw(bench: RecordBench) {
    let (drawn_queue, other) = (bench.undrawn().await, bench.undrawn().await);
    bench.keep_draw(drawn_queue, &drawn(&[5])).await;
    assert_eq!(bench.find_draw(other).await, None);
    assert_eq!(bench.find_draw(id()).await, None);
}
