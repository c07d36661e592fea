//! Concurrent calls.

use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::Barrier;

/// The number of concurrent calls where a contract says twenty.
pub const TWENTY: usize = 20;

/// Starts the calls at the same time, each on a task of its own. Returns their results in the order of the calls.
pub async fn at_once<T, F>(calls: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let calls: Vec<F> = calls.into_iter().collect();
    let start = Arc::new(Barrier::new(calls.len()));
    let tasks = calls.into_iter().map(|call| {
        let start = Arc::clone(&start);
        tokio::spawn(async move {
            start.wait().await;
            // Without a yield, the task that opens the barrier runs first and alone. The yield spreads the tasks over
            // the threads.
            tokio::task::yield_now().await;
            call.await
        })
    });
    join_all(tasks).await.into_iter().map(|task| task.expect("the call does not panic")).collect()
}

/// Runs two calls concurrently. `a_first` says which of them is spawned first.
pub async fn meet<A, B>(
    a: impl Future<Output = A> + Send + 'static,
    b: impl Future<Output = B> + Send + 'static,
    a_first: bool,
) -> (A, B)
where
    A: Send + 'static,
    B: Send + 'static,
{
    let (a, b) = if a_first {
        let a = tokio::spawn(a);
        (a, tokio::spawn(b))
    } else {
        let b = tokio::spawn(b);
        (tokio::spawn(a), b)
    };
    let (a, b) = tokio::join!(a, b);
    (a.expect("the call does not panic"), b.expect("the call does not panic"))
}
