//! Payments and top-ups that arrive together are written together, and the failure of one does not affect the others.
#![expect(clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/sale.rs"]
mod sale;

use std::sync::Arc;

use diesel_async::SimpleAsyncConnection;
use encore_domain::booking::Reservation;
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::error::RequestError;
use encore_domain::ids::UserId;
use encore_domain::payment::fan_payment::FanPayment;
use encore_domain::payment::refund::{CancelPlan, CancellationPolicy, CancelledBy};
use encore_domain::payment::{Paid, PayRefusal, PaymentPlan};
use encore_domain::ports::{Audit, Catalog, Payments, Refunds, Reservations, Wallets};
use encore_domain::queue::QueueTokenPayload;
use encore_domain::request::{Applied, RequestKey};
use encore_domain::wallet::{TopUpRefusal, TransferIds, WalletEntry};
use encore_port_tests::fixtures::{at_secs, euros, free, hold, id, payment, request, start, top_up};
use encore_postgres_store::{
    Database, PostgresAudit, PostgresCatalog, PostgresPayments, PostgresRefunds, PostgresReservations, PostgresWallets,
};
use futures::future::join_all;

use self::sale::{Sale, count};

/// How many connections of this database wait for a lock. Other tests use the same server.
const WAITING: &str = "
    SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE NOT granted AND datname = current_database()";

type Answer = Result<Applied<Paid>, RequestError<PayRefusal>>;

/// One instance of the server on the database of a sale.
struct Instance {
    catalog: PostgresCatalog,
    audit: PostgresAudit,
    reservations: PostgresReservations,
    payments: PostgresPayments,
    refunds: PostgresRefunds,
    wallets: PostgresWallets,
}

impl Instance {
    async fn of(sale: &Sale) -> Self {
        let config = sale.scratch.config();
        let database = Database::connect(&config).await.expect("the scratch database accepts connections");
        Self {
            catalog: PostgresCatalog::new(database.clone()),
            audit: PostgresAudit::new(database.clone()),
            reservations: PostgresReservations::new(database.clone()),
            payments: PostgresPayments::new(database.clone()),
            refunds: PostgresRefunds::new(database.clone()),
            wallets: PostgresWallets::new(database),
        }
    }

    /// Makes all of them in one batch: the runtime has one thread, which starts the batch when all calls wait.
    async fn pay_together(&self, calls: &[(PaymentPlan, RequestKey)]) -> Vec<Answer> {
        join_all(calls.iter().map(|(plan, request)| self.payments.pay_from_wallet(plan.clone(), *request))).await
    }

    async fn assert_audited(&self) {
        let audit = self.audit.sweep(None).await.expect("an audit");
        assert!(audit.is_clean(), "{:?}", audit.findings().collect::<Vec<_>>());
    }

    async fn fund(&self, fan: UserId, minor: i64) {
        self.wallets.top_up(top_up(fan, euros(minor)), request(fan)).await.expect("a top-up");
    }

    async fn balance(&self, fan: UserId) -> i64 {
        self.wallets.balances(fan).await.expect("balances").first().map_or(0, |balance| balance.minor)
    }
}

impl Sale {
    /// A new fan with a hold on this seat and money for one.
    async fn payable(&self, instance: &Instance, seat: usize) -> (PaymentPlan, RequestKey) {
        let (hold, placing) = self.placement(&[seat]).await;
        instance.reservations.place(hold.clone(), SEATS_PER_FAN_MAX, None, placing).await.expect("a hold");
        instance.fund(hold.user, hold.total.minor).await;
        (payment(&hold, at_secs(1)), request(hold.user))
    }

    async fn payables(&self, instance: &Instance, seats: std::ops::Range<usize>) -> Vec<(PaymentPlan, RequestKey)> {
        join_all(seats.map(|seat| self.payable(instance, seat))).await
    }

    /// Waits until a statement waits for a lock.
    async fn wait_for_a_waiter(&self) {
        while self.count(WAITING).await == 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn made(answer: &Answer) -> &Paid {
    match answer {
        Ok(Applied::Now(paid)) => paid,
        other => panic!("not paid: {other:?}"),
    }
}

#[tokio::test]
async fn payments_that_arrive_together_are_committed_in_one_transaction() {
    let sale = Sale::open().await;
    let instance = Instance::of(&sale).await;
    let calls = sale.payables(&instance, 0..20).await;
    for (answer, (plan, _)) in instance.pay_together(&calls).await.iter().zip(&calls) {
        assert_eq!(made(answer).payment, plan.payment);
    }
    for (rows, of) in [
        (20, "payments"),
        (20, "transfers WHERE kind = 'payment'"),
        (40, "ledger_entries WHERE transfer_id IN (SELECT id FROM transfers WHERE kind = 'payment')"),
        (20, "requests WHERE operation = 'pay'"),
        (20, "reservations WHERE state = 'confirmed'"),
        (20, "outbox WHERE kind = 'booking.reservation_confirmed'"),
    ] {
        assert_eq!(sale.count(&format!("SELECT count(*) FROM {of}")).await, rows, "{of}");
        let transactions = format!("SELECT count(DISTINCT xmin::text) AS count FROM {of}");
        assert_eq!(sale.count(&transactions).await, 1, "transactions of {of}");
    }
    let of_wallets =
        "SELECT count(DISTINCT position) AS count FROM ledger_entries WHERE balance_after_minor IS NOT NULL";
    assert_eq!(sale.count(of_wallets).await, 40, "of the top-ups and the payments");
    let of_others = "SELECT count(*) FROM ledger_entries WHERE balance_after_minor IS NULL AND position <> 0";
    assert_eq!(sale.count(of_others).await, 0, "nobody lists them");
}

#[tokio::test]
async fn the_balance_after_a_payment_is_stored_with_it() {
    let sale = Sale::open().await;
    let instance = Instance::of(&sale).await;
    let calls = sale.payables(&instance, 0..2).await;
    instance.fund(calls[1].0.payment.user, 500).await;
    instance.pay_together(&calls).await;
    for (_, key) in &calls {
        instance.fund(key.user, 1).await;
    }
    let told = async || {
        let mut told = Vec::new();
        for (plan, key) in &calls {
            let paid = instance.payments.find_paid(*key).await.expect("no reuse").expect("a payment");
            let found = instance.payments.find(plan.payment.id).await.expect("the database is available");
            let Some(FanPayment::Wallet(found)) = found else { panic!("{found:?}") };
            assert_eq!(found.balance_after, paid.balance_after);
            told.push(paid.balance_after.minor);
        }
        told
    };
    let store = async |minor: &str| {
        let update = format!("UPDATE payments SET balance_after_minor = {minor} RETURNING 1");
        sale.count(&format!("WITH updated AS ({update}) SELECT count(*) FROM updated")).await
    };
    assert_eq!(told().await, [0, 500]);
    // The ledger says it of a payment that was written before.
    assert_eq!(store("NULL").await, 2);
    assert_eq!(told().await, [0, 500]);
    assert_eq!(store("7").await, 2);
    assert_eq!(told().await, [7, 7], "the ledger is not asked");
}

#[tokio::test]
async fn a_payment_that_cannot_be_written_fails_alone() {
    let sale = Sale::open().await;
    let instance = Instance::of(&sale).await;
    let mut calls = sale.payables(&instance, 0..6).await;
    let earlier = sale.payables(&instance, 6..7).await;
    let earlier = made(&instance.pay_together(&earlier).await[0]).payment.id;
    // Nothing refuses this one but the primary key of the payments.
    calls[2].0.payment.id = earlier;
    let answers = instance.pay_together(&calls).await;
    assert!(matches!(answers[2], Err(RequestError::Unavailable(_))), "{:?}", answers[2]);
    for at in [0, 1, 3, 4, 5] {
        assert_eq!(made(&answers[at]).payment, calls[at].0.payment);
    }
    let fan = calls[2].0.payment.user;
    assert_eq!(instance.balance(fan).await, 12_000);
    assert_eq!(
        sale.count(&format!("SELECT count(*) FROM requests WHERE user_id = '{fan}' AND operation = 'pay'")).await,
        0
    );
}

#[tokio::test]
async fn a_lock_that_somebody_keeps_delays_only_who_needs_it() {
    let sale = Sale::open().await;
    let instance = Arc::new(Instance::of(&sale).await);
    let calls = sale.payables(&instance, 0..4).await;
    let fan = calls[1].0.payment.user;
    let mut other = sale.connect().await;
    let lock = format!("BEGIN; SELECT FROM wallets WHERE user_id = '{fan}' FOR UPDATE");
    other.batch_execute(&lock).await.expect("locked");
    let paying = calls.iter().map(|(plan, request)| {
        let (instance, plan, request) = (Arc::clone(&instance), plan.clone(), *request);
        tokio::spawn(async move { instance.payments.pay_from_wallet(plan, request).await })
    });
    let mut paying: Vec<_> = paying.collect();
    let waiting = paying.remove(1);
    for (paying, at) in paying.into_iter().zip([0, 2, 3]) {
        assert_eq!(made(&paying.await.expect("no panic")).payment, calls[at].0.payment);
    }
    assert!(!waiting.is_finished(), "its wallet is locked");
    other.batch_execute("COMMIT").await.expect("committed");
    assert_eq!(made(&waiting.await.expect("no panic")).payment, calls[1].0.payment);
}

#[tokio::test]
async fn what_is_free_waits_for_a_wallet_that_is_being_created() {
    let sale = Sale::open().await;
    let instance = Arc::new(Instance::of(&sale).await);
    let (hold, placing) = sale.placement(&[0]).await;
    let (free, fan) = (free(&hold), placing.user);
    instance.reservations.place(free.clone(), SEATS_PER_FAN_MAX, None, placing).await.expect("a hold");
    let mut other = sale.connect().await;
    let create = format!("BEGIN; INSERT INTO wallets VALUES ('{fan}', 'EUR', 500)");
    other.batch_execute(&create).await.expect("created");
    let paying = Arc::clone(&instance);
    let paying =
        tokio::spawn(async move { paying.payments.pay_from_wallet(payment(&free, at_secs(1)), request(fan)).await });
    while !paying.is_finished() && sale.count(WAITING).await == 0 {
        tokio::task::yield_now().await;
    }
    other.batch_execute("COMMIT").await.expect("committed");
    assert_eq!(made(&paying.await.expect("no panic")).balance_after, euros(500));
}

#[tokio::test]
async fn one_fan_takes_one_connection() {
    let sale = Sale::open().await;
    let instance = Arc::new(Instance::of(&sale).await);
    let fan = sale.sign_up().await;
    instance.fund(fan, 1).await;
    let mut other = sale.connect().await;
    let lock = format!("BEGIN; SELECT FROM wallets WHERE user_id = '{fan}' FOR UPDATE");
    let calls = sale.payables(&instance, 0..4).await;
    other.batch_execute(&lock).await.expect("locked");
    let topping_up = (0..200).map(|_| {
        let (instance, request) = (Arc::clone(&instance), request(fan));
        tokio::spawn(async move { instance.wallets.top_up(top_up(fan, euros(1)), request).await })
    });
    let topping_up: Vec<_> = topping_up.collect();
    sale.wait_for_a_waiter().await;
    // Another fan's are not affected.
    for answer in instance.pay_together(&calls).await {
        made(&answer);
    }
    assert!(sale.count(WAITING).await <= 1, "transactions that wait");
    other.batch_execute("COMMIT").await.expect("committed");
    for topped_up in topping_up {
        topped_up.await.expect("no panic").expect("topped up");
    }
    assert_eq!(instance.balance(fan).await, 201);
}

#[tokio::test]
async fn top_ups_that_arrive_together_are_decided_in_order() {
    let sale = Sale::open().await;
    let instance = Instance::of(&sale).await;
    let (full, new, other) = (sale.sign_up().await, sale.sign_up().await, sale.sign_up().await);
    let max = euros(0).currency.balance_max_minor();
    instance.fund(full, max - 10).await;
    let before = (top_up(other, euros(7)), request(other));
    instance.wallets.top_up(before.0.clone(), before.1).await.expect("a top-up");
    let mut calls = vec![before];
    let amounts = [(full, 6), (new, max - 1), (full, 5), (other, 3), (full, 4), (new, 2), (new, 1), (full, 1)];
    calls.extend(amounts.map(|(fan, minor)| (top_up(fan, euros(minor)), request(fan))));
    let answers = join_all(calls.iter().map(|(transfer, request)| instance.wallets.top_up(transfer.clone(), *request)));
    let answers = answers.await;
    let balance_after: Vec<Option<i64>> = answers
        .iter()
        .map(|answer: &Result<Applied<WalletEntry>, _>| match answer {
            Ok(Applied::Now(entry) | Applied::Before(entry)) => Some(entry.balance_after_minor),
            Err(RequestError::Refused(TopUpRefusal::WalletFull(_))) => None,
            Err(error) => panic!("neither topped up nor refused: {error:?}"),
        })
        .collect();
    assert_eq!(
        balance_after,
        [Some(7), Some(max - 4), Some(max - 1), None, Some(10), Some(max), None, Some(max), None],
    );
    assert!(matches!(answers[0], Ok(Applied::Before(_))), "{:?}", answers[0]);
    assert_eq!((instance.balance(full).await, instance.balance(new).await), (max, max));
    let transactions = "SELECT count(DISTINCT xmin::text) AS count FROM transfers";
    assert_eq!(sale.count(transactions).await, 3, "two before, and one of all");
    assert_eq!(
        sale.count("SELECT count(*) FROM requests WHERE operation = 'top_up'").await,
        7,
        "refused ones are forgotten"
    );
    instance.assert_audited().await;
}

/// Performances like that of the sale.
async fn shows(sale: &Sale, instance: &Instance, count: usize) -> Vec<Performance> {
    let shows: Vec<_> = (0..count).map(|_| Performance { id: id(), ..sale.performance.clone() }).collect();
    for show in &shows {
        instance.catalog.add_performance(show.clone(), None, None).await.expect("a performance");
    }
    shows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_pay_from_one_wallet_as_often_as_it_allows() {
    const DEBITS: usize = 1_000;
    const AFFORDED: usize = 100;
    let sale = Sale::open().await;
    let instances = [Arc::new(Instance::of(&sale).await), Arc::new(Instance::of(&sale).await)];
    let fan = sale.sign_up().await;
    // The first ten seats have one price.
    let shows = shows(&sale, &instances[0], DEBITS / 10).await;
    let holds: Vec<Reservation> = shows.iter().flat_map(|show| (0..10).map(|seat| hold(fan, show, &[seat]))).collect();
    let placing = holds.iter().map(|hold| sale.reservations.place(hold.clone(), SEATS_PER_FAN_MAX, None, request(fan)));
    assert!(join_all(placing).await.iter().all(Result::is_ok));
    instances[0].fund(fan, 12_000 * 100 + 11_999).await;
    let paying = holds.iter().enumerate().map(|(n, hold)| {
        let (instance, plan) = (Arc::clone(&instances[n % 2]), payment(hold, at_secs(1)));
        tokio::spawn(async move { instance.payments.pay_from_wallet(plan, request(fan)).await })
    });
    let (mut paid, mut refused) = (0, 0);
    for answer in join_all(paying).await {
        match answer.expect("no panic") {
            Ok(Applied::Now(_)) => paid += 1,
            Err(RequestError::Refused(PayRefusal::InsufficientBalance { balance, needed })) => {
                assert_eq!((balance, needed), (euros(11_999), euros(12_000)));
                refused += 1;
            }
            other => panic!("neither paid nor refused: {other:?}"),
        }
    }
    assert_eq!((paid, refused), (AFFORDED, DEBITS - AFFORDED));
    assert_eq!(instances[1].balance(fan).await, 11_999);
    assert_eq!(sale.count("SELECT count(*) FROM reservations WHERE state = 'confirmed'").await, 100);
    instances[0].assert_audited().await;
}

/// The queue token of a fan, always the same.
fn token(hold: &Reservation) -> QueueTokenPayload {
    QueueTokenPayload {
        performance: hold.performance,
        user: hold.user,
        epoch: 1,
        lane: 0,
        index: u64::from(hold.user.0.as_fields().0) + 1,
        issued_at: start(),
        needs_accessible: false,
        admitted_until: None,
    }
}

/// What a fan does at once with two holds of each of three shows, on an instance.
async fn act(instance: Arc<Instance>, fan: UserId, shows: Vec<Performance>, seat: usize, round: usize) {
    let holds: Vec<Reservation> =
        shows.iter().flat_map(|show| [hold(fan, show, &[seat]), hold(fan, show, &[seat + 1])]).collect();
    let place = |hold: &Reservation| instance.reservations.place(hold.clone(), SEATS_PER_FAN_MAX, None, request(fan));
    for placed in join_all(holds.iter().map(place)).await {
        placed.expect("free seats");
    }
    let pay = async |hold: &Reservation| {
        let plan = PaymentPlan { payload: Some(token(hold)), ..payment(hold, at_secs(1)) };
        instance.payments.pay_from_wallet(plan, request(fan)).await
    };
    let cancel = async |hold: &Reservation| {
        let plan = CancelPlan {
            reservation: hold.id,
            slots: None,
            refund: id(),
            transfers: [(); 2].map(|()| TransferIds { transfer: id(), wallet_entry: id(), counter_entry: id() }),
            policy: CancellationPolicy::default(),
            by: CancelledBy::Fan,
            act: None,
            at: at_secs(2),
        };
        instance.refunds.cancel(plan, request(fan)).await
    };
    let mut order: Vec<&Reservation> = holds.iter().collect();
    order.rotate_left(round % 6);
    let paying = join_all(order.iter().map(|hold| pay(hold)));
    let cancelling = join_all(order.iter().rev().map(|hold| cancel(hold)));
    let leaving = instance.reservations.leave(token(order[round % 6]), at_secs(1));
    let sweeping = instance.reservations.expire_due(at_secs(1_000), 3);
    let funding = join_all((0..4).map(|_| instance.fund(fan, 100)));
    let (paid, _, left, swept, _) = futures::join!(paying, cancelling, leaving, sweeping, funding);
    for answer in paid {
        assert!(!matches!(answer, Err(RequestError::Unavailable(_))), "{answer:?}");
    }
    left.expect("the database is available");
    swept.expect("the database is available");
    for answer in join_all(holds.iter().map(cancel)).await {
        assert!(!matches!(answer, Err(RequestError::Unavailable(_))), "{answer:?}");
    }
    instance.reservations.expire_due(at_secs(1_000), 100).await.expect("the database is available");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_cancellations_top_ups_leaves_and_sweeps_never_deadlock() {
    const ROUNDS: usize = 6;
    const SESSIONS: &str = "
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    const DEADLOCKS: &str = "SELECT deadlocks AS count FROM pg_stat_database WHERE datname = current_database()";
    // A batch waits 250 ms for a lock, and then gives up: Postgres must look for a cycle before that.
    const LOOK_SOON: &str = "DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''20ms''', current_database());
    END $$";
    let sale = Sale::open().await;
    sale.connect().await.batch_execute(LOOK_SOON).await.expect("the setting is taken");
    let instances = [Arc::new(Instance::of(&sale).await), Arc::new(Instance::of(&sale).await)];
    let fans = [sale.sign_up().await, sale.sign_up().await, sale.sign_up().await, sale.sign_up().await];
    for fan in fans {
        instances[0].fund(fan, 30_000).await;
    }
    for round in 0..ROUNDS {
        let shows = shows(&sale, &instances[0], 3).await;
        let acting = fans.iter().enumerate().map(|(n, fan)| {
            let instance = Arc::clone(&instances[(n + round) % 2]);
            tokio::spawn(act(instance, *fan, shows.clone(), 2 * n, round))
        });
        for acted in join_all(acting).await {
            acted.expect("no panic");
        }
    }
    instances[0].assert_audited().await;
    // The statistics of a session are complete when it has ended.
    drop(instances);
    let Sale { scratch, users, reservations, .. } = sale;
    drop((users, reservations));
    while count(&scratch.url(), SESSIONS).await > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(count(&scratch.url(), DEADLOCKS).await, 0);
}
