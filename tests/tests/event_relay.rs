//! The relay of events, on the embedded stores and on Postgres, with a publisher that fails when it is told to.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::audit::Promise;
use encore_domain::error::Unavailable;
use encore_domain::event::message::{EventMessage, PublishOutcome, publishable};
use encore_domain::event::relay::{KEYS_HELD_BACK_MAX, TRIES_BEFORE_PARKED};
use encore_domain::event::{Event, OutboxPlace};
use encore_domain::ids::UserId;
use encore_domain::ports::EventPublisher;
use encore_events::{Relay, RelayParts};
use encore_port_tests::fixtures;
use encore_postgres_store::scratch::ScratchDatabase;
use encore_server::ports::Ports;
use encore_tests::clock::TestClock;
use encore_tests::ledger::damage;
use encore_tests::world::embedded_ports;
use tokio_util::sync::CancellationToken;

/// Keeps what is published. It can be away, and refuse events by their ids.
#[derive(Default)]
struct Recorder {
    published: Mutex<Vec<EventMessage>>,
    refused: Mutex<HashSet<String>>,
    away: AtomicBool,
}

#[async_trait]
impl EventPublisher for Recorder {
    async fn publish(&self, batch: &[EventMessage]) -> Result<Vec<PublishOutcome>, Unavailable> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Unavailable::of("recorder"));
        }
        let refused = self.refused.lock().expect("not poisoned");
        let outcomes = publishable(batch, |event| refused.contains(&event.id).then(|| "it is told to".to_owned()));
        let published = batch.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == PublishOutcome::Published);
        self.published.lock().expect("not poisoned").extend(published.map(|(event, _)| event.clone()));
        Ok(outcomes)
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
        let server =
            std::env::var("ENCORE_DATABASE_URL").expect("ENCORE_DATABASE_URL is not set: run `cargo xtask test`");
        let database = ScratchDatabase::create(&server).await;
        let Self { clock, ports, recorder, .. } = Self::embedded();
        let ports = ports.on_postgres(&database.config()).await.expect("Postgres is available");
        Self { clock, ports, recorder, database: Some(database) }
    }

    async fn both() -> [Self; 2] {
        [Self::embedded(), Self::on_postgres().await]
    }

    fn relay(&self) -> Relay {
        let Ports { outbox, relay_cursor, catalog, clock, ids, .. } = self.ports.clone();
        Relay::new(RelayParts { outbox, cursor: relay_cursor, publisher: self.recorder.clone(), catalog, clock, ids })
    }

    async fn sign_up(&self) -> UserId {
        let account = fixtures::account();
        let user = account.user.id;
        self.ports.users.add_all(vec![account]).await.expect("a user");
        user
    }

    /// Tops up a wallet, and returns the id of the event.
    async fn top_up(&self, fan: UserId) -> String {
        let top_up = fixtures::top_up(fan, fixtures::euros(1));
        let entry = self.ports.wallets.top_up(top_up, fixtures::request(fan)).await.expect("a top-up").into_inner();
        Event::WalletToppedUp { user: fan, entry }.id()
    }

    /// Tops up the wallets in turn, so many times each.
    async fn top_up_all(&self, fans: &[UserId], times: usize) -> Vec<Vec<String>> {
        let mut ids = vec![Vec::new(); fans.len()];
        for _ in 0..times {
            for (fan, ids) in fans.iter().zip(&mut ids) {
                ids.push(self.top_up(*fan).await);
            }
        }
        ids
    }

    fn published(&self, fan: UserId) -> Vec<String> {
        let published = self.recorder.published.lock().expect("not poisoned");
        published.iter().filter(|event| event.key == fan.to_string()).map(|event| event.id.clone()).collect()
    }

    fn refuse(&self, id: &str, refused: bool) {
        let mut ids = self.recorder.refused.lock().expect("not poisoned");
        if refused {
            ids.insert(id.to_owned());
        } else {
            ids.remove(id);
        }
    }

    async fn gaps(&self) -> u64 {
        let report = self.ports.audit.sweep(None).await.expect("the store answers");
        report.of(Promise::OutboxGap).expect("it was examined").broken
    }
}

async fn step(relay: &Relay) {
    relay.step(&CancellationToken::new()).await.expect("the relay reaches everything");
}

#[tokio::test]
async fn every_event_is_published_once_and_in_the_order_of_its_key() {
    for bench in Bench::both().await {
        let fans = [bench.sign_up().await, bench.sign_up().await];
        let relay = bench.relay();
        let mut expected = bench.top_up_all(&fans, 3).await;
        step(&relay).await;
        for (ids, more) in expected.iter_mut().zip(bench.top_up_all(&fans, 2).await) {
            ids.extend(more);
        }
        step(&relay).await;
        step(&relay).await;
        for (fan, ids) in fans.iter().zip(&expected) {
            assert_eq!(&bench.published(*fan), ids);
        }
        let cursor = bench.ports.relay_cursor.position().await.expect("the store answers").cursor;
        assert_eq!(bench.ports.outbox.backlog(cursor).await.expect("the store answers").events, 0);
    }
}

#[tokio::test]
async fn seats_are_named() {
    for bench in Bench::both().await {
        let catalog = &bench.ports.catalog;
        let venue = fixtures::venue(fixtures::small_chart());
        let concert = fixtures::concert();
        let performance = fixtures::performance(concert.id, venue.id);
        catalog.add_venue(venue, None).await.expect("a venue");
        catalog.add_concert(concert, None).await.expect("a concert");
        catalog.add_performance(performance.clone(), None, None).await.expect("a performance");
        let fan = bench.sign_up().await;
        let hold = fixtures::hold(fan, &performance, &[0]);
        bench.ports.reservations.place(hold, 6, None, fixtures::request(fan)).await.expect("a hold");
        step(&bench.relay()).await;
        let published = bench.recorder.published.lock().expect("not poisoned").clone();
        let [event] = published.as_slice() else { panic!("{published:?}") };
        assert_eq!(
            (event.data_type.as_str(), &event.key),
            ("encore.events.v1.HoldPlaced", &performance.id.to_string())
        );
        let names = |name: &str| event.data.windows(name.len()).any(|bytes| bytes == name.as_bytes());
        assert!(names("S-A-1") && names("Stalls"), "{event:?}");
    }
}

#[tokio::test]
async fn a_refused_event_holds_back_its_key_and_no_other() {
    for bench in Bench::both().await {
        let fans = [bench.sign_up().await, bench.sign_up().await];
        let relay = bench.relay();
        let [bad, good] = bench.top_up_all(&fans, 3).await.try_into().expect("two fans");
        bench.refuse(&bad[1], true);
        step(&relay).await;
        assert_eq!(bench.published(fans[0]), bad[..1]);
        assert_eq!(bench.published(fans[1]), good);

        let later = bench.top_up_all(&fans, 1).await;
        bench.clock.advance(Duration::from_secs(1));
        step(&relay).await;
        assert_eq!(bench.published(fans[0]), bad[..1], "later events of the key wait");
        assert_eq!(bench.published(fans[1]), [good.as_slice(), &later[1]].concat());

        bench.refuse(&bad[1], false);
        step(&relay).await;
        assert_eq!(bench.published(fans[0]), bad[..1], "it is not time to try again");
        bench.clock.advance(Duration::from_secs(2));
        step(&relay).await;
        assert_eq!(bench.published(fans[0]), [bad.as_slice(), &later[0]].concat());
        let position = bench.ports.relay_cursor.position().await.expect("the store answers");
        assert_eq!(position.held_back, []);
    }
}

#[tokio::test]
async fn a_key_that_fails_often_is_parked_and_goes_on_by_itself() {
    for bench in Bench::both().await {
        let fan = bench.sign_up().await;
        let relay = bench.relay();
        let [ids] = bench.top_up_all(&[fan], 2).await.try_into().expect("one fan");
        bench.refuse(&ids[0], true);
        for tries in 1..=TRIES_BEFORE_PARKED {
            step(&relay).await;
            let position = bench.ports.relay_cursor.position().await.expect("the store answers");
            assert_eq!(
                (position.held_back[0].failures, position.held_back[0].event_id.as_str()),
                (tries, ids[0].as_str())
            );
            assert_eq!(position.parked(), usize::from(tries == TRIES_BEFORE_PARKED));
            bench.clock.advance(Duration::from_mins(5));
        }
        bench.refuse(&ids[0], false);
        step(&relay).await;
        assert_eq!(bench.published(fan), ids);
    }
}

#[tokio::test]
async fn when_too_many_keys_fail_the_relay_stops_before_the_first_that_does_not_fit() {
    let bench = Bench::embedded();
    let relay = bench.relay();
    let mut ids = Vec::new();
    for _ in 0..=KEYS_HELD_BACK_MAX {
        let fan = bench.sign_up().await;
        ids.push(bench.top_up(fan).await);
    }
    let good = bench.sign_up().await;
    let last = bench.top_up(good).await;
    for id in &ids {
        bench.refuse(id, true);
    }
    let position = async || bench.ports.relay_cursor.position().await.expect("the store answers");
    for _ in 0..2 {
        // The first step fails at the bound, the second at the same event.
        relay.step(&CancellationToken::new()).await.expect_err("there is no room for the last key");
        let position = position().await;
        assert_eq!((position.held_back.len(), position.cursor.sequence), (KEYS_HELD_BACK_MAX, 1_000));
    }
    for id in &ids {
        bench.refuse(id, false);
    }
    step(&relay).await;
    assert_eq!(bench.published(good).last(), Some(&last), "with room it goes on");
    let backlog = bench.ports.outbox.backlog(position().await.cursor).await.expect("the store answers");
    assert_eq!(backlog.events, 0);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_holds_back_its_key() {
    let bench = Bench::on_postgres().await;
    let database = bench.database.as_ref().expect("a database");
    let fans = [bench.sign_up().await, bench.sign_up().await];
    let [bad, good] = bench.top_up_all(&fans, 2).await.try_into().expect("two fans");
    damage(database, &format!("UPDATE outbox SET payload = '{{}}' WHERE event_id = '{}'", bad[0])).await;
    step(&bench.relay()).await;
    assert_eq!((bench.published(fans[0]), bench.published(fans[1])), (vec![], good));
    let position = bench.ports.relay_cursor.position().await.expect("the store answers");
    assert_eq!((position.held_back[0].key, position.held_back[0].event_id.as_str()), (fans[0].0, bad[0].as_str()));
}

#[tokio::test]
async fn while_the_publisher_is_away_nothing_is_lost() {
    for bench in Bench::both().await {
        let fan = bench.sign_up().await;
        let relay = bench.relay();
        let mut expected = vec![bench.top_up(fan).await];
        bench.recorder.away.store(true, Ordering::SeqCst);
        for _ in 0..2 {
            relay.step(&CancellationToken::new()).await.expect_err("the publisher is away");
            expected.push(bench.top_up(fan).await);
        }
        assert_eq!(bench.published(fan), Vec::<String>::new());
        bench.recorder.away.store(false, Ordering::SeqCst);
        step(&relay).await;
        assert_eq!(bench.published(fan), expected);
    }
}

#[tokio::test]
async fn one_relay_publishes_and_another_takes_over() {
    for bench in Bench::both().await {
        let fan = bench.sign_up().await;
        let (first, second) = (bench.relay(), bench.relay());
        let mut expected = vec![bench.top_up(fan).await];
        step(&first).await;
        expected.push(bench.top_up(fan).await);
        step(&second).await;
        assert_eq!(bench.published(fan), expected[..1], "the first has the lease");
        bench.clock.advance(Duration::from_secs(3));
        step(&second).await;
        assert_eq!(bench.published(fan), expected, "the first is dead");

        expected.push(bench.top_up(fan).await);
        step(&first).await;
        assert_eq!(bench.published(fan), expected[..2], "the second has the lease");
        second.release().await.expect("the store answers");
        step(&first).await;
        assert_eq!(bench.published(fan), expected);
    }
}

#[tokio::test]
async fn what_is_delivered_is_kept_for_the_retention() {
    for bench in Bench::both().await {
        let fans = [bench.sign_up().await, bench.sign_up().await];
        let relay = bench.relay().keeping_for(Duration::from_hours(2));
        let kept = async || {
            bench.ports.outbox.close_window().await.expect("the store answers");
            let page = bench.ports.outbox.after(OutboxPlace::default(), 100).await.expect("the store answers");
            page.records.into_iter().map(|record| record.id).collect::<Vec<_>>()
        };
        let old = bench.top_up_all(&fans, 1).await.concat();
        // A window of its own: on Postgres whole windows go.
        step(&relay).await;
        let bad = bench.top_up(fans[0]).await;
        bench.refuse(&bad, true);
        step(&relay).await;
        assert_eq!(kept().await.len(), 3);
        // The clock of the fixtures does not advance, so these are as old as the others; but they are not delivered.
        bench.clock.advance(Duration::from_hours(3));
        bench.recorder.away.store(true, Ordering::SeqCst);
        let undelivered = bench.top_up(fans[1]).await;
        relay.step(&CancellationToken::new()).await.expect_err("the publisher is away");
        assert_eq!(kept().await.len(), 4);

        bench.recorder.away.store(false, Ordering::SeqCst);
        step(&relay).await;
        let left = kept().await;
        assert!(left.contains(&bad), "what is held back is not delivered: {left:?}");
        assert!(!left.contains(&old[0]), "{left:?}");
        assert_eq!(bench.gaps().await, 0);

        bench.refuse(&bad, false);
        bench.clock.advance(Duration::from_mins(10));
        step(&relay).await;
        assert_eq!(kept().await, Vec::<String>::new(), "{undelivered} too");
        assert_eq!((bench.gaps().await, bench.published(fans[0]).len()), (0, 2));
    }
}
