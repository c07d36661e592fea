//! The output and the exit codes of the binary's `encore verify`.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};
use std::time::Duration;

use encore_credentials::Keyring;
use encore_domain::booking::seat_state::{SeatLock, SeatStatus, all_free};
use encore_domain::catalog::{OnSaleWindow, Performance};
use encore_domain::ids::PerformanceId;
use encore_port_tests::fixtures::{self, euros, hold_at, payment, request, top_up};
use encore_postgres_store::scratch::ScratchDatabase;
use encore_server::ports::Ports;
use encore_tests::ledger::damage;
use encore_tests::world::variable;

const KEYS: &str = "test:a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=";

/// A sale with one sold seat and no running instance.
struct Sold {
    database: ScratchDatabase,
    ports: Ports,
    performance: PerformanceId,
}

impl Sold {
    async fn new() -> Self {
        let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
        let ports = Ports::embedded(Keyring::parse(KEYS).expect("keys"));
        let ports = ports.on_postgres(&database.config()).await.expect("Postgres is available");
        let ports =
            ports.on_redis(&variable("ENCORE_REDIS_URL"), &prefix(&database)).await.expect("Redis is available");
        let (venue, concert, now) = (fixtures::venue(fixtures::small_chart()), fixtures::concert(), ports.clock.now());
        let window = OnSaleWindow { opens_at: now, closes_at: now + Duration::from_hours(1) };
        let sale = Performance { on_sale: window, ..fixtures::performance(concert.id, venue.id) };
        ports.catalog.add_venue(venue, None).await.expect("a venue");
        ports.catalog.add_concert(concert, None).await.expect("a concert");
        ports.catalog.add_performance(sale.clone(), None, None).await.expect("a performance");
        let account = fixtures::account();
        let fan = account.user.id;
        ports.users.add_all(vec![account]).await.expect("a fan");
        let hold = hold_at(fan, &sale, &[0], now);
        ports.reservations.place(hold.clone(), 8, None, request(fan)).await.expect("placed");
        ports.wallets.top_up(top_up(fan, euros(12_000)), request(fan)).await.expect("topped up");
        ports.payments.pay_from_wallet(payment(&hold, now), request(fan)).await.expect("paid");
        let locks: Vec<SeatLock> = hold.slots().into_iter().map(|slot| SeatLock::sold(slot, hold.id, fan)).collect();
        let layout = all_free(&fixtures::small_chart());
        ports.seat_locks.load(sale.id, &layout, &locks, 1).await.expect("loaded");
        Self { database, ports, performance: sale.id }
    }

    fn verify(&self, redis: bool, flags: &[&str]) -> Output {
        let mut command = encore();
        command.arg("verify").args(flags).env("ENCORE_DATABASE_URL", self.database.url());
        if redis {
            command.env("ENCORE_REDIS_URL", variable("ENCORE_REDIS_URL"));
            command.env("ENCORE_REDIS_PREFIX", prefix(&self.database));
        }
        command.output().expect("the binary runs")
    }
}

fn prefix(database: &ScratchDatabase) -> String {
    database.url().rsplit('/').next().expect("a database name").to_owned()
}

fn encore() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_encore"));
    command.env_remove("ENCORE_DATABASE_URL").env_remove("ENCORE_REDIS_URL").env("ENCORE_LOG", "error");
    command
}

fn code_and_stdout(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_exits_with_0_if_every_promise_holds() {
    let sold = Sold::new().await;
    let (code, table) = code_and_stdout(&sold.verify(true, &[]));
    assert_eq!(code, Some(0), "{table}");
    for row in [
        "double_sold_seat            0  1 seats of live reservations",
        "over_max_active             0  0 queues with a maximum",
        "seat_state_differs          0  26 seats",
    ] {
        assert!(table.lines().any(|line| line == row), "{row:?} is not in\n{table}");
    }
    let (code, table) = code_and_stdout(&sold.verify(false, &[]));
    assert_eq!(code, Some(0), "{table}");
    assert!(table.contains("seat_state_differs          ?  not examined"), "{table}");
    assert!(table.contains("queues and seat state were not examined: ENCORE_REDIS_URL is not set"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_exits_with_3_and_names_the_broken_promises() {
    let sold = Sold::new().await;
    damage(&sold.database, "DELETE FROM claims").await;
    let subject = format!("performance {} seat S-A-1/slot 0", sold.performance);

    let output = sold.verify(false, &[]);
    let (code, table) = code_and_stdout(&output);
    assert_eq!(code, Some(3), "{table}");
    assert!(table.contains("paid_without_seat           1  1 confirmed reservations"), "{table}");
    assert!(table.contains(&format!("\npaid_without_seat: 1 findings\n  {subject}: reservation ")), "{table}");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(stderr, "encore: promises are broken: paid_without_seat\n");

    // Without its claim the seat is free, and the seat state shows it as sold.
    let (code, text) = code_and_stdout(&sold.verify(true, &["--json"]));
    assert_eq!(code, Some(3), "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).expect("one JSON object");
    let of = |name: &str| {
        let promises = report["promises"].as_array().expect("promises");
        promises.iter().find(|promise| promise["name"] == name).cloned().expect("every promise is listed")
    };
    assert_eq!(report["clean"], false);
    assert_eq!(of("paid_without_seat")["findings"][0]["subject"], *subject);
    assert_eq!((&of("seat_state_differs")["broken"], &of("seat_state_differs")["examined"]), (&1.into(), &26.into()));
    assert_eq!((&of("outbox_gap")["broken"], &of("outbox_gap")["examined"]), (&0.into(), &3.into()));
    let state = sold.ports.seat_locks.snapshot(sold.performance).await.expect("Redis is there").expect("still loaded");
    assert_eq!(state.statuses[0], Some(SeatStatus::Sold), "nothing was repaired");
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_exits_with_1_or_2_if_it_cannot_audit() {
    let code = |command: &mut Command| command.output().expect("the binary runs").status.code();
    assert_eq!(code(encore().arg("verify")), Some(1), "without a database");
    assert_eq!(code(encore().args(["verify", "--nonsense"])), Some(2), "an unknown flag");
    let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
    damage(&database, "DROP TABLE outbox").await;
    let mut verify = encore();
    verify.arg("verify").env("ENCORE_DATABASE_URL", database.url());
    assert_eq!(code(&mut verify), Some(1), "the schema is not what it should be");
}
