//! What a hold, a top-up and a payment cost Postgres: time of the processor and bytes of its log for each call, in batches of 64,
//! and how many rows. These do not depend on how fast the machine is just now, nor on how Encore was built.
//!
//! `cargo xtask test --workspace --bench costs`. `ENCORE_COSTS_SQL` is run first: so a shape of the tables can be tried without a
//! migration. `ENCORE_COSTS_TOGETHER` says how many calls arrive together, 64 by default.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench")]

use std::fs;
use std::time::Duration;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Double};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use encore_domain::booking::{Reservation, ReservationState, ReservedSeat};
use encore_domain::catalog::SEATS_PER_FAN_MAX;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::money::Money;
use encore_domain::payment::PaymentPlan;
use encore_domain::ports::{Payments, Reservations, Wallets};
use encore_domain::queue::QueueTokenPayload;
use encore_port_tests::fixtures::{at_secs, euros, id, payment, request, start, top_up};
use encore_postgres_store::scratch::ScratchDatabase;
use encore_postgres_store::{Database, DatabaseConfig, PostgresPayments, PostgresReservations, PostgresWallets};
use futures::future::join_all;

/// Calls that arrive together: a whole batch.
const TOGETHER: usize = 64;
const WARM_UP: usize = 512;
const CALLS: usize = 8_192;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let server = std::env::var("ENCORE_DATABASE_URL").expect("ENCORE_DATABASE_URL is not set: run `cargo xtask test`");
    let scratch = ScratchDatabase::create(&server).await;
    let mut observer = AsyncPgConnection::establish(&scratch.url()).await.expect("a connection");
    if let Ok(sql) = std::env::var("ENCORE_COSTS_SQL") {
        observer.batch_execute(&sql).await.expect("the statements of ENCORE_COSTS_SQL");
    }
    let config = DatabaseConfig { pool_size: 1, ..DatabaseConfig::new(scratch.url()) };
    let database = Database::connect(&config).await.expect("the scratch database accepts connections");
    let holds = holds(&mut observer).await;
    let reservations = PostgresReservations::new(database.clone());
    let (wallets, payments) = (PostgresWallets::new(database.clone()), PostgresPayments::new(database));

    println!("{:12} {:>8} {:>8} {:>9} {:>8} {:>6}", "call", "cpu µs", "WAL", "inserted", "updated", "HOT %");
    let mut meter = Meter { observer, reservations: reservations.clone() };
    meter
        .measure("hold", &holds, async |hold| {
            reservations
                .place(hold.clone(), SEATS_PER_FAN_MAX, Some(token(hold)), request(hold.user))
                .await
                .expect("a hold");
        })
        .await;
    meter
        .measure("top-up", &holds, async |hold| {
            wallets.top_up(top_up(hold.user, euros(20_000)), request(hold.user)).await.expect("a top-up");
        })
        .await;
    meter
        .measure("pay", &holds, async |hold| {
            let plan = PaymentPlan { payload: Some(token(hold)), ..payment(hold, at_secs(1)) };
            payments.pay_from_wallet(plan, request(hold.user)).await.expect("a payment");
        })
        .await;
}

/// Holds of two seats each by different fans, who exist. They are not placed yet.
async fn holds(conn: &mut AsyncPgConnection) -> Vec<Reservation> {
    let performance = id::<PerformanceId>();
    let fans: Vec<UserId> = (0..WARM_UP + CALLS).map(|_| id()).collect();
    let rows: Vec<String> = fans
        .iter()
        .map(|fan| format!("('{fan}', '{fan}@example.com', 'fan', 'fan', '', '2026-06-01T10:00:00Z')"))
        .collect();
    let columns = "id, email, display_name, role, password_hash, created_at";
    let insert = format!("INSERT INTO users ({columns}) VALUES {}", rows.join(","));
    conn.batch_execute(&insert).await.expect("users");
    (0..).zip(fans).map(|(n, fan)| hold(fan, performance, n)).collect()
}

fn hold(user: UserId, performance: PerformanceId, n: u32) -> Reservation {
    let seats = [2 * n, 2 * n + 1].map(|slot| ReservedSeat { slot: Slot(slot), price_minor: 10_000 }).to_vec();
    Reservation {
        id: id(),
        user,
        performance,
        total: Money { minor: 20_000, ..euros(0) },
        seats,
        state: ReservationState::Held,
        held_at: start(),
        expires_at: start() + Duration::from_mins(10),
        settled_at: None,
        payment: None,
        cancelled_at: None,
        revision: 0,
    }
}

fn token(hold: &Reservation) -> QueueTokenPayload {
    QueueTokenPayload {
        performance: hold.performance,
        user: hold.user,
        epoch: 1,
        lane: 0,
        index: u64::from(hold.seats[0].slot.0) + 1,
        issued_at: start(),
        needs_accessible: false,
        admitted_until: None,
    }
}

struct Meter {
    observer: AsyncPgConnection,
    /// On the measured connections.
    reservations: PostgresReservations,
}

#[derive(QueryableByName)]
struct Counts {
    #[diesel(sql_type = Double)]
    wal: f64,
    #[diesel(sql_type = Double)]
    inserted: f64,
    #[diesel(sql_type = Double)]
    updated: f64,
    #[diesel(sql_type = Double)]
    hot: f64,
}

impl Meter {
    /// Calls for each hold, and prints what one call cost.
    async fn measure(&mut self, name: &str, holds: &[Reservation], call: impl AsyncFn(&Reservation)) {
        let (warm_up, measured) = holds.split_at(WARM_UP);
        together(warm_up, &call).await;
        self.observer.batch_execute("CHECKPOINT").await.expect("a checkpoint");
        let before = self.counts().await;
        let cpu_before = self.cpu_ns().await;
        together(measured, &call).await;
        let cpu_us = (self.cpu_ns().await - cpu_before) / 1e3 / to_f64(measured.len());
        let after = self.counts().await;
        let per_call = |of: fn(&Counts) -> f64| (of(&after) - of(&before)) / to_f64(measured.len());
        let (wal, inserted, updated) = (per_call(|it| it.wal), per_call(|it| it.inserted), per_call(|it| it.updated));
        let hot = 100.0 * per_call(|it| it.hot) / updated.max(f64::MIN_POSITIVE);
        println!("{name:12} {cpu_us:8.1} {wal:8.0} {inserted:9.2} {updated:8.2} {hot:6.0}");
    }

    async fn counts(&mut self) -> Counts {
        const COUNTS: &str = "
            SELECT (pg_current_wal_insert_lsn() - '0/0')::float8 AS wal, sum(n_tup_ins)::float8 AS inserted,
                   sum(n_tup_upd)::float8 AS updated, sum(n_tup_hot_upd)::float8 AS hot
            FROM pg_stat_user_tables";
        // A session tells its statistics with the first transaction that ends a second or more after the last time.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        self.reservations.find(id()).await.expect("the database is available");
        diesel::sql_query(COUNTS).get_result(&mut self.observer).await.expect("statistics")
    }

    /// The nanoseconds for which the backends of the pool were on a processor; 0 where the kernel does not tell.
    async fn cpu_ns(&mut self) -> f64 {
        const BACKENDS: &str = "
            SELECT pid::bigint AS pid FROM pg_stat_activity
            WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
        #[derive(QueryableByName)]
        struct Backend {
            #[diesel(sql_type = BigInt)]
            pid: i64,
        }
        let backends: Vec<Backend> = diesel::sql_query(BACKENDS).load(&mut self.observer).await.expect("backends");
        let on_cpu = |Backend { pid }: &Backend| {
            let statistics = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
            statistics.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0)
        };
        backends.iter().map(on_cpu).sum()
    }
}

/// Calls for holds, as many at once as make a batch: the runtime has one thread, which starts the batch when all calls wait.
async fn together(holds: &[Reservation], call: &impl AsyncFn(&Reservation)) {
    let together = std::env::var("ENCORE_COSTS_TOGETHER").ok().and_then(|count| count.parse().ok()).unwrap_or(TOGETHER);
    for holds in holds.chunks(together.max(1)) {
        join_all(holds.iter().map(|hold| call(hold))).await;
    }
}

fn to_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
