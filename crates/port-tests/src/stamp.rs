//! How a suite becomes tests in the crate of an adapter.

/// What every suite's macro expands to: with a bench a module of tests, with `@names` the names of the cases.
#[doc(hidden)]
#[macro_export]
macro_rules! suite {
    ($suite:ident [$($case:ident),+ $(,)?] @names) => {
        [$(stringify!($case)),+]
    };
    ($suite:ident [$($case:ident),+ $(,)?] $bench:path) => {
        mod $suite {
            // The bench is named as seen from outside this module.
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
