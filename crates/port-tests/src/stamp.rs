//! Generates the tests of a suite in the crate of an adapter.

/// The expansion of every suite's macro: with a bench, a module of tests; with `@names`, the names of the cases.
#[doc(hidden)]
#[macro_export]
macro_rules! suite {
    ($suite:ident [$($case:ident),+ $(,)?] @names) => {
        [$(stringify!($case)),+]
    };
    ($suite:ident [$($case:ident),+ $(,)?] $bench:path) => {
        mod $suite {
            // The path of the bench is relative to the calling module.
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::$suite::$case($bench().await).await;
                }
            )+
        }
    };
}
