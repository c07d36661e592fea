//! Joining while the sale is shut costs no read of the catalogue.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::catalog::Performance;
use encore_domain::ports::MockCatalog;
use encore_domain::queue::{DRAW_KEY_BYTES, DrawKey, Queue, QueueDraw};
use encore_grpc::GuardedRpcs;
use encore_port_tests::fixtures;
use encore_server::encore::Encore;
use encore_server::ports::Ports;
use encore_tests::clock::TestClock;
use encore_tests::fan::reason;
use encore_tests::in_memory::Instance;
use encore_tests::world::{World, embedded_ports};

const BEFORE: Duration = Duration::from_mins(1);

/// The performance opens in a minute, with this pre-queue. Of its catalogue, each is read once at most, and what is on sale never.
async fn refusals(draw: Option<QueueDraw>) -> Vec<String> {
    let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
    let mut performance = Performance { has_queue: true, ..fixtures::performance(concert.id, venue.id) };
    performance.on_sale.opens_at = fixtures::start() + BEFORE;
    let (id, queue) = (performance.id, Queue { draw, ..Queue::default() });
    let mut catalog = MockCatalog::new();
    catalog.expect_performance().times(1).returning(move |_| Ok(Some(performance.clone())));
    catalog.expect_queue().times(1).returning(move |_| Ok(Some(queue.clone())));
    catalog.expect_on_sale().never();
    let ports = Ports { catalog: Arc::new(catalog), ..embedded_ports(Arc::new(TestClock::default())) };
    let instance = Instance::start_without_workers(Encore::new(ports, GuardedRpcs::default())).await;
    let world = World::embedded().await;
    let mut refusals = Vec::new();
    for _ in 0..50 {
        let mut fan = world.fan_without_account(&instance.channel);
        refusals.push(reason(&fan.join(id).await.expect_err("the sale is shut")));
    }
    refusals
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_come_before_the_opening_cost_no_read() {
    assert_eq!(refusals(None).await, vec!["SALE_NOT_OPEN"; 50]);
    let later = fixtures::start() + BEFORE / 2;
    let draw = QueueDraw { pre_queue_opens_at: later, key: DrawKey([9; DRAW_KEY_BYTES]) };
    assert_eq!(refusals(Some(draw)).await, vec!["SALE_NOT_OPEN"; 50]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_who_comes_at_the_opening_joins() {
    let world = World::embedded().await;
    let opens_in = |mut performance: Performance| {
        performance.on_sale.opens_at = fixtures::start() + BEFORE;
        performance
    };
    let performance = world.performance_with(Some(encore_domain::queue::QueueSettings::default()), opens_in).await;
    let mut fan = world.fan(0).await;
    assert_eq!(reason(&fan.join(performance).await.expect_err("not yet")), "SALE_NOT_OPEN");
    world.clock.advance(BEFORE);
    fan.join(performance).await.expect("it is open");
}
