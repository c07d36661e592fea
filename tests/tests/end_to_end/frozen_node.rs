//! One node of a Redis Cluster hangs. The sales on the other nodes go on.

use std::path::Path;
use std::time::Duration;

use encore_domain::booking::seat_state::SeatStatus;
use encore_domain::catalog::Performance;
use encore_domain::ids::PerformanceId;
use encore_domain::queue::QueueSettings;
use encore_private_stores::RedisCluster;
use encore_proto::booking::v1::{Reservation, ReservationState};
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_tests::fan::Fan;
use encore_tests::ledger;
use encore_tests::world::{World, until};

const HOLD_FOR: Duration = Duration::from_mins(5);
/// The node that hangs.
const HUNG: usize = 0;
/// How many sales are on it. One after the other, their ticks would take longer than any condition here is waited for.
const HUNG_SALES: usize = 40;

/// A sale with a fan inside who holds a seat.
struct Sale {
    performance: PerformanceId,
    fan: Fan,
    hold: Reservation,
}

impl Sale {
    async fn begin(world: &World, performance: PerformanceId, turn: usize) -> Self {
        let mut fan = world.fan(turn).await;
        fan.enter(performance).await.expect("admitted");
        let hold = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
        Self { performance, fan, hold }
    }

    async fn lock(&self, world: &World, seat: usize) -> Option<SeatStatus> {
        world.ports.seat_locks.snapshot(self.performance).await.ok().flatten().and_then(|state| state.statuses[seat])
    }
}

async fn node_of(cluster: &RedisCluster, performance: PerformanceId) -> usize {
    let urls = cluster.urls();
    let client = redis::Client::open(urls.split(',').next().expect("a node")).expect("a URL");
    let mut node = client.get_multiplexed_async_connection().await.expect("the node answers");
    let slot = redis::cmd("CLUSTER").arg("KEYSLOT").arg(format!("{{{performance}}}")).query_async(&mut node).await;
    cluster.node_of(slot.expect("a slot"))
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_on_other_nodes_go_on_while_one_node_hangs() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("a_node_with_sales_hangs");
    // An earlier run may have left its files.
    let _removed_if_present = std::fs::remove_dir_all(&folder);
    let cluster = RedisCluster::start(&folder).expect("the nodes start");
    let world = World::durable_on(2, &cluster.urls()).await;
    let (mut hung, mut kept) = (Vec::new(), [None, None]);
    while hung.len() < HUNG_SALES || kept.iter().any(Option::is_none) {
        let five_minutes = |performance| Performance { hold_for: HOLD_FOR, ..performance };
        let performance = world.performance_with(Some(QueueSettings::default()), five_minutes).await;
        match node_of(&cluster, performance).await {
            HUNG => hung.push(Sale::begin(&world, performance, hung.len()).await),
            other if kept[other - 1].is_none() => kept[other - 1] = Some(Sale::begin(&world, performance, other).await),
            _ => {}
        }
    }
    let kept = kept.map(|sale| sale.expect("a sale"));

    cluster.pause(HUNG);

    for sale in &kept {
        for seat in ["S-A-2", "S-A-3", "S-A-4"] {
            let mut fan = world.fan(1).await;
            until("a place in the queue", || async { fan.clone().join(sale.performance).await.is_ok() }).await;
            fan.enter(sale.performance).await.expect("admitted");
            fan.top_up(12_000).await.expect("a credit");
            let hold = fan.hold(sale.performance, &[seat]).await.expect("a hold");
            fan.pay(&hold.reservation_id).await.expect("paid");
        }
    }
    // A fan on the node that hangs can pay, and Redis learns of it later.
    let paid = &hung[0];
    paid.fan.top_up(12_000).await.expect("a credit");
    paid.fan.pay(&paid.hold.reservation_id).await.expect("paid");

    world.clock.advance(HOLD_FOR);
    for sale in &kept {
        until("an expired hold", || async {
            let reservation = sale.fan.reservation(&sale.hold.reservation_id).await.expect("the reservation");
            reservation.state() == ReservationState::Expired && sale.lock(&world, 0).await == Some(SeatStatus::Free)
        })
        .await;
        let mut fan = world.fan(0).await;
        fan.enter(sale.performance).await.expect("admitted");
        fan.hold(sale.performance, &["S-A-1"]).await.expect("the seat of the expired hold");
    }
    assert!(hung[1].fan.position().await.is_err(), "the node still hangs");
    // Beyond the time after which locks whose hold has ended are compared with the claims.
    world.clock.advance(Duration::from_secs(10));

    cluster.resume(HUNG);

    until("the payment made meanwhile", || async { paid.lock(&world, 0).await == Some(SeatStatus::Sold) }).await;
    for sale in &hung[1..] {
        until("the seat of an expired hold", || async { sale.lock(&world, 0).await == Some(SeatStatus::Free) }).await;
    }
    let mut fan = world.fan(1).await;
    until("a place in the queue", || async { fan.clone().join(paid.performance).await.is_ok() }).await;
    fan.enter(paid.performance).await.expect("admitted");
    assert!(matches!(fan.position().await, Ok(QueueStatus::Admitted(_))));
    ledger::assert_conserved(world.database()).await;
}
