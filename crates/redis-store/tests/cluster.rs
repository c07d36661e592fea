//! The contracts of the ports, on a Redis Cluster of three nodes.
#![expect(clippy::expect_used, reason = "tests")]

#[expect(dead_code, reason = "other test files use the rest")]
mod support;

use encore_port_tests::SpeedBench;

async fn bench() -> SpeedBench {
    support::bench_on(support::fresh_cluster().await)
}

encore_port_tests::seat_changes!(bench);
encore_port_tests::seat_locks!(bench);
encore_port_tests::queue_store!(bench);
encore_port_tests::rate_limits!(bench);
