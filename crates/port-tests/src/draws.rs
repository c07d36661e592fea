//! The cases of [`Draws`](encore_domain::ports::Draws).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;

use encore_domain::ids::PerformanceId;
use encore_domain::queue::Drawn;

use crate::RecordBench;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{id, pre_queue, start};

/// Stamps the cases of the port `Draws`.
#[macro_export]
macro_rules! draws {
    ($($with:tt)+) => {
        $crate::suite! { draws [
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
