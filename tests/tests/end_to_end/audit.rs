//! The auditor on running instances.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::seat_state::SeatLock;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Joining, Presence};
use encore_domain::queue::QueueSettings;
use encore_port_tests::fixtures::{self, slots};
use encore_tests::audit::{found, verify};
use encore_tests::fan::reason;
use encore_tests::ledger::damage;
use encore_tests::world::World;
use futures::future::join_all;
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_during_a_sale_finds_nothing() {
    let with_redis = [World::durable(2).await, World::on_cluster(2).await];
    for world in [World::embedded().await, World::without_redis().await].into_iter().chain(with_redis) {
        let (operator, performance) = (world.operator().await, world.performance(Some(QueueSettings::default())).await);
        let booking = join_all((0..20).map(async |turn| {
            let mut fan = world.fan(turn).await;
            fan.enter(performance).await.expect("admitted");
            fan.top_up(50_000).await.expect("a credit");
            // Every seat is wanted by several fans.
            let held = fan.hold(performance, &[&format!("C-B-{}", turn % 9 + 1)]).await;
            if let (Ok(hold), 0..10) = (held, turn) {
                fan.pay(&hold.reservation_id).await.expect("paid");
            }
        }));
        let auditing = async {
            for _ in 0..5 {
                assert_eq!(found(&operator, performance).await, []);
            }
        };
        tokio::join!(booking, auditing);
        assert_eq!(found(&operator, performance).await, []);

        let promises = verify(&operator, &performance.to_string()).await.expect("a report");
        let examined = |name: &str| promises.iter().find(|promise| promise.name == name).map(|it| it.examined);
        assert_eq!(examined("double_sold_seat"), Some(9));
        assert_eq!(examined("seat_state_differs"), Some(26));
        assert_eq!(examined("over_max_active"), Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_finds_damage_to_queue_seats_and_records() {
    let world = World::durable(2).await;
    let operator = world.operator().await;
    let settings = QueueSettings { max_active: 1, ..QueueSettings::default() };
    let (damaged, other) = (world.performance(Some(settings.clone())).await, world.performance(None).await);
    let mut fan = world.fan(0).await;
    fan.enter(damaged).await.expect("admitted");
    fan.top_up(50_000).await.expect("a credit");
    fan.hold(damaged, &["S-A-1"]).await.expect("a hold");
    fan.seats(damaged).await.expect("seats");
    assert_eq!(found(&operator, damaged).await, []);

    // The damage: an admission beyond `max_active`, a seat that is locked as sold without a claim, and a deleted event.
    let queues = &world.ports.queues;
    let presence = Presence { now: fixtures::start(), grace: settings.grace };
    for _ in 0..2 {
        let user = fixtures::id();
        let joining = Joining {
            performance: damaged,
            user,
            lane: 0,
            needs_accessible: false,
            may_enter: true,
            token: None,
            presence,
            request: None,
            entry: None,
        };
        queues.join(joining).await.expect("a queue token");
    }
    let wide = QueueSettings { max_active: 100, ..settings };
    let wide = wide.terms(None, presence.now, presence.now);
    assert_eq!(queues.admit(damaged, &wide, presence.now).await.expect("Redis is available"), 2);
    let lock = SeatLock::sold(slots(&[3])[0], fixtures::id(), fixtures::id());
    world.ports.seat_locks.mark(damaged, &[lock]).await.expect("Redis is available");
    damage(world.database(), "DELETE FROM outbox WHERE kind = 'booking.hold_placed'").await;

    let findings = found(&operator, damaged).await;
    let names: Vec<&str> = findings.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["outbox_gap", "over_max_active", "seat_state_differs"]);
    assert_eq!(findings[1].1, format!("performance {damaged} queue"));
    assert_eq!(findings[2].1, format!("performance {damaged} seat S-A-4/slot 3"));
    assert_eq!(found(&operator, other).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_finds_an_overdue_hold() {
    let world = World::durable(1).await;
    let (operator, performance) = (world.operator().await, world.performance(None).await);
    let fan = world.fan(0).await;
    let hold = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    assert_eq!(found(&operator, performance).await, []);
    // The sweeps use the clock of the instances. The next record is far in its future, which makes the hold overdue.
    damage(
        world.database(),
        "INSERT INTO outbox (event_id, kind, key, payload, created_at)
         VALUES ('later', 'test', '00000000-0000-0000-0000-000000000000', '{}', '2026-06-02T10:00:00Z')",
    )
    .await;
    let expected = ("overdue_hold".to_owned(), format!("reservation {}", hold.reservation_id));
    assert_eq!(found(&operator, performance).await, [expected]);
    world.clock.advance(Duration::from_hours(1));
    let reservations = Arc::clone(&world.ports.reservations);
    encore_tests::world::until("the sweep", || async {
        reservations.claims(performance).await.expect("claims").is_empty()
    })
    .await;
    assert_eq!(found(&operator, performance).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_operators_can_audit_and_only_existing_performances() {
    let world = World::embedded().await;
    let (operator, fan) = (world.operator().await, world.fan(0).await);
    let unknown = fixtures::id::<PerformanceId>().to_string();
    let refusals = [
        (&fan, unknown.as_str(), Code::PermissionDenied, "ROLE_NOT_ALLOWED"),
        (&operator, unknown.as_str(), Code::NotFound, "NOT_FOUND"),
        (&operator, "", Code::InvalidArgument, "INVALID_REQUEST"),
    ];
    for (caller, performance, code, why) in refusals {
        let refusal = verify(caller, performance).await.expect_err(why);
        assert_eq!((refusal.code(), reason(&refusal).as_str()), (code, why));
    }
}
