//! The relay of the seat feed, on the embedded stores and on Postgres.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::booking::Reservation;
use encore_domain::booking::seat_block::{BlockReason, SeatBlock, SeatUnblock};
use encore_domain::booking::seat_state::SeatStatus;
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::error::Unavailable;
use encore_domain::event::OutboxPlace;
use encore_domain::event::message::{EventMessage, PublishOutcome};
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{EventPublisher, RelayCursor};
use encore_event_format::{SeatMessage, read_seat_change};
use encore_events::{Relay, RelayParts};
use encore_port_tests::fixtures::{self, at_secs, euros, hold, payment, request, slots, top_up};
use encore_postgres_store::scratch::ScratchDatabase;
use encore_server::ports::Ports;
use encore_tests::clock::TestClock;
use encore_tests::ledger::damage;
use encore_tests::world::{embedded_ports, variable};
use tokio_util::sync::CancellationToken;

/// Keeps what is published.
#[derive(Default)]
struct Recorder(Mutex<Vec<EventMessage>>);

#[async_trait]
impl EventPublisher for Recorder {
    async fn publish(&self, batch: &[EventMessage]) -> Result<Vec<PublishOutcome>, Unavailable> {
        self.0.lock().expect("not poisoned").extend_from_slice(batch);
        Ok(vec![PublishOutcome::Published; batch.len()])
    }
}

/// Stores with a recorder.
struct Bench {
    clock: Arc<TestClock>,
    ports: Ports,
    recorder: Arc<Recorder>,
    database: Option<ScratchDatabase>,
}

impl Bench {
    fn embedded() -> Self {
        let clock = Arc::new(TestClock::default());
        let ports = embedded_ports(Arc::clone(&clock));
        Self { clock, ports, recorder: Arc::default(), database: None }
    }

    async fn on_postgres() -> Self {
        let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
        let Self { clock, ports, recorder, .. } = Self::embedded();
        let ports = ports.on_postgres(&database.config()).await.expect("Postgres is available");
        Self { clock, ports, recorder, database: Some(database) }
    }

    async fn both() -> [Self; 2] {
        [Self::embedded(), Self::on_postgres().await]
    }

    fn parts(&self, cursor: Arc<dyn RelayCursor>) -> RelayParts {
        let Ports { outbox, catalog, clock, ids, .. } = self.ports.clone();
        RelayParts { outbox, cursor, publisher: self.recorder.clone(), catalog, clock, ids }
    }

    fn seat_relay(&self) -> Relay {
        Relay::of_seats(self.parts(self.ports.seat_feed_cursor.clone()))
    }

    async fn sale(&self) -> Performance {
        let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
        let sale = fixtures::performance(concert.id, venue.id);
        self.ports.catalog.add_venue(venue, None).await.expect("a venue");
        self.ports.catalog.add_concert(concert, None).await.expect("a concert");
        self.ports.catalog.add_performance(sale.clone(), None, None).await.expect("a performance");
        sale
    }

    async fn sign_up(&self) -> UserId {
        let account = fixtures::account();
        let user = account.user.id;
        self.ports.users.add_all(vec![account]).await.expect("a user");
        user
    }

    async fn place(&self, sale: &Performance, seats: &[usize]) -> Reservation {
        let hold = hold(self.sign_up().await, sale, seats);
        let placing = self.ports.reservations.place(hold.clone(), SEATS_PER_FAN_MAX, None, request(hold.user));
        placing.await.expect("free seats");
        hold
    }

    async fn pay(&self, hold: &Reservation) {
        self.ports.wallets.top_up(top_up(hold.user, euros(50_000)), request(hold.user)).await.expect("a top-up");
        self.ports.payments.pay_from_wallet(payment(hold, at_secs(3)), request(hold.user)).await.expect("paid");
    }

    /// What the feed says, in order.
    fn said(&self) -> Vec<SeatMessage> {
        let published = self.recorder.0.lock().expect("not poisoned");
        let read = |message| read_seat_change(message).expect("a message of the seat feed");
        published.iter().map(read).collect()
    }

    /// The statuses of each seat of a performance, in order.
    fn statuses(&self, performance: PerformanceId) -> HashMap<String, Vec<SeatStatus>> {
        let mut statuses: HashMap<String, Vec<SeatStatus>> = HashMap::new();
        for message in self.said().into_iter().filter(|message| message.performance == performance) {
            statuses.entry(message.seat_id).or_default().push(message.said.status);
        }
        statuses
    }

    async fn close_window(&self) {
        self.ports.outbox.close_window().await.expect("the store answers");
    }
}

async fn step(relay: &Relay) {
    relay.step(&CancellationToken::new()).await.expect("the relay reaches everything");
}

#[tokio::test]
async fn each_change_of_a_seat_is_a_message_with_a_higher_version() {
    use SeatStatus::{Blocked, Free, Held, Sold};
    for bench in Bench::both().await {
        let sale = bench.sale().await;
        let bought = bench.place(&sale, &[0, 1]).await;
        let (given_back, by) = (slots(&[1]), Some(request(bought.user)));
        let left = bench.ports.reservations.release_seats(bought.id, &given_back, at_secs(1), by).await;
        bench.pay(&left.expect("a live hold").into_inner()).await;
        let expired = bench.place(&sale, &[1]).await;
        bench.ports.reservations.expire_due(expired.expires_at, 10).await.expect("the store answers");
        let block = SeatBlock {
            id: fixtures::id(),
            performance: sale.id,
            operator: bench.sign_up().await,
            reason: BlockReason::parse("house seats").expect("a reason"),
            slots: slots(&[2]),
            at: at_secs(4),
        };
        bench.ports.seat_blocks.block(block.clone(), None).await.expect("a free seat");
        let SeatBlock { performance, operator, slots, at, .. } = block;
        let unblock = SeatUnblock { id: fixtures::id(), performance, operator, slots, at };
        bench.ports.seat_blocks.unblock(unblock, None).await.expect("a blocked seat");
        bench.close_window().await;

        let relay = bench.seat_relay();
        step(&relay).await;
        let statuses = bench.statuses(sale.id);
        assert_eq!(statuses["S-A-1"], [Held, Sold], "what a hold keeps does not change");
        assert_eq!(statuses["S-A-2"], [Held, Free, Held, Free]);
        assert_eq!(statuses["S-A-3"], [Blocked, Free]);
        assert_eq!(statuses.len(), 3);
        let said = bench.said();
        for seat_id in statuses.keys() {
            let of_seat = said.iter().filter(|message| message.seat_id == *seat_id);
            let versions: Vec<i64> = of_seat.map(|message| message.said.version).collect();
            assert!(versions.is_sorted_by(|one, next| one < next), "{seat_id}: {versions:?}");
        }
        step(&relay).await;
        assert_eq!(bench.said().len(), said.len(), "nothing is published twice");
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_read_holds_back_its_performance_alone() {
    let bench = Bench::on_postgres().await;
    let database = bench.database.as_ref().expect("a database");
    let (bad, good) = (bench.sale().await, bench.sale().await);
    let unreadable = bench.place(&bad, &[0]).await;
    for sale in [&bad, &good] {
        bench.place(sale, &[1]).await;
    }
    bench.pay(&unreadable).await;
    let empty = |id: &str| format!("UPDATE outbox SET payload = '{{}}' WHERE event_id LIKE '{id}'");
    damage(database, &empty(&format!("booking.hold_placed/{}", unreadable.id))).await;
    // The events of wallets have no part in the feed.
    damage(database, &empty("wallet.%")).await;
    bench.close_window().await;

    step(&bench.seat_relay()).await;
    assert!(bench.statuses(bad.id).is_empty(), "later events of the performance wait");
    assert_eq!(bench.statuses(good.id)["S-A-2"], [SeatStatus::Held]);
    let position = bench.ports.seat_feed_cursor.position().await.expect("the store answers");
    let held_back: Vec<PerformanceId> = position.held_back.iter().map(|held| PerformanceId(held.key)).collect();
    assert_eq!(held_back, [bad.id]);
    let events = bench.ports.relay_cursor.position().await.expect("the store answers");
    assert_eq!(events.cursor, OutboxPlace::default(), "the cursor is the feed's own");
}

#[tokio::test]
async fn events_are_kept_until_they_are_in_the_seat_feed() {
    for bench in Bench::both().await {
        let seat_cursor = bench.ports.seat_feed_cursor.clone();
        let relay = Relay::new(bench.parts(bench.ports.relay_cursor.clone()))
            .keeping_for(Duration::from_hours(2))
            .keeping_what_needs(seat_cursor);
        let kept = async || {
            let page = bench.ports.outbox.after(OutboxPlace::default(), 100).await.expect("the store answers");
            page.records.len()
        };
        let sale = bench.sale().await;
        bench.place(&sale, &[0]).await;
        step(&relay).await;
        bench.clock.advance(Duration::from_hours(3));
        step(&relay).await;
        assert_eq!(kept().await, 1, "the seat feed does not have it");
        step(&bench.seat_relay()).await;
        bench.clock.advance(Duration::from_mins(2));
        step(&relay).await;
        assert_eq!(kept().await, 0);
    }
}
